//! Every setting: its key, what it means, what its value may be, and where the value goes.
//!
//! This table is the only place that knows the keys. The configuration file, the environment, the messages about mistakes,
//! `cargohold serve --help` and `docs/configuration.md` are all made from it; the defaults are those of the types that the
//! values go to. To add a setting, add the field that it goes to and an entry here.

use std::{ops::RangeInclusive, time::Duration};

use cargohold_registry::References;

use super::{
    Configuration,
    document::Value,
    form::{Address, Choice, Count, File, Folder, Form, Period, Size, Words},
};

/// A setting.
pub(crate) struct Setting {
    /// Its path in the file: lower case, dots between the levels.
    pub(crate) key: &'static str,
    /// What it does, in a sentence or two; `code` in backticks, as in Markdown.
    pub(crate) about: &'static str,
    slot: &'static dyn Slot,
}

/// Where a value goes, and how it gets there. Lists and maps, once settings have them, are other ways to read a [`Value`].
trait Slot: Sync {
    /// Puts in what was said, or leaves everything as it was if that is not of the right form.
    fn put(&self, said: &Value, into: &mut Configuration) -> Option<()>;
    /// The value that is in there now, as it would be said.
    fn text(&self, of: &mut Configuration) -> Option<String>;
    fn rule(&self) -> String;
    fn advice(&self) -> String;
}

/// A single value of some form, and the field that it goes to.
struct Field<F: Form>(F, fn(&mut Configuration) -> &mut F::Value);

/// All of them, in the order in which people are told of them.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "http.addr",
        about: "Where to listen: `<IP address>:<port>`, `localhost:<port>`, or `:<port>` for every IPv4 address of this machine. \
                An address that other machines reach needs `auth` to be set.",
        slot: &Field(Address, |to| &mut to.addr),
    },
    Setting {
        key: "http.limits.headers",
        about: "The longest head of a request: its first line and all its headers. A longer one is answered with 431.",
        slot: &Field(Size(8 * KIB..=MIB), |to| &mut to.server.max_head),
    },
    Setting {
        key: "http.limits.requests",
        about: "How many requests of one client address may be in flight, from the head of the request to the last byte of the \
                answer. More of them wait for their turn.",
        slot: &Field(Count(1..=1_000_000), |to| &mut to.limits.requests),
    },
    Setting {
        key: "http.limits.wait",
        about: "How long a request beyond `http.limits.requests` waits for its turn before it is answered with 429 and \
                `Retry-After`.",
        slot: &Field(Period(times(0, 10 * MINUTE)), |to| &mut to.limits.wait),
    },
    Setting {
        key: "http.limits.stall",
        about: "How long the next byte of a request's body may take. Then the answer is 408, and of an upload in chunks what had \
                come is kept.",
        slot: &Field(Period(times(1, HOUR)), |to| &mut to.limits.stall),
    },
    Setting {
        key: "http.limits.unread",
        about: "How long a client may take nothing of an answer that waits for it. Then its connection is closed.",
        slot: &Field(Period(times(1, HOUR)), |to| &mut to.server.stall),
    },
    Setting {
        key: "http.limits.idle",
        about: "How long a connection may stay open without a request. Make it longer than what proxies in front of the \
                registry use, often 60s, or they send requests into connections that are being closed.",
        slot: &Field(Period(times(1, HOUR)), |to| &mut to.server.idle),
    },
    Setting {
        key: "auth",
        about: "How callers are told apart. `open` lets everybody who reaches the registry do everything. Left out, the \
                registry listens where only this machine reaches it, and answers to the name `localhost` only.",
        slot: &Field(Choice(&[("open", true)]), |to| &mut to.auth.open),
    },
    Setting {
        key: "auth.htpasswd.path",
        about: "The file with those who may do everything: lines of `<user>:<hash>` as `htpasswd -B` makes them, hashed with bcrypt. \
                It is read again when it changes.",
        slot: &Field(File, |to| &mut to.auth.htpasswd),
    },
    Setting {
        key: "auth.htpasswd.realm",
        about: "What people are told that the password is for.",
        slot: &Field(Words(1..=200), |to| &mut to.auth.realm),
    },
    Setting {
        key: "auth.anonymous",
        about: "What those may do who show no password, beside `auth.htpasswd`: `pull` lets everybody read every repository.",
        slot: &Field(Choice(&[("nothing", false), ("pull", true)]), |to| &mut to.auth.anonymous_pull),
    },
    Setting {
        key: "storage.filesystem.rootdirectory",
        about: "The data folder, made if it is not there. A relative path begins where the program was started.",
        slot: &Field(Folder, |to| &mut to.root_directory),
    },
    Setting {
        key: "storage.filesystem.reserve",
        about: "How much space is kept free on the disk of the data folder. What would use it is answered with 503, while pulls and \
                deletions go on. Without it a full disk could not even record what was deleted.",
        slot: &Field(Size(0..=1024 * 1024 * 1024 * MIB), |to| &mut to.reserve),
    },
    Setting {
        key: "uploads.expiry",
        about: "How long an upload that no byte comes to can be resumed. Then its session and its bytes are given up.",
        slot: &Field(Period(times(1, 366 * DAY)), |to| &mut to.lifetimes.idle_upload),
    },
    Setting {
        key: "sweep.grace",
        about: "How long a blob stays that no manifest refers to, from the last push that was told that it is there. Make it longer \
                than your longest push takes.",
        slot: &Field(Period(times(0, 366 * DAY)), |to| &mut to.lifetimes.unreferenced_blob),
    },
    Setting {
        key: "sweep.window",
        about: "How long what was deleted can come back: `cargohold repository undelete`. Until then its space is not free.",
        slot: &Field(Period(times(0, 3660 * DAY)), |to| &mut to.lifetimes.deleted),
    },
    Setting {
        key: "sweep.keep",
        about: "How long the bytes of what was swept stay on disk, where a restored backup finds them again.",
        slot: &Field(Period(times(0, 366 * DAY)), |to| &mut to.lifetimes.swept_bytes),
    },
    Setting {
        key: "sweep.interval",
        about: "How long the sweep, the deletion of bytes and the expiry of uploads rest when there is nothing to do.",
        slot: &Field(Period(Duration::from_millis(10)..=Duration::from_secs(HOUR)), |to| {
            &mut to.lifetimes.between_sweeps
        }),
    },
    Setting {
        key: "scrub.every",
        about: "How often all stored bytes are read and compared with their digests, in the background. What is damaged is marked as \
                missing, said in the log, and put right by the next push. `0s` switches it off.",
        slot: &Field(Period(times(0, 3660 * DAY)), |to| &mut to.scrub.every),
    },
    Setting {
        key: "scrub.rate",
        about: "How many bytes the scrub reads in a second, at most.",
        slot: &Field(Size(64 * KIB..=1024 * 1024 * MIB), |to| &mut to.scrub.bytes_a_second),
    },
    Setting {
        key: "validation.repositories.maxname",
        about: "The longest name of a repository that can be pushed to. What has a longer name already can still be pulled.",
        slot: &Field(Size(1..=255), |to| &mut to.validation.name_bytes),
    },
    Setting {
        key: "validation.manifests.references",
        about: "What a manifest refers to and has to be in the repository before it: `all` of it, or `none`, which takes images \
                without their layers and indexes without some of their children (sparse content).",
        slot: &Field(Choice(&[("all", References::All), ("none", References::None)]), |to| {
            &mut to.validation.references
        }),
    },
    Setting {
        key: "validation.manifests.maxbytes",
        about: "The largest manifest that can be pushed. A larger one is answered with 413. Many clients read 4MiB at the most.",
        slot: &Field(Size(1..=64 * MIB), |to| &mut to.validation.manifest_bytes),
    },
    Setting {
        key: "validation.manifests.maxreferences",
        about: "The most that one manifest refers to: its configuration and layers, or its children.",
        slot: &Field(Count(1..=1_000_000), |to| &mut to.validation.manifest_references),
    },
    Setting {
        key: "validation.manifests.maxartifacttype",
        about: "The longest type of an artifact that can be pushed: `artifactType`, or the media type of the configuration \
                that stands for it.",
        slot: &Field(Size(1..=1024), |to| &mut to.validation.artifact_type_bytes),
    },
];

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Between so many seconds and so many.
const fn times(least: u64, most: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(least)..=Duration::from_secs(most)
}

impl Setting {
    /// The environment variable that stands for it.
    pub(crate) fn variable(&self) -> String {
        format!("{}{}", super::PREFIX, self.key.replace('.', "__").to_uppercase())
    }

    /// Takes over what was said, or nothing if it is not what this setting takes.
    pub(crate) fn put(&self, said: &Value, into: &mut Configuration) -> Option<()> {
        self.slot.put(said, into)
    }

    /// What it is when nothing is said, as somebody would say it; none for what cannot be said.
    pub(crate) fn default_text(&self) -> Option<String> {
        self.slot.text(&mut Configuration::default())
    }

    /// What its value has to be, as a noun.
    pub(crate) fn rule(&self) -> String {
        self.slot.rule()
    }

    /// What to do about a value that it is not.
    pub(crate) fn advice(&self) -> String {
        match self.default_text() {
            Some(default) => format!("{}, or leave it out for {default}", self.slot.advice()),
            None => format!("{}, or leave it out", self.slot.advice()),
        }
    }
}

impl<F: Form> Slot for Field<F> {
    fn put(&self, said: &Value, into: &mut Configuration) -> Option<()> {
        let Value::Text(text) = said else { return None };
        *(self.1)(into) = self.0.read(text)?;
        Some(())
    }

    fn text(&self, of: &mut Configuration) -> Option<String> {
        self.0.write((self.1)(of))
    }

    fn rule(&self) -> String {
        self.0.rule()
    }

    fn advice(&self) -> String {
        self.0.advice()
    }
}
