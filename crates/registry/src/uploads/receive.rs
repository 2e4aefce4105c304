//! Taking a body in.

use futures_util::StreamExt;

use super::{Content, session::Session};
use crate::{Error, Registry};

impl Registry {
    /// Writes the whole body behind what the session has. Nothing of it counts before it is synced and committed.
    pub(super) async fn receive(
        &self,
        session: &mut Session,
        mut content: Content,
        announced: Option<u64>,
    ) -> Result<(), Error> {
        let mut brought = 0;
        loop {
            let chunk = tokio::select! {
                biased;
                () = session.writer.stopped() => return Err(Error::Superseded { received: session.seen.received }),
                chunk = content.next() => chunk,
            };
            let Some(chunk) = chunk else { break };
            let chunk = chunk.map_err(Error::BrokenBody)?;
            if chunk.is_empty() {
                continue;
            }
            brought += chunk.len() as u64;
            if let Some(announced) = announced
                && brought > announced
            {
                return Err(Error::WrongLength { announced, brought });
            }
            self.become_writer(session).await?;
            session.writer.write(chunk).await?;
        }
        match announced {
            Some(announced) if brought != announced => Err(Error::WrongLength { announced, brought }),
            _ => Ok(()),
        }
    }
}
