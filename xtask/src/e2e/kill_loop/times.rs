//! How long the server leaves things alone in a round. It is started with other times each round, so that the sweep meets what a
//! server with other times has left.

use std::time::Duration;

use crate::e2e::random::Random;
use crate::e2e::server::Installation;

/// The times of one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// As shipped: nothing is swept within a round.
    Default,
    /// What is deleted is swept at once, and its bytes soon; a blob that nothing refers to stays for a day.
    Eager { keep: u64 },
    /// Blobs that nothing refers to go as well, under the hands of those who push them.
    Racing { grace: u64, window: u64, keep: u64 },
}

impl Times {
    pub(super) fn of_a_round(random: &mut Random) -> Self {
        let kind = random.below(8);
        let mut choose = |choices: &[u64]| random.pick(choices).copied().unwrap_or(0);
        match kind {
            0..=1 => Self::Default,
            2..=4 => Self::Eager { keep: choose(&[0, 0, 50]) },
            _ => Self::Racing {
                grace: choose(&[20, 60, 200]),
                window: choose(&[0, 0, 200]),
                keep: choose(&[0, 50, 200]),
            },
        }
    }

    /// Whether a blob may be swept that was acknowledged and that no manifest refers to.
    pub(super) fn sweep_pushed_blobs(self) -> bool {
        matches!(self, Self::Racing { .. })
    }

    /// Whether what is deleted may be swept within the round.
    pub(super) fn end_windows(self) -> bool {
        !matches!(self, Self::Default)
    }

    /// About as long as a blob stays that nothing refers to, where that is short.
    pub(super) fn dawdle(self) -> Duration {
        match self {
            Self::Racing { grace, .. } => Duration::from_millis(grace),
            Self::Default | Self::Eager { .. } => Duration::ZERO,
        }
    }

    /// The installation with these times.
    pub(super) fn set(self, installation: &Installation) -> Installation {
        let milliseconds = |time: u64| format!("{time}ms");
        let with = |grace: &str, window: &str, keep: &str| {
            let installation = installation.clone().with_variable("CARGOHOLD__SWEEP__GRACE", grace);
            let installation = installation.with_variable("CARGOHOLD__SWEEP__WINDOW", window);
            let installation = installation.with_variable("CARGOHOLD__SWEEP__KEEP", keep);
            installation.with_variable("CARGOHOLD__SWEEP__INTERVAL", "10ms")
        };
        match self {
            Self::Default => installation.clone(),
            Self::Eager { keep } => with("24h", "0s", &milliseconds(keep)),
            Self::Racing { grace, window, keep } => {
                with(&milliseconds(grace), &milliseconds(window), &milliseconds(keep))
            }
        }
    }
}
