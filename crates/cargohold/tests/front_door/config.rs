//! Configurations as data: each file in `config/`, with the environment that its lines `#: NAME=value` name, and beside it what
//! `cargohold config show` makes of it, or why it is refused. `WRITE_CASES=1` writes what there is.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::registry::run;

fn cargohold(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargohold"));
    run(command.env_clear().envs(variables.iter().copied()).args(arguments))
}

/// The exit status, and what was said where.
fn told(output: &Output) -> String {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("exit status {}\n{out}{error}", output.status.code().unwrap())
}

#[test]
fn every_case_comes_to_what_is_written_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/front_door/config");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        cases += 1;
        let text = fs::read_to_string(&file).unwrap();
        let variables: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("#: ")?.split_once('=')).collect();
        let path = file.display().to_string();
        let said = ["show", "check"].map(|verb| told(&cargohold(&["config", verb, &path], &variables)));
        let said = said.join("\n").replace(&path, file.file_name().unwrap().to_str().unwrap());
        let expected = file.with_extension("txt");
        if std::env::var_os("WRITE_CASES").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        assert_eq!(said, fs::read_to_string(&expected).unwrap_or_default(), "{path}");
    }
    assert!(cases > 5, "there are only {cases}");
}

#[test]
fn the_file_can_be_named_as_the_cncf_registry_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    fs::write(&path, "version: 0.1\nstorage: filesystem\nhttp: {addr: ':5001'}\n").unwrap();
    let path = path.to_str().unwrap();
    let said = told(&cargohold(&["config", "show"], &[("REGISTRY_CONFIGURATION_PATH", path)]));
    assert!(said.contains("addr: 0.0.0.0:5001"), "{said}");
}

#[test]
fn where_another_registrys_data_lies_both_folders_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, root) = (folder.path().join("config.yml"), folder.path().join("registry"));
    fs::create_dir_all(root.join("docker/registry/v2/repositories")).unwrap();
    let root = root.display();
    fs::write(&path, format!("version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\n")).unwrap();
    let said = told(&cargohold(&["config", "check", path.to_str().unwrap()], &[]));
    let both = format!("{root}/cargohold, with 64MiB kept free; another registry's in {root} is served from there");
    assert!(said.contains(&both), "{said}");
}

#[test]
fn what_is_shown_is_a_configuration_that_shows_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shown.yml");
    let path = path.to_str().unwrap();
    let values = |shown: &str| -> Vec<String> {
        shown.lines().map(|line| line.split("  # ").next().unwrap_or_default().to_owned()).collect()
    };
    let endpoint = &[
        ("CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__NAME", "ci"),
        ("CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__URL", "https://ci.example/"),
        ("CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__IGNORE__ACTIONS", "delete"),
        ("CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__IGNORE__MEDIATYPES", "[application/octet-stream]"),
    ];
    for variables in [&[("CARGOHOLD__TAGS__MAXTAGS", "5")][..], &[("CARGOHOLD__AUTH", "open")], endpoint] {
        let shown = cargohold(&["config", "show", "--resolved"], variables);
        fs::write(path, &shown.stdout).unwrap();
        let again = told(&cargohold(&["config", "show", "--resolved", path], &[]));
        assert_eq!(values(&told(&shown)), values(&again));
    }
}

#[test]
fn json_has_each_value_with_who_said_it() {
    let shown = cargohold(&["config", "show", "--resolved", "--json"], &[("CARGOHOLD__TAGS__MAXTAGS", "5")]);
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(json["tags.maxtags"], serde_json::json!({ "value": "5", "from": "CARGOHOLD__TAGS__MAXTAGS" }));
    assert_eq!(json["catalog.maxentries"], serde_json::json!({ "value": "1000", "from": "the default" }));
}

#[test]
fn the_example_is_a_configuration_of_nothing_but_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("example.yml");
    let example = String::from_utf8(cargohold(&["config", "example"], &[]).stdout).unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/cargohold.yml");
    let said = told(&cargohold(&["config", "check", kept.to_str().unwrap()], &[]));
    assert!(said.starts_with("exit status 0"), "{said}");
    assert_eq!(fs::read_to_string(kept).unwrap(), example);
    // The first `#` of a line that begins with one, but for explanations, which have a space behind it, switches it off.
    let switched_on: String = example
        .lines()
        .map(|line| match line.trim_start().strip_prefix('#') {
            Some(setting) if !setting.starts_with([' ', '-']) && !setting.trim_end().ends_with(':') => {
                format!("{}{setting}\n", &line[..line.len() - line.trim_start().len()])
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let path_text = path.to_str().unwrap();
    for text in [&example, &switched_on] {
        fs::write(&path, text).unwrap();
        let said = told(&cargohold(&["config", "check", path_text], &[]));
        assert!(said.starts_with("exit status 0"), "{said}\n{text}");
    }
    assert!(switched_on.contains("\n  addr: 127.0.0.1:5000\n"), "{switched_on}");
}
