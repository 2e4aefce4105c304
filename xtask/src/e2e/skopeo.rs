//! Flows with skopeo: copies between layouts, folders and repositories, in both manifest families, byte for byte.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use super::command::Tool;
use super::digest;
use super::flows::{Setting, same};
use super::images::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, blobs_of_layout};
use super::sign_in::{self, Client, USER};
use super::tools::locate_or_say;

const REPOSITORY: &str = "skopeo/app";

/// All of skopeo's flows.
pub(crate) fn flows(setting: Setting<'_>) {
    let flow = |what, run: fn(&Skopeo, &Setting<'_>) -> Result<()>| {
        setting.report.flow("skopeo", what, || run(&Skopeo::new(&setting)?, &setting));
    };
    flow("an OCI image from a layout, and to a folder byte for byte", oci_image);
    flow("the same image as docker schema 2", docker_schema_2);
    flow("copy from repository to repository", copy_across);
    flow("an index with all its platforms, and back into a layout", index);
    flow("delete an image, and push it again", delete);
    match SignedIn::new(&setting) {
        Ok(client) => sign_in::flows("skopeo", &client, &setting),
        Err(error) => setting.report.flow("skopeo", "has credentials of its own", || Err(error)),
    }
}

fn oci_image(skopeo: &Skopeo, setting: &Setting<'_>) -> Result<()> {
    let image = &setting.images.image;
    let remote = remote(setting, REPOSITORY, "oci");
    skopeo.copy(&["--preserve-digests", &image.oci_name(), &remote])?;
    let served = setting.manifest(REPOSITORY, "oci")?;
    ensure!(served.bytes == image.bytes, "the manifest is not served as it was pushed");
    same("its media type", &served.media_type, OCI_MANIFEST)?;
    same("skopeo's digest of it", &skopeo.inspect(&["--format", "{{.Digest}}", &remote])?, &image.digest)?;

    let folder = setting.scratch.path("skopeo-folder");
    skopeo.copy(&["--preserve-digests", &remote, &format!("dir:{}", folder.display())])?;
    ensure!(fs::read(folder.join("manifest.json"))? == image.bytes, "the folder's manifest.json has other bytes");
    let blobs = blobs_of_folder(&folder)?;
    let pushed: Vec<String> = image.blobs()?.into_iter().filter(|digest| *digest != image.digest).collect();
    ensure!(blobs == pushed, "the folder has the blobs {blobs:?}, not {pushed:?}");

    let listed = skopeo.list_tags(setting, REPOSITORY)?;
    ensure!(listed == ["oci"], "skopeo lists the tags {listed:?}");
    Ok(())
}

fn docker_schema_2(skopeo: &Skopeo, setting: &Setting<'_>) -> Result<()> {
    let remote = remote(setting, REPOSITORY, "docker");
    skopeo.copy(&["--format", "v2s2", &setting.images.image.oci_name(), &remote])?;
    let served = setting.manifest(REPOSITORY, "docker")?;
    same("its media type", &served.media_type, DOCKER_MANIFEST)?;
    let raw = skopeo.inspect(&["--raw", &remote])?;
    same("the digest of the raw manifest", &digest::sha256(raw.as_bytes()), &served.digest)?;
    let folder = setting.scratch.path("skopeo-folder-docker");
    skopeo.copy(&[&remote, &format!("dir:{}", folder.display())])?;
    ensure!(blobs_of_folder(&folder)?.len() == 4, "the folder does not have a config and three layers");
    setting.tags_are(REPOSITORY, &["docker", "oci"])
}

fn copy_across(skopeo: &Skopeo, setting: &Setting<'_>) -> Result<()> {
    let source = remote(setting, REPOSITORY, "oci");
    skopeo.copy(&["--preserve-digests", &source, &remote(setting, "skopeo/copies/app", "oci")])?;
    same("the copy's digest", &setting.manifest("skopeo/copies/app", "oci")?.digest, &setting.images.image.digest)?;
    let folder = setting.scratch.path("skopeo-folder-copy");
    let copy = setting.registry.image_by_digest("skopeo/copies/app", &setting.images.image.digest);
    skopeo.copy(&["--preserve-digests", &format!("docker://{copy}"), &format!("dir:{}", folder.display())])?;
    ensure!(blobs_of_folder(&folder)?.len() == 4, "the copy does not have a config and three layers");
    Ok(())
}

fn index(skopeo: &Skopeo, setting: &Setting<'_>) -> Result<()> {
    let index = &setting.images.index;
    let remote = remote(setting, "skopeo/index", "all");
    skopeo.copy(&["--all", "--preserve-digests", &index.oci_name(), &remote])?;
    let served = setting.manifest("skopeo/index", "all")?;
    ensure!(served.bytes == index.bytes, "the index is not served as it was pushed");
    same("its media type", &served.media_type, OCI_INDEX)?;
    for child in &setting.images.children {
        setting.manifest("skopeo/index", child)?;
    }
    setting.tags_are("skopeo/index", &["all"])?;

    let folder = setting.scratch.path("skopeo-layout");
    skopeo.copy(&["--all", "--preserve-digests", &remote, &format!("oci:{}:back", folder.display())])?;
    let (back, pushed) = (blobs_of_layout(&folder)?, index.blobs()?);
    ensure!(back == pushed, "the layout that came back has the blobs {back:?}, not {pushed:?}");
    Ok(())
}

/// skopeo deletes by the digest that a tag points to: the manifest goes, and with it all of its tags.
fn delete(skopeo: &Skopeo, setting: &Setting<'_>) -> Result<()> {
    const REPOSITORY: &str = "skopeo/deleted";
    let image = &setting.images.image;
    let [one, two] = ["one", "two"].map(|tag| remote(setting, REPOSITORY, tag));
    for remote in [&one, &two] {
        skopeo.copy(&["--preserve-digests", &image.oci_name(), remote])?;
    }
    skopeo.tool.clone().argument("delete").argument("--tls-verify=false").run(&[&one])?;
    setting.tags_are(REPOSITORY, &[])?;
    ensure!(skopeo.inspect(&["--raw", &two]).is_err(), "the other tag of a deleted manifest is still there");
    skopeo.copy(&["--preserve-digests", &image.oci_name(), &one])?;
    same("the digest", &skopeo.inspect(&["--format", "{{.Digest}}", &one])?, &image.digest)
}

struct Skopeo {
    tool: Tool,
}

impl Skopeo {
    fn new(setting: &Setting<'_>) -> Result<Self> {
        let tool = Tool::new(locate_or_say("skopeo")?).variable("REGISTRY_AUTH_FILE", setting.no_credentials()?);
        Ok(Self { tool })
    }

    fn copy(&self, arguments: &[&str]) -> Result<()> {
        let copy =
            self.tool.clone().argument("copy").argument("--src-tls-verify=false").argument("--dest-tls-verify=false");
        copy.run(arguments)?;
        Ok(())
    }

    fn inspect(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.tool.clone().argument("inspect").argument("--tls-verify=false").run(arguments)?.stdout)
    }

    fn list_tags(&self, setting: &Setting<'_>, repository: &str) -> Result<Vec<String>> {
        let name = format!("docker://{}", setting.registry.repository(repository));
        let told = self.tool.read(&["list-tags", "--tls-verify=false", &name])?;
        let told: serde_json::Value = serde_json::from_str(&told)?;
        Ok(told["Tags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned)).collect())
    }
}

/// One with credentials of its own.
pub(crate) fn client(setting: &Setting<'_>) -> Result<impl Client> {
    SignedIn::new(setting)
}

/// A skopeo that remembers who signed in.
struct SignedIn {
    skopeo: Skopeo,
    image: String,
}

impl SignedIn {
    fn new(setting: &Setting<'_>) -> Result<Self> {
        let file = setting.scratch.path("skopeo-credentials.json");
        fs::write(&file, "{}")?;
        let tool = Skopeo::new(setting)?.tool.variable("REGISTRY_AUTH_FILE", file);
        Ok(Self { skopeo: Skopeo { tool }, image: setting.images.image.oci_name() })
    }
}

impl Client for SignedIn {
    fn sign_in(&self, host: &str, password: &str) -> Result<()> {
        self.skopeo.tool.run(&["login", "--tls-verify=false", "--username", USER, "--password", password, host])?;
        Ok(())
    }

    fn sign_out(&self, host: &str) -> Result<()> {
        self.skopeo.tool.run(&["logout", host])?;
        Ok(())
    }

    fn push(&self, image: &str) -> Result<()> {
        self.skopeo.copy(&[&self.image, &format!("docker://{image}")])
    }

    fn pull(&self, image: &str) -> Result<()> {
        self.skopeo.inspect(&[&format!("docker://{image}")]).map(drop)
    }
}

/// How skopeo names an image in the registry.
fn remote(setting: &Setting<'_>, repository: &str, tag: &str) -> String {
    format!("docker://{}", setting.registry.image(repository, tag))
}

/// The digests of the blobs in a folder that skopeo wrote (`dir:`), in order; each file's bytes are checked to have the digest that
/// names it.
fn blobs_of_folder(folder: &Path) -> Result<Vec<String>> {
    let mut digests = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if file.ends_with("manifest.json") || file.ends_with("version") {
            continue;
        }
        let digest = digest::sha256(&fs::read(&file)?);
        ensure!(file.ends_with(digest::hash(&digest)), "{} holds {digest}", file.display());
        digests.push(digest);
    }
    digests.sort();
    Ok(digests)
}
