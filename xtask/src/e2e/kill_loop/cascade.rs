//! What goes with a manifest that is deleted: every tag that names it, the tags that clients keep about it, the children that nothing
//! else holds, and its referrers, if nothing else holds them. A manifest is held by a tag, by an index, and, as a referrer, by its
//! subject.
//!
//! Written from what the documents promise, not from the server's code.

use std::collections::{BTreeMap, BTreeSet};

use super::content::Manifest;

/// What one repository has.
#[derive(Debug, Default)]
pub(super) struct Holdings<'a> {
    /// By digest.
    pub(super) manifests: BTreeMap<&'a str, &'a Manifest>,
    /// What they name.
    pub(super) tags: BTreeMap<&'a str, &'a str>,
}

/// What a deletion takes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) manifests: BTreeSet<String>,
    pub(super) tags: BTreeSet<String>,
}

impl<'a> Holdings<'a> {
    /// What is gone if `root` is deleted.
    pub(super) fn delete(mut self, root: &str) -> Taken {
        let mut taken = Taken::default();
        let mut falling: Vec<String> = vec![root.to_owned()];
        while let Some(digest) = falling.pop() {
            let Some(fallen) = self.manifests.remove(digest.as_str()) else { continue };
            let let_go = self.let_go(fallen, &mut taken.tags);
            taken.manifests.insert(digest);
            falling.extend(let_go.into_iter().filter(|manifest| !self.holds(manifest)).map(str::to_owned));
        }
        taken
    }

    /// Removes the tags of what fell; answers which manifests may have lost their hold.
    fn let_go(&mut self, fallen: &'a Manifest, taken: &mut BTreeSet<String>) -> Vec<&'a str> {
        let about = ["", ".sig", ".att", ".sbom"].map(|suffix| Manifest::tag_about(&fallen.digest, suffix));
        let mut let_go: Vec<&str> = fallen.children.iter().map(|child| child.digest.as_str()).collect();
        self.tags.retain(|tag, named| {
            let goes = *named == fallen.digest || about.iter().any(|about| about == tag);
            if goes {
                taken.insert((*tag).to_owned());
                let_go.push(*named);
            }
            !goes
        });
        let referrers = self.manifests.iter().filter(|(_, one)| one.subject.as_ref() == Some(&fallen.digest));
        let_go.extend(referrers.map(|(digest, _)| *digest));
        let_go
    }

    fn holds(&self, digest: &str) -> bool {
        let subject = self.manifests.get(digest).and_then(|manifest| manifest.subject.as_deref());
        self.tags.values().any(|named| *named == digest)
            || self.manifests.values().any(|index| index.children.iter().any(|child| child.digest == digest))
            || subject.is_some_and(|subject| self.manifests.contains_key(subject))
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::{Blob, Manifest};
    use super::Holdings;

    fn image(nonce: u64) -> Manifest {
        Manifest::image(&[Blob::new(1)], false, nonce)
    }

    /// How many manifests and tags go with the first of `manifests`.
    fn taken(manifests: &[&Manifest], tags: &[(&str, &Manifest)]) -> (usize, usize) {
        let holdings = Holdings {
            manifests: manifests.iter().map(|manifest| (manifest.digest.as_str(), *manifest)).collect(),
            tags: tags.iter().map(|(tag, manifest)| (*tag, manifest.digest.as_str())).collect(),
        };
        let taken = holdings.delete(&manifests[0].digest);
        (taken.manifests.len(), taken.tags.len())
    }

    #[test]
    fn an_index_takes_the_children_that_nothing_else_holds() {
        let (one, two) = (image(1), image(2));
        let index = Manifest::index(&[one.clone(), two.clone()], 1);
        let other = Manifest::index(std::slice::from_ref(&one), 2);
        assert_eq!(taken(&[&index, &one, &two], &[("latest", &index)]), (3, 1));
        assert_eq!(taken(&[&index, &one, &two], &[("two", &two)]), (2, 0));
        assert_eq!(taken(&[&index, &one, &two, &other], &[]), (2, 0));
        assert_eq!(taken(&[&one, &index, &two], &[]), (1, 0), "an index stays without its child");
    }

    #[test]
    fn a_subject_takes_its_referrers_and_what_clients_keep_about_it() {
        let subject = image(1);
        let referrer = Manifest::about(&subject, &[Blob::new(1)], 1);
        let further = Manifest::about(&referrer, &[Blob::new(1)], 2);
        assert_eq!(taken(&[&subject, &referrer, &further], &[]), (3, 0));
        assert_eq!(taken(&[&subject, &referrer, &further], &[("sbom", &referrer)]), (1, 0));
        let signature = image(2);
        let tag = Manifest::tag_about(&subject.digest, ".sig");
        assert_eq!(taken(&[&subject, &signature], &[(&tag, &signature)]), (2, 1));
        assert_eq!(taken(&[&subject, &signature], &[(&tag, &signature), ("kept", &signature)]), (1, 1));
    }
}
