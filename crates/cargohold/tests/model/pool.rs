//! What one sequence is about: a few names, tags, contents and manifests, so that requests meet what others left behind.

use serde_json::json;

use crate::{
    digest::{sha256, sha512},
    manifest::{DOCKER_IMAGE, DOCKER_LIST, Draft, IMAGE, INDEX, Manifest, Role, descriptor},
    random::Random,
};

const MANIFESTS: usize = 16;
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
pub(crate) const ARTIFACT_TYPES: [&str; 3] = [CONFIG, "application/vnd.example.sbom+json", "text/plain; a=b"];

/// Names whose order differs from that of folders, and one that is made of words of the API.
const REPOSITORIES: [&str; 5] = ["a", "a/b", "a-b", "tags/list", "x/blobs/uploads"];
const TAGS: [&str; 5] = ["latest", "v1.0", "_x", "Z", "10"];

#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) repositories: Vec<&'static str>,
    pub(crate) tags: Vec<String>,
    pub(crate) contents: Vec<Vec<u8>>,
    /// Each refers only to those before it.
    pub(crate) manifests: Vec<Manifest>,
    /// Never pushed by anybody.
    pub(crate) nowhere: String,
}

impl Pool {
    pub(crate) fn new(random: &mut Random) -> Self {
        let first = random.below(REPOSITORIES.len());
        let mut pool = Self {
            repositories: (0..3).map(|at| REPOSITORIES[(first + at) % REPOSITORIES.len()]).collect(),
            tags: TAGS.map(str::to_owned).to_vec(),
            contents: contents(random),
            manifests: Vec::new(),
            nowhere: sha256(b"never pushed"),
        };
        for number in 0..MANIFESTS {
            let manifest = pool.manifest(random, number);
            pool.manifests.push(manifest);
        }
        for suffix in ["", "", ".sig", ".att", ".sbom", ".other"] {
            let about = random.pick(&pool.manifests).sha256();
            pool.tags.push(about.replace(':', "-") + suffix);
        }
        pool.tags.push(sha512(b"").replace(':', "-")[..71].to_owned());
        pool
    }

    /// The digest of one of the contents, more often by sha256.
    pub(crate) fn blob(&self, random: &mut Random) -> String {
        let content = random.pick(&self.contents);
        if random.chance(15) { sha512(content) } else { sha256(content) }
    }

    /// The content of that digest.
    pub(crate) fn content_of(&self, digest: &str) -> Option<usize> {
        self.contents.iter().position(|content| crate::digest::is_of(digest, content))
    }

    /// The manifest of that digest.
    pub(crate) fn manifest_of(&self, digest: &str) -> Option<usize> {
        self.manifests.iter().position(|manifest| crate::digest::is_of(digest, &manifest.bytes))
    }

    fn manifest(&self, random: &mut Random, number: usize) -> Manifest {
        let mut draft = match random.below(100) {
            0..35 => self.image(random, IMAGE),
            35..42 => self.image(random, DOCKER_IMAGE),
            42..93 => self.index(random, INDEX),
            _ => self.index(random, DOCKER_LIST),
        };
        // Makes no two alike.
        draft.set("org.example.number", json!(number));
        if random.chance(40) {
            let about = if random.chance(15) { self.nowhere.clone() } else { self.earlier(random).0 };
            draft.set("subject", descriptor(IMAGE, &about, 7));
        }
        if random.chance(30) {
            draft.set("artifactType", json!(random.pick(&ARTIFACT_TYPES)));
        }
        if random.chance(40) {
            draft.set("annotations", json!({ "org.example.note": format!("note {}", random.below(3)) }));
        }
        if random.chance(6) {
            let (key, value) = random
                .pick(&[
                    ("schemaVersion", json!(1)),
                    ("config", json!(7)),
                    ("manifests", json!({})),
                    ("mediaType", json!(3)),
                ])
                .clone();
            draft.spoil(key, value);
        }
        draft.finish()
    }

    fn image(&self, random: &mut Random, media_type: &'static str) -> Draft {
        let config = self.blob(random);
        let mut draft = Draft::image(media_type, descriptor(random.pick(&ARTIFACT_TYPES), &config, 2));
        for _ in 0..random.below(3) {
            let digest = if random.chance(5) { self.nowhere.clone() } else { self.blob(random) };
            let kind = random.pick(&[LAYER, LAYER, LAYER, FOREIGN_LAYER]);
            let mut layer = descriptor(kind, &digest, 7);
            let elsewhere = kind == FOREIGN_LAYER || random.chance(10);
            if elsewhere && (kind == LAYER || random.chance(50)) {
                layer["urls"] = json!(["https://store.example.com/layer"]);
            }
            draft.layer(layer, if elsewhere { Role::Foreign } else { Role::Blob });
        }
        if media_type == IMAGE && random.chance(15) {
            draft.remove("mediaType");
        }
        draft
    }

    fn index(&self, random: &mut Random, media_type: &'static str) -> Draft {
        let mut draft = Draft::index(media_type);
        for _ in 0..random.below(4) {
            let (digest, kind) = if random.chance(10) { (self.blob(random), LAYER) } else { self.earlier(random) };
            draft.child(descriptor(kind, &digest, 7));
        }
        if media_type == INDEX && random.chance(15) {
            draft.remove("mediaType");
        }
        draft
    }

    /// A manifest that is there already, mostly one of the last few, so that long chains come about.
    fn earlier(&self, random: &mut Random) -> (String, &'static str) {
        let whole: Vec<_> = self.manifests.iter().filter(|manifest| !manifest.broken).collect();
        let Some(last) = whole.len().checked_sub(1) else { return (self.nowhere.clone(), IMAGE) };
        let back = if random.chance(60) { random.below(4).min(last) } else { random.below(whole.len()) };
        let manifest = whole[last - back];
        (if random.chance(10) { manifest.sha512() } else { manifest.sha256() }, manifest.media_type)
    }
}

fn contents(random: &mut Random) -> Vec<Vec<u8>> {
    let mut contents = vec![Vec::new(), b"{}".to_vec()];
    // From one byte to more than what is sent as a mapped file.
    for length in [1, 30, 2048, 5000, 262_144 + 77] {
        contents.push(random.bytes(length));
    }
    contents
}
