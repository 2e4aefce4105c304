//! Bodies of requests that stop coming. The clock runs fast.

use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{StreamBody, combinators::UnsyncBoxBody};
use tokio::{
    sync::{oneshot, watch},
    time::sleep,
};

use super::*;
use crate::request_body::{RequestBody, is_stall};

type Upload = UnsyncBoxBody<Bytes, Infallible>;

const STALL: Duration = Duration::from_mins(1);

/// A body of these bytes, and then nothing for ever.
fn unfinished(bytes: &'static str) -> Upload {
    let frames = stream::once(future::ready(Ok(Frame::data(Bytes::from(bytes))))).chain(stream::pending());
    UnsyncBoxBody::new(StreamBody::new(frames))
}

/// A body of so many bytes, frame by frame, and as many as were taken of it and of others.
fn told_of(bytes: u32, taken: watch::Sender<u32>) -> Upload {
    const FRAME: u32 = 16 * 1024;
    let frames = stream::iter(0..bytes / FRAME).map(move |_| {
        taken.send_modify(|taken| *taken += FRAME);
        Ok(Frame::data(Bytes::from_static(&[0; FRAME as usize])))
    });
    UnsyncBoxBody::new(StreamBody::new(frames))
}

fn whole(bytes: impl Into<Bytes>) -> Upload {
    UnsyncBoxBody::new(http_body_util::Full::new(bytes.into()))
}

fn post(path: &str, body: Upload) -> Request<Upload> {
    Request::post(format!("http://here{path}")).body(body).unwrap()
}

/// Reads bodies: 200 and the number of bytes, or 408. Those for `/held` only once they are released.
async fn reading() -> (Running, watch::Sender<bool>) {
    let (release, released) = watch::channel(false);
    let running = Running::start(ServerOptions::default(), move |request: Request<Incoming>, connection| {
        let mut released = released.clone();
        async move {
            let held = request.uri().path() == "/held";
            let body = RequestBody::new(request.into_body(), STALL, connection.activity.clone());
            if held {
                released.wait_for(|released| *released).await.unwrap();
            }
            match body.whole(usize::MAX).await {
                Ok(bytes) => Response::new(Body::full(bytes.unwrap().len().to_string())),
                Err(error) => answer(if is_stall(error.as_ref()) { 408 } else { 400 }),
            }
        }
    });
    (running.await, release)
}

#[tokio::test(start_paused = true)]
async fn an_http2_body_that_stops_coming_ends_its_request_and_no_other() {
    let _clock = clock::run();
    let (running, _release) = reading().await;
    let (mut client, _connection) = http2(&running).await;
    let stalled = client.send_request(post("/", unfinished("some"))).await.unwrap();
    assert_eq!(stalled.status(), 408);
    let next = client.send_request(post("/", whole("all of it"))).await.unwrap();
    assert_eq!(next.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_slowly_is_waited_for() {
    let _clock = clock::run();
    let (running, _release) = reading().await;
    let (mut client, _connection) = http2(&running).await;
    let frames = stream::iter(0..10).then(|_| async {
        sleep(STALL.mul_f32(0.9)).await;
        Ok(Frame::data(Bytes::from("x")))
    });
    let response = client.send_request(post("/", UnsyncBoxBody::new(StreamBody::new(frames)))).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut client = running.client().await;
    client.send("POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 3\r\n\r\n").await;
    for _ in 0..3 {
        sleep(STALL.mul_f32(0.9)).await;
        client.send("x").await;
    }
    assert_eq!(client.response().await.1, b"3");
}

#[tokio::test(start_paused = true)]
async fn time_in_which_the_server_works_does_not_count() {
    let _clock = clock::run();
    let (running, release) = reading().await;
    let mut client = running.client().await;
    client.send("POST /held HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\n\r\n").await;
    sleep(10 * STALL).await;
    release.send_replace(true);
    sleep(STALL / 2).await;
    client.send("body").await;
    assert!(client.response().await.0.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_window_the_server_holds_is_not_blamed() {
    let _clock = clock::run();
    let (running, release) = reading().await;
    let (mut client, _connection) = http2(&running).await;
    let (taken, mut all_taken) = watch::channel(0);
    let held: Vec<_> = (0..CONNECTION_WINDOW / STREAM_WINDOW)
        .map(|_| tokio::spawn(client.send_request(post("/held", told_of(STREAM_WINDOW, taken.clone())))))
        .collect();
    // A frame is taken when there is room for it in the window: now there is none left.
    all_taken.wait_for(|bytes| *bytes == CONNECTION_WINDOW).await.unwrap();
    let asked = tokio::spawn(client.send_request(post("/", whole("cannot be sent"))));
    sleep(10 * STALL).await;
    assert!(!asked.is_finished());
    release.send_replace(true);
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    for held in held {
        assert_eq!(held.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_to_blame_once_the_server_asks_for_everything() {
    let _clock = clock::run();
    let (running, release) = reading().await;
    let (mut client, _connection) = http2(&running).await;
    let held = tokio::spawn(client.send_request(post("/held", unfinished("some"))));
    let (tell, told) = oneshot::channel();
    let asked = client.send_request(post("/", unfinished("some")));
    tokio::spawn(async move { tell.send(asked.await.unwrap().status()) });
    sleep(10 * STALL).await;
    release.send_replace(true);
    assert_eq!(told.await.unwrap(), 408);
    assert_eq!(held.await.unwrap().unwrap().status(), 408);
}
