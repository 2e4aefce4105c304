//! Listing tags, whole and from a tag on. The list holds what other data sets have left as well.

use serde_json::Value;
use ureq::http::Method;

use super::super::attempt::{Attempt, Trouble};
use super::super::client::Request;
use super::super::content::Content;
use super::super::expectation::Expectation;
use super::super::run::Run;

pub(super) fn expect(run: &mut Run<'_>, content: &Content) {
    let _ = run.test("tag-list", |attempt| {
        let mut listed = list(attempt, None)?;
        let mut wrong: Vec<String> = content
            .tags
            .iter()
            .filter(|(tag, _)| !listed.contains(tag))
            .map(|(tag, _)| format!("expected the tag {tag} in the list, received {listed:?}"))
            .collect();
        listed.sort();
        if listed.len() >= 2 {
            let last = &listed[listed.len() / 2 - 1];
            wrong.extend(wrong_after(last, &listed, &list(attempt, Some(last))?));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Trouble::Wrong(wrong)) }
    });
}

/// The tags of the repository, or those behind `last`; none if the registry does not know the repository.
pub(crate) fn list(attempt: &mut Attempt<'_>, last: Option<&str>) -> Result<Vec<String>, Trouble> {
    let mut target = attempt.target(&attempt.setting.repository, "tags/list");
    if let Some(last) = last {
        target = target.with("last", last);
    }
    let answer = attempt.send(&Request::new(Method::GET, target), &[Expectation::Status(&[200, 404])])?;
    if answer.status() == 404 {
        return Ok(Vec::new());
    }
    parse(&answer.body).map_err(|what| Trouble::wrong(format!("expected a tag list, received {what}")))
}

/// `tags` may be null where there are none.
fn parse(body: &[u8]) -> Result<Vec<String>, String> {
    let list: Value = serde_json::from_slice(body).map_err(|error| format!("what is no JSON: {error}"))?;
    match &list["tags"] {
        Value::Null if list.is_object() => Ok(Vec::new()),
        Value::Array(tags) => {
            tags.iter().map(|tag| tag.as_str().map(str::to_owned).ok_or_else(|| format!("the tag {tag}"))).collect()
        }
        other => Err(format!("the tags {other}")),
    }
}

/// What is wrong with the list behind `last`, where `all` is sorted by bytes and has `last` in it.
fn wrong_after(last: &str, all: &[String], after: &[String]) -> Vec<String> {
    all.iter()
        .filter_map(|tag| match (tag.as_str() > last, after.contains(tag)) {
            (true, false) => Some(format!("expected the tag {tag} behind last={last}, received {after:?}")),
            (false, true) => Some(format!("expected no tag {tag} behind last={last}, received {after:?}")),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{parse, wrong_after};

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_tag_list_may_say_null_for_none() {
        assert_eq!(parse(br#"{"name":"a","tags":["x","y"]}"#), Ok(words(&["x", "y"])));
        assert_eq!(parse(br#"{"name":"a","tags":null}"#), Ok(words(&[])));
        assert!(parse(b"[]").is_err());
        assert!(parse(br#"{"tags":[1]}"#).is_err());
        assert!(parse(b"<html>").is_err());
    }

    #[test]
    fn behind_a_tag_come_all_later_ones_and_not_itself() {
        let all = words(&["B", "a", "c"]);
        assert!(wrong_after("B", &all, &words(&["a", "c"])).is_empty());
        assert_eq!(wrong_after("B", &all, &words(&["B", "a", "c"])).len(), 1);
        assert_eq!(wrong_after("B", &all, &words(&["c"])).len(), 1);
        assert_eq!(wrong_after("a", &all, &words(&["B", "a"])).len(), 3);
    }
}
