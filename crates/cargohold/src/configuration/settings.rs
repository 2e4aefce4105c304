//! Every setting: its key, what it means, what its value may be, and where the value goes.
//!
//! These tables, a file for each section, are the only place that knows the keys. The configuration file, the environment, the
//! messages about mistakes, `cargohold serve --help`, `docs/configuration.md` and the example file are all made from them; the
//! defaults are those of the types that the values go to. To add a setting, add the field that it goes to and an entry here.

mod auth;
mod health;
mod http;
mod lists;
mod log;
mod notifications;
mod scrub;
mod storage;
mod sweep;
mod uploads;
mod validation;

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Configuration,
    slot::{Part, Slot},
    told::Told,
};

/// A setting of a `T`: of the configuration, or of a record in one of its lists.
pub(crate) struct Setting<T: 'static = Configuration> {
    /// Its path in the file: lower case, dots between the levels.
    pub(crate) key: &'static str,
    /// What it does, in a sentence or two; `code` in backticks, as in Markdown.
    pub(crate) about: &'static str,
    pub(crate) slot: &'static dyn Slot<T>,
}

/// All of them, in the order in which people are told of them. Of two for one field the later counts.
const SECTIONS: &[&[Setting]] = &[
    http::SETTINGS,
    auth::SETTINGS,
    storage::SETTINGS,
    uploads::SETTINGS,
    sweep::SETTINGS,
    scrub::SETTINGS,
    health::SETTINGS,
    lists::SETTINGS,
    log::SETTINGS,
    validation::SETTINGS,
    notifications::SETTINGS,
];

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// All settings.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().copied().flatten()
}

/// Between so many seconds and so many.
const fn times(least: u64, most: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(least)..=Duration::from_secs(most)
}

impl Setting {
    /// The environment variable that stands for it.
    pub(crate) fn variable(&self) -> String {
        format!("{}{}", super::PREFIX, self.key.replace('.', "__").to_uppercase())
    }
}

impl<T> Setting<T> {
    /// What it is when nothing is said, as somebody would say it; none for what cannot be said.
    pub(crate) fn default_text(&self, default: &mut T) -> Option<String> {
        self.slot.tell(default).line()
    }

    /// What it is.
    pub(crate) fn tell(&self, of: &mut T) -> Told {
        self.slot.tell(of)
    }

    /// What its value has to be, as a noun.
    pub(crate) fn rule(&self) -> String {
        self.slot.rule()
    }

    /// What may stand below its key.
    pub(crate) fn parts(&self) -> Vec<Part> {
        self.slot.parts()
    }

    /// Whether it is one text.
    pub(crate) fn is_text(&self) -> bool {
        self.slot.is_text()
    }

    /// Whether nobody may be told what it is.
    pub(crate) fn is_secret(&self) -> bool {
        self.slot.is_secret()
    }
}
