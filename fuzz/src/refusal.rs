//! What must hold for every refusal: it stays short, whatever was sent, and is safe to print.

use cargohold_http::fuzzing::Refused;
use http::StatusCode;
use serde_json::Value;

/// Two quotes of 140 bytes, of which each may become an escape of six characters, and the words around them.
const MOST_BYTES: usize = 2048;

/// A message of a parser.
pub(crate) fn check(error: &impl std::error::Error) {
    let message = error.to_string();
    assert!(message.len() <= MOST_BYTES, "a message of {} bytes", message.len());
    assert!(!message.contains(char::is_control), "a message with control characters: {message:?}");
}

/// An answer: of this status, with a body of the protocol's form. Returns the code in it.
pub(crate) fn check_answer(refused: &Refused, status: StatusCode) -> String {
    assert_eq!(refused.status, status);
    assert!(refused.body.len() <= MOST_BYTES, "an answer of {} bytes", refused.body.len());
    let body: Value = serde_json::from_slice(&refused.body).expect("the body of an error is JSON");
    let error = &body["errors"][0];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    error["code"].as_str().expect("an error has a code").to_owned()
}
