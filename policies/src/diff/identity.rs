//! Decisions on who a viewer is.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Decisions;
use crate::explain::{days, duration};
use crate::{Digest, Grant, IdentityRule, IssuerKeys, IssuerName, IssuerRule, Registration, StatusRule};

/// Hexadecimal digits that name a key.
const KEY_DIGITS: usize = 16;

pub(super) fn of_region(decisions: &mut Decisions<'_>, rule: &IdentityRule) {
    // An invite of the platform and an anonymous token admit different people, neither of them more.
    let admits = match rule.registration {
        Registration::Closed => 0.0,
        Registration::Invite | Registration::Token => 1.0,
        Registration::Open => 2.0,
    };
    decisions.add("registration", rule.registration.as_str(), Some(admits));
    decisions.more_is_weaker("logins begun in an hour", rule.login_starts_per_hour);
    decisions.add("assertions hold for", duration(rule.assertion_seconds), Some(f64::from(rule.assertion_seconds)));
    decisions.add("credentials hold for", days(rule.credential_days), Some(f64::from(rule.credential_days)));
    decisions.more_is_weaker("tokens of a viewer in a window", rule.tokens_per_window);
    let seconds = rule.token_window_seconds;
    decisions.add("window of tokens", duration(seconds), Some(-f64::from(seconds)));
    // The longer a key issues, the more viewers it serves, among whom one hides.
    decisions.add("token keys issue for", days(rule.token_key_days), Some(-f64::from(rule.token_key_days)));
    decisions.plain("tokens are redeemed after that for", days(rule.token_key_overlap_days));
}

pub(super) fn of_issuers(decisions: &mut Decisions<'_>, issuers: &[IssuerRule]) {
    for rule in issuers {
        let subject = match &rule.issuer {
            IssuerName::Own => "credentials of the node".to_owned(),
            IssuerName::Url(url) => format!("credentials of {url}"),
        };
        decisions.permission(subject.clone(), "accepted");
        let decisions = &mut decisions.below(&subject);
        match &rule.keys {
            IssuerKeys::Own => {}
            IssuerKeys::File { jwks, .. } => {
                for key in keys(jwks) {
                    decisions.permission(format!("key {key}"), "trusted");
                }
            }
            IssuerKeys::Url(url) => decisions.permission(format!("keys at {url}"), "trusted"),
        }
        for name in &rule.types {
            decisions.permission(format!("type {name}"), "accepted");
        }
        for check in &rule.checks {
            decisions.permission(format!("check {check}"), "attested");
        }
        let weight = match rule.status {
            StatusRule::Required => 0.0,
            StatusRule::IfPresent => 1.0,
        };
        decisions.add("reference to a status list", rule.status.as_str(), Some(weight));
    }
}

pub(super) fn of_grant(decisions: &mut Decisions<'_>, grant: &Grant) {
    for check in &grant.checks {
        decisions.permission(format!("check {check}"), "may be asked");
    }
    for check in &grant.tokens_for {
        decisions.permission(format!("tokens for {check}"), "issued");
    }
    decisions.plain("verified viewers", if grant.verified_viewers { "needed" } else { "not needed" });
}

/// Each key by the beginning of its digest. The order of keys and of their members is no decision, nor are spaces.
fn keys(jwks: &[u8]) -> Vec<String> {
    let set: Value = serde_json::from_slice(jwks).unwrap_or_default();
    let keys = set.get("keys").and_then(Value::as_array);
    let name = |key: &Value| {
        let sorted: Option<BTreeMap<_, _>> = key.as_object().map(|members| members.iter().collect());
        let text = sorted.map_or_else(|| key.to_string(), |members| serde_json::json!(members).to_string());
        Digest::of(text.as_bytes()).to_string()[..KEY_DIGITS].to_owned()
    };
    keys.into_iter().flatten().map(name).collect()
}
