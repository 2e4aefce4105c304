//! The official suite's program against our server: six runs, and what it wrote about each.
//!
//! Its exit status says little: it is 0 as well when it cannot set itself up or cannot write. So each run gets an empty folder, and the two
//! files in it have to be there and have to say that everything was run and passed.

mod junit;
mod results;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use self::junit::Suite;
use super::own::{Configuration, Servers};
use super::report::aligned;
use super::rules::Version;
use crate::e2e::command::{Tool, indented};
use crate::e2e::scratch::Scratch;

/// Fewer tests than this mean that a part was not run.
fn least_tests(version: Version) -> usize {
    match version {
        Version::V1_0 | Version::V1_1 => 850,
        Version::Dev => 970,
    }
}

/// What one run of the program has left.
#[derive(Debug)]
struct Finding {
    name: String,
    suite: Suite,
    /// What is not as it has to be.
    wrong: Vec<String>,
}

/// Runs `program` against `server` and prints what it found; whether that is as it has to be.
pub(crate) fn run(program: &Path, server: &Path, scratch: &Scratch) -> Result<bool> {
    let servers = Servers::start(server, scratch)?;
    let findings = servers.side_by_side(|configuration, version, address| {
        let name = configuration.run_name(version);
        run_once(program, configuration, version, address, scratch).with_context(|| format!("run {name}"))
    });
    let findings: Vec<Finding> = findings.into_iter().collect::<Result<_>>()?;
    print!("{}", table(&findings));
    for finding in &findings {
        for wrong in &finding.wrong {
            println!("{}: {wrong}", finding.name);
        }
    }
    let good = findings.iter().all(|finding| finding.wrong.is_empty());
    if !good {
        print!("{}", servers.logs());
    }
    servers.stop()?;
    Ok(good)
}

fn run_once(
    program: &Path,
    configuration: Configuration,
    version: Version,
    address: &str,
    scratch: &Scratch,
) -> Result<Finding> {
    let name = configuration.run_name(version);
    let folder = scratch.folder(&format!("results {name}"))?;
    let tool = Tool::new("env")
        .argument("--chdir")
        .argument(&folder)
        .argument(program)
        .variable("OCI_REGISTRY", address)
        .variable("OCI_TLS", "disabled")
        .variable("OCI_VERSION", version.as_str())
        .variable("OCI_DATA_SPARSE", configuration.sparse().to_string())
        .variable("OCI_REPO1", format!("official/{version}/target"))
        .variable("OCI_REPO2", format!("official/{version}/source"))
        .variable("OCI_RESULTS_DIR", &folder);
    // Its failures are in its files; here it is only looked for what it said if there are none.
    let said = tool.run::<&str>(&[]).map_or_else(|error| error.to_string(), |output| indented(&output.stderr));
    let read = |file: &str| {
        fs::read_to_string(folder.join(file)).with_context(|| format!("the suite has left no {file}\n{said}"))
    };
    let suite = junit::parse(&read("junit.xml")?).context("junit.xml")?;
    let entries = results::parse(&read("results.yaml")?).context("results.yaml")?;
    let mut wrong = suite.shortcomings(least_tests(version));
    wrong.extend(results::shortcomings(&entries, version, configuration.sparse()));
    Ok(Finding { name, suite, wrong })
}

fn table(findings: &[Finding]) -> String {
    let mut rows = vec![["", "tests", "failures", "errors", "skipped", "disabled"].map(str::to_owned).to_vec()];
    for Finding { name, suite, .. } in findings {
        let numbers = [suite.tests, suite.failures, suite.errors, suite.skipped, suite.disabled];
        rows.push(std::iter::once(name.clone()).chain(numbers.map(|number| number.to_string())).collect());
    }
    aligned(&rows)
}
