//! Image manifests, artifacts and indexes of every shape that the data sets need.

use serde_json::{Value, json};

use super::{Content, IMAGE_INDEX, IMAGE_MANIFEST};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY_JSON: &str = "application/vnd.oci.empty.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIPPED_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
const FOREIGN_GZIPPED_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

/// What a manifest looks like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture<'a> {
    pub(crate) layers: Layers<'a>,
    /// An artifact has this type, and the empty JSON object for a configuration.
    pub(crate) artifact_type: Option<&'a str>,
    pub(crate) annotations: Vec<(String, String)>,
    /// The descriptor of what it is about.
    pub(crate) subject: Option<Value>,
    /// Whether descriptors carry the bytes of what they name.
    pub(crate) embedded: bool,
    /// Whether the manifest and the configuration have fields that no specification knows.
    pub(crate) unknown_fields: bool,
}

/// The layers of an image.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Layers<'a> {
    #[default]
    TwoGzipped,
    Two,
    One,
    None,
    /// One of random bytes, with this media type.
    Random(&'a str),
    /// One, which is the empty JSON object.
    EmptyJson,
    /// Two that nobody sends and that are to be fetched elsewhere, and one as usual.
    TwoForeign,
}

impl Content {
    /// Adds an image or artifact with all its blobs.
    pub(crate) fn image(&mut self, picture: &Picture<'_>, architecture: &str) -> usize {
        let mut layers = self.layers(picture.layers);
        let mut config = self.config(picture, architecture);
        if picture.embedded {
            for descriptor in layers.iter_mut().chain([&mut config]) {
                self.embed(descriptor);
            }
        }
        let mut manifest =
            json!({ "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": config, "layers": layers });
        self.finish(&mut manifest, picture);
        self.manifest(IMAGE_MANIFEST, &manifest)
    }

    /// Adds an index of an image for each of two platforms, and the images.
    pub(crate) fn two_platforms(&mut self, picture: &Picture<'_>) -> usize {
        let children = ["amd64", "arm64"].map(|architecture| {
            let image = self.image(picture, architecture);
            let mut child = self.descriptor(image);
            child["platform"] = json!({ "os": "linux", "architecture": architecture });
            child
        });
        self.index(picture, &children)
    }

    /// Adds an index of descriptors.
    pub(crate) fn index(&mut self, picture: &Picture<'_>, children: &[Value]) -> usize {
        let mut index = json!({ "schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": children });
        self.finish(&mut index, picture);
        self.manifest(IMAGE_INDEX, &index)
    }

    /// A descriptor of an image that nobody has.
    pub(crate) fn missing_image(&mut self, size: usize) -> Value {
        let digest = self.algorithm.digest(&self.random.bytes(size));
        json!({ "mediaType": IMAGE_MANIFEST, "digest": digest, "size": size })
    }

    /// Leaves a blob out: the first layer of the first image.
    pub(crate) fn forget_first_layer(&mut self) {
        self.blobs.remove(0);
    }

    fn layers(&mut self, layers: Layers<'_>) -> Vec<Value> {
        match layers {
            Layers::TwoGzipped => vec![self.layer(GZIPPED_LAYER), self.layer(GZIPPED_LAYER)],
            Layers::Two => vec![self.layer(LAYER), self.layer(LAYER)],
            Layers::One => vec![self.layer(GZIPPED_LAYER)],
            Layers::None => Vec::new(),
            Layers::Random(media_type) => {
                let bytes = self.random.bytes(2048);
                vec![self.blob(media_type, bytes)]
            }
            Layers::EmptyJson => vec![self.blob(EMPTY_JSON, b"{}".to_vec())],
            Layers::TwoForeign => vec![
                self.foreign_layer(FOREIGN_GZIPPED_LAYER, 123_456),
                self.foreign_layer(FOREIGN_LAYER, 12_345),
                self.layer(GZIPPED_LAYER),
            ],
        }
    }

    /// A layer of random bytes: registries do not look into layers.
    fn layer(&mut self, media_type: &str) -> Value {
        let bytes = self.random.bytes(300);
        self.blob(media_type, bytes)
    }

    fn foreign_layer(&mut self, media_type: &str, size: u64) -> Value {
        let digest = self.algorithm.digest(&self.random.bytes(32));
        let place = format!("https://store.example.com/layers/{}", digest.replace(':', "/"));
        json!({ "mediaType": media_type, "digest": digest, "size": size, "urls": [place] })
    }

    fn config(&mut self, picture: &Picture<'_>, architecture: &str) -> Value {
        if picture.artifact_type.is_some() {
            return self.blob(EMPTY_JSON, b"{}".to_vec());
        }
        let mut config = json!({
            "os": "linux",
            "architecture": architecture,
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        if picture.unknown_fields {
            self.add_unknown_field(&mut config);
        }
        self.blob(CONFIG, config.to_string().into_bytes())
    }

    fn finish(&mut self, manifest: &mut Value, picture: &Picture<'_>) {
        if let Some(artifact_type) = picture.artifact_type {
            manifest["artifactType"] = artifact_type.into();
        }
        if !picture.annotations.is_empty() {
            manifest["annotations"] = picture.annotations.iter().cloned().collect();
        }
        if let Some(subject) = &picture.subject {
            manifest["subject"] = subject.clone();
        }
        if picture.unknown_fields {
            self.add_unknown_field(manifest);
        }
    }

    fn add_unknown_field(&mut self, object: &mut Value) {
        let (name, value) = (self.random_word(), self.random_word());
        object[format!("org.example.unknown-{name}")] = value.into();
    }

    fn embed(&self, descriptor: &mut Value) {
        let blob = self.blobs.iter().find(|blob| descriptor["digest"] == *blob.digest);
        descriptor["data"] = blob.map_or(Value::Null, |blob| base64(&blob.bytes).into());
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let told: Vec<String> = ["", "f", "fo", "foo", "foob"].iter().map(|text| base64(text.as_bytes())).collect();
        assert_eq!(told, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }
}
