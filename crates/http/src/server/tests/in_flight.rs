//! Requests that wait for their turn, and clients that do not wait for it.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::in_flight::InFlight;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Lets one request of a client in at a time, and the others wait for very long.
async fn crowded() -> (Running, Arc<InFlight>) {
    let in_flight = Arc::new(InFlight::new(1, Duration::from_hours(1)));
    let service = {
        let in_flight = in_flight.clone();
        move |_, connection: ConnectionInfo| {
            let in_flight = in_flight.clone();
            async move {
                let place = in_flight.enter(connection.peer.ip()).await.unwrap();
                answer(200).map(|body| body.observed(move |_| drop(place)))
            }
        }
    };
    (
        Running::start(ServerOptions { idle: Duration::from_hours(10), ..ServerOptions::default() }, service).await,
        in_flight,
    )
}

async fn until_there_are(in_flight: &InFlight, requests: usize) {
    while in_flight.requests(HERE) != requests {
        tokio::task::yield_now().await;
    }
}

fn get() -> Request<Empty<Bytes>> {
    Request::get("http://here/").body(Empty::new()).unwrap()
}

#[tokio::test]
async fn a_client_that_hangs_up_holds_nobody_up() {
    let (running, in_flight) = crowded().await;
    let place = in_flight.enter(HERE).await.unwrap();
    let (mut gone, mut stays) = (running.client().await, running.client().await);
    gone.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    until_there_are(&in_flight, 2).await;
    stays.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    until_there_are(&in_flight, 3).await;
    // Nobody can tell that from the end of its sending: its turn comes, and goes at once.
    drop(gone);
    drop(place);
    assert_eq!(stays.response().await.1, b"answer");
    until_there_are(&in_flight, 0).await;
}

/// The end of its sending does not tell whether it still listens.
#[tokio::test]
async fn a_client_that_sends_no_more_keeps_its_turn() {
    let (running, in_flight) = crowded().await;
    let place = in_flight.enter(HERE).await.unwrap();
    let mut client = running.client().await;
    client.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    client.0.shutdown().await.unwrap();
    until_there_are(&in_flight, 2).await;
    drop(place);
    assert_eq!(client.response().await.1, b"answer");
    until_there_are(&in_flight, 0).await;
}

#[tokio::test]
async fn an_http2_request_that_is_given_up_leaves_the_queue() {
    let (running, in_flight) = crowded().await;
    let place = in_flight.enter(HERE).await.unwrap();
    let (mut client, _connection) = http2(&running).await;
    let given_up = tokio::spawn(client.send_request(get()));
    until_there_are(&in_flight, 2).await;
    let waiting = tokio::spawn(client.send_request(get()));
    until_there_are(&in_flight, 3).await;
    given_up.abort();
    until_there_are(&in_flight, 2).await;
    waiting.abort();
    until_there_are(&in_flight, 1).await;
    drop(place);
    until_there_are(&in_flight, 0).await;
}

#[tokio::test]
async fn an_answer_that_is_not_taken_keeps_its_place() {
    let (file, _) = file_of(BLOB);
    let file = Arc::new(file);
    let in_flight = Arc::new(InFlight::new(2, Duration::ZERO));
    let service = {
        let in_flight = in_flight.clone();
        move |request: Request<Incoming>, connection: ConnectionInfo| {
            let (in_flight, file) = (in_flight.clone(), file.clone());
            async move {
                let Ok(place) = in_flight.enter(connection.peer.ip()).await else { return answer(429) };
                if request.headers().contains_key("short") {
                    return answer(200).map(|body| body.observed(move |_| drop(place)));
                }
                let body = Body::from_file(file, 0..BLOB as u64, connection.transport).await.unwrap();
                Response::new(body.observed(move |_| drop(place)))
            }
        }
    };
    let running = Running::start(ServerOptions::default(), service).await;
    let mut lazy = running.narrow_client().await;
    lazy.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    let (_, length) = lazy.head().await;
    let mut other = running.client().await;
    for _ in 0..10 {
        assert!(other.get("short: yes\r\n").await.0.starts_with("HTTP/1.1 200"), "others go on");
        until_there_are(&in_flight, 1).await;
    }
    let mut lazy_too = running.narrow_client().await;
    lazy_too.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    lazy_too.head().await;
    assert!(other.get("short: yes\r\n").await.0.starts_with("HTTP/1.1 429"), "both count");
    drop(lazy_too);
    lazy.0.read_exact(&mut vec![0; length]).await.unwrap();
    until_there_are(&in_flight, 0).await;
    assert!(other.get("short: yes\r\n").await.0.starts_with("HTTP/1.1 200"));
}
