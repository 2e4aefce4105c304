//! The referrers of a subject, all of them and those of one artifact type.

use std::collections::BTreeSet;

use serde_json::Value;
use ureq::http::Method;

use super::super::attempt::{Attempt, Trouble};
use super::super::client::Request;
use super::super::content::{Content, IMAGE_INDEX, Referrer};
use super::super::expectation::Expectation;
use super::super::outcome::Outcome;
use super::super::run::Run;

/// What a list of referrers says.
#[derive(Debug)]
pub(crate) struct Listed {
    descriptors: Vec<Value>,
    /// Whether the registry says that it has looked at the artifact type.
    filtered: bool,
}

/// One test for all subjects of a data set; none if it has no subject.
pub(super) fn expect(run: &mut Run<'_>, content: &Content) {
    if content.referrers.is_empty() {
        return;
    }
    if !run.setting.rules.referrers() {
        return run.record("referrers", Outcome::Disabled, "");
    }
    let _ = run.test("referrers", |attempt| {
        let subjects: BTreeSet<&str> = content.referrers.iter().map(|referrer| referrer.subject.as_str()).collect();
        subjects.into_iter().try_for_each(|subject| {
            let expected: Vec<&Referrer> =
                content.referrers.iter().filter(|referrer| referrer.subject == subject).collect();
            of_subject(attempt, subject, &expected)
        })
    });
}

/// Lists the referrers of a subject, which never is an error.
pub(crate) fn list(attempt: &mut Attempt<'_>, subject: &str, artifact_type: Option<&str>) -> Result<Listed, Trouble> {
    let mut target = attempt.target(&attempt.setting.repository, &format!("referrers/{subject}"));
    if let Some(artifact_type) = artifact_type {
        target = target.with("artifactType", artifact_type);
    }
    let expectations = [Expectation::Status(&[200]), Expectation::Header("Content-Type", IMAGE_INDEX.to_owned())];
    let answer = attempt.send(&Request::new(Method::GET, target), &expectations)?;
    let filtered = answer.header_items("OCI-Filters-Applied").any(|filter| filter == "artifactType");
    let descriptors =
        parse(&answer.body).map_err(|what| Trouble::wrong(format!("expected an OCI index, received {what}")))?;
    Ok(Listed { descriptors, filtered })
}

fn of_subject(attempt: &mut Attempt<'_>, subject: &str, expected: &[&Referrer]) -> Result<(), Trouble> {
    let mut wrong = missing(expected, &list(attempt, subject, None)?.descriptors);
    let types: BTreeSet<&str> = expected.iter().filter_map(|referrer| referrer.artifact_type.as_deref()).collect();
    let mut unfiltered = false;
    for artifact_type in types {
        let listed = list(attempt, subject, Some(artifact_type))?;
        let of_type =
            |referrer: &&&Referrer| !listed.filtered || referrer.artifact_type.as_deref() == Some(artifact_type);
        let expected: Vec<&Referrer> = expected.iter().filter(of_type).copied().collect();
        wrong.extend(missing(&expected, &listed.descriptors));
        unfiltered |= !listed.filtered;
        if listed.filtered {
            wrong.extend(others(artifact_type, &listed.descriptors));
        }
    }
    if !wrong.is_empty() {
        return Err(Trouble::Wrong(wrong));
    }
    if unfiltered {
        return Err(Trouble::Unsupported("OCI-Filters-Applied does not name artifactType".to_owned()));
    }
    Ok(())
}

fn parse(body: &[u8]) -> Result<Vec<Value>, String> {
    let mut index: Value = serde_json::from_slice(body).map_err(|error| format!("what is no JSON: {error}"))?;
    if index["mediaType"] != IMAGE_INDEX || index["schemaVersion"] != 2 {
        return Err(format!("mediaType {} and schemaVersion {}", index["mediaType"], index["schemaVersion"]));
    }
    match index["manifests"].take() {
        Value::Array(descriptors) => Ok(descriptors),
        Value::Null => Ok(Vec::new()),
        other => Err(format!("the manifests {other}")),
    }
}

/// Every expected referrer that no descriptor describes.
fn missing(expected: &[&Referrer], listed: &[Value]) -> Vec<String> {
    expected
        .iter()
        .filter(|referrer| !listed.iter().any(|descriptor| describes(descriptor, &referrer.descriptor)))
        .map(|referrer| {
            let listed: Vec<String> = listed.iter().map(Value::to_string).collect();
            format!("expected the referrer {}, received [{}]", referrer.descriptor, listed.join(", "))
        })
        .collect()
}

/// Every descriptor that a filter should have kept out.
fn others(artifact_type: &str, listed: &[Value]) -> Vec<String> {
    listed
        .iter()
        .filter(|descriptor| descriptor["artifactType"] != artifact_type)
        .map(|descriptor| format!("expected only referrers of the type {artifact_type}, received {descriptor}"))
        .collect()
}

/// Equal in what is compared; the registry may add annotations.
fn describes(descriptor: &Value, expected: &Value) -> bool {
    ["digest", "mediaType", "size", "artifactType"].iter().all(|field| descriptor[field] == expected[field])
        && expected["annotations"].as_object().is_none_or(|annotations| {
            annotations.iter().all(|(name, value)| descriptor["annotations"].get(name) == Some(value))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{describes, missing, others, parse};
    use crate::conformance::content::Referrer;

    fn descriptor() -> Value {
        json!({ "digest": "sha256:1", "mediaType": "m", "size": 3, "artifactType": "t", "annotations": { "a": "1" } })
    }

    #[test]
    fn a_descriptor_may_have_more_annotations_and_nothing_else() {
        let mut listed = descriptor();
        assert!(describes(&listed, &descriptor()));
        listed["annotations"]["b"] = "2".into();
        assert!(describes(&listed, &descriptor()));
        for (field, value) in [("size", json!(4)), ("artifactType", Value::Null), ("annotations", json!({ "a": "2" }))]
        {
            let mut other = descriptor();
            other[field] = value;
            assert!(!describes(&other, &descriptor()), "{field}");
        }
    }

    #[test]
    fn what_is_missing_and_what_a_filter_let_through_is_told() {
        let referrer =
            Referrer { subject: "s".to_owned(), artifact_type: Some("t".to_owned()), descriptor: descriptor() };
        assert!(missing(&[&referrer], &[descriptor()]).is_empty());
        assert_eq!(missing(&[&referrer], &[]).len(), 1);
        assert!(others("t", &[descriptor()]).is_empty());
        assert_eq!(others("u", &[descriptor()]).len(), 1);
    }

    #[test]
    fn a_list_of_referrers_is_an_index_that_says_so() {
        let index = |media_type: &str| {
            parse(json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": [] }).to_string().as_bytes())
        };
        assert!(index(super::IMAGE_INDEX).is_ok());
        assert!(index("application/json").is_err());
        assert!(parse(b"404 page not found").is_err());
    }
}
