//! What the command line gives to shells, to people and to scripts.

use std::{fs, process::Command};

use crate::registry::{Registry, run};

fn cargohold(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(Command::new(env!("CARGO_BIN_EXE_cargohold")).args(arguments));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_exit_status_is_had_as_it_is_documented() {
    let registry = Registry::start();
    registry.repository().push_blob("a blob");
    let status = |arguments: &[&str]| registry.try_command(arguments).status.code();
    assert_eq!(status(&["fsck"]), Some(0), "done");
    assert_eq!(status(&["repository", "delete", "never/pushed"]), Some(1), "it could not be done");
    assert_eq!(status(&["fsck", "--rapair"]), Some(2), "the command line is wrong");
    fs::remove_file(&registry.files("docker/registry/v2/blobs")[0]).unwrap();
    assert_eq!(status(&["fsck"]), Some(3), "something is to be looked at");
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, _) = cargohold(&["completions", shell]);
        assert_eq!(code, Some(0), "{shell}");
        for word in ["serve", "repository", "undelete", "sweep"] {
            assert!(script.contains(word), "{word} is not in {shell}'s");
        }
    }
    let (code, _, said) = cargohold(&["completions", "bush"]);
    assert!(code == Some(2) && said.contains("bash"), "{said}");
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    let (code, ..) = cargohold(&["man", pages.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let page = |name: &str| fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("cargohold.1").contains("cargohold\\-serve(1)"), "{}", page("cargohold.1"));
    assert!(page("cargohold-sweep-status.1").contains("cargohold sweep status"));
    assert!(page("cargohold-serve.1").contains("http.addr"), "the settings");
    assert!(!pages.join("cargohold-garbage-collect.1").exists());
}

#[test]
fn an_unknown_command_is_told_the_nearest() {
    for (wrong, right) in [(&["sreve"][..], "serve"), (&["sweep", "stats"], "status"), (&["fsck", "--qick"], "--quick")]
    {
        let (code, _, said) = cargohold(wrong);
        assert_eq!(code, Some(2));
        assert!(said.contains("similar") && said.contains(right), "{said}");
    }
}

/// Whoever had the CNCF registry has it collect garbage by a timer.
#[test]
fn the_collector_of_the_cncf_registry_is_not_missed() {
    let (code, said, told) =
        cargohold(&["registry", "garbage-collect", "--delete-untagged", "/etc/docker/registry/config.yml"]);
    assert!(code == Some(0) && said.is_empty() && told.contains("cargohold sweep status"), "{told}");
}
