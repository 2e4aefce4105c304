//! Chunks that say where they belong.

use crate::{
    content::{digest, noise},
    registry::Registry,
};

#[test]
fn chunks_in_order_make_a_blob() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(11, 3 * 1024 - 5), repository.start_upload());
    upload.chunk(0, &content[..1024]).send().expect(202).with("Range", "0-1023");
    upload.chunk(1024, &content[1024..2048]).send().expect(202).with("Range", "0-2047");
    upload.chunk(2048, &content[2048..]).send().expect(202).with("Range", "0-3066");
    upload.put(&digest(&content), "").send().expect(201);
    repository.pull(&digest(&content)).expect(200).brings(&content);
}

#[test]
fn the_last_chunk_may_come_with_the_put() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(12, 2000), repository.start_upload());
    upload.chunk(0, &content[..1000]).send().expect(202);
    upload.put(&digest(&content), &content[1000..]).header("Content-Range", "1000-1999").send().expect(201);
    repository.pull(&digest(&content)).expect(200).brings(&content);
}

#[test]
fn a_chunk_of_unknown_length_may_say_where_it_belongs() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    upload.request("PATCH").chunked("abc").header("Content-Range", "0-2").send().expect(202).with("Range", "0-2");
    upload.request("PATCH").chunked("def").header("Content-Range", "3-5").send().expect(202).with("Range", "0-5");
    upload.put(&digest("abcdef"), "").send().expect(201);
}

#[test]
fn ranges_with_a_unit_are_understood() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    upload.patch("abc").header("Content-Range", "bytes 0-2/*").send().expect(202).with("Range", "0-2");
    upload.patch("def").header("Content-Range", "bytes 3-5/6").send().expect(202).with("Range", "0-5");
    upload.put(&digest("abcdef"), "").send().expect(201);
}

#[test]
fn a_chunk_out_of_order_is_told_where_to_go_on() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(13, 2048), repository.start_upload());
    upload
        .chunk(1024, &content[1024..])
        .send()
        .with("Location", &upload.location)
        .with("Range", "0-0")
        .refused(416, "RANGE_INVALID");
    upload.chunk(0, &content[..1024]).send().expect(202);
    for wrong in [0, 512, 1023, 1025] {
        let answer =
            upload.chunk(wrong, &content[1024..]).send().with("Location", &upload.location).with("Range", "0-1023");
        let message = answer.with("Docker-Upload-UUID", upload.id()).refused(416, "RANGE_INVALID");
        assert!(message.contains("1024"), "{message}");
        assert_eq!(upload.range(), "0-1023");
    }
    upload.chunk(1024, &content[1024..]).send().expect(202).with("Range", "0-2047");
    upload.put(&digest(&content), "").send().expect(201);
}

#[test]
fn a_put_out_of_order_is_told_where_to_go_on() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(14, 2048), repository.start_upload());
    upload.chunk(0, &content[..1024]).send().expect(202);
    for wrong in ["0-1023", "2048-3071"] {
        let answer = upload.put(&digest(&content), &content[1024..]).header("Content-Range", wrong).send();
        answer.with("Location", &upload.location).with("Range", "0-1023").refused(416, "RANGE_INVALID");
        assert_eq!(upload.range(), "0-1023");
    }
    upload.put(&digest(&content), &content[1024..]).header("Content-Range", "1024-2047").send().expect(201);
    repository.pull(&digest(&content)).expect(200).brings(&content);
}

#[test]
fn a_chunk_of_another_length_than_its_range_is_refused_and_forgotten() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    upload.patch("kept").send().expect(202);
    for range in ["4-6", "4-8"] {
        upload.patch("four").header("Content-Range", range).send().refused(400, "SIZE_INVALID");
        upload.request("PATCH").chunked("four").header("Content-Range", range).send().refused(400, "SIZE_INVALID");
        upload.put(&digest("keptfour"), "four").header("Content-Range", range).send().refused(400, "SIZE_INVALID");
        let put = repository.registry.request("PUT", &upload.closing(&digest("keptfour")));
        put.chunked("four").header("Content-Range", range).send().refused(400, "SIZE_INVALID");
        assert_eq!(upload.range(), "0-3");
    }
    upload.chunk(4, "four").send().expect(202);
    upload.put(&digest("keptfour"), "").send().expect(201);
    repository.pull(&digest("keptfour")).expect(200).brings("keptfour");
}

#[test]
fn a_range_that_is_none_is_refused() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    for range in ["", "abc", "3-1", "0-", "-3", "bytes 0-2,4-6", "items 0-2/3"] {
        upload.patch("abc").header("Content-Range", range).send().refused(400, "BLOB_UPLOAD_INVALID");
    }
    assert_eq!(upload.range(), "0-0");
    upload.put(&digest("abc"), "abc").send().expect(201);
}

#[test]
fn a_connection_goes_on_behind_a_refused_chunk() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    let mut wire = repository.registry.connect();
    let content = noise(15, 1000);
    wire.begin("PATCH", &upload.location, &[("Content-Length", "1000"), ("Content-Range", "5-1004")]);
    wire.send(&content);
    let refused = wire.answer().expect(416);
    let mut wire = if refused.header("Connection") == Some("close") { repository.registry.connect() } else { wire };
    wire.begin("PATCH", &upload.location, &[("Content-Length", "1000"), ("Content-Range", "0-999")]);
    wire.send(&content);
    wire.answer().expect(202).with("Range", "0-999");
}
