//! The one check of `iat` and `exp` (RFC 7519 §4.1.4, §4.1.6), shared by answers and node tokens.

/// How far two honest clocks may differ, in seconds. Both ends of a token's life are widened by it, so a
/// token is accepted for its lifetime plus twice this at most.
pub(crate) const CLOCK_SKEW_SECONDS: u64 = 30;

/// Why a token's life does not cover the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutOfLife {
    /// `iat` lies in the future by more than the skew.
    NotYetValid,
    /// `exp` has passed by more than the skew.
    Expired,
    /// `exp` is not after `iat`, or lies further from it than this kind of token may live.
    Lifetime,
}

/// Checks that a token issued at `iat` and expiring at `exp` (Unix seconds) is in force at `now_ms`.
pub(crate) fn check_life(iat: u64, exp: u64, lifetime_seconds_max: u64, now_ms: u64) -> Result<(), OutOfLife> {
    let now = now_ms / 1000;
    match exp.checked_sub(iat) {
        Some(lifetime) if (1..=lifetime_seconds_max).contains(&lifetime) => {}
        _ => return Err(OutOfLife::Lifetime),
    }
    if iat > now.saturating_add(CLOCK_SKEW_SECONDS) {
        return Err(OutOfLife::NotYetValid);
    }
    if exp.saturating_add(CLOCK_SKEW_SECONDS) <= now {
        return Err(OutOfLife::Expired);
    }
    Ok(())
}
