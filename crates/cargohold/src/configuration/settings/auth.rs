//! `auth`: how callers are told apart.

use super::Setting;
use crate::configuration::{
    Configuration,
    form::{Choice, File, Perhaps, Words},
    slot::Field,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "auth",
        about: "How callers are told apart. `open` lets everybody who reaches the registry do everything. Left out, the \
                registry listens where only this machine reaches it, and answers to the name `localhost` only.",
        slot: &Field(Choice(&[("open", true)]), |to: &mut Configuration| &mut to.auth.open),
    },
    Setting {
        key: "auth.htpasswd.path",
        about: "The file with those who may do everything: lines of `<user>:<hash>` as `htpasswd -B` makes them, hashed with bcrypt. \
                It is read again when it changes.",
        slot: &Field(Perhaps(File), |to: &mut Configuration| &mut to.auth.htpasswd),
    },
    Setting {
        key: "auth.htpasswd.realm",
        about: "What people are told that the password is for.",
        slot: &Field(Words(1..=200), |to: &mut Configuration| &mut to.auth.realm),
    },
    Setting {
        key: "auth.anonymous",
        about: "What those may do who show no password, beside `auth.htpasswd`: `pull` lets everybody read every repository.",
        slot: &Field(Choice(&[("nothing", false), ("pull", true)]), |to: &mut Configuration| {
            &mut to.auth.anonymous_pull
        }),
    },
];
