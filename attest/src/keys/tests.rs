use super::*;
use proptest::prelude::*;
use rand_core::{OsRng, TryRngCore as _};

/// RFC 8037 appendix A.1: the seed `d` and the public key `x`.
pub(crate) const RFC8037_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const RFC8037_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

const RELEASE: Context = Context::RELEASE;
const OTHER: Context = Context::new("siwa other v1");

pub(crate) fn rfc8037_key() -> SigningKey {
    let seed: [u8; 32] = URL_SAFE_NO_PAD.decode(RFC8037_D).unwrap().try_into().unwrap();
    SigningKey::from_seed(Zeroizing::new(seed))
}

#[test]
fn rfc8037_key_and_thumbprint() {
    let key = rfc8037_key().verifying_key();
    assert_eq!(key.to_string(), RFC8037_X);
    assert_eq!(key.key_id().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(
        serde_json::to_value(key.to_jwk()).unwrap(),
        serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": RFC8037_X, "use": "sig", "alg": "EdDSA",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"})
    );
}

/// RFC 8410 §10.3: the example key, in version 1 as OpenSSL writes it.
#[test]
fn reads_rfc8410_example() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
               -----END PRIVATE KEY-----\n";
    let key = SigningKey::from_pem(pem).map(|key| key.verifying_key().to_string());
    assert_eq!(key, Ok("Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE".to_owned()));
}

#[test]
fn key_files_round_trip() {
    let key = SigningKey::generate(&mut OsRng.unwrap_err());
    let again = SigningKey::from_pem(&key.to_pem()).map(|key| key.verifying_key());
    assert_eq!(again, Ok(key.verifying_key()));
    let der = key.to_pkcs8_der();
    // ring itself accepts the form, the public half included.
    assert_eq!(Ed25519KeyPair::from_pkcs8(&der).map(|pair| pair.public_key().as_ref().to_vec()).ok(), {
        Some(key.verifying_key().as_bytes().to_vec())
    });
}

#[test]
fn other_key_files_are_refused() {
    let key = SigningKey::generate(&mut OsRng.unwrap_err());
    let mut der = key.to_pkcs8_der();
    let last = der.len() - 1;
    der[last] ^= 1;
    let refusal = |result: Result<SigningKey, InvalidKey>| result.map(|key| key.verifying_key());
    assert_eq!(refusal(SigningKey::from_pkcs8_der(&der)), Err(InvalidKey::Pkcs8));
    assert_eq!(refusal(SigningKey::from_pkcs8_der(b"")), Err(InvalidKey::Pkcs8));
    let pem = key.to_pem();
    for bad in ["", &pem.replace("PRIVATE", "PUBLIC"), &pem.replace("MF", "!!"), &format!("{}{}", *pem, *pem)] {
        assert_eq!(refusal(SigningKey::from_pem(bad)), Err(InvalidKey::Pem));
    }
    assert_eq!(refusal(SigningKey::from_pem(&" ".repeat(5000))), Err(InvalidKey::Pem));
}

#[test]
fn public_keys_read_as_they_are_written() {
    let key = rfc8037_key().verifying_key();
    assert_eq!(key.to_string().parse(), Ok(key));
    assert_eq!(serde_json::from_value::<VerifyingKey>(serde_json::json!(RFC8037_X)).ok(), Some(key));
    // The last character carries two bits that must be zero: a second spelling of a key is refused.
    for bad in ["", &RFC8037_X[1..], &format!("{}p", &RFC8037_X[..42]), &RFC8037_X.replace('_', "/")] {
        assert_eq!(bad.parse::<VerifyingKey>(), Err(InvalidKey::Text));
    }
    assert_eq!(VerifyingKey::try_from(&key.to_jwk()), Ok(key));
    let other = Jwk { crv: "X25519".to_owned(), ..key.to_jwk() };
    assert_eq!(VerifyingKey::try_from(&other), Err(InvalidKey::Jwk));
}

proptest! {
    #[test]
    fn a_signature_is_for_one_key_context_and_message(
        message in prop::collection::vec(any::<u8>(), 0..64), bit in 0usize..512, byte in any::<u8>(),
    ) {
        let key = rfc8037_key();
        let public = key.verifying_key();
        let signature = key.sign(RELEASE, &message);
        prop_assert!(public.verifies(RELEASE, &message, &signature));
        prop_assert!(!public.verifies(OTHER, &message, &signature));
        prop_assert!(!public.verifies(RELEASE, &[message.as_slice(), &[byte]].concat(), &signature));
        let mut flipped = signature;
        flipped.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!public.verifies(RELEASE, &message, &flipped));
        let mut other = *public.as_bytes();
        other[bit / 16] ^= 1 << (bit % 8);
        prop_assert!(!VerifyingKey::from_bytes(other).verifies(RELEASE, &message, &signature));
    }
}
