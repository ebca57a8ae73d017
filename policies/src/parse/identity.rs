//! Reads how a region identifies viewers, and holds grants and issuers against it.

use std::collections::BTreeSet;

use super::Read;
use super::document::{Document, Section};
use super::form::listed;
use crate::{Check, Finding, IdentityRule, RegionPolicy, Registration};

/// A token key that issues for fewer days serves a small crowd.
const TOKEN_KEY_DAYS_FEW: u32 = 7;

/// Times that the overlap may hold the period: a gateway has 8 keys, of which one is to come and some come out of turn.
const OVERLAPS_MAX: u32 = 4;
/// Times that a credential's life may hold the period: readers take 32 keys of an issuer.
const CREDENTIALS_MAX: u32 = 20;

pub(super) fn read(section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<IdentityRule> {
    let token_key_days = section.whole("token_key_days").filter(|_| section.sound("token_key_days"));
    if let Some(days) = token_key_days.filter(|days| *days < TOKEN_KEY_DAYS_FEW) {
        let sentence = format!(
            "A token key issues for {} only: a token shows which key signed it, and the shorter that key issued, the fewer viewers can have been given the token. Write {TOKEN_KEY_DAYS_FEW} or more.",
            crate::explain::days(days)
        );
        findings.push(section.document().warning(&section.place_of("token_key_days"), sentence));
    }
    let lives_on = [("token_key_overlap_days", OVERLAPS_MAX), ("credential_days", CREDENTIALS_MAX)];
    for (key, times_max) in lives_on {
        let (Some(issues), Some(days)) = (token_key_days, section.whole::<u32>(key)) else { continue };
        if days > issues * times_max {
            let sentence = format!(
                "`{key}` is {days}, and keys issue for {issues} days: too many keys would be in use at a time to be published. Write {} or less, or a longer `token_key_days`.",
                issues * times_max
            );
            findings.push(section.document().error(&section.place_of(key), sentence));
        }
    }
    let written = section.text("registration")?.value;
    Some(IdentityRule {
        registration: Registration::ALL.into_iter().find(|way| way.as_str() == written)?,
        login_starts_per_hour: section.whole("login_starts_per_hour")?,
        assertion_seconds: section.whole("assertion_seconds")?,
        credential_days: section.whole("credential_days")?,
        tokens_per_window: section.whole("tokens_per_window")?,
        token_window_seconds: section.whole("token_window_seconds")?,
        token_key_days: token_key_days?,
        token_key_overlap_days: section.whole("token_key_overlap_days")?,
    })
}

/// What platforms may ask can be answered, and what sessions and accounts need can be had.
pub(super) fn check(read: &Read<'_>, findings: &mut Vec<Finding>) {
    let Some((document, _)) = &read.access else { return };
    for section in &document.root().sections("grants") {
        without_identity(read, document, section, findings);
        unanswerable(read, document, section, findings);
        unverifiable(document, section, findings);
    }
    for (document, policy) in read.regions.values() {
        if let Some(policy) = policy {
            tokens_out_of_reach(read, document, policy, findings);
        }
    }
}

/// What a grant says about viewers needs a region that identifies them.
fn without_identity(read: &Read<'_>, document: &Document<'_>, section: &Section<'_>, findings: &mut Vec<Finding>) {
    let mut asking: Vec<_> = ["checks", "tokens_for"]
        .into_iter()
        .filter(|key| section.texts(key).is_some_and(|checks| !checks.is_empty()))
        .collect();
    asking.extend(section.flag("verified_viewers").filter(|flag| flag.value).map(|_| "verified_viewers"));
    if asking.is_empty() {
        return;
    }
    for written in section.texts("regions").into_iter().flatten() {
        let region = written.value.parse().ok().and_then(|region| read.regions.get(&region));
        if let Some((_, Some(policy))) = region
            && policy.identity.is_none()
        {
            let sentence = format!(
                "The grant says something about viewers ({}), but the region `{}` checks no identity: `regions/{1}.toml` has no section `[identity]`.",
                listed(asking.iter().copied()),
                policy.region
            );
            findings.push(document.error(&written.place, sentence));
        }
    }
}

/// Nobody can answer what no issuer may attest.
fn unanswerable(read: &Read<'_>, document: &Document<'_>, section: &Section<'_>, findings: &mut Vec<Finding>) {
    let issuers = read.issuers.as_ref().map_or(&[][..], |(_, issuers)| issuers);
    let Some(issuers) = issuers.iter().map(Option::as_ref).collect::<Option<Vec<_>>>() else { return };
    let attested: BTreeSet<_> = issuers.iter().flat_map(|issuer| &issuer.checks).collect();
    for written in section.texts("checks").into_iter().flatten() {
        let Ok(check) = written.value.parse::<Check>() else { continue };
        if check != Check::Account && !attested.contains(&check) {
            let sentence = format!(
                "The platform may ask for `{check}`, but no issuer in `issuers.toml` may attest it: nobody could ever answer. Add it to an issuer's `checks`, or remove it here."
            );
            findings.push(document.error(&written.place, sentence));
        }
    }
}

/// A session that needs a verified viewer needs a way to become one.
fn unverifiable(document: &Document<'_>, section: &Section<'_>, findings: &mut Vec<Finding>) {
    let Some(flag) = section.flag("verified_viewers").filter(|flag| flag.value) else { return };
    let named = |key| section.texts(key).unwrap_or_default();
    let account = named("checks").iter().any(|check| check.value == Check::Account.as_str());
    let sound = section.sound("checks") && section.sound("tokens_for");
    if sound && !account && named("tokens_for").is_empty() {
        let sentence = "Every session needs a verified viewer, but nobody can become one: the platform may not ask for `account`, and nothing admits to anonymous tokens. Add `account` to `checks`, or write `tokens_for`.";
        findings.push(document.error(&flag.place, sentence.to_owned()));
    }
}

/// Whoever needs a token for an account must get the token without one.
fn tokens_out_of_reach(read: &Read<'_>, document: &Document<'_>, policy: &RegionPolicy, findings: &mut Vec<Finding>) {
    let Some((access, grants)) = &read.access else { return };
    let sound = access.root().sections("grants").iter().all(|section| section.sound("tokens_for"));
    let Some(grants) = grants.iter().map(Option::as_ref).collect::<Option<Vec<_>>>().filter(|_| sound) else { return };
    let registration = policy.identity.as_ref().map(|identity| identity.registration);
    let in_reach = grants
        .iter()
        .filter(|grant| grant.regions.contains(&policy.region))
        .any(|grant| grant.tokens_for.iter().any(|check| *check != Check::Account));
    let by_account = grants
        .iter()
        .filter(|grant| grant.regions.contains(&policy.region))
        .any(|grant| grant.tokens_for.contains(&Check::Account));
    if registration == Some(Registration::Token) && by_account {
        let sentence = format!(
            "An account is made with an anonymous token, and an account admits to more of them: in `{}` one token would become as many as anyone likes. Remove `account` from `tokens_for`, or choose another `registration`.",
            policy.region
        );
        findings.push(document.error(&document.place("identity.registration"), sentence));
    }
    if registration == Some(Registration::Token) && !in_reach {
        let sentence = format!(
            "An account is made with an anonymous token, but in `{}` no grant gives one to a viewer without an account: name a check other than `account` in the `tokens_for` of a grant, or choose another `registration`.",
            policy.region
        );
        findings.push(document.error(&document.place("identity.registration"), sentence));
    }
}
