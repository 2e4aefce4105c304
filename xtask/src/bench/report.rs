//! What came out, as a table for people and as the page in `docs/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    Pull,
    Push,
    Manifest,
    SmallBlob,
    Head,
    SmallPush,
}

/// What it costs, in seconds for each gigabyte or request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    /// Of the server.
    pub(crate) cpu: f64,
    /// Until it was done.
    pub(crate) wall: f64,
}

/// All of it, by what was measured and on whom.
#[derive(Debug, Default)]
pub(crate) struct Table {
    contenders: Vec<&'static str>,
    figures: BTreeMap<(Row, &'static str), Figure>,
    memory: BTreeMap<&'static str, (u64, u64)>,
    missing: Vec<&'static str>,
}

impl Row {
    const ALL: [Self; 6] = [Self::Pull, Self::Push, Self::Manifest, Self::SmallBlob, Self::Head, Self::SmallPush];

    fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull of a large blob, s/GB",
            Self::Push => "push of a large blob, s/GB",
            Self::Manifest => "manifest by tag, us",
            Self::SmallBlob => "16 KiB blob, us",
            Self::Head => "HEAD blob, us",
            Self::SmallPush => "one small blob pushed, ms",
        }
    }

    /// What a second is in the unit that it is told in.
    fn scale(self) -> f64 {
        match self {
            Self::Pull | Self::Push => 1.0,
            Self::Manifest | Self::SmallBlob | Self::Head => 1e6,
            Self::SmallPush => 1e3,
        }
    }
}

impl Table {
    pub(crate) fn put(&mut self, row: Row, contender: &'static str, figure: Figure) {
        if !self.contenders.contains(&contender) {
            self.contenders.push(contender);
        }
        println!("  {}: {}", row.name(), told(row, figure));
        self.figures.insert((row, contender), figure);
    }

    pub(crate) fn memory(&mut self, contender: &'static str, idle: u64, most: u64) {
        self.memory.insert(contender, (idle, most));
    }

    /// One that is not installed.
    pub(crate) fn missing(&mut self, contender: &'static str) {
        self.missing.push(contender);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }

    /// CPU time of the server, and beside it the time that it took.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("| CPU of the server (time that it took) |");
        for contender in &self.contenders {
            let _ = write!(text, " {contender} |");
        }
        let _ = writeln!(text, "\n|---|{}", "---|".repeat(self.contenders.len()));
        for row in Row::ALL {
            let cell =
                |contender| self.figures.get(&(row, contender)).map_or(String::new(), |figure| told(row, *figure));
            let cells: Vec<_> = self.contenders.iter().copied().map(cell).collect();
            let _ = writeln!(text, "| {} | {} |", row.name(), cells.join(" | "));
        }
        let memory = |contender| {
            let of = |bytes: &u64| bytes / 1_000_000;
            self.memory.get(contender).map_or(String::new(), |(idle, most)| format!("{} / {}", of(idle), of(most)))
        };
        let memory: Vec<_> = self.contenders.iter().copied().map(memory).collect();
        let _ = writeln!(text, "| resident, idle / most, MB | {} |", memory.join(" | "));
        if !self.missing.is_empty() {
            let _ = writeln!(text, "\nNot installed, and so not measured: {}.", self.missing.join(", "));
        }
        text
    }

    pub(crate) fn page(&self) -> String {
        format!(
            "# Benchmarks\n\nWritten by `cargo xtask bench --page docs/benchmarks.md`, on {}. Ratios hold better than figures: machines differ.\n\n{}",
            machine(),
            self.text()
        )
    }
}

fn told(row: Row, figure: Figure) -> String {
    format!("{} ({})", digits(figure.cpu * row.scale()), digits(figure.wall * row.scale()))
}

/// Three digits that count.
fn digits(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("an unknown processor");
    format!("{} cores of {model}", text.matches("processor\t").count())
}

#[cfg(test)]
mod tests {
    use super::{Figure, Row, Table};

    #[test]
    fn a_table_has_a_line_for_each_row_and_names_who_is_missing() {
        let mut table = Table::default();
        table.put(Row::Pull, "ours", Figure { cpu: 0.123_4, wall: 0.5 });
        table.missing("zot");
        let text = table.text();
        assert!(text.contains("| pull of a large blob, s/GB | 0.123 (0.500) |"), "{text}");
        assert!(text.ends_with("not measured: zot.\n"), "{text}");
    }
}
