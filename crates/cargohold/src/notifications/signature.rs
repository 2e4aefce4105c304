//! Signatures, by which a receiver knows that an event comes from here and is whole.
//!
//! Two forms of one HMAC-SHA256, so that whatever a receiver has a library for will do: GitHub's `X-Hub-Signature-256`, over the
//! body, and that of Standard Webhooks, over the event's id, the time and the body, which also tells old ones that somebody
//! repeats from new ones.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a secret begins with that Standard Webhooks' tools made: the rest is base64 of the key.
const STANDARD: &str = "whsec_";

/// What only the endpoint and this registry know.
#[derive(Clone)]
pub(super) struct Secret {
    text: String,
    /// The key of Standard Webhooks.
    key: Vec<u8>,
}

impl Secret {
    /// Of what the configuration says.
    pub(super) fn new(text: &str) -> Self {
        let key = text.strip_prefix(STANDARD).and_then(|key| BASE64_STANDARD.decode(key).ok());
        Self { text: text.to_owned(), key: key.unwrap_or_else(|| text.as_bytes().to_vec()) }
    }

    /// The headers that sign a body which is sent now.
    pub(super) fn headers(&self, id: &str, now: SystemTime, body: &[u8]) -> [(&'static str, String); 4] {
        let time = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let hub = mac(self.text.as_bytes(), &[body]);
        let standard = mac(&self.key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
        let hub = hub.iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
        [
            ("x-hub-signature-256", format!("sha256={hub}")),
            ("webhook-id", id.to_owned()),
            ("webhook-signature", format!("v1,{}", BASE64_STANDARD.encode(standard))),
            ("webhook-timestamp", time),
        ]
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The examples that GitHub and Standard Webhooks give.
    #[test]
    fn signatures_are_those_of_the_published_examples() {
        let github = Secret::new("It's a Secret to Everybody").headers("id", UNIX_EPOCH, b"Hello, World!");
        assert_eq!(
            github[0],
            (
                "x-hub-signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".to_owned()
            )
        );
        let standard = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").headers(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            UNIX_EPOCH + Duration::from_secs(1_614_265_330),
            br#"{"test": 2432232314}"#,
        );
        let sent: Vec<&str> = standard[1..].iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            sent,
            ["msg_p5jXN8AQM9LWM0D4loKWxJek", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "1614265330"]
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hush")), "Secret(...)");
    }
}
