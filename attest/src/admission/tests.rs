mod attested;

use super::*;
use crate::keys::tests::rfc8037_key;
use proptest::prelude::*;
use rand_core::{OsRng, TryRngCore as _};

const NOW_MS: u64 = 1_800_000_000_000;

fn node() -> NodeId {
    "node-1".parse().unwrap()
}

fn pinned() -> KnownNodes {
    let other = SigningKey::generate(&mut OsRng.unwrap_err()).verifying_key();
    let pin = |name: &str, region: &str, key| KnownNode {
        node: name.parse().unwrap(),
        region: region.parse().unwrap(),
        key: Some(key),
    };
    let nodes = [pin("node-1", "eu-west", rfc8037_key().verifying_key()), pin("node-2", "us-east", other)];
    KnownNodes::new(nodes).unwrap()
}

fn admit(token: &NodeToken, now_ms: u64) -> Result<Admission, AdmissionError> {
    Admission::by_pinned_key(&token.sign(&rfc8037_key()).unwrap(), &pinned(), "centre", now_ms)
}

#[test]
fn a_pinned_node_is_admitted_for_its_own_region() {
    let admission = admit(&NodeToken::new(&node(), "centre", NOW_MS), NOW_MS).unwrap();
    assert_eq!((admission.node().as_str(), admission.region().as_str()), ("node-1", "eu-west"));
    assert_eq!(*admission.key(), rfc8037_key().verifying_key());
    assert_eq!(admission.expires_ms(), NOW_MS + 60_000);
}

#[test]
fn every_check_refuses() {
    let good = NodeToken::new(&node(), "centre", NOW_MS);
    let cases = [
        (NodeToken { iss: "node-2".parse().unwrap(), ..good.clone() }, AdmissionError::Issuer),
        (NodeToken { aud: "other-centre".to_owned(), ..good.clone() }, AdmissionError::Audience),
        (NodeToken { exp: good.iat + 61, ..good.clone() }, AdmissionError::Lifetime),
        (NodeToken { exp: good.iat, ..good.clone() }, AdmissionError::Lifetime),
        (NodeToken { exp: 0, ..good.clone() }, AdmissionError::Lifetime),
        (NodeToken { iat: u64::MAX - 1, exp: u64::MAX, ..good.clone() }, AdmissionError::NotYetValid),
    ];
    for (token, refusal) in cases {
        assert_eq!(admit(&token, NOW_MS), Err(refusal));
    }
    let stranger = SigningKey::generate(&mut OsRng.unwrap_err());
    let token = good.sign(&stranger).unwrap();
    assert_eq!(
        Admission::by_pinned_key(&token, &pinned(), "centre", NOW_MS),
        Err(AdmissionError::UnknownNode),
        "a key that nobody pinned"
    );
    assert_eq!(
        Admission::by_pinned_key(&jws::sign(Typ::Answer, &good, &rfc8037_key()).unwrap(), &pinned(), "centre", NOW_MS),
        Err(AdmissionError::Jws(JwsError::Type)),
        "a token of another type by the right key"
    );
}

#[test]
fn names_and_keys_are_pinned_once() {
    let pin =
        |name: &str, key| KnownNode { node: name.parse().unwrap(), region: "eu-west".parse().unwrap(), key: Some(key) };
    let (one, two) = (VerifyingKey::from_bytes([1; 32]), VerifyingKey::from_bytes([2; 32]));
    for nodes in [[pin("a", one), pin("a", two)], [pin("a", one), pin("b", one)]] {
        assert_eq!(KnownNodes::new(nodes).map(|nodes| nodes.iter().count()), Err(KnownTwice));
    }
    assert_eq!(KnownNodes::new([pin("a", one), pin("b", two)]).map(|nodes| nodes.iter().count()), Ok(2));
}

proptest! {
    /// Accepted exactly from `iat` less the skew to before `exp` plus the skew, to the second.
    #[test]
    fn clock_skew_is_bounded(offset_seconds in -200i64..200) {
        let token = NodeToken::new(&node(), "centre", NOW_MS);
        let now_ms = NOW_MS.checked_add_signed(offset_seconds * 1000).unwrap();
        let expected = match offset_seconds {
            ..-30 => Err(AdmissionError::NotYetValid),
            90.. => Err(AdmissionError::Expired),
            _ => Ok(node()),
        };
        prop_assert_eq!(admit(&token, now_ms).map(|admission| admission.node().clone()), expected);
    }
}
