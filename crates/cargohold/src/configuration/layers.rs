//! What was said, and where: the configuration file, and the environment laid over it.
//!
//! Guarantees that only keys of [`SETTINGS`] come through, each with what counts: the environment before the file. Whether
//! the values make sense is not looked at here.

use std::{collections::BTreeMap, ffi::OsString, fs::File, io::Read, path::Path};

use super::{
    PREFIX,
    document::{Entry, Node, Position, Value},
    problem::{Fault, Origin, Problem},
    settings::{SETTINGS, Setting},
};

/// The largest configuration file, in bytes. Who names another one has named the wrong file.
const MAX_FILE: u64 = 1024 * 1024;

/// The values of all settings that were said.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    said: BTreeMap<&'static str, (Origin, Value)>,
    /// What stops the start.
    pub(crate) problems: Vec<Problem>,
    /// What was set and has no effect.
    pub(crate) warnings: Vec<String>,
}

impl Layers {
    /// What was said about a setting, and where; `null` says nothing.
    pub(crate) fn said(&self, key: &str) -> Option<&(Origin, Value)> {
        self.said.get(key)
    }

    /// Lays the file over what is there.
    pub(crate) fn file(&mut self, path: &Path) {
        match read(path) {
            Ok(text) => self.text(path, &text),
            Err(problem) => self.problems.push(problem),
        }
    }

    /// Lays the text of a file over what is there.
    pub(crate) fn text(&mut self, path: &Path, text: &str) {
        let refuse = |at, fault| Problem { origin: Origin::File(path.to_owned(), Some(at)), fault };
        match Node::parse(text) {
            Err(error) => self.problems.push(refuse(error.at, Fault::Document(error.reason))),
            Ok(Node { value: Value::Null, .. }) => {}
            Ok(Node { value: Value::Map(entries), at }) => match entries.get("version").map(|entry| &entry.node) {
                Some(Node { value: Value::Text(text), at }) if text == "0.1" => {
                    self.problems.push(refuse(*at, Fault::Inherited));
                }
                _ => self.section(path, "", Node { value: Value::Map(entries), at }),
            },
            Ok(Node { value, at }) => {
                self.problems.push(refuse(at, Fault::NotASection { section: "the whole file".to_owned(), value }));
            }
        }
    }

    /// Takes over the keys of a section, whose own key is `above`.
    fn section(&mut self, path: &Path, above: &str, node: Node) {
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Null => return,
            value => {
                let fault = Fault::NotASection { section: above.to_owned(), value };
                return self.problems.push(Problem { origin: Origin::File(path.to_owned(), Some(node.at)), fault });
            }
        };
        for (name, Entry { key_at, node }) in entries {
            let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            let refuse = |fault| Problem { origin: Origin::File(path.to_owned(), Some(key_at)), fault };
            if name.contains('.') {
                self.problems.push(refuse(Fault::Dotted(key)));
            } else if matches!(node.value, Value::Map(_)) && sections().any(|section| section == key) {
                // `auth` is both: a word, or more below it.
                self.section(path, &key, node);
            } else if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
                if node.value != Value::Null {
                    self.said.insert(setting.key, (Origin::File(path.to_owned(), Some(node.at)), node.value));
                }
            } else if sections().any(|section| section == key) {
                self.section(path, &key, node);
            } else if key == "version" {
                self.problems.push(refuse(Fault::Version));
            } else {
                let nearest = nearest(&key, SETTINGS.iter().map(|setting| setting.key).chain(sections())).to_owned();
                self.problems.push(refuse(Fault::UnknownKey { key, nearest }));
            }
        }
    }

    /// Lays the environment over what is there.
    pub(crate) fn environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            match SETTINGS.iter().find(|setting| setting.variable() == name) {
                Some(setting) => self.variable(setting, value),
                None => self.warnings.push(unknown_variable(name)),
            }
        }
        // The environment has no order of its own.
        self.warnings.sort();
    }

    fn variable(&mut self, setting: &'static Setting, value: OsString) {
        let origin = Origin::Variable(setting.variable());
        match value.into_string() {
            Ok(text) => _ = self.said.insert(setting.key, (origin, Value::Text(text))),
            Err(_) => self.problems.push(Problem { origin, fault: Fault::Encoding { key: setting.key } }),
        }
    }
}

/// The text of a file. Bounded, whatever the file is.
fn read(path: &Path) -> Result<String, Problem> {
    let refuse = |at, fault| Problem { origin: Origin::File(path.to_owned(), at), fault };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(refuse(None, Fault::Unreadable(error.to_string()))),
        Ok(length) if length as u64 > MAX_FILE => Err(refuse(None, Fault::TooLarge { most: MAX_FILE })),
        Ok(_) => String::from_utf8(bytes).map_err(|error| {
            let (valid, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
            let at = Position::behind(&String::from_utf8_lossy(valid));
            refuse(Some(at), Fault::Document("not a text: here is a byte that is not UTF-8".to_owned()))
        }),
    }
}

/// The keys that only have others below them.
fn sections() -> impl Iterator<Item = &'static str> {
    let above = |key: &'static str| key.match_indices('.').map(move |(end, _)| &key[..end]);
    SETTINGS.iter().flat_map(move |setting| above(setting.key))
}

fn unknown_variable(name: &str) -> String {
    let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
    let near = nearest(&key, SETTINGS.iter().map(|setting| setting.key));
    let variable = SETTINGS.iter().find(|setting| setting.key == near).map(Setting::variable).unwrap_or_default();
    format!("{name} is not a setting and has no effect; the nearest one is {variable}")
}

/// What somebody probably meant: first by the last part of the key, since that is often right and in the wrong section.
fn nearest(key: &str, known: impl Iterator<Item = &'static str>) -> &'static str {
    // Nobody means anything by a longer one, and the cost grows with its square.
    let key: String = key.chars().take(100).collect();
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |one: &str, other: &str| strsim::osa_distance(one, other);
    known.min_by_key(|known| (distance(&last(known), &last(&key)), distance(known, &key))).unwrap_or_default()
}
