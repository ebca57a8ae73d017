//! What tests do in place of an exchange between node and centre.

use aggregator::centre::CentreStore as _;
use aggregator::centre::follow::{FollowError, OFFER_ENTRIES_MAX, Offer};
use aggregator::release::{Charge, Head, Ledger, LedgerStore as _, SeenCharge};
use attest::ledger_checkpoint::CheckpointExpectation;
use attest::{LedgerCheckpoint, SigningKey};
use rand_core::{OsRng, TryRngCore as _};

use super::Store;

/// The charge as one that a centre has seen.
pub(crate) async fn seen(ledger: &Ledger<Store>, charge: Charge) -> SeenCharge {
    let (key, head, id) = (SigningKey::generate(&mut OsRng.unwrap_err()), ledger.head(), charge.id().clone());
    let claims = LedgerCheckpoint {
        ledger: ledger.id().to_string(),
        node: id.node.clone(),
        region: id.region.clone(),
        entries: head.entries,
        head: head.digest,
        aud: id.node,
        nonce: String::new(),
        iat: 0,
    };
    let token = claims.sign(&key).unwrap();
    let expected =
        CheckpointExpectation { ledger: &claims.ledger, node: &claims.node, region: &claims.region, nonce: None };
    let verified = LedgerCheckpoint::verify(&token, &key.verifying_key(), &expected).unwrap();
    let countersigned = ledger.countersign(&verified, token).await.unwrap();
    charge.seen(&countersigned).unwrap_or_else(|_| panic!("the checkpoint covers the charge"))
}

/// Lets the centre follow the node's ledger to its end.
pub(crate) async fn follow(
    centre: &Store,
    ledger: &Ledger<Store>,
    region: &str,
    node: &str,
    now_ms: u64,
) -> Result<Head, FollowError> {
    let (region, node) = (region.parse().unwrap(), node.parse().unwrap());
    loop {
        let after = centre.followed(&region, &node).await?.map_or(0, |followed| followed.head.entries);
        let after = after.min(ledger.head().entries);
        let entries = ledger.store().entries(after, OFFER_ENTRIES_MAX).await?;
        let (head, ledger_id) = (ledger.head(), ledger.id());
        let offer = Offer { region: region.clone(), node: node.clone(), ledger: ledger_id, head, after, entries };
        let reached = centre.follow(offer, now_ms).await?;
        if reached.entries >= head.entries {
            return Ok(reached);
        }
    }
}
