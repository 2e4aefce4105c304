//! What the clients push: one image that can be run, and an index of two platforms, each as an OCI layout made by hand; and the
//! folder from which docker builds the same image.
//!
//! The image has three layers: the program, 30 MB of random bytes, and a line of text. Running it prints [`Images::greeting`],
//! which depends on every layer. The bytes differ from run to run, so that no client's cache knows them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::command::Tool;
use super::digest;
use super::random::Random;
use super::scratch::Scratch;
use super::tools::locate_or_say;

/// The media type of an OCI image manifest.
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI image index.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of a Docker schema 2 manifest.
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The media type of a Docker manifest list.
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

const LARGE_BYTES: usize = 30_000_000;

/// The tag that the layouts' entries carry.
pub(crate) const LAYOUT_TAG: &str = "made-by-hand";

/// Everything there is to push.
#[derive(Debug)]
pub(crate) struct Images {
    /// A folder with a Dockerfile for the image, and what it copies.
    pub(crate) context: PathBuf,
    /// What running the image prints.
    pub(crate) greeting: String,
    /// The image that can be run.
    pub(crate) image: Layout,
    /// An index of two images, for this machine's platform and for another.
    pub(crate) index: Layout,
    /// The digests of the index's two children.
    pub(crate) children: [String; 2],
    /// A layer to append: a tar file, not compressed.
    pub(crate) further_layer: PathBuf,
}

/// An OCI image layout with one entry (image-spec, image-layout.md).
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) folder: PathBuf,
    /// The digest and the exact bytes of the manifest or index that is its entry.
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

/// A layer as it lies in a layout.
struct Layer {
    descriptor: Value,
    diff_id: String,
}

impl Images {
    /// Makes them in the scratch folder, with bytes from `random`.
    pub(crate) fn make(scratch: &Scratch, random: &mut Random) -> Result<Self> {
        Self::make_for("", scratch, random)
    }

    /// As [`make`](Self::make), in folders whose names begin with `prefix`, for flows that others run beside.
    pub(crate) fn make_for(prefix: &str, scratch: &Scratch, random: &mut Random) -> Result<Self> {
        let folder = |name: &str| scratch.folder(&format!("{prefix}{name}"));
        let context = folder("context")?;
        let (large, small) = (random.bytes(LARGE_BYTES), format!("hello from run {:016x}", random.next()));
        let greeting = format!("{:016x} {small}", fnv1a(&large));
        fs::write(context.join("large"), large)?;
        fs::write(context.join("small"), format!("{small}\n"))?;
        fs::write(context.join("other"), random.bytes(100_000))?;
        fs::write(context.join("further"), random.bytes(50_000))?;
        fs::write(context.join("Dockerfile"), DOCKERFILE)?;
        compile(&context.join("program"))?;

        let layout = LayoutWriter::new(folder("layout-image")?, &context)?;
        let layers = [layout.layer("program")?, layout.layer("large")?, layout.layer("small")?];
        let manifest = layout.image(own_architecture(), &layers)?;
        let image = layout.finish(&manifest)?;

        let layout = LayoutWriter::new(folder("layout-index")?, &context)?;
        let (own, other) = (own_architecture(), other_architecture());
        let own_image = layout.image(own, &[layout.layer("program")?, layout.layer("small")?])?;
        let other_image = layout.image(other, &[layout.layer("other")?, layout.layer("small")?])?;
        let children =
            [own_image["digest"].to_string(), other_image["digest"].to_string()].map(|text| text.replace('"', ""));
        let index = layout.index(&[(own, own_image), (other, other_image)])?;
        let index = layout.finish(&index)?;

        let further_layer = folder("layer")?.join("further.tar");
        archive(&context, "further", &["--file".as_ref(), further_layer.as_os_str()])?;
        Ok(Self { context, greeting, image, index, children, further_layer })
    }
}

impl Layout {
    /// How skopeo and podman name the layout's entry.
    pub(crate) fn oci_name(&self) -> String {
        format!("oci:{}:{LAYOUT_TAG}", self.folder.display())
    }

    /// The digests of all blobs in it, the entry's own among them.
    pub(crate) fn blobs(&self) -> Result<Vec<String>> {
        blobs_of_layout(&self.folder)
    }
}

/// The digests of all blobs in the layout in `folder`, in order; each file's bytes are checked to have the digest that names it.
pub(crate) fn blobs_of_layout(folder: &Path) -> Result<Vec<String>> {
    let mut digests = Vec::new();
    for entry in fs::read_dir(folder.join("blobs/sha256"))? {
        let file = entry?.path();
        let digest = digest::sha256(&fs::read(&file)?);
        anyhow::ensure!(file.ends_with(digest::hash(&digest)), "{} holds {digest}", file.display());
        digests.push(digest);
    }
    digests.sort();
    Ok(digests)
}

/// The architecture of this machine, as images name it (Go's names).
pub(crate) fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// An architecture that this machine does not have.
pub(crate) fn other_architecture() -> &'static str {
    if own_architecture() == "arm64" { "amd64" } else { "arm64" }
}

const DOCKERFILE: &str = "\
FROM scratch
COPY program /program
COPY large /large
COPY small /small
ENTRYPOINT [\"/program\"]
";

/// Writes one layout.
struct LayoutWriter<'a> {
    folder: PathBuf,
    /// The folder with the files that layers are made of.
    context: &'a Path,
}

impl<'a> LayoutWriter<'a> {
    fn new(folder: PathBuf, context: &'a Path) -> Result<Self> {
        fs::create_dir_all(folder.join("blobs/sha256"))?;
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Self { folder, context })
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Result<Value> {
        let digest = digest::sha256(bytes);
        fs::write(self.folder.join("blobs/sha256").join(digest::hash(&digest)), bytes)?;
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }))
    }

    /// A layer with one file of the context.
    fn layer(&self, file: &str) -> Result<Layer> {
        let scratch = self.folder.with_extension("tar");
        archive(self.context, file, &["--file".as_ref(), scratch.as_os_str()])?;
        let diff_id = digest::sha256(&fs::read(&scratch)?);
        archive(self.context, file, &["--gzip".as_ref(), "--file".as_ref(), scratch.as_os_str()])?;
        let descriptor = self.blob(OCI_LAYER, &fs::read(&scratch)?)?;
        fs::remove_file(scratch)?;
        Ok(Layer { descriptor, diff_id })
    }

    fn image(&self, architecture: &str, layers: &[Layer]) -> Result<Value> {
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let history: Vec<Value> = layers.iter().map(|_| json!({ "created_by": "cargo xtask e2e" })).collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Entrypoint": ["/program"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": history,
        });
        let config = self.blob(OCI_CONFIG, &serde_json::to_vec(&config)?)?;
        let layers: Vec<&Value> = layers.iter().map(|layer| &layer.descriptor).collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers });
        // Spaces and a newline that no client would write: they show whether the bytes are kept as they are.
        self.blob(OCI_MANIFEST, format!("{manifest:#} \n").as_bytes())
    }

    fn index(&self, images: &[(&str, Value)]) -> Result<Value> {
        let manifests: Vec<Value> = images
            .iter()
            .map(|(architecture, descriptor)| {
                let mut descriptor = descriptor.clone();
                descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
                descriptor
            })
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
        self.blob(OCI_INDEX, format!("{index:#}\n").as_bytes())
    }

    fn finish(self, entry: &Value) -> Result<Layout> {
        let digest = entry["digest"].as_str().context("the entry has a digest")?.to_owned();
        let bytes = fs::read(self.folder.join("blobs/sha256").join(digest::hash(&digest)))?;
        let mut entry = entry.clone();
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": LAYOUT_TAG });
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] });
        fs::write(self.folder.join("index.json"), serde_json::to_vec(&index)?)?;
        Ok(Layout { folder: self.folder, digest, bytes })
    }
}

/// Puts one file of a folder into a tar, with nothing in it that depends on who does so or when.
fn archive(folder: &Path, file: &str, how: &[&std::ffi::OsStr]) -> Result<()> {
    let mut tar = Tool::new(locate_or_say("tar")?).argument("--create");
    for option in how {
        tar = tar.argument(*option);
    }
    tar.argument("--directory").argument(folder).run(&["--owner=0", "--group=0", "--mtime=@0", "--mode=0755", file])?;
    Ok(())
}

fn compile(program: &Path) -> Result<()> {
    let source = program.with_extension("c");
    fs::write(&source, include_str!("greeting.c"))?;
    Tool::new(locate_or_say("cc")?)
        .argument("-o")
        .argument(program)
        .argument(&source)
        .run(&["-static", "-O2", "-s"])?;
    Ok(())
}

/// The 64-bit FNV-1a hash, as `greeting.c` computes it.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{LayoutWriter, blobs_of_layout, fnv1a};

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_layout_names_its_blobs_by_digest_and_has_one_tagged_entry() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("small"), "text").unwrap();
        let writer = LayoutWriter::new(folder.path().join("layout"), folder.path()).unwrap();
        let manifest = writer.image("amd64", &[writer.layer("small").unwrap()]).unwrap();
        let index = writer.index(&[("amd64", manifest.clone())]).unwrap();
        let layout = writer.finish(&index).unwrap();

        assert_eq!(blobs_of_layout(&layout.folder).unwrap().len(), 4);
        assert_eq!(super::digest::sha256(&layout.bytes), layout.digest);
        let entries: Value = serde_json::from_slice(&std::fs::read(layout.folder.join("index.json")).unwrap()).unwrap();
        assert_eq!(entries["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "made-by-hand");
        let index: Value = serde_json::from_slice(&layout.bytes).unwrap();
        assert_eq!(index["manifests"][0]["digest"], manifest["digest"]);
        assert_eq!(index["manifests"][0]["platform"]["architecture"], "amd64");
    }
}
