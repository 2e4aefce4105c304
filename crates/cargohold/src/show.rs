//! What people read in a terminal: tables, sizes, times, progress.

use std::{
    io::{self, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How a bar for bytes looks.
const BYTES: &str =
    "{elapsed_precise} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} left";

/// A bar for long work, where somebody looks at standard error.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// For work that is measured in bytes.
    pub(crate) fn of_bytes() -> Self {
        Self::with(BYTES)
    }

    /// For work that is measured in things, and then perhaps in bytes.
    pub(crate) fn of(things: &str) -> Self {
        Self::with(&format!("{{elapsed_precise}} {{wide_bar}} {{pos}}/{{len}} {things}, {{eta}} left"))
    }

    fn with(template: &str) -> Self {
        let bar = Self(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
        bar.look_like(template);
        bar.0.enable_steady_tick(Duration::from_millis(250));
        bar
    }

    fn look_like(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
    }

    /// So much is to be done.
    pub(crate) fn begin(&self, much: u64) {
        self.0.set_length(much);
    }

    /// The things are done, and from now on it is so many bytes.
    pub(crate) fn begin_bytes(&self, bytes: u64) {
        self.look_like(BYTES);
        self.0.reset();
        self.begin(bytes);
    }

    /// So much more is done.
    pub(crate) fn go_on(&self, much: u64) {
        self.0.inc(much);
    }

    /// Writes a line to standard output, above the bar.
    pub(crate) fn say(&self, text: &str) {
        self.0.suspend(|| line(text));
    }

    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// Writes a line. Whoever closed the other end wanted no more.
pub(crate) fn line(text: &str) {
    writeln!(io::stdout().lock(), "{text}").ok();
}

/// Rows with their columns aligned; those of `numbers` to the right.
pub(crate) fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>, numbers: &[usize]) -> String {
    let rows: Vec<[String; N]> = rows.collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            let aligned = if numbers.contains(&column) { [&gap, cell, "  "] } else { [cell, &gap, "  "] };
            line.extend(aligned);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How many there are of each that there are any of: `2 manifests and 1 tag`.
pub(crate) fn list(counts: &[(u64, &str, &str)]) -> Option<String> {
    let counted = |(count, one, many): &(u64, &str, &str)| format!("{count} {}", if *count == 1 { one } else { many });
    let counts: Vec<String> = counts.iter().filter(|(count, ..)| *count > 0).map(counted).collect();
    (!counts.is_empty()).then(|| counts.join(" and "))
}

/// A number of bytes in the largest unit of which there is one.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        // Tenths, cut off: what is nearly full is not full.
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

/// As much of a digest as tells it from others.
pub(crate) fn digest(digest: &str) -> String {
    match digest.split_once(':') {
        Some((algorithm, hash)) if hash.len() > 12 => format!("{algorithm}:{}", &hash[..12]),
        _ => digest.to_owned(),
    }
}

/// How far from now a time is that is written as RFC 3339 has it.
pub(crate) fn when(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => distance((time - jiff::Timestamp::now()).get_seconds()),
        Err(_) => time.to_owned(),
    }
}

fn distance(seconds: i64) -> String {
    let text = |seconds: u64| match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    };
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {}", text(seconds.unsigned_abs())),
        _ => format!("{} ago", text(seconds.unsigned_abs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_tail() {
        let rows = [["a", "1", ""], ["long", "10", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(rows.into_iter(), &[1]), "a      1\nlong  10  x\n");
    }

    #[test]
    fn sizes_have_the_largest_unit_that_fits() {
        let sizes = [0, 1023, 1024, 1536, 1 << 20, (1 << 30) - 1, 5 << 40].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1023.9 MiB", "5.0 TiB"]);
    }

    #[test]
    fn times_are_told_as_distances() {
        let distances = [0, 59, -60, 3600, -172_799, 172_800].map(distance);
        assert_eq!(distances, ["now", "in 59s", "1m ago", "in 1h", "47h ago", "in 2d"]);
    }

    #[test]
    fn what_there_is_none_of_is_not_listed() {
        assert_eq!(list(&[(0, "manifest", "manifests"), (1, "tag", "tags")]).as_deref(), Some("1 tag"));
        assert_eq!(list(&[(2, "manifest", "manifests"), (1, "tag", "tags")]).as_deref(), Some("2 manifests and 1 tag"));
        assert_eq!(list(&[(0, "manifest", "manifests")]), None);
    }
}
