use proptest::prelude::*;

use super::*;
use crate::privacy_pass::directory::{self, DirectoryError};

/// Every length but the right one is refused.
#[test]
fn requests_and_tokens_have_exact_lengths() {
    for issuer in &*ISSUERS {
        let (request, ..) = issuance(issuer, 1);
        let (request, token) = (request.to_bytes(), issued(issuer, 1).to_bytes());
        for length in 2..request.len() {
            assert_eq!(TokenRequest::parse(&request[..length]), Err(WireError::Length), "{length}");
        }
        for length in 2..token.len() {
            assert_eq!(error_of(Token::parse(&token[..length])), Some(WireError::Length), "{length}");
        }
        assert_eq!(TokenRequest::parse(&[request.as_slice(), &[0]].concat()), Err(WireError::Length));
        assert_eq!(error_of(Token::parse(&[token.as_slice(), &[0]].concat())), Some(WireError::Length));
    }
    assert_eq!(TokenRequest::parse(&[0]), Err(WireError::Length));
    assert_eq!(error_of(Token::parse(&[])), Some(WireError::Length));
    for code in [0, 3, 5, 0xda7a_u16] {
        let bytes = [&code.to_be_bytes(), [0; 400].as_slice()].concat();
        assert_eq!(TokenRequest::parse(&bytes), Err(WireError::TokenType));
        assert_eq!(error_of(Token::parse(&bytes)), Some(WireError::TokenType));
    }
}

#[test]
fn a_batch_states_its_length_once_and_shortest() {
    let small = TokenRequest::new(TokenType::VoprfP384, 9, vec![3; 49]).to_bytes();
    let batch = |head: &[u8], requests: usize| BatchedTokenRequest::parse(&[head, &small.repeat(requests)].concat());
    assert_eq!(batch(&[52], 1).map(|batch| batch.requests().len()), Ok(1));
    assert_eq!(batch(&[0x40, 104], 2).map(|batch| batch.requests().len()), Ok(2));
    for head in [&[51][..], &[53], &[0x40, 52], &[0x80, 0, 0, 52], &[0xc0, 0, 0, 0, 0, 0, 0, 52], &[]] {
        assert_eq!(batch(head, 1), Err(WireError::Length), "{head:?}");
    }
    assert_eq!(BatchedTokenRequest::parse(&vec![0xff; BATCH_REQUEST_BYTES_MAX + 1]), Err(WireError::Length));
    let unknown = [&[52, 0, 5], [0; 50].as_slice()].concat();
    assert_eq!(BatchedTokenRequest::parse(&unknown), Err(WireError::TokenType));
    assert_eq!(BatchedTokenResponse::parse(&[1, 2]), Err(WireError::Presence));
    assert_eq!(BatchedTokenResponse::parse(&[3, 1, 0, 5]), Err(WireError::TokenType));
    assert_eq!(BatchedTokenResponse::parse(&[3, 1, 0, 1]), Err(WireError::Length));
    assert_eq!(BatchedTokenResponse::parse(&[2, 0, 0]).map(|answer| answer.responses().to_vec()), Ok(vec![None, None]));
    assert_eq!(BatchedTokenResponse::parse(&vec![0; BATCH_RESPONSE_BYTES_MAX + 1]), Err(WireError::Length));
}

#[test]
fn challenges_are_refused_field_by_field() {
    let good = challenge_for(TokenType::VoprfP384).to_bytes();
    assert_eq!(TokenChallenge::parse(&good), Ok(challenge_for(TokenType::VoprfP384)));
    for length in 0..good.len() {
        assert_eq!(TokenChallenge::parse(&good[..length]), Err(InvalidChallenge::Length), "{length}");
    }
    assert_eq!(TokenChallenge::parse(&[good.as_slice(), &[0]].concat()), Err(InvalidChallenge::Length));
    assert_eq!(TokenChallenge::parse(&[0; CHALLENGE_BYTES_MAX + 1]), Err(InvalidChallenge::Length));
    let of = |bytes: &[u8]| error_of(TokenChallenge::parse(bytes));
    assert_eq!(of(&[0, 3]), Some(InvalidChallenge::TokenType));
    assert_eq!(of(&[0, 1, 0, 0, 0, 0, 0]), Some(InvalidChallenge::IssuerName));
    assert_eq!(of(&[0, 1, 0, 1, b' ', 0, 0, 0]), Some(InvalidChallenge::IssuerName));
    assert_eq!(of(&[0, 1, 0, 1, 0xc3, 0, 0, 0]), Some(InvalidChallenge::IssuerName));
    assert_eq!(of(&[0, 1, 0, 1, b'a', 0, 0, 0]), None);
    assert_eq!(of(&[0, 1, 0, 1, b'a', 1, 7, 0, 0]), Some(InvalidChallenge::RedemptionContext));
    assert_eq!(of(&[0, 1, 0, 1, b'a', 0, 0, 2, b'a', b',']), Some(InvalidChallenge::OriginInfo));
    assert_eq!(of(&[0, 1, 0, 1, b'a', 0, 0, 2, 0xc3, 0x28]), Some(InvalidChallenge::OriginInfo));
    assert_eq!(of(&[0, 1, 0, 1, b'a', 0, 0, 3, b'a', b' ', b'b']), Some(InvalidChallenge::OriginInfo));
    let new = |issuer: &str, origins: &[&str]| TokenChallenge::new(TokenType::VoprfP384, issuer, None, origins);
    assert_eq!(error_of(new(&"a".repeat(ISSUER_NAME_BYTES_MAX + 1), &[])), Some(InvalidChallenge::IssuerName));
    assert_eq!(error_of(new("a", &[&"b".repeat(1024)])), None);
    assert_eq!(error_of(new("a", &[&"b".repeat(1023), ""])), Some(InvalidChallenge::OriginInfo));
    assert_eq!(error_of(new("a", &[&"b".repeat(1023), "c"])), Some(InvalidChallenge::OriginInfo));
    assert_eq!(error_of(new("a", &["b,c"])), Some(InvalidChallenge::OriginInfo));
    let challenge = challenge_for(TokenType::VoprfP384);
    let named = ["origin.example", "Other.Example:443", "other.example", ""].map(|origin| challenge.is_for(origin));
    assert_eq!(named, [true, true, false, false]);
    assert_eq!(new("a", &[]).map(|challenge| challenge.is_for("any.example")), Ok(true));
    let longest = TokenChallenge::new(TokenType::VoprfP384, &"a".repeat(255), Some([1; 32]), &[&"b".repeat(1024)]);
    assert_eq!(longest.map(|challenge| challenge.to_bytes().len()), Ok(CHALLENGE_BYTES_MAX));
}

#[test]
fn public_keys_have_one_form() {
    let [voprf, rsa] = ISSUERS.each_ref().map(|key| key.public().as_bytes().to_vec());
    let of = |token_type, bytes: &[u8]| error_of(PublicKey::parse(token_type, bytes));
    let (curve, modulus) = (TokenType::VoprfP384, TokenType::BlindRsa2048);
    for (token_type, bytes) in [(curve, &voprf), (modulus, &rsa)] {
        assert_eq!(of(token_type, bytes), None);
        assert_eq!(of(token_type, &bytes[1..]), Some(InvalidPublicKey::Length));
        assert_eq!(of(token_type, &[bytes.as_slice(), &[0]].concat()), Some(InvalidPublicKey::Length));
    }
    for tag in [0, 4, 5, 7] {
        assert_eq!(of(curve, &[&[tag], &voprf[1..]].concat()), Some(InvalidPublicKey::Point));
    }
    assert_eq!(of(curve, &[0; 49]), Some(InvalidPublicKey::Point));
    assert_eq!(of(curve, &[2; 1]), Some(InvalidPublicKey::Length));
    // Every bit around the modulus: algorithm, hash, salt length, sizes, exponent.
    let around = (0..rsa.len() - 256 - 5).chain(rsa.len() - 5..rsa.len());
    for at in around {
        for bit in 0..8 {
            let mut bytes = rsa.clone();
            bytes[at] ^= 1 << bit;
            assert_eq!(of(modulus, &bytes), Some(InvalidPublicKey::Spki), "byte {at}");
        }
    }
    for (at, bit) in [(rsa.len() - 5 - 256, 0x80), (rsa.len() - 6, 1)] {
        let mut bytes = rsa.clone();
        bytes[at] ^= bit;
        assert_eq!(of(modulus, &bytes), Some(InvalidPublicKey::Modulus));
    }
}

#[test]
fn directories() {
    let key = |issuer: &IssuerKey, from| DirectoryKey { key: issuer.public().clone(), not_before_seconds: from };
    let [voprf, rsa] = &*ISSUERS;
    let newer = IssuerKey::generate(TokenType::VoprfP384, &mut FixedGenerator::new(6));
    let keys = vec![key(&newer, Some(2_000)), key(voprf, None), key(rsa, Some(1))];
    let directory = IssuerDirectory::new("/token-request", keys).unwrap();
    let json = directory.to_json();
    assert!(json.starts_with(r#"{"issuer-request-uri":"/token-request","token-keys":[{"token-type":1,"token-key":"A"#));
    assert_eq!(json.matches("not-before").count(), 2);
    assert_eq!(IssuerDirectory::parse(json.as_bytes()), Ok(directory.clone()));
    let at = |now_ms| directory.key_for(TokenType::VoprfP384, now_ms).map(PublicKey::id);
    assert_eq!((at(1_999_999), at(2_000_000)), (Some(voprf.public().id()), Some(newer.public().id())));
    assert_eq!(directory.key_for(TokenType::BlindRsa2048, 999), None);

    // Keys of unknown types are left out, padding may be missing, other members are ignored.
    let mixed = json.replace(r#""token-keys":["#, r#""x":1,"token-keys":[{"token-type":9,"token-key":"?"},"#);
    assert_eq!(IssuerDirectory::parse(mixed.replace('=', "").as_bytes()), Ok(directory));
    let of = |json: &str| error_of(IssuerDirectory::parse(json.as_bytes()));
    assert_eq!(of("{}"), Some(DirectoryError::Json));
    assert_eq!(of(&json[1..]), Some(DirectoryError::Json));
    assert_eq!(of(&json.replace("/token-request", "")), Some(DirectoryError::RequestUri));
    assert_eq!(of(&json.replace("/token-request", "/ x")), Some(DirectoryError::RequestUri));
    assert_eq!(of(&json.replace(r#""token-key":"A"#, r#""token-key":"+"#)), Some(DirectoryError::Encoding));
    assert_eq!(
        of(&json.replace(r#""token-key":"A"#, r#""token-key":"B"#)),
        Some(DirectoryError::Key(InvalidPublicKey::Point)),
    );
    let many = vec![r#"{"token-type":9,"token-key":""}"#; directory::DIRECTORY_KEYS_MAX + 1].join(",");
    assert_eq!(of(&format!(r#"{{"issuer-request-uri":"/","token-keys":[{many}]}}"#)), Some(DirectoryError::KeyCount),);
    assert_eq!(of(&" ".repeat(directory::DIRECTORY_BYTES_MAX + 1)), Some(DirectoryError::TooLong));
    let full = IssuerDirectory::new("/", vec![key(rsa, Some(u64::MAX)); directory::DIRECTORY_KEYS_MAX]).unwrap();
    assert_eq!(IssuerDirectory::parse(full.to_json().as_bytes()), Ok(full));
    let beyond = vec![key(rsa, None); directory::DIRECTORY_KEYS_MAX + 1];
    assert_eq!(error_of(IssuerDirectory::new("/", beyond)), Some(DirectoryError::KeyCount));
}

proptest! {
    #[test]
    fn challenges_round_trip(
        rsa: bool,
        issuer in "[!-+\\--~]{1,60}",
        context in proptest::option::of(any::<[u8; 32]>()),
        origins in proptest::collection::vec("[!-+\\--~]{1,40}", 0..5),
    ) {
        let token_type = if rsa { TokenType::BlindRsa2048 } else { TokenType::VoprfP384 };
        let names: Vec<&str> = origins.iter().map(String::as_str).collect();
        let challenge = TokenChallenge::new(token_type, &issuer, context, &names).unwrap();
        prop_assert_eq!(TokenChallenge::parse(&challenge.to_bytes()), Ok(challenge));
    }

    #[test]
    fn batches_round_trip(kinds in proptest::collection::vec(any::<(bool, u8, u8)>(), 1..=64)) {
        let request = |&(rsa, id, byte): &(bool, u8, u8)| {
            let token_type = if rsa { TokenType::BlindRsa2048 } else { TokenType::VoprfP384 };
            TokenRequest::new(token_type, id, vec![byte; token_type.blinded_bytes()])
        };
        let batch = BatchedTokenRequest::new(kinds.iter().map(request).collect()).unwrap();
        prop_assert_eq!(BatchedTokenRequest::parse(&batch.to_bytes()), Ok(batch));
        let response = |&(rsa, present, byte): &(bool, u8, u8)| {
            let token_type = if rsa { TokenType::BlindRsa2048 } else { TokenType::VoprfP384 };
            (present > 80).then(|| TokenResponse::new(token_type, vec![byte; token_type.response_bytes()]))
        };
        let answer = BatchedTokenResponse::new(kinds.iter().map(response).collect()).unwrap();
        prop_assert_eq!(BatchedTokenResponse::parse(&answer.to_bytes()), Ok(answer));
    }
}
