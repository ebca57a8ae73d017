//! Anonymous tokens: asked for badly, too often or at once; forged, of another tenant, or spent before.

use attest::privacy_pass::TokenRequest;
use attest::privacy_pass::client::{finalize_batch, pending_batch};

use super::*;

const BOTH: [TokenType; 2] = [TokenType::BlindRsa2048, TokenType::VoprfP384];
const BATCH: &str = "application/private-token-generic-batch-request";

/// `TENANT` may have this many tokens a window.
fn limit(tokens: u32) -> String {
    format!("tokens_per_window = {tokens}")
}

fn token_refused() -> (u16, String) {
    (401, "token-refused".to_owned())
}

fn request_refused() -> (u16, String) {
    (422, "token-request-refused".to_owned())
}

impl Service {
    /// A blinded request, and what finishes it.
    async fn asked(&self, token_type: TokenType) -> (TokenRequest, PendingToken) {
        let (challenge, key) = self.offer(TENANT, token_type).await;
        PendingToken::new(&challenge, &key, &mut OsRng.unwrap_err()).unwrap()
    }

    /// As many tokens in one call.
    async fn batch(&self, access: &str, tokens: usize) -> Answered {
        let (challenge, key) = self.offer(TENANT, TokenType::VoprfP384).await;
        let wanted = std::iter::repeat_n((&challenge, &key), tokens);
        let (request, pending) = pending_batch(wanted, &mut OsRng.unwrap_err()).unwrap();
        let answered = self.post_bytes("/v1/identity/tokens", BATCH, access, request.to_bytes()).await;
        if answered.status == StatusCode::OK {
            assert!(finalize_batch(pending, &answered.body).unwrap().iter().all(Option::is_some));
        }
        answered
    }
}

#[tokio::test]
async fn requests_are_of_their_type_and_length_for_a_key_that_issues() {
    let service = Service::new().await;
    let access = service.minted(TENANT, 1, Check::Account);
    let why = "its form, type or length";
    for token_type in BOTH {
        let (request, _) = service.asked(token_type).await;
        let good = request.to_bytes();
        for media_type in ["", "application/octet-stream", "application/json", "application/private-token-response"] {
            let answered = service.post_bytes("/v1/identity/tokens", media_type, &access, good.clone()).await;
            assert_eq!(answered.problem(), (415, "unsupported-media-type".to_owned()), "{media_type}");
        }
        for bad in of_other_lengths(&good) {
            let answered = service.ask_for_token(&access, bad).await;
            assert_eq!((answered.problem(), answered.text("detail")), (request_refused(), why.to_owned()));
        }
        let as_batch = service.post_bytes("/v1/identity/tokens", BATCH, &access, good.clone()).await;
        assert_eq!(as_batch.problem(), request_refused());
        // Another key's one-byte id: none that is known.
        for wrong in (0..=255).filter(|id| *id != good[2]) {
            let mut other = good.clone();
            other[2] = wrong;
            let answered = service.ask_for_token(&access, other).await;
            let unknown = "it names no key that issues now: see the directory";
            assert_eq!((answered.problem(), answered.text("detail")), (request_refused(), unknown.to_owned()));
        }
    }
    for bad in [vec![], vec![0], vec![0x40, 64], vec![0; 256 * 1024]] {
        let answered = service.post_bytes("/v1/identity/tokens", BATCH, &access, bad).await;
        assert_eq!(answered.problem(), request_refused());
    }
    let large = service.ask_for_token(&access, vec![0; 256 * 1024 + 1]).await;
    assert_eq!(large.problem(), (413, "body-too-large".to_owned()));
}

/// Whatever is changed of a request, its asker gets nothing from the answer, if there is one.
#[tokio::test]
async fn a_changed_request_yields_no_token() {
    let service = Service::new().await;
    let (mut refused, mut answered) = (0, 0);
    for (token_type, step) in [(TokenType::VoprfP384, 1), (TokenType::BlindRsa2048, 7)] {
        let bits = token_type.request_bytes() * 8;
        for bit in (0..bits).step_by(step) {
            let access = service.minted(TENANT, u8::try_from(bit % 251).unwrap(), Check::Account);
            let (request, pending) = service.asked(token_type).await;
            let mut bytes = request.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let answer = service.ask_for_token(&access, bytes).await;
            if answer.status == StatusCode::OK {
                assert!(pending.finalize(&answer.body).is_err(), "bit {bit}");
                answered += 1;
            } else {
                assert_eq!(answer.problem(), request_refused(), "bit {bit}");
                refused += 1;
            }
        }
    }
    assert!(refused > 24 && answered > 24, "{refused} refused, {answered} answered");
}

#[tokio::test]
async fn every_bit_of_a_token_counts_and_so_does_its_length() {
    let service = Service::new().await;
    for token_type in BOTH {
        let token = service.any_token(TENANT, token_type).await;
        for changed in flipped(&token.to_bytes()).chain(of_other_lengths(&token.to_bytes())) {
            assert_eq!(service.redeem_bytes(&changed).await.problem(), token_refused());
        }
        for nonce in [json!({"nonce": ""}), json!({"nonce": "n".repeat(129)})] {
            let shown = authorization(&token.to_bytes());
            let answered = service.post("/v1/identity/tokens/redeem", Some(&shown), &nonce).await;
            assert_eq!((answered.problem(), answered.text("detail")), ((422, "text-form".into()), "nonce".into()));
        }
        assert_eq!(service.redeem(&token).await.status, StatusCode::OK, "none of that spent it");
        let spent = service.redeem(&token).await;
        assert_eq!((spent.problem(), spent.text("detail")), (token_refused(), "it was spent before".to_owned()));
    }
    let bearer = service.bearer();
    for none in [None, Some(""), Some("PrivateToken"), Some("PrivateToken token=\"\""), Some(bearer.as_str())] {
        let answered = service.post("/v1/identity/tokens/redeem", none, &json!({"nonce": "n"})).await;
        assert_eq!(answered.problem(), token_refused());
    }
}

#[tokio::test]
async fn a_token_is_for_one_tenants_challenge_under_a_key_of_this_service() {
    let service = Service::new().await;
    for token_type in BOTH {
        let (challenge, key) = service.offer(TENANT, token_type).await;
        let access = service.minted(TENANT, 1, Check::Account);
        let issue = async |challenge: &TokenChallenge| {
            let (request, pending) = PendingToken::new(challenge, &key, &mut OsRng.unwrap_err()).unwrap();
            let answered = service.ask_for_token(&access, request.to_bytes()).await;
            pending.finalize(&answered.body).unwrap()
        };
        // Blinded, any challenge is signed; unblinded, only one that is open here is taken.
        let ours = challenge.issuer_name();
        for (issuer, context, origins) in [
            (ours, None, vec!["demo-platform.evil.example"]),
            (ours, None, vec![]),
            (ours, Some([7; 32]), vec!["demo-platform.us-east.example"]),
            (ours, None, vec!["demo-platform.us-east.example", "other-platform.us-east.example"]),
            ("eu-west.example", None, vec!["demo-platform.us-east.example"]),
        ] {
            let other = TokenChallenge::new(token_type, issuer, context, &origins).unwrap();
            assert_eq!(service.redeem(&issue(&other).await).await.problem(), token_refused(), "{origins:?}");
        }
        // Another issuer's token for our challenge.
        let stranger = attest::privacy_pass::IssuerKey::generate(TokenType::VoprfP384, &mut OsRng.unwrap_err());
        let challenge =
            TokenChallenge::new(TokenType::VoprfP384, ours, None, &["demo-platform.us-east.example"]).unwrap();
        let (request, pending) = PendingToken::new(&challenge, stranger.public(), &mut OsRng.unwrap_err()).unwrap();
        let signed = stranger.issue(&request, &mut OsRng.unwrap_err()).unwrap();
        let forged = pending.finalize(signed.as_bytes()).unwrap();
        assert_eq!(service.redeem(&forged).await.problem(), token_refused());

        // A token for one tenant is nothing to another, and stays good.
        let token = service.any_token(TENANT, token_type).await;
        let other = format!("Bearer {}", service.other_key.expose());
        let proof = json!({"proof": {"token": text(&token.to_bytes())}});
        let answered = service.post("/v1/sessions", Some(&other), &proof).await;
        assert_eq!(answered.problem(), (401, "proof-refused".to_owned()));
        let redeemed = service.redeem(&token).await.text("answer");
        let verified = |tenant| {
            attest::Answer::<Value>::verify_own(&redeemed, &answer_key().verifying_key(), "node-1", tenant, START_MS)
        };
        assert_eq!(verified(OTHER), Err(attest::AnswerError::Audience));
        assert_eq!(verified(TENANT).unwrap().sub, None);
    }
}

#[tokio::test]
async fn a_subject_has_so_many_tokens_a_window_and_a_batch_is_all_or_none() {
    let service = Service::with(&[("regions/us-east.toml", "tokens_per_window = 64", &limit(3))]).await;
    let access = || service.minted(TENANT, 1, Check::Account);
    let exhausted = |answered: &Answered, seconds: &str| {
        assert_eq!(answered.problem(), (429, "too-many-requests".to_owned()));
        assert_eq!(answered.headers["retry-after"], seconds);
    };
    // A window is a day of Unix time: it ends at midnight.
    let left = 86_400 - START_MS / 1000 % 86_400;
    assert_eq!(service.batch(&access(), 4).await.problem(), request_refused(), "more than any window has");
    assert_eq!(service.batch(&access(), 2).await.status, StatusCode::OK);
    exhausted(&service.batch(&access(), 2).await, &left.to_string());
    let (request, pending) = service.asked(TokenType::BlindRsa2048).await;
    let answered = service.ask_for_token(&access(), request.to_bytes()).await;
    assert!(pending.finalize(&answered.body).is_ok(), "the third");
    service.clock.advance(1000);
    exhausted(&service.ask_for_token(&access(), request.to_bytes()).await, &(left - 1).to_string());
    // Also as another kind of proof of the same subject, and after a restart; not for another subject.
    let by_age = service.minted(TENANT, 1, Check::AgeOver18);
    exhausted(&service.ask_for_token(&by_age, request.to_bytes()).await, &(left - 1).to_string());
    let service = service.restart(&[("regions/us-east.toml", "tokens_per_window = 64", &limit(3))]).await;
    let access = |subject| service.minted(TENANT, subject, Check::Account);
    exhausted(&service.batch(&access(1), 1).await, &(left - 1).to_string());
    assert_eq!(service.batch(&access(2), 3).await.status, StatusCode::OK);
    service.clock.advance((left - 2) * 1000);
    exhausted(&service.batch(&access(1), 1).await, "1");
    service.clock.advance(1000);
    assert_eq!(service.batch(&access(1), 3).await.status, StatusCode::OK, "a new window");
}

/// 64 tasks ask for the last token: one gets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_token_of_a_window_is_issued_once() {
    let service = Arc::new(Service::with(&[("regions/us-east.toml", "tokens_per_window = 64", &limit(1))]).await);
    let access = service.minted(TENANT, 1, Check::Account);
    let (request, _) = service.asked(TokenType::VoprfP384).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (service, access, request) = (Arc::clone(&service), access.clone(), request.to_bytes());
        calls.spawn(async move { service.ask_for_token(&access, request).await.status.as_u16() });
    }
    let mut statuses = calls.join_all().await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, [429; 63].as_slice()));
}

#[tokio::test]
async fn what_could_not_be_signed_is_not_counted() {
    let service = Service::with(&[("regions/us-east.toml", "tokens_per_window = 64", &limit(1))]).await;
    let access = service.minted(TENANT, 1, Check::Account);
    for token_type in BOTH {
        let (request, _) = service.asked(token_type).await;
        let mut none = request.to_bytes();
        // Above the field's prime, and above any modulus.
        none[4..].fill(0xff);
        none[3] = if token_type == TokenType::VoprfP384 { 2 } else { 0xff };
        for _ in 0..3 {
            let answered = service.ask_for_token(&access, none.clone()).await;
            let why = "the blinded message is not an element";
            assert_eq!((answered.problem(), answered.text("detail")), (request_refused(), why.to_owned()));
        }
    }
    let (request, pending) = service.asked(TokenType::BlindRsa2048).await;
    let answered = service.ask_for_token(&access, request.to_bytes()).await;
    assert!(pending.finalize(&answered.body).is_ok(), "the one that there is");
    assert_eq!(service.ask_for_token(&access, request.to_bytes()).await.problem().0, 429);
}

/// Redemptions and beginnings of sessions, by the device and by the platform, with one token from 64 tasks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_tasks_with_one_token_exactly_one_wins() {
    let service = Arc::new(Service::new().await);
    for round in 0..4 {
        let token = service.any_token(TENANT, BOTH[round % 2]).await;
        let bytes = token.to_bytes().to_vec();
        let mut calls = tokio::task::JoinSet::new();
        for task in 0..64 {
            let (service, bytes) = (Arc::clone(&service), bytes.clone());
            calls.spawn(async move {
                let answered = match task % 3 {
                    0 => service.redeem_bytes(&bytes).await,
                    1 => service.post("/v1/sessions", Some(&authorization(&bytes)), &json!({})).await,
                    _ => {
                        let proof = json!({"proof": {"token": text(&bytes)}});
                        service.post("/v1/sessions", Some(&service.bearer()), &proof).await
                    }
                };
                match answered.status.as_u16() {
                    200 | 201 => true,
                    _ => {
                        // Another call has it: it may yet come free.
                        let held = (503, "token-held".to_owned());
                        let problem = answered.problem();
                        assert!(problem == token_refused() || problem == held, "{problem:?}");
                        false
                    }
                }
            });
        }
        let won = calls.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(won, 1, "round {round}");
        let tenant = TENANT.parse().unwrap();
        assert!(service.node.sessions.count(&tenant) <= round + 1, "no session stands that nothing paid for");
        assert_eq!(service.redeem_bytes(&bytes).await.problem(), token_refused(), "and it stays spent");
    }
}

#[tokio::test]
async fn what_was_spent_stays_spent_over_a_restart() {
    let service = Service::new().await;
    let mut spent = Vec::new();
    for token_type in BOTH {
        let redeemed = service.any_token(TENANT, token_type).await;
        assert_eq!(service.redeem(&redeemed).await.status, StatusCode::OK);
        let session = service.any_token(TENANT, token_type).await;
        let created = service.post("/v1/sessions", Some(&authorization(&session.to_bytes())), &json!({})).await;
        assert_eq!(created.status, StatusCode::CREATED);
        spent.extend([redeemed, session]);
    }
    let unspent = service.any_token(TENANT, TokenType::VoprfP384).await;
    let service = service.restart(&[]).await;
    for token in spent {
        assert_eq!(service.redeem(&token).await.problem(), token_refused());
    }
    assert_eq!(service.redeem(&unspent).await.status, StatusCode::OK);
}

/// A token pays for a session that begins, and for no other.
#[tokio::test]
async fn where_no_session_begins_the_token_is_given_back() {
    let service = Service::new().await;
    let begin = async |bearer: &str, body: Value| service.post("/v1/sessions", Some(bearer), &body).await;
    // The tenant's share of ten.
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(begin(&service.bearer(), json!({})).await.text("session"));
    }
    for token_type in BOTH {
        let token = service.any_token(TENANT, token_type).await;
        let (device, proof) = (authorization(&token.to_bytes()), json!({"proof": {"token": text(&token.to_bytes())}}));
        for _ in 0..3 {
            assert_eq!(begin(&device, json!({})).await.problem(), (503, "sessions-full".to_owned()));
            assert_eq!(begin(&service.bearer(), proof.clone()).await.problem(), (503, "sessions-full".to_owned()));
        }
        // Nor does a call that was wrong in itself cost it.
        let named = begin(&device, json!({"viewer": "v"})).await;
        assert_eq!((named.problem(), named.text("detail")), ((422, "text-form".into()), "viewer".into()));
        let ended = Request::delete(format!("/v1/sessions/{}", sessions.pop().unwrap()));
        let ended = ended.header("authorization", service.bearer()).body(Body::empty()).unwrap();
        assert_eq!(service.call(ended).await.status, StatusCode::NO_CONTENT);
        let long = json!({"viewer": "v".repeat(129), "proof": proof["proof"]});
        assert_eq!(begin(&service.bearer(), long).await.problem(), (422, "text-length".to_owned()));
        assert_eq!(begin(&device, json!({})).await.status, StatusCode::CREATED);
        assert_eq!(begin(&device, json!({})).await.problem(), token_refused());
    }
}
