//! Permits: values that say what their holder may do to which repository.

use std::{fmt, marker::PhantomData};

use cargohold_oci::RepositoryName;

use crate::scope::Action;

/// A right to one kind of operation. Sealed: the rights are those of this module.
pub trait Right: sealed::Sealed + Send + Sync + 'static {
    /// What it is called in tokens and messages.
    const ACTION: Action;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! right {
    ($($(#[$doc:meta])* $right:ident = $action:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $right {}

        impl sealed::Sealed for $right {}

        impl Right for $right {
            const ACTION: Action = $action;
        }
    )+};
}

right! {
    /// To read manifests, tags and blobs.
    Pull = Action::Pull;
    /// To add manifests, tags and blobs.
    Push = Action::Push;
    /// To delete manifests, tags and blobs.
    Delete = Action::Delete;
}

/// Leave to do `R` to one repository. Only [`Gate`](crate::Gate) makes them.
pub struct Permit<R: Right> {
    repository: RepositoryName,
    right: PhantomData<R>,
}

impl<R: Right> Permit<R> {
    pub(crate) fn new(repository: RepositoryName) -> Self {
        Self { repository, right: PhantomData }
    }

    /// The repository that it is for.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }
}

/// Whoever has leave has it for every step of what was asked.
impl<R: Right> Clone for Permit<R> {
    fn clone(&self) -> Self {
        Self::new(self.repository.clone())
    }
}

impl<R: Right> fmt::Debug for Permit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({} {})", R::ACTION.name(), self.repository)
    }
}

/// Leave to read whatever any repository has. Only [`Gate`](crate::Gate) makes them.
#[derive(Debug)]
pub struct PullAnywhere(());

impl PullAnywhere {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

/// Leave to see how the registry itself is doing, and to steer it. Only [`Gate`](crate::Gate) makes them.
#[derive(Debug)]
pub struct OperatorPermit(());

impl OperatorPermit {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

/// Leave to see which repositories there are. Only [`Gate`](crate::Gate) makes them.
#[derive(Debug)]
pub struct CatalogPermit(());

impl CatalogPermit {
    pub(crate) fn new() -> Self {
        Self(())
    }
}
