use std::{collections::HashSet, time::Duration};

use cargohold_registry::References;
use proptest::{collection, prelude::*};

use super::{
    document::{Node, Place},
    settings::Setting,
    *,
};

const FILE: &str = "cargohold.yml";

/// What the text of a file and the environment come to.
fn read(text: &str, variables: &[(&str, &str)]) -> Result<Configuration, ConfigurationError> {
    let mut layers = Layers::default();
    layers.text(Path::new(FILE), text);
    layers.environment(variables.iter().map(|(name, value)| (name.into(), value.into())));
    Configuration::resolve(layers)
}

#[track_caller]
fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    read(text, variables).unwrap_err().to_string()
}

#[test]
fn nothing_said_is_a_registry_for_this_machine() {
    for text in ["", "# nothing\n", "http:\nauth: null\nvalidation: {manifests: ~}\n", "{}"] {
        let read = read(text, &[("PATH", "/bin"), ("CARGOHOLD_PORT", "tcp://10.0.0.1:80")]).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", Configuration::default()), "{text}");
        assert_eq!((read.addr.to_string(), read.auth), ("127.0.0.1:5000".to_owned(), Auth::default()));
        assert_eq!(read.root_directory, Path::new("./cargohold-data"));
    }
}

#[test]
fn every_key_reaches_its_field() {
    let text = "
http:
  addr: 127.0.0.1:1
  limits: {headers: 16KiB, requests: 7, wait: 0s, stall: 2m, idle: 1h}
auth: open
storage: {filesystem: {rootdirectory: /srv/images}}
validation:
  repositories: {maxname: 64}
  manifests: {references: none, maxbytes: 1MiB, maxreferences: 5, maxartifacttype: 100}
";
    let read = read(text, &[]).unwrap();
    assert_eq!((read.addr.to_string(), read.auth.open), ("127.0.0.1:1".to_owned(), true));
    assert_eq!(read.root_directory, Path::new("/srv/images"));
    let Validation { references, manifest_bytes, manifest_references, artifact_type_bytes, name_bytes, .. } =
        read.validation;
    assert_eq!((references, manifest_bytes, manifest_references), (References::None, 1 << 20, 5));
    assert_eq!((artifact_type_bytes, name_bytes), (100, 64));
    assert_eq!((read.limits.requests, read.limits.wait), (7, Duration::ZERO));
    assert_eq!((read.limits.stall, read.server.idle), (Duration::from_mins(2), Duration::from_hours(1)));
    assert_eq!(read.server.max_head, 16 * 1024);
}

#[test]
fn auth_is_a_word_or_a_section() {
    let text = "
auth:
  htpasswd: {path: /etc/cargohold/htpasswd, realm: Our images}
  anonymous: pull
";
    let htpasswd = Some(PathBuf::from("/etc/cargohold/htpasswd"));
    let auth = Auth { open: false, htpasswd, realm: "Our images".to_owned(), anonymous_pull: true };
    assert_eq!(read(text, &[("CARGOHOLD__HTTP__ADDR", ":5000")]).unwrap().auth, auth);
    let variables =
        [("CARGOHOLD__AUTH__HTPASSWD__PATH", "/etc/cargohold/htpasswd"), ("CARGOHOLD__AUTH__ANONYMOUS", "pull")];
    assert!(read("", &variables).unwrap().auth.anonymous_pull);
    let said = refused("auth: {anonymous: pull}", &[]);
    assert!(
        said.starts_with("cargohold.yml:1:19: auth.anonymous: it says what people without a password may do"),
        "{said}"
    );
    let said = refused("auth: {htpasswd: {path: x}}", &[("CARGOHOLD__AUTH", "open")]);
    assert!(said.starts_with("CARGOHOLD__AUTH: auth: it is open, and auth.htpasswd.path names"), "{said}");
    let said = refused("auth: {htpasswd: {pth: x}}", &[]);
    assert!(said.contains("The nearest one is auth.htpasswd.path"), "{said}");
    assert!(refused("auth: {htpasswd: {realm: ''}}", &[]).contains("a text of 1 to 200 characters"));
}

#[test]
fn the_environment_wins() {
    let text = "http: {addr: 'localhost:1', limits: {requests: 5, wait: 1s}}";
    let read = read(text, &[("CARGOHOLD__HTTP__LIMITS__REQUESTS", "6")]).unwrap();
    assert_eq!(
        (read.addr.to_string(), read.limits.requests, read.limits.wait),
        ("127.0.0.1:1".to_owned(), 6, Duration::from_secs(1))
    );
}

#[test]
fn an_address_that_others_reach_needs_a_word_about_auth() {
    let (addr, auth) = ("CARGOHOLD__HTTP__ADDR", "CARGOHOLD__AUTH");
    for exposed in ["0.0.0.0:5000", ":5000", "[::]:5000", "192.0.2.1:80"] {
        let text = format!("http: {{addr: '{exposed}'}}");
        let said = refused(&text, &[]);
        assert!(said.starts_with("cargohold.yml:1:14: http.addr: other machines can reach"), "{said}");
        let said = refused("", &[(addr, exposed)]);
        assert!(said.starts_with("CARGOHOLD__HTTP__ADDR: http.addr: other machines can reach"), "{said}");
        assert!(read(&text, &[(auth, "open")]).is_ok(), "{exposed}");
        assert!(read("auth: open", &[(addr, exposed)]).is_ok(), "{exposed}");
    }
    for addr in ["127.0.0.1:0", "[::1]:5000", "127.1.2.3:80", "localhost:5001", "[::ffff:127.0.0.1]:5000"] {
        assert!(read(&format!("http: {{addr: '{addr}'}}"), &[]).is_ok(), "{addr}");
    }
}

#[test]
fn a_wrong_value_is_told_with_its_place_its_rule_and_what_to_do() {
    assert_eq!(
        refused("http:\n  limits:\n    stall: 2d\n", &[]),
        "cargohold.yml:3:12: http.limits.stall: \"2d\" is not a duration from 1s to 1h\n  \
         Write numbers with units, as in 90s, 2m or 1h30m, or leave it out for 1m"
    );
    assert_eq!(
        refused("", &[("CARGOHOLD__VALIDATION__MANIFESTS__MAXBYTES", "1GiB")]),
        "CARGOHOLD__VALIDATION__MANIFESTS__MAXBYTES: validation.manifests.maxbytes: \"1GiB\" is not a number of bytes from 1 \
         to 64MiB\n  Write a number, with a unit if it is not bytes, as in 65536, 64KiB or 4MiB, or leave it out for 4MiB"
    );
    assert_eq!(
        refused("auth: opn", &[]),
        "cargohold.yml:1:7: auth: \"opn\" is not `open`\n  Write `open`, or leave it out"
    );
    assert!(refused("auth: [open]", &[]).contains("auth: a list is not `open`"));
    assert!(refused("http: 5", &[]).contains("http: \"5\" is not a section"));
    assert!(refused("just a text", &[]).contains("the whole file: \"just a text\" is not a section"));
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_order() {
    let text = "http: {adr: x, limits: {requests: 0}}\nauth: maybe\n";
    let ConfigurationError(problems) = read(text, &[("CARGOHOLD__HTTP__LIMITS__IDLE", "0")]).unwrap_err();
    let origins: Vec<_> = problems.iter().map(|problem| problem.origin.to_string()).collect();
    assert_eq!(
        origins,
        ["cargohold.yml:1:8", "cargohold.yml:1:35", "cargohold.yml:2:7", "CARGOHOLD__HTTP__LIMITS__IDLE"]
    );
    assert!(
        ConfigurationError(problems).to_string().starts_with("the configuration has 4 mistakes\ncargohold.yml:1:8: ")
    );
}

#[test]
fn the_wrong_file_does_not_fill_the_terminal() {
    let lines: Vec<_> = (0..100).map(|line| format!("k{line}: v")).collect();
    let said = refused(&lines.join("\n"), &[]);
    assert!(said.lines().count() < 50 && said.ends_with("\nand 80 more"), "{said}");
}

#[test]
fn an_unknown_key_is_refused_and_the_nearest_named() {
    for (text, at, nearest) in [
        ("http: {adress: x}", "1:8: \"http.adress\"", "http.addr"),
        ("htpp: {addr: x}", "1:1: \"htpp\"", "http"),
        ("http: {limit: {wait: 1s}}", "1:8: \"http.limit\"", "http.limits"),
        ("validation:\n  manifest:\n    maxbytes: 1\n", "2:3: \"validation.manifest\"", "validation.manifests"),
        ("maxbytes: 1", "1:1: \"maxbytes\"", "validation.manifests.maxbytes"),
        ("HTTP: {}", "1:1: \"HTTP\"", ""),
        ("http: {'': 1}", "1:8: \"http.\"", ""),
        ("\"a\\nb\": 1", "1:1: \"a\\nb\"", ""),
    ] {
        let said = refused(text, &[]);
        assert!(
            said.starts_with(&format!("cargohold.yml:{at} is not a setting\n  The nearest one is {nearest}")),
            "{said}"
        );
    }
}

#[test]
fn an_unknown_variable_warns_and_names_the_nearest() {
    for (unknown, nearest) in [
        ("CARGOHOLD__HTTP__ADDRESS", "CARGOHOLD__HTTP__ADDR"),
        ("CARGOHOLD__HTTP__LIMIT__WAIT", "CARGOHOLD__HTTP__LIMITS__WAIT"),
        ("CARGOHOLD__AUTHN", "CARGOHOLD__AUTH"),
        ("CARGOHOLD__auth", "CARGOHOLD__AUTH"),
        ("CARGOHOLD__", ""),
    ] {
        let warnings = read("", &[(unknown, "x")]).unwrap().warnings;
        let expected = format!("{unknown} is not a setting and has no effect; the nearest one is {nearest}");
        assert!(warnings.len() == 1 && warnings[0].starts_with(&expected), "{warnings:?}");
    }
}

#[test]
fn a_version_is_that_of_the_cncf_registry_or_none() {
    assert!(refused("version: 2", &[]).contains("that of the CNCF registry (distribution) has 0.1"));
    assert_eq!(read("version: null", &[]).unwrap().kind, Kind::Ours);
    for text in ["version: 0.1\nstorage: filesystem\n", "{\"version\": \"0.1\", \"storage\": {\"filesystem\": {}}}"] {
        assert_eq!(read(text, &[]).unwrap().kind, Kind::Inherited, "{text}");
    }
}

#[test]
fn a_key_has_one_way_to_be_written() {
    assert!(refused("http.addr: ':5000'", &[]).contains("is one key with dots in it"));
    assert!(
        refused("http: {addr: a}\nhttp: {addr: b}\n", &[])
            .starts_with("cargohold.yml:2:1: the key \"http\" a second time")
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let mut layers = Layers::default();
    layers.environment([("CARGOHOLD__AUTH".into(), OsString::from_vec(vec![0xff]))]);
    let error = Configuration::resolve(layers).unwrap_err().to_string();
    assert!(error.starts_with("CARGOHOLD__AUTH: auth: the value is not valid UTF-8"), "{error}");
}

#[test]
fn every_default_is_within_its_own_bounds_and_every_key_is_one() {
    let mut keys = HashSet::new();
    for setting in settings::all() {
        let key = setting.key;
        assert!(keys.insert(key), "{key} is there twice");
        assert!(
            key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte)),
            "{key}"
        );
        assert!(!key.contains("__"), "two stand for a dot in variables: {key}");
        if let Some(default) = setting.default_text(&mut Configuration::default()) {
            let mut changed = Configuration::default();
            let mut findings = Findings::default();
            let said = Node { value: Node::parse(&default).unwrap().value, at: Place::Variable("X".to_owned()) };
            setting.put(key, &said, &mut changed, &mut findings);
            assert!(findings.problems.is_empty(), "the default of {key}");
            assert_eq!(format!("{changed:?}"), format!("{:?}", Configuration::default()), "{key}");
        }
        assert!(setting.about.ends_with('.') && !setting.about.contains("  "), "{key}");
    }
}

/// `docs/configuration.md` ends with what the table of settings says. `WRITE_DOCS=1 cargo test -p cargohold` writes it.
#[test]
fn the_reference_page_says_what_the_settings_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (prose, _) = page.split_once("\n### `").unwrap_or((page.trim_end(), ""));
    let expected = format!("{}\n\n{}", prose.trim_end(), reference::page());
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert!(page == expected, "docs/configuration.md is behind: WRITE_DOCS=1 cargo test -p cargohold brings it up");
    }
}

/// `deploy/cargohold.yml` is what `cargohold config example` writes. `WRITE_DOCS=1 cargo test -p cargohold` writes it.
#[test]
fn the_example_file_is_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/cargohold.yml");
    let expected = reference::example();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(kept == expected, "deploy/cargohold.yml is behind: WRITE_DOCS=1 cargo test -p cargohold brings it up");
    }
}

#[test]
fn help_names_every_setting_within_the_width_of_a_terminal() {
    let help = help();
    for setting in settings::all() {
        assert!(help.contains(&format!("\n  {}\n      ", setting.key)), "{} is not in {help}", setting.key);
    }
    assert!(help.lines().all(|line| line.chars().count() < 80), "{help}");
}

/// Keys as they are and nearly so, in files that are nearly right.
fn nearly_right() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "http",
            "addr",
            "limits",
            "wait",
            "auth",
            "validation",
            "manifests",
            "maxbytes",
            "version",
            "storage",
        ])
        .prop_map(str::to_owned),
        ".{0,4}",
    ];
    let value = prop_oneof![
        prop::sample::select(vec!["", "~", "0.1", "5s", ":0", "open", "[a]", "{}", "4MiB", "-1", "'", "*a"])
            .prop_map(str::to_owned),
        ".{0,8}",
    ];
    collection::vec((0..4_usize, part, value), 0..12).prop_map(|lines| {
        let lines: Vec<_> =
            lines.iter().map(|(depth, key, value)| format!("{:1$}{key}: {value}", "", depth * 2)).collect();
        lines.join("\n")
    })
}

proptest! {
    #[test]
    fn any_file_and_any_environment_have_an_answer(
        text in nearly_right(),
        unknown in "CARGOHOLD__[A-Z_]{0,20}|.*",
        value in ".*",
        setting in prop::sample::select((0..settings::all().count()).collect::<Vec<_>>()),
    ) {
        let variable = Setting::variable(settings::all().nth(setting).unwrap());
        if let Err(error) = read(&text, &[(&unknown, &value), (&variable, &value)]) {
            prop_assert!(error.0.iter().all(|problem| !problem.to_string().contains('\0')));
        }
    }
}
