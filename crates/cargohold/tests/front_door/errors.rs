//! What is wrong in a request's address or method, and how the answer says so.

use crate::{
    content::{digest, note},
    registry::Registry,
};

const NAMES: [&str; 9] = ["Team/app", "team//app", "-team", "team_", "a/../b", "a..b", "a___b", "a/_b/c", "a%20b"];
const DIGESTS: [&str; 6] =
    ["sha256:baddigeststring", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e", "blake3:00", ":00", "sha256:é"];
const TAGS: [&str; 4] = [".hidden", "-dash", "a%20b", "a+b"];

#[test]
fn a_name_that_breaks_the_grammar_is_invalid_wherever_it_stands() {
    let registry = Registry::shared();
    let digest = digest("");
    for name in NAMES {
        for path in [format!("blobs/{digest}"), "manifests/latest".to_owned(), "tags/list".to_owned()] {
            registry.get(&format!("/v2/{name}/{path}")).refused(400, "NAME_INVALID");
        }
        registry.request("POST", &format!("/v2/{name}/blobs/uploads/")).send().refused(400, "NAME_INVALID");
        registry
            .request("PUT", &format!("/v2/{name}/manifests/latest"))
            .body(note(""))
            .send()
            .refused(400, "NAME_INVALID");
    }
}

#[test]
fn an_upper_case_name_is_told_what_is_wrong() {
    let message = Registry::shared().get("/v2/Team/App/tags/list").refused(400, "NAME_INVALID");
    assert!(message.contains("lower-case") && message.contains("Team/App"), "{message}");
}

#[test]
fn a_name_may_have_255_bytes() {
    let registry = Registry::shared();
    let name = "n".repeat(255);
    registry.named(&name).push_manifest("latest", crate::content::INDEX, note("long"));
    registry.get(&format!("/v2/{name}/manifests/latest")).expect(200);
    registry.get(&format!("/v2/{name}n/manifests/latest")).refused(400, "NAME_INVALID");
}

#[test]
fn names_may_have_the_words_of_the_api() {
    let registry = Registry::shared();
    for name in [
        "a/blobs/b",
        "tags/list",
        "v2/manifests",
        "blobs/uploads",
        "a/blobs/uploads/b",
        "referrers",
        "manifests/latest/tags",
    ] {
        let repository = registry.named(name);
        let blob = repository.push_blob(name);
        repository.pull(&blob).expect(200).brings(name);
        repository.push_manifest("list", crate::content::INDEX, note(name));
        repository.get("manifests/list").expect(200).brings(note(name));
        assert_eq!(repository.get("tags/list").json(), serde_json::json!({ "name": name, "tags": ["list"] }));
    }
}

#[test]
fn a_digest_that_is_none_is_invalid_and_not_unknown() {
    let repository = Registry::shared().repository();
    for digest in DIGESTS {
        let digest = digest.replace('é', "%C3%A9");
        for path in [format!("blobs/{digest}"), format!("manifests/{digest}")] {
            repository.get(&path).refused(400, "DIGEST_INVALID");
            assert_eq!(repository.head(&path).status, 400);
        }
        repository.request("PUT", &format!("manifests/{digest}")).body(note("")).send().refused(400, "DIGEST_INVALID");
    }
}

#[test]
fn an_upper_case_digest_is_not_made_lower_case() {
    let repository = Registry::shared().repository();
    let digest = repository.push_blob("case");
    let shouted = format!("sha256:{}", digest["sha256:".len()..].to_uppercase());
    repository.pull(&shouted).refused(400, "DIGEST_INVALID");
}

#[test]
fn a_tag_that_breaks_the_grammar_is_invalid() {
    let repository = Registry::shared().repository();
    let long = "t".repeat(129);
    for tag in TAGS.into_iter().chain([long.as_str()]) {
        repository.get(&format!("manifests/{tag}")).refused(400, "TAG_INVALID");
        repository.put(tag, crate::content::INDEX, note("")).send().refused(400, "TAG_INVALID");
    }
    repository.push_manifest(&long[..128], crate::content::INDEX, note("longest tag"));
}

#[test]
fn an_upload_id_that_is_none_is_an_unknown_upload() {
    let repository = Registry::shared().repository();
    for id in
        ["1", "..%2F..%2Fcargohold.db", "018F3C1E-7B9A-7CC0-8A51-2F6D1C0E9B47", "018f3c1e-7b9a-7cc0-8a51-2f6d1c0e9b47"]
    {
        for method in ["GET", "PATCH", "DELETE"] {
            let answer = repository.request(method, &format!("blobs/uploads/{id}")).send();
            answer.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
        let path = format!("blobs/uploads/{id}?digest={}", digest("not here"));
        repository.request("PUT", &path).body("not here").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[test]
fn a_digest_in_a_path_may_be_percent_encoded() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("encoded").replace(':', "%3A");
    repository.pull(&blob).expect(200).brings("encoded");
    let manifest = repository.push_manifest("latest", crate::content::INDEX, note("encoded")).replace(':', "%3a");
    repository.get(&format!("manifests/{manifest}")).expect(200).brings(note("encoded"));
}

#[test]
fn a_name_may_be_percent_encoded_as_one_piece() {
    let registry = Registry::shared();
    let repository = registry.repository();
    let blob = repository.push_blob("piece");
    let name = repository.name.replace('/', "%2F");
    registry.get(&format!("/v2/{name}/blobs/{blob}")).expect(200).brings("piece");
}

#[test]
fn unknown_queries_are_ignored() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("ns");
    repository.get(&format!("blobs/{blob}?ns=docker.io&x=%FF&=&&y")).expect(200);
    let upload = repository.upload(&repository.post("?ns=docker.io&origin=elsewhere").send().expect(202));
    upload.request("GET").send().expect(204);
}

#[test]
fn a_path_that_the_api_does_not_have_is_not_found_in_json() {
    let registry = Registry::shared();
    for path in [
        "/v1/_ping",
        "/v2x",
        "/v3/",
        "/v2/app",
        "/v2/app/blobs",
        "/v2/app/_trust/tuf/root.json",
        "//v2/",
        "/favicon.ico",
    ] {
        registry.get(path).refused(404, "UNSUPPORTED");
    }
}

#[test]
fn a_method_that_a_path_does_not_have_names_those_that_it_has() {
    let repository = Registry::shared().repository();
    let blob = format!("blobs/{}", repository.push_blob("methods"));
    let upload = repository.start_upload();
    let session = upload.location.strip_prefix(&repository.path("")).unwrap();
    for (method, path, some) in [
        ("POST", blob.as_str(), "GET"),
        ("PUT", &blob, "HEAD"),
        ("GET", "blobs/uploads/", "POST"),
        ("PUT", "blobs/uploads/", "POST"),
        ("POST", session, "PATCH"),
        ("POST", "manifests/latest", "PUT"),
        ("PATCH", "manifests/latest", "GET"),
        ("POST", "tags/list", "GET"),
        ("DELETE", "tags/list", "HEAD"),
    ] {
        let answer = repository.request(method, path).send();
        answer.refused(405, "UNSUPPORTED");
        let allowed = answer.header("Allow").unwrap_or_default();
        assert!(allowed.split(", ").any(|one| one == some) && !allowed.contains(method), "{answer}");
    }
}

#[test]
fn what_is_not_there_says_what_it_is() {
    let repository = Registry::shared().repository();
    let absent = digest("absent");
    let message = repository.pull(&absent).refused(404, "BLOB_UNKNOWN");
    assert!(message.contains(&absent) && message.contains(&repository.name), "{message}");
    repository.get("manifests/latest").refused(404, "MANIFEST_UNKNOWN");
    repository.get(&format!("manifests/{absent}")).refused(404, "MANIFEST_UNKNOWN");
    repository.get("tags/list").refused(404, "NAME_UNKNOWN");
}

#[test]
fn the_answer_to_a_head_has_no_body_even_if_it_is_an_error() {
    let repository = Registry::shared().repository();
    let mut wire = repository.registry.connect();
    for path in [
        repository.path(&format!("blobs/{}", digest("absent"))),
        repository.path("manifests/latest"),
        "/v2/Bad/tags/list".to_owned(),
    ] {
        wire.begin("HEAD", &path, &[]);
        assert!(wire.answer_head().status >= 400);
    }
    wire.begin("GET", "/v2/", &[]);
    wire.answer().expect(200).brings("{}");
}

#[test]
fn a_head_that_is_too_long_is_refused_and_not_cut() {
    let mut wire = Registry::shared().connect();
    wire.begin("GET", "/v2/", &[("Authorization", &"x".repeat(100_000))]);
    assert_eq!(wire.head().0, 431);
}

#[test]
fn a_long_token_is_not_too_long() {
    let answer = Registry::shared()
        .request("GET", "/v2/")
        .header("Authorization", format!("Bearer {}", "x".repeat(32_000)))
        .send();
    answer.expect(200);
}
