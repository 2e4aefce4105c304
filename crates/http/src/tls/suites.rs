//! Cipher suites, by the names that Go and the inherited configuration have for them.
//!
//! Only those of TLS 1.2 can be chosen, as in Go; those of TLS 1.3 are all safe and always there. Go knows suites without
//! forward secrecy or without authenticated encryption as well. They are not to be had here: such names are passed over with a
//! warning, unless nothing is left.

use rustls::{
    CipherSuite, SupportedCipherSuite,
    crypto::{CryptoProvider, aws_lc_rs},
};

use super::TlsError;

pub(super) const KEY: &str = "http.tls.ciphersuites";

/// The names that can be said.
pub const CIPHER_SUITES: &[&str] = &[
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_RC4_128_SHA",
];

/// The cryptography with the suites of these names, or with all that there are if nothing is named.
pub(super) fn provider(names: &[String]) -> Result<CryptoProvider, TlsError> {
    let mut provider = aws_lc_rs::default_provider();
    if names.is_empty() {
        return Ok(provider);
    }
    let mut chosen = Vec::new();
    for name in names {
        if !CIPHER_SUITES.contains(&name.as_str()) {
            return Err(TlsError::of(
                KEY,
                format!("{name} is no cipher suite; they are named as in Go: {}", CIPHER_SUITES[1]),
            ));
        }
        if let Some(suite) = provider.cipher_suites.iter().find(|suite| is_called(**suite, name)) {
            chosen.push(*suite);
        } else {
            tracing::warn!("{KEY}: {name} is not safe any more and is left out");
        }
    }
    if chosen.is_empty() {
        let usable = CIPHER_SUITES[..6].join(", ");
        return Err(TlsError::of(KEY, format!("none of those that are named is safe any more; name some of {usable}")));
    }
    provider.cipher_suites.retain(|suite| suite.tls13().is_some() || chosen.contains(suite));
    Ok(provider)
}

fn is_called(suite: SupportedCipherSuite, name: &str) -> bool {
    use CipherSuite as Of;
    let id = match name {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => Of::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => Of::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => Of::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => Of::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => {
            Of::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" | "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" => {
            Of::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_AES_128_GCM_SHA256" => Of::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_256_GCM_SHA384" => Of::TLS13_AES_256_GCM_SHA384,
        "TLS_CHACHA20_POLY1305_SHA256" => Of::TLS13_CHACHA20_POLY1305_SHA256,
        _ => return false,
    };
    suite.suite() == id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Result<Vec<CipherSuite>, TlsError> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(provider(&names)?.cipher_suites.iter().map(SupportedCipherSuite::suite).collect())
    }

    #[test]
    fn every_name_is_of_a_suite_that_is_there_or_left_out_on_purpose() {
        let there = aws_lc_rs::default_provider().cipher_suites;
        let usable = CIPHER_SUITES.iter().filter(|name| there.iter().any(|suite| is_called(*suite, name)));
        assert_eq!(usable.copied().collect::<Vec<_>>(), CIPHER_SUITES[..11]);
    }

    #[test]
    fn only_those_of_version_1_2_can_be_chosen() {
        let chosen = named(&["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]).unwrap();
        assert_eq!(chosen.len(), 4, "{chosen:?}");
        assert!(chosen.contains(&CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256));
        assert_eq!(named(&["TLS_AES_128_GCM_SHA256"]).unwrap().len(), 3);
        assert_eq!(named(&[]).unwrap().len(), 9);
    }

    #[test]
    fn what_is_not_safe_is_left_out_and_what_is_unknown_refused() {
        let chosen = named(&["TLS_RSA_WITH_RC4_128_SHA", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"]).unwrap();
        assert_eq!(chosen.len(), 4, "{chosen:?}");
        let none = named(&["TLS_RSA_WITH_RC4_128_SHA"]).unwrap_err().to_string();
        assert!(none.starts_with("http.tls.ciphersuites: none of those"), "{none}");
        let unknown = named(&["ECDHE-RSA-AES128-GCM-SHA256"]).unwrap_err().to_string();
        assert!(unknown.contains("ECDHE-RSA-AES128-GCM-SHA256 is no cipher suite"), "{unknown}");
    }
}
