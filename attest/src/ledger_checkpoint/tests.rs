use super::*;
use crate::keys::tests::rfc8037_key;

const NONCE: &str = "n";

fn claims() -> LedgerCheckpoint {
    LedgerCheckpoint {
        ledger: "01".repeat(16),
        node: "node-1".parse().unwrap(),
        region: "eu-west".parse().unwrap(),
        entries: 12,
        head: Digest::of(b"head"),
        aud: "node-1".parse().unwrap(),
        nonce: NONCE.to_owned(),
        iat: 1_800_000_000,
    }
}

fn verify(token: &str, nonce: Option<&str>) -> Result<LedgerCheckpoint, CheckpointError> {
    let (node, region, ledger) = ("node-1".parse().unwrap(), "eu-west".parse().unwrap(), "01".repeat(16));
    let expected = CheckpointExpectation { ledger: &ledger, node: &node, region: &region, nonce };
    let key = rfc8037_key().verifying_key();
    LedgerCheckpoint::verify(token, &key, &expected).map(|verified| verified.claims().clone())
}

#[test]
fn every_claim_that_is_compared_is_refused_where_it_differs() {
    let signed = |claims: &LedgerCheckpoint| claims.sign(&rfc8037_key()).unwrap();
    let token = signed(&claims());
    assert_eq!(verify(&token, Some(NONCE)), Ok(claims()));
    assert_eq!(verify(&token, None), Ok(claims()), "kept from an earlier request");
    assert_eq!(verify(&token, Some("m")), Err(CheckpointError::Nonce));
    let other = || "other".parse().unwrap();
    for (changed, refusal) in [
        (LedgerCheckpoint { ledger: "02".repeat(16), ..claims() }, CheckpointError::Ledger),
        (LedgerCheckpoint { node: other(), ..claims() }, CheckpointError::Node),
        (LedgerCheckpoint { region: "other".parse().unwrap(), ..claims() }, CheckpointError::Region),
        (LedgerCheckpoint { aud: other(), ..claims() }, CheckpointError::Audience),
        (LedgerCheckpoint { nonce: "other".to_owned(), ..claims() }, CheckpointError::Nonce),
    ] {
        assert_eq!(verify(&signed(&changed), Some(NONCE)), Err(refusal));
    }
}

#[test]
fn another_key_another_type_and_another_form_are_refused() {
    let stranger = jws::fuzz::fixed_key();
    let refused = |error| Err(CheckpointError::Jws(error));
    assert_eq!(verify(&claims().sign(&stranger).unwrap(), Some(NONCE)), refused(JwsError::Key));
    let pointer = jws::sign(Typ::Model, &claims(), &rfc8037_key()).unwrap();
    assert_eq!(verify(&pointer, Some(NONCE)), refused(JwsError::Type));
    let mut more = serde_json::to_value(claims()).unwrap();
    more["more"] = serde_json::json!(1);
    let token = jws::sign(Typ::LedgerCheckpoint, &more, &rfc8037_key()).unwrap();
    assert_eq!(verify(&token, Some(NONCE)), refused(JwsError::Claims));
    let token = claims().sign(&rfc8037_key()).unwrap();
    for cut in 0..token.len() {
        assert!(verify(&token[..cut], Some(NONCE)).is_err(), "{cut}");
    }
}
