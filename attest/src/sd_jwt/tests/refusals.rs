use super::*;
use crate::sd_jwt::disclosure::digest;
use JoseError as J;
use SdJwtError as E;

#[test]
fn the_issuers_token() {
    let good = json!({"region": "eu-north", "tier": 1});
    assert_eq!(Forge::new().verify(), Ok(good.clone()));
    let header = |change: fn(&mut Value)| Forge::new().with(|forge| change(&mut forge.header)).verify();
    let cases: [(Change<Value>, J); 12] = [
        (|h| h["alg"] = json!("none"), J::Algorithm),
        (|h| h["alg"] = json!("None"), J::Algorithm),
        (|h| h["alg"] = json!("ES256"), J::Algorithm),
        (|h| h["alg"] = json!("HS256"), J::Algorithm),
        (|h| h["alg"] = json!(null), J::Header),
        (|h| h["typ"] = json!("vc+sd-jwt"), J::Type),
        (|h| h["typ"] = json!("kb+jwt"), J::Type),
        (|h| h["typ"] = json!(null), J::Type),
        (|h| h["crit"] = json!(["b64"]), J::Critical),
        (|h| h["crit"] = json!(null), J::Critical),
        (|h| h["kid"] = json!("another"), J::Key),
        (|h| h["kid"] = json!(key(7).verifying_key().key_id().as_str()), J::Key),
    ];
    for (at, (change, error)) in cases.into_iter().enumerate() {
        assert_eq!(header(change), Err(E::Credential(error)), "case {at}");
    }
    // Without a `kid` the only key is meant; keys in the header are not read.
    assert_eq!(header(|h| h["kid"] = json!(null)), Ok(good.clone()));
    assert_eq!(header(|h| h["jwk"] = public(&key(7)).to_json()), Ok(good));
    let own = Forge::new().with(|forge| {
        forge.header["jwk"] = public(&key(7)).to_json();
        forge.issuer = key(7);
    });
    assert_eq!(own.verify(), Err(E::Credential(J::Signature)));
}

#[test]
fn with_two_keys_the_token_has_to_say_which() {
    let (one, two) = (public(&issuer()).to_json(), public(&key(7)).to_json());
    let set = JwkSet::parse(json!({"keys": [two, one]}).to_string().as_bytes()).unwrap();
    let keys = TrustedKeys::new(ISSUER, set);
    let mut forge = Forge::new();
    assert_eq!(verify_by(&forge.text(), &keys, &EXPECTED, NOW_MS), Ok(json!({"region": "eu-north", "tier": 1})));
    forge.header["kid"] = json!(key(7).verifying_key().key_id().as_str());
    assert_eq!(verify_by(&forge.text(), &keys, &EXPECTED, NOW_MS), Err(E::Credential(J::Signature)));
    forge.header.as_object_mut().unwrap().remove("kid");
    assert_eq!(verify_by(&forge.text(), &keys, &EXPECTED, NOW_MS), Err(E::Credential(J::Key)));
}

/// The public key as an HMAC secret, and a signature by the right key of the other type.
#[test]
fn the_key_decides_the_algorithm() {
    let mut forge = Forge::new();
    forge.header["alg"] = json!("HS256");
    let input = format!("{}.{}", disclosure_of(&forge.header), disclosure_of(&forge.payload));
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, issuer().verifying_key().as_bytes());
    let tag = ring::hmac::sign(&secret, input.as_bytes());
    let (_, rest) = forge.text().split_once('~').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    // 32 bytes are no signature at all; the same tag twice has a signature's length.
    let short = format!("{input}.{}~{rest}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
    assert_eq!(verify(&short), Err(E::Credential(J::Encoding)));
    let long = format!("{input}.{}~{rest}", URL_SAFE_NO_PAD.encode([tag.as_ref(), tag.as_ref()].concat()));
    assert_eq!(verify(&long), Err(E::Credential(J::Algorithm)));
    let keys = TrustedKeys::new(ISSUER, JwkSet::of(PublicJwk::P256 { x: [1; 32], y: [2; 32] }));
    let mut forge = Forge::new();
    forge.header["kid"] = json!(null);
    assert_eq!(verify_by(&forge.text(), &keys, &EXPECTED, NOW_MS), Err(E::Credential(J::Algorithm)));
    forge.header["alg"] = json!("ES256");
    assert_eq!(verify_by(&forge.text(), &keys, &EXPECTED, NOW_MS), Err(E::Credential(J::Signature)));
}

#[test]
fn the_registered_claims() {
    let cases: [(Change<Value>, Result<(), E>); 27] = [
        (|p| p["iss"] = json!("https://other.example"), Err(E::Issuer)),
        (|p| p["iss"] = json!(null), Err(E::Claims)),
        (|p| p["vct"] = json!("urn:siwa:test:2"), Err(E::CredentialType)),
        (|p| p["vct"] = json!([VCT]), Err(E::Claims)),
        (|p| p["exp"] = json!(null), Err(E::Claims)),
        (|p| p["exp"] = json!(-1), Err(E::Claims)),
        (|p| p["exp"] = json!(1.9e9), Err(E::Claims)),
        (|p| p["exp"] = json!(NOW_S - 30), Err(E::Expired)),
        (|p| p["exp"] = json!(NOW_S - 29), Ok(())),
        (|p| p["exp"] = json!(u64::MAX), Ok(())),
        (|p| p["nbf"] = json!(NOW_S + 31), Err(E::NotYetValid)),
        (|p| p["nbf"] = json!(NOW_S + 30), Ok(())),
        (|p| p["nbf"] = json!("0"), Err(E::Claims)),
        (|p| p["iat"] = json!(NOW_S + 31), Err(E::NotYetValid)),
        (|p| p["iat"] = json!(NOW_S + 30), Ok(())),
        (|p| p["_sd_alg"] = json!("sha-256"), Ok(())),
        (|p| p["_sd_alg"] = json!("sha-512"), Err(E::HashAlgorithm)),
        (|p| p["_sd_alg"] = json!(null), Err(E::HashAlgorithm)),
        (|p| p["cnf"] = json!(null), Err(E::HolderKey)),
        (|p| p["cnf"] = json!({"kid": "a"}), Err(E::HolderKey)),
        (|p| p["cnf"]["jwk"]["crv"] = json!("X25519"), Err(E::HolderKey)),
        (|p| p["status"] = json!({"status_list": {"idx": 0, "uri": LIST}}), Ok(())),
        (|p| p["status"] = json!({"other": {}}), Err(E::StatusReference)),
        (|p| p["status"] = json!({"status_list": {"idx": -1, "uri": LIST}}), Err(E::StatusReference)),
        (|p| p["status"] = json!({"status_list": {"idx": 1}}), Err(E::StatusReference)),
        (|p| p["status"] = json!(null), Err(E::StatusReference)),
        (|p| p["status"] = json!({"status_list": {"idx": 0, "uri": "x".repeat(1025)}}), Err(E::StatusReference)),
    ];
    for (at, (change, result)) in cases.into_iter().enumerate() {
        let learnt = Forge::new().with(|forge| change(&mut forge.payload)).verify();
        let good = json!({"region": "eu-north", "tier": 1});
        assert_eq!(learnt, result.map(|()| good), "case {at}");
    }
}

#[test]
fn the_key_binding() {
    let cases: [(Change<Forge>, Option<E>); 19] = [
        (|f| f.binding_header["typ"] = json!("JWT"), Some(E::KeyBinding(J::Type))),
        (|f| f.binding_header["alg"] = json!("none"), Some(E::KeyBinding(J::Algorithm))),
        (|f| f.binding_header["alg"] = json!("ES256"), Some(E::KeyBinding(J::Algorithm))),
        (|f| f.binding_header["crit"] = json!([]), Some(E::KeyBinding(J::Critical))),
        (|f| f.holder = key(7), Some(E::KeyBinding(J::Signature))),
        (|f| f.holder = issuer(), Some(E::KeyBinding(J::Signature))),
        (|f| f.binding = json!([1]), Some(E::KeyBindingClaims)),
        (|f| f.binding["iat"] = json!(null), Some(E::KeyBindingClaims)),
        (|f| f.binding["sd_hash"] = json!(1), Some(E::KeyBindingClaims)),
        (|f| f.binding["aud"] = json!([EXPECTED.audience]), Some(E::KeyBindingClaims)),
        (|f| f.binding["aud"] = json!("https://siwa.example/"), Some(E::Audience)),
        (|f| f.binding["nonce"] = json!("n-2"), Some(E::Nonce)),
        (|f| f.binding["iat"] = json!(NOW_S + 31), Some(E::KeyBindingNotYetValid)),
        (|f| f.binding["nbf"] = json!(NOW_S + 31), Some(E::KeyBindingNotYetValid)),
        (|f| f.binding["iat"] = json!(NOW_S - 301), Some(E::KeyBindingStale)),
        (|f| f.binding["exp"] = json!(NOW_S - 30), Some(E::KeyBindingStale)),
        (|f| f.binding["sd_hash"] = json!("AAAA"), Some(E::PresentedText)),
        (|f| f.binding["iat"] = json!(NOW_S - 300), None),
        (|f| f.binding["iat"] = json!(NOW_S + 30), None),
    ];
    for (at, (change, error)) in cases.into_iter().enumerate() {
        let mut forge = Forge::new();
        change(&mut forge);
        // A binding that is no object cannot be given its hash.
        let text = match forge.binding {
            Value::Array(_) => forge.bound() + &jws(&forge.binding_header, &forge.binding, &forge.holder),
            _ => forge.text(),
        };
        assert_eq!(verify(&text).err(), error, "case {at}");
    }
    assert_eq!(verify(&Forge::new().bound()), Err(E::KeyBindingMissing));
    assert_eq!(verify(&credential()), Err(E::KeyBindingMissing));
    assert_eq!(verify(&(Forge::new().bound() + "a.b")), Err(E::KeyBinding(J::Parts)));
}

/// A key binding says what it was made for: not another choice of claims, not another credential of the holder's.
#[test]
fn a_key_binding_is_not_moved() {
    let (shown, all) = (show(&["region"]), show(&["region", "age_over_18"]));
    let binding = |text: &str| text.rsplit_once('~').unwrap().1.to_owned();
    let moved = |onto: &str, from: &str| format!("{}~{}", onto.rsplit_once('~').unwrap().0, binding(from));
    assert_eq!(verify(&moved(&shown, &all)), Err(E::PresentedText));
    assert_eq!(verify(&moved(&all, &shown)), Err(E::PresentedText));
    let other = request().issue(&issuer(), &mut Seeded(4)).unwrap();
    let other = present(&other, &["region"], &holder(), EXPECTED.audience, EXPECTED.nonce, NOW_S).unwrap();
    assert_eq!(verify(&moved(&other, &shown)), Err(E::PresentedText));
    assert_eq!(verify(&moved(&shown, &shown)), verify(&shown));
}

#[test]
fn form_and_sizes() {
    let good = Forge::new().text();
    let cases = [
        ("x".repeat(PRESENTATION_BYTES_MAX + 1), E::TooLong),
        (good.clone() + &"A".repeat(PRESENTATION_BYTES_MAX), E::TooLong),
        ("x".repeat(PRESENTATION_BYTES_MAX), E::Form),
        (String::new(), E::Form),
        (good.split('~').next().unwrap().to_owned(), E::Form),
        (format!("~{good}"), E::Credential(J::Parts)),
        ("a.b~".to_owned(), E::Credential(J::Parts)),
        ("a.b.c.d~".to_owned(), E::Credential(J::Parts)),
        ("e30.e30.AAAA~".to_owned(), E::Credential(J::Header)),
        (good.replacen('e', "+", 1), E::Credential(J::Encoding)),
        (good.replacen("~", &"~A".repeat(DISCLOSURES_MAX + 1), 1), E::TooManyDisclosures),
        (good.replacen("~", &format!("{}~", "~A".repeat(DISCLOSURES_MAX)), 1), E::TooManyDisclosures),
    ];
    for (at, (text, error)) in cases.into_iter().enumerate() {
        assert_eq!(verify(&text), Err(error), "case {at}");
    }
    // Duplicate members and arrays as payload: signed, and refused all the same.
    let raw = |header: &str, payload: &str| {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(issuer().sign_raw(input.as_bytes()).0);
        verify(&format!("{input}.{signature}~"))
    };
    let header = r#"{"alg":"EdDSA","typ":"dc+sd-jwt"}"#;
    assert_eq!(raw(header, r#"{"iss":"a","iss":"b"}"#), Err(E::Credential(J::Payload)));
    assert_eq!(raw(header, "[]"), Err(E::Credential(J::Payload)));
    assert_eq!(raw(header, "{}"), Err(E::Claims));
    assert_eq!(raw(r#"{"alg":"none","alg":"EdDSA"}"#, "{}"), Err(E::Credential(J::Header)));
}

#[test]
fn what_is_changed_is_refused() {
    let good = show(&["region", "age_over_18"]);
    assert_eq!(verify(&good).map(drop), Ok(()));
    for at in 0..good.len() * 8 {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        assert!(verify(&changed).is_err(), "bit {at}");
    }
    for at in 0..good.len() {
        assert!(verify(&good[..at]).is_err(), "cut at {at}");
        assert!(verify(&good[at + 1..]).is_err(), "begun at {at}");
    }
    for more in ["~", ".", "A", "=", " ", "\n", "\0"] {
        assert!(verify(&format!("{good}{more}")).is_err());
        assert!(verify(&format!("{more}{good}")).is_err());
    }
    let parts: Vec<&str> = good.split('~').collect();
    let swapped = [parts[0], parts[2], parts[1], parts[3]].join("~");
    assert_eq!(verify(&swapped), Err(E::PresentedText));
    let less = [parts[0], parts[1], parts[3]].join("~");
    assert_eq!(verify(&less), Err(E::PresentedText));
    assert_eq!(digest("").len(), 43);
}
