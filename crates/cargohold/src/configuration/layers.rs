//! What was said, and where: the configuration file, and the environment laid over it.
//!
//! Guarantees that only settings come through, each with what counts: of the environment `CARGOHOLD__A__B` before `REGISTRY_A_B`,
//! and both before the file. Whether the values make sense is not looked at here.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    Kind, PREFIX,
    document::{Entry, Node, Place, Position, Value},
    inherited::{self, Driver, Verdict},
    keys::{self, InFile, Sink},
    problem::{Fault, Findings, nearest},
    settings::{self, Setting},
};

/// The largest configuration file, in bytes. Who names another one has named the wrong file.
const MAX_FILE: u64 = 1024 * 1024;

/// The values of all settings that were said.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    said: BTreeMap<&'static str, Node>,
    /// The storage drivers that were named.
    pub(crate) drivers: BTreeMap<Driver, Place>,
    /// Whose configuration the file is.
    pub(crate) kind: Kind,
    pub(crate) findings: Findings,
}

impl Layers {
    /// What was said about a setting, and where; `null` says nothing.
    pub(crate) fn said(&self, key: &str) -> Option<&Node> {
        self.said.get(key)
    }

    /// Lays the file over what is there.
    pub(crate) fn file(&mut self, path: &Path) {
        self.findings.file = Some(path.to_owned());
        match read(path) {
            Ok(text) => self.text(path, &text),
            Err((at, fault)) => self.findings.wrong_in_file(at, fault),
        }
    }

    /// Lays the text of a file over what is there.
    pub(crate) fn text(&mut self, path: &Path, text: &str) {
        self.findings.file = Some(PathBuf::from(path));
        match Node::parse(text) {
            Err(error) => self.findings.wrong_in_file(Some(error.at), Fault::Document(error.reason)),
            Ok(Node { value: Value::Null, .. }) => {}
            Ok(Node { value: Value::Map(mut entries), at }) => {
                if let Some(Entry { key_at, node }) = entries.remove("version") {
                    self.version(&key_at, &node);
                }
                keys::walk("", Node { value: Value::Map(entries), at }, self);
            }
            Ok(Node { value, at }) => {
                self.findings.wrong(&at, Fault::NotASection { section: "the whole file".to_owned(), value });
            }
        }
    }

    /// The mark of the inherited configuration; ours has none.
    fn version(&mut self, key_at: &Place, node: &Node) {
        match &node.value {
            Value::Null => {}
            Value::Text(text) if text == inherited::VERSION => {
                self.kind = Kind::Inherited;
                self.findings.lenient = true;
            }
            _ => self.findings.wrong(key_at, Fault::Version),
        }
    }

    /// Lays the environment over what is there.
    pub(crate) fn environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        // The environment has no order of its own. Sections come before what is in them, and ours behind the inherited ones.
        let mut variables: Vec<_> = variables.into_iter().collect();
        variables.sort_by_key(|(name, _)| (name.to_str().is_some_and(|name| name.starts_with(PREFIX)), name.clone()));
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            if let Some(path) = name.strip_prefix(PREFIX) {
                self.ours(name, path, value);
            } else if let Some(path) = name.strip_prefix(inherited::PREFIX) {
                self.inherited(name, path, value);
            }
        }
    }

    /// `CARGOHOLD__A__B`, and what is in lists and maps behind that: `CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__URL`.
    fn ours(&mut self, name: &str, path: &str, value: OsString) {
        let is = |setting: &Setting, path: &str| setting.key.replace('.', "__").to_uppercase() == path;
        let parts: Vec<&str> = path.split("__").collect();
        let behind = |end: usize| parts[end..].iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        for end in (1..=parts.len()).rev() {
            let path = parts[..end].join("__");
            let in_file = path.strip_suffix("FILE").filter(|_| end == parts.len()).unwrap_or_default();
            if let Some(setting) = settings::all().find(|setting| is(setting, &path)) {
                if end == parts.len() || !setting.is_text() {
                    return self.variable(name, setting, InFile::No, &behind(end), value);
                }
            } else if let Some(setting) = settings::all().find(|setting| setting.is_secret() && is(setting, in_file)) {
                return self.variable(name, setting, InFile::Yes, &[], value);
            }
        }
        self.findings.warnings.push(unknown_variable(name, path));
    }

    /// `REGISTRY_A_B`, as the CNCF registry takes it: the parts in any case, the value in YAML.
    fn inherited(&mut self, name: &str, path: &str, value: OsString) {
        // `serve` has read it.
        if name == inherited::PATH {
            return;
        }
        let path = path.to_lowercase();
        let of = |key: &str| path == key || path.strip_prefix(key).is_some_and(|rest| rest.starts_with('_'));
        let longest = settings::all()
            .map(|setting| (setting.key.replace('.', "_"), setting))
            .filter(|(key, setting)| *key == path || (of(key) && !setting.is_text()))
            .max_by_key(|(key, _)| key.len());
        if let Some((key, setting)) = longest {
            // Names keep their case, as those of headers and of fields.
            let rest = &name[name.len() - (path.len() - key.len())..];
            let behind: Vec<_> = rest.split('_').skip(1).map(str::to_owned).collect();
            if setting.key == "auth" || setting.key == "storage" {
                return self.inherited_section(name, setting.key, value);
            }
            return self.variable(name, setting, InFile::No, &behind, value);
        }
        let is_section = settings::all().flat_map(|setting| keys::above(setting.key)).any(|section| section == path);
        let at = Place::Variable(name.to_owned());
        if is_section && !path.contains('_') {
            self.inherited_section(name, &path, value);
        } else if let Some((_, verdict)) = inherited::WITHOUT.iter().find(|(key, _)| of(&key.replace('.', "_"))) {
            self.findings.without(&at, &path.replace('_', "."), verdict);
            if let Verdict::Driver(driver) = verdict {
                self.drivers.insert(*driver, at);
            }
        } else {
            self.findings.warnings.push(format!("{name} is not a setting and has no effect"));
        }
    }

    /// A section as a whole, in place of what the file says of it.
    fn inherited_section(&mut self, name: &str, section: &str, value: OsString) {
        let Some(text) = self.utf8(name, section, value) else { return };
        let below = format!("{section}.");
        self.said.retain(|key, _| *key != section && !key.starts_with(&below));
        if section == "storage" {
            self.drivers.clear();
        }
        let node = in_variable(parse(text), name);
        let at = Place::Variable(name.to_owned());
        let entries = BTreeMap::from([(section.to_owned(), Entry { key_at: at.clone(), node })]);
        keys::walk("", Node { value: Value::Map(entries), at }, self);
    }

    /// Lays a variable over a setting, or over what is behind it.
    fn variable(&mut self, name: &str, setting: &'static Setting, in_file: InFile, behind: &[String], value: OsString) {
        let Some(text) = self.utf8(name, setting.key, value) else { return };
        let at = Place::Variable(name.to_owned());
        let raw = Node { value: Value::Text(text.clone()), at: at.clone() };
        let node = match in_file {
            InFile::Yes => match keys::secret(&raw) {
                Ok(text) => Node { value: Value::Text(text), at: at.clone() },
                Err(reason) => {
                    let (key, value) = (format!("{}file", setting.key), raw.value);
                    return self.findings.wrong(&at, Fault::SecretFile { key, value, reason });
                }
            },
            InFile::No if setting.is_text() => raw,
            InFile::No => in_variable(parse(text), name),
        };
        if behind.is_empty() {
            self.take(setting, node);
        } else {
            let whole = self.said.entry(setting.key).or_insert(Node { value: Value::Null, at: at.clone() });
            if let Err(reason) = lay_over(whole, behind, node) {
                self.findings.wrong(&at, Fault::Behind { key: setting.key.to_owned(), reason });
            }
        }
    }

    fn utf8(&mut self, name: &str, key: &str, value: OsString) -> Option<String> {
        let wrong = |_| self.findings.wrong(&Place::Variable(name.to_owned()), Fault::Encoding { key: key.to_owned() });
        value.into_string().map_err(wrong).ok()
    }
}

impl Sink<super::Configuration> for Layers {
    fn settings(&self) -> impl Iterator<Item = &'static Setting> {
        settings::all()
    }

    fn findings(&mut self) -> &mut Findings {
        &mut self.findings
    }

    fn take(&mut self, setting: &'static Setting, node: Node) {
        if setting.key.starts_with("storage.filesystem.") {
            self.drivers.insert(Driver::Filesystem, node.at.clone());
        }
        self.said.insert(setting.key, node);
    }

    /// The keys of the inherited configuration that are no settings of ours.
    fn other(&mut self, key: &str, at: &Place, node: &Node) -> bool {
        let inherited = self.kind == Kind::Inherited || matches!(at, Place::Variable(_));
        let word = if let Value::Text(text) = &node.value { text.as_str() } else { "" };
        match (key, word) {
            ("auth.none", _) | ("auth", "none") if inherited => {
                let node = Node { value: Value::Text("open".to_owned()), at: node.at.clone() };
                self.said.insert("auth", node);
            }
            ("auth", word @ ("silly" | "token" | "htpasswd")) if inherited => {
                return self.other(&format!("auth.{word}"), at, node);
            }
            ("storage", word @ ("filesystem" | "inmemory" | "s3" | "s3aws" | "azure" | "gcs" | "swift" | "oss")) => {
                return self.other(&format!("storage.{word}"), at, node);
            }
            ("storage.filesystem", _) => {
                self.drivers.insert(Driver::Filesystem, node.at.clone());
                // With keys below it it is a section like others.
                return !matches!(node.value, Value::Map(_));
            }
            _ => {
                let Some((_, verdict)) = inherited::WITHOUT.iter().find(|(without, _)| *without == key) else {
                    return false;
                };
                if let Verdict::Driver(driver) = verdict {
                    self.drivers.insert(*driver, node.at.clone());
                }
                if !inherited && matches!(verdict, Verdict::Warns(_) | Verdict::Nothing) {
                    return false;
                }
                if !inherited::is_off(node) {
                    self.findings.without(at, key, verdict);
                }
            }
        }
        true
    }
}

/// The text of a file. Bounded, whatever the file is.
fn read(path: &Path) -> Result<String, (Option<Position>, Fault)> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err((None, Fault::Unreadable(error.to_string()))),
        Ok(length) if length as u64 > MAX_FILE => Err((None, Fault::TooLarge { most: MAX_FILE })),
        Ok(_) => String::from_utf8(bytes).map_err(|error| {
            let (valid, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
            let at = Position::behind(&String::from_utf8_lossy(valid));
            (Some(at), Fault::Document("not a text: here is a byte that is not UTF-8".to_owned()))
        }),
    }
}

/// A value of the environment as YAML; what is none is a text.
fn parse(text: String) -> Value {
    Node::parse(&text).map_or(Value::Text(text), |node| node.value)
}

/// A value that was said in a variable, and so is all that is in it.
fn in_variable(value: Value, name: &str) -> Node {
    let value = match value {
        Value::List(items) => Value::List(items.into_iter().map(|item| in_variable(item.value, name)).collect()),
        Value::Map(entries) => {
            let entry = |(key, entry): (String, Entry)| {
                let node = in_variable(entry.node.value, name);
                (key, Entry { key_at: Place::Variable(name.to_owned()), node })
            };
            Value::Map(entries.into_iter().map(entry).collect())
        }
        value => value,
    };
    Node { value, at: Place::Variable(name.to_owned()) }
}

/// Lays a value over what is behind some parts of a list or a map: a number is a place in a list, anything else a key.
fn lay_over(whole: &mut Node, behind: &[String], value: Node) -> Result<(), String> {
    let Some((first, rest)) = behind.split_first() else {
        *whole = value;
        return Ok(());
    };
    if let Ok(place) = first.parse::<usize>() {
        if whole.value == Value::Null {
            whole.value = Value::List(Vec::new());
        }
        let Value::List(items) = &mut whole.value else {
            return Err(format!("{first} is a place in a list, and this is none"));
        };
        if place > items.len() {
            return Err(format!("the list has {} items: the next one is {}", items.len(), items.len()));
        }
        if place == items.len() {
            items.push(Node { value: Value::Null, at: value.at.clone() });
        }
        return lay_over(&mut items[place], rest, value);
    }
    if whole.value == Value::Null {
        whole.value = Value::Map(BTreeMap::new());
    }
    let Value::Map(entries) = &mut whole.value else {
        return Err(format!("{first} is a key, and this is not a section"));
    };
    let known = entries.keys().find(|key| key.eq_ignore_ascii_case(first)).cloned();
    // Keys of ours are in lower case; names of headers are the same in any.
    let key = known.unwrap_or_else(|| first.to_lowercase());
    let at = value.at.clone();
    let entry = entries.entry(key).or_insert(Entry { key_at: at.clone(), node: Node { value: Value::Null, at } });
    lay_over(&mut entry.node, rest, value)
}

fn unknown_variable(name: &str, path: &str) -> String {
    let key = path.to_lowercase().replace("__", ".");
    let near = nearest(&key, settings::all().map(|setting| setting.key));
    let variable = settings::all().find(|setting| setting.key == near).map(Setting::variable).unwrap_or_default();
    format!("{name} is not a setting and has no effect; the nearest one is {variable}")
}
