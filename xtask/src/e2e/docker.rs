//! Flows with docker: the classic engine, started here with its own data, sockets and no network rules.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::command::{CommandError, Output, Tool};
use super::flows::{Setting, same};
use super::images::{DOCKER_LIST, DOCKER_MANIFEST};
use super::scratch::Scratch;
use super::service::{Recipe, Service};
use super::sign_in::{self, Client, USER};
use super::tools::locate_or_say;

const REPOSITORY: &str = "docker/app";

/// Overlay needs a file system below it that can carry it; vfs copies and works anywhere.
const STORAGE_DRIVERS: [&str; 2] = ["overlay2", "vfs"];

const START_LIMIT: Duration = Duration::from_secs(90);

/// All of docker's flows, one after the other: they share one engine.
pub(crate) fn flows(setting: Setting<'_>) {
    let docker = match Docker::start(setting.scratch) {
        Ok(docker) => docker,
        Err(error) => return setting.report.flow("docker", "the engine starts", || Err(error)),
    };
    let flow = |what, run: fn(&Docker, &Setting<'_>) -> Result<()>| {
        setting.report.flow("docker", what, || run(&docker, &setting));
    };
    flow("push, wipe, pull by tag and by digest, run", push_and_pull);
    flow("a tag that moves, the old image by its digest", moved_tag);
    flow("push to a second repository mounts the layers", mounted_layers);
    flow("a manifest list", manifest_list);
    sign_in::flows("docker", &docker, &setting);
}

/// An engine of its own, which has an image.
pub(crate) fn client(setting: &Setting<'_>) -> Result<impl Client + use<>> {
    let docker = Docker::start(setting.scratch)?;
    docker.build("built/here", &setting.images.context)?;
    Ok(docker)
}

fn push_and_pull(docker: &Docker, setting: &Setting<'_>) -> Result<()> {
    let image = setting.registry.image(REPOSITORY, "one");
    docker.build(&image, &setting.images.context)?;
    let digest = docker.push(&image)?;
    let served = setting.manifest(REPOSITORY, "one")?;
    same("the manifest's digest", &served.digest, &digest)?;
    same("its media type", &served.media_type, DOCKER_MANIFEST)?;
    setting.tags_are(REPOSITORY, &["one"])?;

    docker.wipe()?;
    docker.pull(&image)?;
    same("the container's output", &docker.run(&image)?, &setting.images.greeting)?;

    docker.wipe()?;
    let image = setting.registry.image_by_digest(REPOSITORY, &digest);
    docker.pull(&image)?;
    same("the container's output", &docker.run(&image)?, &setting.images.greeting)
}

fn moved_tag(docker: &Docker, setting: &Setting<'_>) -> Result<()> {
    let old = setting.manifest(REPOSITORY, "one")?.digest;
    let image = setting.registry.image(REPOSITORY, "one");
    let context = setting.scratch.folder("docker-moved")?;
    fs::write(context.join("small"), "moved\n")?;
    fs::write(
        context.join("Dockerfile"),
        format!("FROM {}\nCOPY small /small\n", setting.registry.image_by_digest(REPOSITORY, &old)),
    )?;
    docker.build(&image, &context)?;
    let new = docker.push(&image)?;
    ensure!(new != old, "the tag did not move from {old}");
    same("the tag's digest", &setting.manifest(REPOSITORY, "one")?.digest, &new)?;

    docker.wipe()?;
    docker.pull(&image)?;
    let told = docker.run(&image)?;
    ensure!(told.ends_with(" moved"), "the moved tag's container says {told}");
    docker.pull(&setting.registry.image_by_digest(REPOSITORY, &old))?;
    same(
        "the old image's output",
        &docker.run(&setting.registry.image_by_digest(REPOSITORY, &old))?,
        &setting.images.greeting,
    )
}

fn mounted_layers(docker: &Docker, setting: &Setting<'_>) -> Result<()> {
    let source = setting.registry.image(REPOSITORY, "one");
    let copy = setting.registry.image("docker/copies/app", "one");
    docker.pull(&source)?;
    docker.cli(&["tag", &source, &copy])?;
    let told = docker.cli(&["push", &copy])?.stdout;
    ensure!(told.contains("Mounted from"), "no layer was mounted:\n{told}");
    ensure!(!told.contains(": Pushed"), "a layer was uploaded again:\n{told}");
    same(
        "the copy's digest",
        &setting.manifest("docker/copies/app", "one")?.digest,
        &setting.manifest(REPOSITORY, "one")?.digest,
    )
}

fn manifest_list(docker: &Docker, setting: &Setting<'_>) -> Result<()> {
    let list = setting.registry.image(REPOSITORY, "list");
    let child = setting.manifest(REPOSITORY, "one")?.digest;
    let child_name = setting.registry.image_by_digest(REPOSITORY, &child);
    docker.cli(&["manifest", "create", "--insecure", &list, &child_name])?;
    let digest = docker.cli(&["manifest", "push", "--insecure", "--purge", &list])?.stdout;
    let served = setting.manifest(REPOSITORY, "list")?;
    same("the list's digest", &served.digest, &digest)?;
    same("its media type", &served.media_type, DOCKER_LIST)?;
    let told = docker.cli(&["manifest", "inspect", "--insecure", &list])?.stdout;
    ensure!(told.contains(&child), "the list does not name its child {child}:\n{told}");

    docker.wipe()?;
    docker.pull(&list)?;
    let told = docker.run(&list)?;
    ensure!(told.ends_with(" moved"), "the list's container says {told}");
    setting.tags_are(REPOSITORY, &["list", "one"])
}

/// A docker engine of our own, and the client that talks to it.
struct Docker {
    client: Tool,
    _engine: Service,
}

impl Docker {
    fn start(scratch: &Scratch) -> Result<Self> {
        let mut failures = Vec::new();
        for driver in STORAGE_DRIVERS {
            match Self::start_with(scratch, driver) {
                Ok(docker) => return Ok(docker),
                Err(error) => failures.push(format!("{error:#}")),
            }
        }
        bail!("dockerd starts with no storage driver:\n{}", failures.join("\n"))
    }

    fn start_with(scratch: &Scratch, driver: &str) -> Result<Self> {
        let folder = scratch.folder(&format!("docker-{driver}"))?;
        // The machine's own configuration must not play a part.
        fs::write(folder.join("daemon.json"), "{}")?;
        let path = |name: &str| folder.join(name).display().to_string();
        let host = format!("unix://{}", path("docker.sock"));
        let mut engine = Recipe {
            name: "dockerd",
            program: locate_or_say("dockerd")?,
            arguments: [
                "--iptables=false",
                "--ip6tables=false",
                "--ip-masq=false",
                "--bridge=none",
                "--exec-opt=native.cgroupdriver=cgroupfs",
                &format!("--storage-driver={driver}"),
                &format!("--config-file={}", path("daemon.json")),
                &format!("--data-root={}", path("data")),
                &format!("--exec-root={}", path("exec")),
                &format!("--pidfile={}", path("dockerd.pid")),
                &format!("--host={host}"),
            ]
            .map(str::to_owned)
            .to_vec(),
            variables: Vec::new(),
            user: None,
            log: folder.join("dockerd.log"),
        }
        .start()?;
        let client = Tool::new(locate_or_say("docker")?)
            .variable("DOCKER_HOST", &host)
            .variable("DOCKER_CONFIG", folder.join("client"))
            // The builder of the engine itself: the other one is a plugin that may not be there.
            .variable("DOCKER_BUILDKIT", "0");
        engine.wait_until(START_LIMIT, || client.run(&["version"]).ok())?;
        Ok(Self { client, _engine: engine })
    }

    fn cli(&self, arguments: &[&str]) -> Result<Output, CommandError> {
        self.client.run(arguments)
    }

    fn build(&self, image: &str, context: &PathBuf) -> Result<()> {
        self.client.clone().argument("build").argument("--tag").argument(image).run(&[context])?;
        Ok(())
    }

    /// Pushes and hands back the digest that docker tells.
    fn push(&self, image: &str) -> Result<String> {
        let told = self.cli(&["push", image])?.stdout;
        digest_told(&told).with_context(|| format!("docker push tells no digest:\n{told}"))
    }

    fn pull(&self, image: &str) -> Result<()> {
        self.cli(&["pull", image])?;
        Ok(())
    }

    /// Removes every image, so that the next pull gets all of its layers from the registry.
    fn wipe(&self) -> Result<()> {
        let mut left = self.images()?;
        while !left.is_empty() {
            // An image can go only after those that were built on it, and takes its untagged parents along: some of the list are
            // refused or gone when their turn comes, and the next look tells.
            let told = self.client.clone().argument("rmi").argument("--force").run(&left);
            let before = std::mem::replace(&mut left, self.images()?);
            if left == before {
                bail!("docker keeps the images {}: {told:?}", left.join(" "));
            }
        }
        Ok(())
    }

    /// The ids of all images.
    fn images(&self) -> Result<Vec<String>> {
        let mut ids: Vec<String> =
            self.client.read(&["images", "--all", "--quiet", "--no-trunc"])?.lines().map(str::to_owned).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    fn run(&self, image: &str) -> Result<String> {
        Ok(self.client.read(&["run", "--rm", "--network", "none", image])?)
    }
}

impl Client for Docker {
    fn sign_in(&self, host: &str, password: &str) -> Result<()> {
        self.cli(&["login", "--username", USER, "--password", password, host])?;
        Ok(())
    }

    fn sign_out(&self, host: &str) -> Result<()> {
        self.cli(&["logout", host])?;
        Ok(())
    }

    fn push(&self, image: &str) -> Result<()> {
        let images = self.images()?;
        self.cli(&["tag", images.first().context("there is no image")?, image])?;
        Self::push(self, image).map(drop)
    }

    fn pull(&self, image: &str) -> Result<()> {
        Self::pull(self, image)
    }
}

/// The digest in docker's closing line: `one: digest: sha256:… size: 947`.
fn digest_told(output: &str) -> Option<String> {
    let (_, after) = output.rsplit_once("digest: ")?;
    after.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_digest_of_a_push_stands_in_its_closing_line() {
        let told =
            "The push refers to repository [127.0.0.1:5000/a]\ne35: Pushed\none: digest: sha256:cbb1 size: 947\n";
        assert_eq!(super::digest_told(told).as_deref(), Some("sha256:cbb1"));
        assert_eq!(super::digest_told("denied"), None);
    }
}
