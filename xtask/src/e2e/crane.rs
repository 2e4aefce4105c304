//! Flows with crane (go-containerregistry, as in ko, kaniko and cosign): push, pull, mounts, appended layers, validation.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::command::Tool;
use super::flows::{Setting, same};
use super::images::{blobs_of_layout, other_architecture};
use super::sign_in::{self, Client, USER};
use super::tools;

const REPOSITORY: &str = "crane/app";

/// All of crane's flows.
pub(crate) fn flows(setting: Setting<'_>) {
    let flow = |what, run: fn(&Tool, &Setting<'_>) -> Result<()>| {
        setting.report.flow("crane", what, || run(&crane(&setting)?, &setting));
    };
    flow("push, pull, digest, manifest, ls", push_and_pull);
    flow("copy to a second repository mounts the layers", copy_mounts);
    flow("append a layer, tag, validate", append);
    flow("an index and one of its platforms", index);
    flow("delete a tag, then a manifest", delete);
    match SignedIn::new(&setting) {
        Ok(client) => sign_in::flows("crane", &client, &setting),
        Err(error) => setting.report.flow("crane", "has credentials of its own", || Err(error)),
    }
}

/// One with credentials of its own.
pub(crate) fn client(setting: &Setting<'_>) -> Result<impl Client> {
    SignedIn::new(setting)
}

/// A crane that remembers who signed in.
struct SignedIn {
    crane: Tool,
    layout: PathBuf,
}

impl SignedIn {
    fn new(setting: &Setting<'_>) -> Result<Self> {
        let configuration = setting.scratch.folder("crane-credentials")?;
        let crane = crane(setting)?.variable("DOCKER_CONFIG", configuration);
        Ok(Self { crane, layout: setting.images.image.folder.clone() })
    }
}

impl Client for SignedIn {
    /// crane asks nobody whether it is right: the first request tells.
    fn sign_in(&self, host: &str, password: &str) -> Result<()> {
        self.crane.run(&["auth", "login", "--username", USER, "--password", password, host])?;
        self.crane.run(&["catalog", host])?;
        Ok(())
    }

    fn sign_out(&self, host: &str) -> Result<()> {
        self.crane.run(&["auth", "logout", host])?;
        Ok(())
    }

    fn push(&self, image: &str) -> Result<()> {
        self.crane.clone().argument("push").argument(&self.layout).run(&[image])?;
        Ok(())
    }

    fn pull(&self, image: &str) -> Result<()> {
        self.crane.run(&["manifest", image])?;
        Ok(())
    }
}

fn push_and_pull(crane: &Tool, setting: &Setting<'_>) -> Result<()> {
    let (layout, image) = (&setting.images.image, setting.registry.image(REPOSITORY, "one"));
    crane.clone().argument("push").argument(&layout.folder).run(&[&image])?;
    same("the digest", &crane.read(&["digest", &image])?, &layout.digest)?;
    let manifest = crane.run(&["manifest", &image])?.stdout;
    ensure!(
        manifest.trim_end().as_bytes() == layout.bytes.trim_ascii_end(),
        "the manifest has other bytes:\n{manifest}"
    );
    same("the list of tags", &crane.read(&["ls", &setting.registry.repository(REPOSITORY)])?, "one")?;

    let folder = setting.scratch.path("crane-layout");
    let by_digest = setting.registry.image_by_digest(REPOSITORY, &layout.digest);
    crane.clone().argument("pull").argument("--format=oci").argument(by_digest).run(&[&folder])?;
    let (pulled, pushed) = (blobs_of_layout(&folder)?, layout.blobs()?);
    ensure!(pulled == pushed, "the pulled layout has the blobs {pulled:?}, not {pushed:?}");
    Ok(())
}

fn copy_mounts(crane: &Tool, setting: &Setting<'_>) -> Result<()> {
    let source = setting.registry.image(REPOSITORY, "one");
    let copy = setting.registry.image("crane/copies/app", "one");
    let told = crane.run(&["--verbose", "copy", &source, &copy])?.stderr;
    ensure!(told.contains("mount=sha256"), "crane asked for no mount:\n{told}");
    ensure!(!told.contains("PATCH /"), "crane uploaded a layer although it asked for a mount:\n{told}");
    same("the copy's digest", &crane.read(&["digest", &copy])?, &setting.images.image.digest)?;
    crane.run(&["validate", "--remote", &copy])?;
    Ok(())
}

fn append(crane: &Tool, setting: &Setting<'_>) -> Result<()> {
    let base = setting.registry.image(REPOSITORY, "one");
    let appended = setting.registry.image(REPOSITORY, "appended");
    let append = crane.clone().argument("append").argument("--new_layer").argument(&setting.images.further_layer);
    append.run(&["--base", &base, "--new_tag", &appended])?;
    crane.run(&["validate", "--remote", &appended])?;
    crane.run(&["tag", &appended, "also"])?;
    same(
        "the new tag's digest",
        &crane.read(&["digest", &setting.registry.image(REPOSITORY, "also")])?,
        &crane.read(&["digest", &appended])?,
    )?;
    let told = crane.read(&["ls", &setting.registry.repository(REPOSITORY)])?;
    let mut tags: Vec<&str> = told.lines().collect();
    tags.sort_unstable();
    ensure!(tags == ["also", "appended", "one"], "crane lists the tags {tags:?}");
    Ok(())
}

fn index(crane: &Tool, setting: &Setting<'_>) -> Result<()> {
    let (layout, name) = (&setting.images.index, setting.registry.image("crane/index", "all"));
    crane.clone().argument("push").argument(&layout.folder).run(&[&name])?;
    same("the index's digest", &crane.read(&["digest", &name])?, &layout.digest)?;
    let platform = format!("linux/{}", other_architecture());
    same(
        "the platform's digest",
        &crane.read(&["digest", "--platform", &platform, &name])?,
        &setting.images.children[1],
    )?;
    crane.run(&["validate", "--remote", &name])?;
    Ok(())
}

/// crane deletes what it is told: a tag alone by its name, everything by the digest.
fn delete(crane: &Tool, setting: &Setting<'_>) -> Result<()> {
    const REPOSITORY: &str = "crane/deleted";
    let layout = &setting.images.image;
    let [one, two] = ["one", "two"].map(|tag| setting.registry.image(REPOSITORY, tag));
    crane.clone().argument("push").argument(&layout.folder).run(&[&one])?;
    crane.run(&["tag", &one, "two"])?;
    crane.run(&["delete", &one])?;
    setting.tags_are(REPOSITORY, &["two"])?;
    crane.run(&["validate", "--remote", &two])?;
    crane.run(&["delete", &setting.registry.image_by_digest(REPOSITORY, &layout.digest)])?;
    setting.tags_are(REPOSITORY, &[])?;
    ensure!(crane.run(&["digest", &two]).is_err(), "the tag of a deleted manifest is still there");
    crane.clone().argument("push").argument(&layout.folder).run(&[&one])?;
    crane.run(&["validate", "--remote", &one])?;
    Ok(())
}

fn crane(setting: &Setting<'_>) -> Result<Tool> {
    let configuration = setting.scratch.folder("crane-configuration")?;
    Ok(Tool::new(tools::crane()?).variable("DOCKER_CONFIG", configuration).argument("--insecure"))
}
