//! What can happen in a sequence. A step means the same wherever it stands: a session goes by a number that the sequence gave
//! it, and whether such a session is there is for the model to know. So steps can be left out of a failing sequence.

use rustix::process::Signal;

use crate::{
    client::{Payload, Request},
    pool::Pool,
    ranges::Asked,
};

/// The number of a session, given by the step that would begin it.
pub(crate) type Session = usize;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Restart(Signal),
    Post {
        repository: &'static str,
        session: Session,
        query: PostQuery,
        body: Body,
    },
    Patch {
        repository: &'static str,
        session: Session,
        range: Option<String>,
        body: Body,
    },
    Put {
        repository: &'static str,
        session: Session,
        digest: Option<String>,
        range: Option<String>,
        body: Body,
    },
    Status {
        repository: &'static str,
        session: Session,
        head: bool,
    },
    Cancel {
        repository: &'static str,
        session: Session,
    },
    Blob {
        repository: &'static str,
        digest: String,
        head: bool,
        unless: Option<String>,
        range: Option<Asked>,
    },
    DeleteBlob {
        repository: &'static str,
        digest: String,
    },
    PutManifest {
        repository: &'static str,
        reference: String,
        tags: Vec<String>,
        kind: Option<String>,
        manifest: usize,
        chunked: bool,
    },
    Manifest {
        repository: &'static str,
        reference: String,
        head: bool,
        unless: Option<String>,
    },
    DeleteManifest {
        repository: &'static str,
        reference: String,
    },
    Tags {
        repository: &'static str,
        page: Page,
        head: bool,
    },
    Catalog {
        page: Page,
    },
    Referrers {
        repository: &'static str,
        digest: String,
        kind: Option<String>,
    },
    Discover {
        repository: Option<&'static str>,
    },
    /// An address or a method that means nothing, whatever was done before.
    Amiss(Amiss),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct PostQuery {
    pub(crate) mount: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) digest: Option<String>,
    pub(crate) algorithm: Option<&'static str>,
}

/// A part of one of the pool's contents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    pub(crate) content: usize,
    pub(crate) first: usize,
    pub(crate) end: usize,
    pub(crate) chunked: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) n: Option<&'static str>,
    pub(crate) last: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Amiss {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    /// The methods that the path has, if that is what is wrong.
    pub(crate) allow: Option<&'static str>,
}

impl Body {
    pub(crate) const NONE: Self = Self { content: 0, first: 0, end: 0, chunked: false };

    pub(crate) fn bytes(self, pool: &Pool) -> &[u8] {
        &pool.contents[self.content][self.first..self.end]
    }

    fn payload(self, pool: &Pool) -> Payload {
        let bytes = self.bytes(pool).to_vec();
        if self.chunked { Payload::Chunked(bytes) } else { Payload::Sized(bytes) }
    }
}

impl Step {
    /// What kind of step it is.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Restart(_) => "restart",
            Self::Post { .. } => "post",
            Self::Patch { .. } => "patch",
            Self::Put { .. } => "put",
            Self::Status { .. } => "status",
            Self::Cancel { .. } => "cancel",
            Self::Blob { .. } => "blob",
            Self::DeleteBlob { .. } => "delete blob",
            Self::PutManifest { .. } => "put manifest",
            Self::Manifest { .. } => "manifest",
            Self::DeleteManifest { .. } => "delete manifest",
            Self::Tags { .. } => "tags",
            Self::Catalog { .. } => "catalog",
            Self::Referrers { .. } => "referrers",
            Self::Discover { .. } => "discover",
            Self::Amiss(_) => "amiss",
        }
    }

    /// The repository that it speaks of.
    pub(crate) fn repository(&self) -> Option<&'static str> {
        match self {
            Self::Post { repository, .. }
            | Self::Patch { repository, .. }
            | Self::Put { repository, .. }
            | Self::Status { repository, .. }
            | Self::Cancel { repository, .. }
            | Self::Blob { repository, .. }
            | Self::DeleteBlob { repository, .. }
            | Self::PutManifest { repository, .. }
            | Self::Manifest { repository, .. }
            | Self::DeleteManifest { repository, .. }
            | Self::Tags { repository, .. }
            | Self::Referrers { repository, .. } => Some(repository),
            Self::Discover { repository } => *repository,
            Self::Restart(_) | Self::Catalog { .. } | Self::Amiss(_) => None,
        }
    }

    /// What a client sends; nothing for what happens to the server. `location` tells where a session is.
    pub(crate) fn request(&self, pool: &Pool, location: impl Fn(&str, Session) -> String) -> Option<Request> {
        Some(match self {
            Self::Restart(_) => return None,
            Self::Post { repository, query, body, .. } => with(
                Request::new("POST", format!("/v2/{repository}/blobs/uploads/{}", query.text())),
                body.payload(pool),
            ),
            Self::Patch { repository, session, range, body } => {
                let request = Request::new("PATCH", location(repository, *session));
                with(header(request, "Content-Range", range.as_deref()), body.payload(pool))
            }
            Self::Put { repository, session, digest, range, body } => {
                let location = location(repository, *session);
                let begin = if location.contains('?') { '&' } else { '?' };
                let query = digest.as_ref().map(|digest| format!("{begin}digest={}", encode(digest)));
                let request = Request::new("PUT", location + &query.unwrap_or_default());
                with(header(request, "Content-Range", range.as_deref()), body.payload(pool))
            }
            Self::Status { repository, session, head } => {
                Request::new(get_or_head(*head), location(repository, *session))
            }
            Self::Cancel { repository, session } => Request::new("DELETE", location(repository, *session)),
            Self::Amiss(amiss) => Request::new(amiss.method, amiss.target.clone()),
            other => other.read_or_manifest(pool),
        })
    }

    /// The requests that need no session.
    fn read_or_manifest(&self, pool: &Pool) -> Request {
        let of = |method, repository: &str, path: String| Request::new(method, format!("/v2/{repository}/{path}"));
        match self {
            Self::Blob { repository, digest, head, unless, range } => {
                let request = of(get_or_head(*head), repository, format!("blobs/{digest}"));
                let request = header(request, "Range", range.as_ref().map(Asked::text).as_deref());
                header(request, "If-None-Match", unless.as_deref())
            }
            Self::DeleteBlob { repository, digest } => of("DELETE", repository, format!("blobs/{digest}")),
            Self::PutManifest { repository, reference, tags, kind, manifest, chunked } => {
                let query: Vec<_> = tags.iter().map(|tag| format!("tag={}", encode(tag))).collect();
                let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
                let bytes = pool.manifests[*manifest].bytes.clone();
                let body = if *chunked { Payload::Chunked(bytes) } else { Payload::Sized(bytes) };
                let request = of("PUT", repository, format!("manifests/{reference}{query}"));
                with(header(request, "Content-Type", kind.as_deref()), body)
            }
            Self::Manifest { repository, reference, head, unless } => {
                let request = of(get_or_head(*head), repository, format!("manifests/{reference}"));
                header(request, "If-None-Match", unless.as_deref())
            }
            Self::DeleteManifest { repository, reference } => {
                of("DELETE", repository, format!("manifests/{reference}"))
            }
            Self::Tags { repository, page, head } => {
                of(get_or_head(*head), repository, format!("tags/list{}", page.text()))
            }
            Self::Catalog { page } => Request::new("GET", format!("/v2/_catalog{}", page.text())),
            Self::Referrers { repository, digest, kind } => {
                let query = kind.as_ref().map(|kind| format!("?artifactType={}", encode(kind)));
                of("GET", repository, format!("referrers/{digest}{}", query.unwrap_or_default()))
            }
            Self::Discover { repository: Some(repository) } => of("GET", repository, "_oci/ext/discover".to_owned()),
            Self::Discover { repository: None } => Request::new("GET", "/v2/_oci/ext/discover".to_owned()),
            other => unreachable!("{other:?} is written elsewhere"),
        }
    }
}

impl PostQuery {
    fn text(&self) -> String {
        let parameters = [
            ("mount", self.mount.as_deref()),
            ("from", self.from.as_deref()),
            ("digest", self.digest.as_deref()),
            ("digest-algorithm", self.algorithm),
        ];
        query(&parameters)
    }
}

impl Page {
    fn text(&self) -> String {
        query(&[("n", self.n), ("last", self.last.as_deref())])
    }
}

fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let said = parameters.iter().filter_map(|(name, value)| value.map(|value| format!("{name}={}", encode(value))));
    let said = said.collect::<Vec<_>>().join("&");
    if said.is_empty() { said } else { format!("?{said}") }
}

fn get_or_head(head: bool) -> &'static str {
    if head { "HEAD" } else { "GET" }
}

fn header(mut request: Request, name: &'static str, value: Option<&str>) -> Request {
    request.headers.extend(value.map(|value| (name, value.to_owned())));
    request
}

fn with(request: Request, body: Payload) -> Request {
    Request { body, ..request }
}

/// A value as a query carries it.
fn encode(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(byte).collect()
}

/// What such a value means.
pub(crate) fn decode(value: &str) -> String {
    let mut pieces = value.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at(piece.len().min(2));
        bytes.extend(u8::from_str_radix(digits, 16));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
