//! What the tests of a node's services share: the parts of a node without ledger and identity, whose centre is not there.

use std::collections::BTreeMap;
use std::time::Duration;

use attest::{AdmissionMode, PairwiseSecret, SigningKey};
use policies::{Bundle, Digest, PolicySet, TenantId};
use prometheus::Registry;
use rand_core::{OsRng, TryRngCore as _};

use super::{CentreLink, Node, NodeOptions, TenantAccess};
use crate::attester::AttestationOptions;
use crate::client::{Client, ClientOptions};
use crate::clock::Clock;
use crate::environment::{Entropy, Environment, NoiseMode};

/// A node of `region` with fresh keys, for these tenants.
pub(crate) fn node_options(
    region: &str,
    policies: PolicySet,
    tenants: BTreeMap<TenantId, TenantAccess>,
) -> NodeOptions {
    let mut rng = OsRng.unwrap_err();
    NodeOptions {
        name: "node-1".parse().unwrap(),
        region: region.parse().unwrap(),
        policies: signed(&policies),
        tenants,
        node_key: SigningKey::generate(&mut rng),
        answer_key: SigningKey::generate(&mut rng),
        pairwise: PairwiseSecret::generate(&mut rng),
        centre: CentreLink {
            // Port 9 of loopback: nobody listens, so that a connection is refused at once.
            client: Client::new(ClientOptions::new("http://127.0.0.1:9", Vec::new())).unwrap(),
            name: "centre".to_owned(),
            key: SigningKey::generate(&mut rng).verifying_key(),
            log: crate::log::testing::keys(),
            admission: AdmissionMode::PinnedKey,
            interval: Duration::from_secs(30),
        },
        attestation: AttestationOptions::default(),
        tls_spki: Digest::of(b"spki"),
        config: Digest::of(b"config"),
        store: None,
        sessions_max: 10,
        identity: None,
        content: None,
        registry: Registry::new(),
    }
}

/// Signed by a key of its own.
pub(crate) fn signed(policies: &PolicySet) -> Bundle {
    crate::policy_signing::self_signed(policies, 1, SigningKey::generate(&mut OsRng.unwrap_err())).unwrap()
}

/// Real randomness and noise, on this clock.
pub(crate) fn environment(clock: Clock) -> Environment {
    Environment { clock, entropy: Entropy::Os, noise: NoiseMode::Calibrated, stop_at: None }
}

impl Node {
    /// Has the ledger countersigned, and noises what waited for it, as the background work does.
    pub(crate) async fn settle_now(&self) {
        self.settle().await;
    }
}
