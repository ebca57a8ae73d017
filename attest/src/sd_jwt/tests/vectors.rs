use super::*;

const RFC: &str = include_str!("../vectors/rfc9901.txt");
const NPM: &str = include_str!("../vectors/npm.txt");
const PYTHON: &str = include_str!("../vectors/python.txt");

/// The value of a line that begins with this name.
pub(super) fn value<'a>(file: &'a str, name: &str) -> &'a str {
    file.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap()
}

pub(super) fn keys_of(file: &str, name: &str, issuer: &str) -> TrustedKeys {
    let set = format!("{{\"keys\":[{}]}}", value(file, name));
    TrustedKeys::new(issuer, JwkSet::parse(set.as_bytes()).unwrap())
}

/// RFC 9901 §4.2.3: the digests of its example disclosures.
#[test]
fn rfc9901_digests() {
    let digest = disclosure::digest;
    let name = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0";
    assert_eq!(digest(name), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
    let element = "WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0";
    assert_eq!(digest(element), "w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs");
}

/// RFC 9901 appendix A.3: ES256 on both sides, a claim within a claim.
#[test]
fn rfc9901_presentation() {
    let keys = keys_of(RFC, "issuer", "https://pid-issuer.bund.de.example");
    let expected =
        Expected { types: &["urn:eudi:pid:de:1"], audience: "https://verifier.example.org", nonce: "1234567890" };
    let text = value(RFC, "presentation");
    let verified = Presentation::parse(text).unwrap().verify(&keys, &expected, 1_748_537_250_000).ok().unwrap();
    let claims = json!({"age_equal_or_over": {"18": true}, "nationalities": ["DE"]});
    assert_eq!(Value::Object(verified.claims().clone()), claims);
    assert_eq!(verified.holds(Predicate::AgeOver18), Some(true));
    assert!(verified.status().is_none());
    let late = verify_by(text, &keys, &expected, 1_748_537_545_000);
    assert_eq!(late, Err(SdJwtError::KeyBindingStale));
    assert_eq!(verify_by(text, &keys, &expected, 1_748_537_544_999), Ok(claims));
}

#[test]
fn peers_presentations() {
    let npm = json!({"age_over_18": true, "subscriber_tier": "premium", "languages": ["en"], "address": {"city": "Göteborg"}});
    let python = json!({"age_equal_or_over": {"18": true}, "region": "eu-north", "languages": ["sv"]});
    let all = [
        ("es256", NPM, &npm),
        ("eddsa", NPM, &npm),
        ("mixed", NPM, &npm),
        ("es256", PYTHON, &python),
        ("eddsa", PYTHON, &python),
    ];
    for (name, file, claims) in all {
        let keys = keys_of(file, &format!("{name}.issuer"), ISSUER);
        let nonce = format!("nonce-{name}");
        let expected = Expected { nonce: &nonce, ..EXPECTED };
        let text = value(file, &format!("{name}.presentation"));
        assert_eq!(verify_by(text, &keys, &expected, NOW_MS), Ok(claims.clone()), "{name}");
        // The same with another key of either type, under the same id.
        for other in [key(9).verifying_key().into(), PublicJwk::P256 { x: [1; 32], y: [2; 32] }] {
            let mut jwk = PublicJwk::to_json(&other);
            jwk["kid"] = json!("issuer-1");
            let set = JwkSet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
            let same_type = (name == "es256") == matches!(other, PublicJwk::P256 { .. });
            let error = if same_type { JoseError::Signature } else { JoseError::Algorithm };
            let refused = verify_by(text, &TrustedKeys::new(ISSUER, set), &expected, NOW_MS);
            assert_eq!(refused, Err(SdJwtError::Credential(error)), "{name}");
        }
    }
}

#[test]
fn peers_credentials() {
    let npm = json!({
        "age_over_18": true, "subscriber_tier": "premium", "region": "eu-north", "languages": ["sv", "en", "fi"],
        "address": {"city": "Göteborg", "zip": "411"},
    });
    let python = json!({
        "age_equal_or_over": {"18": true, "65": false}, "region": "eu-north", "subscriber_tier": "basic",
        "languages": ["sv", "en"],
    });
    for (name, file, claims) in [("mixed", NPM, npm), ("eddsa", PYTHON, python)] {
        let keys = keys_of(file, &format!("{name}.issuer"), ISSUER);
        let holder =
            PublicJwk::from_json(&serde_json::from_str(value(file, &format!("{name}.holder"))).unwrap()).unwrap();
        let credential = value(file, &format!("{name}.credential"));
        assert_eq!(receive(credential, &keys, &[VCT], &holder, NOW_MS), Ok(object(claims)), "{name}");
    }
}

/// Every bit of a presentation by P-256 keys that is turned, and every end that is cut off, is refused.
#[test]
fn rfc9901_presentation_bears_no_change() {
    let keys = keys_of(RFC, "issuer", "https://pid-issuer.bund.de.example");
    let expected =
        Expected { types: &["urn:eudi:pid:de:1"], audience: "https://verifier.example.org", nonce: "1234567890" };
    let text = value(RFC, "presentation");
    for at in (0..text.len() * 8).step_by(7) {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        assert!(verify_by(&changed, &keys, &expected, 1_748_537_250_000).is_err(), "bit {at}");
    }
}
