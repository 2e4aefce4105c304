//! Section 4: how blobs leave.

use std::{fmt::Write, thread};

use super::{
    clients::{Client, Content},
    http2::Http2,
};
use crate::{
    content::{digest, noise},
    registry::Registry,
};

/// 4.7, 4.11: each part of a layer is asked for to the layer's end, side by side, and hung up on when the part is complete.
#[test]
fn containerd_reads_parts_side_by_side_and_hangs_up_on_each() {
    let repository = Registry::shared().repository();
    let content = noise(101, 8 << 20);
    let path = repository.path(&format!("blobs/{}", repository.push_blob(&content)));
    let accepted = [
        ("Accept", "application/vnd.oci.image.layer.v1.tar+gzip, */*"),
        ("Accept-Encoding", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5"),
    ];
    thread::scope(|scope| {
        for (number, part) in content.chunks(1 << 20).enumerate() {
            let (registry, path) = (&repository.registry, &path);
            scope.spawn(move || {
                let (mut wire, range) = (registry.connect(), format!("bytes={}-", number << 20));
                wire.begin("GET", path, &[accepted[0], accepted[1], ("Range", &range)]);
                let got = format!("bytes {}-{}/{}", number << 20, (8 << 20) - 1, 8 << 20);
                wire.answer_head().expect(206).with("Content-Range", got).without("Content-Encoding");
                assert!(wire.read_exact(part.len()) == part, "part {number}");
                wire.hang_up();
            });
        }
    });
    Client::containerd(&repository.registry).get(&path).expect(200).brings(content);
}

/// 4.5: Go unpacks what is called compressed if it asked for gzip by itself, and then the digest is wrong.
#[test]
fn a_layer_that_is_a_gzip_file_is_not_called_compressed() {
    let repository = Registry::shared().repository();
    let content = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff".as_slice(), &noise(102, 400_000)].concat();
    let path = repository.path(&format!("blobs/{}", repository.push_blob(&content)));
    for mut go in
        [Client::docker, Client::skopeo, Client::crane, Client::helm].map(|client| client(&repository.registry))
    {
        let answer = go.get(&path).expect(200).without("Content-Encoding").without("Transfer-Encoding");
        answer.with("Content-Type", "application/octet-stream").brings(&content);
    }
}

/// 4.6: a HEAD has the length in it, or containers/image "could not determine size"; docker and helm show progress by that of GET.
#[test]
fn a_blob_has_its_length_in_every_answer_of_every_version_of_http() {
    let repository = Registry::shared().repository();
    let content = noise(103, 600_000);
    let path = repository.path(&format!("blobs/{}", repository.push_blob(&content)));
    let (mut skopeo, mut proxy) = (Client::skopeo(&repository.registry), Http2::connect(&repository.registry));
    for head in [skopeo.head(&path), proxy.ask("HEAD", &path, &[], b"")] {
        head.expect(200).with("Content-Length", "600000").brings("");
    }
    for get in [skopeo.get(&path), proxy.ask("GET", &path, &[], b"")] {
        get.expect(200).with("Content-Length", "600000").brings(&content);
    }
}

/// 4.8: containers/storage asks for what changed in a zstd:chunked layer, hundreds of parts in a header of 16 KiB and more.
#[test]
fn podman_asks_for_hundreds_of_parts_in_one_long_header() {
    let repository = Registry::shared().repository();
    let content = noise(104, 12_000_000);
    let path = repository.path(&format!("blobs/{}", repository.push_blob(&content)));
    let parts: Vec<_> = (0..1000).map(|number| (10_000_000 + number * 1999, 10_000_000 + number * 1999 + 99)).collect();
    let ranges = parts.iter().fold("bytes=".to_owned(), |mut ranges, (first, last)| {
        write!(ranges, "{}{first}-{last}", if ranges.ends_with('=') { "" } else { "," }).unwrap();
        ranges
    });
    assert!(ranges.len() > 16 * 1024);
    let answer =
        Client::skopeo(&repository.registry).ask("GET", &path, &[("Range", &ranges)], Content::None).expect(206);
    assert!(answer.header("Content-Type").unwrap().starts_with("multipart/byteranges; boundary="), "{answer}");
    let mut rest = answer.body.as_slice();
    for (first, last) in parts {
        let head = format!("Content-Range: bytes {first}-{last}/12000000\r\n\r\n");
        let start =
            rest.windows(head.len()).position(|text| text == head.as_bytes()).expect("the parts in their order")
                + head.len();
        assert!(rest[start..start + 100] == content[first..=last]);
        rest = &rest[start + 100..];
    }
}

/// 4.7, 4.8: one part that is left of many is no multipart, and parts that touch may be one.
#[test]
fn podman_takes_one_part_for_several_that_touch() {
    let repository = Registry::shared().repository();
    let content = noise(105, 300_000);
    let path = repository.path(&format!("blobs/{}", repository.push_blob(&content)));
    let mut podman = Client::skopeo(&repository.registry);
    for range in ["bytes=1000-1999", "bytes=1000-1499,1400-1999", "bytes=1000-1999,900000-900001"] {
        let answer = podman.ask("GET", &path, &[("Range", range)], Content::None).expect(206);
        answer.with("Content-Range", "bytes 1000-1999/300000").brings(&content[1000..2000]);
    }
}

/// §1: it seeks in a blob only if the first answer has `Accept-Ranges`, and names the last byte.
#[test]
fn oras_seeks_where_the_first_answer_says_that_it_can() {
    let repository = Registry::shared().repository();
    let content = noise(106, 300_000);
    let path = repository.path(&format!("blobs/{}", repository.push_blob(&content)));
    let mut oras = Client::oras(&repository.registry);
    oras.get(&path).expect(200).with("Accept-Ranges", "bytes");
    let answer = oras.ask("GET", &path, &[("Range", "bytes=123456-299999")], Content::None).expect(206);
    answer
        .with("Content-Range", "bytes 123456-299999/300000")
        .with("Content-Length", "176544")
        .brings(&content[123_456..]);
}

/// §1, 4.7, 9: a pull that was cancelled and begun again, through a proxy that speaks HTTP/2.
#[test]
fn a_download_over_http_2_is_resumed() {
    let repository = Registry::shared().repository();
    let content = noise(107, 5_000_000);
    let blob = repository.push_blob(&content);
    let mut kubelet = Http2::connect(&repository.registry);
    let path = repository.path(&format!("blobs/{blob}"));
    let rest = kubelet.ask("GET", &path, &[("range", "bytes=3000000-")], b"").expect(206);
    rest.with("Content-Range", "bytes 3000000-4999999/5000000").brings(&content[3_000_000..]);
    assert_eq!(digest(kubelet.ask("GET", &path, &[], b"").expect(200).body), blob);
}

/// §1: containerd asks a mirror for everything with the name of the host that it means.
#[test]
fn containerd_tells_a_mirror_whom_it_means() {
    let repository = Registry::shared().repository();
    let manifest = repository.push_parts_of_image();
    let named = repository.push_manifest("latest", crate::content::IMAGE, &manifest);
    let blob = repository.push_blob("mirrored");
    let mut containerd = Client::containerd(&repository.registry);
    containerd
        .head(&repository.path("manifests/latest?ns=docker.io"))
        .expect(200)
        .with("Docker-Content-Digest", &named);
    containerd.get(&repository.path(&format!("manifests/{named}?ns=docker.io"))).expect(200).brings(&manifest);
    containerd
        .get(&repository.path(&format!("blobs/{blob}?ns=registry.example.com%3A5000")))
        .expect(200)
        .brings("mirrored");
    containerd.get(&repository.path(&format!("referrers/{named}?ns=docker.io"))).expect(200);
}
