use super::*;
use crate::keys::VerifyingKey;
use crate::keys::tests::rfc8037_key;

const NOW_MS: u64 = 1_800_000_000_000;

fn answer() -> Answer<String> {
    Answer {
        iss: "node-1".to_owned(),
        aud: "demo-platform".to_owned(),
        sub: None,
        iat: NOW_MS / 1000,
        exp: NOW_MS / 1000 + 300,
        jti: "1".to_owned(),
        nonce: "n".to_owned(),
        input: Digest::of(b"question"),
        policy: Digest::of(b"policy"),
        check: "session".to_owned(),
        result: "created".to_owned(),
        confidence: Confidence::CERTAIN,
    }
}

fn expected() -> AnswerExpectation<'static> {
    AnswerExpectation { issuer: "node-1", audience: "demo-platform", nonce: "n", input: Digest::of(b"question") }
}

fn key() -> VerifyingKey {
    rfc8037_key().verifying_key()
}

#[test]
fn an_answer_verifies_as_it_was_signed() {
    let token = answer().sign(&rfc8037_key()).unwrap();
    assert_eq!(Answer::verify(&token, &key(), expected(), NOW_MS), Ok(answer()));
}

#[test]
fn an_answer_to_something_else_is_refused() {
    type Change = fn(&mut Answer<String>);
    let cases: [(Change, AnswerError); 8] = [
        (|a| a.iss = "node-2".to_owned(), AnswerError::Issuer),
        (|a| a.aud = "other".to_owned(), AnswerError::Audience),
        (|a| a.nonce = "m".to_owned(), AnswerError::Question),
        (|a| a.input = Digest::of(b"another"), AnswerError::Question),
        (|a| a.iat += 31, AnswerError::NotYetValid),
        (|a| (a.iat, a.exp) = (a.iat - 300, a.iat - 30), AnswerError::Expired),
        (|a| a.exp = a.iat, AnswerError::Lifetime),
        (|a| a.exp = a.iat + LIFETIME_SECONDS_MAX + 1, AnswerError::Lifetime),
    ];
    for (change, refusal) in cases {
        let mut changed = answer();
        change(&mut changed);
        let token = changed.sign(&rfc8037_key()).unwrap();
        assert_eq!(Answer::<String>::verify(&token, &key(), expected(), NOW_MS), Err(refusal));
    }
}

#[test]
fn confidence_is_bounded() {
    for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(Confidence::try_from(bad), Err(InvalidConfidence));
    }
    assert_eq!(serde_json::from_str::<Confidence>("2").map_err(|e| e.to_string()), {
        Err("a confidence is a number from 0 to 1".to_owned())
    });
}
