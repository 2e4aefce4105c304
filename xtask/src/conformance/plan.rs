//! The order of a run. Groups share two repositories, so each one finds them as those before it left them.

use super::attempt::Setting;
use super::content::{Algorithm, Content};
use super::data_sets::DATA_SETS;
use super::run::Run;
use super::tree::Group;
use super::{basics, blobs, steps};
use crate::e2e::random::Random;

/// Runs everything that the rules of `setting` ask for.
pub(crate) fn carry_out(name: &str, setting: &Setting, random: Random) -> Group {
    let mut run = Run::new(name, setting, random);
    basics::ping(&mut run);
    basics::empty(&mut run);
    for algorithm in Algorithm::ALL {
        blobs::group(&mut run, algorithm);
    }
    for set in DATA_SETS.iter().filter(|set| (set.wanted)(setting.rules)) {
        let mut content = Content::new(set.algorithm, Random::new(run.random.next()));
        (set.make)(&mut content);
        run.group(set.name, |run| steps::all(run, &content));
    }
    basics::missing_manifest(&mut run);
    basics::invalid_digest(&mut run);
    run.finish()
}
