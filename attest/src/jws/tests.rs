use super::*;
use crate::keys::tests::rfc8037_key;
use proptest::prelude::*;
use serde_json::{Value, json};

/// RFC 8037 appendix A.4: the example's signing input and token.
const RFC8037_INPUT: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
const RFC8037_SIGNATURE: &str =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

/// A token with exactly this header and payload, signed by the RFC's key.
fn token(header: &str, payload: &[u8]) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(rfc8037_key().sign_raw(input.as_bytes()).0);
    format!("{input}.{signature}")
}

fn header(change: impl FnOnce(&mut Value)) -> String {
    let kid = rfc8037_key().verifying_key().key_id();
    let mut header = json!({"alg": "EdDSA", "kid": kid.as_str(), "typ": "siwa-node+jwt"});
    change(&mut header);
    header.to_string()
}

fn read(token: &str) -> Result<Value, JwsError> {
    verify(token, Typ::Node, &rfc8037_key().verifying_key())
}

#[test]
fn rfc8037_signature() {
    let key = rfc8037_key();
    let signature = key.sign_raw(RFC8037_INPUT.as_bytes());
    assert_eq!(URL_SAFE_NO_PAD.encode(signature.0), RFC8037_SIGNATURE);
    assert!(key.verifying_key().verifies_raw(RFC8037_INPUT.as_bytes(), &signature));
    // The example says of no type what it is, so it is none of ours.
    assert_eq!(read(&format!("{RFC8037_INPUT}.{RFC8037_SIGNATURE}")), Err(JwsError::Type));
}

#[test]
fn a_token_reads_only_as_its_own_type() {
    let claims = json!({"a": 1});
    for typ in Typ::ALL {
        let token = sign(typ, &claims, &rfc8037_key()).unwrap();
        for asked in Typ::ALL {
            let read = verify::<Value>(&token, asked, &rfc8037_key().verifying_key());
            assert_eq!(read, if asked == typ { Ok(claims.clone()) } else { Err(JwsError::Type) });
        }
    }
}

#[test]
fn every_check_refuses() {
    let good = token(&header(|_| ()), b"{}");
    assert_eq!(read(&good), Ok(json!({})));
    let (input, _) = good.rsplit_once('.').unwrap();
    let with = |change: fn(&mut Value)| token(&header(change), b"{}");
    let duplicate = header(|_| ()).replace('{', r#"{"alg":"none","#);
    let cases = [
        ("x".repeat(TOKEN_BYTES_MAX + 1), JwsError::TooLong),
        (String::new(), JwsError::Parts),
        (input.to_owned(), JwsError::Parts),
        (format!("{good}.AAAA"), JwsError::Parts),
        (format!("{input}."), JwsError::Encoding),
        (format!("{good}="), JwsError::Encoding),
        (format!("{input}.AAAA"), JwsError::Encoding),
        (good.replacen('e', "+", 1), JwsError::Encoding),
        (token("[]", b"{}"), JwsError::Header),
        (token(r#"{"typ":"siwa-node+jwt"}"#, b"{}"), JwsError::Header),
        (token(&duplicate, b"{}"), JwsError::Header),
        (with(|h| h["alg"] = json!("none")), JwsError::Algorithm),
        (with(|h| h["alg"] = json!("HS256")), JwsError::Algorithm),
        (with(|h| h["alg"] = json!("eddsa")), JwsError::Algorithm),
        (with(|h| h["crit"] = json!(["exp"])), JwsError::Critical),
        (with(|h| h["crit"] = json!(null)), JwsError::Critical),
        (with(|h| h["typ"] = json!("JWT")), JwsError::Type),
        (with(|h| h["typ"] = json!(null)), JwsError::Type),
        (with(|h| h["kid"] = json!(null)), JwsError::Key),
        (with(|h| h["kid"] = json!("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4l")), JwsError::Key),
        (token(&header(|_| ()), b"{"), JwsError::Claims),
        (token(&header(|_| ()), &[0xff]), JwsError::Claims),
    ];
    for (token, refusal) in cases {
        assert_eq!(read(&token), Err(refusal), "{refusal:?}");
    }
}

/// A token that brings its own key is judged by the caller's key alone (RFC 8725 §3.10).
#[test]
fn an_embedded_key_is_not_used() {
    let foreign = SigningKey::from_pkcs8_der(&rfc8037_key().to_pkcs8_der()).unwrap();
    let brought = sign(Typ::Node, &json!({}), &foreign).unwrap();
    let other = VerifyingKey::from_bytes([9; 32]);
    assert_eq!(verify::<Value>(&brought, Typ::Node, &other), Err(JwsError::Key));
    // Naming the right key with a signature by none.
    let (input, _) = brought.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode([0; 64]));
    assert_eq!(read(&forged), Err(JwsError::Signature));
}

#[test]
fn what_nobody_would_read_is_not_signed() {
    let claims = json!({"a": "x".repeat(TOKEN_BYTES_MAX)});
    assert_eq!(sign(Typ::Answer, &claims, &rfc8037_key()), Err(JwsError::TooLong));
}

proptest! {
    #[test]
    fn any_flipped_bit_refuses(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let good = token(&header(|_| ()), br#"{"iss":"node-1","exp":17}"#);
        let mut bytes = good.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(read(&text).is_err());
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[A-Za-z0-9_.=-]{0,200}") {
        prop_assert!(read(&text).is_err());
    }

    #[test]
    fn no_bytes_make_the_fuzz_target_panic(data: Vec<u8>, text in "[0-9{}\\[\\]:,\".ea-]{0,60}") {
        fuzz::token(&data);
        fuzz::token(text.as_bytes());
    }
}

#[test]
fn the_fuzz_target_takes_what_is_a_token() {
    fuzz::token(sign(Typ::Answer, &json!({"a": [1, "b", null]}), &fuzz::fixed_key()).unwrap().as_bytes());
    fuzz::token(br#"{"a":[1,-2,true,{"b":1.5}]}"#);
}
