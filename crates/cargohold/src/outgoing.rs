//! What the server asks others by HTTP, with TLS or without: whom it trusts, and what it says if nobody answers.
//!
//! Certificates are compared with the system's roots, as they were at the start, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.

use std::error::Error;

use reqwest::{Client, ClientBuilder, Url};

/// What we call ourselves.
pub(crate) const AGENT: &str = concat!("cargohold/", env!("CARGO_PKG_VERSION"));

/// A client for an address. A machine without certificates reaches one without TLS all the same.
pub(crate) fn client(url: Option<&Url>, with: impl Fn(ClientBuilder) -> ClientBuilder) -> reqwest::Result<Client> {
    let builder = || with(Client::builder().user_agent(AGENT));
    match builder().build() {
        Err(_) if url.is_none_or(|url| url.scheme() == "http") => builder().tls_certs_only([]).build(),
        client => client,
    }
}

/// An address as people are told it: a password that is in it is nobody's business.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // Refused only where there can be none.
        let _ = url.set_password(Some("hidden"));
    }
    url.into()
}

/// Why there was no answer, down to the first cause, without the address.
pub(crate) fn why(error: &reqwest::Error) -> String {
    let mut reason = "it could not be reached".to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason.push_str(": ");
        reason.push_str(&error.to_string());
        cause = error.source();
    }
    reason
}
