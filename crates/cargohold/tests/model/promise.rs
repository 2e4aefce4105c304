//! What an answer must be: status, headers and body, as far as the protocol promises them.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};

use crate::{
    client::{Answer, excerpt},
    ranges::{self, Part},
    step::{Session, decode},
};

/// Any one of these is right. There are several if a request breaks several rules: the protocol does not say which is told.
#[derive(Clone, Debug)]
pub(crate) struct Expected(pub(crate) Vec<Promise>);

#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) status: u16,
    headers: Vec<(&'static str, Rule)>,
    body: Body,
    /// The answer tells where this session is.
    pub(crate) session: Option<Session>,
}

#[derive(Clone, Debug)]
enum Rule {
    Is(String),
    Absent,
    /// A list, in one header or several, in any order.
    Lists(BTreeSet<String>),
    /// A link to the next page of that path.
    Next {
        path: String,
        n: String,
        last: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Bytes(Vec<u8>),
    Json(Value),
    /// Referrers in any order.
    Referrers(Vec<Value>),
    /// Several parts of a content, in one piece or several.
    Parts(Vec<Part>, Vec<u8>),
    /// Extensions, by their names.
    Extensions(Vec<&'static str>),
    Refusal {
        code: &'static str,
        detail: Detail,
    },
}

/// What a refusal tells programs.
#[derive(Clone, Debug)]
pub(crate) enum Detail {
    Any,
    /// The digests that are missing, one error each.
    Missing(Vec<String>),
    /// One of the manifests that need the blob.
    NeededBy(Vec<String>),
}

impl Promise {
    pub(crate) fn new(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body, session: None }
    }

    /// Success that has nothing to say.
    pub(crate) fn empty(status: u16) -> Self {
        Self::new(status, Body::Bytes(Vec::new()))
    }

    pub(crate) fn json(body: Value) -> Self {
        Self::new(200, Body::Json(body)).is("Content-Type", "application/json")
    }

    pub(crate) fn refusal(status: u16, code: &'static str) -> Self {
        Self::refusal_with(status, code, Detail::Any)
    }

    pub(crate) fn refusal_with(status: u16, code: &'static str, detail: Detail) -> Self {
        Self::new(status, Body::Refusal { code, detail }).is("Content-Type", "application/json")
    }

    pub(crate) fn is(self, name: &'static str, value: impl Into<String>) -> Self {
        self.with(name, Rule::Is(value.into()))
    }

    pub(crate) fn absent(self, name: &'static str) -> Self {
        self.with(name, Rule::Absent)
    }

    /// A list, or nothing at all if it is empty.
    pub(crate) fn lists<S: Into<String>>(self, name: &'static str, values: impl IntoIterator<Item = S>) -> Self {
        let values: BTreeSet<_> = values.into_iter().map(Into::into).collect();
        self.with(name, if values.is_empty() { Rule::Absent } else { Rule::Lists(values) })
    }

    pub(crate) fn next(self, path: String, n: &str, last: &str) -> Self {
        self.with("Link", Rule::Next { path, n: n.to_owned(), last: last.to_owned() })
    }

    /// Tells where a session is, and how much of it was received.
    pub(crate) fn session(mut self, session: Session, received: usize) -> Self {
        self.session = Some(session);
        self.is("Range", format!("0-{}", received.saturating_sub(1)))
    }

    /// The answer to HEAD: the same without the body.
    pub(crate) fn without_body(self) -> Self {
        Self { body: Body::Bytes(Vec::new()), ..self }
    }

    /// The status, and the code of a refusal.
    pub(crate) fn outcome(&self) -> String {
        match &self.body {
            Body::Refusal { code, .. } => format!("{} {code}", self.status),
            _ => self.status.to_string(),
        }
    }

    fn with(mut self, name: &'static str, rule: Rule) -> Self {
        self.headers.push((name, rule));
        self
    }

    /// Whether the answer keeps the promise, and if not, where it does not.
    fn check(&self, answer: &Answer) -> Result<(), String> {
        if answer.status != self.status {
            return Err(format!("the status is {} instead of {}", answer.status, self.status));
        }
        for (name, rule) in &self.headers {
            rule.check(&name.to_ascii_lowercase(), answer).map_err(|wrong| format!("{name}: {wrong}"))?;
        }
        self.body.check(answer).map_err(|wrong| format!("the body: {wrong}"))
    }
}

impl Expected {
    pub(crate) fn one(promise: Promise) -> Self {
        Self(vec![promise])
    }

    /// The promise that the answer keeps.
    pub(crate) fn check(&self, answer: &Answer) -> Result<&Promise, String> {
        every_answer(answer)?;
        let mut wrong = Vec::new();
        for promise in &self.0 {
            match promise.check(answer) {
                Ok(()) => return Ok(promise),
                Err(one) => wrong.push(one),
            }
        }
        Err(wrong.join("; or "))
    }
}

/// What every answer has, whatever it says.
fn every_answer(answer: &Answer) -> Result<(), String> {
    if answer.header("docker-distribution-api-version") != Some("registry/2.0") {
        return Err("the answer does not name the API's version".to_owned());
    }
    let id = answer.header("x-request-id").is_some_and(|id| !id.is_empty());
    id.then_some(()).ok_or_else(|| "the answer has no id".to_owned())
}

impl Rule {
    fn check(&self, name: &str, answer: &Answer) -> Result<(), String> {
        let values: Vec<_> = answer.values(name).collect();
        let kept = match self {
            Self::Is(value) => values == [value],
            Self::Absent => values.is_empty(),
            Self::Lists(expected) => {
                let listed: Vec<_> = values.iter().flat_map(|value| value.split(", ")).map(str::to_owned).collect();
                listed.len() == expected.len() && listed.into_iter().collect::<BTreeSet<_>>() == *expected
            }
            Self::Next { path, n, last } => values.len() == 1 && is_next(values[0], path, n, last),
        };
        kept.then_some(()).ok_or_else(|| format!("{values:?} instead of {self:?}"))
    }
}

fn is_next(link: &str, path: &str, n: &str, last: &str) -> bool {
    let address = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    let Some((before, query)) = address.and_then(|address| address.split_once('?')) else { return false };
    let parameters: BTreeSet<_> =
        query.split('&').filter_map(|one| one.split_once('=')).map(|(key, value)| (key, decode(value))).collect();
    before == path && parameters == BTreeSet::from([("n", n.to_owned()), ("last", last.to_owned())])
}

impl Body {
    fn check(&self, answer: &Answer) -> Result<(), String> {
        let parsed = || serde_json::from_slice::<Value>(&answer.body).map_err(|error| error.to_string());
        let same = |came: Value, expected: &Value| {
            if came == *expected { Ok(()) } else { Err(format!("{came} instead of {expected}")) }
        };
        match self {
            Self::Bytes(bytes) if *bytes == answer.body => Ok(()),
            Self::Bytes(bytes) => Err(format!("{} instead of {}", excerpt(&answer.body), excerpt(bytes))),
            Self::Json(expected) => same(parsed()?, expected),
            Self::Referrers(expected) => same(sorted(&parsed()?)?, &json!(expected)),
            Self::Parts(expected, content) => {
                let parts = ranges::brought(answer, content)?;
                let bytes = |parts: &[Part]| parts.iter().map(|(first, last)| last + 1 - first).sum::<usize>();
                let covered = ranges::covered(parts.clone());
                let right = covered == *expected && bytes(&parts) == bytes(&covered);
                right.then_some(()).ok_or_else(|| format!("the parts {parts:?} instead of {expected:?}"))
            }
            Self::Extensions(expected) => extensions(&parsed()?, expected),
            Self::Refusal { code, detail } => refusal(&parsed()?, code, detail),
        }
    }
}

/// The descriptors of an index of referrers by their digests; one without annotations says so in either way.
fn sorted(index: &Value) -> Result<Value, String> {
    let (version, kind) = (&index["schemaVersion"], &index["mediaType"]);
    if *version != 2 || *kind != crate::manifest::INDEX {
        return Err(format!("an index of schema {version} and type {kind}"));
    }
    let mut descriptors = index["manifests"].as_array().ok_or("manifests is no list")?.clone();
    for descriptor in &mut descriptors {
        let fields = descriptor.as_object_mut().ok_or("a descriptor is no object")?;
        fields.retain(|key, value| key != "annotations" || *value != json!({}));
    }
    descriptors.sort_by_key(|descriptor| descriptor["digest"].to_string());
    Ok(json!(descriptors))
}

fn extensions(came: &Value, expected: &[&str]) -> Result<(), String> {
    let extensions = came["extensions"].as_array().ok_or("extensions is no list")?;
    let complete = extensions.iter().all(|one| one["url"].is_string() && one["endpoints"].is_array());
    let names: Vec<_> = extensions.iter().map(|one| one["name"].as_str().unwrap_or_default()).collect();
    (complete && names == expected).then_some(()).ok_or_else(|| format!("{came} instead of {expected:?}"))
}

fn refusal(came: &Value, code: &str, detail: &Detail) -> Result<(), String> {
    let errors = came["errors"].as_array().ok_or("errors is no list")?;
    let told = |error: &Value| error["code"] == code && error["message"].as_str().is_some_and(|text| !text.is_empty());
    let details = |key| {
        errors.iter().map(|error| error["detail"][key].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let right = match detail {
        Detail::Any => true,
        Detail::Missing(digests) => details("digest") == *digests,
        Detail::NeededBy(manifests) => manifests.contains(&details("manifest").concat()),
    };
    let right = right && !errors.is_empty() && errors.iter().all(told);
    right.then_some(()).ok_or_else(|| format!("{came} instead of {code} with {detail:?}"))
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, promise) in self.0.iter().enumerate() {
            write!(f, "{}{promise}", if at == 0 { "" } else { "\n    or " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for (name, rule) in &self.headers {
            match rule {
                Rule::Is(value) => write!(f, "\n      {name}: {value}")?,
                rule => write!(f, "\n      {name}: {rule:?}")?,
            }
        }
        match &self.body {
            Body::Bytes(bytes) => write!(f, "\n      {}", excerpt(bytes)),
            Body::Json(body) => write!(f, "\n      {body}"),
            Body::Parts(parts, _) => write!(f, "\n      the parts {parts:?}"),
            body => write!(f, "\n      {body:?}"),
        }
    }
}
