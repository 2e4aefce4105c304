//! Calls that take long: they are held up until the test lets them go. Nobody else may wait for them.

use std::{sync::mpsc, thread};

use cargohold_blobs::watch::Call;

use crate::{
    PATIENCE,
    client::Request,
    faults::{FileSystem, Mood},
    registry::Registry,
    script::{Script, closing, digest, path, push, start},
};

/// More than there are workers, by far.
const MANY: usize = 100;

#[test]
fn a_call_that_hangs_holds_nobody_else() {
    for (call, at) in [
        (Call::Open, "uploads/"),
        (Call::Write, "uploads/"),
        (Call::SyncData, "uploads/"),
        (Call::MakeFolder, "blobs/"),
        (Call::Rename, "blobs/"),
        (Call::SyncFolder, "blobs/"),
    ] {
        let registry = Registry::start(FileSystem::Usual);
        let (kept, slow) = (Script::new(1), b"slow".as_slice());
        kept.run(&registry).unwrap_or_else(|answer| panic!("{answer}"));
        let session = start(&registry, "a").unwrap_or_else(|answer| panic!("{answer}"));
        let at = match at {
            "uploads/" => session.rsplit('/').next().unwrap().to_owned(),
            // In whose folder nothing else is.
            _ => digest(slow).replace(':', "/")[.."sha256/00".len()].to_owned(),
        };
        registry.disk.set(Mood::Holds(call, at));
        thread::scope(|scope| {
            let _let_go = LetGo(&registry);
            let pushing = scope.spawn(|| registry.send(Request::new("PUT", closing(&session, slow)).with(slow)));
            registry.disk.wait_for_held(1);
            goes_on(&registry, &kept);
            registry.get(&path("a", slow)).expect(404);
            registry.disk.set(Mood::Good);
            pushing.join().unwrap().expect(201);
        });
        registry.get(&path("a", slow)).expect(200);
    }
}

#[test]
fn a_removal_that_hangs_holds_nobody_else() {
    let registry = Registry::start(FileSystem::Usual);
    let kept = Script::new(1);
    kept.run(&registry).unwrap_or_else(|answer| panic!("{answer}"));
    push(&registry, "a", b"doomed").unwrap_or_else(|answer| panic!("{answer}"));
    registry.disk.set(Mood::Holds(Call::RemoveFile, digest(b"doomed")["sha256:".len()..].to_owned()));
    registry.send(Request::new("DELETE", path("a", b"doomed"))).expect(202);
    registry.disk.wait_for_held(1);
    registry.get(&path("a", b"doomed")).expect(404);
    goes_on(&registry, &kept);
    // Even the blob that is being removed can be pushed.
    push(&registry, "a", b"doomed").unwrap_or_else(|answer| panic!("{answer}"));
    registry.get(&path("a", b"doomed")).expect(200);
    registry.disk.set(Mood::Good);
    registry.is_sound(&[digest(b"doomed")]);
    registry.get(&path("a", b"doomed")).expect(200);
}

#[test]
fn many_calls_that_hang_hold_no_worker() {
    let registry = Registry::start(FileSystem::Usual);
    let kept = Script::new(1);
    kept.run(&registry).unwrap_or_else(|answer| panic!("{answer}"));
    registry.disk.set(Mood::Holds(Call::Write, "uploads/".to_owned()));
    let contents: Vec<Vec<u8>> = (0..MANY).map(|number| format!("blob {number}").into_bytes()).collect();
    thread::scope(|scope| {
        let _let_go = LetGo(&registry);
        let pushing: Vec<_> = contents.iter().map(|content| scope.spawn(|| push(&registry, "a", content))).collect();
        registry.disk.wait_for_held(MANY);
        registry.get("/v2/").expect(200);
        registry.get("/v2/a/tags/list").expect(200);
        kept.pull(&registry).unwrap_or_else(|answer| panic!("{answer}"));
        registry.disk.set(Mood::Good);
        for pushed in pushing {
            pushed.join().unwrap().unwrap_or_else(|answer| panic!("{answer}"));
        }
    });
    registry.is_sound(&contents.iter().map(|content| digest(content)).collect::<Vec<_>>());
}

/// A session whose write hangs is taken over once that write has ended, and the bytes are the newer one's.
#[test]
fn whoever_takes_over_waits_for_the_write_that_hangs() {
    let registry = Registry::start(FileSystem::Usual);
    let session = start(&registry, "a").unwrap_or_else(|answer| panic!("{answer}"));
    registry.disk.set(Mood::Holds(Call::Write, session.rsplit('/').next().unwrap().to_owned()));
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let _let_go = LetGo(&registry);
        let older = scope.spawn(|| registry.send(Request::new("PATCH", &session).with(b"older")));
        registry.disk.wait_for_held(1);
        let newer = scope.spawn(|| {
            let answer = registry.send(Request::new("PUT", closing(&session, b"newer")).with(b"newer"));
            tell.send(()).unwrap();
            answer
        });
        registry.get("/v2/").expect(200);
        assert!(told.try_recv().is_err(), "the older one still writes");
        registry.disk.set(Mood::Good);
        told.recv_timeout(PATIENCE).unwrap();
        let (older, newer) = (older.join().unwrap(), newer.join().unwrap());
        // Which of them came first is for the server to say; never do their bytes mix.
        assert!([201, 400, 404, 416].contains(&newer.status), "{newer}");
        if newer.status == 201 {
            assert_eq!(registry.get(&path("a", b"newer")).expect(200).body, b"newer");
        } else {
            assert_eq!(older.status, 202, "{older}");
        }
    });
}

/// Has a test that fails end.
struct LetGo<'r>(&'r Registry);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.disk.set(Mood::Good);
    }
}

/// Requests that need nothing of what hangs.
fn goes_on(registry: &Registry, kept: &Script) {
    registry.get("/v2/").expect(200);
    kept.pull(registry).unwrap_or_else(|answer| panic!("{answer}"));
    registry.get(&kept.layer()).expect(200);
    let other = Script::new(2);
    other.run(registry).unwrap_or_else(|answer| panic!("{answer}"));
    other.pull(registry).unwrap_or_else(|answer| panic!("{answer}"));
}
