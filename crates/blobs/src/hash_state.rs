//! The running hash of an upload, which can be put away with the count of bytes it covers and taken up again by another process,
//! so that staged bytes are never read twice.

use std::fmt;

use cargohold_oci::{Algorithm, Digest};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

use crate::Observer;

const SHA256_CODE: u8 = 1;
const SHA512_CODE: u8 = 2;

/// A hash over the bytes seen so far.
#[derive(Clone)]
pub struct HashState {
    running: Running,
}

#[derive(Clone)]
enum Running {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl HashState {
    /// A hash over nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        let running = match algorithm {
            Algorithm::Sha256 => Running::Sha256(Sha256::new()),
            Algorithm::Sha512 => Running::Sha512(Sha512::new()),
        };
        Self { running }
    }

    /// Reads what [`HashState::to_bytes`] wrote; `None` if it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (code, state) = bytes.split_first()?;
        let running = match *code {
            SHA256_CODE => Running::Sha256(restore(state)?),
            SHA512_CODE => Running::Sha512(restore(state)?),
            _ => return None,
        };
        Some(Self { running })
    }

    /// The form that is stored: the algorithm's code (1 for sha256, 2 for sha512), then the state as `sha2` serialises it.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.running {
            Running::Sha256(hash) => [&[SHA256_CODE], hash.serialize().as_slice()].concat(),
            Running::Sha512(hash) => [&[SHA512_CODE], hash.serialize().as_slice()].concat(),
        }
    }

    /// The algorithm it was started with.
    pub fn algorithm(&self) -> Algorithm {
        match self.running {
            Running::Sha256(_) => Algorithm::Sha256,
            Running::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.running {
            Running::Sha256(hash) => hash.update(bytes),
            Running::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        match self.running {
            Running::Sha256(hash) => digest(algorithm, &hash.finalize()),
            Running::Sha512(hash) => digest(algorithm, &hash.finalize()),
        }
    }
}

impl Observer for HashState {
    fn observe(&mut self, chunk: &[u8]) {
        self.update(chunk);
    }
}

impl fmt::Debug for HashState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HashState({})", self.algorithm())
    }
}

fn restore<H: SerializableState>(state: &[u8]) -> Option<H> {
    H::deserialize(<&SerializedState<H>>::try_from(state).ok()?).ok()
}

fn digest(algorithm: Algorithm, hash: &[u8]) -> Digest {
    Digest::from_hash(algorithm, hash).expect("a hash function gives a hash of its algorithm's length")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

    #[test]
    fn of_nothing_is_the_digest_of_nothing() {
        for algorithm in ALGORITHMS {
            assert_eq!(HashState::new(algorithm).finish(), Digest::of(algorithm, b""));
        }
    }

    /// Rows of uploads in progress outlive an upgrade of `sha2`; this is what they hold after the bytes `0..=200`.
    #[test]
    fn the_stored_form_stays_as_it_is() {
        let bytes: Vec<u8> = (0..=200).collect();
        for (algorithm, length, stored) in [
            (Algorithm::Sha256, 105, "ae4a9a2799fcbc741d7c678cd1cae1f681bd29a3061a7f4143d8cccbf86ef540"),
            (Algorithm::Sha512, 209, "3a801dd08f070a2a8524c9fdc4d59c2bfe42f3553e509f05e446219034047bca"),
        ] {
            let mut state = HashState::new(algorithm);
            state.update(&bytes);
            assert_eq!(state.to_bytes().len(), length);
            assert_eq!(Digest::of(Algorithm::Sha256, &state.to_bytes()).hex(), stored);
        }
    }

    #[test]
    fn refuses_what_it_did_not_write() {
        for algorithm in ALGORITHMS {
            let mut stored = HashState::new(algorithm).to_bytes();
            assert!(HashState::from_bytes(&stored[..stored.len() - 1]).is_none());
            stored.push(0);
            assert!(HashState::from_bytes(&stored).is_none());
            stored.pop();
            stored[0] = 3;
            assert!(HashState::from_bytes(&stored).is_none());
        }
        assert!(HashState::from_bytes(&[]).is_none());
    }

    proptest! {
        #[test]
        fn goes_on_where_it_was_put_away(pieces in vec(vec(any::<u8>(), 0..300), 0..6), sha512: bool) {
            let algorithm = ALGORITHMS[usize::from(sha512)];
            let mut state = HashState::new(algorithm);
            for piece in &pieces {
                state.update(piece);
                state = HashState::from_bytes(&state.to_bytes()).unwrap();
            }
            prop_assert_eq!(state.finish(), Digest::of(algorithm, &pieces.concat()));
        }

        #[test]
        fn what_it_reads_it_writes(code in 0..4_u8, bytes in prop_oneof![vec(any::<u8>(), 104), vec(any::<u8>(), 208)]) {
            let stored = [&[code], bytes.as_slice()].concat();
            if let Some(state) = HashState::from_bytes(&stored) {
                prop_assert_eq!(state.algorithm(), ALGORITHMS[usize::from(code - 1)]);
                prop_assert_eq!(state.to_bytes().len(), stored.len());
            }
        }
    }
}
