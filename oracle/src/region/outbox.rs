//! Sending persisted releases. What was persisted is sent until the centre has it, byte for byte.

use aggregator::release::{Ledger, StoredRelease};

use super::admission::CentreCallError;
use super::node::Node;
use crate::environment::StopPoint;
use crate::store::Store;

/// The media type of a release.
pub(crate) const RELEASE_MEDIA_TYPE: &str = "application/vnd.siwa.release+cbor";
/// Releases read from the store at a time.
const BATCH: usize = 16;

/// What one pass over the outbox came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Releases that the centre has now.
    pub sent: usize,
    /// Releases that it refused for good, which are not offered again.
    pub refused: usize,
    /// Whether the pass ended because the centre could not be reached, did not admit this node, or the store could
    /// not be read. What waits is offered again.
    pub interrupted: bool,
}

impl Node {
    /// Sends what waits, oldest first: the centre refuses a sequence that it has passed.
    pub async fn send_waiting(&self) -> Sent {
        let _one_at_a_time = self.outbox.lock().await;
        let mut pass = Sent::default();
        let Some(ledger) = &self.ledger else { return pass };
        let mut after = 0;
        while let Some(waiting) = self.waiting(ledger, after, &mut pass).await {
            for release in waiting {
                after = release.sequence;
                match self.send(ledger, &release).await {
                    Ok(()) => pass.sent += 1,
                    Err(error) if is_final(&error) => {
                        pass.refused += 1;
                        tracing::error!(release = %release.id, error = &error as &dyn std::error::Error, "the centre refuses a release");
                        self.done(ledger, &release, "refused").await;
                    }
                    Err(error) => {
                        tracing::warn!(release = %release.id, error = &error as &dyn std::error::Error, "a release could not be sent");
                        pass.interrupted = true;
                        self.note_outbox(pass);
                        return pass;
                    }
                }
            }
        }
        self.note_outbox(pass);
        pass
    }

    /// The next releases that wait; nothing where none do.
    async fn waiting(&self, ledger: &Ledger<Store>, after: u64, pass: &mut Sent) -> Option<Vec<StoredRelease>> {
        match ledger.unsent(after, BATCH).await {
            Ok(waiting) if waiting.is_empty() => None,
            Ok(waiting) => Some(waiting),
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read");
                pass.interrupted = true;
                None
            }
        }
    }

    async fn send(&self, ledger: &Ledger<Store>, release: &StoredRelease) -> Result<(), CentreCallError> {
        let client = &self.centre.client;
        self.at_centre(|| client.post("/v1/releases").bytes(RELEASE_MEDIA_TYPE, release.bytes.clone())).await?;
        self.environment.reached(StopPoint::Sent).await;
        self.done(ledger, release, "sent").await;
        Ok(())
    }

    async fn done(&self, ledger: &Ledger<Store>, release: &StoredRelease, outcome: &str) {
        if ledger.mark_sent(&release.id).await.is_err() {
            // It is sent again, and the centre answers the same bytes the same way.
            tracing::warn!(release = %release.id, "a release that is done could not be marked");
        }
        self.metrics.released(&release.id.tenant, release.id.task, outcome);
    }
}

/// Whether the centre's answer stays the same however often it is asked: about this release, not about this node.
fn is_final(error: &CentreCallError) -> bool {
    // A centre that does not know the charge yet, or no longer: it is told of it, or the operator must act.
    let unknown_charge = error.problem() == Some("release-not-charged");
    matches!(error.status(), Some(400 | 409 | 413 | 415 | 422)) && !unknown_charge
}
