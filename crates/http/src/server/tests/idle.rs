//! Connections out of use. The clock runs fast.

use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_http2_connection_out_of_use_is_closed_in_order() {
    let _clock = clock::run();
    let running = Running::start(ServerOptions::default(), |_, _| future::ready(answer(200))).await;
    let (mut client, connection) = http2::<Empty<Bytes>>(&running).await;
    for _ in 0..3 {
        let response = client.send_request(Request::get("http://here/").body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "answer");
        sleep(ServerOptions::default().idle / 2).await;
    }
    connection.await.unwrap().expect("closed without an error");
}

#[tokio::test(start_paused = true)]
async fn an_http2_connection_in_use_is_not_closed() {
    let _clock = clock::run();
    let (release, mut released) = tokio::sync::watch::channel(false);
    released.mark_unchanged();
    let running = Running::start(ServerOptions::default(), move |_, _| {
        let mut released = released.clone();
        async move {
            released.changed().await.unwrap();
            answer(200)
        }
    })
    .await;
    let (mut client, connection) = http2::<Empty<Bytes>>(&running).await;
    let request = tokio::spawn(client.send_request(Request::get("http://here/").body(Empty::new()).unwrap()));
    sleep(10 * ServerOptions::default().idle).await;
    assert!(!connection.is_finished());
    release.send(true).unwrap();
    let response = request.await.unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "answer");
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed() {
    let _clock = clock::run();
    let running = Running::start(ServerOptions::default(), |_, _| future::ready(answer(200))).await;
    let (_client, connection) = http2::<Empty<Bytes>>(&running).await;
    let _ = connection.await.unwrap();
    running.client().await.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_may_not_trickle_in_for_ever() {
    let _clock = clock::run();
    let running = Running::start(ServerOptions::default(), |_, _| future::ready(answer(200))).await;
    let mut client = running.client().await;
    client.get("").await;
    client.send("GET / HTTP/1.1\r\n").await;
    for byte in 0.. {
        sleep(Duration::from_secs(1)).await;
        if client.0.write_all(b"a").await.is_err() {
            break;
        }
        assert!(byte < 200, "still there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_may_take_longer_than_a_connection_may_be_idle() {
    let _clock = clock::run();
    let (file, bytes) = file_of(BLOB);
    let options = ServerOptions::default();
    let idle = options.idle;
    let (running, _told) = Running::serving(Arc::new(file), options).await;
    let mut client = running.narrow_client().await;
    client.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    let (_, length) = client.head().await;
    let mut body = vec![0; length];
    for part in body.chunks_mut(1024 * 1024) {
        sleep(idle).await;
        client.0.read_exact(part).await.unwrap();
    }
    assert!(body == bytes);
}
