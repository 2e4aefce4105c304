//! A PostgreSQL cluster of our own: made in the scratch folder, reached by a Unix socket only, in an ICU locale on purpose.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use postgres::{Client, Config, NoTls};

use super::command::Tool;
use super::scratch::Scratch;
use super::service::{Recipe, Service};
use super::tools::locate_or_say;

const START_LIMIT: Duration = Duration::from_mins(1);

/// The user that Debian's package brings; PostgreSQL refuses to run as root.
const USER: &str = "postgres";

/// A running cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    user: String,
    _service: Service,
}

impl Cluster {
    pub(crate) fn start(scratch: &Scratch) -> Result<Self> {
        let root = rustix::process::geteuid().is_root();
        let folder = scratch.folder("postgres")?;
        let initdb = locate_or_say("initdb")?;
        let user = if root { USER.to_owned() } else { Tool::new("id").read(&["--user", "--name"])? };
        if root {
            Tool::new("chown")
                .argument(USER)
                .run(&[&folder])
                .context("Debian's package postgresql makes the user postgres")?;
        }
        let data = folder.join("data");
        let make = if root {
            Tool::new("setpriv")
                .argument(format!("--reuid={USER}"))
                .argument(format!("--regid={USER}"))
                .argument("--init-groups")
                .argument(&initdb)
        } else {
            Tool::new(&initdb)
        };
        let make = make.argument("--pgdata").argument(&data);
        let cluster = ["--encoding=UTF8", "--auth=trust", "--no-sync", "--locale=C.UTF-8"];
        // PostgreSQL before 15 has no cluster-wide ICU locale.
        let icu = ["--locale-provider=icu", "--icu-locale=en-US"];
        if let Err(error) = make.run(&[cluster.as_slice(), &icu].concat()) {
            println!("postgres: no cluster in an ICU locale, taking one without: {error}");
            make.run(&cluster)?;
        }
        let mut service = Recipe {
            name: "postgres",
            program: locate_or_say("postgres")?,
            arguments: [
                "-D",
                &data.display().to_string(),
                "-k",
                &folder.display().to_string(),
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                // Who waits for whom is looked at after this time: tests of races have many that wait for each other.
                "-c",
                "deadlock_timeout=20ms",
            ]
            .map(str::to_owned)
            .to_vec(),
            variables: Vec::new(),
            user: root.then_some(USER),
            log: scratch.path("postgres.log"),
        }
        .start()?;
        let configuration = configuration(&folder, &user);
        service.wait_until(START_LIMIT, || configuration.connect(NoTls).ok())?;
        Ok(Self { folder, user, _service: service })
    }

    /// The database `postgres`, for other programs: a libpq connection string.
    pub(crate) fn address(&self) -> String {
        format!("host='{}' user='{}' dbname=postgres", self.folder.display(), self.user)
    }

    /// A new connection to the database `postgres`.
    pub(crate) fn connect(&self) -> Result<Client> {
        Ok(configuration(&self.folder, &self.user).connect(NoTls)?)
    }
}

fn configuration(folder: &std::path::Path, user: &str) -> Config {
    let mut configuration = Config::new();
    configuration.host_path(folder).user(user).dbname("postgres");
    configuration
}
