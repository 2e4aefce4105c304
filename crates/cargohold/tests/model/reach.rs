//! Whether the sequences reach what they are for. No server is asked: the model alone says what would be answered.

use std::collections::BTreeMap;

use crate::{
    generator::Generator,
    model::{Model, References},
    pool::Pool,
    random::Random,
    step::Step,
};

/// How often each kind of step gets each answer, and how much goes with what is deleted.
fn tally(references: References) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for number in 0..25 {
        let mut random = Random::part(1, number);
        let pool = Pool::new(&mut random);
        let (mut generator, mut model) = (Generator::new(&pool, random), Model::new(references, &pool));
        for _ in 0..crate::STEPS {
            let step = generator.next(&model);
            let before = step.repository().map(|name| model.repository(name).clone());
            let expected = model.answer(&step, &pool);
            let mut count = |label: String| *tally.entry(label).or_default() += 1;
            for promise in &expected.0 {
                count(format!("{} {}", step.name(), promise.outcome()));
            }
            if let (Step::DeleteManifest { repository, .. }, Some(before)) = (&step, before) {
                let after = model.repository(repository);
                count(format!("deleted manifests: {}", before.manifests.len() - after.manifests.len()));
                count(format!("deleted tags: {}", before.tags.len() - after.tags.len()));
            }
        }
    }
    tally
}

/// What every kind of step has to meet.
const OUTCOMES: [&str; 42] = [
    "amiss 400 NAME_INVALID",
    "amiss 405 UNSUPPORTED",
    "blob 200",
    "blob 206",
    "blob 304",
    "blob 400 DIGEST_INVALID",
    "blob 404 BLOB_UNKNOWN",
    "blob 416 RANGE_INVALID",
    "cancel 204",
    "cancel 404 BLOB_UPLOAD_UNKNOWN",
    "catalog 200",
    "catalog 400 PAGINATION_NUMBER_INVALID",
    "delete blob 202",
    "delete blob 404 BLOB_UNKNOWN",
    "delete blob 405 UNSUPPORTED",
    "delete manifest 202",
    "delete manifest 404 MANIFEST_UNKNOWN",
    "deleted manifests: 5",
    "deleted tags: 3",
    "discover 200",
    "discover 404 NAME_UNKNOWN",
    "manifest 200",
    "manifest 304",
    "manifest 404 MANIFEST_UNKNOWN",
    "patch 202",
    "patch 400 BLOB_UPLOAD_INVALID",
    "patch 400 SIZE_INVALID",
    "patch 416 RANGE_INVALID",
    "post 201",
    "post 202",
    "post 400 DIGEST_INVALID",
    "put 201",
    "put 400 DIGEST_INVALID",
    "put 404 BLOB_UPLOAD_UNKNOWN",
    "put 416 RANGE_INVALID",
    "put manifest 201",
    "put manifest 400 MANIFEST_INVALID",
    "put manifest 414 TAG_INVALID",
    "referrers 200",
    "status 204",
    "tags 200",
    "tags 404 NAME_UNKNOWN",
];

#[test]
fn the_sequences_reach_every_kind_of_answer() {
    for (references, missing) in [(References::All, true), (References::None, false)] {
        let tally = tally(references);
        for outcome in OUTCOMES {
            assert!(tally.contains_key(outcome), "{references:?}: {outcome} is not in {tally:#?}");
        }
        assert_eq!(tally.contains_key("put manifest 400 MANIFEST_BLOB_UNKNOWN"), missing, "{tally:#?}");
    }
}
