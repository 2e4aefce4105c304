//! Section 5: lists of tags and of repositories.

use serde_json::json;

use super::clients::{Client, Content};
use crate::{
    content::{INDEX, note},
    registry::Registry,
};

/// 5.1, 5.4: with a size, without one, with the type that it wants: one page without a `Link`, and never `null`.
#[test]
fn every_client_lists_tags_in_its_own_way() {
    let repository = Registry::shared().repository();
    for tag in ["v1", "v2", "latest"] {
        repository.push_manifest(tag, INDEX, note(tag));
    }
    let (registry, json) = (&repository.registry, ("Accept", "application/json"));
    let expected = json!({ "name": repository.name, "tags": ["latest", "v1", "v2"] });
    for (mut client, query) in [
        (Client::crane(registry), "?n=1000"),
        (Client::skopeo(registry), ""),
        (Client::docker(registry), ""),
        (Client::regclient(registry), ""),
        (Client::oras(registry), "?n=100&last="),
    ] {
        let list =
            client.ask("GET", &repository.path(&format!("tags/list{query}")), &[json], Content::None).expect(200);
        assert_eq!(list.without("Link").json(), expected);
    }
}

/// 5.5: what a poller remembers is not what it thinks any more.
#[test]
fn a_poller_that_names_an_old_list_gets_the_new_one() {
    let repository = Registry::shared().repository();
    repository.push_manifest("v1", INDEX, note("old"));
    let etag = repository.get("tags/list").expect(200).header("ETag").unwrap_or("\"none\"").to_owned();
    repository.push_manifest("v2", INDEX, note("new"));
    let list = repository.request("GET", "tags/list").header("If-None-Match", etag).send().expect(200);
    assert_eq!(list.json()["tags"], json!(["v1", "v2"]));
}

/// 5.6: portainer, reg, crane and skopeo sync ask with sizes of their own and go where the `Link` shows.
#[test]
fn the_catalog_is_read_with_any_size() {
    let registry = Registry::start();
    for name in ["a", "b/c", "d"] {
        registry.named(name).push_manifest("v1", INDEX, note(name));
    }
    let mut crane = Client::crane(&registry);
    for query in ["", "?n=1000", "?n=100000", "?n=100&last=", "?n=3"] {
        let list = crane.get(&format!("/v2/_catalog{query}")).expect(200).without("Link");
        assert_eq!(list.json(), json!({ "repositories": ["a", "b/c", "d"] }), "{query}");
    }
    crane.get("/v2/_catalog?n=2").expect(200).with("Link", "</v2/_catalog?last=b%2Fc&n=2>; rel=\"next\"");
}

/// 5.6: a page such as Joxit's asks the browser, which asks us: nobody has let it in, and that is said without breaking anything.
#[test]
fn a_page_of_another_site_is_let_in_by_no_answer() {
    let repository = Registry::shared().repository();
    repository.push_manifest("v1", INDEX, note("seen"));
    let origin = ("Origin", "https://registry-ui.example.com");
    let wants =
        [origin, ("Access-Control-Request-Method", "DELETE"), ("Access-Control-Request-Headers", "authorization")];
    let mut browser = Client::curl(&repository.registry);
    for path in ["/v2/_catalog".to_owned(), repository.path("tags/list"), repository.path("manifests/v1")] {
        let preflight = browser.ask("OPTIONS", &path, &wants, Content::None);
        assert!(preflight.status < 500, "{preflight}");
        preflight.without("Access-Control-Allow-Origin").without("Access-Control-Allow-Methods");
        browser.ask("GET", &path, &[origin], Content::None).expect(200).without("Access-Control-Allow-Origin");
    }
    browser.ask("DELETE", &repository.path("manifests/v1"), &[origin], Content::None).refused(403, "DENIED");
    browser.get(&repository.path("manifests/v1")).expect(200);
}
