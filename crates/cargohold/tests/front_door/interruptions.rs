//! Uploads that break off: what arrived and was said to have arrived counts, and the client goes on from there.

use crate::{
    content::{digest, noise},
    registry::Registry,
    waiting::eventually,
};

const LENGTH: usize = 1_000_000;
const ARRIVED: usize = 300_000;

#[test]
fn a_patch_that_broke_off_is_resumed_where_it_broke() {
    let repository = Registry::shared().repository();
    for range in [None, Some("0-999999")] {
        let (content, upload) = (noise(31, LENGTH), repository.start_upload());
        let mut wire = repository.registry.connect();
        let mut headers = vec![("Content-Length", "1000000")];
        headers.extend(range.map(|range| ("Content-Range", range)));
        wire.begin("PATCH", &upload.location, &headers);
        wire.send(&content[..ARRIVED]);
        wire.hang_up();
        eventually("what arrived is counted", || (upload.range() == "0-299999").then_some(()));
        upload.chunk(ARRIVED, &content[ARRIVED..]).send().expect(202).with("Range", "0-999999");
        upload.put(&digest(&content), "").send().expect(201);
        repository.pull(&digest(&content)).expect(200).brings(&content);
    }
}

#[test]
fn a_stream_that_broke_off_within_a_chunk_is_resumed() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(32, LENGTH), repository.start_upload());
    upload.patch(&content[..1000]).send().expect(202);
    let mut wire = repository.registry.connect();
    wire.begin("PATCH", &upload.location, &[("Transfer-Encoding", "chunked")]);
    wire.send_chunk(&content[1000..ARRIVED]);
    wire.send("FFFF\r\n");
    wire.hang_up();
    eventually("what arrived is counted", || (upload.range() == "0-299999").then_some(()));
    upload.put(&digest(&content), &content[ARRIVED..]).header("Content-Range", "300000-999999").send().expect(201);
    repository.pull(&digest(&content)).expect(200).brings(&content);
}

#[test]
fn a_put_that_broke_off_can_be_repeated() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(33, LENGTH), repository.start_upload());
    upload.patch(&content[..1000]).send().expect(202);
    for _ in 0..3 {
        let mut wire = repository.registry.connect();
        wire.begin("PUT", &upload.closing(&digest(&content)), &[("Content-Length", "999000")]);
        wire.send(&content[1000..ARRIVED]);
        wire.hang_up();
    }
    assert_eq!(upload.range(), "0-999");
    upload.put(&digest(&content), &content[1000..]).header("Content-Range", "1000-999999").send().expect(201);
    repository.pull(&digest(&content)).expect(200).brings(&content);
}

#[test]
fn a_post_with_a_blob_that_broke_off_leaves_no_bytes() {
    let registry = Registry::start();
    let repository = registry.repository();
    let content = noise(34, 4 << 20);
    let mut wire = registry.connect();
    let path = repository.path(&format!("blobs/uploads/?digest={}", digest(&content)));
    wire.begin("POST", &path, &[("Content-Length", &content.len().to_string())]);
    wire.send(&content[..3 << 20]);
    eventually("bytes are staged", || (registry.files("uploads").len() == 1).then_some(()));
    wire.hang_up();
    eventually("the staged bytes are gone", || registry.files("uploads").is_empty().then_some(()));
    repository.pull(&digest(&content)).refused(404, "BLOB_UNKNOWN");
}

#[test]
fn a_client_that_does_not_wait_for_the_answer_has_pushed_its_blob() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(35, LENGTH), repository.start_upload());
    let blob = digest(&content);
    let mut wire = repository.registry.connect();
    wire.begin("PUT", &upload.closing(&blob), &[("Content-Length", "1000000")]);
    wire.send(&content);
    wire.hang_up();
    eventually("the blob is there", || (repository.head(&format!("blobs/{blob}")).status == 200).then_some(()));
    repository.pull(&blob).expect(200).brings(&content);
    upload.put(&blob, &content).send().expect(201);
}

#[test]
fn a_client_that_breaks_off_again_and_again_arrives() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(36, LENGTH), repository.start_upload());
    let mut sent = 0;
    while sent < LENGTH {
        let end = LENGTH.min(sent + 170_000);
        let mut wire = repository.registry.connect();
        let range = format!("{sent}-{}", LENGTH - 1);
        let length = (LENGTH - sent).to_string();
        wire.begin("PATCH", &upload.location, &[("Content-Length", &length), ("Content-Range", &range)]);
        wire.send(&content[sent..end]);
        wire.hang_up();
        eventually("what arrived is counted", || (upload.range() == format!("0-{}", end - 1)).then_some(()));
        sent = end;
    }
    upload.put(&digest(&content), "").send().expect(201);
    repository.pull(&digest(&content)).expect(200).brings(&content);
}

#[test]
fn a_connection_that_was_reset_leaves_a_session_to_go_on_with() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(37, LENGTH), repository.start_upload());
    let mut wire = repository.registry.connect();
    wire.begin("PATCH", &upload.location, &[("Content-Length", "1000000")]);
    wire.send(&content[..ARRIVED]);
    wire.reset();
    // What the kernel had not handed over yet is lost: nobody knows how much counts, but the server tells.
    let mut start = 0;
    eventually("the rest is taken", || {
        let answer = upload.chunk(start, &content[start..]).send();
        let last: usize = answer.header("Range")?.strip_prefix("0-")?.parse().ok()?;
        start = if last == 0 { 0 } else { last + 1 };
        (answer.status == 202).then_some(())
    });
    upload.put(&digest(&content), "").send().expect(201);
    repository.pull(&digest(&content)).expect(200).brings(&content);
}
