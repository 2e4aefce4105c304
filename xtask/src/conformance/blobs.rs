//! The blob API for one digest algorithm: each way of uploading, ranges, well-known contents, and uploads that have to be refused.

mod ranges;

use ureq::http::Method;

use super::client::Request;
use super::content::{Algorithm, Blob};
use super::expectation::Expectation;
use super::outcome::Outcome;
use super::run::Run;
use super::steps::{delete, read};
use super::uploads::{Chunks, Way, mount};

/// How a blob comes to be there.
#[derive(Clone, Copy, Debug)]
enum Arrival {
    Upload(Way),
    Mount,
    MountFromAnywhere,
    MountOfMissing,
    /// It never comes: the upload is called off.
    Cancelled,
}

/// Enough to be cut into three.
const LONG: usize = 3 * 1024 - 5;
const SHORT: usize = 512;

/// Every way to get a blob in, with the size of the blob; each is then read and deleted.
const ARRIVALS: &[(&str, usize, Arrival)] = &[
    ("post only", SHORT, Arrival::Upload(Way::PostAlone)),
    ("post+put", SHORT, Arrival::Upload(Way::PostThenPut)),
    ("chunked single", SHORT, Arrival::Upload(chunked(false, false))),
    ("stream", SHORT, Arrival::Upload(Way::Stream)),
    ("mount", SHORT, Arrival::Mount),
    ("mount anonymous", SHORT, Arrival::MountFromAnywhere),
    ("mount missing", SHORT, Arrival::MountOfMissing),
    ("post cancel", SHORT, Arrival::Cancelled),
    ("chunked multi", LONG, Arrival::Upload(chunked(false, false))),
    ("chunked multi and put chunk", LONG, Arrival::Upload(chunked(true, false))),
    ("chunked out-of-order", LONG, Arrival::Upload(chunked(false, true))),
    ("chunked out-of-order and put chunk", LONG, Arrival::Upload(chunked(true, true))),
];

/// Contents that need no randomness, and trip servers.
const WELL_KNOWN: &[(&str, &[u8])] = &[("empty", b""), ("emptyJSON", b"{}")];

/// Uploads of bytes that the digest does not fit. The second one in chunks sends its last chunk with the PUT.
const REFUSED: &[(&str, Way)] = &[
    ("bad digest post only", Way::PostAlone),
    ("bad digest post+put", Way::PostThenPut),
    ("bad digest chunked", chunked(false, false)),
    ("bad digest chunked and put chunk", chunked(true, false)),
    ("bad digest stream", Way::Stream),
];

pub(crate) fn group(run: &mut Run<'_>, algorithm: Algorithm) {
    run.group(&format!("{} blobs", algorithm.as_str()), |run| {
        get_missing(run, algorithm);
        for (name, size, arrival) in ARRIVALS {
            let blob = random_blob(run, algorithm, *size);
            run.group(name, |run| arrive_and_go(run, *arrival, &blob));
        }
        ranges::group(run, algorithm);
        for (name, bytes) in WELL_KNOWN {
            let blob = Blob::new(algorithm, bytes.to_vec());
            run.group(name, |run| {
                let repository = &run.setting.repository;
                run.upload_somehow(repository, &blob);
                read::blob_head(run, &blob);
                read::blob(run, &blob);
                delete::blob(run, repository, &blob);
            });
        }
        for (name, way) in REFUSED {
            let blob = random_blob(run, algorithm, LONG).with_a_tail();
            run.group(name, |run| {
                run.upload(*way, &run.setting.repository, &blob);
            });
        }
    });
}

fn get_missing(run: &mut Run<'_>, algorithm: Algorithm) {
    let blob = random_blob(run, algorithm, SHORT);
    let _ = run.test("get-missing", |attempt| {
        let target = attempt.target(&attempt.setting.repository, &format!("blobs/{}", blob.digest));
        attempt.send(&Request::new(Method::GET, target), &[Expectation::Status(&[404])])
    });
}

fn arrive_and_go(run: &mut Run<'_>, arrival: Arrival, blob: &Blob) {
    let setting = run.setting;
    let (repository, source) = (&setting.repository, &setting.source);
    let arrived = match arrival {
        Arrival::Upload(way) => run.upload(way, repository, blob),
        Arrival::Mount => {
            run.upload_somehow(source, blob);
            run.test("mount", |attempt| mount::of_present(attempt, repository, Some(source), blob)).is_ok()
        }
        Arrival::MountFromAnywhere => {
            run.upload_somehow(source, blob);
            if setting.rules.mounts_from_anywhere() {
                run.test("mount", |attempt| mount::of_present(attempt, repository, None, blob)).is_ok()
            } else {
                run.record("mount", Outcome::Disabled, "");
                false
            }
        }
        Arrival::MountOfMissing => {
            run.test("mount", |attempt| mount::of_missing(attempt, repository, source, blob)).is_ok()
        }
        Arrival::Cancelled => {
            if setting.rules.cancels_uploads() {
                let _ = run.test("cancel", |attempt| mount::cancel(attempt, repository));
            } else {
                run.record("cancel", Outcome::Disabled, "");
            }
            false
        }
    };
    if arrived {
        read::blob_head(run, blob);
        read::blob(run, blob);
    }
    delete::blob(run, repository, blob);
    if let Arrival::Mount | Arrival::MountFromAnywhere = arrival {
        delete::blob(run, source, blob);
    }
}

const fn chunked(put_last: bool, disordered: bool) -> Way {
    Way::Chunked(Chunks { put_last, disordered })
}

fn random_blob(run: &mut Run<'_>, algorithm: Algorithm, size: usize) -> Blob {
    Blob::new(algorithm, run.random.bytes(size))
}
