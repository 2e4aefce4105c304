//! What an error message quotes of a text that was refused: at most [`Excerpt::MAX_BYTES`] of it, escaped, so that a message
//! stays short in a terminal, in a log and in a JSON body whatever a stranger sent.

use std::fmt;

/// The beginning of a refused text, for a message. It displays in quotes, with control characters escaped, and says how long
/// the text was if it was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    beginning: Box<str>,
    total_bytes: usize,
}

impl Excerpt {
    /// How much of the text is kept: a whole sha512 digest (135 bytes) still fits.
    pub const MAX_BYTES: usize = 140;

    /// Keeps the beginning of `text`, cut at a character boundary.
    pub fn of(text: &str) -> Self {
        let end = text.floor_char_boundary(Self::MAX_BYTES);
        Self { beginning: text[..end].into(), total_bytes: text.len() }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beginning = self.beginning.escape_debug();
        if self.beginning.len() == self.total_bytes {
            write!(formatter, "\"{beginning}\"")
        } else {
            write!(formatter, "\"{beginning}…\" ({} bytes)", self.total_bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_quoted_whole() {
        assert_eq!(Excerpt::of("latest").to_string(), r#""latest""#);
    }

    #[test]
    fn control_characters_and_quotes_are_escaped() {
        assert_eq!(Excerpt::of("a\u{1b}[31m\n\"\0").to_string(), r#""a\u{1b}[31m\n\"\0""#);
    }

    #[test]
    fn a_long_text_is_cut_and_its_length_told() {
        let text = "x".repeat(1000);
        assert_eq!(Excerpt::of(&text).to_string(), format!("\"{}…\" (1000 bytes)", "x".repeat(Excerpt::MAX_BYTES)));
    }

    #[test]
    fn the_cut_never_splits_a_character() {
        let text = format!("{}é", "x".repeat(Excerpt::MAX_BYTES - 1));
        assert_eq!(
            Excerpt::of(&text).to_string(),
            format!("\"{}…\" ({} bytes)", "x".repeat(Excerpt::MAX_BYTES - 1), text.len())
        );
    }
}
