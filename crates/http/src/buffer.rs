//! Memory for what is read from files, used again and again: finding it anew and filling it with zeros, as safe reads ask for,
//! costs a good part of what the read itself does.
//!
//! A buffer is lent until the last of its bytes was sent. Each thread keeps a few for the next reads.

use std::cell::RefCell;

use bytes::Bytes;

/// Size of a buffer in bytes: a thousand slow readers hold 64 MiB.
pub const FRAME: usize = 64 * 1024;
/// Buffers that a thread keeps.
const MOST_SPARE: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Room for bytes.
#[derive(Debug)]
pub(crate) struct Buffer(Vec<u8>);

/// Bytes that a buffer was filled with.
struct Filled {
    buffer: Buffer,
    length: usize,
}

impl Buffer {
    /// Room for so many bytes.
    pub(crate) fn of(length: usize) -> Self {
        let spare = if length <= FRAME { SPARE.with_borrow_mut(Vec::pop) } else { None };
        Self(spare.unwrap_or_else(|| vec![0; length.max(FRAME)]))
    }

    /// The room itself; what is in it is of no meaning.
    pub(crate) fn room(&mut self, length: usize) -> &mut [u8] {
        &mut self.0[..length]
    }

    /// The first bytes of it.
    pub(crate) fn filled(self, length: usize) -> Bytes {
        Bytes::from_owner(Filled { buffer: self, length })
    }
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer.0[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.len() != FRAME {
            return;
        }
        let buffer = std::mem::take(&mut self.0);
        // A thread that ends keeps nothing.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MOST_SPARE {
                spare.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare() -> usize {
        SPARE.with_borrow(Vec::len)
    }

    #[test]
    fn what_was_sent_is_used_again() {
        let mut buffer = Buffer::of(3);
        buffer.room(3).copy_from_slice(b"one");
        let (whole, place) = (buffer.filled(3), spare());
        let part = whole.slice(1..);
        drop(whole);
        assert_eq!((&part[..], spare()), (&b"ne"[..], place), "it is still lent");
        drop(part);
        assert_eq!(spare(), 1);
        assert_eq!(Buffer::of(FRAME).room(3), b"one");
    }

    #[test]
    fn a_thread_keeps_few_and_none_that_is_large() {
        drop((0..10).map(|_| Buffer::of(FRAME)).collect::<Vec<_>>());
        assert_eq!(spare(), MOST_SPARE);
        let mut large = Buffer::of(FRAME + 1);
        assert_eq!(large.room(FRAME + 1).len(), FRAME + 1);
        drop(large);
        assert!(SPARE.with_borrow(|spare| spare.iter().all(|buffer| buffer.len() == FRAME)));
    }
}
