use std::{fs, time::Duration};

use super::*;
use crate::{Delete, Pull, Push};

fn to(host: &str) -> Provenance<'_> {
    Provenance { host: Some(host), ..Provenance::default() }
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

struct House {
    gate: Gate,
    users: Arc<Htpasswd>,
    file: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

/// A gate that knows alice, with her password `secret`.
fn house(anonymous_pull: bool) -> House {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("htpasswd");
    fs::write(&file, format!("alice:{}\n", bcrypt::hash("secret", 4).unwrap())).unwrap();
    let key = TokenKey::new([3; 32]);
    let users = Arc::new(Htpasswd::open(&file, key.clone()).unwrap());
    let passwords =
        Passwords { users: users.clone(), realm: "Registry".to_owned(), anonymous_pull, key, clock: SystemTime::now };
    House { gate: Gate::passwords(passwords), users, file, _folder: folder }
}

/// As `Basic` and base64 of `<user>:<password>`.
fn basic(text: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

async fn shows(gate: &Gate, header: &str) -> Result<Caller, Refusal> {
    gate.admit(Provenance { authorization: Some(header), ..to("registry.example") }).await
}

async fn token(gate: &Gate, header: Option<&str>, scope: &str) -> Caller {
    let caller = match header {
        Some(header) => shows(gate, header).await.unwrap(),
        None => Caller::ANONYMOUS,
    };
    let token = gate.token(&caller, Scope::parse_all([scope])).unwrap().token;
    shows(gate, &format!("Bearer {token}")).await.unwrap()
}

#[tokio::test]
async fn whoever_is_let_in_may_pull_and_push_what_they_asked_for() {
    for gate in [Gate::this_machine(), Gate::open()] {
        let caller = gate.admit(to("localhost:5000")).await.unwrap();
        assert_eq!(gate.permit::<Pull>(&caller, name("team/app")).unwrap().repository(), &name("team/app"));
        assert_eq!(format!("{:?}", gate.permit::<Push>(&caller, name("a")).unwrap()), "Permit(push a)");
        assert_eq!((gate.challenge(), gate.greet(&caller)), (None, Ok(())));
        assert!(gate.token(&caller, Vec::new()).is_err());
        let signed_in = gate.admit(Provenance { authorization: Some("Basic !"), ..to("localhost") }).await;
        assert_eq!(signed_in, Ok(Caller::ANONYMOUS), "credentials that nobody needs are not looked at");
    }
}

#[tokio::test]
async fn only_the_operator_steers_the_registry() {
    for gate in [Gate::this_machine(), Gate::open(), house(false).gate] {
        assert!(gate.operator(&Caller::ANONYMOUS).is_none());
        assert!(gate.operator(&Caller::OPERATOR).is_some());
        assert!(gate.permit::<Delete>(&Caller::OPERATOR, name("a")).is_ok());
    }
    let house = house(false);
    let alice = shows(&house.gate, &basic("alice:secret")).await.unwrap();
    assert!(house.gate.operator(&alice).is_none());
}

#[tokio::test]
async fn a_password_opens_everything_and_without_one_nothing_opens() {
    let House { gate, .. } = &house(false);
    let alice = shows(gate, &basic("alice:secret")).await.unwrap();
    assert_eq!(alice.name(), Some("alice"));
    assert!(gate.permit::<Delete>(&alice, name("a")).is_ok() && gate.catalog(&alice).is_ok());
    assert!(gate.pull_anywhere(&alice).is_some());
    let nobody = &gate.admit(to("registry.example")).await.unwrap();
    let needed = |denied: Denied| denied.needed.unwrap().to_string();
    assert_eq!(needed(gate.permit::<Pull>(nobody, name("a")).unwrap_err()), "repository:a:pull");
    assert_eq!(needed(gate.permit::<Push>(nobody, name("a")).unwrap_err()), "repository:a:pull,push");
    assert_eq!(needed(gate.permit::<Delete>(nobody, name("a")).unwrap_err()), "repository:a:delete");
    assert_eq!(needed(gate.catalog(nobody).unwrap_err()), "registry:catalog:*");
    assert!(gate.pull_anywhere(nobody).is_none() && gate.greet(nobody).is_err());
    assert_eq!(gate.challenge(), Some(Challenge::Basic { realm: "Registry" }));
    for header in [basic("alice:wrong"), basic("bob:secret")] {
        assert_eq!(shows(gate, &header).await, Err(Refusal::WrongPassword));
    }
    assert!(matches!(shows(gate, "Digest x").await, Err(Refusal::Credentials(_))));
    assert_eq!(shows(gate, "Bearer x.y.z").await, Err(Refusal::InvalidToken));
}

#[tokio::test]
async fn without_a_password_one_reads_where_that_is_said() {
    let House { gate, .. } = &house(true);
    let nobody = &gate.admit(to("registry.example")).await.unwrap();
    assert!(gate.permit::<Pull>(nobody, name("a")).is_ok() && gate.pull_anywhere(nobody).is_some());
    assert!(gate.permit::<Push>(nobody, name("a")).is_err() && gate.permit::<Delete>(nobody, name("a")).is_err());
    assert!(gate.catalog(nobody).is_err());
    assert_eq!(gate.challenge(), Some(Challenge::Bearer));
    assert!(gate.greet(nobody).is_err(), "so that clients fetch a token");
    let reader = &token(gate, None, "repository:a:pull,push repository:b:delete").await;
    assert!(gate.greet(reader).is_ok() && gate.permit::<Pull>(reader, name("a")).is_ok());
    assert!(gate.permit::<Push>(reader, name("a")).is_err() && gate.permit::<Delete>(reader, name("b")).is_err());
}

#[tokio::test]
async fn a_token_is_good_for_what_it_was_asked_for() {
    let House { gate, .. } = &house(false);
    let alice = &token(gate, Some(&basic("alice:secret")), "repository:a:pull,push").await;
    assert_eq!(alice.name(), Some("alice"));
    assert!(gate.permit::<Push>(alice, name("a")).is_ok());
    let denied = gate.permit::<Pull>(alice, name("b")).unwrap_err();
    assert!(denied.has_token);
    assert!(gate.permit::<Delete>(alice, name("a")).is_err() && gate.catalog(alice).is_err());
    let nobody = gate.token(&Caller::ANONYMOUS, Scope::parse_all(["repository:a:pull"]));
    assert!(nobody.is_err(), "nothing is to be had without a password");
    assert!(gate.token(alice, Vec::new()).is_err(), "a token is no password");
}

#[tokio::test]
async fn a_token_ends_with_its_users_password() {
    let house = house(false);
    let alice = shows(&house.gate, &basic("alice:secret")).await.unwrap();
    let token = house.gate.token(&alice, Scope::parse_all(["repository:a:pull"])).unwrap().token;
    let bearer = format!("Bearer {token}");
    shows(&house.gate, &bearer).await.unwrap();
    fs::write(&house.file, format!("alice:{}\n", bcrypt::hash("another", 4).unwrap())).unwrap();
    house.users.reload();
    assert_eq!(shows(&house.gate, &bearer).await, Err(Refusal::InvalidToken));
}

/// A token for somebody without a password says nothing once passwords are asked for.
#[tokio::test]
async fn a_token_without_a_user_ends_with_what_it_was_given_for() {
    let (open, closed) = (house(true), house(false));
    let token = open.gate.token(&Caller::ANONYMOUS, Scope::parse_all(["repository:a:pull"])).unwrap().token;
    assert!(shows(&open.gate, &format!("Bearer {token}")).await.is_ok());
    assert_eq!(shows(&closed.gate, &format!("Bearer {token}")).await, Err(Refusal::InvalidToken));
}

#[tokio::test]
async fn a_token_outlives_the_time_that_clients_are_told() {
    assert!(crate::TOKEN_LIFETIME >= Duration::from_mins(5), "clients fetch a new one too often otherwise");
}

#[tokio::test]
async fn a_registry_for_this_machine_answers_to_its_names_only() {
    let gate = Gate::this_machine();
    for host in [
        "localhost",
        "localhost:5000",
        "LOCALHOST.:1",
        "a.localhost:80",
        "127.0.0.1:5000",
        "127.9.9.9",
        "[::1]:5000",
        "[::ffff:127.0.0.1]:1",
    ] {
        assert_eq!(gate.admit(to(host)).await, Ok(Caller::ANONYMOUS), "{host}");
    }
    for host in
        ["example.com", "localhost.example.com:5000", "192.0.2.1:5000", "[2001:db8::1]:5000", "notlocalhost", ""]
    {
        assert!(matches!(gate.admit(to(host)).await, Err(Refusal::ForeignHost { .. })), "{host}");
        assert!(Gate::open().admit(to(host)).await.is_ok(), "{host}");
    }
    assert!(gate.admit(Provenance::default()).await.is_ok(), "HTTP/1.0 names no host, and no browser speaks it");
}

#[tokio::test]
async fn a_page_of_another_site_writes_nothing() {
    let from = |origin, writes| Provenance { origin: Some(origin), writes, ..to("localhost:5000") };
    for gate in [Gate::this_machine(), Gate::open(), house(true).gate] {
        for origin in ["http://example.com", "null", "http://localhost:8080"] {
            assert!(matches!(gate.admit(from(origin, true)).await, Err(Refusal::ForeignOrigin { .. })), "{origin}");
            assert!(
                gate.admit(from(origin, false)).await.is_ok(),
                "{origin} reads nothing either: the browser keeps it from the answer"
            );
        }
        assert!(gate.admit(from("http://localhost:5000", true)).await.is_ok());
    }
}
