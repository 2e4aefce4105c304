//! What a request shows to prove who sent it: the `Authorization` header.
//!
//! Sources: RFC 7617 (Basic), RFC 6750 (Bearer).

use std::fmt;

use base64::{Engine as _, engine::general_purpose};

/// Proof of who is asking. Shows nothing of itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and its password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that this registry gave out.
    Token(String),
}

/// An `Authorization` header that proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Of a scheme that is neither Basic nor Bearer.
    #[error("the Authorization header is of a scheme that this registry does not know: send Basic or Bearer")]
    Scheme,
    /// Basic, and not base64 of a name, a colon and a password in UTF-8.
    #[error("the Authorization header is not Basic with base64 of <user>:<password>")]
    Basic,
}

impl Credentials {
    /// Reads the value of an `Authorization` header.
    pub fn parse(header: &str) -> Result<Self, CredentialsError> {
        let (scheme, rest) = header.trim().split_once(' ').ok_or(CredentialsError::Scheme)?;
        let rest = rest.trim_start();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Token(rest.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(CredentialsError::Scheme);
        }
        let decoded = general_purpose::STANDARD.decode(rest).map_err(|_| CredentialsError::Basic)?;
        let text = String::from_utf8(decoded).map_err(|_| CredentialsError::Basic)?;
        let (user, password) = text.split_once(':').ok_or(CredentialsError::Basic)?;
        Ok(Self::Password { user: user.to_owned(), password: password.to_owned() })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user:?})"),
            Self::Token(_) => f.write_str("Token"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_password_are_read() {
        let password = |user: &str, password: &str| {
            Ok(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
        };
        assert_eq!(Credentials::parse("Basic YWxpY2U6czpjcmV0"), password("alice", "s:cret"));
        assert_eq!(Credentials::parse("basic  YTo="), password("a", ""));
        assert_eq!(Credentials::parse("Bearer abc.def"), Ok(Credentials::Token("abc.def".to_owned())));
    }

    #[test]
    fn anything_else_proves_nothing() {
        for header in ["", "Basic", "Digest abc", "Negotiate x"] {
            assert_eq!(Credentials::parse(header), Err(CredentialsError::Scheme), "{header}");
        }
        for header in ["Basic !", "Basic YWxpY2U=", "Basic /w==", "Basic YTpi YTpi"] {
            assert_eq!(Credentials::parse(header), Err(CredentialsError::Basic), "{header}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let shown = format!("{:?} {:?}", Credentials::parse("Basic YTpzZWNyZXQ="), Credentials::parse("Bearer secret"));
        assert!(!shown.contains("secret"), "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn every_header_has_an_answer(header in ".{0,200}") {
            let _ = Credentials::parse(&header);
        }
    }
}
