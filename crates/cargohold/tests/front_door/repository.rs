//! A repository, and what is done to one all day.

use std::sync::Arc;

use crate::{
    client::{Request, Response},
    content::{CONFIG, LAYER, descriptor, digest, image},
    registry::Registry,
};

#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) registry: Arc<Registry>,
    pub(crate) name: String,
}

/// An upload session.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    registry: Arc<Registry>,
    pub(crate) location: String,
}

impl Repository {
    pub(crate) fn new(registry: Arc<Registry>, name: &str) -> Self {
        Self { registry, name: name.to_owned() }
    }

    /// The path of something in it, such as `tags/list`.
    pub(crate) fn path(&self, of: &str) -> String {
        format!("/v2/{}/{of}", self.name)
    }

    pub(crate) fn request(&self, method: &str, of: &str) -> Request {
        self.registry.request(method, &self.path(of))
    }

    #[track_caller]
    pub(crate) fn get(&self, of: &str) -> Response {
        self.request("GET", of).send()
    }

    #[track_caller]
    pub(crate) fn head(&self, of: &str) -> Response {
        self.request("HEAD", of).send()
    }

    /// GET of a blob.
    #[track_caller]
    pub(crate) fn pull(&self, digest: &str) -> Response {
        self.get(&format!("blobs/{digest}"))
    }

    /// GET of a part of a blob.
    #[track_caller]
    pub(crate) fn pull_range(&self, digest: &str, range: &str) -> Response {
        self.request("GET", &format!("blobs/{digest}")).header("Range", range).send()
    }

    /// POST to where uploads begin, with that query.
    pub(crate) fn post(&self, query: &str) -> Request {
        self.request("POST", &format!("blobs/uploads/{query}"))
    }

    #[track_caller]
    pub(crate) fn start_upload(&self) -> Upload {
        self.upload(&self.post("").send().expect(202))
    }

    /// The session that an answer tells of.
    #[track_caller]
    pub(crate) fn upload(&self, answer: &Response) -> Upload {
        let here = format!("http://{}", self.registry.addr());
        let location = answer.location();
        // A whole address or a path: both lead to the same.
        let location = location.strip_prefix(&here).unwrap_or(location).to_owned();
        Upload { registry: self.registry.clone(), location }
    }

    /// Has the repository have a blob; answers its digest.
    #[track_caller]
    pub(crate) fn push_blob(&self, content: impl AsRef<[u8]>) -> String {
        let digest = digest(&content);
        self.start_upload().put(&digest, content).send().expect(201);
        digest
    }

    /// PUT of a manifest.
    pub(crate) fn put(&self, reference: &str, media_type: &str, manifest: impl AsRef<[u8]>) -> Request {
        self.request("PUT", &format!("manifests/{reference}")).header("Content-Type", media_type).body(manifest)
    }

    /// Has the repository have a manifest under a tag; answers its digest.
    #[track_caller]
    pub(crate) fn push_manifest(&self, tag: &str, media_type: &str, manifest: impl AsRef<[u8]>) -> String {
        self.put(tag, media_type, &manifest).send().expect(201);
        digest(manifest)
    }

    /// Pushes what an image consists of; answers its manifest, which is not pushed.
    #[track_caller]
    pub(crate) fn push_parts_of_image(&self) -> Vec<u8> {
        let (config, layer) = (format!("{{\"of\":\"{}\"}}", self.name), format!("layer of {}", self.name));
        self.push_blob(&config);
        self.push_blob(&layer);
        image(&descriptor(CONFIG, config), &[descriptor(LAYER, layer)]).to_string().into_bytes()
    }
}

impl Upload {
    pub(crate) fn request(&self, method: &str) -> Request {
        self.registry.request(method, &self.location)
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Response {
        self.request("GET").send()
    }

    /// What the server says to have received: `0-<last byte>`.
    #[track_caller]
    pub(crate) fn range(&self) -> String {
        self.status().expect(204).header("Range").unwrap_or_default().to_owned()
    }

    /// A chunk behind what is there.
    pub(crate) fn patch(&self, content: impl AsRef<[u8]>) -> Request {
        self.request("PATCH").body(content)
    }

    /// A chunk that says where it belongs.
    pub(crate) fn chunk(&self, start: usize, content: impl AsRef<[u8]>) -> Request {
        let range = format!("{start}-{}", start + content.as_ref().len() - 1);
        self.patch(content).header("Content-Range", range)
    }

    /// The end, with the last bytes, if any.
    pub(crate) fn put(&self, digest: &str, content: impl AsRef<[u8]>) -> Request {
        self.registry.request("PUT", &self.closing(digest)).body(content)
    }

    /// Where the PUT goes.
    pub(crate) fn closing(&self, digest: &str) -> String {
        format!("{}?digest={}", self.location, digest.replace(':', "%3A"))
    }

    /// The session's id, which is the last part of its path.
    pub(crate) fn id(&self) -> &str {
        self.location.rsplit('/').next().unwrap_or_default()
    }
}
