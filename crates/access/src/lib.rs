//! Who is asking, and what they may do.
//!
//! The one gate: it answers whether a caller may do something to a repository with a [`Permit`], which nothing else can make.
//! What a registry does takes permits as arguments, so an operation that nobody asked the gate about does not compile:
//!
//! ```compile_fail
//! use cargohold_access::{Permit, Push};
//! let forged = Permit::<Push> { repository: "library/alpine".parse().unwrap(), right: std::marker::PhantomData };
//! ```
//!
//! It knows nothing of what repositories hold: whether one exists, and who can see it, is settled by the operation's own query.

#![forbid(unsafe_code)]

mod credentials;
mod gate;
mod htpasswd;
mod permit;
mod scope;
mod token;

pub use credentials::{Credentials, CredentialsError};
pub use gate::{Caller, Challenge, Denied, Gate, Granted, Passwords, Provenance, Refusal, names_this_machine};
pub use htpasswd::{Htpasswd, HtpasswdError};
pub use permit::{CatalogPermit, Delete, OperatorPermit, Permit, Pull, PullAnywhere, Push, Right};
pub use scope::{Action, Scope};
pub use token::{TOKEN_LIFETIME, TokenKey};
