//! How the program ends: every exit status that it has, and what each means to a script.

use std::process::ExitCode;

/// Why the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// What was asked for is done.
    Done,
    /// It could not be done.
    Failed,
    /// The command line is wrong. The parser of the command line ends the program with it.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is clap's own, and told here for the page"))]
    Usage,
    /// It was done, and somebody should look at what was found.
    LookAtIt,
    /// The server was told twice to stop.
    StoppedAtOnce,
}

impl ExitStatus {
    /// The number that the system gets.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::LookAtIt => 3,
            Self::StoppedAtOnce => 130,
        }
    }

    /// What it means, for the page.
    #[cfg(test)]
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "It is done. The server stopped in order.",
            Self::Failed => "It could not be done; the reason is on standard error.",
            Self::Usage => "The command line is wrong; nothing was done.",
            Self::LookAtIt => {
                "It was done, and something is left that somebody should look at, which is told: `fsck` found damage, `adopt` left \
                 something out, `export` lacked bytes, `status` found no server."
            }
            Self::StoppedAtOnce => "The server was told twice to stop, and did not wait for running requests.",
        }
    }

    /// All of them, by their numbers.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [Self::Done, Self::Failed, Self::Usage, Self::LookAtIt, Self::StoppedAtOnce];
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
