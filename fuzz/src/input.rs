//! How an input is cut into what a parser takes: lines, so that a corpus can be read and written by people.

/// The first line, and what follows it, if there is a second.
pub(crate) fn first_line(input: &[u8]) -> (&[u8], Option<&[u8]>) {
    match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], Some(&input[end + 1..])),
        None => (input, None),
    }
}

/// The input, if it is text: most parsers are given nothing else.
pub(crate) fn text(input: &[u8]) -> Option<&str> {
    str::from_utf8(input).ok()
}
