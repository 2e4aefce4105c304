//! `Warning` headers: what a client should tell its user about a request that succeeded.
//!
//! Source: OCI distribution specification, "Warnings"; RFC 9110 took the header over from RFC 7234 §5.5, which has its grammar.

use http::{HeaderMap, HeaderValue, header};

/// What the texts of all warnings of a response may have, in bytes, their quoting included.
const MOST_BYTES: usize = 4096;
/// What every warning has beside its text.
const FRAME: &str = "299 - \"\"";

/// Adds a warning. What does not fit any more is cut off, or left out if nothing of it would remain.
pub(crate) fn warn(headers: &mut HeaderMap, text: &str) {
    let used: usize = headers.get_all(header::WARNING).iter().map(HeaderValue::len).sum();
    let room = MOST_BYTES.saturating_sub(used + FRAME.len());
    let mut quoted = String::with_capacity(text.len().min(room));
    for character in text.chars().map(|character| if matches!(character, ' '..='~') { character } else { ' ' }) {
        let escaped = matches!(character, '"' | '\\');
        if quoted.len() + 1 + usize::from(escaped) > room {
            break;
        }
        if escaped {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    if quoted.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::try_from(format!("299 - \"{quoted}\"")) {
        headers.append(header::WARNING, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn warnings(texts: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for text in texts {
            warn(&mut headers, text);
        }
        headers.get_all(header::WARNING).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_text_is_quoted() {
        assert_eq!(warnings(&["stored without \"a\\b\"\r\n"]), ["299 - \"stored without \\\"a\\\\b\\\"  \""]);
        assert_eq!(warnings(&["one", "two"]), ["299 - \"one\"", "299 - \"two\""]);
        assert!(warnings(&[""]).is_empty());
    }

    proptest! {
        #[test]
        fn all_of_them_together_are_bounded_and_each_is_whole(texts in prop::collection::vec(".{0,3000}", 0..6)) {
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            let warnings = warnings(&texts);
            prop_assert!(warnings.iter().map(String::len).sum::<usize>() <= MOST_BYTES);
            for warning in warnings {
                let text = warning.strip_prefix("299 - \"").and_then(|rest| rest.strip_suffix('"')).unwrap();
                let plain = text.replace("\\\\", "").replace("\\\"", "");
                prop_assert!(!plain.contains(['"', '\\']), "{}", warning);
            }
        }
    }
}
