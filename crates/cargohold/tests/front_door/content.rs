//! Bytes to push, and what they are called.

use std::fmt::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The digest that nearly everything goes by.
pub(crate) fn digest(content: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", hex(&Sha256::digest(content)))
}

pub(crate) fn sha512(content: impl AsRef<[u8]>) -> String {
    format!("sha512:{}", hex(&Sha512::digest(content)))
}

/// The digest by the algorithm of that name.
pub(crate) fn digest_by(algorithm: &str, content: impl AsRef<[u8]>) -> String {
    if algorithm == "sha512" { sha512(content) } else { digest(content) }
}

fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

/// Bytes that look like no others: no two lengths or seeds give the same beginning or end.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ length as u64 ^ 0x2545_f491_4f6c_dd1d;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

pub(crate) fn descriptor(media_type: &str, content: impl AsRef<[u8]>) -> Value {
    json!({ "mediaType": media_type, "digest": digest(&content), "size": content.as_ref().len() })
}

pub(crate) fn image(config: &Value, layers: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers })
}

pub(crate) fn index(children: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children })
}

/// A manifest that needs no other content; each note makes another one.
pub(crate) fn note(text: &str) -> Vec<u8> {
    let mut index = index(&[]);
    index["annotations"] = json!({ "note": text });
    index.to_string().into_bytes()
}
