//! Bringing the identity service's key epochs to the transparency log: a key set that was made for one viewer alone would
//! have to stand there for all to see.

use std::sync::atomic::Ordering;

use super::node::Node;
use super::pull::PullError;
use crate::centre::log::{EPOCHS_AT_ONCE_MAX, KeyEpochsBrought, KeyEpochsKnown};

impl Node {
    /// Brings what the centre does not have yet. A failure is logged, and tried again at the next exchange.
    pub(crate) async fn bring_key_epochs(&self) {
        if let Err(error) = self.bring_new_epochs().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "key epochs could not be brought to the log");
        }
    }

    async fn bring_new_epochs(&self) -> Result<(), PullError> {
        let Some(identity) = &self.identity else { return Ok(()) };
        let ring = identity.ring.load_full();
        let texts = ring.log.texts();
        // At the first call of a process the centre says what it has: nothing is brought.
        let mut known = self.epochs_brought.load(Ordering::Relaxed);
        while known != texts.len() as u64 {
            let begin = if known == u64::MAX { texts.len() } else { usize::try_from(known).unwrap_or(texts.len()) };
            let new = texts.iter().skip(begin).take(EPOCHS_AT_ONCE_MAX);
            let brought = KeyEpochsBrought {
                issuer: identity.issuer().to_owned(),
                first: u32::try_from(begin).unwrap_or(u32::MAX),
                statements: new.cloned().collect(),
            };
            let call = || self.centre.client.post("/v1/log/key-epochs").json(&brought);
            let answer: KeyEpochsKnown = self.at_centre(call).await?.json()?;
            if answer.known == known || answer.known > texts.len() as u64 {
                return Err(PullError::KeyEpochs);
            }
            known = answer.known;
            self.epochs_brought.store(known, Ordering::Relaxed);
        }
        Ok(())
    }
}
