//! The table of data sets: what is pushed, listed, read and deleted, and in which versions.

use super::content::{Algorithm, Content, Layers, Picture};
use super::rules::Rules;

const TYPE_ONE: &str = "application/vnd.cargohold.check.one.v1";
const TYPE_TWO: &str = "application/vnd.cargohold.check.two.v1";

/// Content of one kind.
pub(crate) struct DataSet {
    pub(crate) name: &'static str,
    pub(crate) algorithm: Algorithm,
    /// Whether a run with these rules has it.
    pub(crate) wanted: fn(Rules) -> bool,
    pub(crate) make: fn(&mut Content),
}

/// In the order of a run.
pub(crate) const DATA_SETS: &[DataSet] = &[
    always("image", |content| {
        let image = content.image(&Picture::default(), "amd64");
        content.tag("image", image);
    }),
    always("image-uncompressed", |content| {
        let image = content.image(&Picture { layers: Layers::Two, ..Picture::default() }, "amd64");
        content.tag("uncompressed", image);
    }),
    always("large-manifest", large_manifest),
    always("index", |content| {
        let index = content.two_platforms(&Picture::default());
        content.tag("index", index);
    }),
    always("nested-index", nested_index),
    always("empty-index", |content| {
        let index = content.index(&Picture::default(), &[]);
        content.tag("empty-index", index);
    }),
    always("artifact", |content| {
        let artifact = content.image(&artifact(TYPE_ONE, TYPE_ONE), "");
        content.tag("artifact", artifact);
    }),
    always("artifact-index", |content| {
        let index = content.two_platforms(&artifact(TYPE_ONE, TYPE_ONE));
        content.tag("artifact-index", index);
    }),
    always("artifact-without-layers", |content| {
        let picture = Picture { layers: Layers::EmptyJson, ..artifact(TYPE_ONE, TYPE_ONE) };
        let artifact = content.image(&picture, "");
        content.tag("artifact-without-layers", artifact);
    }),
    always("artifacts-with-subject", artifacts_with_subject),
    always("index-with-subject", |content| {
        let subject = content.two_platforms(&Picture::default());
        content.tag("index", subject);
        let about = Picture { subject: Some(content.descriptor(subject)), ..described(content, TYPE_ONE, TYPE_ONE) };
        let index = content.two_platforms(&about);
        content.tag("tagged-artifact", index);
    }),
    always("missing-subject", |content| {
        let about = Picture { subject: Some(content.missing_image(123)), ..described(content, TYPE_ONE, TYPE_ONE) };
        let artifact = content.image(&about, "");
        content.tag("tagged-artifact", artifact);
    }),
    always("data-field", |content| {
        let image = content.image(&Picture { embedded: true, ..Picture::default() }, "amd64");
        content.tag("data-field", image);
    }),
    always("non-distributable-layers", |content| {
        let image = content.image(&Picture { layers: Layers::TwoForeign, ..Picture::default() }, "amd64");
        content.tag("non-distributable", image);
    }),
    always("custom-fields", |content| {
        let index = content.two_platforms(&Picture { unknown_fields: true, ..Picture::default() });
        content.tag("custom-fields", index);
    }),
    always("no-layers", |content| {
        let image = content.image(&Picture { layers: Layers::None, ..Picture::default() }, "amd64");
        content.tag("no-layers", image);
    }),
    DataSet { name: "sparse", algorithm: Algorithm::Sha256, wanted: |rules| rules.sparse, make: sparse },
    // Without tag parameters a tag cannot be given to a manifest under its sha512 digest.
    DataSet {
        name: "sha512",
        algorithm: Algorithm::Sha512,
        wanted: |_| true,
        make: |content| {
            content.two_platforms(&Picture::default());
        },
    },
    DataSet {
        name: "tag-param-sha256",
        algorithm: Algorithm::Sha256,
        wanted: Rules::tag_parameters,
        make: tag_parameters,
    },
    DataSet {
        name: "tag-param-sha512",
        algorithm: Algorithm::Sha512,
        wanted: Rules::tag_parameters,
        make: tag_parameters,
    },
    always("bad-digest-image", |content| {
        let image = content.image(&Picture::default(), "amd64");
        content.falsify(image);
    }),
];

const fn always(name: &'static str, make: fn(&mut Content)) -> DataSet {
    DataSet { name, algorithm: Algorithm::Sha256, wanted: |_| true, make }
}

fn artifact<'a>(artifact_type: &'a str, layer_type: &'a str) -> Picture<'a> {
    Picture { artifact_type: Some(artifact_type), layers: Layers::Random(layer_type), ..Picture::default() }
}

/// An artifact with annotations that its entry among the referrers has to repeat.
fn described<'a>(content: &mut Content, artifact_type: &'a str, layer_type: &'a str) -> Picture<'a> {
    let unique = Algorithm::Sha256.digest(&content.random_bytes(8));
    let annotations = vec![
        ("org.opencontainers.image.title".to_owned(), "a referrer".to_owned()),
        ("org.example.unique".to_owned(), unique),
    ];
    Picture { annotations, ..artifact(artifact_type, layer_type) }
}

/// Nearly the four megabytes that every registry has to take.
fn large_manifest(content: &mut Content) {
    let annotations = (0..390).map(|number| (format!("org.example.large-{number}"), "x".repeat(10_000))).collect();
    let image = content.image(&Picture { annotations, ..Picture::default() }, "amd64");
    content.tag("large-manifest", image);
}

fn nested_index(content: &mut Content) {
    let children = [(); 2].map(|()| {
        let index = content.two_platforms(&Picture::default());
        content.descriptor(index)
    });
    let index = content.index(&Picture::default(), &children);
    content.tag("nested-index", index);
}

fn artifacts_with_subject(content: &mut Content) {
    let subject = content.image(&Picture::default(), "amd64");
    content.tag("image", subject);
    let about = Some(content.descriptor(subject));
    content.image(&Picture { subject: about.clone(), ..Picture::default() }, "amd64");
    for (tag, artifact_type, layer_type) in
        [("tagged-artifact1", TYPE_ONE, TYPE_ONE), ("tagged-artifact2", TYPE_TWO, "application/octet-stream")]
    {
        let picture = Picture { subject: about.clone(), ..described(content, artifact_type, layer_type) };
        let artifact = content.image(&picture, "");
        content.tag(tag, artifact);
    }
}

/// An image that lacks a layer, and an index that lacks an image.
fn sparse(content: &mut Content) {
    let image = content.image(&Picture::default(), "amd64");
    content.tag("sparse-image", image);
    content.forget_first_layer();
    let present = content.image(&Picture::default(), "amd64");
    let children = [content.descriptor(present), content.missing_image(1024)];
    let index = content.index(&Picture::default(), &children);
    content.tag("sparse-index", index);
}

/// Each manifest gets a tag with its PUT, the index two.
fn tag_parameters(content: &mut Content) {
    let name = format!("tag-param-{}", content.algorithm.as_str());
    let index = content.two_platforms(&Picture::default());
    content.tag(name.clone(), index);
    for manifest in 0..content.manifests.len() {
        content.tag(format!("{name}-{manifest}"), manifest);
    }
    content.tag_parameters = true;
}

#[cfg(test)]
mod tests {
    use super::{Content, DATA_SETS};
    use crate::e2e::random::Random;

    fn made(name: &str) -> Content {
        let set = DATA_SETS.iter().find(|set| set.name == name).unwrap();
        let mut content = Content::new(set.algorithm, Random::new(7));
        (set.make)(&mut content);
        content
    }

    /// Blobs, manifests, tags and referrers of a set.
    fn sizes(name: &str) -> [usize; 4] {
        let content = made(name);
        [content.blobs.len(), content.manifests.len(), content.tags.len(), content.referrers.len()]
    }

    #[test]
    fn the_sets_have_the_sizes_that_make_the_counts_comparable() {
        assert_eq!(sizes("image"), [3, 1, 1, 0]);
        assert_eq!(sizes("nested-index"), [10, 7, 1, 0]);
        assert_eq!(sizes("artifact-without-layers"), [1, 1, 1, 0]);
        assert_eq!(sizes("artifacts-with-subject"), [8, 4, 3, 3]);
        assert_eq!(sizes("index-with-subject"), [9, 6, 2, 3]);
        assert_eq!(sizes("non-distributable-layers"), [2, 1, 1, 0]);
        assert_eq!(sizes("custom-fields"), [6, 3, 1, 0]);
        assert_eq!(sizes("sparse"), [4, 3, 2, 0]);
        assert_eq!(sizes("tag-param-sha512"), [6, 3, 4, 0]);
    }

    #[test]
    fn the_large_manifest_is_just_below_the_limit() {
        let size = made("large-manifest").manifests[0].bytes.len();
        assert!((3_900_000..4_000_000).contains(&size), "{size}");
    }

    #[test]
    fn a_sparse_image_names_a_layer_that_is_never_sent() {
        let content = made("sparse");
        let image: serde_json::Value = serde_json::from_slice(&content.manifests[0].bytes).unwrap();
        let sent =
            |descriptor: &serde_json::Value| content.blobs.iter().any(|blob| descriptor["digest"] == *blob.digest);
        assert!(!sent(&image["layers"][0]) && sent(&image["layers"][1]) && sent(&image["config"]));
    }

    #[test]
    fn everything_that_is_made_is_unique_but_for_what_platforms_share() {
        let content = made("custom-fields");
        let mut digests: Vec<&str> = content.blobs.iter().map(|blob| blob.digest.as_str()).collect();
        digests.extend(content.manifests.iter().map(|manifest| manifest.digest.as_str()));
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 9);
    }
}
