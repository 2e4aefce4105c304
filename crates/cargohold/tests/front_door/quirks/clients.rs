//! The clients, as they show themselves on the wire: what each sends with every request and how it keeps connections. What a
//! test asks through one of these arrives byte for byte as that client sends it; no HTTP library adds or smooths anything.

use std::sync::Arc;

use crate::{client::Response, registry::Registry, wire::Wire};

type Header = (&'static str, &'static str);

/// Go asks for it by itself wherever a body may come, and unpacks what is called so.
const GZIP: Header = ("Accept-Encoding", "gzip");
const CLOSE: Header = ("Connection", "close");

/// A client that talks to a registry.
#[derive(Debug)]
pub(super) struct Client {
    registry: Arc<Registry>,
    /// `User-Agent`.
    name: &'static str,
    always: &'static [Header],
    wire: Option<Wire>,
}

/// What a request brings.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'c> {
    /// Nothing, and no header that says so.
    None,
    Sized(&'c [u8]),
    Chunked(&'c [u8]),
}

/// The types of manifests that a client accepts, one value a header.
pub(super) const ACCEPTED: [(&str, &[&str]); 7] = [
    (
        "docker",
        &[
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "application/json",
            "application/vnd.oci.image.manifest.v1+json",
        ],
    ),
    (
        "containerd",
        &["application/vnd.docker.distribution.manifest.v2+json, \
           application/vnd.docker.distribution.manifest.list.v2+json, \
           application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*"],
    ),
    (
        "containers/image",
        &[
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "application/vnd.docker.distribution.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.oci.image.index.v1+json",
        ],
    ),
    (
        "crane",
        &["application/vnd.docker.distribution.manifest.v1+json,\
           application/vnd.docker.distribution.manifest.v1+prettyjws,\
           application/vnd.docker.distribution.manifest.v2+json,application/vnd.oci.image.manifest.v1+json,\
           application/vnd.docker.distribution.manifest.list.v2+json,application/vnd.oci.image.index.v1+json"],
    ),
    ("watchtower", &["application/vnd.docker.distribution.manifest.v2+json"]),
    ("curl", &["*/*"]),
    ("a script", &[]),
];

impl Client {
    /// A connection for each request.
    pub(super) fn docker(registry: &Arc<Registry>) -> Self {
        let client = "docker/28.2.2 go/go1.23.9 git-commit/45873be kernel/6.1.0-37-amd64 os/linux arch/amd64 \
                      UpstreamClient(Docker-Client/28.2.2 \\(linux\\))";
        Self::new(registry, client, &[GZIP, CLOSE])
    }

    pub(super) fn containerd(registry: &Arc<Registry>) -> Self {
        Self::new(registry, "containerd/2.1.4", &[GZIP])
    }

    pub(super) fn buildkit(registry: &Arc<Registry>) -> Self {
        Self::new(registry, "buildkit/v0.23.2", &[GZIP])
    }

    /// podman, skopeo, buildah and CRI-O, which tell the server which API it has.
    pub(super) fn skopeo(registry: &Arc<Registry>) -> Self {
        Self::new(registry, "skopeo/1.18.0", &[("Docker-Distribution-Api-Version", "registry/2.0"), GZIP, CLOSE])
    }

    pub(super) fn crane(registry: &Arc<Registry>) -> Self {
        Self::new(registry, "crane/v0.22.1 go-containerregistry/v0.22.1", &[GZIP])
    }

    pub(super) fn kaniko(registry: &Arc<Registry>) -> Self {
        Self::new(registry, "kaniko/v1.23.2 go-containerregistry/v0.19.1", &[GZIP])
    }

    pub(super) fn regclient(registry: &Arc<Registry>) -> Self {
        Self::new(registry, "regclient/regctl (v0.8.3)", &[GZIP])
    }

    pub(super) fn oras(registry: &Arc<Registry>) -> Self {
        Self::new(registry, "oras/1.2.3", &[GZIP])
    }

    pub(super) fn helm(registry: &Arc<Registry>) -> Self {
        Self::new(registry, "Helm/3.18.3", &[GZIP])
    }

    pub(super) fn jib(registry: &Arc<Registry>) -> Self {
        let client = "jib 3.4.5 jib-maven-plugin Google-HTTP-Java-Client/1.42.3 (gzip)";
        Self::new(registry, client, &[("Accept", "*/*"), GZIP])
    }

    pub(super) fn curl(registry: &Arc<Registry>) -> Self {
        Self::new(registry, "curl/8.14.1", &[("Accept", "*/*")])
    }

    fn new(registry: &Arc<Registry>, name: &'static str, always: &'static [Header]) -> Self {
        Self { registry: registry.clone(), name, always, wire: None }
    }

    /// Sends a request, on the connection of the one before where this client keeps them, and reads its answer.
    #[track_caller]
    pub(super) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], content: Content) -> Response {
        let mut wire = self.wire.take().unwrap_or_else(|| self.registry.connect());
        let length = if let Content::Sized(bytes) = content { bytes.len().to_string() } else { String::new() };
        let framing = match content {
            Content::None => None,
            Content::Sized(_) => Some(("Content-Length", length.as_str())),
            Content::Chunked(_) => Some(("Transfer-Encoding", "chunked")),
        };
        let mut all = vec![("User-Agent", self.name)];
        all.extend(framing);
        all.extend(headers);
        all.extend(self.always.iter().filter(|header| **header != GZIP || method != "HEAD"));
        wire.begin(method, path, &all);
        if headers.contains(&("Expect", "100-continue")) {
            assert_eq!(wire.head().0, 100, "{method} {path}");
        }
        match content {
            Content::None => {}
            Content::Sized(bytes) => wire.send(bytes),
            Content::Chunked(bytes) => {
                for piece in bytes.chunks(32 * 1024) {
                    wire.send_chunk(piece);
                }
                wire.send_chunk(b"");
            }
        }
        let answer = if method == "HEAD" { wire.answer_head() } else { wire.answer() };
        let closes = self.always.contains(&CLOSE) || answer.header("Connection") == Some("close");
        self.wire = (!closes).then_some(wire);
        answer
    }

    #[track_caller]
    pub(super) fn get(&mut self, path: &str) -> Response {
        self.ask("GET", path, &[], Content::None)
    }

    #[track_caller]
    pub(super) fn head(&mut self, path: &str) -> Response {
        self.ask("HEAD", path, &[], Content::None)
    }

    /// The GET or HEAD of a manifest, with a client's `Accept` headers.
    #[track_caller]
    pub(super) fn manifest(&mut self, method: &str, path: &str, accepted: &[&str]) -> Response {
        let accepted: Vec<_> = accepted.iter().map(|media_type| ("Accept", *media_type)).collect();
        self.ask(method, path, &accepted, Content::None)
    }

    /// A POST of nothing, as Go sends it.
    #[track_caller]
    pub(super) fn post(&mut self, path: &str) -> Response {
        self.ask("POST", path, &[], Content::Sized(b""))
    }
}

/// Where the PUT goes that ends an upload, as Go's `url.Values` writes it.
pub(super) fn closing(location: &str, digest: &str) -> String {
    format!("{location}?digest={}", digest.replace(':', "%3A"))
}
