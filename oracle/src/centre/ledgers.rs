//! Nodes' ledgers, followed and countersigned: no node draws noise for a charge that this centre has not seen.

use std::sync::Arc;

use aggregator::centre::CentreStore as _;
use aggregator::centre::follow::{FollowError, OFFER_ENTRIES_MAX, Offer};
use aggregator::release::chain::ENTRY_BYTES_MAX;
use aggregator::release::{Head, LedgerId};
use attest::ledger_checkpoint::NONCE_CHARS;
use attest::{Admission, LedgerCheckpoint};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::Digest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Centre;
use super::access::Caller;
use super::error::CentreError;
use crate::http::JsonBody;

/// Bytes of an offer: its entries in base64 with their quotation marks, and what stands around them.
pub const OFFER_BYTES_MAX: usize = OFFER_ENTRIES_MAX * (ENTRY_BYTES_MAX.div_ceil(3) * 4 + 3) + 1024;

/// Where a node's ledger stands, and its next entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerOffer {
    /// The ledger's name.
    #[schema(value_type = String)]
    pub ledger: LedgerId,
    /// Entries that the whole ledger has at the node.
    pub entries: u64,
    /// What names them all.
    #[schema(value_type = String)]
    pub head: Digest,
    /// Entries before the first one offered here.
    pub after: u64,
    /// Consecutive entries: deterministic CBOR in base64.
    pub offered: Vec<String>,
    /// Stands in the checkpoint: 32 random bytes in base64url.
    pub nonce: String,
}

/// How far the centre has the ledger now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerSeen {
    /// The signed statement: a compact JWS of type `siwa-ledger-checkpoint+jwt`, by the key that signs models.
    pub checkpoint: String,
}

/// Follows a node's ledger and says by signature how far.
///
/// Entries that are known already may be offered again. What does not go on from what this centre has is refused with
/// 409: `ledger-rolled-back`, `ledger-forked`, `ledger-changed` or `ledger-centre-behind`.
#[utoipa::path(
    post, path = "/v1/ledger", operation_id = "offerLedger", tag = "releases", security(("node" = [])),
    request_body = LedgerOffer,
    responses((status = 200, body = LedgerSeen))
)]
pub(super) async fn post(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    JsonBody(offer): JsonBody<LedgerOffer>,
) -> Result<Json<LedgerSeen>, CentreError> {
    let admission = caller.node()?;
    let (node, ledger) = (admission.node().clone(), offer.ledger);
    let seen = centre.follow(&admission, offer).await.inspect_err(|error| {
        if let CentreError::Follow(reason) = error {
            tracing::error!(node = node.as_str(), %ledger, %reason, "a node's ledger cannot be followed");
        }
    });
    seen.map(Json)
}

impl Centre {
    async fn follow(&self, admission: &Admission, offer: LedgerOffer) -> Result<LedgerSeen, CentreError> {
        let malformed = || CentreError::Follow(FollowError::Malformed);
        if offer.nonce.len() != NONCE_CHARS || offer.offered.len() > OFFER_ENTRIES_MAX {
            return Err(malformed());
        }
        let entries = offer.offered.iter().map(|text| STANDARD.decode(text)).collect::<Result<_, _>>();
        let offered = Offer {
            region: admission.region().clone(),
            node: admission.node().clone(),
            ledger: offer.ledger,
            head: Head { entries: offer.entries, digest: offer.head },
            after: offer.after,
            entries: entries.map_err(|_| malformed())?,
        };
        let now_ms = self.clock.now_ms();
        let head = self.store.follow(offered, now_ms).await.map_err(|reason| match reason {
            FollowError::Store(error) => CentreError::Store(error),
            reason => CentreError::Follow(reason),
        })?;
        let checkpoint = LedgerCheckpoint {
            ledger: offer.ledger.to_string(),
            node: admission.node().clone(),
            region: admission.region().clone(),
            entries: head.entries,
            head: head.digest,
            aud: admission.node().clone(),
            nonce: offer.nonce,
            iat: now_ms / 1000,
        };
        Ok(LedgerSeen { checkpoint: checkpoint.sign(&self.key).map_err(CentreError::Signing)? })
    }
}
