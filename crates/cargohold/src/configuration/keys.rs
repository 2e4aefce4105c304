//! Sections gone through: every key that is a setting is taken, every other one is told.

use std::{fs::File, io::Read};

use super::{
    document::{Entry, Node, Place, Value},
    problem::{Fault, Findings, nearest},
    settings::Setting,
};

/// The longest secret in a file, in bytes: a private key has a few thousand.
const MAX_SECRET: u64 = 64 * 1024;
/// Behind the key of a secret: the file that has it.
const IN_FILE: &str = "file";

/// Somebody who has settings, and takes what is said of them.
pub(crate) trait Sink<T: 'static> {
    /// All that it has.
    fn settings(&self) -> impl Iterator<Item = &'static Setting<T>>;
    /// Where what is wrong is told.
    fn findings(&mut self) -> &mut Findings;
    /// A setting was said.
    fn take(&mut self, setting: &'static Setting<T>, node: Node);
    /// What a key is called in messages.
    fn name(&self, key: &str) -> String {
        key.to_owned()
    }
    /// A key, before it is looked up: whether it means something that no setting does.
    fn other(&mut self, _key: &str, _at: &Place, _node: &Node) -> bool {
        false
    }
}

/// Takes over the keys of a section, whose own key is `above`.
pub(crate) fn walk<T: 'static>(above: &str, node: Node, into: &mut impl Sink<T>) {
    let entries = match node.value {
        Value::Map(entries) => entries,
        Value::Null => return,
        value => {
            let section = into.name(above);
            return into.findings().wrong(&node.at, Fault::NotASection { section, value });
        }
    };
    for (name, entry) in entries {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        if name.contains('.') {
            let name = into.name(&key);
            into.findings().wrong(&entry.key_at, Fault::Dotted(name));
        } else {
            take(&key, entry, into);
        }
    }
}

fn take<T: 'static>(key: &str, Entry { key_at, node }: Entry, into: &mut impl Sink<T>) {
    let is_section = sections(into).contains(&key);
    if into.other(key, &key_at, &node) {
        return;
    }
    // `auth` is both: a word, or more below it.
    if matches!(node.value, Value::Map(_)) && is_section {
        return walk(key, node, into);
    }
    match find(into.settings(), key) {
        Some(_) if node.value == Value::Null => {}
        Some((setting, InFile::No)) => into.take(setting, node),
        Some((setting, InFile::Yes)) => match secret(&node) {
            Ok(text) => into.take(setting, Node { value: Value::Text(text), at: node.at }),
            Err(reason) => {
                let key = into.name(key);
                into.findings().wrong(&node.at, Fault::SecretFile { key, value: node.value, reason });
            }
        },
        None if is_section => walk(key, node, into),
        None => {
            let known = into.settings().map(|setting| setting.key).chain(sections(into));
            let nearest = into.name(nearest(key, known));
            let key = into.name(key);
            into.findings().unknown(&key_at, key, nearest);
        }
    }
}

/// Whether a value was given, or the file that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InFile {
    No,
    Yes,
}

/// The setting that a key is for.
pub(crate) fn find<T>(
    mut settings: impl Iterator<Item = &'static Setting<T>>,
    key: &str,
) -> Option<(&'static Setting<T>, InFile)> {
    settings.find_map(|setting| match key.strip_prefix(setting.key) {
        Some("") => Some((setting, InFile::No)),
        Some(IN_FILE) if setting.is_secret() => Some((setting, InFile::Yes)),
        _ => None,
    })
}

/// The keys that have others below them.
fn sections<T: 'static>(of: &impl Sink<T>) -> Vec<&'static str> {
    of.settings().flat_map(|setting| above(setting.key)).collect()
}

/// The keys of the sections that a key is in.
pub(crate) fn above(key: &'static str) -> impl Iterator<Item = &'static str> {
    key.match_indices('.').map(move |(end, _)| &key[..end])
}

/// What a file holds, without the line's end that editors put there.
pub(crate) fn secret(path: &Node) -> Result<String, String> {
    let Value::Text(path) = &path.value else { return Err("name a file".to_owned()) };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let length = file.take(MAX_SECRET + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if length as u64 > MAX_SECRET {
        return Err(format!("it has more than {MAX_SECRET} bytes"));
    }
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
