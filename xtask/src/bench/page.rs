//! The page in `docs/` that tells what came out, with its plots beside it.

use std::fmt::{Display, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::load::Level;
use super::plot::{self, Scale};
use super::report::{Row, Table, digits, told};
use super::rows::Asked;
use super::syncs;
use super::usage::cores;

/// Writes the page, and the plots into a folder of its name.
pub(crate) fn write(table: &Table, page: &Path) -> Result<()> {
    let folder = page.with_extension("");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut written = Page { folder, text: head(table) };
    written.costs(table)?;
    written.load(table)?;
    if !table.among.is_empty() {
        let (text, drawn) = rows(table);
        written.text.push_str(&text);
        written.plot("rows", ROWS, &drawn)?;
    }
    written.text.push_str(&crowds(table));
    fs::write(page, written.text).with_context(|| page.display().to_string())
}

/// The page so far, and the folder that its plots are in.
struct Page {
    folder: PathBuf,
    text: String,
}

impl Page {
    fn plot(&mut self, file: &str, title: &str, drawn: &str) -> Result<()> {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let _ = writeln!(self.text, "![{title}]({name}/{file}.svg)\n");
        let path = self.folder.join(file).with_extension("svg");
        fs::write(&path, drawn).with_context(|| path.display().to_string())
    }

    /// What one client costs.
    fn costs(&mut self, table: &Table) -> Result<()> {
        let _ = writeln!(self.text, "## One client at a time\n\n{}", costs(table));
        for (row, file) in
            [(Row::Pull, "pull"), (Row::PullTls, "pull-tls"), (Row::Push, "push"), (Row::Manifest, "manifest")]
        {
            let title = format!("CPU of the server: {}", row.name());
            self.plot(file, &title, &plot::bars(&title, &of(table, row), digits))?;
        }
        Ok(())
    }

    /// How it goes for many, if that was measured.
    fn load(&mut self, table: &Table) -> Result<()> {
        let Some((_, first)) = table.levels.first() else { return Ok(()) };
        self.text.push_str(
            "## Many clients at a time\n\nEach asks for a manifest by its tag again as soon as it has it; server and clients share the \
             machine.\n\n",
        );
        let clients: Vec<String> = first.iter().map(|level| level.clients.to_string()).collect();
        let mut draw = |file, title, scale, figure: fn(&Level) -> f64| {
            let of = |levels: &Vec<Level>| levels.iter().map(figure).collect();
            let series: Vec<(&str, Vec<f64>)> = table.levels.iter().map(|(name, levels)| (*name, of(levels))).collect();
            let told = if scale == Scale::Linear { thousands } else { digits };
            self.plot(file, title, &plot::lines(title, ("clients", &clients), &series, scale, told))
        };
        draw("throughput", "Manifests by tag in a second", Scale::Linear, |level| level.per_second)?;
        let wait = Scale::Logarithmic;
        draw("wait-median", "How long half of them wait, ms", wait, |level| millis(level.waits.median))?;
        draw("wait-p99", "How long 99 of 100 wait at most, ms", wait, |level| millis(level.waits.p99))?;
        Ok(())
    }
}

fn millis(wait: Duration) -> f64 {
    wait.as_secs_f64() * 1e3
}

const ROWS: &str = "CPU of a request over the rows of its tables, us";

/// What a terminal shows.
pub(crate) fn text(table: &Table) -> String {
    let rows = if table.among.is_empty() { String::new() } else { rows(table).0 };
    format!("{}\n{rows}{}", costs(table), crowds(table))
}

fn head(table: &Table) -> String {
    let mut text = format!(
        "# Benchmarks\n\nWritten by `cargo xtask bench --page docs/benchmarks.md`, which repeats it ([how](../CONTRIBUTING.md)). Ratios hold \
         better than figures: machines differ, and this one is {}. With one client, server and client are held on one core: on a virtual machine \
         wake-ups across cores would cost more than the work. All take their turns, several times; the least of what each took is told, since \
         what else a machine does only adds to it. No server logs its requests.\n\n",
        machine()
    );
    let _ = writeln!(text, "Measured: {}.\n", table.versions.join(", "));
    text
}

fn costs(table: &Table) -> String {
    if table.contenders.is_empty() {
        return String::new();
    }
    let mut text = heading("CPU of the server (time that it took)", &table.contenders);
    let mut put = |name: &str, cell: &dyn Fn(&'static str) -> Option<String>| {
        let cells: Vec<String> = table.contenders.iter().map(|contender| cell(contender).unwrap_or_default()).collect();
        text.push_str(&line(name, &cells));
    };
    for row in Row::ALL {
        put(&row.name(), &|contender| table.figure(row, contender).map(|figure| told(row, figure)));
    }
    put(&format!("syncs for an image of {} layers, {} clients at once", syncs::LAYERS, syncs::CLIENTS), &|contender| {
        table.syncs.get(contender).copied().map(digits)
    });
    for (row, count) in &table.instructions {
        put(&format!("instructions of the program, {}", row.key()), &|contender| {
            (contender == table.contenders[0]).then(|| count.to_string())
        });
    }
    put("resident, idle / most, MB", &|contender| {
        let (idle, most) = table.memory.get(contender)?;
        Some(format!("{} / {}", megabytes(*idle), megabytes(*most)))
    });
    text.push_str(&ratios(table));
    if !table.missing.is_empty() {
        let _ = writeln!(text, "\nNot installed, and so not measured: {}.", table.missing.join(", "));
    }
    text
}

/// What the others take for what the first takes, since that is what can be compared with another machine.
fn ratios(table: &Table) -> String {
    let Some((ours, others)) = table.contenders.split_first().filter(|(_, others)| !others.is_empty()) else {
        return String::new();
    };
    let mut text = format!("\n{}", heading(&format!("CPU of the server, for 1 of {ours}"), others));
    for row in Row::ALL {
        let times = |other: &&'static str| Some(table.figure(row, other)?.cpu / table.figure(row, ours)?.cpu);
        let cell = |other| times(other).map_or(String::new(), |times| format!("{times:.2}"));
        text.push_str(&line(row.key(), &others.iter().map(cell).collect::<Vec<_>>()));
    }
    text
}

/// How a table begins whose first column says what the others tell.
fn heading(what: &str, columns: &[impl Display]) -> String {
    let mut text = format!("| {what} |");
    for column in columns {
        let _ = write!(text, " {column} |");
    }
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(columns.len()));
    text
}

/// A line of a table, if it says anything.
fn line(what: &str, cells: &[String]) -> String {
    if cells.iter().all(String::is_empty) {
        return String::new();
    }
    format!("| {what} | {} |\n", cells.join(" | "))
}

/// The bars of a row, in the order of the contenders.
fn of(table: &Table, row: Row) -> Vec<(&'static str, f64)> {
    let figure = |contender: &&'static str| Some((*contender, table.figure(row, contender)?.cpu * row.scale()));
    table.contenders.iter().filter_map(figure).collect()
}

/// As text, and drawn.
fn rows(table: &Table) -> (String, String) {
    let mut all: Vec<u64> = table.among.iter().map(|among| among.rows).collect();
    all.dedup();
    let marks: Vec<String> = all.iter().map(|rows| thousands_of(*rows)).collect();
    let of = |asked: Asked| -> Vec<f64> {
        table.among.iter().filter(|among| among.asked == asked).map(|among| among.figure.cpu * 1e6).collect()
    };
    let columns: Vec<String> = marks.iter().map(|mark| format!("{mark} rows")).collect();
    let mut text = String::from("## Few rows and many\n\nCargohold on SQLite.\n\n");
    text.push_str(&heading("CPU of a request, us", &columns));
    for asked in Asked::ALL {
        let cells: Vec<String> = of(asked).into_iter().map(digits).collect();
        text.push_str(&line(&asked.to_string(), &cells));
    }
    let starts = |cell: &dyn Fn(&super::rows::Start) -> String| table.starts.iter().map(cell).collect::<Vec<_>>();
    text.push_str(&line("start to first answer, ms", &starts(&|start| digits(millis(start.answered)))));
    text.push_str(&line("resident behind that, MB", &starts(&|start| megabytes(start.resident).to_string())));
    text.push('\n');
    let names: Vec<String> = Asked::ALL.iter().map(ToString::to_string).collect();
    let series: Vec<(&str, Vec<f64>)> = names.iter().map(String::as_str).zip(Asked::ALL.map(of)).collect();
    let drawn = plot::lines(ROWS, ("rows", &marks), &series, Scale::Linear, digits);
    (text, drawn)
}

fn crowds(table: &Table) -> String {
    let mut text = String::from("## Crowds\n\n");
    for (how, crowd) in &table.crowds {
        let _ = writeln!(
            text,
            "- {} readers that take a large blob slowly, {how}: {} MB resident, {} threads.",
            crowd.readers,
            megabytes(crowd.resident),
            crowd.threads
        );
        if let Some((quiet, meanwhile)) = crowd.others {
            let _ = writeln!(
                text,
                "  A manifest meanwhile: 99 of 100 within {} ms; without them {} ms.",
                digits(millis(meanwhile.p99)),
                digits(millis(quiet.p99))
            );
        }
    }
    if let Some(cold) = &table.cold {
        let _ = writeln!(
            text,
            "- `/healthz` while {} files are pulled that are not in memory: 99 of 100 within {} ms; without them {} ms.",
            cold.files,
            digits(millis(cold.meanwhile.p99)),
            digits(millis(cold.quiet.p99))
        );
    }
    let _ = writeln!(text, "- The program has {} MB.", megabytes(table.program));
    text
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

fn thousands(figure: f64) -> String {
    if figure >= 1000.0 { format!("{:.0}k", figure / 1000.0) } else { format!("{figure:.0}") }
}

fn thousands_of(rows: u64) -> String {
    match rows {
        0..1000 => rows.to_string(),
        1000..1_000_000 => format!("{}k", rows / 1000),
        _ => format!("{}M", rows / 1_000_000),
    }
}

fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("an unknown processor");
    format!("{} cores of {model}", cores())
}

#[cfg(test)]
mod tests {
    use super::super::report::Figure;
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_row_and_names_who_is_missing() {
        let mut table = Table { contenders: vec!["ours"], missing: vec!["zot"], ..Table::default() };
        table.put(Row::Pull, "ours", Figure { cpu: 0.123_4, wall: 0.5 });
        let text = costs(&table);
        assert!(text.contains("| pull of a large blob, s/GB | 0.123 (0.500) |"), "{text}");
        assert!(!text.contains("manifest by tag"), "{text}");
        assert!(text.ends_with("not measured: zot.\n"), "{text}");
    }
}
