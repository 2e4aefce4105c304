//! Deletions, as clients ask for them. What the answer must be follows from the ledger, unless others are at the same thing.

use anyhow::{Result, ensure};
use ureq::http::Method;

use super::facts::{Expected, Place};
use super::ledger::{Request, SHARED};
use super::pushes::Client;
use crate::e2e::registry::Answer;

impl Client<'_> {
    /// Deletes a blob: refused if a manifest there needs it.
    pub(super) fn delete_blob(&self, repository: &'static str, digest: &str) -> Result<()> {
        let place = [Place::blob(repository, digest)];
        let (held, stood) = (self.ledger.is_held(&place[0]), self.ledger.stand(&place));
        let ticket = self.ledger.begin(Request::DeleteBlob { repository, digest: digest.to_owned() });
        // Our own deletion counts as well.
        let stood = stood.map(|stood| stood + 1);
        let answer = self.ask_to_delete(repository, &format!("blobs/{digest}"))?;
        if answer.status() == 202 {
            let needed = held && self.ledger.is_held(&place[0]) && self.ledger.stand(&place) == stood;
            ensure!(!needed, "the blob {digest} of {repository} was deleted, though a manifest needs it");
            self.ledger.acknowledge(ticket);
            return Ok(());
        }
        self.ledger.withdraw(ticket);
        if answer.status() == 405 {
            ensure!(
                held || repository == SHARED,
                "the blob {digest} of {repository} could not be deleted, though no manifest needs it"
            );
            return Ok(());
        }
        answer.expect(404, "202, 404 or 405")?;
        self.may_be_gone(stood, &place, "is not there to DELETE")
    }

    /// Deletes a manifest, with all that only it kept. Only its own pusher does.
    pub(super) fn delete_manifest(&self, repository: &'static str, digest: &str) -> Result<()> {
        let expected = self.ledger.expected(&Place::manifest(repository, digest));
        let ticket = self.ledger.begin(Request::DeleteManifest { repository, digest: digest.to_owned() });
        let answer = self.ask_to_delete(repository, &format!("manifests/{digest}"))?;
        if expected == Expected::There {
            answer.expect(202, "202, since it was acknowledged and not deleted")?;
            self.ledger.acknowledge(ticket);
        } else {
            answer.expect(404, "404, since it is not there")?;
            self.ledger.withdraw(ticket);
        }
        Ok(())
    }

    /// Deletes a tag.
    pub(super) fn delete_tag(&self, repository: &'static str, tag: &str) -> Result<()> {
        let expected = self.ledger.expected(&Place::tag(repository, tag));
        let ticket = self.ledger.begin(Request::DeleteTag { repository, tag: tag.to_owned() });
        let answer = self.ask_to_delete(repository, &format!("manifests/{tag}"))?;
        if repository != SHARED {
            let (status, why) = match expected {
                Expected::There => (202, "202, since the tag is there"),
                _ => (404, "404, since the tag is not there"),
            };
            ensure!(answer.status() == status, "{}", answer.wrong(format!("answered {}, not {why}", answer.status())));
        }
        if answer.status() == 202 {
            self.ledger.acknowledge(ticket);
        } else {
            answer.expect(404, "202 or 404")?;
            self.ledger.withdraw(ticket);
        }
        Ok(())
    }

    fn ask_to_delete(&self, repository: &str, rest: &str) -> Result<Answer> {
        Ok(self.registry.send(&Method::DELETE, &self.registry.path(repository, rest), &[], None)?)
    }
}
