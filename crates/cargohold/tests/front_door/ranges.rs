//! Parts of blobs (RFC 9110, section 14), and the ranges of the conformance suite.

use crate::{content::noise, registry::Registry, repository::Repository};

fn blob(length: usize) -> (Repository, String, Vec<u8>) {
    let repository = Registry::shared().repository();
    let content = noise(7, length);
    let digest = repository.push_blob(&content);
    (repository, digest, content)
}

#[test]
fn a_range_brings_its_part() {
    let (repository, blob, content) = blob(2048);
    for (range, first, last) in [
        ("bytes=500-1499", 500, 1499),
        ("bytes=500-", 500, 2047),
        ("bytes=-500", 1548, 2047),
        ("bytes=2000-5000", 2000, 2047),
        ("bytes=0-0", 0, 0),
        ("bytes=2047-2047", 2047, 2047),
        ("bytes=2047-", 2047, 2047),
        ("bytes=-1", 2047, 2047),
        ("bytes=0-2047", 0, 2047),
        ("bytes=0-", 0, 2047),
        ("bytes=-5000", 0, 2047),
        ("bytes=1000-99999999999999999999999", 1000, 2047),
        ("BYTES=1-2", 1, 2),
        ("bytes= 1-2 ,", 1, 2),
    ] {
        let answer = repository.pull_range(&blob, range).expect(206).brings(&content[first..=last]);
        let answer = answer.with("Content-Range", format!("bytes {first}-{last}/2048"));
        answer.with("Content-Length", (last - first + 1).to_string()).with("Docker-Content-Digest", &blob);
    }
}

#[test]
fn a_long_range_of_a_large_blob_brings_its_part() {
    let (repository, blob, content) = blob((2 << 20) + 5);
    for (first, last) in [(1, content.len() - 2), (4095, 300_000), (1 << 20, (1 << 20) + 262_144)] {
        repository.pull_range(&blob, &format!("bytes={first}-{last}")).expect(206).brings(&content[first..=last]);
    }
}

#[test]
fn a_range_of_nothing_cannot_be_satisfied() {
    let (repository, blob, _) = blob(2048);
    for range in ["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0", "bytes=2048-2048"] {
        let answer = repository.pull_range(&blob, range).with("Content-Range", "bytes */2048");
        answer.refused(416, "RANGE_INVALID");
    }
}

#[test]
fn a_range_that_is_none_is_ignored() {
    let (repository, blob, content) = blob(2048);
    for range in
        ["items=0-5", "bytes=", "bytes=a-b", "bytes 0-5", "bytes=5", "bytes=--5", "bytes=0-5,x", "0-5", "bytes=+1-2"]
    {
        repository.pull_range(&blob, range).expect(200).without("Content-Range").brings(&content);
    }
}

#[test]
fn a_range_does_not_change_a_head() {
    let (repository, blob, _) = blob(2048);
    let answer = repository.request("HEAD", &format!("blobs/{blob}")).header("Range", "bytes=0-5").send();
    answer.expect(200).with("Content-Length", "2048").without("Content-Range");
}

#[test]
fn a_range_counts_only_if_it_is_of_the_content_that_the_client_has() {
    let (repository, blob, content) = blob(2048);
    let ask = |tag: &str| {
        repository.request("GET", &format!("blobs/{blob}")).header("Range", "bytes=0-5").header("If-Range", tag).send()
    };
    ask(&format!("\"{blob}\"")).expect(206).brings(&content[..6]);
    ask("\"something else\"").expect(200).brings(&content);
    ask("Sat, 21 Nov 2026 09:00:00 GMT").expect(200).brings(&content);
}

#[test]
fn several_ranges_come_in_one_answer_of_parts() {
    let (repository, blob, content) = blob(2048);
    let answer = repository.pull_range(&blob, "bytes=0-9,1000-1009,-8").expect(206).without("Content-Range");
    let boundary =
        answer.header("Content-Type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap().to_owned();
    let mut expected = Vec::new();
    for (first, last) in [(0, 9), (1000, 1009), (2040, 2047)] {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/2048\r\n\r\n"
        );
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&content[first..=last]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    answer.with("Content-Length", expected.len().to_string()).brings(expected);
}

#[test]
fn ranges_that_overlap_are_merged() {
    let (repository, blob, content) = blob(2048);
    let answer = repository.pull_range(&blob, "bytes=0-99,50-149").expect(206);
    answer.with("Content-Range", "bytes 0-149/2048").brings(&content[..150]);
}

#[test]
fn of_several_ranges_those_count_that_are_there() {
    let (repository, blob, content) = blob(2048);
    let answer = repository.pull_range(&blob, "bytes=5000-6000,0-9").expect(206);
    answer.with("Content-Range", "bytes 0-9/2048").brings(&content[..10]);
}

#[test]
fn more_ranges_than_any_client_needs_bring_the_whole() {
    let (repository, blob, content) = blob(4096);
    let ranges = |count: usize| (0..count).map(|n| format!("{0}-{0}", n * 2)).collect::<Vec<_>>().join(",");
    let many = repository.pull_range(&blob, &format!("bytes={}", ranges(1024))).expect(206);
    assert!(many.header("Content-Type").unwrap().starts_with("multipart/byteranges"), "{many}");
    repository.pull_range(&blob, &format!("bytes={}", ranges(1025))).expect(200).brings(&content);
}

#[test]
fn no_part_of_the_empty_blob_can_be_had() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("");
    for range in ["bytes=0-0", "bytes=0-", "bytes=-1"] {
        repository.pull_range(&blob, range).with("Content-Range", "bytes */0").refused(416, "RANGE_INVALID");
    }
}

#[test]
fn a_download_that_broke_off_is_resumed_where_it_broke() {
    let (repository, blob, content) = blob(1 << 20);
    let mut wire = repository.registry.connect();
    wire.begin("GET", &repository.path(&format!("blobs/{blob}")), &[]);
    wire.answer_head().expect(200);
    let mut have = wire.read_exact(300_000);
    wire.hang_up();
    have.extend(repository.pull_range(&blob, &format!("bytes={}-", have.len())).expect(206).body);
    assert!(have == content);
}
