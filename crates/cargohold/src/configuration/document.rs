//! The text of a configuration file as a tree, in which everything knows where it was written.
//!
//! YAML 1.2, and so JSON. Values are texts here: what a text means is for the setting that it is given to, so quotes change
//! nothing, but that a quoted `null` is a text. It guarantees an answer to any text, in time and memory bounded by its
//! length, [`MAX_DEPTH`] and [`MAX_REPEATED`]. What the keys mean is not its business.

use std::{
    collections::{BTreeMap, HashMap, btree_map},
    fmt, mem,
};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// The deepest nesting: far more than any setting has, far less than what ends a stack.
const MAX_DEPTH: usize = 64;
/// How much aliases may repeat, in values and bytes of texts.
const MAX_REPEATED: usize = 1024 * 1024;

/// A place in a file, counted from 1 as editors do; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Here in the document.
    Document(Position),
    /// In an environment variable of this name, which is laid over the document.
    Variable(String),
}

/// A value, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`: not said.
    Null,
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Entry>),
}

/// What a key of a map stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where the key was written.
    pub(crate) key_at: Place,
    pub(crate) node: Node,
}

/// Why a text is not a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct DocumentError {
    pub(crate) at: Position,
    pub(crate) reason: String,
}

/// A list or a map that is being read, and the anchor that it defines.
struct Open {
    at: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(BTreeMap<String, Entry>, Option<(String, Place)>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    repeated: usize,
    root: Option<Node>,
}

impl Position {
    /// Where a text begins.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// Where a text ends.
    pub(crate) fn behind(text: &str) -> Self {
        let last = text.rsplit('\n').next().unwrap_or_default();
        Self { line: text.matches('\n').count() + 1, column: last.chars().count() + 1 }
    }
}

impl From<Marker> for Position {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

impl From<Position> for Place {
    fn from(position: Position) -> Self {
        Self::Document(position)
    }
}

impl Place {
    /// Where in the document; its start for what is not in it.
    fn position(&self) -> Position {
        match self {
            Self::Document(position) => *position,
            Self::Variable(_) => Position::START,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Node {
    /// Reads a document. A text without any is a null.
    pub(crate) fn parse(text: &str) -> Result<Self, DocumentError> {
        // YAML has none of these (YAML 1.2.2 §5.1), and what comes behind a NUL would go unread.
        if let Some(end) = text.find(|sign| matches!(sign, '\0'..' ') && !matches!(sign, '\t' | '\n' | '\r')) {
            return Err(refuse(Position::behind(&text[..end]), "a control character"));
        }
        let mut builder = Builder::default();
        for event in Parser::new_from_str(text) {
            let (event, span) =
                event.map_err(|error| refuse((*error.marker()).into(), format!("not YAML: {}", error.info())))?;
            builder.take(event, span.start.into())?;
        }
        Ok(builder.root.unwrap_or(Self { value: Value::Null, at: Position::START.into() }))
    }

    /// How many values and bytes of texts it has.
    fn weight(&self) -> usize {
        1 + match &self.value {
            Value::Null => 0,
            Value::Text(text) => text.len(),
            Value::List(items) => items.iter().map(Self::weight).sum(),
            Value::Map(entries) => entries.iter().map(|(key, entry)| key.len() + entry.node.weight()).sum(),
        }
    }
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), DocumentError> {
        match event {
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                Err(refuse(at, "a tag, which means nothing here: leave out the word that begins with `!`"))
            }
            Event::Scalar(text, ScalarStyle::Plain, anchor, None) if is_null(&text) && !self.expects_key() => {
                self.add(Node { value: Value::Null, at: at.into() }, anchor)
            }
            Event::Scalar(text, _, anchor, None) => {
                self.add(Node { value: Value::Text(text.into_owned()), at: at.into() }, anchor)
            }
            Event::Alias(anchor) => self.repeat(anchor, at),
            Event::SequenceStart(anchor, None) => self.begin(at, anchor, Content::List(Vec::new())),
            Event::MappingStart(anchor, None) => self.begin(at, anchor, Content::Map(BTreeMap::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(refuse(at, "a second document: a configuration is a single one"))
            }
            _ => Ok(()),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map(_, None), .. }))
    }

    fn begin(&mut self, at: Position, anchor: usize, content: Content) -> Result<(), DocumentError> {
        if self.expects_key() {
            return Err(refuse(at, "a key that is not a text"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(refuse(at, format!("nested more than {MAX_DEPTH} deep")));
        }
        self.open.push(Open { at, anchor, content });
        Ok(())
    }

    /// What an alias stands for keeps the place where it was written.
    fn repeat(&mut self, anchor: usize, at: Position) -> Result<(), DocumentError> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(refuse(at, "a value that contains itself"));
        };
        self.repeated += node.weight();
        if self.repeated > MAX_REPEATED {
            return Err(refuse(at, format!("aliases that repeat more than {MAX_REPEATED} bytes")));
        }
        self.add(node, 0)
    }

    fn end(&mut self) -> Result<(), DocumentError> {
        let Some(Open { at, anchor, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map(entries, _) => Value::Map(entries),
        };
        self.add(Node { value, at: at.into() }, anchor)
    }

    /// Puts a whole value where the next one belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), DocumentError> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(entries, key)) => match (mem::take(key), node.value) {
                (Some(key), value) => return insert(entries, key, Node { value, at: node.at }),
                (None, Value::Text(text)) => *key = Some((text, node.at)),
                (None, _) => return Err(refuse(node.at.position(), "a key that is not a text")),
            },
        }
        Ok(())
    }
}

fn insert(
    entries: &mut BTreeMap<String, Entry>,
    (key, key_at): (String, Place),
    node: Node,
) -> Result<(), DocumentError> {
    match entries.entry(key) {
        btree_map::Entry::Vacant(place) => {
            place.insert(Entry { key_at, node });
            Ok(())
        }
        btree_map::Entry::Occupied(first) => {
            let (key, line) = (cargohold_oci::Excerpt::of(first.key()), first.get().key_at.position().line);
            Err(refuse(
                key_at.position(),
                format!("the key {key} a second time: line {line} has it, and only one can count"),
            ))
        }
    }
}

/// What YAML's core schema takes for null (YAML 1.2.2 §10.3.2).
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn refuse(at: Position, reason: impl Into<String>) -> DocumentError {
    DocumentError { at, reason: reason.into() }
}

#[cfg(test)]
mod tests;
