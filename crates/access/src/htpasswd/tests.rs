use super::*;

/// Cheap, so that tests are quick: bcrypt's least cost.
fn line(user: &str, password: &str) -> String {
    format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap())
}

fn opened(text: &str) -> (tempfile::TempDir, Arc<Htpasswd>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("htpasswd");
    fs::write(&path, text).unwrap();
    let users = Htpasswd::open(&path, TokenKey::new([1; 32])).unwrap();
    (folder, Arc::new(users))
}

#[tokio::test]
async fn a_password_is_right_or_wrong() {
    let (_folder, users) = opened(&format!("# people\n\n{}{}", line("alice", "s:cret"), line("bob", "")));
    assert_eq!(users.check("alice", "s:cret").await, Ok(()));
    assert_eq!(users.check("alice", "s:cret").await, Ok(()), "and is remembered");
    assert_eq!(users.check("bob", "").await, Ok(()));
    for (user, password) in
        [("alice", ""), ("alice", "s"), ("bob", "s:cret"), ("carol", "s:cret"), ("", ""), ("# people", "")]
    {
        assert_eq!(users.check(user, password).await, Err(Rejected::Wrong), "{user}:{password}");
    }
    assert_eq!(users.check("alice", &"x".repeat(MOST_PASSWORD + 1)).await, Err(Rejected::Wrong));
}

#[tokio::test]
async fn many_at_once_are_checked_once() {
    let (_folder, users) = opened(&format!("alice:{}\n", bcrypt::hash("secret", 8).unwrap()));
    let all = (0..50).map(|_| {
        let users = users.clone();
        tokio::spawn(async move { users.check("alice", "secret").await })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), Ok(()));
    }
    assert_eq!(users.users().remembered().len(), 1);
}

#[tokio::test]
async fn a_changed_file_counts_and_what_was_remembered_does_not() {
    let (_folder, users) = opened(&line("alice", "old"));
    users.check("alice", "old").await.unwrap();
    let before = users.version("alice");
    fs::write(&users.path, line("alice", "newer")).unwrap();
    users.reload();
    assert_eq!(users.check("alice", "old").await, Err(Rejected::Wrong));
    assert_eq!(users.check("alice", "newer").await, Ok(()));
    assert_ne!(users.version("alice"), before);
    assert_eq!(users.version("bob"), None);
}

#[tokio::test]
async fn a_file_that_became_unreadable_changes_nothing() {
    let (_folder, users) = opened(&line("alice", "secret"));
    fs::write(&users.path, "rubbish").unwrap();
    users.reload();
    assert_eq!(users.check("alice", "secret").await, Ok(()));
    fs::remove_file(&users.path).unwrap();
    users.reload();
    assert_eq!(users.check("alice", "secret").await, Ok(()));
    fs::write(&users.path, line("bob", "secret")).unwrap();
    users.reload();
    assert_eq!(users.check("bob", "secret").await, Ok(()));
    assert_eq!(users.check("alice", "secret").await, Err(Rejected::Wrong));
}

#[test]
fn a_line_that_is_wrong_is_named() {
    let wrong = |text: &str| Users::parse(text).unwrap_err();
    assert_eq!(wrong("alice\n"), (1, "not <user>:<hash>"));
    let (line, reason) = wrong("\n# x\nalice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
    assert_eq!(line, 3);
    assert!(reason.contains("htpasswd -B"), "{reason}");
}

#[test]
fn nobody_has_a_password_that_costs_what_others_cost() {
    let nobody = |text: &str| Users::parse(text).unwrap().nobody;
    assert!(nobody(&line("alice", "x")).starts_with("$2b$04$"));
    assert!(nobody("").starts_with("$2b$10$"));
    for nobody in [nobody(&line("alice", "x")), nobody("")] {
        assert!(is_bcrypt(&nobody));
        assert!(bcrypt::verify("", &nobody).is_ok(), "it is checked, not refused at once");
    }
}

#[test]
fn only_so_many_are_remembered() {
    let users = Users::parse("").unwrap();
    for number in 0..=MOST_REMEMBERED as u64 {
        let mut shown = [0; 32];
        shown[..8].copy_from_slice(&number.to_be_bytes());
        users.remember(shown);
    }
    assert_eq!(users.remembered().len(), 1);
}

proptest::proptest! {
    #[test]
    fn every_file_has_an_answer(text in "[a-z:$2y#\n ]{0,200}") {
        let _ = Users::parse(&text);
    }
}
