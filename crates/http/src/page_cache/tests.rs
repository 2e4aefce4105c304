use std::io::Write;

use super::*;

/// A file of pseudo-random bytes, on disk and in the page cache.
pub(crate) fn file_of(length: usize) -> (File, Vec<u8>) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ length as u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file.sync_all().unwrap();
    (file, bytes)
}

/// Takes `file` out of the page cache. `false` where files live in memory and cannot be taken out.
pub(crate) fn evict(file: &File) -> bool {
    rustix::fs::fadvise(file, 0, None, Advice::DontNeed).unwrap();
    rustix::fs::fadvise(file, 0, None, Advice::Random).unwrap();
    let mut byte = [0];
    let probed = rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT);
    // The probe itself starts a read: it has to end before its page can go.
    let _ = file.read_at(&mut byte, 0);
    // The kernel keeps a page that anything of it looks at just then, and says nothing.
    for _ in 0..5 {
        rustix::fs::fadvise(file, 0, None, Advice::DontNeed).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    probed == Err(Errno::AGAIN)
}

#[test]
fn what_is_in_memory_is_read_at_once() {
    let (file, bytes) = file_of(300_000);
    let file = CachedFile::new(Arc::new(file));
    let mut buffer = vec![0; 200_000];
    assert_eq!(file.read_resident(&mut buffer, 50_000).unwrap(), Some(200_000));
    assert_eq!(buffer, bytes[50_000..250_000]);
    assert_eq!(file.read_resident(&mut buffer, 300_000).unwrap(), Some(0), "at the end");
}

#[test]
fn a_resident_range_is_resident_to_its_end() {
    let (file, _) = file_of(1_000_001);
    let file = CachedFile::new(Arc::new(file));
    assert_eq!(file.resident_prefix(0..1_000_001).unwrap(), 1_000_001);
    assert_eq!(file.resident_prefix(77..1_000_000).unwrap(), 1_000_000 - 77);
    assert_eq!(file.resident_prefix(5..6).unwrap(), 1);
    assert_eq!(file.resident_prefix(5..5).unwrap(), 0);
}

#[test]
fn runs_make_up_their_range() {
    assert_eq!(runs(5..5).count(), 0);
    assert_eq!(runs(RUN..RUN).count(), 0);
    assert_eq!(runs(RUN - 1..RUN + 1).collect::<Vec<_>>(), [RUN - 1..RUN, RUN..RUN + 1]);
    assert_eq!(runs(0..2 * RUN).collect::<Vec<_>>(), [0..RUN, RUN..2 * RUN]);
}

#[test]
fn a_cold_range_is_not_resident_until_it_is_prefetched() {
    let (file, bytes) = file_of(1024 * 1024 + 7);
    let length = bytes.len() as u64;
    if !evict(&file) {
        return;
    }
    let file = CachedFile::new(Arc::new(file));
    assert_eq!(file.resident_prefix(0..length).unwrap(), 0);
    assert_eq!(file.read_resident(&mut [0; 10], 500_000).unwrap(), None);
    file.prefetch(0..length, length..length).unwrap();
    assert_eq!(file.resident_prefix(0..length).unwrap(), length);
}

#[test]
fn a_range_is_resident_up_to_its_first_cold_step() {
    let (file, _) = file_of(1024 * 1024);
    if !evict(&file) {
        return;
    }
    let file = Arc::new(file);
    let found = || {
        evict(&file);
        let file = CachedFile::new(file.clone());
        for offset in [1000, RUN] {
            file.read_exact_at(&mut [0], offset).unwrap();
        }
        file.resident_prefix(1000..1024 * 1024).unwrap()
    };
    // The kernel keeps what it likes, and on a busy machine for another moment.
    assert!((0..100).any(|_| found() == 2 * RUN - 1000), "{} at last", found());
}

#[test]
fn a_prefetch_beyond_the_end_is_an_error() {
    let (file, _) = file_of(1000);
    let error = CachedFile::new(Arc::new(file)).prefetch(0..1001, 0..0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_file_system_in_memory_is_always_resident() {
    let Ok(mut file) = tempfile::tempfile_in("/dev/shm") else { return };
    file.write_all(&[7; 5000]).unwrap();
    let file = CachedFile::new(Arc::new(file));
    // As if it had refused RWF_NOWAIT, which newer kernels do not.
    file.0.refused.set(file.fallback()).unwrap();
    assert_eq!(file.resident_prefix(0..5000).unwrap(), 5000);
    assert_eq!(file.read_resident(&mut [0; 10], 4995).unwrap(), Some(5));
}

#[test]
fn where_nothing_is_known_nothing_is_resident() {
    let (file, _) = file_of(5000);
    let file = CachedFile::new(Arc::new(file));
    file.0.refused.set(Fallback::Unknown).unwrap();
    assert_eq!(file.resident_prefix(0..5000).unwrap(), 0);
    assert_eq!(file.read_resident(&mut [0; 10], 0).unwrap(), None);
}
