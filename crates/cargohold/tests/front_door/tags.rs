//! The list of a repository's tags.

use serde_json::json;

use crate::{
    client::next_page,
    content::{INDEX, note},
    registry::Registry,
    repository::Repository,
};

fn tagged(tags: &[&str]) -> Repository {
    let repository = Registry::shared().repository();
    for tag in tags {
        repository.push_manifest(tag, INDEX, note("tagged"));
    }
    repository
}

#[track_caller]
fn listed(repository: &Repository, query: &str) -> Vec<String> {
    let list = repository.get(&format!("tags/list{query}")).expect(200).json();
    assert_eq!(list["name"], repository.name);
    list["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

#[test]
fn tags_come_in_byte_order() {
    let repository = tagged(&["b", "a", "_x", "Z", "10", "9", "a.b", "a-b", "a_b", "A"]);
    let answer = repository.get("tags/list").expect(200).without("Link");
    let expected = ["10", "9", "A", "Z", "_x", "a", "a-b", "a.b", "a_b", "b"];
    assert_eq!(answer.json(), json!({ "name": repository.name, "tags": expected }));
}

#[test]
fn a_head_of_the_list_has_its_length() {
    let repository = tagged(&["one"]);
    let length = repository.get("tags/list").body.len().to_string();
    repository.head("tags/list").expect(200).with("Content-Length", length).with("Content-Type", "application/json");
}

#[test]
fn twenty_five_tags_are_walked_in_pages() {
    let tags: Vec<_> = (0..25).map(|n| format!("v1.{n:02}-rc_{n}")).collect();
    let repository = tagged(&tags.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut walked, mut pages) = (Vec::new(), Vec::new());
    let mut next = Some(repository.path("tags/list?n=10"));
    while let Some(page) = next {
        assert!(page.starts_with(&repository.path("tags/list?")), "{page}");
        let answer = repository.registry.get(&page).expect(200);
        next = next_page(&answer);
        let found = answer.json()["tags"].as_array().unwrap().clone();
        pages.push(found.len());
        walked.extend(found.into_iter().map(|tag| tag.as_str().unwrap().to_owned()));
    }
    assert_eq!(pages, [10, 10, 5]);
    assert_eq!(walked, tags);
}

#[test]
fn a_page_that_ends_with_the_list_has_no_link() {
    let repository = tagged(&["a", "b", "c", "d"]);
    let answer = repository.get("tags/list?n=2").expect(200);
    assert_eq!(next_page(&answer), Some(repository.path("tags/list?last=b&n=2")));
    repository.get("tags/list?n=2&last=b").expect(200).without("Link");
    for n in [4, 5, 1000, u64::MAX] {
        assert_eq!(
            repository.get(&format!("tags/list?n={n}")).expect(200).without("Link").json()["tags"],
            json!(["a", "b", "c", "d"])
        );
    }
}

#[test]
fn last_works_alone_and_need_not_exist() {
    let repository = tagged(&["a", "c", "e"]);
    assert_eq!(listed(&repository, "?last=a"), ["c", "e"]);
    assert_eq!(listed(&repository, "?last=b"), ["c", "e"]);
    assert_eq!(listed(&repository, "?last=e"), [""; 0]);
    assert_eq!(listed(&repository, "?last="), ["a", "c", "e"]);
    assert_eq!(listed(&repository, "?last=%00%FF%27"), ["a", "c", "e"]);
}

#[test]
fn a_page_of_none_is_empty_and_the_last() {
    let repository = tagged(&["a"]);
    let answer = repository.get("tags/list?n=0").expect(200).without("Link");
    assert_eq!(answer.json(), json!({ "name": repository.name, "tags": [] }));
}

#[test]
fn a_page_size_that_is_no_number_is_refused() {
    let repository = tagged(&["a"]);
    for n in ["abc", "-1", "1.5", "+1", "0x10", "%31%20"] {
        repository.get(&format!("tags/list?n={n}")).refused(400, "PAGINATION_NUMBER_INVALID");
    }
}

#[test]
fn an_empty_page_size_is_none_and_a_huge_one_is_all() {
    let repository = tagged(&["a", "b"]);
    assert_eq!(listed(&repository, "?n=&last="), ["a", "b"]);
    assert_eq!(listed(&repository, "?n=99999999999999999999999"), ["a", "b"]);
}

#[test]
fn a_repository_without_tags_has_an_empty_list() {
    let repository = Registry::shared().repository();
    let manifest = note("untagged");
    repository.put(&crate::content::digest(&manifest), INDEX, &manifest).send().expect(201);
    assert_eq!(repository.get("tags/list").expect(200).json(), json!({ "name": repository.name, "tags": [] }));
}

#[test]
fn a_repository_is_there_once_it_has_a_manifest() {
    let repository = Registry::shared().repository();
    repository.get("tags/list").refused(404, "NAME_UNKNOWN");
    repository.push_blob("only a blob");
    repository.get("tags/list").refused(404, "NAME_UNKNOWN");
    repository.push_manifest("now", INDEX, note("now"));
    assert_eq!(listed(&repository, ""), ["now"]);
}

#[test]
fn a_tag_is_listed_once_however_often_it_moves() {
    let repository = tagged(&["latest", "latest"]);
    repository.push_manifest("latest", INDEX, note("moved"));
    assert_eq!(listed(&repository, ""), ["latest"]);
}

#[test]
fn more_tags_than_one_look_at_the_database_brings_are_all_listed() {
    let registry = Registry::start();
    let repository = registry.repository();
    let tags: Vec<_> = (0..2050).map(|n| format!("t{n:04}")).collect();
    let mut wire = registry.connect();
    let manifest = note("many");
    let length = manifest.len().to_string();
    for tag in &tags {
        wire.begin(
            "PUT",
            &repository.path(&format!("manifests/{tag}")),
            &[("Content-Type", INDEX), ("Content-Length", &length)],
        );
        wire.send(&manifest);
        wire.answer().expect(201);
    }
    assert_eq!(listed(&repository, ""), tags);
    assert_eq!(listed(&repository, "?n=1500&last=t0099"), tags[100..1600]);
    assert_eq!(listed(&repository, "?n=1000"), tags[..1000]);
    repository
        .get("tags/list?n=1000")
        .with("Link", format!("<{}?last=t0999&n=1000>; rel=\"next\"", repository.path("tags/list")));
    repository.get("tags/list?n=2050").without("Link");
}
