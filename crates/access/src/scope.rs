//! Scopes: what a client asks a token for, and what the token is then good for.
//!
//! `repository:team/app:pull,push` or `registry:catalog:*`, several of them separated by spaces. Source: the token authentication
//! specification of the CNCF registry ("Resource scope"). What nobody knows in a scope is left out, as clients expect.

use std::fmt;

use cargohold_oci::RepositoryName;
use serde::{Deserialize, Serialize};

/// The most that one token is good for. No client needs more than the target of a push and the sources of its mounts.
const MOST_SCOPES: usize = 100;

/// What may be done, to one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    #[serde(rename = "type")]
    kind: Kind,
    name: String,
    actions: Vec<Action>,
}

/// What scopes are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Repository,
    Registry,
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// To read.
    Pull,
    /// To add.
    Push,
    /// To delete.
    Delete,
    /// All there is.
    #[serde(rename = "*")]
    All,
}

/// The name of what lists all repositories.
const CATALOG: &str = "catalog";

impl Scope {
    /// To do this to a repository.
    pub(crate) fn of(repository: &RepositoryName, actions: &[Action]) -> Self {
        Self { kind: Kind::Repository, name: repository.as_str().to_owned(), actions: actions.to_vec() }
    }

    /// To see which repositories there are.
    pub(crate) fn catalog() -> Self {
        Self { kind: Kind::Registry, name: CATALOG.to_owned(), actions: vec![Action::All] }
    }

    /// Reads scopes as requests have them: several in one text.
    pub fn parse_all<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<Self> {
        let scopes = texts.into_iter().flat_map(str::split_whitespace).filter_map(Self::parse);
        scopes.take(MOST_SCOPES).collect()
    }

    /// One scope, if anything in it is known here.
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        // A class, as in `repository(plugin)`, is history.
        let kind = match kind.split('(').next()? {
            "repository" => Kind::Repository,
            "registry" if name == CATALOG => Kind::Registry,
            _ => return None,
        };
        if kind == Kind::Repository && RepositoryName::parse(name).is_err() {
            return None;
        }
        let mut actions: Vec<Action> = actions.split(',').filter_map(Action::parse).collect();
        actions.sort_unstable();
        actions.dedup();
        (!actions.is_empty()).then(|| Self { kind, name: name.to_owned(), actions })
    }

    /// Whether this is good for all of `other`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let has = |action: &Action| self.actions.contains(action) || self.actions.contains(&Action::All);
        self.kind == other.kind && self.name == other.name && other.actions.iter().all(has)
    }

    /// The part of it that only reads a repository.
    pub(crate) fn reading(&self) -> Option<Self> {
        let reads =
            self.kind == Kind::Repository && self.actions.iter().any(|one| matches!(one, Action::Pull | Action::All));
        reads.then(|| Self { actions: vec![Action::Pull], ..self.clone() })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Repository => "repository",
            Kind::Registry => "registry",
        };
        let actions: Vec<&str> = self.actions.iter().map(|action| action.name()).collect();
        write!(f, "{kind}:{}:{}", self.name, actions.join(","))
    }
}

impl Action {
    fn parse(text: &str) -> Option<Self> {
        [Self::Pull, Self::Push, Self::Delete, Self::All].into_iter().find(|action| action.name() == text)
    }

    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::All => "*",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        Scope::parse_all([text]).iter().map(Scope::to_string).collect()
    }

    #[test]
    fn scopes_are_read_as_clients_write_them() {
        assert_eq!(read("repository:a/b:push,pull"), ["repository:a/b:pull,push"]);
        assert_eq!(read("repository(plugin):a:pull"), ["repository:a:pull"]);
        assert_eq!(read("registry:catalog:*"), ["registry:catalog:*"]);
        assert_eq!(read("repository:a:pull repository:b:delete"), ["repository:a:pull", "repository:b:delete"]);
        assert_eq!(read("repository:a:pull,metadata_read"), ["repository:a:pull"], "unknown actions are left out");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        for text in [
            "",
            "x",
            "repository:a",
            "repository:A:pull",
            "registry:catalog",
            "registry:other:*",
            "x:a:pull",
            "repository:a:admin",
        ] {
            assert!(read(text).is_empty(), "{text}");
        }
        assert_eq!(Scope::parse_all(["repository:a:pull "; 1000]).len(), MOST_SCOPES);
    }

    #[test]
    fn a_scope_covers_what_it_names_and_no_more() {
        let scope = |text| Scope::parse(text).unwrap();
        assert!(scope("repository:a:pull,push").covers(&scope("repository:a:pull")));
        assert!(scope("repository:a:*").covers(&scope("repository:a:delete,push")));
        assert!(!scope("repository:a:pull").covers(&scope("repository:a:pull,push")));
        assert!(!scope("repository:a:*").covers(&scope("repository:a/b:pull")));
        assert!(!scope("repository:catalog:*").covers(&scope("registry:catalog:*")));
    }

    proptest::proptest! {
        #[test]
        fn what_was_read_is_written_and_read_again(text in "(repository|registry):[a-z:/]{0,20}:[a-z,*]{0,20}") {
            for scope in Scope::parse_all([text.as_str()]) {
                proptest::prop_assert_eq!(Scope::parse_all([scope.to_string().as_str()]), vec![scope]);
            }
        }
    }
}
