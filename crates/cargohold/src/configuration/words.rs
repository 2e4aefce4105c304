//! What the parts of the registry will do, in words: `cargohold config check`.

use std::path::Path;

use super::{Auth, Configuration, Kind, Purging};
use crate::configuration::form::{Form, Period, Size};

impl Configuration {
    /// Each part, and what it will do; `other` is the folder of another registry's data that is served too.
    pub(crate) fn in_words(&self, other: Option<&Path>) -> Vec<(&'static str, String)> {
        vec![
            ("Configuration", self.kind_in_words()),
            ("Listens on", self.listening_in_words()),
            ("Open to", self.auth.in_words(self.addr.is_of_this_machine())),
            ("Data", self.data_in_words(other)),
            ("Clients", self.rules_in_words()),
            ("Uploads", self.uploads_in_words()),
            ("Sweep", self.sweep_in_words()),
            ("Scrub", self.scrub_in_words()),
            ("Notifications", self.notifications.in_words()),
        ]
    }

    fn kind_in_words(&self) -> String {
        match self.kind {
            Kind::Ours => "Cargohold's own".to_owned(),
            Kind::Inherited => "of the CNCF registry (version: 0.1): absent keys mean what they mean there".to_owned(),
        }
    }

    fn data_in_words(&self, other: Option<&Path>) -> String {
        let own = format!("{}, with {} kept free", self.root_directory.display(), size(self.reserve));
        match other {
            Some(other) => {
                format!("{own}; another registry's in {} is served from there, and never written to", other.display())
            }
            None => own,
        }
    }

    fn rules_in_words(&self) -> String {
        match (self.rules.read_only, self.rules.deletes) {
            (true, _) => "may only read",
            (false, false) => "may push and pull, not delete",
            (false, true) => "may push, pull and delete",
        }
        .to_owned()
    }

    fn uploads_in_words(&self) -> String {
        let Purging { enabled, dry_run } = self.purging;
        if enabled && !dry_run {
            format!("are given up after {} without a byte", period(self.lifetimes.idle_upload))
        } else {
            "are never given up".to_owned()
        }
    }

    fn sweep_in_words(&self) -> String {
        let times = &self.lifetimes;
        format!(
            "takes what was deleted after {}, blobs that nothing refers to after {}, their bytes {} later",
            period(times.deleted),
            period(times.unreferenced_blob),
            period(times.swept_bytes)
        )
    }

    fn scrub_in_words(&self) -> String {
        if self.scrub.every.is_zero() {
            return "is off: nothing reads what lies there".to_owned();
        }
        let rate = size(self.scrub.bytes_a_second);
        format!("reads everything once in {}, at most {rate} a second", period(self.scrub.every))
    }
}

impl Auth {
    /// Who may come in.
    pub(crate) fn in_words(&self, this_machine: bool) -> String {
        match (&self.htpasswd, self.anonymous_pull) {
            (Some(_), false) => "those with a password",
            (Some(_), true) => "those with a password; everybody may pull",
            (None, _) if this_machine => "this machine only",
            (None, _) => "everybody who reaches this address",
        }
        .to_owned()
    }
}

fn size(bytes: usize) -> String {
    Size(0..=usize::MAX).write(&bytes).unwrap_or_default()
}

fn period(duration: std::time::Duration) -> String {
    Period(std::time::Duration::ZERO..=std::time::Duration::MAX).write(&duration).unwrap_or_default()
}
