//! The shortest sequence that still fails: steps are left out, and what is left is tried against a server of its own.

use crate::{
    pool::Pool,
    sequence::{Configuration, Failure, Sequence},
    step::Step,
};

/// Enough for some hundred steps, and soon over.
const MOST_TRIES: usize = 400;

/// Fewer steps of a failing sequence, none of which can be left out alone, if the tries suffice, and how they fail. A failure
/// that does not come again when it is tried again stays as it is.
pub(crate) fn shortest(pool: &Pool, configuration: Configuration, steps: &[Step], failure: Failure) -> Failure {
    let (mut steps, mut tries) = (steps[..=failure.step].to_vec(), 0);
    let Some(mut failure) = fails(pool, configuration, &steps) else { return failure };
    let mut length = steps.len() / 2;
    while length > 0 {
        let mut at = 0;
        while at < steps.len() {
            if tries == MOST_TRIES {
                return failure;
            }
            tries += 1;
            let fewer: Vec<_> = steps.iter().enumerate().filter(|(n, _)| *n < at || *n >= at + length).collect();
            let fewer: Vec<_> = fewer.into_iter().map(|(_, step)| step.clone()).collect();
            match fails(pool, configuration, &fewer) {
                Some(shorter) => {
                    steps = fewer[..=shorter.step].to_vec();
                    failure = shorter;
                }
                None => at += length,
            }
        }
        length /= 2;
    }
    failure
}

/// Takes the steps; answers how they fail, if they do.
fn fails(pool: &Pool, configuration: Configuration, steps: &[Step]) -> Option<Failure> {
    let mut sequence = Sequence::start(pool, configuration);
    steps.iter().find_map(|step| sequence.take(step).err())
}
