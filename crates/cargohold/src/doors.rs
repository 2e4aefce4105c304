//! The gate that the configuration describes.

use std::{sync::Arc, time::SystemTime};

use anyhow::Context;
use cargohold_access::{Gate, Htpasswd, Passwords, TokenKey};

use crate::configuration::Auth;

/// Opens it: the users are read, and a key for this start's tokens is made.
pub(crate) fn gate(auth: &Auth) -> anyhow::Result<Gate> {
    let Some(path) = &auth.htpasswd else {
        return Ok(if auth.open { Gate::open() } else { Gate::this_machine() });
    };
    let mut random = [0; 32];
    getrandom::fill(&mut random).context("this machine has no random numbers")?;
    let key = TokenKey::new(random);
    let users = Htpasswd::open(path, key.clone())
        .with_context(|| format!("auth.htpasswd.path: make the file with `htpasswd -Bc {} <user>`", path.display()))?;
    Ok(Gate::passwords(Passwords {
        users: Arc::new(users),
        realm: auth.realm.clone(),
        anonymous_pull: auth.anonymous_pull,
        key,
        clock: SystemTime::now,
    }))
}
