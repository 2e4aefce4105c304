//! Waiting for what happens by itself, with a deadline that only a failure reaches.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Far more than anything takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < DEADLINE, "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
