//! The command line, the settings, and what keeps the program from starting.

use std::{net::TcpListener, process::Command};

use crate::registry::{Registry, Signal, run, serve};

/// Runs what cannot start; answers what it says about that.
#[track_caller]
fn cannot_start(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "nothing is announced that does not happen");
    assert!(said.contains("cargohold: ") && !said.contains("panicked"), "{said}");
    said
}

fn cargohold(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(Command::new(env!("CARGO_BIN_EXE_cargohold")).args(arguments));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_banner_says_where_it_is_and_how_to_push() {
    let registry = Registry::start();
    let (addr, root) = (registry.addr(), registry.root());
    registry.get("/v2/").expect(200);
    registry.signal(Signal::TERM);
    let (_, said) = registry.wait();
    let push = format!("docker push localhost:{}/", addr.port());
    for part in [
        format!("http://{addr}"),
        push,
        "this machine only".to_owned(),
        root.canonicalize().unwrap().display().to_string(),
    ] {
        assert!(said.contains(&part), "{part} is not in {said}");
    }
}

#[test]
fn a_start_that_cannot_listen_says_why_and_leaves_no_folder_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve(&folder.path().join("a/b/c"));
    let refused = run(command.env("CARGOHOLD__HTTP__ADDR", "192.0.2.1:5000").env("CARGOHOLD__AUTH", "open"));
    assert_eq!(refused.status.code(), Some(1), "an address of another machine");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("this machine does not have that address"), "{said}");
    assert!(!folder.path().join("a").exists());
}

#[test]
fn help_names_the_commands() {
    for arguments in [&["--help"][..], &["help"], &["-h"]] {
        let (code, said, _) = cargohold(arguments);
        assert_eq!(code, Some(0));
        assert!(said.contains("serve") && said.contains("Start the registry"), "{said}");
    }
}

#[test]
fn help_of_serve_shows_the_settings() {
    let (code, said, _) = cargohold(&["serve", "--help"]);
    assert_eq!(code, Some(0));
    for setting in
        ["CARGOHOLD__HTTP__ADDR", "CARGOHOLD__AUTH", "CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY", "127.0.0.1:5000"]
    {
        assert!(said.contains(setting), "{setting} is not in {said}");
    }
}

#[test]
fn version_is_the_packages() {
    let (code, said, _) = cargohold(&["--version"]);
    assert_eq!((code, said.trim()), (Some(0), concat!("cargohold ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_command_line_that_is_wrong_says_so() {
    for arguments in [&[][..], &["sreve"], &["serve", "--no-such-option"]] {
        let (code, _, said) = cargohold(arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("Usage"), "{said}");
    }
}

#[test]
fn an_address_that_others_reach_is_refused_without_a_word_about_auth() {
    let folder = tempfile::tempdir().unwrap();
    for addr in ["0.0.0.0:0", "[::]:0", ":0"] {
        let said = cannot_start(serve(folder.path()).env("CARGOHOLD__HTTP__ADDR", addr));
        assert!(said.contains("other machines can reach") && said.contains("CARGOHOLD__AUTH=open"), "{said}");
    }
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was made");
}

#[test]
fn a_setting_that_means_nothing_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("CARGOHOLD__HTTP__ADDR", "here"),
        ("CARGOHOLD__AUTH", "password"),
        ("CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY", ""),
    ] {
        let said = cannot_start(serve(folder.path()).env(name, value));
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn an_unknown_setting_warns_and_names_the_nearest() {
    let (folder, taken) = (tempfile::tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let mut command = serve(folder.path());
    command.env("CARGOHOLD__HTTP__ADDR", taken.local_addr().unwrap().to_string());
    let said = cannot_start(command.env("CARGOHOLD__HTTP__ADDRESS", "x").env("CARGOHOLD_PORT", "tcp://10.0.0.1:80"));
    assert!(said.contains("CARGOHOLD__HTTP__ADDRESS is not a setting"), "{said}");
    assert!(!said.contains("CARGOHOLD_PORT"), "{said}");
}

#[test]
fn an_address_in_use_is_refused_and_named() {
    let (folder, taken) = (tempfile::tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let addr = taken.local_addr().unwrap().to_string();
    let said = cannot_start(serve(folder.path()).env("CARGOHOLD__HTTP__ADDR", &addr));
    assert!(said.contains(&addr) && said.contains("CARGOHOLD__HTTP__ADDR"), "{said}");
}

#[test]
fn a_second_process_on_one_folder_is_refused_and_told_why() {
    let registry = Registry::start();
    let said = cannot_start(&mut serve(&registry.root()));
    assert!(said.contains("another cargohold uses this data folder"), "{said}");
    assert!(said.contains(&registry.root().canonicalize().unwrap().display().to_string()), "{said}");
    let blob = registry.repository().push_blob("undisturbed");
    assert!(blob.starts_with("sha256:"));
}

#[test]
fn a_folder_that_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "here first").unwrap();
    let said = cannot_start(&mut serve(&file));
    assert!(said.contains("storage.filesystem.rootdirectory") && said.contains(&*file.to_string_lossy()), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), b"here first");
}

#[test]
fn a_folder_of_another_store_is_refused() {
    let registry = Registry::start();
    registry.signal(Signal::TERM);
    registry.wait();
    std::fs::write(registry.root().join("cargohold-store"), "cargohold store 4711\n").unwrap();
    let said = cannot_start(&mut serve(&registry.root()));
    assert!(said.contains("4711"), "{said}");
}

#[test]
fn a_folder_whose_store_is_away_is_refused_and_not_taken_for_a_new_one() {
    let registry = Registry::start();
    registry.repository().push_blob("in the store");
    registry.signal(Signal::TERM);
    registry.wait();
    let marker = registry.root().join("cargohold-store");
    let text = std::fs::read(&marker).unwrap();
    std::fs::remove_file(&marker).unwrap();
    let said = cannot_start(&mut serve(&registry.root()));
    assert!(said.contains("cargohold-store"), "{said}");
    assert!(!marker.exists());
    std::fs::write(&marker, text).unwrap();
    registry.start_again();
}
