//! A file as a stream of small frames, for every connection that is not plain HTTP/1.
//!
//! What is in the page cache is read on the async thread; what is not is read on the blocking pool, so a cold file
//! never blocks a worker. A stream holds one frame at a time ([`FRAME`] bytes), whatever the file's size. A file that
//! ends before its range does is an error, so a short body is never taken for a whole one.

use std::{
    fs::File,
    io,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::JoinHandle;

use crate::{buffer::Buffer, page_cache::CachedFile};

pub use crate::buffer::FRAME;

/// A range of a file, read frame by frame.
#[derive(Debug)]
pub struct FileStream {
    file: CachedFile,
    rest: Range<u64>,
    /// A frame being read on the blocking pool.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileStream {
    /// The bytes `range` of `file`. Nothing is read until the stream is polled.
    pub fn new(file: impl Into<Arc<File>>, range: Range<u64>) -> FileStream {
        FileStream { file: CachedFile::new(file.into()), rest: range, reading: None }
    }

    /// Bytes that the stream has still to give.
    pub fn remaining(&self) -> u64 {
        self.rest.end.saturating_sub(self.rest.start)
    }

    /// Moves on behind `frame`.
    fn take(&mut self, frame: Bytes) -> Bytes {
        self.rest.start += frame.len() as u64;
        frame
    }

    fn next_length(&self) -> usize {
        usize::try_from(self.remaining()).unwrap_or(FRAME).min(FRAME)
    }
}

impl Stream for FileStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let (offset, length) = (self.rest.start, self.next_length());
        if length == 0 {
            return Poll::Ready(None);
        }
        if self.reading.is_none() {
            if let Some(frame) = read_resident(&self.file, offset, length)? {
                return Poll::Ready(Some(Ok(self.take(frame))));
            }
            let file = self.file.clone();
            self.reading = Some(tokio::task::spawn_blocking(move || read(&file, offset, length)));
        }
        let reading = self.reading.as_mut().expect("it was just set");
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let frame = read.map_err(io::Error::other)??;
        Poll::Ready(Some(Ok(self.take(frame))))
    }
}

/// The bytes `range` of `file` in one piece, read on this thread if they are in memory.
pub(crate) async fn read_whole(file: Arc<File>, range: Range<u64>) -> io::Result<Bytes> {
    let file = CachedFile::new(file);
    let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    match read_resident(&file, range.start, length)? {
        Some(bytes) if bytes.len() == length => Ok(bytes),
        _ => tokio::task::spawn_blocking(move || read(&file, range.start, length)).await.map_err(io::Error::other)?,
    }
}

/// What is in memory of `length` bytes from `offset` on; `None` if that is nothing.
fn read_resident(file: &CachedFile, offset: u64, length: usize) -> io::Result<Option<Bytes>> {
    let mut buffer = Buffer::of(length);
    match file.read_resident(buffer.room(length), offset)? {
        None => Ok(None),
        Some(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it was")),
        Some(read) => Ok(Some(buffer.filled(read))),
    }
}

fn read(file: &CachedFile, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; length];
    file.read_exact_at(&mut buffer, offset)?;
    Ok(buffer.into())
}

#[cfg(test)]
mod tests;
