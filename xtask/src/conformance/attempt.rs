//! One test while it runs: its requests, what is expected of the answers, and the record of both.

use std::fmt::Write as _;

use super::client::{Answer, Client, ClientError, Request};
use super::expectation::Expectation;
use super::outcome::Outcome;
use super::rules::Rules;
use super::target::Target;
use crate::e2e::registry::Payload;

/// How much of a body is shown.
const SHOWN_BYTES: usize = 600;

/// What all tests of a run share.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) client: Client,
    pub(crate) rules: Rules,
    /// Where nearly everything happens.
    pub(crate) repository: String,
    /// Where blobs are mounted from.
    pub(crate) source: String,
}

/// A test that is running.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) setting: &'a Setting,
    record: String,
}

/// Why a test did not pass.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The registry does it wrong; one line for each thing that is wrong.
    Wrong(Vec<String>),
    /// The registry says, as it may, that it does not offer this.
    Unsupported(String),
    /// The suite cannot tell.
    Unknown(String),
}

impl Trouble {
    pub(crate) fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(vec![what.into()])
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Wrong(_) => Outcome::Fail,
            Self::Unsupported(_) => Outcome::Skip,
            Self::Unknown(_) => Outcome::Error,
        }
    }

    fn lines(&self) -> &[String] {
        match self {
            Self::Wrong(lines) => lines,
            Self::Unsupported(line) | Self::Unknown(line) => std::slice::from_ref(line),
        }
    }
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(setting: &'a Setting) -> Self {
        Self { setting, record: String::new() }
    }

    pub(crate) fn rules(&self) -> Rules {
        self.setting.rules
    }

    /// A path below a repository's name.
    pub(crate) fn target(&self, repository: &str, rest: &str) -> Target {
        self.setting.client.target(&format!("/v2/{repository}/{rest}"))
    }

    /// Sends a request and holds the answer against what is expected of it; everything that is wrong is told.
    pub(crate) fn send(&mut self, request: &Request<'_>, expectations: &[Expectation<'_>]) -> Result<Answer, Trouble> {
        self.record_request(request);
        let answer = self.setting.client.send(request).map_err(|error| match error {
            ClientError::Unreachable(_) => Trouble::Unknown(error.to_string()),
            ClientError::Broken(_) => Trouble::wrong(format!("{} {}: {error}", request.method, request.target.url())),
        })?;
        self.record_answer(&answer);
        let wrong: Vec<String> = expectations
            .iter()
            .filter_map(|expectation| expectation.mismatch(&answer))
            .map(|mismatch| format!("{} {}: {mismatch}", request.method, request.target.path_and_query()))
            .collect();
        if wrong.is_empty() { Ok(answer) } else { Err(Trouble::Wrong(wrong)) }
    }

    /// Why it ended so, and the requests and answers up to there.
    pub(crate) fn story(&self, trouble: &Trouble) -> String {
        let mut story = String::new();
        for line in trouble.lines() {
            let _ = writeln!(story, "{line}");
        }
        story + &self.record
    }

    fn record_request(&mut self, request: &Request<'_>) {
        let _ = writeln!(self.record, "> {} {}", request.method, request.target.url());
        for (name, value) in &request.headers {
            let _ = writeln!(self.record, ">   {name}: {value}");
        }
        match request.body {
            None => {}
            Some(Payload::Sized(bytes)) => self.record_body('>', "", bytes),
            Some(Payload::Chunked(bytes)) => self.record_body('>', " in chunks", bytes),
        }
    }

    fn record_answer(&mut self, answer: &Answer) {
        let _ = writeln!(self.record, "< {}", answer.status());
        for (name, value) in answer.all_headers() {
            let _ = writeln!(self.record, "<   {name}: {value}");
        }
        self.record_body('<', "", &answer.body);
    }

    fn record_body(&mut self, direction: char, how: &str, bytes: &[u8]) {
        let _ = writeln!(self.record, "{direction}   ({} bytes{how})", bytes.len());
        let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
        let text = String::from_utf8_lossy(shown);
        if !text.contains(['\u{fffd}', '\0']) && !text.is_empty() {
            let more = if bytes.len() > SHOWN_BYTES { "..." } else { "" };
            let _ = writeln!(self.record, "{direction}   {}{more}", text.trim_end());
        }
    }
}

/// Where the `Location` of an answer leads, which has to be there.
pub(crate) fn follow(asked: &Target, answer: &Answer) -> Result<Target, Trouble> {
    match answer.location(asked) {
        None => Err(Trouble::wrong(format!("{}: expected a Location, received none", asked.path_and_query()))),
        Some(Err(error)) => Err(Trouble::wrong(format!("{}: Location: {error}", asked.path_and_query()))),
        Some(Ok(target)) => Ok(target),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Deletes, Version};
    use super::{Answer, Attempt, Client, Outcome, Rules, Setting, Target, Trouble, follow};

    #[test]
    fn a_story_tells_what_is_wrong_and_then_what_was_sent_and_received() {
        let setting = Setting {
            client: Client::new("127.0.0.1:1"),
            rules: Rules { version: Version::Dev, sparse: false, deletes: Deletes::On },
            repository: "a".to_owned(),
            source: "b".to_owned(),
        };
        let mut attempt = Attempt::new(&setting);
        attempt.record_answer(&Answer::made(404, &[("x-one", "1")], b"no such thing\n"));
        attempt.record_answer(&Answer::made(200, &[], &[0, 159, 146, 150]));
        assert_eq!(
            attempt.story(&Trouble::wrong("expected more")),
            "expected more\n< 404\n<   x-one: 1\n<   (14 bytes)\n<   no such thing\n< 200\n<   (4 bytes)\n"
        );
    }

    #[test]
    fn only_what_the_suite_cannot_find_out_is_an_error() {
        assert_eq!(Trouble::wrong("x").outcome(), Outcome::Fail);
        assert_eq!(Trouble::Unsupported("x".to_owned()).outcome(), Outcome::Skip);
        assert_eq!(Trouble::Unknown("x".to_owned()).outcome(), Outcome::Error);
    }

    #[test]
    fn an_answer_without_a_usable_location_is_wrong() {
        let asked = Target::new("h:1", "/v2/a/blobs/uploads/");
        let followed = |headers: &[(&str, &str)]| follow(&asked, &Answer::made(202, headers, b""));
        assert_eq!(followed(&[("Location", "/v2/x")]).unwrap(), Target::new("h:1", "/v2/x"));
        assert!(followed(&[]).is_err());
        assert!(followed(&[("Location", "")]).is_err());
        assert!(followed(&[("Location", "https://h/x")]).is_err());
    }
}
