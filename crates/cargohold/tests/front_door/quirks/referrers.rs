//! Section 6: what is attached to what, and how clients find out whether the registry knows.

use serde_json::{Value, json};

use super::clients::{Client, Content};
use crate::{
    client::Response,
    content::{IMAGE, INDEX, descriptor, digest, image, index},
    registry::Registry,
    repository::Repository,
};

/// Attaches a manifest of that type to something; answers the digest of what was attached.
#[track_caller]
fn attach(client: &mut Client, repository: &Repository, kind: &str, subject: &str) -> String {
    repository.push_blob("{}");
    let mut manifest = image(&descriptor("application/vnd.oci.empty.v1+json", "{}"), &[]);
    (manifest["artifactType"], manifest["subject"]) =
        (json!(kind), json!({ "mediaType": IMAGE, "digest": subject, "size": 7 }));
    let manifest = manifest.to_string();
    let path = repository.path(&format!("manifests/{}", digest(&manifest)));
    let put = client.ask("PUT", &path, &[("Content-Type", IMAGE)], Content::Sized(manifest.as_bytes()));
    put.expect(201).with("OCI-Subject", subject);
    digest(manifest)
}

#[track_caller]
fn listed(answer: &Response) -> Vec<String> {
    let mut digests: Vec<_> =
        answer.json()["manifests"].as_array().unwrap().iter().map(|it| it["digest"].clone()).collect();
    digests.sort_by_key(Value::to_string);
    digests.into_iter().map(|digest| digest.as_str().unwrap().to_owned()).collect()
}

/// 6.1: cosign asks after every push with a subject whether it has to keep the list itself, in a tag; anything but 200 means yes.
#[test]
fn cosign_asks_after_each_push_and_need_not_write_a_tag() {
    let repository = Registry::shared().repository();
    let mut cosign = Client::crane(&repository.registry);
    let subject = digest("signed by cosign");
    let signature = attach(&mut cosign, &repository, "application/vnd.dev.sigstore.bundle.v0.3+json", &subject);
    let accepted = [("Accept", INDEX)];
    let list = cosign.ask("GET", &repository.path(&format!("referrers/{subject}")), &accepted, Content::None);
    assert_eq!(listed(&list.expect(200).with("Content-Type", INDEX)), [signature]);
    cosign.head(&repository.path(&format!("manifests/{}", subject.replace(':', "-")))).expect(404);
}

/// 6.4: it repeats the parameter for each type that it wants, filters again what it gets, and reads no further than the length.
#[test]
fn containerd_asks_for_referrers_of_several_types_at_once() {
    let repository = Registry::shared().repository();
    let mut containerd = Client::containerd(&repository.registry);
    let subject = digest("with many referrers");
    let [sbom, signature, other] = ["sbom", "signature", "other"]
        .map(|kind| attach(&mut containerd, &repository, &format!("application/vnd.example.{kind}"), &subject));
    let types = "artifactType=application%2Fvnd.example.sbom&artifactType=application%2Fvnd.example.signature";
    let list = containerd.get(&repository.path(&format!("referrers/{subject}?{types}"))).expect(200);
    assert_eq!(list.header("Content-Length").unwrap(), list.body.len().to_string());
    let found = listed(&list);
    assert!(found.contains(&sbom) && found.contains(&signature), "one of both types is missing in {list}");
    let filtered = list.header("OCI-Filters-Applied").is_some();
    assert!(!(filtered && found.contains(&other)), "a filter was applied that was not: {list}");
}

/// 6.5: neither a page for people nor a challenge, whatever the caller says that it likes.
#[test]
fn nobody_gets_a_web_page_where_referrers_were_asked_for() {
    let repository = Registry::shared().repository();
    let subject = digest("no page");
    let browser = [("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];
    let mut client = Client::curl(&repository.registry);
    let path = repository.path(&format!("referrers/{subject}"));
    client.ask("GET", &path, &browser, Content::None).expect(200).with("Content-Type", INDEX);
    for path in
        ["referrers", &format!("referrers/{subject}/more"), &format!("_oci/artifacts/referrers?digest={subject}")]
    {
        client.ask("GET", &repository.path(path), &browser, Content::None).refused(404, "UNSUPPORTED");
    }
}

/// 6.6, 3.15: a client from before writes the list into a tag, again and again; it stays the client's own.
#[test]
fn an_old_client_keeps_its_list_in_a_tag() {
    let repository = Registry::shared().repository();
    let mut old = Client::oras(&repository.registry);
    let subject = digest("referred to by an old client");
    let tag = subject.replace(':', "-");
    let mut children: Vec<Value> = Vec::new();
    for kind in ["application/vnd.example.one", "application/vnd.example.two"] {
        let referrer = attach(&mut old, &repository, kind, &subject);
        let size = repository.get(&format!("manifests/{referrer}")).expect(200).body.len();
        children.push(json!({ "mediaType": IMAGE, "digest": referrer, "size": size, "artifactType": kind }));
        repository.push_manifest(&tag, INDEX, index(&children).to_string());
        old.get(&repository.path(&format!("manifests/{tag}"))).expect(200).brings(index(&children).to_string());
        assert_eq!(listed(&old.get(&repository.path(&format!("referrers/{subject}")))).len(), children.len());
    }
}
