use std::collections::BTreeSet;

use policies::rules::Status;
use proptest::prelude::*;

use super::*;
use crate::keys::tests::rfc8037_key;

const NOW_MS: u64 = 1_800_000_000_000;
const NOW: u64 = NOW_MS / 1000;

fn bound() -> Digest {
    Digest::of(b"binding")
}

fn signed(claims: &SoftwareClaims, typ: Typ) -> SoftwareEvidence {
    SoftwareEvidence { statement: jws::sign(typ, claims, &rfc8037_key()).unwrap() }
}

fn claims() -> SoftwareClaims {
    SoftwareClaims { bound: bound(), version: "0.1.0".to_owned(), iat: NOW, exp: NOW + 120 }
}

#[test]
fn a_statement_says_what_was_found() {
    let made = state(bound(), "0.1.0", &rfc8037_key(), NOW_MS).unwrap();
    let found = verify(&made, &rfc8037_key().verifying_key(), NOW_MS).unwrap();
    assert_eq!(found, Found { bound: bound().as_bytes().to_vec(), tier: Tier::Software, claims: claims() });
}

#[test]
fn every_check_refuses() {
    let key = rfc8037_key().verifying_key();
    let life = |iat, exp| signed(&SoftwareClaims { iat, exp, ..claims() }, Typ::Statement);
    for (evidence, reason) in [
        (signed(&claims(), Typ::Node), SoftwareError::Jws(JwsError::Type)),
        (life(NOW, NOW + 121), SoftwareError::Life),
        (life(NOW, NOW), SoftwareError::Life),
        (life(NOW + 31, NOW + 60), SoftwareError::Life),
        (life(NOW - 120, NOW - 30), SoftwareError::Life),
        (SoftwareEvidence { statement: String::new() }, SoftwareError::Jws(JwsError::Parts)),
    ] {
        assert_eq!(verify(&evidence, &key, NOW_MS), Err(reason));
    }
    let other = VerifyingKey::from_bytes([1; 32]);
    let good = signed(&claims(), Typ::Statement);
    assert_eq!(verify(&good, &other, NOW_MS), Err(SoftwareError::Jws(JwsError::Key)));
    assert_eq!(verify(&life(NOW - 120, NOW - 29), &key, NOW_MS).map(|found| found.claims.exp), Ok(NOW - 29));
}

#[test]
fn it_is_a_warning_at_best() {
    let values = |versions: &[&str]| SoftwareValues { versions: versions.iter().map(|&v| v.to_owned()).collect() };
    let statuses = |versions: &[&str], known| {
        let claims = compare(&claims(), &values(versions), known);
        claims.into_iter().map(|claim| (claim.subject, claim.status)).collect::<Vec<_>>()
    };
    use Status::{Affirming, Contraindicated, Warning};
    let of = |identity, version| {
        vec![(Subject::InstanceIdentity, identity), (Subject::Executables, version), (Subject::Hardware, Warning)]
    };
    assert_eq!(statuses(&["0.1.0", "0.2.0"], true), of(Affirming, Affirming));
    assert_eq!(statuses(&["0.1.0"], false), of(Contraindicated, Affirming));
    assert_eq!(statuses(&["0.2.0"], true), of(Affirming, Contraindicated));
    assert_eq!(statuses(&[], true), of(Affirming, Contraindicated));
    assert_eq!(values(&[]).versions, BTreeSet::new());
}

proptest! {
    /// No letter of a statement can be another.
    #[test]
    fn every_letter_counts(at in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_.-]") {
        let good = signed(&claims(), Typ::Statement);
        let at = at.index(good.statement.len());
        let mut statement = good.statement.clone();
        statement.replace_range(at..=at, &letter);
        let key = rfc8037_key().verifying_key();
        let result = verify(&SoftwareEvidence { statement: statement.clone() }, &key, NOW_MS);
        prop_assert_eq!(result.is_ok(), statement == good.statement);
    }
}
