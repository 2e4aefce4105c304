//! Settings: what the environment says, resolved into what the program needs, or refused before anything starts.
//!
//! A setting `a.b` is read from `CARGOHOLD__A__B`. Variables with one underscore, such as the `CARGOHOLD_PORT` that Kubernetes
//! injects, are not settings. An unknown setting warns and names the nearest one that there is.

use std::{
    ffi::{OsStr, OsString},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use cargohold_access::Mode;

const PREFIX: &str = "CARGOHOLD__";
const ADDR: &str = "CARGOHOLD__HTTP__ADDR";
const AUTH: &str = "CARGOHOLD__AUTH";
const ROOT_DIRECTORY: &str = "CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY";
const KNOWN: [&str; 3] = [ADDR, AUTH, ROOT_DIRECTORY];

/// What the program runs with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// `http.addr`: where it listens.
    pub(crate) addr: SocketAddr,
    /// `auth`: how callers are told apart.
    pub(crate) auth: Mode,
    /// `storage.filesystem.rootdirectory`: the data folder.
    pub(crate) root_directory: PathBuf,
    /// What was set and has no effect, for the log.
    pub(crate) warnings: Vec<String>,
}

/// A setting that stops the start: which, why, and what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigurationError {
    #[error(
        "http.addr: {value:?} (from {ADDR}) is not an address to listen on\n  \
         Write <IP address>:<port>, as in 127.0.0.1:5000, or :<port> for every address of this machine"
    )]
    Address { value: String },
    #[error(
        "auth: {value:?} (from {AUTH}) is not a way to tell callers apart\n  \
         Write `open`, which lets everybody who reaches the registry do everything, or leave it out and listen on this machine only"
    )]
    Auth { value: String },
    #[error("{name}: its value is not valid UTF-8\n  Write it in UTF-8")]
    Encoding { name: &'static str },
    #[error(
        "storage.filesystem.rootdirectory: {ROOT_DIRECTORY} is empty\n  Name a folder, or unset it to use ./cargohold-data"
    )]
    RootDirectory,
    #[error(
        "http.addr: other machines can reach {addr}, and auth is not set: anybody there could read and overwrite every image\n  \
         Listen on 127.0.0.1:{port}, where only this machine reaches it, or say that this is what you want with {AUTH}=open",
        port = addr.port()
    )]
    Exposed { addr: SocketAddr },
}

impl Configuration {
    /// Reads the settings out of the environment.
    pub(crate) fn from_environment(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigurationError> {
        let (mut addr, mut auth, mut root_directory, mut warnings) = (None, None, None, Vec::new());
        for (name, value) in variables {
            match name.to_str() {
                Some(ADDR) => addr = Some(parse_addr(text(ADDR, &value)?)?),
                Some(AUTH) => auth = Some(parse_auth(text(AUTH, &value)?)?),
                Some(ROOT_DIRECTORY) if value.is_empty() => return Err(ConfigurationError::RootDirectory),
                Some(ROOT_DIRECTORY) => root_directory = Some(PathBuf::from(value)),
                Some(unknown) if unknown.starts_with(PREFIX) => warnings.push(unknown_setting(unknown)),
                _ => {}
            }
        }
        let addr = addr.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)));
        if auth.is_none() && !addr.ip().to_canonical().is_loopback() {
            return Err(ConfigurationError::Exposed { addr });
        }
        let root_directory = root_directory.unwrap_or_else(|| PathBuf::from("cargohold-data"));
        Ok(Self { addr, auth: auth.unwrap_or(Mode::ThisMachine), root_directory, warnings })
    }
}

fn text<'v>(name: &'static str, value: &'v OsStr) -> Result<&'v str, ConfigurationError> {
    value.to_str().ok_or(ConfigurationError::Encoding { name })
}

fn parse_addr(value: &str) -> Result<SocketAddr, ConfigurationError> {
    let every = value.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    let this = value.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let written = every.or(this);
    let address = written.as_deref().unwrap_or(value).parse();
    address.map_err(|_| ConfigurationError::Address { value: value.to_owned() })
}

fn parse_auth(value: &str) -> Result<Mode, ConfigurationError> {
    match value {
        "open" => Ok(Mode::Open),
        _ => Err(ConfigurationError::Auth { value: value.to_owned() }),
    }
}

fn unknown_setting(name: &str) -> String {
    let nearest = KNOWN.into_iter().min_by_key(|known| strsim::levenshtein(known, name)).unwrap_or(ADDR);
    format!("{name} is not a setting and has no effect; the nearest one is {nearest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Configuration, ConfigurationError> {
        Configuration::from_environment(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn nothing_said_is_a_registry_for_this_machine() {
        let expected = Configuration {
            addr: "127.0.0.1:5000".parse().unwrap(),
            auth: Mode::ThisMachine,
            root_directory: "cargohold-data".into(),
            warnings: vec![],
        };
        assert_eq!(read(&[("PATH", "/bin"), ("CARGOHOLD_PORT", "tcp://10.0.0.1:80")]), Ok(expected));
    }

    #[test]
    fn an_address_that_others_reach_needs_a_word_about_auth() {
        for addr in ["0.0.0.0:5000", ":5000", "[::]:5000", "192.0.2.1:80"] {
            let refused = read(&[(ADDR, addr)]).unwrap_err();
            assert!(matches!(refused, ConfigurationError::Exposed { .. }), "{addr}: {refused}");
            assert!(read(&[(ADDR, addr), (AUTH, "open")]).is_ok(), "{addr}");
        }
        for addr in ["127.0.0.1:0", "[::1]:5000", "127.1.2.3:80", "localhost:5001", "[::ffff:127.0.0.1]:5000"] {
            assert!(read(&[(ADDR, addr)]).is_ok(), "{addr}");
        }
    }

    #[test]
    fn a_value_that_means_nothing_stops_the_start_and_says_what_to_write() {
        for (name, value, says) in [
            (ADDR, "5000", "Write <IP address>:<port>"),
            (ADDR, "registry.example.com:5000", "Write <IP address>:<port>"),
            (AUTH, "opn", "Write `open`"),
            (ROOT_DIRECTORY, "", "Name a folder"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(name), "{error}");
        }
    }

    #[test]
    fn an_unknown_setting_warns_and_names_the_nearest() {
        let warnings = read(&[("CARGOHOLD__HTTP__ADDRESS", ":1")]).unwrap().warnings;
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].ends_with("the nearest one is CARGOHOLD__HTTP__ADDR"), "{warnings:?}");
    }
}
