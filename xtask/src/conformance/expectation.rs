//! What an answer has to be, as data, and how an answer that is not so is told.

use super::client::Answer;

/// One demand on an answer.
#[derive(Clone, Debug)]
pub(crate) enum Expectation<'a> {
    /// One of these.
    Status(&'a [u16]),
    /// One line of this name has exactly this value.
    Header(&'static str, String),
    /// There is a header of this name that is not empty.
    Present(&'static str),
    /// These bytes and no others.
    Body(&'a [u8]),
    /// `Docker-Content-Digest` is this digest; without the header this fails only if it is `required`.
    Digest { digest: &'a str, required: bool },
}

impl Expectation<'_> {
    /// `Content-Length` is that of these bytes.
    pub(crate) fn length(bytes: &[u8]) -> Self {
        Self::Header("Content-Length", bytes.len().to_string())
    }

    /// What is wrong with the answer; `None` if nothing is.
    pub(crate) fn mismatch(&self, answer: &Answer) -> Option<String> {
        match self {
            Self::Status(allowed) if allowed.contains(&answer.status()) => None,
            Self::Status(allowed) => {
                let allowed: Vec<String> = allowed.iter().map(u16::to_string).collect();
                Some(format!("expected status {}, received {}", allowed.join(" or "), answer.status()))
            }
            Self::Header(name, value) if answer.header_lines(name).any(|line| line == value) => None,
            Self::Header(name, value) => Some(format!("expected {name}: {value}, received {}", received(answer, name))),
            Self::Present(name) if answer.header(name).is_some_and(|value| !value.is_empty()) => None,
            Self::Present(name) => Some(format!("expected a header {name}, received {}", received(answer, name))),
            Self::Body(bytes) => different(bytes, &answer.body),
            Self::Digest { digest, required } => match answer.header("Docker-Content-Digest") {
                None if *required => Some(format!("expected Docker-Content-Digest: {digest}, received none")),
                Some(other) if other != *digest => {
                    Some(format!("expected Docker-Content-Digest: {digest}, received {other}"))
                }
                _ => None,
            },
        }
    }
}

fn received(answer: &Answer, name: &str) -> String {
    let lines: Vec<&str> = answer.header_lines(name).collect();
    if lines.is_empty() { "none".to_owned() } else { lines.join(" and ") }
}

/// Where two bodies part.
fn different(expected: &[u8], received: &[u8]) -> Option<String> {
    if expected == received {
        return None;
    }
    let same = expected.iter().zip(received).take_while(|(one, other)| one == other).count();
    Some(format!(
        "expected a body of {} bytes, received one of {} bytes; the first {same} are the same",
        expected.len(),
        received.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::{Answer, Expectation};

    fn told(expectation: &Expectation<'_>, answer: &Answer) -> String {
        expectation.mismatch(answer).unwrap_or_default()
    }

    #[test]
    fn any_of_the_allowed_statuses_will_do() {
        let answer = Answer::made(404, &[], b"");
        assert_eq!(told(&Expectation::Status(&[202, 404]), &answer), "");
        assert_eq!(told(&Expectation::Status(&[202, 405]), &answer), "expected status 202 or 405, received 404");
    }

    #[test]
    fn a_header_has_to_be_exactly_the_value_on_one_of_its_lines() {
        let answer = Answer::made(200, &[("Content-Type", "a/b; charset=utf-8"), ("OCI-Subject", "x")], b"");
        assert_eq!(
            told(&Expectation::Header("Content-Type", "a/b".to_owned()), &answer),
            "expected Content-Type: a/b, received a/b; charset=utf-8"
        );
        assert_eq!(told(&Expectation::Header("OCI-Subject", "x".to_owned()), &answer), "");
        assert_eq!(
            told(&Expectation::Header("Range", "0-1".to_owned()), &answer),
            "expected Range: 0-1, received none"
        );
    }

    #[test]
    fn a_header_that_has_to_be_there_must_not_be_empty() {
        assert_eq!(told(&Expectation::Present("Location"), &Answer::made(201, &[("Location", "/")], b"")), "");
        for headers in [&[][..], &[("Location", "")]] {
            assert_ne!(told(&Expectation::Present("Location"), &Answer::made(201, headers, b"")), "");
        }
    }

    #[test]
    fn a_digest_is_always_compared_and_missed_only_where_it_is_required() {
        let digest = |required| Expectation::Digest { digest: "sha512:1", required };
        let with = |value| Answer::made(200, &[("Docker-Content-Digest", value)], b"");
        let without = Answer::made(200, &[], b"");
        assert_eq!(told(&digest(false), &without), "");
        assert_ne!(told(&digest(true), &without), "");
        assert_eq!(told(&digest(true), &with("sha512:1")), "");
        assert_ne!(told(&digest(false), &with("sha256:1")), "");
    }

    #[test]
    fn bodies_are_compared_to_the_last_byte() {
        assert_eq!(told(&Expectation::Body(b"abc"), &Answer::made(200, &[], b"abc")), "");
        assert_eq!(
            told(&Expectation::Body(b"abc"), &Answer::made(200, &[], b"abd!")),
            "expected a body of 3 bytes, received one of 4 bytes; the first 2 are the same"
        );
        assert_ne!(told(&Expectation::Body(b"abc"), &Answer::made(200, &[], b"ab")), "");
    }
}
