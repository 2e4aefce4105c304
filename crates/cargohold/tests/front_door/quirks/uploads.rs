//! Section 2: how blobs arrive.

use super::{
    clients::{Client, Content, closing},
    http2::Http2,
};
use crate::{
    content::{digest, noise},
    registry::Registry,
    waiting::eventually,
};

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");

/// §1, 2.3 to 2.6, 2.12, 2.15: no length and no type on the way, a connection for each request, as few bytes as 200, and a HEAD
/// right after.
#[test]
fn docker_sends_one_patch_of_unknown_length_and_looks_for_the_blob_at_once() {
    let repository = Registry::shared().repository();
    let mut docker = Client::docker(&repository.registry);
    for content in [noise(81, 200), noise(82, 3_000_000)] {
        let (blob, last) = (digest(&content), format!("0-{}", content.len() - 1));
        docker.head(&repository.path(&format!("blobs/{blob}"))).expect(404);
        let session = docker.post(&repository.path("blobs/uploads/")).expect(202);
        let patched = docker.ask("PATCH", session.location(), &[], Content::Chunked(&content)).expect(202);
        let patched =
            patched.with("Range", last).with("Docker-Upload-UUID", session.header("Docker-Upload-UUID").unwrap());
        docker.ask("PUT", &closing(patched.location(), &blob), &[], Content::Sized(b"")).expect(201);
        docker
            .head(&repository.path(&format!("blobs/{blob}")))
            .expect(200)
            .with("Content-Length", content.len().to_string());
    }
}

/// §1, 2.5, 10.22: the empty PUT has a type, and nothing but 201 will do.
#[test]
fn skopeo_and_crane_send_one_patch_with_its_length_and_an_empty_put_with_a_type() {
    let repository = Registry::shared().repository();
    let json = ("Content-Type", "application/json");
    for (mut client, posted) in
        [(Client::skopeo(&repository.registry), None), (Client::crane(&repository.registry), Some(json))]
    {
        let content = noise(83 + u64::from(posted.is_some()), 500_000);
        let posted: Vec<_> = posted.into_iter().collect();
        let session = client.ask("POST", &repository.path("blobs/uploads/"), &posted, Content::Sized(b"")).expect(202);
        let patched = client.ask("PATCH", session.location(), &[OCTETS], Content::Sized(&content)).expect(202);
        let closing = closing(patched.location(), &digest(&content));
        client.ask("PUT", &closing, &[OCTETS], Content::Sized(b"")).expect(201);
        repository.pull(&digest(&content)).expect(200).brings(content);
    }
}

/// §1, 10.22: a mount first, with its query encoded or not, and then everything in one PUT into the session that came of it.
#[test]
fn containerd_buildkit_oras_and_helm_send_all_in_one_put() {
    let repository = Registry::shared().repository();
    let registry = &repository.registry;
    let clients =
        [Client::containerd(registry), Client::buildkit(registry), Client::oras(registry), Client::helm(registry)];
    for (seed, mut client) in (85..).zip(clients) {
        let content = noise(seed, 400_000);
        let blob = digest(&content);
        let query = match seed {
            85 | 86 => format!("?mount={blob}&from=team/base"),
            _ => format!("?from=team%2Fbase&mount={}", blob.replace(':', "%3A")),
        };
        let session = client.post(&repository.path(&format!("blobs/uploads/{query}"))).expect(202);
        let put = client.ask("PUT", &closing(session.location(), &blob), &[OCTETS], Content::Sized(&content));
        put.expect(201).with("Docker-Content-Digest", &blob);
    }
}

/// §1, 2.12: a mount that names no source, then chunks of 1 MiB that say where they belong, and a last one that is shorter.
#[test]
fn regclient_sends_chunks_of_its_own_size() {
    let repository = Registry::shared().repository();
    let mut regclient = Client::regclient(&repository.registry);
    let content = noise(89, (2 << 20) + 777);
    let blob = digest(&content);
    let mount = repository.path(&format!("blobs/uploads/?mount={}", blob.replace(':', "%3A")));
    let mut location = regclient.post(&mount).expect(202).without("OCI-Chunk-Min-Length").location().to_owned();
    for (number, chunk) in content.chunks(1 << 20).enumerate() {
        let (start, last) = (number << 20, (number << 20) + chunk.len() - 1);
        let range = format!("{start}-{last}");
        let answer = regclient.ask("PATCH", &location, &[OCTETS, ("Content-Range", &range)], Content::Sized(chunk));
        location = answer.expect(202).with("Range", format!("0-{last}")).location().to_owned();
    }
    regclient.ask("PUT", &closing(&location, &blob), &[OCTETS], Content::Sized(b"")).expect(201);
    repository.pull(&blob).expect(200).brings(content);
}

/// 2.16, 10.12: the base image's repository is named for a mount whoever owns it, and the body is announced and waited with.
#[test]
fn jib_mounts_from_where_it_cannot_and_asks_before_it_sends() {
    let repository = Registry::shared().repository();
    let mut jib = Client::jib(&repository.registry);
    let content = noise(91, 1_200_000);
    let mount = format!("blobs/uploads/?mount={}&from=library/eclipse-temurin", digest(&content));
    let session = jib.post(&repository.path(&mount)).expect(202);
    let expect = [OCTETS, ("Expect", "100-continue")];
    let patched = jib.ask("PATCH", session.location(), &expect, Content::Chunked(&content)).expect(202);
    let closing = format!("{}?digest={}", patched.location(), digest(&content));
    jib.ask("PUT", &closing, &[], Content::Sized(b"")).expect(201);
    repository.pull(&digest(&content)).expect(200).brings(content);
}

/// 2.16: `--data-binary` calls a blob a form, and 1 MB or more is announced and waited with.
#[test]
fn curl_calls_the_blob_a_form_and_asks_before_it_sends() {
    let repository = Registry::shared().repository();
    let mut curl = Client::curl(&repository.registry);
    let content = noise(92, 2_000_000);
    let session = curl.ask("POST", &repository.path("blobs/uploads/"), &[], Content::None).expect(202);
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Expect", "100-continue")];
    let put = format!("{}?digest={}", session.location(), digest(&content));
    curl.ask("PUT", &put, &form, Content::Sized(&content)).expect(201);
    repository.pull(&digest(&content)).expect(200).brings(content);
}

/// 2.1, 2.2: containerd resolves a relative one against the host that it asked, and by hand people append `?digest=` to it
/// (distribution#2867).
#[test]
fn every_location_is_a_path_without_a_query() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    let (absent, first) = (digest("absent"), digest("first"));
    let answers = [
        upload.status().expect(204),
        upload.patch("first").send().expect(202),
        repository.registry.get(&upload.closing(&first)).expect(204),
        upload.put(&first, "").send().expect(201),
        repository.post(&format!("?mount={absent}&from={}", repository.name)).send().expect(202),
        repository.post(&format!("?mount={first}&from={}", repository.name)).send().expect(201),
        repository.post(&format!("?digest={first}")).body("first").send().expect(201),
    ];
    for answer in answers {
        let location = answer.location();
        assert!(location.starts_with(&repository.path("blobs/")) && !location.contains('?'), "{answer}");
    }
}

/// 2.5, 2.6: docker behind a proxy that hands HTTP/2 on.
#[test]
fn over_http_2_neither_a_patch_nor_an_empty_put_has_a_length() {
    let repository = Registry::shared().repository();
    let mut docker = Http2::connect(&repository.registry);
    let content = noise(93, 5_000_000);
    let session = docker.ask("POST", &repository.path("blobs/uploads/"), &[], b"").expect(202);
    let patched = docker.ask("PATCH", session.location(), &[], &content).expect(202).with("Range", "0-4999999");
    docker.ask("PUT", &closing(patched.location(), &digest(&content)), &[], b"").expect(201);
    repository.pull(&digest(&content)).expect(200).brings(content);
}

/// 2.5, 2.6: containerd's one PUT, and a whole blob in the POST.
#[test]
fn over_http_2_a_whole_blob_needs_no_length_either() {
    let repository = Registry::shared().repository();
    let mut client = Http2::connect(&repository.registry);
    let content = noise(94, 700_000);
    let session = client.ask("POST", &repository.path("blobs/uploads/"), &[], b"").expect(202);
    client.ask("PUT", &closing(session.location(), &digest(&content)), &[OCTETS], &content).expect(201);
    for content in [noise(95, 700_000), Vec::new()] {
        let post = repository.path(&format!("blobs/uploads/?digest={}", digest(&content)));
        client.ask("POST", &post, &[OCTETS], &content).expect(201).with("Docker-Content-Digest", digest(&content));
    }
}

/// 2.13: each step of a push may take another way through a proxy.
#[test]
fn a_session_goes_on_over_another_connection_and_another_version_of_http() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    let mut later = Http2::connect(&repository.registry);
    later.ask("PATCH", &upload.location, &[], b"one ").expect(202).with("Range", "0-3");
    Client::skopeo(&repository.registry).ask("PATCH", &upload.location, &[OCTETS], Content::Sized(b"two ")).expect(202);
    later.ask("GET", &upload.location, &[], b"").expect(204).with("Range", "0-7");
    upload.put(&digest("one two three"), "three").send().expect(201);
    repository.pull(&digest("one two three")).expect(200).brings("one two three");
}

/// 2.7: 10 GB in one PUT are ordinary; none of it waits in memory.
#[test]
fn one_large_put_of_containerd_takes_little_memory() {
    let registry = Registry::start();
    let (part, parts) = (noise(96, 1 << 20), 96);
    let upload = registry.repository().start_upload();
    let blob = digest(part.repeat(parts));
    let before = registry.most_memory();
    let mut wire = registry.connect();
    wire.begin("PUT", &closing(&upload.location, &blob), &[OCTETS, ("Content-Length", &(parts << 20).to_string())]);
    (0..parts).for_each(|_| wire.send(&part));
    wire.answer().expect(201);
    let more = registry.most_memory() - before;
    assert!(more < 32 << 20, "{more} bytes");
}

/// 2.8: it wants no session where it asked for a mount, and begins another one later.
#[test]
fn skopeo_cancels_the_session_that_a_mount_turned_into() {
    let repository = Registry::shared().repository();
    let mut skopeo = Client::skopeo(&repository.registry);
    let blob = digest("not there");
    let mount = repository.path(&format!("blobs/uploads/?mount={}&from=team%2Fbase", blob.replace(':', "%3A")));
    let unwanted = skopeo.post(&mount).expect(202).location().to_owned();
    skopeo.ask("DELETE", &unwanted, &[], Content::None).expect(204);
    let session = skopeo.post(&repository.path("blobs/uploads/")).expect(202);
    assert_ne!(session.location(), unwanted);
    skopeo.ask("PATCH", session.location(), &[OCTETS], Content::Sized(b"not there")).expect(202);
    skopeo.ask("PUT", &closing(session.location(), &blob), &[OCTETS], Content::Sized(b"")).expect(201);
}

/// 2.8: a session only to see whether a push is allowed, which makes no repository that anybody sees.
#[test]
fn kaniko_starts_an_upload_only_to_see_whether_it_may() {
    let repository = Registry::shared().repository();
    let mut kaniko = Client::kaniko(&repository.registry);
    let posted = [("Content-Type", "application/json")];
    let session = kaniko.ask("POST", &repository.path("blobs/uploads/"), &posted, Content::Sized(b"")).expect(202);
    kaniko.ask("DELETE", session.location(), &[], Content::None).expect(204);
    kaniko.get(&repository.path("tags/list")).refused(404, "NAME_UNKNOWN");
}

/// 2.8, 2.14: layers that another push of the same daemon was faster with.
#[test]
fn docker_forgets_sessions_and_nobody_minds() {
    let repository = Registry::shared().repository();
    let mut docker = Client::docker(&repository.registry);
    let forgotten: Vec<_> = (0..5).map(|_| docker.post(&repository.path("blobs/uploads/")).expect(202)).collect();
    docker.ask("PATCH", forgotten[0].location(), &[], Content::Chunked(b"half a la")).expect(202);
    let blob = repository.push_blob("half a layer");
    docker.head(&repository.path(&format!("blobs/{blob}"))).expect(200);
    docker.get(forgotten[0].location()).expect(204).with("Range", "0-8");
    docker.get(forgotten[1].location()).expect(204).with("Range", "0-0");
}

/// 2.10: nothing says where the second PATCH begins, so it is appended; the digest tells, and the client begins anew.
#[test]
fn a_patch_that_is_sent_again_as_a_whole_is_appended_and_found_out_by_the_digest() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(97, 300_000), repository.start_upload());
    let mut broken = repository.registry.connect();
    broken.begin("PATCH", &upload.location, &[("Transfer-Encoding", "chunked")]);
    broken.send_chunk(&content[..100_000]);
    broken.hang_up();
    eventually("what arrived is counted", || (upload.range() == "0-99999").then_some(()));
    let mut docker = Client::docker(&repository.registry);
    docker.ask("PATCH", &upload.location, &[], Content::Chunked(&content)).expect(202).with("Range", "0-399999");
    let closing = closing(&upload.location, &digest(&content));
    docker.ask("PUT", &closing, &[], Content::Sized(b"")).refused(400, "DIGEST_INVALID");
    repository.push_blob(&content);
}
