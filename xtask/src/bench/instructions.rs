//! How many instructions the server takes for a request, as callgrind counts them: the same on every machine, however busy.
//!
//! What the kernel does is not in it. The figures of the builds that CI tests are kept beside this file: one that has grown well past
//! what is kept fails the run, so that nobody makes a hot path longer without saying so. `WRITE_COUNTS=1` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::contender::{Contender, Kind, Role};
use super::material::{Material, Sizes};
use super::report::Row;
use super::work::{A_FEW, ask_small, push_small};
use crate::e2e::scratch::Scratch;
use crate::e2e::tools::locate_or_say;

/// What is counted.
const COUNTED: [Row; 4] = [Row::Head, Row::SmallBlob, Row::Manifest, Row::SmallPush];
/// The figures of the build that CI tests: the development profile.
const KEPT: &str = include_str!("instructions.txt");
/// Past so many hundredths of what is kept, a path has grown.
const BOUND: u64 = 130;
/// Pushes are counted among fewer: they write to the disk.
const PUSHES_AMONG: u32 = 10;

/// Instructions of a request, by what is asked for.
pub(crate) type Counts = BTreeMap<Row, u64>;

/// Counts them.
pub(crate) fn count(kind: &Kind, scratch: &Scratch, requests: u32) -> Result<Counts> {
    let scratch = scratch.within("instructions")?;
    let folder = scratch.folder("counter")?;
    let dump = folder.join("counted");
    let counter = [
        locate_or_say("valgrind")?.display().to_string(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", dump.display()),
    ];
    let mut contender = Contender::start_under(&counter, kind, &scratch, None)?.context("the server is not there")?;
    let material = Material::new(Sizes::SMOKE.large);
    material.bring(&contender)?;
    let paths = material.paths(Role::Registry);
    let (mut counts, mut serial) = (Counts::new(), 0);
    for (place, row) in COUNTED.into_iter().enumerate() {
        let mut wire = contender.connect()?;
        let mut ask = |times| match row {
            Row::SmallPush => push_small(&mut wire, times, &mut serial),
            row => ask_small(&mut wire, times, row, &paths),
        };
        let times = if row == Row::SmallPush { requests.div_ceil(PUSHES_AMONG) } else { requests };
        // What is done once is not counted: memory is found, statements are prepared.
        ask(times.min(A_FEW))?;
        tell(&contender, "zero")?;
        ask(times)?;
        tell(&contender, "dump")?;
        let total = total(&folder.join(format!("counted.{}", place + 1)))?;
        println!("  instructions, {}: {}", row.key(), total / u64::from(times));
        counts.insert(row, total / u64::from(times));
    }
    contender.stop()?;
    Ok(counts)
}

/// Compares them with what is kept, or keeps them.
pub(crate) fn compare(counts: &Counts) -> Result<()> {
    if std::env::var_os("WRITE_COUNTS").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench/instructions.txt");
        return fs::write(&file, written(counts)).with_context(|| file.display().to_string());
    }
    let kept = read(KEPT)?;
    let grown: Vec<String> =
        counts.iter().filter_map(|(row, count)| grown(*row, *count, kept.get(row).copied())).collect();
    ensure!(
        grown.is_empty(),
        "requests take more instructions than they did:\n{}\nFind out why (valgrind --tool=callgrind); if they have to, \
         WRITE_COUNTS=1 cargo xtask bench instructions --smoke --server <the server as CI builds it> keeps the new figures",
        grown.join("\n")
    );
    Ok(())
}

fn grown(row: Row, count: u64, kept: Option<u64>) -> Option<String> {
    match kept {
        Some(kept) if count * 100 <= kept * BOUND => None,
        Some(kept) => Some(format!("  {}: {count}, and {kept} was kept", row.key())),
        None => Some(format!("  {}: {count}, and nothing was kept", row.key())),
    }
}

fn written(counts: &Counts) -> String {
    counts.iter().fold(String::new(), |mut text, (row, count)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{count:>9} {}", row.key());
        text
    })
}

fn read(kept: &str) -> Result<Counts> {
    let of_line = |line: &str| {
        let (count, key) = line.trim().split_once(' ').context("a line without a name")?;
        let row = COUNTED.into_iter().find(|row| row.key() == key).with_context(|| format!("{key} is not counted"))?;
        Ok((row, count.parse()?))
    };
    kept.lines().map(of_line).collect()
}

/// Has callgrind do something (valgrind manual, "Callgrind Monitor Commands").
fn tell(contender: &Contender, command: &str) -> Result<()> {
    let process = format!("--pid={}", contender.processes().0);
    let told = Command::new(locate_or_say("vgdb")?).args([&process, "-c", command]).output()?;
    ensure!(told.status.success(), "vgdb: {}", String::from_utf8_lossy(&told.stderr));
    Ok(())
}

/// What a dump adds up to.
fn total(dump: &Path) -> Result<u64> {
    let text = fs::read_to_string(dump).with_context(|| dump.display().to_string())?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).context("callgrind wrote no sum")?;
    Ok(total.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_is_counted() {
        let kept = read(KEPT).unwrap();
        assert!(kept.keys().copied().eq(Counts::from(COUNTED.map(|row| (row, 0))).into_keys()));
        assert_eq!(written(&kept), KEPT);
    }

    #[test]
    fn what_has_grown_is_named() {
        assert_eq!(grown(Row::Head, 129, Some(100)), None);
        assert_eq!(grown(Row::Head, 131, Some(100)), Some("  HEAD blob: 131, and 100 was kept".to_owned()));
        assert!(grown(Row::Manifest, 1, None).unwrap().contains("nothing was kept"));
    }
}
