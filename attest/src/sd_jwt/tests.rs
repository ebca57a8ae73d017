//! Whole runs between issuer, holder and verifier. `Forge` makes whatever a hostile issuer or holder could sign.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use rand_core::{CryptoRng, RngCore};
use serde_json::{Map, Value, json};

use super::*;
use crate::keys::SigningKey;

mod disclosures;
mod issuing;
mod keys;
mod refusals;
mod statuses;
mod vectors;

const ISSUER: &str = "https://issuer.example";
const VCT: &str = "urn:siwa:test:1";
const LIST: &str = "https://issuer.example/status/1";
const NOW_S: u64 = 1_760_000_000;
const NOW_MS: u64 = NOW_S * 1000;
const EXPECTED: Expected<'_> = Expected { types: &["urn:other", VCT], audience: "https://siwa.example", nonce: "n-1" };

/// What a case of a table does to something good.
type Change<T> = fn(&mut T);

/// SplitMix64: the same bytes in every run.
struct Seeded(u64);

impl RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand_core::impls::fill_bytes_via_next(self, bytes);
    }
}

impl CryptoRng for Seeded {}

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut Seeded(seed))
}

fn issuer() -> SigningKey {
    key(1)
}

fn holder() -> SigningKey {
    key(2)
}

fn public(key: &SigningKey) -> PublicJwk {
    key.verifying_key().into()
}

fn trusted() -> TrustedKeys {
    TrustedKeys::new(ISSUER, JwkSet::of(public(&issuer())))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn request() -> IssueRequest {
    IssueRequest {
        issuer: ISSUER.to_owned(),
        vct: VCT.to_owned(),
        issued_s: NOW_S - 86_400,
        expires_s: NOW_S + 86_400,
        holder: public(&holder()),
        always: object(json!({"assurance": "substantial"})),
        disclosable: object(json!({"age_over_18": true, "region": "eu-north", "subscriber_tier": "premium"})),
        status: Some(StatusReference { index: 3, uri: LIST.to_owned() }),
    }
}

fn credential() -> String {
    request().issue(&issuer(), &mut Seeded(3)).unwrap()
}

fn show(disclose: &[&str]) -> String {
    present(&credential(), disclose, &holder(), EXPECTED.audience, EXPECTED.nonce, NOW_S).unwrap()
}

/// What a verifier learns, as claims that compare and print.
fn verify(text: &str) -> Result<Value, SdJwtError> {
    verify_by(text, &trusted(), &EXPECTED, NOW_MS)
}

fn verify_by(text: &str, keys: &TrustedKeys, expected: &Expected<'_>, now_ms: u64) -> Result<Value, SdJwtError> {
    let parsed = Presentation::parse(text)?;
    parsed.verify(keys, expected, now_ms).map(|verified| Value::Object(verified.claims().clone()))
}

/// Everything that issuer and holder sign, before they do.
struct Forge {
    issuer: SigningKey,
    holder: SigningKey,
    header: Value,
    payload: Value,
    disclosures: Vec<String>,
    binding_header: Value,
    binding: Value,
}

impl Forge {
    /// A good presentation of the claim `region`.
    fn new() -> Self {
        let disclosure = disclosure_of(&json!(["salt", "region", "eu-north"]));
        Self {
            header: json!({"alg": "EdDSA", "typ": "dc+sd-jwt", "kid": issuer().verifying_key().key_id().as_str()}),
            payload: json!({
                "iss": ISSUER, "vct": VCT, "iat": NOW_S, "exp": NOW_S + 60, "tier": 1,
                "cnf": {"jwk": public(&holder()).to_json()}, "_sd": [disclosure::digest(&disclosure)],
            }),
            disclosures: vec![disclosure],
            binding_header: json!({"alg": "EdDSA", "typ": "kb+jwt"}),
            binding: json!({"iat": NOW_S, "aud": EXPECTED.audience, "nonce": EXPECTED.nonce}),
            issuer: issuer(),
            holder: holder(),
        }
    }

    /// As [`Self::new`], with these claims and disclosures: each value of `disclosed` is a disclosure's JSON, and
    /// the text `#0` in the claims is the digest of the first, and so on.
    fn disclosing(claims: Value, disclosed: &[Value]) -> Self {
        let mut forge = Self::new();
        let mut digests: Vec<String> = Vec::new();
        forge.disclosures = Vec::new();
        for value in disclosed {
            let disclosure = disclosure_of(&with_digests(value, &digests));
            digests.push(disclosure::digest(&disclosure));
            forge.disclosures.push(disclosure);
        }
        forge.payload.as_object_mut().unwrap().remove("_sd");
        forge.payload.as_object_mut().unwrap().extend(object(with_digests(&claims, &digests)));
        forge
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn bound(&self) -> String {
        let mut text = jws(&self.header, &self.payload, &self.issuer) + "~";
        for disclosure in &self.disclosures {
            text += &format!("{disclosure}~");
        }
        text
    }

    fn text(&self) -> String {
        let bound = self.bound();
        let mut binding = self.binding.clone();
        if binding.get("sd_hash").is_none() {
            binding["sd_hash"] = json!(disclosure::digest(&bound));
        }
        bound + &jws(&self.binding_header, &binding, &self.holder)
    }

    fn verify(&self) -> Result<Value, SdJwtError> {
        verify(&self.text())
    }
}

fn with_digests(value: &Value, digests: &[String]) -> Value {
    let mut text = value.to_string();
    for (at, digest) in digests.iter().enumerate() {
        text = text.replace(&format!("\"#{at}\""), &format!("\"{digest}\""));
    }
    serde_json::from_str(&text).unwrap()
}

fn disclosure_of(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A compact JWS with exactly this header and payload.
fn jws(header: &Value, payload: &Value, key: &SigningKey) -> String {
    let input = format!("{}.{}", disclosure_of(header), disclosure_of(payload));
    let signature = URL_SAFE_NO_PAD.encode(key.sign_raw(input.as_bytes()).0);
    format!("{input}.{signature}")
}

#[test]
fn what_is_shown_is_learnt_and_nothing_else() {
    assert_eq!(verify(&show(&[])), Ok(json!({"assurance": "substantial"})));
    assert_eq!(verify(&show(&["region"])), Ok(json!({"assurance": "substantial", "region": "eu-north"})));
    let all =
        json!({"assurance": "substantial", "age_over_18": true, "region": "eu-north", "subscriber_tier": "premium"});
    assert_eq!(verify(&show(&["region", "age_over_18", "subscriber_tier"])), Ok(all));
}

#[test]
fn the_verified_credential_tells_whose_it_is() {
    let text = show(&["region"]);
    let parsed = Presentation::parse(&text).unwrap();
    assert_eq!(parsed.unverified_issuer(), ISSUER);
    let verified = parsed.verify(&trusted(), &EXPECTED, NOW_MS).ok().unwrap();
    assert_eq!((verified.issuer(), verified.vct(), verified.expires_s()), (ISSUER, VCT, NOW_S + 86_400));
    assert_eq!(verified.holder_thumbprint(), &public(&holder()).thumbprint());
    assert_eq!(verified.status().map(|status| (status.index, status.uri.as_str())), Some((3, LIST)));
    // SHA-256 by another way to frame the same bytes.
    let thumbprint = public(&holder()).thumbprint();
    let framed = [
        b"siwa sd-jwt subject v1\0\0\0\0\0\0\0\0\x16".as_slice(),
        ISSUER.as_bytes(),
        b"\0\0\0\0\0\0\0\x20",
        &thumbprint,
    ];
    assert_eq!(verified.subject(), sha256(&framed.concat()));
}

#[test]
fn predicates_are_confirmed_denied_or_not_said() {
    use Predicate::{AgeOver18, Region, SubscriberTier};
    let asked = |claims: Value, predicate| {
        let mut forge = Forge::new();
        forge.payload.as_object_mut().unwrap().extend(object(claims));
        let text = forge.text();
        Presentation::parse(&text).unwrap().verify(&trusted(), &EXPECTED, NOW_MS).ok().unwrap().holds(predicate)
    };
    let cases = [
        (json!({}), AgeOver18, None),
        (json!({"age_over_18": true}), AgeOver18, Some(true)),
        (json!({"age_over_18": false}), AgeOver18, Some(false)),
        (json!({"age_over_18": "true"}), AgeOver18, None),
        (json!({"age_over_18": 1}), AgeOver18, None),
        (json!({"age_equal_or_over": {"18": true}}), AgeOver18, Some(true)),
        (json!({"age_equal_or_over": {"21": true}}), AgeOver18, None),
        (json!({"age_equal_or_over": "18"}), AgeOver18, None),
        (json!({"age_over_18": true, "age_equal_or_over": {"18": true}}), AgeOver18, Some(true)),
        (json!({"age_over_18": true, "age_equal_or_over": {"18": false}}), AgeOver18, None),
        (json!({"age_over_18": true, "age_equal_or_over": {"18": null}}), AgeOver18, None),
        (json!({}), SubscriberTier("premium"), None),
        (json!({"subscriber_tier": "premium"}), SubscriberTier("premium"), Some(true)),
        (json!({"subscriber_tier": "Premium"}), SubscriberTier("premium"), Some(false)),
        (json!({"subscriber_tier": ["premium"]}), SubscriberTier("premium"), None),
        (json!({"tier": 1}), Region("eu-north"), Some(true)),
        (json!({"tier": 1}), Region("eu"), Some(false)),
    ];
    for (claims, predicate, said) in cases {
        assert_eq!(asked(claims.clone(), predicate), said, "{claims} {predicate:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_choice_of_any_claims_comes_through(
        claims in prop::collection::btree_map("[a-z]{1,6}_", "[ -~]{0,8}", 0..12),
        choice in any::<u16>(),
        seed in any::<u64>(),
    ) {
        let claims: Map<String, Value> = claims.into_iter().map(|(name, value)| (name, json!(value))).collect();
        let chosen: Map<String, Value> = claims.clone().into_iter().enumerate()
            .filter(|(at, _)| choice >> at & 1 == 1).map(|(_, claim)| claim).collect();
        let credential = IssueRequest { disclosable: claims.clone(), always: Map::new(), ..request() }
            .issue(&issuer(), &mut Seeded(seed)).unwrap();
        let all = receive(&credential, &trusted(), &[VCT], &public(&holder()), NOW_MS);
        prop_assert_eq!(all, Ok(claims));
        let names: Vec<&str> = chosen.keys().map(String::as_str).collect();
        let text = present(&credential, &names, &holder(), EXPECTED.audience, EXPECTED.nonce, NOW_S).unwrap();
        prop_assert_eq!(verify(&text), Ok(Value::Object(chosen)));
    }

    #[test]
    fn fuzz_bodies_bear_any_bytes(data in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz::presentation(&data);
        fuzz::status_list(&data);
        fuzz::jwk_set(&data);
    }

    #[test]
    fn fuzz_bodies_bear_almost_good_text(
        text in r#"(\{"_sd":\[("[a-z]",?)*\]|\}|"\.\.\.":|"a":|\[|\]|~|\.|\n|"keys":|"kty":"OKP"|eyJ9){0,12}"#,
    ) {
        fuzz::presentation(text.as_bytes());
        fuzz::jwk_set(text.as_bytes());
    }
}

#[test]
fn fuzz_bodies_reach_past_the_first_check() {
    fuzz::presentation(show(&["region"]).as_bytes());
    let disclosure = r#"["salt","region","x"]"#;
    let digest = disclosure::digest(&URL_SAFE_NO_PAD.encode(disclosure));
    fuzz::presentation(format!("{{\"_sd\":[\"{digest}\"]}}\n{disclosure}").as_bytes());
    fuzz::status_list(b"eNrbuRgAAhcBXQ");
    fuzz::jwk_set(json!({"keys": [public(&issuer()).to_json()]}).to_string().as_bytes());
}
