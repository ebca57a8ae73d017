use proptest::prelude::*;

use super::*;
use crate::privacy_pass::client::{ClientError, finalize_batch, pending_batch};
use crate::randomness::Rng10;

const fn is_shared_by_threads<T: Send + Sync>() {}
const _: () = is_shared_by_threads::<IssuerKey>();
const _: () = is_shared_by_threads::<PublicKey>();
const _: () = is_shared_by_threads::<PendingToken>();

fn accepted(token: &Token) -> Result<VerifiedToken, RedeemError> {
    let expected = [challenge_for(TokenType::VoprfP384).digest(), challenge_for(TokenType::BlindRsa2048).digest()];
    let key_of = |token_type, id: &TokenKeyId| {
        let mut issuers = ISSUERS.iter().filter(|key| key.public().token_type() == token_type);
        issuers.find(|key| key.public().id() == *id).map(RedeemKey::Issuer)
    };
    redeem(token, key_of, &expected)
}

#[test]
fn sizes_are_those_of_the_rfc() {
    let sizes = |issuer: &IssuerKey| {
        let (request, _, response) = issuance(issuer, 1);
        (request.to_bytes().len(), response.as_bytes().len(), issued(issuer, 1).to_bytes().len())
    };
    assert_eq!(ISSUERS.each_ref().map(sizes), [(52, 145, 146), (259, 256, 354)]);
}

#[test]
fn a_new_key_works_and_survives_its_file() {
    for token_type in [TokenType::VoprfP384, TokenType::BlindRsa2048] {
        let key = IssuerKey::generate(token_type, &mut FixedGenerator::new(11));
        let again = IssuerKey::from_secret_bytes(token_type, &key.to_secret_bytes()).map(|key| key.public().clone());
        assert_eq!(again.as_ref(), Ok(key.public()));
        let token = issued(&key, 3);
        assert!(key.verifies(&token));
        assert!(!ISSUERS.iter().any(|other| other.verifies(&token)));
    }
}

/// Two issuances never show the same blinded message, and nothing of it is in the token.
#[test]
fn requests_and_tokens_share_no_bytes_but_type_and_key() {
    for issuer in &*ISSUERS {
        let (one, ..) = issuance(issuer, 1);
        let (two, ..) = issuance(issuer, 2);
        assert_ne!(one.blinded(), two.blinded());
        let token = issued(issuer, 1).to_bytes();
        let window = &one.blinded()[1..9];
        assert!(!token.windows(8).any(|bytes| bytes == window));
    }
}

#[test]
fn other_secrets_are_refused() {
    let [voprf, rsa] = ISSUERS.each_ref().map(|key| key.to_secret_bytes().to_vec());
    // The order of P-384, the smallest number that is no scalar.
    let order =
        unhex("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973");
    let mut flipped = rsa.clone();
    flipped[100] ^= 1;
    let large = blind_rsa_signatures::KeyPair::<_, _, _>::generate(&mut Rng10(&mut FixedGenerator::new(1)), 2056);
    let large =
        large.map(|pair: blind_rsa_signatures::KeyPairSha384PSSDeterministic| pair.sk.to_der().unwrap()).unwrap();
    // An exponent that the library takes and RFC 9578's keys do not have.
    let three = rsa::BoxedUint::from(3_u32);
    let cubic = rsa::RsaPrivateKey::new_with_exp(&mut Rng10(&mut FixedGenerator::new(2)), 2048, three).unwrap();
    let cubic = RsaSecretKey::new(cubic).to_der().unwrap();
    for (token_type, bytes) in [
        (TokenType::VoprfP384, &voprf[1..]),
        (TokenType::VoprfP384, &[0; 48][..]),
        (TokenType::VoprfP384, &order),
        (TokenType::VoprfP384, &rsa),
        (TokenType::BlindRsa2048, &voprf),
        (TokenType::BlindRsa2048, &rsa[..rsa.len() - 1]),
        (TokenType::BlindRsa2048, &flipped),
        (TokenType::BlindRsa2048, &large),
        (TokenType::BlindRsa2048, &cubic),
        (TokenType::BlindRsa2048, &[0; 4096]),
    ] {
        assert_eq!(error_of(IssuerKey::from_secret_bytes(token_type, bytes)), Some(InvalidIssuerKey), "{bytes:02x?}");
    }
}

fn refusal(issuer: &IssuerKey, bytes: &[u8]) -> Result<TokenResponse, IssueError> {
    issuer.issue(&TokenRequest::parse(bytes).unwrap(), &mut FixedGenerator::new(0))
}

#[test]
fn requests_for_others_are_refused() {
    let [voprf, rsa] = &*ISSUERS;
    let (request, ..) = issuance(voprf, 1);
    assert_eq!(rsa.issue(&request, &mut FixedGenerator::new(0)), Err(IssueError::TokenType));
    let mut other = request.to_bytes();
    other[2] ^= 1;
    assert_eq!(refusal(voprf, &other), Err(IssueError::KeyId));
}

/// No point: not on the curve, a coordinate not below the prime, the identity padded, other SEC 1 forms.
#[test]
fn what_is_no_point_is_refused() {
    let [voprf, _] = &*ISSUERS;
    let (request, ..) = issuance(voprf, 1);
    let good = request.to_bytes();
    assert_eq!(refusal(voprf, &good).map(|response| response.as_bytes().len()), Ok(145));
    let with = |point: &[u8]| refusal(voprf, &[&good[..3], point].concat());
    for tag in [0, 1, 4, 5, 6, 0x82] {
        assert_eq!(with(&[&[tag], &good[4..]].concat()), Err(IssueError::Element), "{tag}");
    }
    assert_eq!(with(&[0; 49]), Err(IssueError::Element));
    assert_eq!(with(&[&[2], [0xff; 48].as_slice()].concat()), Err(IssueError::Element));
    // The prime of P-384, which stands for zero in a careless decoder: zero is a coordinate on this curve.
    let prime =
        unhex("fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff");
    assert_eq!(with(&[&[2], prime.as_slice()].concat()), Err(IssueError::Element));
    assert_eq!(with(&[&[2], [0; 48].as_slice()].concat()).map(|response| response.as_bytes().len()), Ok(145));
    let off = (1..=u8::MAX).map(|x| with(&[&[2], [0; 47].as_slice(), &[x]].concat()));
    let refused = off.filter(|answer| *answer == Err(IssueError::Element)).count();
    assert!((100..155).contains(&refused), "about half of all coordinates have no point: {refused}");
}

#[test]
fn a_number_not_below_the_modulus_is_refused() {
    let [_, rsa] = &*ISSUERS;
    let spki = rsa.public().as_bytes();
    let modulus = &spki[spki.len() - 5 - 256..spki.len() - 5];
    let with = |number: &[u8]| refusal(rsa, &[&[0, 2, rsa.public().id().truncated()], number].concat());
    assert_eq!(with(modulus), Err(IssueError::Element));
    assert_eq!(with(&[0xff; 256]), Err(IssueError::Element));
    let mut below = modulus.to_vec();
    below[255] -= 1;
    // One below the modulus is minus one, whose signature is itself.
    assert_eq!(with(&below).map(TokenResponse::into_bytes), Ok(below));
}

#[test]
fn a_token_is_good_for_its_key_and_challenge_alone() {
    for issuer in &*ISSUERS {
        let token = issued(issuer, 1);
        let token_type = token.token_type();
        assert_eq!(accepted(&token).map(|verified| *verified.nonce()), Ok(token.nonce()));
        let own = |_: TokenType, _: &TokenKeyId| Some(RedeemKey::Issuer(issuer));
        let other = TokenChallenge::new(token_type, "issuer.example", None, &["origin.example"]).unwrap().digest();
        assert_eq!(redeem(&token, own, &[other]), Err(RedeemError::Challenge));
        assert_eq!(redeem(&token, own, &[]), Err(RedeemError::Challenge));
        assert_eq!(redeem(&token, |_, _| None, &[token.challenge_digest()]), Err(RedeemError::UnknownKey));
        // A lookup that gives another key than was asked for is not believed.
        for wrong in ISSUERS.iter().filter(|key| key.public() != issuer.public()) {
            let answer = redeem(&token, |_, _| Some(RedeemKey::Issuer(wrong)), &[token.challenge_digest()]);
            assert_eq!(answer, Err(RedeemError::UnknownKey));
        }
        // The same fields under another key of the type, and its id put in place.
        let foreign = IssuerKey::generate(TokenType::VoprfP384, &mut FixedGenerator::new(5));
        let lookup = redeem(&token, |_, _| Some(RedeemKey::Issuer(&foreign)), &[token.challenge_digest()]);
        assert_eq!(lookup, Err(RedeemError::UnknownKey));
        let mut claimed = issued(&foreign, 1).to_bytes();
        if token_type == TokenType::VoprfP384 {
            claimed[66..98].copy_from_slice(issuer.public().id().as_bytes());
            assert_eq!(accepted(&Token::parse(&claimed).unwrap()), Err(RedeemError::Authenticator));
        }
    }
}

/// A token of one type that claims a key of the other, by a lookup that goes by the id alone.
#[test]
fn a_token_claims_a_key_of_its_type() {
    let [voprf, rsa] = &*ISSUERS;
    for (issuer, other) in [(voprf, rsa), (rsa, voprf)] {
        let mut bytes = issued(issuer, 1).to_bytes();
        bytes[66..98].copy_from_slice(other.public().id().as_bytes());
        let token = Token::parse(&bytes).unwrap();
        let answer = redeem(&token, |_, _| Some(RedeemKey::Issuer(other)), &[token.challenge_digest()]);
        assert_eq!(answer, Err(RedeemError::UnknownKey));
    }
}

/// Each bit of a token: the type is unknown or the length wrong, or the exact check that covers the bit refuses.
#[test]
fn every_bit_of_a_token_counts() {
    for issuer in &*ISSUERS {
        let good = issued(issuer, 1).to_bytes();
        // A VOPRF token costs an evaluation a bit, so there a bit of each byte is taken.
        let step = if issuer.public().token_type() == TokenType::VoprfP384 { 7 } else { 1 };
        for bit in (0..good.len() * 8).step_by(step) {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let outcome = Token::parse(&bytes).map(|token| accepted(&token));
            let expected = match bit / 8 {
                0 | 1 if bytes[..2] == [0, 1] || bytes[..2] == [0, 2] => Err(WireError::Length),
                0 | 1 => Err(WireError::TokenType),
                2..34 => Ok(Err(RedeemError::Authenticator)),
                34..66 => Ok(Err(RedeemError::Challenge)),
                66..98 => Ok(Err(RedeemError::UnknownKey)),
                _ => Ok(Err(RedeemError::Authenticator)),
            };
            assert_eq!(outcome, expected, "bit {bit}");
        }
    }
}

#[test]
fn every_byte_of_a_response_counts() {
    for issuer in &*ISSUERS {
        let (_, _, response) = issuance(issuer, 1);
        let good = response.into_bytes();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            let (_, pending) = issuance_client(issuer);
            assert_eq!(error_of(pending.finalize(&bytes)), Some(ClientError::Response), "byte {at}");
        }
        for bytes in [&good[1..], &[], &[good.as_slice(), &[0]].concat()] {
            let (_, pending) = issuance_client(issuer);
            assert_eq!(error_of(pending.finalize(bytes)), Some(ClientError::Wire(WireError::Length)));
        }
    }
}

/// A response's point in the compact form of SEC 1, which would be the same point for about half of them.
#[test]
fn a_response_in_another_form_is_refused() {
    for seed in 0..6 {
        let (_, pending, response) = issuance(&ISSUERS[0], seed);
        let mut bytes = response.into_bytes();
        bytes[0] = 5;
        assert_eq!(error_of(pending.finalize(&bytes)), Some(ClientError::Response));
    }
}

/// The client of `issuance(issuer, 1)`, without the issuer's work.
fn issuance_client(issuer: &IssuerKey) -> (TokenRequest, PendingToken) {
    let challenge = challenge_for(issuer.public().token_type());
    PendingToken::new(&challenge, issuer.public(), &mut FixedGenerator::new(1)).unwrap()
}

/// A request that was changed on the way is refused, or its answer does not finalize.
#[test]
fn every_byte_of_a_request_counts() {
    for issuer in &*ISSUERS {
        let (request, ..) = issuance(issuer, 1);
        let good = request.to_bytes();
        for at in (0..good.len()).step_by(if good.len() > 100 { 16 } else { 3 }) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            let Ok(request) = TokenRequest::parse(&bytes) else { continue };
            let Ok(response) = issuer.issue(&request, &mut FixedGenerator::new(9)) else { continue };
            let (_, pending) = issuance_client(issuer);
            assert_eq!(error_of(pending.finalize(response.as_bytes())), Some(ClientError::Response), "byte {at}");
        }
    }
}

/// RSA's second way to write a response, the same number plus the modulus, is not taken.
#[test]
fn a_response_not_below_the_modulus_is_refused() {
    let [_, rsa] = &*ISSUERS;
    let spki = rsa.public().as_bytes();
    let modulus = &spki[spki.len() - 5 - 256..spki.len() - 5];
    let mut refused = 0;
    // About one in four has room for the modulus above it.
    for seed in 0..24 {
        let (_, pending, response) = issuance(rsa, seed);
        let mut sum = response.into_bytes();
        let carry = sum.iter_mut().zip(modulus).rev().fold(0_u16, |carry, (a, b)| {
            let total = u16::from(*a) + u16::from(*b) + carry;
            *a = total.to_be_bytes()[1];
            total >> 8
        });
        if carry == 0 {
            assert_eq!(error_of(pending.finalize(&sum)), Some(ClientError::Response));
            refused += 1;
        }
    }
    assert!(refused > 0, "of 24 responses none has room for the modulus");
}

#[test]
fn a_client_asks_only_for_the_keys_type() {
    let [voprf, rsa] = &*ISSUERS;
    let mut rng = FixedGenerator::new(0);
    let answer = PendingToken::new(&challenge_for(TokenType::BlindRsa2048), voprf.public(), &mut rng);
    assert_eq!(error_of(answer), Some(ClientError::TokenType));
    let answer = PendingToken::new(&challenge_for(TokenType::VoprfP384), rsa.public(), &mut rng);
    assert_eq!(error_of(answer), Some(ClientError::TokenType));
}

fn mixed(count: usize) -> Result<(BatchedTokenRequest, Vec<PendingToken>), ClientError> {
    let challenges = ISSUERS.each_ref().map(|key| challenge_for(key.public().token_type()));
    let wanted = challenges.iter().zip(ISSUERS.iter().map(IssuerKey::public)).cycle().take(count);
    pending_batch(wanted, &mut FixedGenerator::new(4))
}

fn issuer_of(token_type: TokenType, truncated: u8) -> Option<&'static IssuerKey> {
    let of_type = |key: &&IssuerKey| key.public().token_type() == token_type;
    ISSUERS.iter().filter(of_type).find(|key| key.public().id().truncated() == truncated)
}

#[test]
fn a_batch_of_both_types_yields_its_tokens_in_order() {
    let (request, pending) = mixed(4).map_err(|error| error.to_string()).unwrap();
    let request = BatchedTokenRequest::parse(&request.to_bytes()).unwrap();
    let answer = issue_batch(&request, issuer_of, &mut FixedGenerator::new(8)).to_bytes();
    let tokens = finalize_batch(pending, &answer).map_err(|error| error.to_string()).unwrap_or_default();
    let types: Vec<_> = tokens.iter().flatten().map(|token| accepted(token).map(|token| token.token_type())).collect();
    let (voprf, rsa) = (Ok(TokenType::VoprfP384), Ok(TokenType::BlindRsa2048));
    assert_eq!(types, [voprf, rsa, voprf, rsa]);
}

/// One request without a key and one without an element are absent; the third is answered.
#[test]
fn a_refused_request_is_absent() {
    let (request, pending) = mixed(3).map_err(|error| error.to_string()).unwrap();
    let mut requests = request.requests().to_vec();
    requests[0] = TokenRequest::new(TokenType::VoprfP384, requests[0].truncated_key_id(), vec![0; 49]);
    requests[1] = TokenRequest::new(TokenType::BlindRsa2048, requests[1].truncated_key_id() ^ 1, vec![0; 256]);
    let request = BatchedTokenRequest::new(requests).unwrap();
    let answer = issue_batch(&request, issuer_of, &mut FixedGenerator::new(8));
    assert_eq!(answer.to_bytes().len(), 2 + 1 + 1 + 3 + 145);
    let tokens = finalize_batch(pending, &answer.to_bytes()).map_err(|error| error.to_string()).unwrap_or_default();
    let present: Vec<_> = tokens.iter().map(Option::is_some).collect();
    assert_eq!(present, [false, false, true]);
}

#[test]
fn batches_have_1_to_64_requests() {
    assert_eq!(error_of(mixed(0)), Some(ClientError::Wire(WireError::BatchCount)));
    assert_eq!(error_of(mixed(65)), Some(ClientError::Wire(WireError::BatchCount)));
    let request = TokenRequest::new(TokenType::BlindRsa2048, 1, vec![3; 256]);
    let full = BatchedTokenRequest::new(vec![request.clone(); 64]).unwrap();
    assert_eq!(full.to_bytes().len(), BATCH_REQUEST_BYTES_MAX);
    assert_eq!(BatchedTokenRequest::parse(&full.to_bytes()), Ok(full));
    let small = TokenRequest::new(TokenType::VoprfP384, 1, vec![3; 49]);
    let mut bytes = vec![0x4d, 0x34];
    (0..65).for_each(|_| small.put(&mut bytes));
    assert_eq!(BatchedTokenRequest::parse(&bytes), Err(WireError::BatchCount));
    assert_eq!(BatchedTokenRequest::parse(&[0]), Err(WireError::BatchCount));
    assert_eq!(BatchedTokenResponse::parse(&[0]), Err(WireError::BatchCount));
    assert_eq!(BatchedTokenResponse::parse(&[&[0x40, 65], [0; 65].as_slice()].concat()), Err(WireError::BatchCount));
    assert_eq!(error_of(BatchedTokenRequest::new(vec![request; 65])), Some(WireError::BatchCount));
}

/// An answer with one more, one less, swapped or of another type.
#[test]
fn an_answer_to_another_batch_is_refused() {
    let (request, _) = mixed(2).map_err(|error| error.to_string()).unwrap();
    let answer = issue_batch(&request, issuer_of, &mut FixedGenerator::new(8)).responses().to_vec();
    let outcome = |responses: Vec<Option<TokenResponse>>| {
        let (_, pending) = mixed(2).map_err(|error| error.to_string()).unwrap();
        error_of(finalize_batch(pending, &BatchedTokenResponse::new(responses).unwrap().to_bytes()))
    };
    assert_eq!(outcome(answer.clone()), None);
    assert_eq!(outcome(answer[..1].to_vec()), Some(ClientError::BatchCount));
    assert_eq!(outcome([answer.as_slice(), &[None]].concat()), Some(ClientError::BatchCount));
    assert_eq!(outcome(vec![answer[1].clone(), answer[0].clone()]), Some(ClientError::TokenType));
    let (_, _, other) = issuance(&ISSUERS[0], 77);
    assert_eq!(outcome(vec![Some(other), answer[1].clone()]), Some(ClientError::Response));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Whatever is drawn, an issued token is accepted, as what it says.
    #[test]
    fn what_is_issued_is_accepted(seed: u64) {
        for issuer in &*ISSUERS {
            let token = issued(issuer, seed);
            let verified = accepted(&token).map(|token| (*token.nonce(), token.key_id()));
            prop_assert_eq!(verified, Ok((token.nonce(), issuer.public().id())));
        }
    }
}
