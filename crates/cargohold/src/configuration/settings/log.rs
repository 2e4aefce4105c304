//! `log`: what is logged, how and where.

use super::Setting;
use crate::{
    configuration::{
        Configuration,
        form::{Choice, Flag, LogOutput},
        slot::{Field, Texts},
    },
    logging::{AccessFormat, Formatter, Level},
};

/// How much is said.
const LEVEL: Field<Choice<Level>, Configuration> = Field(
    Choice(&[("error", Level::Error), ("warn", Level::Warn), ("info", Level::Info), ("debug", Level::Debug)]),
    |to| &mut to.logging.level,
);

pub(super) const SETTINGS: &[Setting] = &[
    Setting { key: "loglevel", about: "An old name of `log.level`.", slot: &LEVEL },
    Setting {
        key: "log.level",
        about: "How much is logged of what happens. Requests are logged whatever it is: see `log.accesslog.disabled`. The variable \
                `RUST_LOG`, if it is set, counts instead of both.",
        slot: &LEVEL,
    },
    Setting {
        key: "log.formatter",
        about: "How a line looks: `text` for people, `json` for programs, `logstash` for Logstash.",
        slot: &Field(
            Choice(&[("text", Formatter::Text), ("json", Formatter::Json), ("logstash", Formatter::Logstash)]),
            |to: &mut Configuration| &mut to.logging.formatter,
        ),
    },
    Setting {
        key: "log.output",
        about: "Where the lines go: `stderr`, `stdout`, or the path of a file, which is opened anew on SIGHUP.",
        slot: &Field(LogOutput, |to: &mut Configuration| &mut to.logging.output),
    },
    Setting {
        key: "log.fields",
        about: "What every line says beside its own, by name: `service: registry`.",
        slot: &Texts(|to: &mut Configuration| &mut to.logging.fields),
    },
    Setting {
        key: "log.reportcaller",
        about: "Whether lines tell where in the program they come from.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.logging.report_caller),
    },
    Setting {
        key: "log.accesslog.disabled",
        about: "Whether nothing is logged of requests.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.logging.access.disabled),
    },
    Setting {
        key: "log.accesslog.format",
        about: "How a line about a request looks: `structured` as every other line, with all that is known, `combined` or `common` as \
                Apache writes them.",
        slot: &Field(
            Choice(&[
                ("structured", AccessFormat::Structured),
                ("combined", AccessFormat::Combined),
                ("common", AccessFormat::Common),
            ]),
            |to: &mut Configuration| &mut to.logging.access.format,
        ),
    },
    Setting {
        key: "log.accesslog.output",
        about: "Where the lines about requests go, as `log.output` says it.",
        slot: &Field(LogOutput, |to: &mut Configuration| &mut to.logging.access.output),
    },
];
