//! The seam beside the hasher: what listens to the bytes of an upload as they are written.

/// Listens to every byte of an upload once, in order. The hash is one; a file index can be another.
///
/// It runs on the pool for blocking work, between two writes, so it must keep up with a disk.
pub trait Observer: Send {
    /// Takes the next bytes. Where they are cut has no meaning.
    fn observe(&mut self, chunk: &[u8]);
}
