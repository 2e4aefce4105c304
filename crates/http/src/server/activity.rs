//! What goes on on a connection: told by the service, asked by the layers below it and by the bodies of requests.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// What goes on on one connection.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// The last request is one of HTTP/1 whose body comes after its head.
    has_body: AtomicBool,
    /// The body of the last request was given up before its end.
    gave_up: AtomicBool,
    requests: Mutex<Requests>,
    /// As many owners, beside this one, as there are [`Unread`] bodies.
    unread: Arc<()>,
}

#[derive(Debug, Default)]
struct Requests {
    under_way: usize,
    /// When the last of them began or ended.
    changed: Option<Instant>,
}

/// A request, from its head to the last byte of its answer.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Activity>);

/// A request's body that has bytes to come which nobody asks for.
#[derive(Debug)]
pub(crate) struct Unread {
    _share: Arc<()>,
}

impl Activity {
    /// A request has come; `has_body` says whether a body comes after it on an HTTP/1 connection.
    pub(super) fn request(self: &Arc<Self>, has_body: bool) -> UnderWay {
        self.has_body.store(has_body, Ordering::Relaxed);
        self.gave_up.store(false, Ordering::Relaxed);
        self.requests().change(|under_way| under_way + 1);
        UnderWay(self.clone())
    }

    /// Whether the client is thought to have more to send of its last request.
    pub(super) fn has_body(&self) -> bool {
        self.has_body.load(Ordering::Relaxed)
    }

    /// Says of the last request's body that nobody will read it to its end.
    pub(crate) fn give_up_body(&self) {
        self.gave_up.store(true, Ordering::Relaxed);
    }

    /// Whether an HTTP/1 connection cannot be used again, since the rest of a body is in the way of the next request.
    pub(crate) fn is_spent(&self) -> bool {
        self.has_body() && self.gave_up.load(Ordering::Relaxed)
    }

    /// Whether there was a request yet.
    pub(super) fn requests_began(&self) -> bool {
        self.requests().changed.is_some()
    }

    /// Whether a request's answer is not over yet.
    pub(super) fn is_under_way(&self) -> bool {
        self.requests().under_way > 0
    }

    /// Waits until no request was under way for so long.
    pub(super) async fn unused(&self, idle: Duration) {
        loop {
            let now = Instant::now();
            let end = self.requests().unused_since(now) + idle;
            if end <= now {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// Says of a body that nobody asks for its bytes, until what this answers is dropped.
    pub(crate) fn unread(&self) -> Unread {
        Unread { _share: self.unread.clone() }
    }

    /// Whether there is such a body.
    pub(crate) fn has_unread(&self) -> bool {
        Arc::strong_count(&self.unread) > 1
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests {
    fn change(&mut self, change: impl FnOnce(usize) -> usize) {
        self.under_way = change(self.under_way);
        self.changed = Some(Instant::now());
    }

    fn unused_since(&self, now: Instant) -> Instant {
        self.changed.filter(|_| self.under_way == 0).unwrap_or(now)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests().change(|under_way| under_way - 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::advance;

    use super::*;

    const IDLE: Duration = Duration::from_mins(2);
    const LESS: Duration = Duration::from_secs(119);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_unused_so_long_after_its_last_request() {
        let activity = Arc::new(Activity::default());
        let (one, other) = (activity.request(false), activity.request(false));
        let mut unused = Box::pin(activity.unused(IDLE));
        drop(one);
        advance(3 * IDLE).await;
        assert!((&mut unused).now_or_never().is_none(), "there is another");
        drop(other);
        advance(LESS).await;
        assert!((&mut unused).now_or_never().is_none());
        drop(activity.request(false));
        advance(LESS).await;
        assert!((&mut unused).now_or_never().is_none(), "there was a request in between");
        advance(Duration::from_secs(2)).await;
        assert!((&mut unused).now_or_never().is_some());
    }

    #[test]
    fn a_body_is_unread_until_somebody_asks() {
        let activity = Activity::default();
        let (one, other) = (activity.unread(), activity.unread());
        drop(one);
        assert!(activity.has_unread());
        drop(other);
        assert!(!activity.has_unread());
    }
}
