use super::*;
use crate::privacy_pass::client::{finalize_batch, pending_batch};
use policies::Digest;

/// From given randomness the client makes the vector's request, and from the vector's response the vector's token.
/// The RSA salt and factor and the curve's blind are given; the issuer's proof is random, so it is only verified.
#[test]
fn the_client_makes_the_vectors_requests_and_tokens() {
    for vector in vectors() {
        let key = PublicKey::parse(vector.token_type(), &unhex(&vector.public)).unwrap();
        let (request, pending) = PendingToken::new(&vector.challenge(), &key, &mut vector.script()).unwrap();
        assert_eq!(request.to_bytes(), unhex(&vector.request));
        let token = pending.finalize(&unhex(&vector.response)).map(|token| token.to_bytes().to_vec());
        assert_eq!(token, Ok(unhex(&vector.token)));
    }
}

/// The issuer's answer is the vector's: all of it for RSA, the evaluated point for the VOPRF.
#[test]
fn the_issuer_gives_the_vectors_responses() {
    for vector in vectors() {
        let key = vector.key();
        let request = TokenRequest::parse(&unhex(&vector.request)).unwrap();
        let response = key.issue(&request, &mut FixedGenerator::new(7)).unwrap().into_bytes();
        let given = unhex(&vector.response);
        assert_eq!(response.len(), given.len());
        let determined = if vector.token_type() == TokenType::VoprfP384 { POINT_BYTES } else { MODULUS_BYTES };
        assert_eq!(response[..determined], given[..determined]);
    }
}

#[test]
fn keys_challenges_and_tokens_are_the_vectors() {
    for vector in vectors() {
        let key = vector.key();
        assert_eq!(key.public().as_bytes(), unhex(&vector.public));
        assert_eq!(key.public().id().as_bytes(), Digest::of(&unhex(&vector.public)).as_bytes());
        assert_eq!(key.public().id().truncated(), unhex(&vector.request)[2]);
        assert_eq!(key.to_secret_bytes().as_slice(), unhex(&vector.secret));
        let challenge = vector.challenge();
        assert_eq!(challenge.to_bytes(), unhex(&vector.challenge));

        let token = Token::parse(&unhex(&vector.token)).unwrap();
        assert_eq!(token.to_bytes().as_slice(), unhex(&vector.token));
        let verified = redeem(&token, |_, _| Some(RedeemKey::Issuer(&key)), &[challenge.digest()]).unwrap();
        assert_eq!(verified.nonce().as_slice(), unhex(&vector.nonce));
        assert_eq!((verified.key_id(), verified.token_type()), (key.public().id(), vector.token_type()));
        assert_eq!(verified.challenge_digest(), challenge.digest());
        let public = redeem(&token, |_, _| Some(RedeemKey::Public(key.public())), &[challenge.digest()]);
        let expected = match vector.token_type() {
            TokenType::VoprfP384 => Err(RedeemError::UnknownKey),
            TokenType::BlindRsa2048 => Ok(verified),
        };
        assert_eq!(public, expected);
    }
}

/// The fields of the first vectors, read by eye.
#[test]
fn the_challenges_fields() {
    let challenges: Vec<_> = vectors().iter().map(Vector::challenge).collect();
    let first = &challenges[0];
    assert_eq!((first.token_type(), first.issuer_name()), (TokenType::VoprfP384, "issuer.example"));
    assert_eq!(first.redemption_context().map(|context| context[..4].to_vec()), Some(vec![0x5d, 0xe5, 0x8a, 0x52]));
    assert_eq!(first.origin_info(), ["origin.example"]);
    assert_eq!(challenges[1].redemption_context(), None);
    assert_eq!(challenges[1].origin_info(), ["foo.example", "bar.example"]);
    assert_eq!(challenges[2].origin_info().len(), 0);
}

/// The batches' vectors: two of one type, and both types mixed.
#[test]
fn batches_are_the_vectors() {
    for batch in batches() {
        let script: Vec<u8> = batch.issuance.iter().flat_map(|vector| vector.script().0).collect();
        let keys: Vec<_> = batch.issuance.iter().map(Vector::key).collect();
        let challenges: Vec<_> = batch.issuance.iter().map(Vector::challenge).collect();
        let wanted = challenges.iter().zip(keys.iter().map(IssuerKey::public));
        let (request, pending) = pending_batch(wanted, &mut Script(script.into_iter())).unwrap();
        assert_eq!(request.to_bytes(), unhex(&batch.request));
        assert_eq!(BatchedTokenRequest::parse(&unhex(&batch.request)), Ok(request.clone()));

        let given = BatchedTokenResponse::parse(&unhex(&batch.response)).unwrap();
        assert_eq!(given.to_bytes(), unhex(&batch.response));
        let tokens = finalize_batch(pending, &unhex(&batch.response)).map_err(|error| error.to_string());
        let tokens: Vec<_> =
            tokens.unwrap_or_default().into_iter().map(|token| token.map(|token| token.to_bytes().to_vec())).collect();
        let expected: Vec<_> = batch.issuance.iter().map(|vector| Some(unhex(&vector.token))).collect();
        assert_eq!(tokens, expected);

        let key_of = |token_type, truncated| {
            keys.iter()
                .find(|key| key.public().token_type() == token_type && key.public().id().truncated() == truncated)
        };
        let own = issue_batch(&request, key_of, &mut FixedGenerator::new(1));
        for (own, given) in own.responses().iter().zip(given.responses()) {
            let (own, given) = (own.as_ref().unwrap().as_bytes(), given.as_ref().unwrap().as_bytes());
            assert_eq!(own[..POINT_BYTES], given[..POINT_BYTES]);
        }
    }
}
