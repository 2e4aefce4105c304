//! Every fact in words that do not depend on ids, so that two databases with the same content say the same.

use super::{Facts, Outcome};
use crate::tests::sweep::BROKEN;

const FACTS: &[(&str, &str)] = &[
    ("repository", "select name, published_at is not null, deleted_at is not null from repositories"),
    ("blob", "select digest, size, state, key from readable_blobs"),
    ("object", "select state, key, size, upload_id, delete_after from objects where blob_id is null"),
    (
        "link",
        "select distinct r.name, b.digest, l.unreferenced_since, l.deleted_at
         from repository_blobs l
         join repositories r on r.id = l.repository_id
         left join readable_blobs b on b.id = l.blob_id",
    ),
    ("payloads", "select count(*) from manifest_payloads"),
    (
        "manifest",
        "select m.repository, m.digest, m.deleted_at, o.config_blob is not null, w.digest
         from readable_manifests m
         join manifests o on o.id = m.id
         left join readable_manifests w on w.id = o.deleted_with",
    ),
    (
        "reference",
        "select distinct m.repository, m.digest, f.position, f.kind, b.digest, c.digest, f.absent_digest is not null
         from manifest_references f
         join readable_manifests m on m.id = f.manifest_id
         left join readable_blobs b on b.id = f.blob_id
         left join readable_manifests c on c.id = f.child_manifest_id",
    ),
    ("tag", "select repository, tag, digest from readable_tags"),
    (
        "history",
        "select h.name, o.digest, n.digest, h.cause
         from tag_history h
         left join readable_manifests o on o.id = h.old_manifest_id
         left join readable_manifests n on n.id = h.new_manifest_id",
    ),
    // Which come before it is a part of what an event says.
    ("event", "select v.body, (select count(*) from events w where w.id < v.id) from events v"),
    (
        "delivery",
        "select n.name, v.body from deliveries d left join endpoints n on n.id = d.endpoint_id join events v on v.id = d.event_id",
    ),
    ("endpoint", "select name, dropped from endpoints"),
    ("upload", "select id, epoch, received from uploads"),
    (
        "candidate",
        "select distinct k.kind, k.review_after, r.name, b.digest, m.digest, k.kind = 'payload' and p.id is not null
         from sweep_candidates k
         left join repositories r on r.id = k.repository_id
         left join readable_blobs b on k.kind in ('link', 'blob') and b.id = k.id
         left join readable_manifests m on k.kind = 'manifest' and m.id = k.id
         left join manifest_payloads p on k.kind = 'payload' and p.id = k.id",
    ),
];

pub(super) fn take(facts: &Facts) -> Vec<String> {
    let mut lines: Vec<_> = FACTS
        .iter()
        .flat_map(|(what, query)| facts.ask(query).into_iter().map(move |line| format!("{what} {line}")))
        .collect();
    lines.sort();
    lines
}

/// Nothing refers to what is not there, and nobody was promised what is gone.
pub(super) fn assert_whole(facts: &Facts) {
    for (what, query) in BROKEN {
        assert_eq!(facts.ask(query), [""; 0], "{what}");
    }
}

/// What a person needs to see of an outcome that should not be.
pub(super) fn difference(outcome: &Outcome, serial: &[Outcome; 2]) -> String {
    let answers = &outcome.answers;
    let mut lines = vec![format!("  answers: {answers:?}, in turn {:?} or {:?}", serial[0].answers, serial[1].answers)];
    for (order, serial) in ["first before second", "second before first"].iter().zip(serial) {
        lines.push(format!("  beside {order}:"));
        let more = outcome.facts.iter().filter(|line| !serial.facts.contains(line));
        lines.extend(more.map(|line| format!("    + {line}")));
        let less = serial.facts.iter().filter(|line| !outcome.facts.contains(line));
        lines.extend(less.map(|line| format!("    - {line}")));
    }
    lines.join("\n")
}
