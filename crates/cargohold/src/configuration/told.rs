//! A configuration told back: what each setting is, as somebody would write it, with what is secret left out.

use std::fmt::Write as _;

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// What only leaving the key out can mean.
    Nothing,
    /// There is a value, and nobody is told which.
    Hidden,
    Text(String),
    List(Vec<Told>),
    Map(Vec<(String, Told)>),
}

impl Told {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A section with one more setting, whose key has a dot for each section in between.
    pub(crate) fn with(self, key: &str, told: Self) -> Self {
        let Self::Map(mut entries) = self else { return self };
        let (name, below) = key.split_once('.').map_or((key, None), |(name, below)| (name, Some(below)));
        let Some(below) = below else {
            entries.push((name.to_owned(), told));
            return Self::Map(entries);
        };
        let place = entries.iter().position(|(known, _)| known == name);
        let section = place.map_or(Self::Map(Vec::new()), |place| entries.remove(place).1);
        entries.insert(place.unwrap_or(entries.len()), (name.to_owned(), section.with(below, told)));
        Self::Map(entries)
    }

    /// The same without what is said: keys stay, values go.
    pub(crate) fn hidden(self) -> Self {
        match self {
            Self::Text(_) => Self::Hidden,
            Self::List(items) => Self::List(items.into_iter().map(Self::hidden).collect()),
            Self::Map(entries) => Self::Map(entries.into_iter().map(|(key, value)| (key, value.hidden())).collect()),
            told => told,
        }
    }

    /// On one line, as YAML has it in brackets and braces; none if there is nothing to say.
    pub(crate) fn line(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Hidden => Some("<hidden>".to_owned()),
            Self::Text(text) => Some(scalar(text)),
            Self::List(items) if items.is_empty() => None,
            Self::List(items) => {
                let items: Vec<_> = items.iter().filter_map(Self::line).collect();
                Some(format!("[{}]", items.join(", ")))
            }
            Self::Map(entries) if entries.is_empty() => None,
            Self::Map(entries) => {
                let entry = |(key, value): &(String, Self)| Some(format!("{}: {}", scalar(key), value.line()?));
                let entries: Vec<_> = entries.iter().filter_map(entry).collect();
                Some(format!("{{{}}}", entries.join(", ")))
            }
        }
    }

    /// As JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        match self {
            Self::Nothing => serde_json::Value::Null,
            Self::Hidden => "<hidden>".into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.json())).collect(),
        }
    }
}

/// Keys with dots as a tree of YAML: each section is opened once, as long as its keys follow each other.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    text: String,
    open: Vec<String>,
}

impl Sections {
    /// Writes a line of a setting below the sections of its key; `line` is given the last part of it.
    pub(crate) fn setting(&mut self, key: &str, line: impl FnOnce(&str) -> String) {
        let mut parts: Vec<_> = key.split('.').map(str::to_owned).collect();
        let name = parts.pop().unwrap_or_default();
        let common = self.open.iter().zip(&parts).take_while(|(open, part)| open == part).count();
        for (depth, part) in parts.iter().enumerate().skip(common) {
            self.line(depth, &format!("{part}:"));
        }
        let depth = parts.len();
        self.open = parts;
        for line in line(&name).lines() {
            self.line(depth, line);
        }
    }

    fn line(&mut self, depth: usize, line: &str) {
        let indent = "  ".repeat(depth);
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "{}", format!("{indent}{line}").trim_end());
    }

    /// What was written.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// A text as YAML takes it for one, in every place (YAML 1.2.2 §7.3.3).
fn scalar(text: &str) -> String {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "/._-+<>".contains(sign);
    let inner = |sign: char| plain(sign) || matches!(sign, ':' | ' ' | '*' | '@' | '=' | ';' | '(' | ')' | '$' | '^');
    let colon = text.contains(": ") || text.ends_with(':') || text.starts_with(':');
    let bare = text.chars().all(inner) && !colon && text.starts_with(plain) && !text.ends_with(' ');
    if bare && !text.starts_with('-') && !matches!(text, "null" | "Null" | "NULL") {
        return text.to_owned();
    }
    // JSON's texts are YAML's.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::document::{Node, Value};
    use super::*;

    #[test]
    fn values_are_written_on_a_line() {
        let list = Told::List(vec![Told::text("10.0.0.0/8"), Told::text("::1")]);
        let map = Told::Map(vec![("X-A".to_owned(), Told::List(vec![Told::text("a b"), Told::text("*")]))]);
        assert_eq!(list.line().unwrap(), r#"[10.0.0.0/8, "::1"]"#);
        assert_eq!(map.line().unwrap(), r#"{X-A: [a b, "*"]}"#);
        assert_eq!((Told::List(vec![]).line(), Told::Nothing.line()), (None, None));
    }

    #[test]
    fn sections_are_opened_once() {
        let mut sections = Sections::default();
        for key in ["http.addr", "http.limits.wait", "http.limits.idle", "auth"] {
            sections.setting(key, |name| format!("{name}: x"));
        }
        assert_eq!(sections.into_text(), "http:\n  addr: x\n  limits:\n    wait: x\n    idle: x\nauth: x\n");
    }

    proptest! {
        #[test]
        fn a_text_is_read_as_it_was(text in "[ -~\n\u{e9}]{0,20}") {
            let line = Told::List(vec![Told::text(text.clone())]).line().unwrap();
            let Value::List(items) = Node::parse(&line).unwrap().value else { panic!("{line}") };
            prop_assert_eq!(&items[0].value, &Value::Text(text), "{}", line);
        }
    }
}
