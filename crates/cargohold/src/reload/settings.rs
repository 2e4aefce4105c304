//! The configuration, read again while the server runs: who is told of events is changed at once. What else says something else by
//! now is named in the log, since it counts from the next start on.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use cargohold_registry::Registry;

use crate::{
    configuration::{Configuration, ConfigurationError, Told},
    notifications::Couriers,
};

/// The settings that can be changed.
const CHANGEABLE: &str = "notifications.";

/// Where the settings of this server come from, and what they were at its start.
pub(crate) struct Said {
    file: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    at_start: Vec<Setting>,
}

/// A setting, as it was resolved.
struct Setting {
    key: &'static str,
    told: Told,
    /// Somebody named this key; another one may stand for the same.
    is_said: bool,
}

impl Said {
    /// Reads them for the start.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Configuration, Self), ConfigurationError> {
        let environment: Vec<_> = environment.into_iter().collect();
        let mut said = Self { file: file.map(Path::to_owned), environment, at_start: Vec::new() };
        let mut configuration = said.read()?;
        said.at_start = told(&mut configuration);
        Ok((configuration, said))
    }

    /// Reads them again, and has those be told of events that they name now.
    pub(crate) fn read_again(&self, registry: &Registry, couriers: &mut Couriers) -> Result<(), String> {
        let mut configuration = self.read().map_err(|ConfigurationError(problems)| {
            let problems: Vec<_> = problems.iter().map(|problem| problem.to_string().replace("\n  ", ": ")).collect();
            problems.join("; ")
        })?;
        let notifications = couriers.told(&configuration.notifications).map_err(|error| format!("{error:#}"))?;
        registry.change_notifications(notifications);
        let now = told(&mut configuration);
        let changed = self.at_start.iter().zip(&now).filter(|(before, now)| before.told != now.told);
        let changed = changed.filter(|(before, now)| before.is_said || now.is_said).map(|(_, now)| now.key);
        let changed: Vec<_> = changed.filter(|key| !key.starts_with(CHANGEABLE)).collect();
        if !changed.is_empty() {
            tracing::warn!("told to reload: {} changed, which counts from the next start on", changed.join(", "));
        }
        Ok(())
    }

    fn read(&self) -> Result<Configuration, ConfigurationError> {
        Configuration::load(self.file.as_deref(), self.environment.iter().cloned())
    }
}

fn told(configuration: &mut Configuration) -> Vec<Setting> {
    let told = configuration.told().into_iter();
    told.map(|(key, told, origin)| Setting { key, told, is_said: origin.is_some() }).collect()
}
