//! The few questions that a node asks of a credential.

use serde_json::Value;

use super::credential::VerifiedCredential;

/// A statement about the holder that a claim confirms or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predicate<'a> {
    /// `age_over_18`, or `18` within `age_equal_or_over`, is true.
    AgeOver18,
    /// `subscriber_tier` is exactly this text.
    SubscriberTier(&'a str),
    /// `region` is exactly this text.
    Region(&'a str),
}

impl VerifiedCredential {
    /// Whether the claims confirm or deny `predicate`; none when they do not say. A claim of another JSON type does
    /// not say, and two claims that contradict each other do not. Only `Some(true)` opens anything.
    #[must_use]
    pub fn holds(&self, predicate: Predicate<'_>) -> Option<bool> {
        let text = |name: &str, wanted: &str| Some(self.claims.get(name)?.as_str()? == wanted);
        match predicate {
            Predicate::AgeOver18 => {
                let flat = self.claims.get("age_over_18");
                let nested = self.claims.get("age_equal_or_over").and_then(|ages| ages.get("18"));
                match (flat.map(Value::as_bool), nested.map(Value::as_bool)) {
                    (said, None) | (None, said) => said.flatten(),
                    (one, other) if one == other => one.flatten(),
                    _ => None,
                }
            }
            Predicate::SubscriberTier(tier) => text("subscriber_tier", tier),
            Predicate::Region(region) => text("region", region),
        }
    }
}
