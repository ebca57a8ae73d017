//! The keys of an open window, and what becomes of them.

use zeroize::Zeroizing;

use super::SparsePlan;
use crate::release::encoding::Sparse;

/// Stands where a session had fewer keys than it may. No key is as large.
const NO_KEY: u64 = u64::MAX;

/// The keys of every counted session, `pairs_max` places each, filled up with [`NO_KEY`]: its length tells of
/// sessions, not of keys. Allocated once, so that no copy is left behind, and erased when dropped.
pub(in crate::release) struct Keyset {
    plan: SparsePlan,
    keys: Zeroizing<Vec<u64>>,
}

/// Released keys, rising, and their noised sums.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::release) struct Noised {
    pub(in crate::release) keys: Vec<i64>,
    pub(in crate::release) values: Vec<i64>,
}

impl Keyset {
    /// Of no session.
    pub(in crate::release) fn new(plan: SparsePlan) -> Self {
        let places = plan.pairs_max.saturating_mul(plan.sessions_max);
        Self { plan, keys: Zeroizing::new(Vec::with_capacity(places)) }
    }

    /// τ, in integer units.
    pub(in crate::release) const fn threshold(&self) -> i64 {
        self.plan.threshold
    }

    /// Counts a session's keys, each 1. A session without a key takes no place. One that comes after `sessions_max`
    /// others is not counted: what it would have added is covered by the sensitivity of those before it.
    pub(in crate::release) fn add(&mut self, session: &Sparse) {
        let full = self.keys.len() >= self.plan.pairs_max.saturating_mul(self.plan.sessions_max);
        if session.is_empty() || full {
            return;
        }
        let keys = session.iter().map(|(key, _)| *key as u64).chain(std::iter::repeat(NO_KEY));
        self.keys.extend(keys.take(self.plan.pairs_max));
    }

    /// Sums by key, in units of 2⁻¹⁶.
    #[cfg(test)]
    pub(in crate::release) fn sums(&self) -> std::collections::BTreeMap<u64, i64> {
        let mut sums = std::collections::BTreeMap::new();
        for key in self.keys.iter().filter(|key| **key != NO_KEY) {
            *sums.entry(*key).or_insert(0) += 1 << 16;
        }
        sums
    }

    /// Adds noise to every key's sum and keeps those that reach τ. `noise` holds a sample for each place, met or not;
    /// every place is walked through, met or not.
    pub(in crate::release) fn release(mut self, noise: &[i64], unit: i64) -> Noised {
        let places = self.plan.pairs_max.saturating_mul(self.plan.sessions_max).min(noise.len());
        self.keys.resize(places, NO_KEY);
        self.keys.sort_unstable();
        let mut released = Noised::default();
        let mut sum = 0i64;
        for (place, sample) in noise.iter().enumerate().take(places) {
            let key = self.keys[place];
            sum = sum.saturating_add(unit);
            let last_of_key = self.keys.get(place + 1) != Some(&key);
            let noised = sum.saturating_add(*sample);
            // Every place has noise of its own; that of a key's last place is the key's.
            if last_of_key && key != NO_KEY && noised >= self.plan.threshold {
                released.keys.push(i64::try_from(key).expect("keys are below the square of 2^20 items"));
                released.values.push(noised);
            }
            sum = if last_of_key { 0 } else { sum };
        }
        released
    }
}
