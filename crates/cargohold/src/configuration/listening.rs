//! How what is said about listening and about TLS is written, and what of it cannot be meant together.

use cargohold_http::tls::{CIPHER_SUITES, ClientAuth};

use super::{
    Configuration, Kind,
    form::{Address, Form},
    layers::Layers,
    problem::{Fault, Origin, Problem},
};
use crate::listening::Place;

/// What connections come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Net {
    Tcp,
    Unix,
}

/// Where to listen: an address, or the path of a socket.
pub(crate) struct ListenOn;

/// The name of a host, as certificates have it.
pub(crate) struct HostName;

/// A word or two, if something is said.
pub(crate) struct Word;

/// Where a certificate authority says what it can do.
pub(crate) struct DirectoryAddress;

/// The name of a cipher suite.
pub(crate) struct CipherSuite;

impl Form for ListenOn {
    type Value = Place;

    fn read(&self, text: &str) -> Option<Place> {
        if text.contains('/') { Some(Place::Unix(text.into())) } else { Address.read(text).map(Place::Tcp) }
    }

    fn write(&self, value: &Place) -> Option<String> {
        Some(value.to_string())
    }

    fn rule(&self) -> String {
        "an address to listen on, or the path of a socket".to_owned()
    }

    fn advice(&self) -> String {
        Address.advice()
    }
}

impl Form for HostName {
    type Value = String;

    fn read(&self, text: &str) -> Option<String> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        (text.len() <= 253 && text.split('.').all(is_label)).then(|| text.to_ascii_lowercase())
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(value.clone())
    }

    fn rule(&self) -> String {
        "the name of a host".to_owned()
    }

    fn advice(&self) -> String {
        "Write it as in registry.example.com, without a port and without *".to_owned()
    }
}

impl Form for Word {
    type Value = Option<String>;

    fn read(&self, text: &str) -> Option<Option<String>> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_visible && (1..=320).contains(&text.len())).then(|| Some(text.to_owned()))
    }

    fn write(&self, value: &Option<String>) -> Option<String> {
        value.clone()
    }

    fn rule(&self) -> String {
        "a text of 1 to 320 characters of ASCII without spaces".to_owned()
    }

    fn advice(&self) -> String {
        "Write it without spaces".to_owned()
    }
}

impl Form for DirectoryAddress {
    type Value = String;

    fn read(&self, text: &str) -> Option<String> {
        let uri: http::Uri = text.parse().ok()?;
        (uri.scheme_str() == Some("https") && uri.host().is_some()).then(|| text.to_owned())
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(value.clone())
    }

    fn rule(&self) -> String {
        "an address that begins with https://".to_owned()
    }

    fn advice(&self) -> String {
        "Write the address of the authority's directory".to_owned()
    }
}

impl Form for CipherSuite {
    type Value = String;

    fn read(&self, text: &str) -> Option<String> {
        CIPHER_SUITES.contains(&text).then(|| text.to_owned())
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(value.clone())
    }

    fn rule(&self) -> String {
        "the name of a cipher suite".to_owned()
    }

    fn advice(&self) -> String {
        format!("Write it as Go has it, as in {}", CIPHER_SUITES[0])
    }
}

impl Configuration {
    /// What is said about listening and cannot be meant.
    pub(super) fn cannot_listen(&self, layers: &Layers) -> Option<Problem> {
        let wrong = |key: &'static str, reason: &str| {
            let origin = layers.said(key).map_or(Origin::Default, |said| layers.findings.origin(&said.at));
            Some(Problem { origin, fault: Fault::Behind { key: key.to_owned(), reason: reason.to_owned() } })
        };
        match (&self.addr, self.net) {
            (Place::Tcp(addr), Net::Unix) => {
                return wrong(
                    "http.addr",
                    &format!(
                        "{addr} is an address, and http.net says unix\n  Name the path of a socket, as in /run/cargohold/http.sock"
                    ),
                );
            }
            (Place::Unix(path), Net::Tcp) if layers.said("http.net").is_some() => {
                return wrong(
                    "http.net",
                    &format!("it says tcp, and http.addr is the path of a socket, {}\n  Say unix", path.display()),
                );
            }
            _ => {}
        }
        let (tls, acme) = (&self.tls, &self.acme);
        let named = |key: &str| layers.said(key).is_some();
        match (tls.certificate.is_some(), tls.key.is_some()) {
            (true, false) => {
                return wrong("http.tls.certificate", "it is of no use without its key\n  Name http.tls.key too");
            }
            (false, true) => return wrong("http.tls.key", "it is of no use alone\n  Name http.tls.certificate too"),
            _ => {}
        }
        let issuing = LETS_ENCRYPT.into_iter().find(|key| named(key));
        if let (Some(key), true) = (issuing, acme.hosts.is_empty()) {
            return wrong(
                key,
                "no host is named that certificates are wanted for\n  Name them in http.tls.letsencrypt.hosts",
            );
        }
        if tls.certificate.is_some() && !acme.hosts.is_empty() {
            return wrong(
                "http.tls.certificate",
                "the certificate comes from a file and from http.tls.letsencrypt\n  Leave one of the two out",
            );
        }
        let speaks_tls = tls.certificate.is_some() || !acme.hosts.is_empty();
        let asks = match (tls.client_cas.is_empty(), tls.client_auth) {
            (false, _) => Some("http.tls.clientcas"),
            (true, Some(_)) => Some("http.tls.clientauth"),
            (true, None) => None,
        };
        if let (Some(key), false) = (asks, speaks_tls) {
            return wrong(
                key,
                "clients can show certificates only where TLS is spoken\n  Name http.tls.certificate and http.tls.key too",
            );
        }
        let verifies = matches!(tls.client_auth, Some(ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify));
        if verifies && tls.client_cas.is_empty() {
            return wrong(
                "http.tls.clientauth",
                "certificates cannot be verified without those who sign them\n  Name their files in http.tls.clientcas",
            );
        }
        None
    }

    /// What is said about listening and has no effect.
    pub(super) fn listening_warnings(&self) -> impl Iterator<Item = String> {
        let kept = self.acme.cache_file.as_ref();
        let kept = kept
            .map(|_| "http.tls.letsencrypt.cachefile has no effect: what is got is kept in the database".to_owned());
        let cut_off = self.kind == Kind::Inherited && self.server.drain.is_zero() && !self.server.drain_delay.is_zero();
        let cut_off =
            cut_off.then(|| "http.draintimeout is 0s: what runs at the end of http.drain.delay is cut off".to_owned());
        kept.into_iter().chain(cut_off)
    }

    /// What is spoken where connections come in.
    pub(super) fn listening_in_words(&self) -> String {
        let how = match (self.acme.hosts.as_slice(), &self.tls.certificate) {
            ([], None) => "without TLS".to_owned(),
            ([], Some(file)) => format!("with TLS, and the certificate in {}", file.display()),
            (hosts, _) => {
                format!("with TLS, and certificates for {} from {}", hosts.join(", "), self.acme.directory_url)
            }
        };
        format!("{}, {how}", self.addr)
    }
}

/// What nobody says who does not want certificates.
const LETS_ENCRYPT: [&str; 5] = [
    "http.tls.letsencrypt.email",
    "http.tls.letsencrypt.cachefile",
    "http.tls.letsencrypt.directoryca",
    "http.tls.letsencrypt.httpaddr",
    "http.tls.letsencrypt.profile",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_or_a_path() {
        assert_eq!(ListenOn.read(":5000"), Some(Place::Tcp("0.0.0.0:5000".parse().unwrap())));
        assert_eq!(ListenOn.read("/run/x.sock"), Some(Place::Unix("/run/x.sock".into())));
        assert_eq!(ListenOn.read("./x.sock"), Some(Place::Unix("./x.sock".into())));
        for text in ["", "x.sock", "registry.example.com:5000"] {
            assert_eq!(ListenOn.read(text), None, "{text}");
        }
    }

    #[test]
    fn hosts_have_names_and_nothing_else() {
        assert_eq!(HostName.read("Registry.Example.com").as_deref(), Some("registry.example.com"));
        for text in ["", "*.example.com", "registry:5000", "a..b", "https://a.b", "ä.example"] {
            assert_eq!(HostName.read(text), None, "{text}");
        }
    }
}
