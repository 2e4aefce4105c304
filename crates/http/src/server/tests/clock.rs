//! A clock for tests in which connections have to wait for long.
//!
//! A clock that tokio has stopped goes on by itself as soon as no task can run, though bytes may be on their way. This
//! one goes on second by second, and everybody gets to do what there is to do in between.

use std::{sync::mpsc, thread, time::Duration};

use tokio::{
    task::{spawn_blocking, yield_now},
    time::advance,
};

/// Turns that every task gets in a second.
const TURNS: usize = 60;
/// What a second takes at least, so that a busy kernel gets to bring bytes from one end of a connection to the other.
const SECOND: Duration = Duration::from_millis(1);

/// Lets the time pass in a runtime that has one thread and whose clock is paused.
pub(super) fn run() -> impl Drop {
    struct Running {
        // A blocking task keeps tokio from moving the clock. It ends with this.
        _end: mpsc::Sender<()>,
        ticking: tokio::task::JoinHandle<()>,
    }
    impl Drop for Running {
        fn drop(&mut self) {
            self.ticking.abort();
        }
    }
    let (end, ended) = mpsc::channel();
    spawn_blocking(move || ended.recv());
    let ticking = tokio::spawn(async {
        loop {
            for _ in 0..TURNS {
                yield_now().await;
            }
            thread::sleep(SECOND);
            advance(Duration::from_secs(1)).await;
        }
    });
    Running { _end: end, ticking }
}
