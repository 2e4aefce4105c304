//! Reading what was trusted by its name.

use std::thread;

use cargohold_blobs::Pace;
use cargohold_metadata::CheckedObject;
use futures_util::{StreamExt, stream};

use super::{Adopting, Adoption, Odd};
use crate::{Error, Problem};

/// Objects listed at once.
const PAGE: u16 = 500;

impl Adoption<'_> {
    /// Reads every blob of the store that nobody has read here yet; what is damaged is marked as missing.
    pub(super) async fn verify(&self) -> Result<(), Error> {
        let metadata = &self.registry.0.metadata;
        (self.tell)(Adopting::ToRead(metadata.unverified_holdings(self.store).await?.bytes));
        let at_a_time = thread::available_parallelism().map_or(1, usize::from);
        let mut after = None;
        loop {
            let page = metadata.unverified_objects(self.store, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.object);
            let mut reads = stream::iter(page).map(|object| self.read(object)).buffer_unordered(at_a_time);
            while let Some(read) = reads.next().await {
                read?;
            }
        }
    }

    async fn read(&self, object: CheckedObject) -> Result<(), Error> {
        let problem = self.registry.examine(&object, Some(Pace::Fast)).await?;
        self.registry.settle(&object, problem.as_ref()).await?;
        (self.tell)(Adopting::Read(object.size));
        let digest = object.digest;
        let odd = match problem {
            None => {
                self.adopted().verified += 1;
                return Ok(());
            }
            Some(Problem::Missing { .. }) => Odd::NoBytes(digest),
            Some(Problem::Damaged { found, .. }) => Odd::Damaged { digest, found },
            Some(problem) => Odd::Damaged { digest, found: problem.to_string() },
        };
        self.odd(self.path(&object.key), odd);
        Ok(())
    }
}
