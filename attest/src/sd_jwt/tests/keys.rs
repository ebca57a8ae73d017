use super::*;

/// RFC 7518 appendix C's key `Alice`, and RFC 8037 appendix A.2.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0","y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}"#;
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn with(jwk: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut jwk = serde_json::from_str(jwk).unwrap();
    change(&mut jwk);
    jwk
}

fn ids(set: &Value) -> Result<Vec<String>, JwkError> {
    let set = JwkSet::parse(set.to_string().as_bytes())?;
    Ok(set.entries().iter().map(|(kid, _)| kid.clone()).collect())
}

/// RFC 8037 appendix A.3; for P-256, Python's `jwcrypto` 1.6.1 over the same key.
#[test]
fn thumbprints() {
    let thumbprint = |jwk| URL_SAFE_NO_PAD.encode(PublicJwk::from_json(&with(jwk, |_| ())).unwrap().thumbprint());
    assert_eq!(thumbprint(ED25519), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(thumbprint(P256), "_GK0r6GCoJt9zcssg9lay4obIxgCq05ntiRymRHADSU");
}

#[test]
fn keys_are_read_strictly() {
    for good in [P256, ED25519] {
        let key = PublicJwk::from_json(&with(good, |jwk| jwk["use"] = json!("sig"))).unwrap();
        assert_eq!(key.to_json(), with(good, |_| ()));
        assert_eq!(PublicJwk::from_json(&with(good, |jwk| jwk["d"] = json!("AA"))), Err(JwkError::Private));
        assert_eq!(PublicJwk::from_json(&with(good, |jwk| jwk["use"] = json!("enc"))), Err(JwkError::Purpose));
        assert_eq!(PublicJwk::from_json(&with(good, |jwk| jwk["alg"] = json!("HS256"))), Err(JwkError::Purpose));
        assert_eq!(PublicJwk::from_json(&with(good, |jwk| jwk["alg"] = json!(null))), Err(JwkError::Purpose));
        assert_eq!(PublicJwk::from_json(&with(good, |jwk| jwk["crv"] = json!("P-384"))), Err(JwkError::KeyType));
        assert_eq!(PublicJwk::from_json(&with(good, |jwk| jwk["kty"] = json!("oct"))), Err(JwkError::KeyType));
        assert_eq!(PublicJwk::from_json(&with(good, |jwk| jwk["kty"] = json!(1))), Err(JwkError::Form));
        let x = with(good, |_| ())["x"].as_str().unwrap().to_owned();
        for bad in
            [String::new(), format!("{x}="), x[1..].to_owned(), x.replacen(&x[..1], "+", 1), format!("{}B", &x[..42])]
        {
            assert_eq!(
                PublicJwk::from_json(&with(good, |jwk| jwk["x"] = json!(bad))),
                Err(JwkError::Coordinate),
                "{bad}"
            );
        }
    }
    assert_eq!(PublicJwk::from_json(&with(P256, |jwk| jwk["y"] = json!(null))), Err(JwkError::Coordinate));
    assert_eq!(PublicJwk::from_json(&json!([])), Err(JwkError::Form));
    assert_eq!(format!("{:?}", PublicJwk::from_json(&with(P256, |_| ())).unwrap()), "ES256");
}

#[test]
fn sets_skip_what_is_not_used_and_refuse_what_is_broken() {
    let key = |kid: &str| with(ED25519, |jwk| jwk["kid"] = json!(kid));
    let rsa = json!({"kty": "RSA", "n": "AA", "e": "AQAB", "kid": "a"});
    let encryption = with(P256, |jwk| jwk["use"] = json!("enc"));
    let set = json!({"keys": [rsa, key("a"), encryption, key("b"), with(P256, |_| ())], "other": 1});
    assert_eq!(
        ids(&set),
        Ok(vec!["a".to_owned(), "b".to_owned(), "_GK0r6GCoJt9zcssg9lay4obIxgCq05ntiRymRHADSU".to_owned()])
    );
    assert_eq!(ids(&json!({"keys": []})), Ok(Vec::new()));
    assert_eq!(ids(&json!({"keys": [key("a"), key("a")]})), Err(JwkError::DuplicateKid));
    assert_eq!(
        ids(&json!({"keys": [with(ED25519, |_| ()), key("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]})),
        Err(JwkError::DuplicateKid)
    );
    assert_eq!(ids(&json!({"keys": [with(ED25519, |jwk| jwk["x"] = json!("AA"))]})), Err(JwkError::Coordinate));
    assert_eq!(ids(&json!({"keys": [with(ED25519, |jwk| jwk["kid"] = json!(1))]})), Err(JwkError::Form));
    assert_eq!(ids(&json!({"keys": [1]})), Err(JwkError::Form));
    assert_eq!(ids(&json!({"keys": {}})), Err(JwkError::Form));
    assert_eq!(ids(&json!([])), Err(JwkError::Form));
    assert_eq!(ids(&json!({"keys": vec![rsa; JWK_SET_KEYS_MAX + 1]})), Err(JwkError::TooManyKeys));
    assert_eq!(JwkSet::parse(&vec![b' '; JWK_SET_BYTES_MAX + 1]), Err(JwkError::TooLong));
    assert_eq!(JwkSet::parse(br#"{"keys":[],"keys":[]}"#), Err(JwkError::Form));
}
