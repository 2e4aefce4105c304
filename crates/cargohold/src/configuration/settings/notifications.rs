//! `notifications`: who is told what happens.

use cargohold_registry::Action;

use super::{HOUR, Setting, times};
use crate::{
    configuration::{
        Configuration,
        form::{Choice, Count, Flag, Perhaps, Period, WebAddress, Words},
        slot::{Field, Headers, Hidden, Records, Several},
    },
    notifications::EndpointSettings,
};

const ACTIONS: Choice<Action> =
    Choice(&[("push", Action::Push), ("pull", Action::Pull), ("mount", Action::Mount), ("delete", Action::Delete)]);

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "notifications.events.includereferences",
        about: "Whether an event about a manifest names what it refers to: its configuration and layers, or its children.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.notifications.include_references),
    },
    Setting {
        key: "notifications.endpoints",
        about: "Who is told what happens in the registry, by a POST for each event. What changes something is told at least once, \
                in order, over restarts too. SIGHUP has the section `notifications` read again.",
        slot: &Records(ENDPOINT, |to: &mut Configuration| &mut to.notifications.endpoints),
    },
];

const ENDPOINT: &[Setting<EndpointSettings>] = &[
    Setting {
        key: "name",
        about: "What the log and the commands call it. What waits for it is kept by this name.",
        slot: &Field(Words(1..=100), |to: &mut EndpointSettings| &mut to.told.name),
    },
    Setting {
        key: "disabled",
        about: "Nothing is written down for it and nothing is sent. What waits for it stays.",
        slot: &Field(Flag, |to: &mut EndpointSettings| &mut to.told.disabled),
    },
    Setting {
        key: "url",
        about: "Where events are sent. A redirect (307 or 308) is followed to the same host only.",
        slot: &Field(WebAddress, |to: &mut EndpointSettings| &mut to.url),
    },
    Setting {
        key: "headers",
        about: "Sent with each event, such as `Authorization: [Bearer <token>]`.",
        slot: &Hidden(Headers(|to: &mut EndpointSettings| &mut to.headers)),
    },
    Setting {
        key: "secret",
        about: "Signs each event: `X-Hub-Signature-256`, and the headers of Standard Webhooks. `secretfile` names a file that has it.",
        slot: &Hidden(Field(Perhaps(Words(1..=1000)), |to: &mut EndpointSettings| &mut to.secret)),
    },
    Setting {
        key: "timeout",
        about: "How long it may take to answer: 10s if nothing is said, and 1s in a file of the CNCF registry (`version: 0.1`).",
        slot: &Field(Perhaps(Period(times(0, HOUR))), |to: &mut EndpointSettings| &mut to.timeout),
    },
    Setting {
        key: "threshold",
        about: "How many failures in a row it takes until it is left alone for `backoff`. Before that it is tried again within moments.",
        slot: &Field(Count(0..=1_000_000), |to: &mut EndpointSettings| &mut to.told.threshold),
    },
    Setting {
        key: "backoff",
        about: "How long it is left alone then, at first; with each failure that follows twice as long, up to a minute.",
        slot: &Field(Period(times(0, HOUR)), |to: &mut EndpointSettings| &mut to.told.backoff),
    },
    Setting {
        key: "pulls",
        about: "Whether it is told of pulls, which may be lost: `false` if nothing is said, and `true` in a file of the CNCF registry \
                (`version: 0.1`).",
        slot: &Field(Perhaps(Flag), |to: &mut EndpointSettings| &mut to.pulls),
    },
    Setting {
        key: "ignore.mediatypes",
        about: "It is not told of content of these types. Blobs are `application/octet-stream`.",
        slot: &Several(Words(1..=255), |to: &mut EndpointSettings| &mut to.told.ignored_media_types),
    },
    Setting {
        key: "ignore.actions",
        about: "It is not told of these.",
        slot: &Several(ACTIONS, |to: &mut EndpointSettings| &mut to.told.ignored_actions),
    },
    Setting {
        key: "ignoredmediatypes",
        about: "As `ignore.mediatypes`, by its older name.",
        slot: &Several(Words(1..=255), |to: &mut EndpointSettings| &mut to.ignored_media_types),
    },
    Setting {
        key: "maxpending",
        about: "How many events may wait for it. Beyond that the oldest are dropped, which is logged and counted.",
        slot: &Field(Count(1..=100_000_000), |to: &mut EndpointSettings| &mut to.told.most_pending),
    },
    Setting {
        key: "maxattempts",
        about: "How often an event is tried before the next one has its turn; `cargohold notifications redeliver` tries it again. \
                Without it an event is tried until it is taken, and those behind it wait.",
        slot: &Field(Perhaps(Count(1..=1_000_000)), |to: &mut EndpointSettings| &mut to.told.most_attempts),
    },
];
