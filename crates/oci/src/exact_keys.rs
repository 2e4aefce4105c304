//! The keys of a JSON object, read so that no reader can see another object than the one that was read here.
//!
//! Nearly all clients are written in Go, whose JSON reader takes the last of two equal keys and does not tell upper from lower
//! case. So a key that matters may come once, and only in its own spelling; all other keys are skipped with their values.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess};

use crate::Excerpt;

/// Walks over an object.
pub(crate) struct ExactKeys {
    known: &'static [&'static str],
    seen: Vec<&'static str>,
}

impl ExactKeys {
    /// A walk that stops at the `known` keys.
    pub(crate) fn of(known: &'static [&'static str]) -> Self {
        Self { known, seen: Vec::new() }
    }

    /// The next known key; its value is to be read next.
    pub(crate) fn next<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<Option<&'static str>, A::Error> {
        while let Some(key) = map.next_key_seed(KeyAmong(self.known))? {
            let Some(key) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if self.has(key) {
                return Err(A::Error::custom(format_args!("key {key} is there twice")));
            }
            self.seen.push(key);
            return Ok(Some(key));
        }
        Ok(None)
    }

    /// Whether the key has been there, whatever its value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.seen.contains(&key)
    }
}

/// The value of `key`; an error in it says that it is there.
pub(crate) fn value<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: &mut A, key: &str) -> Result<T, A::Error> {
    map.next_value().map_err(|error| A::Error::custom(format_args!("{key}: {error}")))
}

/// Reads a key: one of these, or `None` for any other.
struct KeyAmong(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for KeyAmong {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl de::Visitor<'_> for KeyAmong {
    type Value = Option<&'static str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match self.0.iter().find(|key| is_taken_for(text, key)) {
            Some(key) if *key != text => {
                Err(E::custom(format_args!("key {} must be written \"{key}\"", Excerpt::of(text))))
            }
            key => Ok(key.copied()),
        }
    }
}

/// Whether Go's reader takes `text` for `key`: it does not tell upper from lower case, and folds two signs outside of ASCII.
fn is_taken_for(text: &str, key: &str) -> bool {
    let fold = |character: char| match character {
        'ſ' => 's',
        '\u{212a}' => 'k', // the sign of the kelvin
        other => other.to_ascii_lowercase(),
    };
    text.chars().map(fold).eq(key.chars().map(fold))
}
