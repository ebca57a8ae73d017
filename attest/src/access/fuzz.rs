//! Body of the fuzz target of access tokens.

use zeroize::Zeroizing;

use super::{Access, AccessError, AccessKey};

const AUDIENCE: &str = "https://siwa.example";
const NOW_MS: u64 = 1_760_000_000_000;

/// Body of the fuzz target `access_token`: any text as a token, and any JSON as the claims of one that was made.
///
/// # Panics
/// When a token is accepted whose claims do not allow it, or refused for its MAC where it has one.
pub fn token(data: &[u8]) {
    let (key, text) = (AccessKey(Zeroizing::new([1; 32])), std::str::from_utf8(data).unwrap_or_default());
    let verify = |token: &str| Access::verify(token, &key, AUDIENCE, NOW_MS);
    if let Ok(access) = verify(text) {
        check(&access);
    }
    let Ok(claims) = serde_json::from_slice::<Access>(data) else { return };
    let Ok(made) = claims.seal(&key) else { return };
    match verify(&made) {
        Ok(access) => {
            assert!(access == claims, "what was made is what is read");
            check(&access);
        }
        Err(error) => assert!(!matches!(error, AccessError::Mac), "it was made with this key: {error}"),
    }
}

/// Accepted now means: for this service, begun, not ended, with what clocks may differ by.
fn check(access: &Access) {
    let now = NOW_MS / 1000;
    assert!(access.aud == AUDIENCE && access.iat <= now + 30 && now < access.exp.saturating_add(30));
}
