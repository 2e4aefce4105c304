//! The tags that a repository of another registry has.

use std::{io, path::Path};

use cargohold_blobs::{LinkError, read_link};
use cargohold_metadata::{AdoptTags, AdoptedTag, TagOutcome, Timestamp};
use cargohold_oci::{RepositoryName, Tag};
use futures_util::StreamExt;

use super::{Adoption, Odd, written_at};
use crate::{Error, distribution};

impl Adoption<'_> {
    pub(super) async fn tags(&self, name: &RepositoryName) -> Result<(), Error> {
        let folder = self.path(&distribution::tags(name));
        let mut batches = distribution::list(folder.clone());
        while let Some(batch) = batches.next().await {
            match batch {
                Ok(names) => self.set_all(name, &folder, names).await?,
                Err(error) => self.odd(&folder, Odd::Unreadable(error)),
            }
        }
        Ok(())
    }

    async fn set_all(&self, name: &RepositoryName, folder: &Path, names: Vec<String>) -> Result<(), Error> {
        let mut parsed = Vec::with_capacity(names.len());
        for tag in names {
            match Tag::parse(&tag) {
                Ok(tag) => parsed.push(tag),
                Err(error) => self.odd(folder.join(&tag), Odd::of_name(&tag, Odd::Tag(error))),
            }
        }
        let tags = self.look_at_tags(name, parsed).await?;
        let adopt = AdoptTags { repository: name.clone(), tags: tags.clone() };
        let outcomes = self.registry.0.metadata.run(adopt).await?;
        for (tag, outcome) in tags.into_iter().zip(outcomes) {
            match outcome {
                TagOutcome::Set => {
                    let mut adopted = self.adopted();
                    adopted.tags.all += 1;
                    adopted.tags.new += 1;
                }
                TagOutcome::Stays => self.adopted().tags.all += 1,
                TagOutcome::Dangling => {
                    self.odd(folder.join(tag.tag.as_str()), Odd::DanglingTag(tag.manifest));
                }
            }
        }
        Ok(())
    }

    /// What the tags of a repository name.
    async fn look_at_tags(&self, name: &RepositoryName, tags: Vec<Tag>) -> Result<Vec<AdoptedTag>, Error> {
        let (root, name, now) = (self.disk.root().to_owned(), name.clone(), self.registry.0.environment.now());
        let seen = Self::blocking(move || {
            let link = |tag: &Tag| distribution::current(&name, tag);
            let seen = tags.into_iter().map(|tag| (link(&tag), look(&root.join(link(&tag)), tag, now)));
            seen.collect::<Vec<_>>()
        });
        let mut tags = Vec::new();
        for (path, seen) in seen.await? {
            match seen {
                Ok(tag) => tags.push(tag),
                Err(odd) => self.odd(self.path(&path), odd),
            }
        }
        Ok(tags)
    }
}

/// Reads what a tag names. Blocks.
fn look(link: &Path, tag: Tag, now: Timestamp) -> Result<AdoptedTag, Odd> {
    let manifest = read_link(link).map_err(|error| match error {
        LinkError::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => Odd::TagOfNothing,
        error => Odd::from(error),
    })?;
    let tagged_at = written_at(link, now).map_err(Odd::Unreadable)?;
    Ok(AdoptedTag { tag, manifest, tagged_at })
}
