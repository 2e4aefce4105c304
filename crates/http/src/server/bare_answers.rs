//! The answers that hyper gives by itself, made into errors of the protocol.
//!
//! A head that hyper cannot read never reaches the service. hyper answers it with a status and no body, and closes the
//! connection. [`BareAnswers`] recognises such an answer on its way out and sends another one in its place, with the
//! same status and a body that names the rule. It recognises it by all of its bytes, and only while no answer of the
//! service is under way, so nothing else is ever replaced. What it does not recognise goes out as it is.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    str,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use cargohold_oci::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{activity::Activity, door::Peer};
use crate::error::ApiError;

/// More than the longest of these answers has, in bytes.
const MAX_BARE: usize = 256;
/// How many headers hyper reads.
const MAX_HEADERS: usize = 100;

/// A stream whose bare answers are explained.
#[derive(Debug)]
pub(super) struct BareAnswers<T> {
    stream: T,
    activity: Arc<Activity>,
    peer: Peer,
    /// Longest head in bytes.
    max_head: usize,
    /// What is to be sent before anything else.
    pending: Bytes,
}

impl<T> BareAnswers<T> {
    pub(super) fn new(stream: T, activity: Arc<Activity>, peer: Peer, max_head: usize) -> Self {
        Self { stream, activity, peer, max_head, pending: Bytes::new() }
    }

    /// What is to be sent instead, if that is a bare answer.
    fn replace(&self, buffers: &[IoSlice<'_>]) -> Option<Bytes> {
        let [bare] = buffers else { return None };
        if bare.len() > MAX_BARE || !bare.starts_with(b"HTTP/1.") {
            return None;
        }
        let explained = explain(str::from_utf8(bare).ok()?, self.max_head).filter(|_| !self.activity.is_under_way())?;
        tracing::info!(target: "access", peer = %self.peer, "a request was refused, since its head cannot be read");
        Some(explained.into())
    }
}

impl<T: AsyncWrite + Unpin> BareAnswers<T> {
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for BareAnswers<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(cx))?;
        if let Some(explained) = self.replace(buffers) {
            // Sent by the flush that follows.
            self.pending = explained;
            return Poll::Ready(Ok(buffers.iter().map(|buffer| buffer.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for BareAnswers<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

/// A bare answer with a body that says why, and with the headers that every answer has.
fn explain(bare: &str, max_head: usize) -> Option<String> {
    let (status, headers) = bare.strip_suffix("\r\n\r\n")?.split_once("\r\n")?;
    let error = error(status.strip_prefix("HTTP/1.")?.get(2..5)?, max_head)?;
    let (mut of_hyper, mut date) = (0, "");
    for header in headers.split("\r\n") {
        match header.to_ascii_lowercase().as_str() {
            "content-length: 0" | "connection: close" => of_hyper += 1,
            lower if lower.starts_with("date: ") => date = header,
            _ => return None,
        }
    }
    if of_hyper != 2 || date.is_empty() {
        return None;
    }
    let body = error.json();
    let length = body.len();
    let own = "Content-Type: application/json\r\nDocker-Distribution-Api-Version: registry/2.0\r\nConnection: close";
    Some(format!("{status}\r\n{own}\r\nContent-Length: {length}\r\n{date}\r\n\r\n{body}"))
}

/// What the statuses mean that hyper chooses.
fn error(status: &str, max_head: usize) -> Option<ApiError> {
    Some(match status {
        "400" => {
            let message = "this is not a request of HTTP/1.1 or, where it is spoken without TLS, of HTTP/2: its head cannot be read (RFC 9112)";
            ApiError::invalid(ErrorCode::Unsupported, message)
        }
        "414" => ApiError::asks_too_much(
            ErrorCode::SizeInvalid,
            "the request's target is longer than 65534 bytes".to_owned(),
        ),
        "431" => ApiError::head_too_long(format!(
            "the head of the request is longer than the {max_head} bytes that are allowed (http.limits.headers), or \
             has more than {MAX_HEADERS} headers"
        )),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\r\n";

    #[test]
    fn a_bare_answer_keeps_its_status_and_date() {
        let explained = explain(BARE, 8192).unwrap();
        assert!(explained.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{explained}");
        assert!(explained.contains("\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n"), "{explained}");
        let (head, body) = explained.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{explained}");
    }

    #[test]
    fn nothing_else_is_taken_for_one() {
        for other in [
            BARE.replace("400 Bad Request", "404 Not Found"),
            BARE.replace("Content-Length: 0", "Content-Length: 9"),
            BARE.replace("\r\n\r\n", "\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n"),
            format!("{BARE}more"),
            format!("more{BARE}"),
            BARE[..40].to_owned(),
            String::new(),
        ] {
            assert!(explain(&other, 8192).is_none(), "{other}");
        }
    }
}
