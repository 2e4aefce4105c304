//! A copy of this machine to do anything to: an overlay over its root that is thrown away, with processes, mounts and a network of its
//! own that has nothing but itself. A script is run in it by root: it writes to `/etc`, installs packages and takes port 5000, and
//! nothing of it is left.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::command::Tool;
use super::scratch::Scratch;
use crate::documents::root;

/// Makes the copy and runs the script in it.
const MACHINE: &str = include_str!("sandbox/machine.sh");
/// How long a script may take: it starts engines, and the machine may be busy.
const LIMIT_SECONDS: u32 = 900;

/// Runs a bash script in a new copy of the machine, with these files first in its `PATH`, in `/files`; answers what it wrote to its
/// standard output. `name` is that of its folder in the scratch folder.
pub(crate) fn run(name: &str, script: &str, files: &[(&Path, &str)], scratch: &Scratch) -> Result<String> {
    let folder = scratch.folder(name)?;
    fs::write(folder.join("machine"), MACHINE)?;
    fs::write(folder.join("script"), script)?;
    for (from, name) in files {
        fs::copy(from, folder.join(name)).with_context(|| from.display().to_string())?;
    }
    let repository = root().canonicalize()?;
    let unshare = Tool::new("unshare").limit_seconds(LIMIT_SECONDS);
    let namespaces = ["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"];
    let unshare = namespaces.into_iter().fold(unshare, Tool::argument);
    let bash = unshare.argument("bash").argument(folder.join("machine"));
    Ok(bash.run(&[folder.as_os_str(), repository.as_os_str()])?.stdout)
}
