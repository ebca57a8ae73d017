//! How often something may be tried by name: a table of rates of fixed size, in memory. A restart begins it anew.
//!
//! A name's place in the table is a keyed hash, so that no one can aim at another's place from outside. Names that share
//! a place share its rate: that only ever makes the limit stricter.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ring::hmac;

/// Places of the table, 8 MiB.
const PLACES: usize = 1 << 20;
const HOUR_MS: u64 = 3_600_000;

/// Limits tries of one name to a number an hour (the generic cell rate algorithm, ITU-T I.371 annex A).
pub(crate) struct Limiter {
    key: hmac::Key,
    /// Of each place: Unix ms at which it will be empty again.
    places: Box<[AtomicU64]>,
    per_hour: AtomicU32,
}

impl Limiter {
    /// At most `per_hour` (1 at least) tries of one name in any hour. Half of them may come at once.
    pub(crate) fn new(key: &[u8; 32], per_hour: u32) -> Self {
        let places = std::iter::repeat_with(AtomicU64::default).take(PLACES).collect();
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), places, per_hour: AtomicU32::new(per_hour) }
    }

    /// Another number of tries from now on. What was tried before still counts.
    pub(crate) fn set(&self, per_hour: u32) {
        self.per_hour.store(per_hour, Ordering::Relaxed);
    }

    /// What one try adds to a place, and how far it may be filled beyond now, both in ms.
    fn rate(&self) -> (u64, u64) {
        let per_hour = u64::from(self.per_hour.load(Ordering::Relaxed).max(1));
        let at_once = per_hour.div_ceil(2);
        // What may come at once and what flows in during an hour add up to `per_hour`.
        let increment_ms = HOUR_MS.div_ceil((per_hour - at_once).max(1));
        (increment_ms, increment_ms.saturating_mul(at_once))
    }

    /// Takes one try of `name`.
    ///
    /// # Errors
    /// Seconds after which to try again.
    pub(crate) fn take(&self, name: &[u8], now_ms: u64) -> Result<(), u32> {
        let (increment_ms, tolerance_ms) = self.rate();
        let tag = hmac::sign(&self.key, name);
        let index = tag.as_ref().first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let place = &self.places[index as usize % PLACES];
        let fill = |full_until: u64| {
            let filled = full_until.max(now_ms).saturating_add(increment_ms);
            (filled - now_ms <= tolerance_ms).then_some(filled)
        };
        place.fetch_update(Ordering::AcqRel, Ordering::Acquire, fill).map(|_| ()).map_err(|full_until| {
            let wait_ms = (full_until + increment_ms).saturating_sub(now_ms + tolerance_ms);
            u32::try_from(wait_ms.div_ceil(1000)).unwrap_or(u32::MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_at_once_and_the_rest_as_time_goes() {
        let limiter = Limiter::new(&[1; 32], 4);
        let take = |now_ms| limiter.take(b"a", now_ms);
        assert_eq!([take(0), take(0), take(0)], [Ok(()), Ok(()), Err(1800)]);
        assert_eq!([take(HOUR_MS / 2 - 1), take(HOUR_MS / 2), take(HOUR_MS / 2)], [Err(1), Ok(()), Err(1800)]);
        assert_eq!(limiter.take(b"b", 0), Ok(()), "another name has a rate of its own");
    }

    #[test]
    fn one_an_hour() {
        let limiter = Limiter::new(&[1; 32], 1);
        let take = |now_ms| limiter.take(b"a", now_ms);
        assert_eq!([take(5), take(5 + HOUR_MS - 1), take(5 + HOUR_MS)], [Ok(()), Err(1), Ok(())]);
    }

    proptest! {
        /// In no hour more than allowed, and whoever waits as told is admitted.
        #[test]
        fn never_more_than_allowed(per_hour in 1_u32..40, steps in prop::collection::vec(0_u64..900_000, 1..150)) {
            let limiter = Limiter::new(&[2; 32], per_hour);
            let (mut now_ms, mut admitted) = (0, Vec::new());
            for step in steps {
                now_ms += step;
                match limiter.take(b"name", now_ms) {
                    Ok(()) => admitted.push(now_ms),
                    Err(wait_s) => {
                        now_ms += u64::from(wait_s) * 1000;
                        prop_assert_eq!(limiter.take(b"name", now_ms), Ok(()));
                        admitted.push(now_ms);
                    }
                }
                let in_the_last_hour = admitted.iter().filter(|at| **at + HOUR_MS > now_ms).count();
                prop_assert!(in_the_last_hour <= per_hour as usize);
            }
        }
    }
}
