//! `/v2/_catalog`: which repositories there are.

use serde_json::json;

use crate::{
    client::next_page,
    content::{INDEX, note},
    registry::Registry,
};

#[test]
fn repositories_come_in_byte_order_by_pages() {
    let registry = Registry::start();
    let mut names = vec!["a", "a-b", "a/b", "a.b", "b/c", "a_b"];
    for name in &names {
        registry.named(name).push_manifest("v1", INDEX, note(name));
    }
    names.sort_unstable();
    let whole = registry.get("/v2/_catalog").expect(200).with("Content-Type", "application/json").without("Link");
    assert_eq!(whole.json(), json!({ "repositories": names }));
    let mut listed = Vec::new();
    let mut page = Some("/v2/_catalog?n=2".to_owned());
    while let Some(path) = page {
        let answer = registry.get(&path).expect(200);
        listed.extend(answer.json()["repositories"].as_array().unwrap().clone());
        page = next_page(&answer);
    }
    assert_eq!(json!(listed), json!(names));
    let rest = registry.get("/v2/_catalog?last=a/").expect(200);
    assert_eq!(rest.json()["repositories"], json!(["a/b", "a_b", "b/c"]));
}

#[test]
fn a_repository_that_nothing_was_put_into_is_not_listed() {
    let registry = Registry::start();
    registry.named("only/blobs").push_blob("a blob");
    assert_eq!(registry.get("/v2/_catalog").expect(200).json(), json!({ "repositories": [] }));
}

#[test]
fn a_page_of_none_is_empty_and_one_of_no_number_is_refused() {
    let registry = Registry::shared();
    registry.repository().push_manifest("v1", INDEX, note("listed"));
    let none = registry.get("/v2/_catalog?n=0").expect(200).without("Link");
    assert_eq!(none.json()["repositories"], json!([]));
    for page in ["-1", "abc", "1.5"] {
        registry.get(&format!("/v2/_catalog?n={page}")).refused(400, "PAGINATION_NUMBER_INVALID");
    }
    registry.get("/v2/_catalog?n=99999999999999999999").expect(200);
}
