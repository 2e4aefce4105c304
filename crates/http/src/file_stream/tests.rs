use futures_util::TryStreamExt;

use super::*;
use crate::page_cache::tests::{evict, file_of};

async fn read_all(stream: FileStream) -> io::Result<Vec<u8>> {
    stream
        .try_fold(Vec::new(), |mut all, frame| async move {
            all.extend_from_slice(&frame);
            Ok(all)
        })
        .await
}

#[tokio::test]
async fn every_byte_of_the_range_comes_once_and_in_order() {
    let (file, bytes) = file_of(3 * FRAME + 17);
    let file = Arc::new(file);
    for range in [0..bytes.len(), 1..bytes.len() - 1, FRAME..2 * FRAME, 100..101, 5..5] {
        let stream = FileStream::new(file.clone(), range.start as u64..range.end as u64);
        assert_eq!(stream.remaining(), range.len() as u64);
        assert_eq!(read_all(stream).await.unwrap(), bytes[range]);
    }
}

#[tokio::test]
async fn no_frame_is_longer_than_a_frame() {
    let (file, bytes) = file_of(5 * FRAME);
    let frames: Vec<_> = FileStream::new(file, 3..bytes.len() as u64).try_collect().await.unwrap();
    assert!(frames.iter().all(|frame| frame.len() <= FRAME));
}

#[tokio::test]
async fn a_cold_file_is_read_on_the_blocking_pool() {
    let (file, bytes) = file_of(3 * FRAME + 17);
    evict(&file);
    assert_eq!(read_all(FileStream::new(file, 0..bytes.len() as u64)).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_short_file_is_an_error() {
    let (file, bytes) = file_of(FRAME + 17);
    let file = Arc::new(file);
    for cold in [false, true] {
        if cold {
            evict(&file);
        }
        let stream = FileStream::new(file.clone(), 0..bytes.len() as u64 + 1);
        assert_eq!(read_all(stream).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn a_whole_range_comes_in_one_piece() {
    let (file, bytes) = file_of(100_000);
    let file = Arc::new(file);
    for cold in [false, true] {
        if cold {
            evict(&file);
        }
        assert_eq!(read_whole(file.clone(), 10..100_000).await.unwrap(), bytes[10..]);
    }
    assert_eq!(read_whole(file, 10..100_001).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
