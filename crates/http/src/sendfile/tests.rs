use std::task::Waker;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::page_cache::tests::{evict, file_of};

/// Two ends of a TCP connection: ours, and the client's.
async fn pair() -> (SendfileStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (SendfileStream::new(accepted.unwrap().0), client.unwrap())
}

/// Writes `bytes`, closes, and returns what the client saw.
async fn sent(bytes: &[u8]) -> Vec<u8> {
    let (mut stream, mut client) = pair().await;
    let mut seen = Vec::new();
    let write = async {
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    tokio::join!(write, async { client.read_to_end(&mut seen).await.unwrap() });
    seen
}

#[tokio::test]
async fn a_plain_write_finds_mappings_too() {
    let (file, bytes) = file_of(5_000_011);
    let mapped = file_bytes(Arc::new(file), 4_000..5_000_011).unwrap();
    let mapping = mapping_of(&mapped).unwrap();
    assert!(sent(&mapped).await == bytes[4_000..]);
    assert_eq!(mapping.sent(), 5_000_011 - 4_000, "all of it by sendfile, the short end included");
}

#[tokio::test]
async fn a_slice_of_a_mapping_is_that_part_of_the_file() {
    let (file, bytes) = file_of(1_000_000);
    let mapped = file_bytes(Arc::new(file), 1..999_999).unwrap();
    let slice = mapped.slice(123_456..654_321);
    assert!(sent(&slice).await == bytes[123_457..654_322]);
    assert_eq!(mapping_of(&mapped).unwrap().sent(), 654_321 - 123_456);
}

#[tokio::test]
async fn short_slices_go_the_usual_way() {
    let (file, bytes) = file_of(1_000_000);
    let mapped = file_bytes(Arc::new(file), 0..1_000_000).unwrap();
    assert_eq!(sent(&mapped[..1000]).await, bytes[..1000]);
    assert_eq!(mapping_of(&mapped).unwrap().sent(), 0);
}

#[tokio::test]
async fn a_head_goes_out_before_its_file_and_what_follows_after_it() {
    let (file, bytes) = file_of(300_000);
    let mapped = file_bytes(Arc::new(file), 0..300_000).unwrap();
    let (mut stream, mut client) = pair().await;
    let mut parts = [IoSlice::new(b"he"), IoSlice::new(b"ad"), IoSlice::new(&mapped), IoSlice::new(b"end")];
    let write = async {
        let mut left = &mut parts[..];
        while !left.is_empty() {
            let written = stream.write_vectored(left).await.unwrap();
            IoSlice::advance_slices(&mut left, written);
        }
        stream.shutdown().await.unwrap();
    };
    let mut seen = Vec::new();
    tokio::join!(write, async { client.read_to_end(&mut seen).await.unwrap() });
    assert!(seen == [b"head", &bytes[..], b"end"].concat());
}

#[tokio::test]
async fn a_cold_file_is_sent_whole() {
    let (file, bytes) = file_of(5_000_011);
    let file = Arc::new(file);
    evict(&file);
    let mapped = file_bytes(file, 0..5_000_011).unwrap();
    assert!(sent(&mapped).await == bytes);
    assert_eq!(mapping_of(&mapped).unwrap().sent(), 5_000_011);
}

#[tokio::test]
async fn a_cold_window_is_read_on_the_blocking_pool_before_anything_is_sent() {
    let (file, _) = file_of(5_000_011);
    let file = Arc::new(file);
    if !evict(&file) {
        return;
    }
    let mapped = file_bytes(file, 0..5_000_011).unwrap();
    let mapping = mapping_of(&mapped).unwrap();
    let (mut stream, _client) = pair().await;
    stream.tcp.writable().await.unwrap();
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut stream).poll_write(&mut context, &mapped).is_pending());
    assert!(stream.prefetch.is_some());
    assert_eq!(mapping.sent(), 0);
    stream.write_all(&mapped[..1_000]).await.unwrap();
    assert!(mapping.sent() > 0);
}

#[tokio::test]
async fn a_file_that_goes_cold_on_the_way_is_sent_whole() {
    let (file, bytes) = file_of(9_000_000);
    let file = Arc::new(file);
    let mapped = file_bytes(file.clone(), 0..9_000_000).unwrap();
    let (mut stream, mut client) = pair().await;
    let mut seen = Vec::new();
    let read = async {
        let mut buffer = vec![0; 1_000_000];
        while let count @ 1.. = client.read(&mut buffer).await.unwrap() {
            seen.extend_from_slice(&buffer[..count]);
            evict(&file);
        }
    };
    let write = async {
        stream.write_all(&mapped).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    tokio::join!(write, read);
    assert!(seen == bytes);
}

#[tokio::test]
async fn a_truncated_file_ends_the_connection_instead_of_the_process() {
    for cold in [false, true] {
        let (file, _) = file_of(1_000_000);
        let file = Arc::new(file);
        let mapped = file_bytes(file.clone(), 0..1_000_000).unwrap();
        file.set_len(0).unwrap();
        if cold {
            evict(&file);
        }
        let (mut stream, _client) = pair().await;
        let error = stream.write_all(&mapped).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn a_mapping_lives_as_long_as_its_bytes() {
    let (file, _) = file_of(100_000);
    let file = Arc::new(file);
    let whole = file_bytes(file.clone(), 0..100_000).unwrap();
    let slice = whole.slice(5..10);
    drop(whole);
    assert_eq!(live_mappings(&file), 1);
    drop(slice);
    assert_eq!(live_mappings(&file), 0);
}

#[test]
fn other_memory_is_in_no_mapping() {
    let (file, _) = file_of(100_000);
    let mapped = file_bytes(Arc::new(file), 0..100_000).unwrap();
    assert!(mapping_of(&vec![0; 100_000]).is_none());
    assert!(mapping_of(&mapped[5..5]).is_none(), "nothing lies nowhere");
}

#[test]
fn a_range_beyond_the_end_is_refused() {
    let (file, _) = file_of(1000);
    let error = file_bytes(Arc::new(file), 0..1001).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
