//! Nonces of a process, for one party each, for a few minutes, once: presentations of credentials and evidence are bound
//! to them.
//!
//! A nonce carries its own end and a tag, so that asking for one costs no memory; only those that were used are
//! remembered, until their end. The key lives as long as the process: a restart ends every nonce.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use ring::hmac;

/// How long a nonce is good for.
pub const CHALLENGE_MS: u64 = 300_000;
/// Used nonces that are remembered, in equal shares of the parties; beyond its share nothing of a party is verified
/// until some end.
const USED_MAX: usize = 262_144;
const RANDOM_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 8 + RANDOM_BYTES + TAG_BYTES;

/// Why a nonce was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// Not a nonce of this process for this party, or its time has run out.
    #[error("the nonce is not one of this service for this caller, or its time has run out")]
    Unknown,
    /// It was used.
    #[error("the nonce was used")]
    Used,
    /// As many were used lately as can be remembered.
    #[error("more nonces were used lately than are remembered")]
    Full,
}

/// A nonce that was checked and not yet used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    end_ms: u64,
    random: [u8; RANDOM_BYTES],
}

/// A nonce that nobody used before: it witnesses that it was consumed, atomically, before anything was verified by it.
#[derive(PartialEq, Eq)]
pub struct FreshNonce(String);

impl FreshNonce {
    /// A nonce of the verifier's own making, for one question that it asks now.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// A text of a test's own.
    #[cfg(test)]
    pub(crate) fn of_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The nonce, as it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the nonce.
    #[must_use]
    pub fn is(&self, nonce: &str) -> bool {
        self.0 == nonce
    }
}

/// Ends, in Unix ms, and the random parts of one party's used nonces.
type Used = BTreeSet<(u64, [u8; RANDOM_BYTES])>;

/// The nonces of one process.
pub struct Challenges {
    key: hmac::Key,
    used: Mutex<BTreeMap<String, Used>>,
    of_party_max: usize,
}

impl Challenges {
    /// For so many parties: tenants, or the nodes of a centre together.
    #[must_use]
    pub fn new(key: &[u8; 32], parties: usize) -> Self {
        let of_party_max = USED_MAX / parties.max(1);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), used: Mutex::default(), of_party_max }
    }

    /// A nonce for `party` made of random bytes, and its end in Unix ms.
    #[must_use]
    pub fn issue(&self, party: &str, random: [u8; RANDOM_BYTES], now_ms: u64) -> (String, u64) {
        let end_ms = now_ms.saturating_add(CHALLENGE_MS);
        let mut bytes = [0; NONCE_BYTES];
        bytes[..8].copy_from_slice(&end_ms.to_be_bytes());
        bytes[8..8 + RANDOM_BYTES].copy_from_slice(&random);
        let tag = self.tag(party, &bytes[..8 + RANDOM_BYTES]);
        bytes[8 + RANDOM_BYTES..].copy_from_slice(&tag.as_ref()[..TAG_BYTES]);
        (URL_SAFE_NO_PAD.encode(bytes), end_ms)
    }

    /// Checks that a nonce is one of these for `party`, and in time.
    ///
    /// # Errors
    /// [`ChallengeError::Unknown`].
    pub fn check(&self, party: &str, nonce: &str, now_ms: u64) -> Result<Checked, ChallengeError> {
        let mut bytes = [0; NONCE_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes) {
            Ok(NONCE_BYTES) => {}
            _ => return Err(ChallengeError::Unknown),
        }
        let (signed, tag) = bytes.split_at(8 + RANDOM_BYTES);
        let own = self.tag(party, signed);
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
    pub fn use_up(&self, party: &str, checked: Checked, now_ms: u64) -> Result<(), ChallengeError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used = used.entry(party.to_owned()).or_default();
        while used.first().is_some_and(|(end_ms, _)| *end_ms <= now_ms) {
            used.pop_first();
        }
        if used.len() >= self.of_party_max {
            return Err(ChallengeError::Full);
        }
        if used.insert((checked.end_ms, checked.random)) { Ok(()) } else { Err(ChallengeError::Used) }
    }

    /// Checks a nonce and uses it up, before anything else is looked at.
    ///
    /// # Errors
    /// As [`Challenges::check`] and [`Challenges::use_up`].
    pub fn take(&self, party: &str, nonce: &str, now_ms: u64) -> Result<FreshNonce, ChallengeError> {
        let checked = self.check(party, nonce, now_ms)?;
        self.use_up(party, checked, now_ms)?;
        Ok(FreshNonce(nonce.to_owned()))
    }

    fn tag(&self, party: &str, signed: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        // What is signed has a fixed length, so that no two pairs give the same input.
        context.update(signed);
        context.update(party.as_bytes());
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_nonce_is_one_processes_one_tenants_in_time_and_once() {
        let (challenges, other) = (Challenges::new(&[1; 32], 2), Challenges::new(&[2; 32], 2));
        let (nonce, end_ms) = challenges.issue("one", [9; 16], 1000);
        assert_eq!((nonce.len(), end_ms), (54, 1000 + CHALLENGE_MS));
        let unknown = Err(ChallengeError::Unknown);
        assert_eq!(other.check("one", &nonce, 1000), unknown);
        assert_eq!(challenges.check("two", &nonce, 1000), unknown);
        assert_eq!(challenges.check("one", &nonce, end_ms), unknown);
        for bad in ["", "AAAA", &nonce[1..], &format!("{nonce}A"), &nonce.replace(&nonce[..1], "/")] {
            assert_eq!(challenges.check("one", bad, 1000), unknown);
        }
        let checked = challenges.check("one", &nonce, end_ms - 1).unwrap();
        assert_eq!(challenges.use_up("one", checked, 1000), Ok(()));
        assert_eq!(challenges.use_up("one", checked, 1000), Err(ChallengeError::Used));
        let (fresh, _) = challenges.issue("one", [8; 16], 1000);
        let fresh = challenges.check("one", &fresh, 1000).unwrap();
        assert_eq!(
            (challenges.use_up("one", fresh, end_ms), challenges.used.lock().unwrap()["one"].len()),
            (Ok(()), 1),
            "ended ones are forgotten"
        );
    }

    #[test]
    fn what_cannot_be_remembered_is_not_used() {
        let challenges = Challenges::new(&[1; 32], 2);
        let checked = |number: usize| Checked { end_ms: 10, random: (number as u128).to_be_bytes() };
        let use_up = |name, number| challenges.use_up(name, checked(number), 0);
        assert!((0..USED_MAX / 2).all(|number| use_up("one", number) == Ok(())));
        assert_eq!(use_up("one", USED_MAX / 2), Err(ChallengeError::Full));
        assert_eq!(use_up("two", USED_MAX / 2), Ok(()), "another tenant has a share of its own");
    }

    #[test]
    fn of_many_takers_at_once_one_wins() {
        let challenges = Challenges::new(&[1; 32], 1);
        for round in 0..20 {
            let (nonce, _) = challenges.issue("nodes", [round; 16], 1000);
            let barrier = std::sync::Barrier::new(4);
            let results: Vec<Result<String, ChallengeError>> = std::thread::scope(|scope| {
                let take = || {
                    barrier.wait();
                    challenges.take("nodes", &nonce, 1000).map(|fresh| fresh.as_str().to_owned())
                };
                let takers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
                takers.into_iter().map(|taker| taker.join().unwrap()).collect()
            });
            assert_eq!(results.iter().filter(|result| **result == Ok(nonce.clone())).count(), 1);
            assert_eq!(results.iter().filter(|result| **result == Err(ChallengeError::Used)).count(), 3);
        }
    }

    #[test]
    fn a_nonce_of_ones_own_is_itself_alone() {
        use rand_core::SeedableRng as _;
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(3);
        let (one, two) = (FreshNonce::generate(&mut rng), FreshNonce::generate(&mut rng));
        assert_eq!((one.as_str().len(), one.is(one.as_str()), one.is(two.as_str())), (43, true, false));
    }

    proptest! {
        #[test]
        fn every_bit_counts(bit in 0_usize..NONCE_BYTES * 8) {
            let challenges = Challenges::new(&[1; 32], 2);
            let (nonce, _) = challenges.issue("one", [9; 16], 1000);
            let mut bytes = URL_SAFE_NO_PAD.decode(nonce).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(challenges.check("one", &flipped, 1000), Err(ChallengeError::Unknown));
        }
    }
}
