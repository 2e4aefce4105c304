//! How a test can end, and counting it.

use std::fmt;
use std::ops::AddAssign;

/// The end of one test. Ordered: of several ends of the same thing the greatest is the one to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Not run: the version or an option leaves it out.
    Disabled,
    /// The registry says that it does not offer this, in a way that the specification allows.
    Skip,
    Pass,
    /// The registry does not do what it has to.
    Fail,
    /// The suite could not find out.
    Error,
}

impl Outcome {
    pub(crate) const ALL: [Self; 5] = [Self::Disabled, Self::Skip, Self::Pass, Self::Fail, Self::Error];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Skip => "skip",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    by_outcome: [usize; Outcome::ALL.len()],
}

impl Counts {
    pub(crate) fn of(&self, outcome: Outcome) -> usize {
        self.by_outcome[outcome as usize]
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.by_outcome[outcome as usize] += 1;
    }

    pub(crate) fn total(&self) -> usize {
        self.by_outcome.iter().sum()
    }

    /// Whether the registry failed nowhere and the suite found everything out.
    pub(crate) fn are_good(&self) -> bool {
        self.of(Outcome::Fail) == 0 && self.of(Outcome::Error) == 0 && self.of(Outcome::Pass) > 0
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        for (mine, others) in self.by_outcome.iter_mut().zip(other.by_outcome) {
            *mine += others;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Outcome};

    #[test]
    fn every_outcome_is_counted_in_its_own_place() {
        let mut counts = Counts::default();
        for outcome in Outcome::ALL {
            counts.add(outcome);
        }
        assert!(Outcome::ALL.iter().all(|outcome| counts.of(*outcome) == 1));
        counts += counts;
        assert_eq!(counts.total(), 10);
    }

    #[test]
    fn a_run_without_a_pass_or_with_a_failure_or_an_error_is_not_good() {
        let counts = |outcomes: &[Outcome]| {
            let mut counts = Counts::default();
            for outcome in outcomes {
                counts.add(*outcome);
            }
            counts
        };
        assert!(!counts(&[]).are_good());
        assert!(!counts(&[Outcome::Skip]).are_good());
        assert!(counts(&[Outcome::Pass, Outcome::Skip, Outcome::Disabled]).are_good());
        assert!(!counts(&[Outcome::Pass, Outcome::Fail]).are_good());
        assert!(!counts(&[Outcome::Pass, Outcome::Error]).are_good());
    }
}
