//! What came out, as it is told on the terminal and gathered for the page.

use std::collections::BTreeMap;

use super::crowd::{Cold, Crowd};
use super::instructions::Counts;
use super::load::Level;
use super::rows::{Among, Start};

/// What is measured of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    Pull,
    PullTls,
    PullTlsHttp2,
    Push,
    PushFar,
    PushFarHttp2,
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
    pub(crate) contenders: Vec<&'static str>,
    /// One of each round.
    pub(crate) figures: BTreeMap<(Row, &'static str), Vec<Figure>>,
    /// Idle, and the most, in bytes.
    pub(crate) memory: BTreeMap<&'static str, (u64, u64)>,
    pub(crate) syncs: BTreeMap<&'static str, f64>,
    /// Of ours alone.
    pub(crate) instructions: Counts,
    pub(crate) levels: Vec<(&'static str, Vec<Level>)>,
    pub(crate) among: Vec<Among>,
    pub(crate) starts: Vec<Start>,
    /// Without TLS and with it.
    pub(crate) crowds: Vec<(&'static str, Crowd)>,
    pub(crate) cold: Option<Cold>,
    /// In bytes.
    pub(crate) program: u64,
    pub(crate) versions: Vec<String>,
    pub(crate) missing: Vec<&'static str>,
}

impl Row {
    pub(crate) const ALL: [Self; 10] = [
        Self::Pull,
        Self::PullTls,
        Self::PullTlsHttp2,
        Self::Push,
        Self::PushFar,
        Self::PushFarHttp2,
        Self::Manifest,
        Self::SmallBlob,
        Self::Head,
        Self::SmallPush,
    ];

    /// Its name without a unit.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Pull => "pull of a large blob",
            Self::PullTls => "the same by TLS, HTTP/1.1",
            Self::PullTlsHttp2 => "the same by TLS, HTTP/2",
            Self::Push => "push of a large blob",
            Self::PushFar => "push over 50 ms, HTTP/1.1",
            Self::PushFarHttp2 => "push over 50 ms, HTTP/2",
            Self::Manifest => "manifest by tag",
            Self::SmallBlob => "16 KiB blob",
            Self::Head => "HEAD blob",
            Self::SmallPush => "one small blob pushed",
        }
    }

    pub(crate) fn name(self) -> String {
        format!("{}, {}", self.key(), self.unit().0)
    }

    /// What a second is in the unit that it is told in.
    pub(crate) fn scale(self) -> f64 {
        self.unit().1
    }

    fn unit(self) -> (&'static str, f64) {
        match self {
            Self::Manifest | Self::SmallBlob | Self::Head => ("us", 1e6),
            Self::SmallPush => ("ms", 1e3),
            _ => ("s/GB", 1.0),
        }
    }
}

impl Table {
    pub(crate) fn put(&mut self, row: Row, contender: &'static str, figure: Figure) {
        println!("  {}: {}", row.name(), told(row, figure));
        self.figures.entry((row, contender)).or_default().push(figure);
    }

    /// The least of all rounds.
    pub(crate) fn figure(&self, row: Row, contender: &'static str) -> Option<Figure> {
        self.figures.get(&(row, contender)).map(|figures| least(figures))
    }

    /// What counts is what it has when it is new.
    pub(crate) fn memory(&mut self, contender: &'static str, idle: u64, most: u64) {
        self.memory.entry(contender).or_insert((idle, most));
    }
}

/// The figure with the least CPU time, of one at least: what else a machine does only adds to it.
pub(crate) fn least(figures: &[Figure]) -> Figure {
    let least = figures.iter().min_by(|one, other| one.cpu.total_cmp(&other.cpu));
    *least.expect("it was measured")
}

/// CPU time of the server, and beside it the time that it took.
pub(crate) fn told(row: Row, figure: Figure) -> String {
    format!("{} ({})", digits(figure.cpu * row.scale()), digits(figure.wall * row.scale()))
}

/// Three digits that count.
pub(crate) fn digits(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}
