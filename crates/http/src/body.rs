//! Response bodies.
//!
//! [`Body`] is the one body type that the server sends: nothing, bytes, a file, a stream, or several of these in
//! sequence. Its length is exact wherever it can be known. It picks the cheapest way that a connection allows for a
//! file (see [`Body::from_file`]) and tells whoever asks what became of it ([`Body::observed`]). What goes into the
//! headers is left to the handlers.

mod observation;

use std::{
    collections::VecDeque,
    fmt,
    fs::File,
    io, mem,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body::{Frame, SizeHint};

use crate::{file_stream::FileStream, sendfile};
use observation::Observation;

pub use observation::BodyOutcome;

/// Files, and parts of files, that are shorter are read into memory at once, in bytes.
const MIN_MAPPED: u64 = 256 * 1024;

/// What lies between a body and its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1 on a TCP connection without encryption: the kernel can send files by itself.
    PlainHttp1,
    /// Anything else: bytes pass through this process.
    Other,
}

/// The body of a response.
pub struct Body {
    content: Content,
    observation: Option<Arc<Observation>>,
}

enum Content {
    Bytes(Bytes),
    File(FileStream),
    Stream {
        stream: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
        /// Bytes still to come, if that is known.
        remaining: Option<u64>,
    },
    Sequence(VecDeque<Body>),
}

impl Body {
    /// No bytes.
    pub fn empty() -> Body {
        Body::full(Bytes::new())
    }

    /// These bytes, sent without copying them.
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        Body::new(Content::Bytes(bytes.into()))
    }

    /// The bytes `range` of `file`, in the cheapest way for `transport`.
    ///
    /// Short ranges are read into memory at once. Longer ones are mapped and sent by the kernel on plain HTTP/1, and
    /// read frame by frame elsewhere. Nothing of this makes an async worker wait for a disk.
    ///
    /// Fails if the file is shorter than the range says, or cannot be read.
    pub async fn from_file(file: impl Into<Arc<File>>, range: Range<u64>, transport: Transport) -> io::Result<Body> {
        let file = file.into();
        let length = range.end.saturating_sub(range.start);
        if length == 0 {
            return Ok(Body::empty());
        }
        if length < MIN_MAPPED {
            return Ok(Body::full(crate::file_stream::read_whole(file, range).await?));
        }
        if file.metadata()?.len() < range.end {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than the range asked of it"));
        }
        if transport == Transport::PlainHttp1 {
            // One frame, however long: hyper queues it as it is, and its slices reach the socket untouched.
            // A file that cannot be mapped (ENODEV, or too many mappings: ENOMEM) is streamed.
            if let Ok(mapped) = sendfile::file_bytes(file.clone(), range.clone()) {
                return Ok(Body::full(mapped));
            }
        }
        Ok(Body::file_stream(file, range))
    }

    /// The bytes `range` of `file`, read frame by frame as they are sent.
    ///
    /// Costs next to nothing until then, so it is the part for bodies made of many ranges of one file.
    pub fn file_stream(file: impl Into<Arc<File>>, range: Range<u64>) -> Body {
        Body::new(Content::File(FileStream::new(file, range)))
    }

    /// Bytes as they come. If `length` is given, a stream that gives more or fewer bytes fails the response.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static, length: Option<u64>) -> Body {
        Body::new(Content::Stream { stream: Box::pin(stream), remaining: length })
    }

    /// Several bodies, one after the other.
    pub fn sequence(parts: impl IntoIterator<Item = Body>) -> Body {
        Body::new(Content::Sequence(parts.into_iter().collect()))
    }

    /// Calls `on_end` once this body and every frame taken from it are gone: all sent, or given up.
    ///
    /// An observation costs one small allocation a frame and copies nothing. Several share one, which tells all of them
    /// what became of the body since the first.
    #[must_use]
    pub fn observed(self, on_end: impl FnOnce(BodyOutcome) + Send + 'static) -> Body {
        if let Some(observation) = &self.observation {
            observation.also(on_end);
            return self;
        }
        let observation = Observation::new(on_end);
        // A body without bytes is never polled.
        if self.at_end() {
            observation.all_taken();
        }
        Body { observation: Some(Arc::new(observation)), ..self }
    }

    fn new(content: Content) -> Body {
        Body { content, observation: None }
    }

    /// Bytes still to come, if that is known.
    fn remaining(&self) -> Option<u64> {
        match &self.content {
            Content::Bytes(bytes) => Some(bytes.len() as u64),
            Content::File(file) => Some(file.remaining()),
            Content::Stream { remaining, .. } => *remaining,
            Content::Sequence(parts) => parts.iter().map(Body::remaining).sum(),
        }
    }

    /// Whether no byte is still to come. Looks no further than the first part that has one.
    fn at_end(&self) -> bool {
        match &self.content {
            Content::Sequence(parts) => parts.iter().all(Body::at_end),
            _ => self.remaining() == Some(0),
        }
    }

    /// The next bytes, followed by the observation if there is one.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let polled = ready!(self.content.poll_bytes(cx));
        let Some(observation) = &self.observation else { return Poll::Ready(polled) };
        if polled.is_none() || self.at_end() {
            observation.all_taken();
        }
        Poll::Ready(polled.map(|taken| taken.map(|bytes| Observation::follow(observation, bytes))))
    }
}

impl Content {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match self {
            Content::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Bytes(bytes) => Poll::Ready(Some(Ok(mem::take(bytes)))),
            Content::File(file) => file.poll_next_unpin(cx),
            Content::Stream { stream, remaining } => {
                let polled = ready!(stream.poll_next_unpin(cx));
                Poll::Ready(match (polled, remaining) {
                    (Some(Ok(bytes)), Some(remaining)) => Some(subtract(remaining, bytes)),
                    (None, Some(1..)) => {
                        Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body ended early")))
                    }
                    (polled, _) => polled,
                })
            }
            Content::Sequence(parts) => loop {
                let Some(part) = parts.front_mut() else { return Poll::Ready(None) };
                match ready!(part.poll_bytes(cx)) {
                    None => parts.pop_front(),
                    polled => return Poll::Ready(polled),
                };
            },
        }
    }
}

/// `bytes`, taken off what was announced.
fn subtract(remaining: &mut u64, bytes: Bytes) -> io::Result<Bytes> {
    match remaining.checked_sub(bytes.len() as u64) {
        Some(rest) => {
            *remaining = rest;
            Ok(bytes)
        }
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the body is longer than announced")),
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.get_mut().poll_bytes(cx).map(|polled| polled.map(|taken| taken.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.at_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Default for Body {
    fn default() -> Body {
        Body::empty()
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Body {
        Body::full(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Body").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
