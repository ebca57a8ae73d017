//! Having the ledger countersigned: what was charged is noised only after the centre has said by signature that it knows.
//!
//! While the centre does not answer, closed windows wait in memory with their charges. Their number is bounded; beyond it
//! the oldest is dropped, and burned at the next start. Where the centre has something against the ledger, nothing is
//! charged until it has not, and `/readyz` says what.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use aggregator::centre::follow::OFFER_ENTRIES_MAX;
use aggregator::release::{Charge, ClosedTask, CountersignError, Countersigned, Ledger, LedgerStore as _, StoreError};
use attest::ledger_checkpoint::CheckpointExpectation;
use attest::{CheckpointError, LedgerCheckpoint};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use policies::WindowId;

use super::admission::CentreCallError;
use super::node::{Node, Suspension};
use super::window::Turn;
use crate::centre::ledgers::{LedgerOffer, LedgerSeen};
use crate::client::ClientError;
use crate::environment::{EntropyError, StopPoint};
use crate::http::Condition;
use crate::store::Store;

/// Windows that wait in memory for the centre. Beyond them the oldest is dropped.
pub(crate) const WINDOWS_WAITING_MAX: usize = 8;

/// Why the ledger is not countersigned.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    /// There is no answer, or a refusal.
    #[error(transparent)]
    Centre(#[from] CentreCallError),
    /// The answer cannot be read.
    #[error("the centre's answer cannot be read")]
    Answer(#[from] ClientError),
    /// The answer is no checkpoint for this node.
    #[error("the centre's checkpoint is refused")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is not of this chain.
    #[error("the centre's checkpoint does not fit the ledger")]
    Countersign(#[from] CountersignError),
    /// No randomness for a nonce.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The centre answers, and comes no further.
    #[error("the centre does not take the ledger's entries")]
    Stuck,
}

impl ExchangeError {
    /// What it says against the ledger; nothing where a later attempt may go better.
    fn suspension(&self) -> Option<Suspension> {
        match self {
            Self::Centre(error) => Some(match error.problem()? {
                "ledger-rolled-back" => Suspension::RolledBack,
                "ledger-forked" => Suspension::Forked,
                "ledger-changed" => Suspension::OtherLedger,
                "ledger-centre-behind" => Suspension::CentreBehind,
                "ledger-refused" => Suspension::EntryRefused,
                _ => return None,
            }),
            Self::Countersign(CountersignError::RolledBack) => Some(Suspension::RolledBack),
            Self::Countersign(CountersignError::Forked) => Some(Suspension::Forked),
            Self::Countersign(CountersignError::Ledger) => Some(Suspension::OtherLedger),
            Self::Countersign(CountersignError::Store(_)) | Self::Store(_) => Some(Suspension::Ledger),
            Self::Answer(_) | Self::Checkpoint(_) | Self::Entropy(_) | Self::Stuck => None,
        }
    }
}

/// A closed window's charged releases.
struct WaitingWindow {
    window: WindowId,
    releases: Vec<(Charge, ClosedTask)>,
}

/// How the last exchange with the centre ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Standing {
    #[default]
    Untried,
    /// The centre has the whole ledger.
    Seen,
    /// It did not answer, or not in a way that says something of the ledger.
    Unanswered,
    /// It has something against the ledger.
    Stopped(Suspension),
}

/// What waits, and how the centre stands to the ledger.
#[derive(Default)]
pub(crate) struct Waiting {
    windows: Mutex<VecDeque<WaitingWindow>>,
    standing: Mutex<Standing>,
    /// Held for a whole exchange.
    exchange: tokio::sync::Mutex<()>,
}

impl Waiting {
    /// Releases that wait.
    pub(super) fn releases(&self) -> usize {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.iter().map(|window| window.releases.len()).sum()
    }

    /// What the centre has against the ledger.
    pub(super) fn stopped(&self) -> Option<Suspension> {
        match self.standing() {
            Standing::Stopped(why) => Some(why),
            Standing::Untried | Standing::Seen | Standing::Unanswered => None,
        }
    }

    fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stands(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// Puts a window behind the others; what is beyond the bound comes back.
    fn push(&self, window: WaitingWindow) -> Option<WaitingWindow> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.push_back(window);
        if windows.len() > WINDOWS_WAITING_MAX { windows.pop_front() } else { None }
    }

    fn take(&self) -> VecDeque<WaitingWindow> {
        std::mem::take(&mut *self.windows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What `/readyz` says.
    pub(super) fn condition(&self) -> Condition {
        let waiting = self.releases();
        match self.standing() {
            Standing::Unanswered => {
                let detail = format!("the centre has not confirmed the ledger: {waiting} charged releases wait for it");
                Condition::degraded("countersigned", detail)
            }
            Standing::Stopped(_) => Condition::degraded("countersigned", "the centre does not confirm this ledger"),
            Standing::Untried | Standing::Seen => Condition::met("countersigned"),
        }
    }
}

/// What became of releases that waited.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) released: usize,
    pub(super) withheld: usize,
    pub(super) standing: Vec<Suspension>,
}

impl Node {
    /// Lets a window's charged releases wait for the centre.
    pub(super) fn wait_for_centre(
        &self,
        window: WindowId,
        releases: Vec<(Charge, ClosedTask)>,
        outcome: &mut Turn,
        standing: &mut Vec<Suspension>,
    ) {
        if releases.is_empty() {
            return;
        }
        let Some(dropped) = self.waiting.push(WaitingWindow { window, releases }) else { return };
        tracing::error!(window = %dropped.window, "too many windows wait for the centre: the oldest is dropped");
        for (charge, _) in &dropped.releases {
            self.metrics.released(&charge.id().tenant, charge.id().task, "withheld");
        }
        outcome.withheld += dropped.releases.len();
        self.suspend(Suspension::Dropped, dropped.window);
        standing.push(Suspension::Dropped);
    }

    /// Has the ledger countersigned, and noises and persists what waited for it.
    pub(super) async fn settle(&self) -> Settled {
        let _one_at_a_time = self.waiting.exchange.lock().await;
        let mut settled = Settled::default();
        let Some(ledger) = &self.ledger else { return settled };
        let countersigned = match self.exchange_ledger(ledger).await {
            Ok(countersigned) => countersigned,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the ledger is not countersigned");
                let stopped = error.suspension();
                self.waiting.stands(stopped.map_or(Standing::Unanswered, Standing::Stopped));
                if let Some(why) = stopped {
                    self.suspend(why, self.window_at(self.environment.clock.now_ms()));
                    settled.standing.push(why);
                }
                return settled;
            }
        };
        self.waiting.stands(Standing::Seen);
        self.resume_ledger();
        for WaitingWindow { window, releases } in self.waiting.take() {
            self.release_window(window, releases, &countersigned, &mut settled).await;
        }
        settled
    }

    async fn release_window(
        &self,
        window: WindowId,
        releases: Vec<(Charge, ClosedTask)>,
        countersigned: &Countersigned,
        settled: &mut Settled,
    ) {
        let mut left = Vec::new();
        for (charge, task) in releases {
            let id = charge.id().clone();
            let seen = match charge.seen(countersigned) {
                Ok(seen) => seen,
                Err(charge) => {
                    left.push((charge, task));
                    continue;
                }
            };
            self.environment.reached(StopPoint::Countersigned).await;
            match self.noise_and_persist(seen, task).await {
                Ok(()) => {
                    settled.released += 1;
                    self.metrics.released(&id.tenant, id.task, "persisted");
                }
                Err(why) => {
                    settled.withheld += 1;
                    self.metrics.released(&id.tenant, id.task, "withheld");
                    self.suspend(why, window);
                    settled.standing.push(why);
                }
            }
        }
        if !left.is_empty() {
            // Charged after the exchange began: the next one covers them. There is room, since all others were taken.
            self.waiting.push(WaitingWindow { window, releases: left });
        }
    }

    /// Offers the centre what it has not confirmed, until it has all of it. Asked also where nothing is new: that the
    /// centre knows this ledger, and no longer one, is worth knowing before the next charge.
    async fn exchange_ledger(&self, ledger: &Ledger<Store>) -> Result<Countersigned, ExchangeError> {
        let mut after = ledger.countersigned().map_or(0, |seen| seen.head().entries);
        loop {
            let head = ledger.head();
            let countersigned = self.offer_entries(ledger, after).await?;
            let reached = countersigned.head().entries;
            if reached >= head.entries {
                return Ok(countersigned);
            }
            if reached <= after {
                return Err(ExchangeError::Stuck);
            }
            after = reached;
        }
    }

    async fn offer_entries(&self, ledger: &Ledger<Store>, after: u64) -> Result<Countersigned, ExchangeError> {
        let (head, name) = (ledger.head(), ledger.id().to_string());
        let entries = ledger.store().entries(after, OFFER_ENTRIES_MAX).await?;
        let unmoved = head.entries.saturating_sub(after);
        let offer = LedgerOffer {
            ledger: ledger.id(),
            entries: head.entries,
            head: head.digest,
            after,
            // A charge that was made meanwhile is none of what the head names.
            offered: (0..unmoved).zip(&entries).map(|(_, entry)| STANDARD.encode(entry)).collect(),
            nonce: URL_SAFE_NO_PAD.encode(self.environment.entropy.bytes::<32>()?),
        };
        let client = &self.centre.client;
        let answer = self.at_centre(|| client.post("/v1/ledger").json(&offer)).await?;
        let LedgerSeen { checkpoint: token } = answer.json()?;
        let region = self.in_force().rule.region.clone();
        let expected =
            CheckpointExpectation { ledger: &name, node: &self.name, region: &region, nonce: Some(&offer.nonce) };
        let verified = LedgerCheckpoint::verify(&token, &self.centre.key, &expected)?;
        Ok(ledger.countersign(&verified, token).await?)
    }
}
