//! Being told to stop: what runs is finished, nothing new begins.

use std::{
    os::unix::{net::UnixDatagram, process::ExitStatusExt},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, kill_process};

use crate::{
    content::{digest, noise},
    registry::{Registry, Signal, serve},
};

/// More than the buffers of both ends of a connection hold.
const LARGE: usize = 48 << 20;

#[test]
fn a_registry_that_is_idle_stops_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let registry = Registry::start();
        let mut idle = registry.connect();
        idle.begin("GET", "/v2/", &[]);
        idle.answer().expect(200);
        let _silent = registry.connect();
        registry.signal(signal);
        assert_eq!(registry.wait().0.code(), Some(0));
        assert!(registry.log().contains("stopped"));
    }
}

#[test]
fn a_service_manager_is_told_when_it_answers_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut command = serve(&folder.path().join("data"));
    let mut server = command.env("NOTIFY_SOCKET", &path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let told = || {
        let mut told = [0; 100];
        let length = socket.recv(&mut told).unwrap();
        String::from_utf8_lossy(&told[..length]).into_owned()
    };
    assert_eq!(told(), "READY=1");
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert_eq!(told(), "STOPPING=1");
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_stop_right_after_the_banner_is_a_stop_that_was_asked_for() {
    for round in 0..20 {
        let registry = Registry::start();
        registry.signal(Signal::TERM);
        assert_eq!(registry.wait().0.code(), Some(0), "in round {round}");
    }
}

#[test]
fn a_download_that_runs_is_finished() {
    let registry = Registry::start();
    let repository = registry.repository();
    let content = noise(61, LARGE);
    let blob = repository.push_blob(&content);
    let mut wire = registry.connect();
    wire.begin("GET", &repository.path(&format!("blobs/{blob}")), &[]);
    wire.answer_head().expect(200);
    registry.signal(Signal::TERM);
    registry.wait_until_closed();
    assert!(wire.rest() == content);
    assert_eq!(registry.wait().0.code(), Some(0));
}

#[test]
fn an_upload_that_runs_is_finished() {
    let registry = Registry::start();
    let repository = registry.repository();
    let (content, upload) = (noise(62, 3 << 20), repository.start_upload());
    let mut wire = registry.connect();
    wire.begin(
        "PUT",
        &upload.closing(&digest(&content)),
        &[("Content-Length", &content.len().to_string()), ("Expect", "100-continue")],
    );
    assert_eq!(wire.head().0, 100, "the request runs");
    wire.send(&content[..1000]);
    registry.signal(Signal::TERM);
    registry.wait_until_closed();
    wire.send(&content[1000..]);
    wire.answer().expect(201);
    assert_eq!(registry.wait().0.code(), Some(0));
    registry.start_again();
    repository.pull(&digest(&content)).expect(200).brings(&content);
}

#[test]
fn whoever_asks_twice_does_not_want_to_wait() {
    let registry = Registry::start();
    let repository = registry.repository();
    let upload = repository.start_upload();
    let mut wire = registry.connect();
    wire.begin("PATCH", &upload.location, &[("Content-Length", "1000"), ("Expect", "100-continue")]);
    assert_eq!(wire.head().0, 100, "the request runs");
    registry.signal(Signal::TERM);
    registry.wait_until_closed();
    registry.signal(Signal::TERM);
    let status = registry.wait().0;
    assert_eq!((status.code(), status.signal()), (Some(130), None));
}
