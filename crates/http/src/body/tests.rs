use std::sync::mpsc;

use futures_util::stream;
use http_body::Body as _;
use http_body_util::BodyExt;

use super::*;
use crate::page_cache::tests::file_of;

async fn read_all(mut body: Body) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        all.extend_from_slice(&frame?.into_data().unwrap());
    }
    Ok(all)
}

fn chunks(chunks: &[&'static str]) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::iter(chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect::<Vec<_>>())
}

/// A body that reports its outcome, and where it does.
fn watched(body: Body) -> (Body, mpsc::Receiver<BodyOutcome>) {
    let (tell, told) = mpsc::channel();
    (body.observed(move |outcome| tell.send(outcome).unwrap()), told)
}

#[tokio::test]
async fn a_body_knows_its_length() {
    let (file, _) = file_of(300_000);
    let file = Arc::new(file);
    let streamed = Body::stream(chunks(&["ab", "c"]), Some(3));
    let file_stream = Body::file_stream(file.clone(), 7..300_000);
    let mapped = Body::from_file(file, 0..300_000, Transport::PlainHttp1).await.unwrap();
    let all = Body::sequence([Body::full("head"), streamed, file_stream, Body::empty(), mapped]);
    assert_eq!(all.size_hint().exact(), Some(4 + 3 + 299_993 + 300_000));
    assert_eq!(Body::empty().size_hint().exact(), Some(0));
    assert!(Body::empty().is_end_stream());
    assert_eq!(Body::stream(chunks(&["ab"]), None).size_hint().exact(), None);
}

#[tokio::test]
async fn parts_come_in_order() {
    let (file, bytes) = file_of(100_000);
    let parts = [Body::full("a"), Body::file_stream(file, 10..99_000), Body::stream(chunks(&["b", "", "c"]), None)];
    let all = read_all(Body::sequence(parts)).await.unwrap();
    assert_eq!(all, [b"a", &bytes[10..99_000], b"bc"].concat());
}

#[tokio::test]
async fn a_stream_keeps_to_its_length() {
    assert_eq!(read_all(Body::stream(chunks(&["ab", "c"]), Some(3))).await.unwrap(), b"abc");
    let short = read_all(Body::stream(chunks(&["ab"]), Some(3))).await.unwrap_err();
    assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
    let long = read_all(Body::stream(chunks(&["ab", "cd"]), Some(3))).await.unwrap_err();
    assert_eq!(long.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_file_is_the_same_on_every_way() {
    let (file, bytes) = file_of(1_000_003);
    let file = Arc::new(file);
    for transport in [Transport::PlainHttp1, Transport::Other] {
        for range in [0..1_000_003, 4097..1_000_000, 5..100, 0..262_144, 7..7] {
            let body = Body::from_file(file.clone(), range.start as u64..range.end as u64, transport).await.unwrap();
            assert_eq!(body.size_hint().exact(), Some(range.len() as u64));
            assert_eq!(read_all(body).await.unwrap(), bytes[range]);
        }
    }
    assert_eq!(sendfile::live_mappings(&file), 0);
}

#[tokio::test]
async fn only_long_files_on_plain_http1_are_mapped_and_in_one_frame() {
    let (file, bytes) = file_of(1_000_003);
    let file = Arc::new(file);
    for (range, transport, mappings) in [
        (0..1_000_003, Transport::PlainHttp1, 1),
        (0..1_000_003, Transport::Other, 0),
        (0..MIN_MAPPED - 1, Transport::PlainHttp1, 0),
    ] {
        let mut body = Body::from_file(file.clone(), range, transport).await.unwrap();
        assert_eq!(sendfile::live_mappings(&file), mappings);
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame.len() == bytes.len(), mappings == 1);
    }
}

#[tokio::test]
async fn a_file_shorter_than_its_range_is_refused() {
    let (file, _) = file_of(500_000);
    let file = Arc::new(file);
    for transport in [Transport::PlainHttp1, Transport::Other] {
        for range in [0..500_001, 499_999..500_001] {
            let error = Body::from_file(file.clone(), range, transport).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}

#[tokio::test]
async fn an_observation_ends_with_the_last_frame_not_with_the_body() {
    let (mut body, told) = watched(Body::full("hello"));
    let frame = body.frame().await.unwrap().unwrap();
    drop(body);
    assert!(told.try_recv().is_err(), "the frame is still to be sent");
    drop(frame);
    assert_eq!(told.recv().unwrap(), BodyOutcome { bytes: 5, complete: true });
}

#[tokio::test]
async fn an_observation_tells_what_was_taken() {
    let (mut body, told) = watched(Body::stream(chunks(&["ab", "cd", "e"]), None));
    drop(body.frame().await);
    drop(body.frame().await);
    drop(body);
    assert_eq!(told.recv().unwrap(), BodyOutcome { bytes: 4, complete: false });

    let (body, told) = watched(Body::stream(chunks(&["ab", "cd", "e"]), None));
    read_all(body).await.unwrap();
    assert_eq!(told.recv().unwrap(), BodyOutcome { bytes: 5, complete: true });
}

#[tokio::test]
async fn an_empty_body_is_complete_without_being_asked() {
    let (body, told) = watched(Body::empty());
    drop(body);
    assert_eq!(told.recv().unwrap(), BodyOutcome { bytes: 0, complete: true });
    let (body, told) = watched(Body::full("never asked for"));
    drop(body);
    assert_eq!(told.recv().unwrap(), BodyOutcome { bytes: 0, complete: false });
}

#[tokio::test]
async fn a_failing_body_is_not_complete() {
    let (body, told) = watched(Body::stream(chunks(&["ab"]), Some(3)));
    read_all(body).await.unwrap_err();
    assert_eq!(told.recv().unwrap(), BodyOutcome { bytes: 2, complete: false });
}

#[tokio::test]
async fn mapped_bytes_do_not_count_until_a_socket_has_them() {
    let (file, bytes) = file_of(500_000);
    let (mut body, told) = watched(Body::from_file(file, 0..500_000, Transport::PlainHttp1).await.unwrap());
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame, bytes, "the frame is the file all the same");
    drop((frame, body));
    assert_eq!(told.recv().unwrap(), BodyOutcome { bytes: 0, complete: false });
}
