//! Flows with podman, as root and with storage of its own: what its users do, in both manifest families.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::command::Tool;
use super::flows::{Setting, same};
use super::images::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use super::sign_in::{self, Client, USER};
use super::tools::locate_or_say;

const REPOSITORY: &str = "podman/app";

/// What it takes to run a container depends on the machine (control groups of version 1, 2 or both or none; a process that may not
/// raise its limits): the first of these that works is taken.
const WAYS_TO_RUN: [(&str, &[&str]); 3] = [
    ("runc", &["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]),
    ("crun", &["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]),
    ("crun", &["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--cgroups=disabled"]),
];

/// All of podman's flows, one after the other: they share one storage.
pub(crate) fn flows(setting: Setting<'_>) {
    let podman = match Podman::new(&setting) {
        Ok(podman) => podman,
        Err(error) => return setting.report.flow("podman", "is there", || Err(error)),
    };
    let flow = |what, run: fn(&Podman, &Setting<'_>) -> Result<()>| {
        setting.report.flow("podman", what, || run(&podman, &setting));
    };
    flow("push, wipe, pull by tag and by digest, run", push_and_pull);
    flow("push as docker schema 2", docker_schema_2);
    flow("a manifest list with its images", manifest_list);
    match podman.that_remembers(&setting) {
        Ok(podman) => sign_in::flows("podman", &podman, &setting),
        Err(error) => setting.report.flow("podman", "has credentials of its own", || Err(error)),
    }
}

/// One with storage and credentials of its own, which has an image.
pub(crate) fn client(setting: &Setting<'_>) -> Result<impl Client> {
    let podman = Podman::new(setting)?.that_remembers(setting)?;
    podman.tool.run(&["pull", &setting.images.image.oci_name()])?;
    Ok(podman)
}

fn push_and_pull(podman: &Podman, setting: &Setting<'_>) -> Result<()> {
    let image = setting.registry.image(REPOSITORY, "one");
    podman.tool.run(&["pull", &setting.images.image.oci_name()])?;
    let id = podman.tool.read(&["images", "--quiet", "--no-trunc"])?;
    podman.tool.run(&["tag", &id, &image])?;
    let digest = podman.push(setting, &["--format=oci", &image])?;
    let served = setting.manifest(REPOSITORY, "one")?;
    same("the manifest's digest", &served.digest, &digest)?;
    same("its media type", &served.media_type, OCI_MANIFEST)?;

    podman.wipe()?;
    podman.pull(&image)?;
    same("the container's output", &podman.run(&image)?, &setting.images.greeting)?;

    podman.wipe()?;
    let image = setting.registry.image_by_digest(REPOSITORY, &digest);
    podman.pull(&image)?;
    same("the container's output", &podman.run(&image)?, &setting.images.greeting)
}

fn docker_schema_2(podman: &Podman, setting: &Setting<'_>) -> Result<()> {
    let (one, two) = (setting.registry.image(REPOSITORY, "one"), setting.registry.image(REPOSITORY, "two"));
    podman.wipe()?;
    podman.pull(&one)?;
    podman.tool.run(&["tag", &one, &two])?;
    let digest = podman.push(setting, &["--format=v2s2", &two])?;
    let served = setting.manifest(REPOSITORY, "two")?;
    same("the manifest's digest", &served.digest, &digest)?;
    same("its media type", &served.media_type, DOCKER_MANIFEST)?;
    podman.wipe()?;
    podman.pull(&two)?;
    same("the container's output", &podman.run(&two)?, &setting.images.greeting)?;
    setting.tags_are(REPOSITORY, &["one", "two"])
}

fn manifest_list(podman: &Podman, setting: &Setting<'_>) -> Result<()> {
    let list = setting.registry.image(REPOSITORY, "list");
    podman.wipe()?;
    podman.pull(&setting.registry.image(REPOSITORY, "one"))?;
    podman.tool.run(&["manifest", "create", &list])?;
    podman.tool.run(&[
        "manifest",
        "add",
        &list,
        &format!("containers-storage:{}", setting.registry.image(REPOSITORY, "one")),
    ])?;
    let remote = format!("docker://{list}");
    podman.tool.run(&["manifest", "push", "--all", "--format=oci", "--tls-verify=false", &list, &remote])?;
    same("the list's media type", &setting.manifest(REPOSITORY, "list")?.media_type, OCI_INDEX)?;
    podman.tool.run(&["manifest", "rm", &list])?;
    podman.wipe()?;
    podman.pull(&list)?;
    same("the container's output", &podman.run(&list)?, &setting.images.greeting)
}

struct Podman {
    /// With its own storage; the runtime is named by each run.
    tool: Tool,
}

/// Podman with storage of its own in a folder, and the credentials in a file.
pub(crate) fn engine(folder: &Path, credentials: &Path) -> Result<Tool> {
    let podman = Tool::new(locate_or_say("podman")?)
        .variable("REGISTRY_AUTH_FILE", credentials)
        .argument("--root")
        .argument(folder.join("storage"))
        .argument("--runroot")
        .argument(folder.join("run"))
        .argument("--tmpdir")
        .argument(folder.join("engine"))
        // The driver that works everywhere and leaves no mounts.
        .argument("--storage-driver=vfs")
        // There may be no systemd to ask for a control group, nor a journal to tell of events.
        .argument("--cgroup-manager=cgroupfs")
        .argument("--events-backend=none");
    Ok(podman)
}

impl Podman {
    fn new(setting: &Setting<'_>) -> Result<Self> {
        let folder = setting.scratch.folder("podman")?;
        Ok(Self { tool: engine(&folder, &setting.no_credentials()?)? })
    }

    /// Pushes and hands back the digest that podman tells.
    fn push(&self, setting: &Setting<'_>, arguments: &[&str]) -> Result<String> {
        let file = setting.scratch.path("podman-digest");
        self.tool
            .clone()
            .argument("push")
            .argument("--tls-verify=false")
            .argument("--digestfile")
            .argument(&file)
            .run(arguments)?;
        fs::read_to_string(&file).context("podman tells no digest")
    }

    fn pull(&self, image: &str) -> Result<()> {
        self.tool.run(&["pull", "--tls-verify=false", image])?;
        Ok(())
    }

    /// Removes every image, so that the next pull gets all of its layers from the registry.
    fn wipe(&self) -> Result<()> {
        self.tool.run(&["rmi", "--all", "--force"])?;
        let left = self.tool.read(&["images", "--all", "--quiet"])?;
        ensure!(left.is_empty(), "podman still has images: {left}");
        Ok(())
    }

    fn run(&self, image: &str) -> Result<String> {
        let mut failures = Vec::new();
        for (runtime, flags) in WAYS_TO_RUN {
            let arguments: Vec<&str> = ["--runtime", runtime, "run", "--rm", "--network=none"]
                .into_iter()
                .chain(flags.iter().copied())
                .chain(std::iter::once(image))
                .collect();
            match self.tool.read(&arguments) {
                Ok(told) => return Ok(told),
                Err(error) => failures.push(error.to_string()),
            }
        }
        bail!("no way to run a container works here:\n{}", failures.join("\n"))
    }

    /// The same, with credentials that are its own.
    fn that_remembers(&self, setting: &Setting<'_>) -> Result<Self> {
        let file = setting.scratch.path("podman-credentials.json");
        fs::write(&file, "{}")?;
        let tool = self.tool.clone().variable("REGISTRY_AUTH_FILE", file);
        Ok(Self { tool })
    }
}

impl Client for Podman {
    fn sign_in(&self, host: &str, password: &str) -> Result<()> {
        self.tool.run(&["login", "--tls-verify=false", "--username", USER, "--password", password, host])?;
        Ok(())
    }

    fn sign_out(&self, host: &str) -> Result<()> {
        self.tool.run(&["logout", host])?;
        Ok(())
    }

    fn push(&self, image: &str) -> Result<()> {
        let images = self.tool.read(&["images", "--quiet", "--no-trunc"])?;
        let id = images.lines().next().context("there is no image")?;
        self.tool.run(&["push", "--tls-verify=false", id, &format!("docker://{image}")])?;
        Ok(())
    }

    fn pull(&self, image: &str) -> Result<()> {
        Self::pull(self, image)
    }
}
