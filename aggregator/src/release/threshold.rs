//! Sparse keysets: which keys are released is decided by their noised sums, and costs δ.
//!
//! A unit can own a key: a pair of items that nobody else's session has. That a key is there at all then tells of the
//! unit, whatever the noise on its value. So a key is released only where its noised sum reaches τ, and τ lies so high
//! that all keys that one unit may own stay below it but for probability δ. `docs/mechanisms.md` has the proof.
//!
//! The number of noise samples is fixed by the plan: one for each pair that the counted sessions might have, drawn before
//! the keys are looked at. How many of them meet a key is nowhere to be seen but in what is released.

mod keyset;
mod tail;

pub(super) use keyset::Keyset;
#[cfg(test)]
use keyset::Noised;
pub use tail::{NoThreshold, noise_bound};

use super::plan::{PlanError, SCALE_PLAIN};

/// What makes a segment sparse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SparsePlan {
    /// Keys are 0 to this, excluded: watched item × items + liked item.
    pub universe: u64,
    /// Different keys of a session that count.
    pub pairs_max: usize,
    /// Sessions that count, the first to end.
    pub sessions_max: usize,
    /// τ: a key is released where its noised sum is at least this, in integer units.
    pub threshold: i64,
}

/// Integers that bound one session and one unit, before noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// L2 bound of a session's vector: √m pairs of [`SCALE_PLAIN`], rounded up.
    pub(super) clip: u64,
    /// L2 bound of a unit's sessions together with the sessions whose place they take: √2 × sessions × √m, rounded up.
    pub(super) sensitivity: u64,
    /// The most that one unit adds to one key.
    pub(super) of_key: u64,
    /// Keys that one unit can own.
    pub(super) keys: u64,
}

/// Bounds for `pairs_max` keys a session, of which a unit has `sessions`.
pub(super) fn bounds(pairs_max: u32, sessions: u64) -> Result<Bounds, PlanError> {
    let scale = u128::from(SCALE_PLAIN);
    let square = u128::from(pairs_max) * scale * scale;
    let sessions_square = u128::from(sessions).checked_mul(u128::from(sessions));
    let unit_square = sessions_square.and_then(|count| count.checked_mul(2 * square)).ok_or(PlanError::Sensitivity)?;
    let narrow = |value: u128| u64::try_from(value).map_err(|_| PlanError::Sensitivity);
    Ok(Bounds {
        clip: narrow(root_up(square))?,
        sensitivity: narrow(root_up(unit_square))?,
        of_key: SCALE_PLAIN.checked_mul(sessions).ok_or(PlanError::Sensitivity)?,
        keys: u64::from(pairs_max).checked_mul(sessions).ok_or(PlanError::Sensitivity)?,
    })
}

/// √`square`, rounded up.
const fn root_up(square: u128) -> u128 {
    let root = square.isqrt();
    if root * root == square { root } else { root + 1 }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small numbers")]
mod tests;
