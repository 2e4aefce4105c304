//! `http`: where to listen, and what clients may have of it.

use std::marker::PhantomData;

use cargohold_http::{
    BaseUrl, Prefix, ResponseHeaders, TrustedProxy,
    tls::{ClientAuth, TlsVersion},
};
use http::HeaderMap;

use super::{HOUR, KIB, MIB, MINUTE, Setting, times};
use crate::configuration::{
    Configuration,
    document::Node,
    form::{Address, Choice, Count, File, Flag, Own, Perhaps, Period, Size, UrlPath},
    listening::{CipherSuite, DirectoryAddress, HostName, ListenOn, Net, Word},
    problem::Findings,
    slot::{Field, Headers, Refused, Several, Slot},
    told::Told,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "http.addr",
        about: "Where to listen: `<IP address>:<port>`, `localhost:<port>`, or `:<port>` for every IPv4 address of this machine. \
                An address that other machines reach needs `auth` to be set. With `http.net: unix` it is the path of a socket, \
                as in `/run/cargohold/http.sock`, whose file gets its mode by the umask.",
        slot: &Field(ListenOn, |to: &mut Configuration| &mut to.addr),
    },
    Setting {
        key: "http.net",
        about: "What connections come by: `tcp`, or `unix` for a socket that only programs on this machine reach.",
        slot: &Field(Choice(&[("tcp", Net::Tcp), ("unix", Net::Unix)]), |to: &mut Configuration| &mut to.net),
    },
    Setting {
        key: "http.tls.certificate",
        about: "The file with the certificate that is shown to clients, followed by those that lead from it to a root, in PEM. \
                With it the registry speaks TLS and nothing else. It is read again when it changes, and on SIGHUP.",
        slot: &Field(Perhaps(File), |to: &mut Configuration| &mut to.tls.certificate),
    },
    Setting {
        key: "http.tls.key",
        about: "The file with the private key of `http.tls.certificate`, in PEM, without a password. A pair that does not match \
                stops the start; later it changes nothing, and is told in the log.",
        slot: &Field(Perhaps(File), |to: &mut Configuration| &mut to.tls.key),
    },
    Setting {
        key: "http.tls.minimumtls",
        about: "The oldest version of TLS that is spoken. There is none below `tls1.2`.",
        slot: &Field(
            Choice(&[("tls1.2", TlsVersion::Tls12), ("tls1.3", TlsVersion::Tls13)]),
            |to: &mut Configuration| &mut to.tls.minimum,
        ),
    },
    Setting {
        key: "http.tls.ciphersuites",
        about: "The cipher suites of TLS 1.2, by Go's names. Left out, all that are safe. Names of others that Go knows are passed \
                over with a warning; TLS 1.3 has suites of its own, which are always there.",
        slot: &Several(CipherSuite, |to: &mut Configuration| &mut to.tls.suites),
    },
    Setting {
        key: "http.tls.clientcas",
        about: "Files with certificates, in PEM, of those who sign the certificates of clients. With them every client has to show \
                one, unless `http.tls.clientauth` says otherwise.",
        slot: &Several(File, |to: &mut Configuration| &mut to.tls.client_cas),
    },
    Setting {
        key: "http.tls.clientauth",
        about: "What clients have to show: nothing (`request-client-cert`), any certificate, one of `http.tls.clientcas` if they \
                show one, or one of these in any case, which is what `http.tls.clientcas` alone means.",
        slot: &Field(Perhaps(Choice(&ClientAuth::ALL)), |to: &mut Configuration| &mut to.tls.client_auth),
    },
    Setting {
        key: "http.tls.letsencrypt.hosts",
        about: "The names that certificates are wanted for from an authority that speaks ACME, such as Let's Encrypt; one each. They \
                have to lead here. With them the registry speaks TLS and nothing else.",
        slot: &Several(HostName, |to: &mut Configuration| &mut to.acme.hosts),
    },
    Setting {
        key: "http.tls.letsencrypt.email",
        about: "Where the authority writes to.",
        slot: &Field(Word, |to: &mut Configuration| &mut to.acme.email),
    },
    Setting {
        key: "http.tls.letsencrypt.directoryurl",
        about: "The authority's directory.",
        slot: &Field(DirectoryAddress, |to: &mut Configuration| &mut to.acme.directory_url),
    },
    Setting {
        key: "http.tls.letsencrypt.directoryca",
        about: "A file with the certificate, in PEM, of who signs the authority's own, if this machine does not trust it.",
        slot: &Field(Perhaps(File), |to: &mut Configuration| &mut to.acme.directory_ca),
    },
    Setting {
        key: "http.tls.letsencrypt.httpaddr",
        about: "An address where the authority can find the proof by plain HTTP; port 80 of the hosts has to lead there, as with \
                `:80`. Left out, the proof is given on port 443 of the hosts, which has to lead to `http.addr`.",
        slot: &Field(Perhaps(Address), |to: &mut Configuration| &mut to.acme.http_addr),
    },
    Setting {
        key: "http.tls.letsencrypt.profile",
        about: "Which of the authority's kinds of certificates, as in `shortlived`. Left out, the one it gives to everybody.",
        slot: &Field(Word, |to: &mut Configuration| &mut to.acme.profile),
    },
    Setting {
        key: "http.tls.letsencrypt.cachefile",
        about: "Has no effect: accounts and certificates are kept in the database.",
        slot: &Field(Perhaps(File), |to: &mut Configuration| &mut to.acme.cache_file),
    },
    Setting {
        key: "http.http2.disabled",
        about: "Whether HTTP/2 is left out, with TLS and without.",
        slot: &Field(Choice(&[("false", true), ("true", false)]), |to: &mut Configuration| &mut to.server.http2),
    },
    Setting {
        key: "http.h2c.enabled",
        about: "Whether HTTP/2 is spoken without TLS too, to clients and proxies that begin with it.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.server.h2c),
    },
    Setting {
        key: "http.draintimeout",
        about: "How long running requests may take to finish once the registry is told to stop; `0s` cuts them off at once.",
        slot: &Field(Period(times(0, HOUR)), |to: &mut Configuration| &mut to.server.drain),
    },
    Setting {
        key: "http.drain.delay",
        about: "How long connections are still taken after the registry was told to stop, while it says that it is not ready any \
                more: long enough for whoever sends clients here to notice.",
        slot: &Field(Period(times(0, HOUR)), |to: &mut Configuration| &mut to.server.drain_delay),
    },
    Setting {
        key: "http.host",
        about: "The address of the registry as its clients have it, with its scheme, such as `https://registry.example.com`. It wins \
                over all that requests say. Where it is not known, use `http.trusted_proxies`.",
        slot: &Field(
            Perhaps(Own::<BaseUrl>(
                "an address with its scheme and host",
                "Write it as in https://registry.example.com:5000",
                PhantomData,
            )),
            |to: &mut Configuration| &mut to.site.host,
        ),
    },
    Setting {
        key: "http.prefix",
        about: "Where on its host the registry begins: the API is at `<prefix>v2/`. docker and other clients reach it at `/` only.",
        slot: &Field(
            Own::<Prefix>(
                "a path that begins and ends with a slash",
                "Write it as in /registry/, with letters, digits and - . _ ~",
                PhantomData,
            ),
            |to: &mut Configuration| &mut to.site.prefix,
        ),
    },
    Setting {
        key: "http.relativeurls",
        about: "Whether `Location` and `Link` are paths, without scheme and host. Every client resolves those. They are whole \
                addresses anyway if `http.host` is set. In a file of the CNCF registry (`version: 0.1`) the default is `false`.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.site.relative_urls),
    },
    Setting {
        key: "http.trusted_proxies",
        about: "The proxies whose word counts about the address that clients have and about who they are: `X-Forwarded-*`, \
                `X-Real-IP` and `Forwarded`. IP addresses, networks such as `10.0.0.0/8`, or `any`, which is the default in a file of \
                the CNCF registry (`version: 0.1`).",
        slot: &Several(
            Own::<TrustedProxy>(
                "an IP address or a network, or `any`",
                "Write it as in 192.0.2.1, 10.0.0.0/8 or fd00::/8",
                PhantomData,
            ),
            |to: &mut Configuration| &mut to.site.trusted_proxies,
        ),
    },
    Setting {
        key: "http.headers",
        about: "Headers for every answer, refusals included, such as those that let the pages of other sites in (CORS). What an answer \
                has by itself stays.",
        slot: &AnswerHeaders,
    },
    Setting {
        key: "http.limits.connections",
        about: "How many connections there may be at a time. Others wait until one ends. Where the limit of open files leaves room \
                for fewer, it is fewer.",
        slot: &Field(Count(1..=1_000_000), |to: &mut Configuration| &mut to.server.connections),
    },
    Setting {
        key: "http.limits.headers",
        about: "The longest head of a request: its first line and all its headers. A longer one is answered with 431.",
        slot: &Field(Size(8 * KIB..=MIB), |to: &mut Configuration| &mut to.server.max_head),
    },
    Setting {
        key: "http.limits.requests",
        about: "How many requests of one client address may be in flight, from the head of the request to the last byte of the \
                answer. More of them wait for their turn.",
        slot: &Field(Count(1..=1_000_000), |to: &mut Configuration| &mut to.limits.requests),
    },
    Setting {
        key: "http.limits.wait",
        about: "How long a request beyond `http.limits.requests` waits for its turn before it is answered with 429 and \
                `Retry-After`.",
        slot: &Field(Period(times(0, 10 * MINUTE)), |to: &mut Configuration| &mut to.limits.wait),
    },
    Setting {
        key: "http.limits.stall",
        about: "How long the next byte of a request's body may take. Then the answer is 408, and of an upload in chunks what had \
                come is kept.",
        slot: &Field(Period(times(1, HOUR)), |to: &mut Configuration| &mut to.limits.stall),
    },
    Setting {
        key: "http.limits.unread",
        about: "How long a client may take nothing of an answer that waits for it. Then its connection is closed.",
        slot: &Field(Period(times(1, HOUR)), |to: &mut Configuration| &mut to.server.stall),
    },
    Setting {
        key: "http.limits.idle",
        about: "How long a connection may stay open without a request. Make it longer than what proxies in front of the \
                registry use, often 60s, or they send requests into connections that are being closed.",
        slot: &Field(Period(times(1, HOUR)), |to: &mut Configuration| &mut to.server.idle),
    },
    Setting {
        key: "http.debug.addr",
        about: "Another address, for those who run the registry: the metrics, and at `/debug/health` the checks that fail. Nobody is \
                asked for a password there, so keep it where others do not come. Without it the metrics are at `/metrics` of \
                `http.addr`, for this machine alone.",
        slot: &Field(Perhaps(Address), |to: &mut Configuration| &mut to.debug.addr),
    },
    Setting {
        key: "http.debug.prometheus.enabled",
        about: "Whether `http.debug.addr` has the metrics.",
        slot: &Field(Flag, |to: &mut Configuration| &mut to.debug.prometheus),
    },
    Setting {
        key: "http.debug.prometheus.path",
        about: "Where it has them.",
        slot: &Field(UrlPath, |to: &mut Configuration| &mut to.debug.path),
    },
];

/// Headers that every answer can have.
struct AnswerHeaders;

/// As headers are read elsewhere.
const HEADERS: Headers<HeaderMap> = Headers(|headers| headers);

impl Slot<Configuration> for AnswerHeaders {
    fn put(&self, key: &str, said: &Node, into: &mut Configuration, findings: &mut Findings) -> Result<(), Refused> {
        let mut headers = HeaderMap::new();
        HEADERS.put(key, said, &mut headers, findings)?;
        into.headers = headers.try_into().map_err(|_| Refused {
            node: said.clone(),
            rule: "headers that can be the same on every answer".to_owned(),
            advice: "Leave Content-Length and others that say how an answer is to be read to the registry".to_owned(),
        })?;
        Ok(())
    }

    fn tell(&self, of: &mut Configuration) -> Told {
        HEADERS.tell(&mut ResponseHeaders::as_map(&of.headers).clone())
    }

    fn rule(&self) -> String {
        HEADERS.rule()
    }

    fn advice(&self) -> String {
        HEADERS.advice()
    }
}
