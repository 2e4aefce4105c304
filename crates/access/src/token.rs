//! Tokens that this registry gives out and that only it reads: who asked, what for, and until when.
//!
//! A JSON Web Token (RFC 7519) with the one algorithm HS256 (RFC 7518 §3.2): its header is a constant that has to match, so that
//! nobody chooses another. Reading one asks no database and no file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::Scope;

/// `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// What clients are told: then they fetch the next one.
pub const TOKEN_LIFETIME: Duration = Duration::from_mins(15);

/// What counts: clients send one token through all of an upload, however long that takes. What its user may do no more is refused at
/// once all the same.
const ACCEPTED_FOR: Duration = Duration::from_hours(24);

/// A key that signs tokens.
#[derive(Clone)]
pub struct TokenKey([u8; 32]);

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user; none for somebody who showed no credentials.
    #[serde(rename = "sub", skip_serializing_if = "Option::is_none", default)]
    pub(crate) user: Option<String>,
    /// Which password of the user's was shown: a token dies with it.
    #[serde(rename = "pwd", skip_serializing_if = "Option::is_none", default)]
    pub(crate) password: Option<String>,
    /// What it is good for.
    pub(crate) access: Vec<Scope>,
    /// Until when, in seconds since 1970.
    #[serde(rename = "exp")]
    pub(crate) until: u64,
}

impl Claims {
    /// So much, for as long as a token counts.
    pub(crate) fn from_now(
        now: SystemTime,
        user: Option<String>,
        password: Option<String>,
        access: Vec<Scope>,
    ) -> Self {
        Self { user, password, access, until: seconds(now + ACCEPTED_FOR) }
    }
}

impl TokenKey {
    /// A key out of bytes that nobody can guess.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// A token that says so.
    pub(crate) fn sign(&self, claims: &Claims) -> String {
        let claims = serde_json::to_vec(claims).expect("texts and numbers are JSON");
        let signed = format!("{HEADER}.{}", BASE64.encode(claims));
        let signature = BASE64.encode(self.mac(&[signed.as_bytes()]).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// What a token says, if this key signed it and its time is not over.
    pub(crate) fn read(&self, token: &str, now: SystemTime) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let claims = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
        let signature = BASE64.decode(signature).ok()?;
        // Compares in constant time.
        self.mac(&[signed.as_bytes()]).verify_slice(&signature).ok()?;
        let claims: Claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
        (claims.until > seconds(now)).then_some(claims)
    }

    /// Whether this key signed the token, and its time is not over.
    pub fn signed(&self, token: &str, now: SystemTime) -> bool {
        self.read(token, now).is_some()
    }

    /// What stands for some secret texts, and tells nothing about them.
    pub(crate) fn fingerprint(&self, texts: &[&str]) -> [u8; 32] {
        let mut parts: Vec<&[u8]> = Vec::new();
        let lengths: Vec<[u8; 8]> = texts.iter().map(|text| (text.len() as u64).to_be_bytes()).collect();
        for (length, text) in lengths.iter().zip(texts) {
            parts.extend([length.as_slice(), text.as_bytes()]);
        }
        self.mac(&parts).finalize().into_bytes().into()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey")
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(now: SystemTime) -> Claims {
        let access = Scope::parse_all(["repository:a/b:pull,push"]);
        Claims::from_now(now, Some("alice".to_owned()), Some("x".to_owned()), access)
    }

    #[test]
    fn what_was_signed_is_read_until_its_time_is_over() {
        let (key, now) = (TokenKey::new([7; 32]), UNIX_EPOCH + Duration::from_secs(1_000_000));
        let token = key.sign(&claims(now));
        let read = key.read(&token, now + TOKEN_LIFETIME).unwrap();
        assert_eq!(read, claims(now));
        assert_eq!(key.read(&token, now + ACCEPTED_FOR), None);
    }

    #[test]
    fn what_was_changed_or_signed_by_another_is_no_token() {
        let (key, now) = (TokenKey::new([7; 32]), UNIX_EPOCH);
        let token = key.sign(&claims(now));
        assert_eq!(TokenKey::new([8; 32]).read(&token, now), None);
        let parts: Vec<&str> = token.split('.').collect();
        let forged = BASE64.encode(r#"{"sub":"root","access":[],"exp":99999999999}"#);
        let none = BASE64.encode(r#"{"alg":"none","typ":"JWT"}"#);
        for changed in [
            format!("{}.{forged}.{}", parts[0], parts[2]),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            token[1..].to_owned(),
            token[..token.len() - 1].to_owned(),
            String::new(),
            "..".to_owned(),
        ] {
            assert_eq!(key.read(&changed, now), None, "{changed}");
        }
    }

    #[test]
    fn fingerprints_tell_texts_apart_wherever_they_are_cut() {
        let key = TokenKey::new([7; 32]);
        assert_eq!(key.fingerprint(&["a", "b"]), key.fingerprint(&["a", "b"]));
        assert_ne!(key.fingerprint(&["a", "b"]), key.fingerprint(&["ab", ""]));
        assert_ne!(key.fingerprint(&["a"]), TokenKey::new([8; 32]).fingerprint(&["a"]));
    }

    proptest::proptest! {
        #[test]
        fn every_text_has_an_answer(text in ".{0,100}") {
            proptest::prop_assert_eq!(TokenKey::new([7; 32]).read(&text, UNIX_EPOCH), None);
            proptest::prop_assert_eq!(TokenKey::new([7; 32]).read(&format!("{HEADER}.{text}"), UNIX_EPOCH), None);
        }
    }
}
