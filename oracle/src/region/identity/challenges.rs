//! Nonces that presentations of credentials are bound to: of this node, for one tenant, for a few minutes, once.
//!
//! A nonce carries its own end and a tag, so that asking for one costs no memory; only those that were used are
//! remembered, until their end. The key lives as long as the process: a restart ends every nonce.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::TenantId;
use ring::hmac;

/// How long a nonce is good for.
pub(crate) const CHALLENGE_MS: u64 = 300_000;
/// Used nonces that are remembered, in equal shares of the tenants; beyond its share nothing of a tenant is verified
/// until some end.
const USED_MAX: usize = 262_144;
const RANDOM_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 8 + RANDOM_BYTES + TAG_BYTES;

/// Why a nonce was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChallengeError {
    /// Not a nonce of this process for this tenant, or its time has run out.
    Unknown,
    /// It was used.
    Used,
    /// As many were used lately as can be remembered.
    Full,
}

/// A nonce that was checked and not yet used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    end_ms: u64,
    random: [u8; RANDOM_BYTES],
}

/// Ends, in Unix ms, and the random parts of one tenant's used nonces.
type Used = BTreeSet<(u64, [u8; RANDOM_BYTES])>;

/// The nonces of one process.
pub(crate) struct Challenges {
    key: hmac::Key,
    used: Mutex<BTreeMap<TenantId, Used>>,
    of_tenant_max: usize,
}

impl Challenges {
    /// For so many tenants.
    pub(crate) fn new(key: &[u8; 32], tenants: usize) -> Self {
        let of_tenant_max = USED_MAX / tenants.max(1);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), used: Mutex::default(), of_tenant_max }
    }

    /// A nonce for `tenant` made of random bytes, and its end in Unix ms.
    pub(crate) fn issue(&self, tenant: &TenantId, random: [u8; RANDOM_BYTES], now_ms: u64) -> (String, u64) {
        let end_ms = now_ms.saturating_add(CHALLENGE_MS);
        let mut bytes = [0; NONCE_BYTES];
        bytes[..8].copy_from_slice(&end_ms.to_be_bytes());
        bytes[8..8 + RANDOM_BYTES].copy_from_slice(&random);
        let tag = self.tag(tenant, &bytes[..8 + RANDOM_BYTES]);
        bytes[8 + RANDOM_BYTES..].copy_from_slice(&tag.as_ref()[..TAG_BYTES]);
        (URL_SAFE_NO_PAD.encode(bytes), end_ms)
    }

    /// Checks that a nonce is one of these for `tenant`, and in time.
    ///
    /// # Errors
    /// [`ChallengeError::Unknown`].
    pub(crate) fn check(&self, tenant: &TenantId, nonce: &str, now_ms: u64) -> Result<Checked, ChallengeError> {
        let mut bytes = [0; NONCE_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes) {
            Ok(NONCE_BYTES) => {}
            _ => return Err(ChallengeError::Unknown),
        }
        let (signed, tag) = bytes.split_at(8 + RANDOM_BYTES);
        let own = self.tag(tenant, signed);
        let difference = own.as_ref().iter().zip(tag).fold(0, |sum, (a, b)| sum | (a ^ b));
        let (end, random) = signed.split_at(8);
        let (Ok(end), Ok(random)) = (end.try_into(), random.try_into()) else { return Err(ChallengeError::Unknown) };
        let end_ms = u64::from_be_bytes(end);
        if std::hint::black_box(difference) != 0 || end_ms <= now_ms {
            return Err(ChallengeError::Unknown);
        }
        Ok(Checked { end_ms, random })
    }

    /// Uses a nonce. One call succeeds for each, however many come at once.
    ///
    /// # Errors
    /// It was used, or as many were used lately as can be remembered.
    pub(crate) fn use_up(&self, tenant: &TenantId, checked: Checked, now_ms: u64) -> Result<(), ChallengeError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used = used.entry(tenant.clone()).or_default();
        while used.first().is_some_and(|(end_ms, _)| *end_ms <= now_ms) {
            used.pop_first();
        }
        if used.len() >= self.of_tenant_max {
            return Err(ChallengeError::Full);
        }
        if used.insert((checked.end_ms, checked.random)) { Ok(()) } else { Err(ChallengeError::Used) }
    }

    fn tag(&self, tenant: &TenantId, signed: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        // What is signed has a fixed length, so that no two pairs give the same input.
        context.update(signed);
        context.update(tenant.as_str().as_bytes());
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    #[test]
    fn a_nonce_is_one_processes_one_tenants_in_time_and_once() {
        let (challenges, other) = (Challenges::new(&[1; 32], 2), Challenges::new(&[2; 32], 2));
        let (nonce, end_ms) = challenges.issue(&tenant("one"), [9; 16], 1000);
        assert_eq!((nonce.len(), end_ms), (54, 1000 + CHALLENGE_MS));
        let unknown = Err(ChallengeError::Unknown);
        assert_eq!(other.check(&tenant("one"), &nonce, 1000), unknown);
        assert_eq!(challenges.check(&tenant("two"), &nonce, 1000), unknown);
        assert_eq!(challenges.check(&tenant("one"), &nonce, end_ms), unknown);
        for bad in ["", "AAAA", &nonce[1..], &format!("{nonce}A"), &nonce.replace(&nonce[..1], "/")] {
            assert_eq!(challenges.check(&tenant("one"), bad, 1000), unknown);
        }
        let checked = challenges.check(&tenant("one"), &nonce, end_ms - 1).unwrap();
        assert_eq!(challenges.use_up(&tenant("one"), checked, 1000), Ok(()));
        assert_eq!(challenges.use_up(&tenant("one"), checked, 1000), Err(ChallengeError::Used));
        let (fresh, _) = challenges.issue(&tenant("one"), [8; 16], 1000);
        let fresh = challenges.check(&tenant("one"), &fresh, 1000).unwrap();
        assert_eq!(
            (challenges.use_up(&tenant("one"), fresh, end_ms), challenges.used.lock().unwrap()[&tenant("one")].len()),
            (Ok(()), 1),
            "ended ones are forgotten"
        );
    }

    #[test]
    fn what_cannot_be_remembered_is_not_used() {
        let challenges = Challenges::new(&[1; 32], 2);
        let checked = |number: usize| Checked { end_ms: 10, random: (number as u128).to_be_bytes() };
        let use_up = |name, number| challenges.use_up(&tenant(name), checked(number), 0);
        assert!((0..USED_MAX / 2).all(|number| use_up("one", number) == Ok(())));
        assert_eq!(use_up("one", USED_MAX / 2), Err(ChallengeError::Full));
        assert_eq!(use_up("two", USED_MAX / 2), Ok(()), "another tenant has a share of its own");
    }

    proptest! {
        #[test]
        fn every_bit_counts(bit in 0_usize..NONCE_BYTES * 8) {
            let challenges = Challenges::new(&[1; 32], 2);
            let (nonce, _) = challenges.issue(&tenant("one"), [9; 16], 1000);
            let mut bytes = URL_SAFE_NO_PAD.decode(nonce).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(challenges.check(&tenant("one"), &flipped, 1000), Err(ChallengeError::Unknown));
        }
    }
}
