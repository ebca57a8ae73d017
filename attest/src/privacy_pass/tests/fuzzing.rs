use proptest::prelude::*;

use super::*;
use crate::privacy_pass::fuzz;

const BODIES: [fn(&[u8]); 9] = [
    fuzz::token_request,
    fuzz::batched_request,
    fuzz::response,
    fuzz::token,
    fuzz::challenge,
    fuzz::www_authenticate,
    fuzz::authorization,
    fuzz::directory,
    fuzz::public_key,
];

/// Real messages of both types, whole: what the fuzzer would start from.
#[test]
fn the_bodies_take_real_messages() {
    for vector in vectors() {
        for text in [&vector.request, &vector.response, &vector.token, &vector.challenge, &vector.public] {
            BODIES.iter().for_each(|body| body(&unhex(text)));
        }
    }
    for batch in batches() {
        BODIES.iter().for_each(|body| body(&unhex(&batch.request)));
        BODIES.iter().for_each(|body| body(&unhex(&batch.response)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_bodies_take_any_bytes(data in proptest::collection::vec(any::<u8>(), 0..400), body in 0..9_usize) {
        BODIES[body](&data);
    }

    /// A real message with one byte changed, and cut.
    #[test]
    fn the_bodies_take_damaged_messages(body in 0..9_usize, at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let [voprf, _] = &*ISSUERS;
        let (request, _, response) = issuance(voprf, 1);
        let challenge = challenge_for(TokenType::VoprfP384);
        let batch = BatchedTokenRequest::new(vec![request.clone()]).unwrap();
        let keys = vec![DirectoryKey { key: voprf.public().clone(), not_before_seconds: None }];
        let offer = OfferedChallenge { challenge: challenge.clone(), key: voprf.public().clone(), max_age_seconds: None };
        let messages = [
            request.to_bytes(),
            batch.to_bytes(),
            response.into_bytes(),
            issued(voprf, 1).to_bytes().to_vec(),
            challenge.to_bytes(),
            header::format_www_authenticate(&[offer]).into_bytes(),
            header::format_authorization(&issued(voprf, 1)).as_bytes().to_vec(),
            IssuerDirectory::new("/r", keys).unwrap().to_json().into_bytes(),
            voprf.public().as_bytes().to_vec(),
        ];
        let mut message = messages[body].clone();
        let at = at.index(message.len());
        message[at] = byte;
        BODIES[body](&message);
        BODIES[body](&message[..cut.index(message.len())]);
    }
}
