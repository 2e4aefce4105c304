//! The registry API: every path and method that it has, and who handles it.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cargohold_access::{Caller, Delete, Gate, Provenance, Pull, Push};
use cargohold_oci::{Path, PathError};
use cargohold_registry::{Origin, Registry};
use http::{Method, Request, Response, header};
use hyper::body::{Body as _, Incoming};
use tracing::Instrument;

use crate::{
    Body, HttpMetrics, Limits, Numbers, Pages, Rules,
    access_log::AccessLog,
    blobs, catalog, challenge, debug, discover,
    error::ApiError,
    headers,
    health::{Health, Probe},
    in_flight::{InFlight, Place},
    manifests, options, ping,
    query::Query,
    referrers,
    request_body::RequestBody,
    request_head,
    response_headers::ResponseHeaders,
    root,
    server::ConnectionInfo,
    site::{Site, SiteOptions},
    tags, token,
    traces::Traces,
    uploads,
    watched::{Watched, Watchers},
};

/// The longest number of a request with its hyphen, in bytes.
const LONGEST_NUMBER: usize = 21;

/// What operators choose about the API.
#[derive(Clone, Debug, Default)]
pub struct ApiOptions {
    /// What one client may have of the server at a time.
    pub limits: Limits,
    /// What clients may do at all.
    pub rules: Rules,
    /// How long the pages of lists are.
    pub pages: Pages,
    /// Where it is, as its clients see it.
    pub site: SiteOptions,
    /// What every answer has beside its own headers.
    pub headers: ResponseHeaders,
    /// How it is: requests are refused while something is down that is needed.
    pub health: Health,
}

/// The API of one registry.
pub struct Api {
    registry: Registry,
    gate: Gate,
    options: ApiOptions,
    in_flight: Arc<InFlight>,
    /// Tells the requests of this start from those of another.
    instance: String,
    requests: AtomicU64,
    watchers: Watchers,
    /// The numbers, for this machine.
    numbers: Option<Numbers>,
}

impl Api {
    /// The API over a registry, behind a gate. `instance` begins the ids of its requests.
    pub fn new(registry: Registry, gate: Gate, options: ApiOptions, instance: String) -> Self {
        let in_flight = Arc::new(InFlight::new(options.limits.requests, options.limits.wait));
        let (requests, watchers) = (AtomicU64::new(0), Watchers::default());
        Self { registry, gate, options, in_flight, instance, requests, watchers, numbers: None }
    }

    /// Has every request counted there, and `numbers` told to this machine, if they are to be told here.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<HttpMetrics>, numbers: Option<Numbers>) -> Self {
        Self { watchers: Watchers { metrics, ..self.watchers }, numbers, ..self }
    }

    /// Has every request told to those who collect traces, if somebody does.
    #[must_use]
    pub fn with_traces(self, traces: Option<Arc<dyn Traces>>) -> Self {
        Self { watchers: Watchers { traces, ..self.watchers }, ..self }
    }

    /// Has every request told to `log`, if there is one.
    #[must_use]
    pub fn with_access_log(self, log: Option<Arc<dyn AccessLog>>) -> Self {
        Self { watchers: Watchers { log, ..self.watchers }, ..self }
    }

    /// Answers one request. Whatever happens is an answer.
    pub async fn handle(&self, request: Request<Incoming>, connection: ConnectionInfo) -> Response<Body> {
        let client = self.options.site.client(connection.peer.ip(), request.headers());
        let told = self.options.site.request_id(connection.peer.ip(), request.headers());
        let id = told.map_or_else(|| self.next_id(), str::to_owned);
        let path = self.options.site.inside(request.uri().path()).unwrap_or_default();
        let watched = Watched::begin(id, &self.watchers, (&request, path), &connection, client);
        let head = request.method() == Method::HEAD;
        let origin = request.headers().get(header::ORIGIN).cloned();
        let activity = connection.activity.clone();
        let site = self.options.site.site(&request, &connection);
        let (answer, place) = self.admit(request, connection, &watched, &site).instrument(watched.span.clone()).await;
        if let Some(part) = answer.as_ref().err().and_then(ApiError::part) {
            self.watchers.metrics.failed(part);
        }
        let answer = answer.map_err(|error| match self.gate.challenge() {
            Some(challenge) => challenge::ask(error, challenge, &site),
            None => error,
        });
        let mut response = answer.unwrap_or_else(|error| watched.span.in_scope(|| error.into_response()));
        if head {
            response = without_body(response);
        }
        if activity.is_spent() {
            // Said, so that the client sends its next request on another connection instead of into a closed one.
            response.headers_mut().insert(header::CONNECTION, headers::CLOSE);
        }
        site.lead_on(response.headers_mut());
        response.headers_mut().insert(headers::API_VERSION, headers::REGISTRY_2);
        response.headers_mut().insert(headers::REQUEST_ID, headers::value(watched.id()));
        self.options.headers.put_on(response.headers_mut(), origin.as_ref());
        watched.follow(response, place)
    }

    /// What tells a request from all others.
    fn next_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(self.instance.len() + LONGEST_NUMBER);
        id.push_str(&self.instance);
        // Writing to a string cannot fail.
        let _ = write!(id, "-{number}");
        id
    }

    /// Has a request answered once it is its turn. It keeps its place among those in flight until the answer is gone.
    async fn admit(
        &self,
        request: Request<Incoming>,
        connection: ConnectionInfo,
        watched: &Watched,
        site: &Site,
    ) -> (Result<Response<Body>, ApiError>, Option<Place>) {
        if let Err(long) = request_head::check(&request, connection.max_head) {
            return (Err(long), None);
        }
        let path = request.uri().path();
        if let Some(probe) = Probe::of(self.options.site.inside(path).unwrap_or(path)) {
            return (Box::pin(self.probe(probe, &request, &connection)).await, None);
        }
        if let Err(unhealthy) = self.options.health.require() {
            return (Err(unhealthy), None);
        }
        let request = request.map(|body| {
            let body = RequestBody::new(body, self.options.limits.stall, connection.activity.clone());
            body.counted_by(watched.received())
        });
        match self.in_flight.enter(watched.client()).await {
            Ok(place) => (self.route(request, connection, watched, site).await, Some(place)),
            Err(too_many) => (Err(ApiError::too_many_requests(too_many.to_string(), too_many.pause)), None),
        }
    }

    /// The registry that tells of this request, if anybody wants to know of such ones.
    fn told<B>(&self, request: &Request<B>, watched: &Watched, site: &Site, caller: &Caller) -> Option<Registry> {
        let is_wanted = self.registry.notifies(!request.method().is_safe());
        is_wanted.then(|| self.registry.on_behalf_of(origin(request, watched, site, caller)))
    }

    async fn route(
        &self,
        request: Request<RequestBody>,
        connection: ConnectionInfo,
        watched: &Watched,
        site: &Site,
    ) -> Result<Response<Body>, ApiError> {
        let provenance = self.provenance(&request, site);
        let is_question = request.method() == Method::OPTIONS;
        // A browser's question comes without credentials, and is to be answered all the same.
        let shown = provenance.authorization.filter(|_| !is_question);
        let admitted = self.gate.admit(Provenance { authorization: shown, ..provenance }).await;
        let caller = &admitted.inspect_err(|refusal| self.watchers.metrics.refused(refusal))?;
        watched.came_from(caller);
        let pull = |name| self.gate.permit::<Pull>(caller, name);
        let push = |name| self.gate.permit::<Push>(caller, name);
        let delete = |name| self.gate.permit::<Delete>(caller, name);
        let path = self.options.site.inside(request.uri().path()).ok_or(PathError::NotFound)?;
        if is_question {
            return options::answer(path);
        }
        match path {
            "/" if request.method().is_safe() => return Ok(root::get()),
            token::PATH if self.gate.challenge().is_some() => {
                return Box::pin(token::answer(&self.gate, &self.watchers.metrics, caller, request)).await;
            }
            debug::METRICS if request.method().is_safe() && debug::from_this_machine(&request, &connection) => {
                if let Some(numbers) = &self.numbers {
                    return Ok(Box::pin(numbers.answer()).await);
                }
            }
            _ => {}
        }
        let path = Path::parse(path)?;
        let method = request.method().clone();
        self.options.rules.check(&path, &method)?;
        let (told, pages) = (self.told(&request, watched, site, caller), self.options.pages);
        let registry = told.as_ref().unwrap_or(&self.registry);
        // What is asked for less often than blobs and manifests is boxed: this future is moved about, and is as large as the
        // largest that it holds.
        match (path, &method) {
            (Path::Ping, &Method::GET | &Method::HEAD) => {
                self.gate.greet(caller)?;
                Ok(ping::get())
            }

            (Path::Blob { name, digest }, &Method::HEAD) => {
                blobs::head(registry, &pull(name.clone())?, push(name).ok().as_ref(), &digest, request.headers()).await
            }
            (Path::Blob { name, digest }, &Method::GET) => {
                blobs::get(registry, &pull(name)?, &digest, request.headers(), connection.transport).await
            }

            (Path::Blob { name, digest }, &Method::DELETE) => {
                Box::pin(blobs::delete(registry, &delete(name)?, digest)).await
            }

            (Path::Uploads { name }, &Method::POST) => {
                Box::pin(uploads::start::post(registry, &self.gate, caller, &push(name)?, request)).await
            }

            (Path::Upload { name, id }, &Method::GET | &Method::HEAD) => {
                Box::pin(uploads::status::get(registry, &push(name)?, id)).await
            }
            (Path::Upload { name, id }, &Method::PATCH) => {
                Box::pin(uploads::append::patch(registry, &push(name)?, id, request)).await
            }
            (Path::Upload { name, id }, &Method::PUT) => {
                Box::pin(uploads::finish::put(registry, &push(name)?, id, request)).await
            }
            (Path::Upload { name, id }, &Method::DELETE) => {
                Box::pin(uploads::cancel::delete(registry, &push(name)?, id)).await
            }

            (Path::Manifest { name, reference }, &Method::HEAD) => {
                manifests::head(registry, &pull(name)?, &reference, request.headers()).await
            }
            (Path::Manifest { name, reference }, &Method::GET) => {
                manifests::get(registry, &pull(name)?, &reference, request.headers()).await
            }
            (Path::Manifest { name, reference }, &Method::PUT) => {
                Box::pin(manifests::put(registry, &push(name)?, &reference, request)).await
            }

            (Path::Manifest { name, reference }, &Method::DELETE) => {
                Box::pin(manifests::delete(registry, &delete(name)?, &reference)).await
            }

            (Path::Tags { name }, &Method::GET | &Method::HEAD) => {
                Box::pin(tags::get(registry, pull(name)?, Query::of(request.uri()), pages)).await
            }

            (Path::Referrers { name, digest }, &Method::GET | &Method::HEAD) => {
                Box::pin(referrers::get(registry, &pull(name)?, &digest, Query::of(request.uri()))).await
            }

            (Path::Catalog, &Method::GET | &Method::HEAD) => {
                Box::pin(catalog::get(registry, &self.gate.catalog(caller)?, Query::of(request.uri()), pages)).await
            }

            (Path::Discover { name: None }, &Method::GET | &Method::HEAD) => {
                self.gate.greet(caller)?;
                Ok(discover::registry())
            }
            (Path::Discover { name: Some(name) }, &Method::GET | &Method::HEAD) => {
                Box::pin(discover::repository(registry, &pull(name)?)).await
            }

            (path, _) => Err(ApiError::method_not_allowed(&method, methods(&path))),
        }
    }

    /// Says how the registry is, and what exactly is wrong to those who are no strangers: who has signed in, and who is on this
    /// machine and meant to reach it.
    async fn probe(
        &self,
        probe: Probe,
        request: &Request<Incoming>,
        connection: &ConnectionInfo,
    ) -> Result<Response<Body>, ApiError> {
        Probe::require_read(request.method())?;
        let as_json = Probe::wants_json(request.uri(), request.headers());
        let is_here = debug::from_this_machine(request, connection);
        let authorization = request.headers().get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok());
        let has_signed_in = as_json && !is_here && authorization.is_some() && {
            let shown = Provenance { host: host(request), authorization, ..Provenance::default() };
            self.gate.admit(shown).await.is_ok_and(|caller| caller.name().is_some())
        };
        Ok(self.options.health.answer(probe, as_json, is_here || has_signed_in))
    }

    /// What the request's head says about where it comes from. A page of the site that a proxy was asked for is one of ours, and
    /// others are if the operator lets them in.
    fn provenance<'r, B>(&self, request: &'r Request<B>, site: &Site) -> Provenance<'r> {
        let origin = request.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("?"));
        Provenance {
            host: host(request),
            origin: origin.filter(|origin| !site.has_page(origin) && !self.options.headers.welcome(origin)),
            writes: !request.method().is_safe(),
            authorization: request.headers().get(header::AUTHORIZATION).map(|shown| shown.to_str().unwrap_or("?")),
        }
    }
}

/// What whoever is told of the request learns of it.
fn origin<B>(request: &Request<B>, watched: &Watched, site: &Site, caller: &Caller) -> Origin {
    Origin {
        id: watched.id().to_owned(),
        address: watched.came_by(),
        host: site.service().to_owned(),
        method: request.method().to_string(),
        agent: headers::text(request.headers(), header::USER_AGENT).unwrap_or_default().to_owned(),
        actor: caller.name().map(str::to_owned),
        site: site.address(""),
    }
}

/// Whom the request means to reach. What cannot be read, or says two things, names nobody.
pub(crate) fn host<B>(request: &Request<B>) -> Option<&str> {
    if let Some(authority) = request.uri().authority() {
        // HTTP/2 has it there; in HTTP/1 it goes before the header (RFC 9112 §3.2.2).
        return Some(authority.as_str());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().unwrap_or_default();
    Some(if hosts.next().is_none() { host } else { "" })
}

/// The methods that a path has.
pub(crate) fn methods(path: &Path) -> &'static str {
    match path {
        Path::Uploads { .. } => "POST",
        Path::Upload { .. } => "GET, HEAD, PATCH, PUT, DELETE",
        Path::Manifest { .. } => "GET, HEAD, PUT, DELETE",
        Path::Blob { .. } => "GET, HEAD, DELETE",
        _ => "GET, HEAD",
    }
}

/// The answer to HEAD: that to GET, with the length that its body has.
pub(crate) fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if let Some(length @ 1..) = body.size_hint().exact() {
        head.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(head, Body::empty())
}
