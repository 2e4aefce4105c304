//! `_oci/ext/discover`: what the registry has beyond the specification.

use crate::{
    client::Response,
    content::{INDEX, note},
    registry::Registry,
};

fn extensions(answer: &Response) -> Vec<String> {
    let extensions = answer.json()["extensions"].as_array().unwrap().clone();
    for extension in &extensions {
        assert!(extension["url"].as_str().is_some_and(|url| url.starts_with("https://")), "{extension}");
        assert!(extension["endpoints"].as_array().is_some_and(|endpoints| !endpoints.is_empty()), "{extension}");
    }
    extensions.iter().map(|extension| extension["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_registry_says_which_extensions_it_has_and_each_endpoint_is_there() {
    let registry = Registry::shared();
    let answer = registry.get("/v2/_oci/ext/discover").expect(200).with("Content-Type", "application/json");
    assert_eq!(extensions(&answer), ["_oci", "_catalog"]);
    for extension in answer.json()["extensions"].as_array().unwrap() {
        for endpoint in extension["endpoints"].as_array().unwrap() {
            registry.get(&format!("/v2/{}", endpoint.as_str().unwrap())).expect(200);
        }
    }
}

#[test]
fn a_repository_says_which_of_them_it_has() {
    let repository = Registry::shared().repository();
    repository.get("_oci/ext/discover").refused(404, "NAME_UNKNOWN");
    repository.push_manifest("v1", INDEX, note("something"));
    let answer = repository.get("_oci/ext/discover").expect(200);
    assert_eq!(extensions(&answer), ["_oci"]);
    for extension in answer.json()["extensions"].as_array().unwrap() {
        for endpoint in extension["endpoints"].as_array().unwrap() {
            repository.get(endpoint.as_str().unwrap()).expect(200);
        }
    }
}

#[test]
fn an_extension_that_is_not_there_is_not_found() {
    let registry = Registry::shared();
    registry.get("/v2/_foo/ext/discover").expect(404);
    registry.request("POST", "/v2/_oci/ext/discover").send().with("Allow", "GET, HEAD").refused(405, "UNSUPPORTED");
}
