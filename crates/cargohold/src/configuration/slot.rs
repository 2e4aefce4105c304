//! How what was said gets into its field: a value, a list of them, a map, a list of records.
//!
//! What is wrong is told with its place, and leaves the field as it was.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    document::{Node, Value},
    form::Form,
    keys::{self, Sink},
    problem::{Fault, Findings},
    settings::Setting,
    told::Told,
};

/// Where a setting's value goes in a `T`, and how it gets there.
pub(crate) trait Slot<T>: Sync {
    /// Puts in what was said below `key`, or leaves everything as it was.
    fn put(&self, key: &str, said: &Node, into: &mut T, findings: &mut Findings) -> Result<(), Refused>;
    /// The value that is in there now.
    fn tell(&self, of: &mut T) -> Told;
    /// What its value has to be, as a noun.
    fn rule(&self) -> String;
    /// What to do about a value that it is not; without a full stop.
    fn advice(&self) -> String;
    /// What may stand below its key, told by name, about and rule; nothing for a single value.
    fn parts(&self) -> Vec<Part> {
        Vec::new()
    }
    /// Whether it is one text, which the environment needs no quotes for.
    fn is_text(&self) -> bool {
        false
    }
    /// Whether nobody may be told, and a file may be named that has it: `<key>file`.
    fn is_secret(&self) -> bool {
        false
    }
}

/// A key of the records in a list, explained.
pub(crate) struct Part {
    pub(crate) key: String,
    pub(crate) about: &'static str,
    pub(crate) rule: String,
    pub(crate) default: Option<String>,
}

/// What was said is not what the setting takes.
pub(crate) struct Refused {
    pub(crate) node: Node,
    pub(crate) rule: String,
    pub(crate) advice: String,
}

/// A single value of some form, and the field that it goes to.
pub(crate) struct Field<F: Form, T>(pub(crate) F, pub(crate) fn(&mut T) -> &mut F::Value);

/// What nobody is told. A text of that kind may be in a file, which `<key>file` names.
pub(crate) struct Hidden<S>(pub(crate) S);

/// Values of one form, in the order in which they were said; one alone needs no brackets.
pub(crate) struct Several<F: Form, T>(pub(crate) F, pub(crate) fn(&mut T) -> &mut Vec<F::Value>);

/// Texts by names that are not known beforehand.
pub(crate) struct Texts<T>(pub(crate) fn(&mut T) -> &mut BTreeMap<String, String>);

/// Headers of HTTP: names, and one or more values for each.
pub(crate) struct Headers<T>(pub(crate) fn(&mut T) -> &mut HeaderMap);

/// Records, each with settings of its own.
pub(crate) struct Records<R: 'static, T>(pub(crate) &'static [Setting<R>], pub(crate) fn(&mut T) -> &mut Vec<R>);

impl<F: Form, T> Slot<T> for Field<F, T> {
    fn put(&self, _: &str, said: &Node, into: &mut T, _: &mut Findings) -> Result<(), Refused> {
        *(self.1)(into) = read(&self.0, said)?;
        Ok(())
    }

    fn tell(&self, of: &mut T) -> Told {
        self.0.write((self.1)(of)).map_or(Told::Nothing, Told::Text)
    }

    fn rule(&self) -> String {
        self.0.rule()
    }

    fn advice(&self) -> String {
        self.0.advice()
    }

    fn is_text(&self) -> bool {
        true
    }
}

impl<S: Slot<T>, T> Slot<T> for Hidden<S> {
    fn put(&self, key: &str, said: &Node, into: &mut T, findings: &mut Findings) -> Result<(), Refused> {
        self.0.put(key, said, into, findings)
    }

    fn tell(&self, of: &mut T) -> Told {
        self.0.tell(of).hidden()
    }

    fn rule(&self) -> String {
        self.0.rule()
    }

    fn advice(&self) -> String {
        self.0.advice()
    }

    fn is_text(&self) -> bool {
        self.0.is_text()
    }

    fn is_secret(&self) -> bool {
        self.0.is_text()
    }
}

impl<F: Form, T> Slot<T> for Several<F, T> {
    fn put(&self, _: &str, said: &Node, into: &mut T, _: &mut Findings) -> Result<(), Refused> {
        *(self.1)(into) = match &said.value {
            Value::List(items) => items.iter().map(|item| read(&self.0, item)).collect::<Result<_, _>>()?,
            _ => vec![read(&self.0, said)?],
        };
        Ok(())
    }

    fn tell(&self, of: &mut T) -> Told {
        Told::List((self.1)(of).iter().filter_map(|value| self.0.write(value)).map(Told::Text).collect())
    }

    fn rule(&self) -> String {
        format!("a list, each item {}", self.0.rule())
    }

    fn advice(&self) -> String {
        self.0.advice()
    }
}

impl<T> Slot<T> for Texts<T> {
    fn put(&self, _: &str, said: &Node, into: &mut T, _: &mut Findings) -> Result<(), Refused> {
        let Value::Map(entries) = &said.value else { return Err(refuse(self, said)) };
        let text = |(name, entry): (&String, &super::document::Entry)| match &entry.node.value {
            Value::Text(text) => Ok((name.clone(), text.clone())),
            _ => Err(refuse(self, &entry.node)),
        };
        *(self.0)(into) = entries.iter().map(text).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn tell(&self, of: &mut T) -> Told {
        Told::Map((self.0)(of).iter().map(|(name, text)| (name.clone(), Told::text(text))).collect())
    }

    fn rule(&self) -> String {
        "names with a text each".to_owned()
    }

    fn advice(&self) -> String {
        "Write a line `<name>: <text>` for each".to_owned()
    }
}

impl<T> Slot<T> for Headers<T> {
    fn put(&self, _: &str, said: &Node, into: &mut T, _: &mut Findings) -> Result<(), Refused> {
        *(self.0)(into) = headers(said).map_err(|node| refuse(self, node))?;
        Ok(())
    }

    fn tell(&self, of: &mut T) -> Told {
        let headers: &HeaderMap = (self.0)(of);
        let text = |value: &HeaderValue| Told::text(String::from_utf8_lossy(value.as_bytes()));
        let values = |name: &HeaderName| Told::List(headers.get_all(name).iter().map(text).collect());
        Told::Map(headers.keys().map(|name| (name.to_string(), values(name))).collect())
    }

    fn rule(&self) -> String {
        "headers of HTTP: names with a list of values each".to_owned()
    }

    fn advice(&self) -> String {
        "Write a line `<Name>: [<value>]` for each, without control characters".to_owned()
    }
}

impl<R: Default + 'static, T> Slot<T> for Records<R, T> {
    fn put(&self, key: &str, said: &Node, into: &mut T, findings: &mut Findings) -> Result<(), Refused> {
        let Value::List(items) = &said.value else { return Err(refuse(self, said)) };
        let mut records = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let mut record = Record { settings: self.0, key: format!("{key}[{place}]"), into: R::default(), findings };
            keys::walk("", item.clone(), &mut record);
            records.push(record.into);
        }
        *(self.1)(into) = records;
        Ok(())
    }

    fn tell(&self, of: &mut T) -> Told {
        let told = |record: &mut R| {
            let parts = self.0.iter().map(|setting| (setting.key.to_owned(), setting.tell(record)));
            parts
                .filter(|(_, told)| told.line().is_some())
                .fold(Told::Map(Vec::new()), |record, (key, told)| record.with(&key, told))
        };
        Told::List((self.1)(of).iter_mut().map(told).collect())
    }

    fn rule(&self) -> String {
        "a list of sections".to_owned()
    }

    fn advice(&self) -> String {
        let keys: Vec<_> = self.0.iter().map(|setting| setting.key).collect();
        format!("Begin each with `-`; its keys are {}", keys.join(", "))
    }

    fn parts(&self) -> Vec<Part> {
        let part = |setting: &Setting<R>| Part {
            key: setting.key.to_owned(),
            about: setting.about,
            rule: setting.rule(),
            default: setting.default_text(&mut R::default()),
        };
        self.0.iter().map(part).collect()
    }
}

/// One record of a list, while it is read.
struct Record<'f, R: 'static> {
    settings: &'static [Setting<R>],
    /// Where it stands, as messages name it.
    key: String,
    into: R,
    findings: &'f mut Findings,
}

impl<R: Default + 'static> Sink<R> for Record<'_, R> {
    fn settings(&self) -> impl Iterator<Item = &'static Setting<R>> {
        self.settings.iter()
    }

    fn findings(&mut self) -> &mut Findings {
        self.findings
    }

    fn name(&self, key: &str) -> String {
        if key.is_empty() { self.key.clone() } else { format!("{}.{key}", self.key) }
    }

    fn take(&mut self, setting: &'static Setting<R>, node: Node) {
        let key = self.name(setting.key);
        setting.put(&key, &node, &mut self.into, self.findings);
    }
}

fn read<F: Form>(form: &F, said: &Node) -> Result<F::Value, Refused> {
    let read = if let Value::Text(text) = &said.value { form.read(text) } else { None };
    read.ok_or_else(|| Refused { node: said.clone(), rule: form.rule(), advice: form.advice() })
}

fn refuse<T>(slot: &impl Slot<T>, node: &Node) -> Refused {
    Refused { node: node.clone(), rule: slot.rule(), advice: slot.advice() }
}

/// The headers that a map names; what is none is given back.
fn headers(said: &Node) -> Result<HeaderMap, &Node> {
    let Value::Map(entries) = &said.value else { return Err(said) };
    let mut headers = HeaderMap::new();
    for (name, entry) in entries {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| said)?;
        let values = match &entry.node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.node),
        };
        for node in values {
            let Value::Text(text) = &node.value else { return Err(node) };
            headers.append(name.clone(), HeaderValue::from_str(text).map_err(|_| node)?);
        }
    }
    Ok(headers)
}

impl<T: Default> Setting<T> {
    /// Takes over what was said; what is wrong with it is told as that of `key`.
    pub(crate) fn put(&self, key: &str, said: &Node, into: &mut T, findings: &mut Findings) {
        if let Err(Refused { node, rule, advice }) = self.slot.put(key, said, into, findings) {
            let advice = match self.default_text(&mut T::default()) {
                Some(default) => format!("{advice}, or leave it out for {default}"),
                None => format!("{advice}, or leave it out"),
            };
            findings.wrong(&node.at, Fault::Value { key: key.to_owned(), value: node.value, rule, advice });
        }
    }
}
