//! The `Authorization` header, and the scopes and tokens that come in requests.

use std::time::SystemTime;

use cargohold_access::{Credentials, Scope, TokenKey};

/// An input is a header; what is behind `Bearer` or in a password is also read as scopes.
pub fn check(input: &[u8]) {
    let Ok(header) = str::from_utf8(input) else { return };
    let shown = match Credentials::parse(header) {
        Ok(Credentials::Token(token)) => {
            let key = TokenKey::new([7; 32]);
            assert!(!key.signed(&token, SystemTime::UNIX_EPOCH), "nobody guesses a signature");
            token
        }
        Ok(Credentials::Password { user, password }) => {
            assert!(!user.contains(':'), "the first colon ends the name");
            password
        }
        Err(_) => header.to_owned(),
    };
    for scope in Scope::parse_all([shown.as_str()]) {
        let again = Scope::parse_all([scope.to_string().as_str()]);
        assert_eq!(again, [scope], "what was read is written and read again");
    }
}
