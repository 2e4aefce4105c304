//! Closing a connection so that its last answer arrives.
//!
//! A handler may answer before it has read a request (401, 404, 413 to an upload), and hyper then closes the
//! connection. If the kernel still holds unread input at that moment, it sends a reset, and the client, busy sending,
//! may see that instead of the answer. [`GentleClose`] says that nothing more will be sent, goes on reading for a
//! while what the client still sends, and closes when the client has closed. A connection whose client owes us nothing
//! is closed at once.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::activity::Activity;

/// How long a client may go on sending after our last answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may pause in that. Short, since a server that stops waits for this too.
const SILENCE: Duration = Duration::from_secs(2);

/// A stream whose shutdown lasts until the client has seen it.
#[derive(Debug)]
pub(super) struct GentleClose<T> {
    stream: T,
    activity: Arc<Activity>,
    closing: Option<Closing>,
}

#[derive(Debug)]
struct Closing {
    deadline: Instant,
    silence: Pin<Box<Sleep>>,
    /// Whether the client is thought to have something left to send.
    expects_input: bool,
}

impl<T> GentleClose<T> {
    pub(super) fn new(stream: T, activity: Arc<Activity>) -> GentleClose<T> {
        GentleClose { stream, activity, closing: None }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> GentleClose<T> {
    /// Ready when the client has closed, or there is no reason to wait for that any longer.
    fn poll_client_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let closing = self.closing.get_or_insert_with(|| Closing {
            deadline: Instant::now() + PATIENCE,
            silence: Box::pin(tokio::time::sleep(SILENCE)),
            expects_input: self.activity.has_body(),
        });
        let mut discarded = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut discarded);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    closing.expects_input = true;
                    closing.silence.as_mut().reset(closing.deadline.min(Instant::now() + SILENCE));
                }
                Poll::Pending if closing.expects_input => return closing.silence.as_mut().poll(cx),
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for GentleClose<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.poll_client_closed(cx).map(Ok)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for GentleClose<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}
