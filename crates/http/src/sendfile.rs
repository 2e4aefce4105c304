//! Files to plain HTTP/1 connections by `sendfile(2)`, under an unmodified hyper.
//!
//! A file is mapped and handed to hyper as ordinary [`Bytes`]. hyper queues `Bytes` without copying them and passes
//! their slices to `poll_write_vectored`. [`SendfileStream`] recognises a slice that lies in a live mapping and calls
//! `sendfile(2)` for it instead of `writev(2)`, so the mapped pages are never touched. Any other layer (TLS, HTTP/2)
//! would just read the mapping: the trick can make things faster, never wrong.
//!
//! What this file guarantees:
//!
//! * A cold file never blocks an async worker. Each window is probed before it is sent; what is not in memory is read
//!   on the blocking pool first, and then sent without asking again, so that every prefetch makes progress.
//! * A mapping lives exactly as long as its `Bytes`: a client that goes away takes it with it.
//!
//! It relies on one promise of whoever keeps the files: **they are unlinked, never truncated**. Reading a mapping
//! beyond the end of a shortened file is a SIGBUS. This is the only file of the project with `unsafe` code.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, IoSlice},
    ops::Range,
    pin::Pin,
    sync::{
        Arc, LazyLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};
use rustix::{
    io::Errno,
    net::{SendAncillaryBuffer, SendFlags},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    task::JoinHandle,
};

use crate::page_cache::CachedFile;

/// Slices shorter than this go out by `writev`, unless they continue what was sent before them.
const MIN_SENDFILE: usize = 32 * 1024;
/// Most bytes handed to one `sendfile` call, so that one fast reader cannot keep a worker; also the window that is
/// probed, and read on the blocking pool where it is cold, at once.
const WINDOW: usize = 2 * 1024 * 1024;

/// Live mappings by start address. Addresses are unique while a mapping lives.
static MAPPINGS: LazyLock<RwLock<BTreeMap<usize, Arc<Mapping>>>> = LazyLock::new(RwLock::default);

/// What a range of addresses stands for.
#[derive(Debug)]
pub(crate) struct Mapping {
    addresses: Range<usize>,
    file: CachedFile,
    /// Where in the file the first address lies.
    offset: u64,
    /// Bytes of this mapping that sockets have accepted.
    sent: AtomicU64,
}

/// The owner of a mapping, inside the `Bytes` that are handed out.
struct MappedFile(Mmap);

/// A TCP connection that sends slices of mapped files by `sendfile(2)`.
#[derive(Debug)]
pub(crate) struct SendfileStream {
    tcp: TcpStream,
    /// The address that follows the last byte sent by `sendfile`: the rest of that file goes the same way.
    next: usize,
    /// The end of what is known to be in memory from `next` on.
    resident: usize,
    /// The window from `next` on, being read into the page cache on the blocking pool.
    prefetch: Option<JoinHandle<io::Result<()>>>,
}

impl Mapping {
    /// How many bytes of this mapping sockets have accepted so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn file_range(&self, addresses: Range<usize>) -> Range<u64> {
        self.file_offset(addresses.start)..self.file_offset(addresses.end)
    }

    fn file_offset(&self, address: usize) -> u64 {
        self.offset + (address - self.addresses.start) as u64
    }
}

impl MappedFile {
    fn register(file: Arc<File>, offset: u64, length: usize) -> io::Result<MappedFile> {
        // SAFETY: what is handed in is never changed while it is open: unlinked, but not truncated and not written to.
        #[expect(unsafe_code, reason = "mapping a file is unsafe, since others could change it")]
        let map = unsafe { MmapOptions::new().offset(offset).len(length).map(&*file)? };
        let start = map.as_ptr() as usize;
        let mapping =
            Mapping { addresses: start..start + length, file: CachedFile::new(file), offset, sent: AtomicU64::new(0) };
        MAPPINGS.write().unwrap_or_else(PoisonError::into_inner).insert(start, Arc::new(mapping));
        Ok(MappedFile(map))
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        MAPPINGS.write().unwrap_or_else(PoisonError::into_inner).remove(&(self.0.as_ptr() as usize));
    }
}

impl SendfileStream {
    pub(crate) fn new(tcp: TcpStream) -> SendfileStream {
        SendfileStream { tcp, next: 0, resident: 0, prefetch: None }
    }

    fn mapping_of(&self, slice: &[u8]) -> Option<Arc<Mapping>> {
        if slice.len() < MIN_SENDFILE && slice.as_ptr() as usize != self.next {
            return None;
        }
        mapping_of(slice)
    }

    /// Sends the start of `slice`, which lies in `mapping`.
    fn poll_sendfile(&mut self, cx: &mut Context<'_>, slice: &[u8], mapping: &Mapping) -> Poll<io::Result<usize>> {
        let start = slice.as_ptr() as usize;
        if start != self.next {
            // What was known belongs to another file, even if the addresses look alike.
            (self.next, self.resident, self.prefetch) = (start, start, None);
        }
        ready!(self.tcp.poll_write_ready(cx))?;
        let count = ready!(self.poll_resident(cx, mapping))?.min(slice.len());
        let sent = ready!(self.poll_io(cx, |tcp| {
            let mut offset = mapping.file_offset(start);
            rustix::fs::sendfile(tcp, mapping.file.file(), Some(&mut offset), count)
        }));
        let sent = match sent {
            Ok(0) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was truncated"))),
            // A file system that cannot do it: the mapping is good for any other way.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::NOSYS)) => {
                ready!(Pin::new(&mut self.tcp).poll_write(cx, &slice[..count]))?
            }
            other => other?,
        };
        self.next += sent;
        mapping.sent.fetch_add(sent as u64, Ordering::Relaxed);
        Poll::Ready(Ok(sent))
    }

    /// How many bytes from `next` on can be sent without waiting for a disk: at least 1, and about a window at most.
    ///
    /// Pending while a cold window is being read.
    fn poll_resident(&mut self, cx: &mut Context<'_>, mapping: &Mapping) -> Poll<io::Result<usize>> {
        let window = self.next..mapping.addresses.end.min(self.next + WINDOW);
        loop {
            if let Some(prefetch) = &mut self.prefetch {
                let read = ready!(Pin::new(prefetch).poll(cx));
                self.prefetch = None;
                read.map_err(io::Error::other)??;
                // Not probed again: what was just read is sent, whatever became of it.
                self.resident = window.end;
                break;
            }
            // A window known from before is asked for its first byte only, to notice what was evicted since.
            let asked = if self.next < self.resident { self.next..self.next + 1 } else { window.clone() };
            let found = mapping.file.resident_prefix(mapping.file_range(asked))?;
            if found > 0 {
                self.resident = self.resident.max(self.next + usize::try_from(found).expect("at most a window"));
                break;
            }
            let ahead = mapping.file_range(window.end..mapping.addresses.end.min(window.end + WINDOW));
            let (file, wanted) = (mapping.file.clone(), mapping.file_range(window.clone()));
            self.prefetch = Some(tokio::task::spawn_blocking(move || file.prefetch(wanted, ahead)));
        }
        Poll::Ready(Ok(self.resident - self.next))
    }

    fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&TcpStream) -> rustix::io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            match self.tcp.try_io(Interest::WRITABLE, || call(&self.tcp).map_err(io::Error::from)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncWrite for SendfileStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mapped = buffers.iter().enumerate().find_map(|(at, slice)| Some((at, self.mapping_of(slice)?)));
        match mapped {
            None => Pin::new(&mut self.tcp).poll_write_vectored(cx, buffers),
            Some((0, mapping)) => self.poll_sendfile(cx, &buffers[0], &mapping),
            // The head, held back by MSG_MORE so that it shares a segment with the start of the file.
            Some((first, _)) => self.poll_io(cx, |tcp| {
                let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
                rustix::net::sendmsg(tcp, &buffers[..first], &mut SendAncillaryBuffer::default(), flags)
            }),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl AsyncRead for SendfileStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

/// The bytes `range` of `file`, backed by a mapping that [`SendfileStream`] recognises.
///
/// Nothing is read. Fails if the file is shorter than the range says or cannot be mapped.
pub(crate) fn file_bytes(file: Arc<File>, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    if length == 0 {
        return Ok(Bytes::new());
    }
    if file.metadata()?.len() < range.end {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Bytes::from_owner(MappedFile::register(file, range.start, length)?))
}

/// The mapping that all of `bytes` lie in.
pub(crate) fn mapping_of(bytes: &[u8]) -> Option<Arc<Mapping>> {
    if bytes.is_empty() {
        return None;
    }
    let start = bytes.as_ptr() as usize;
    let mappings = MAPPINGS.read().unwrap_or_else(PoisonError::into_inner);
    let (_, mapping) = mappings.range(..=start).next_back()?;
    (start + bytes.len() <= mapping.addresses.end).then(|| mapping.clone())
}

/// How many mappings of `file` are alive.
#[cfg(test)]
pub(crate) fn live_mappings(file: &File) -> usize {
    use std::os::unix::fs::MetadataExt;

    let identity = |file: &File| file.metadata().map(|metadata| (metadata.dev(), metadata.ino())).unwrap();
    let mappings = MAPPINGS.read().unwrap();
    mappings.values().filter(|mapping| identity(mapping.file.file()) == identity(file)).count()
}

#[cfg(test)]
mod tests;
