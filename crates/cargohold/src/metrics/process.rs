//! What the system knows of this process, under the names that Prometheus' own libraries use.

use std::{fs, sync::OnceLock};

use cargohold_metrics::Page;
use rustix::process::{Resource, getrlimit};

/// Where the numbers begin that `/proc/self/stat` has behind the name: with the third field.
const FIRST: usize = 3;

/// What is told of it.
#[derive(Clone, Copy, Debug, Default)]
struct Stat {
    /// In ticks of the clock.
    user: u64,
    system: u64,
    threads: u64,
    /// In ticks since the machine started.
    started: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// Tells all of it.
#[expect(clippy::cast_precision_loss, reason = "numbers for graphs")]
pub(super) fn tell(page: &mut Page) {
    let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|text| parse(&text)).unwrap_or_default();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let most = getrlimit(Resource::Nofile).current;
    page.seconds(
        "process_cpu_seconds_total",
        "CPU time that the process took, of its own and in the kernel.",
        (stat.user + stat.system) as f64 / ticks,
    );
    page.gauge(
        "process_resident_memory_bytes",
        "Memory that the process has.",
        stat.resident_pages as f64 * page_size(),
    );
    page.gauge("process_virtual_memory_bytes", "Addresses that the process has.", stat.virtual_bytes as f64);
    page.gauge("process_threads", "Threads of the process.", stat.threads as f64);
    page.gauge("process_open_fds", "Files and sockets that are open.", files as f64);
    page.gauge(
        "process_max_fds",
        "How many files and sockets may be open.",
        most.map_or(f64::INFINITY, |most| most as f64),
    );
    let started = boot_time().map(|booted| booted + stat.started as f64 / ticks);
    page.gauges(
        "process_start_time_seconds",
        "When the process started, in seconds since 1970.",
        [],
        started.map(|started| ([], started)),
    );
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn page_size() -> f64 {
    rustix::param::page_size() as f64
}

/// When the machine started, in seconds since 1970.
fn boot_time() -> Option<f64> {
    static BOOTED: OnceLock<Option<f64>> = OnceLock::new();
    *BOOTED.get_or_init(|| {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    })
}

/// Reads a line of `proc(5)`. The name of the process, in parentheses, may have anything in it.
fn parse(text: &str) -> Option<Stat> {
    let (_, behind) = text.rsplit_once(')')?;
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let field = |number: usize| fields.get(number - FIRST)?.parse().ok();
    Some(Stat {
        user: field(14)?,
        system: field(15)?,
        threads: field(20)?,
        started: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_told_of() {
        let mut page = Page::default();
        tell(&mut page);
        for described in page.described() {
            let sample = page.text().lines().find_map(|line| line.strip_prefix(&format!("{} ", described.name)));
            let value: f64 = sample.unwrap().parse().unwrap();
            assert!(value > 0.0 || described.name == "process_cpu_seconds_total", "{}: {value}", described.name);
        }
    }

    #[test]
    fn a_process_may_have_any_name() {
        let numbers = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22";
        let stat = parse(&format!("42 (a) b) c) {numbers}")).unwrap();
        assert_eq!((stat.user, stat.system, stat.threads, stat.started), (11, 12, 17, 19));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (20, 21));
        assert!(parse("").is_none() && parse("1 (a) S").is_none());
    }
}
