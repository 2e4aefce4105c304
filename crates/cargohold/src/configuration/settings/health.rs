//! `health`: what is looked at in the background, and what is refused while it is not well.

use std::{ops::RangeInclusive, time::Duration};

use super::{DAY, Setting};
use crate::{
    configuration::{
        Configuration,
        document::Node,
        form::{Count, File, Flag, Perhaps, Period, WebAddress, Words},
        problem::Findings,
        slot::{Field, Headers, Part, Records, Refused, Slot},
        told::Told,
    },
    health::{FileCheck, HttpCheck, TcpCheck},
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "health.storagedriver.enabled",
        about: "Whether requests are answered with 503 while the data folder is away. `/readyz` says it in any case.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.health.storage.enabled),
    },
    Setting {
        key: "health.storagedriver.interval",
        about: "How often that is looked at.",
        slot: &Field(Period(INTERVALS), |to: &mut Configuration| &mut to.health.storage.interval),
    },
    Setting {
        key: "health.storagedriver.threshold",
        about: "How often in a row it has to be away.",
        slot: &Field(Count(THRESHOLDS), |to: &mut Configuration| &mut to.health.storage.threshold),
    },
    Setting {
        key: "health.file",
        about: "Files that must not be there: while one is, requests are answered with 503. Whoever makes it takes the registry out of \
                service.",
        slot: &Each {
            records: Records(FILE, |to: &mut Configuration| &mut to.health.files),
            needs: "file",
            has: |check| check.file.is_some(),
        },
    },
    Setting {
        key: "health.http",
        about: "Addresses that have to answer HEAD, or requests are answered with 503.",
        slot: &Each {
            records: Records(HTTP, |to: &mut Configuration| &mut to.health.http),
            needs: "uri",
            has: |check| check.uri.is_some(),
        },
    },
    Setting {
        key: "health.tcp",
        about: "Addresses that have to take connections, or requests are answered with 503.",
        slot: &Each {
            records: Records(TCP, |to: &mut Configuration| &mut to.health.tcp),
            needs: "addr",
            has: |check| !check.addr.is_empty(),
        },
    },
];

const FILE: &[Setting<FileCheck>] = &[
    Setting { key: "file", about: "The file.", slot: &Field(Perhaps(File), |to: &mut FileCheck| &mut to.file) },
    Setting {
        key: "interval",
        about: "How often it is looked for.",
        slot: &Field(Period(INTERVALS), |to: &mut FileCheck| &mut to.interval),
    },
];

const HTTP: &[Setting<HttpCheck>] = &[
    Setting {
        key: "uri",
        about: "The address. That of https has to show a certificate that this machine trusts. Redirects are not followed.",
        slot: &Field(WebAddress, |to: &mut HttpCheck| &mut to.uri),
    },
    Setting { key: "headers", about: "What it is sent.", slot: &Headers(|to: &mut HttpCheck| &mut to.headers) },
    Setting {
        key: "statuscode",
        about: "What it answers when it is well.",
        slot: &Field(Count(100..=599), |to: &mut HttpCheck| &mut to.status),
    },
    Setting {
        key: "timeout",
        about: "How long that may take.",
        slot: &Field(Period(INTERVALS), |to: &mut HttpCheck| &mut to.timeout),
    },
    Setting {
        key: "interval",
        about: "How often it is asked.",
        slot: &Field(Period(INTERVALS), |to: &mut HttpCheck| &mut to.interval),
    },
    Setting {
        key: "threshold",
        about: "How often in a row it has to be unwell.",
        slot: &Field(Count(THRESHOLDS), |to: &mut HttpCheck| &mut to.threshold),
    },
];

const TCP: &[Setting<TcpCheck>] = &[
    Setting {
        key: "addr",
        about: "The address, `<host>:<port>`.",
        slot: &Field(Words(1..=300), |to: &mut TcpCheck| &mut to.addr),
    },
    Setting {
        key: "timeout",
        about: "How long it may take to be connected.",
        slot: &Field(Period(INTERVALS), |to: &mut TcpCheck| &mut to.timeout),
    },
    Setting {
        key: "interval",
        about: "How often that is tried.",
        slot: &Field(Period(INTERVALS), |to: &mut TcpCheck| &mut to.interval),
    },
    Setting {
        key: "threshold",
        about: "How often in a row it has to fail.",
        slot: &Field(Count(THRESHOLDS), |to: &mut TcpCheck| &mut to.threshold),
    },
];

const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(DAY);
const THRESHOLDS: RangeInclusive<usize> = 0..=1_000_000;

/// Records of which each needs a key.
struct Each<R: 'static> {
    records: Records<R, Configuration>,
    needs: &'static str,
    has: fn(&R) -> bool,
}

impl<R: Default + 'static> Slot<Configuration> for Each<R> {
    fn put(&self, key: &str, said: &Node, into: &mut Configuration, findings: &mut Findings) -> Result<(), Refused> {
        self.records.put(key, said, into, findings)?;
        if (self.records.1)(into).iter().all(self.has) {
            return Ok(());
        }
        Err(Refused {
            node: said.clone(),
            rule: format!("a list of sections, each with `{}`", self.needs),
            advice: format!("Say `{}` in each of them", self.needs),
        })
    }

    fn tell(&self, of: &mut Configuration) -> Told {
        self.records.tell(of)
    }

    fn rule(&self) -> String {
        self.records.rule()
    }

    fn advice(&self) -> String {
        self.records.advice()
    }

    fn parts(&self) -> Vec<Part> {
        self.records.parts()
    }
}
