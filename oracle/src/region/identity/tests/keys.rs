//! Keys to come, keys in use, retired keys, and keys that were erased.

use attest::key_epoch::KeyKind;
use attest::oblivious::{ClientContext, InnerRequest};
use attest::privacy_pass::IssuerDirectory;

use super::*;
use crate::store::identity::TokenName;

const BOTH: [TokenType; 2] = [TokenType::BlindRsa2048, TokenType::VoprfP384];
const DAY_MS: u64 = 86_400_000;
const GATEWAY: &str = "/.well-known/ohttp-gateway";

fn token_refused() -> (u16, String) {
    (401, "token-refused".to_owned())
}

fn name(token: &Token) -> TokenName {
    TokenName { key_id: *token.key_id().as_bytes(), nonce: token.nonce() }
}

impl Service {
    async fn later(&self, ms: u64) {
        self.clock.advance(ms);
        self.node.maintain_identity().await;
    }

    async fn directory(&self) -> IssuerDirectory {
        IssuerDirectory::parse(&self.get("/.well-known/private-token-issuer-directory").await.body).unwrap()
    }

    /// Asks for a token under this key.
    async fn ask_under(&self, key: &PublicKey) -> Answered {
        let (challenge, _) = self.offer(TENANT, key.token_type()).await;
        let (request, _) = PendingToken::new(&challenge, key, &mut OsRng.unwrap_err()).unwrap();
        self.ask_for_token(&self.minted(TENANT, 1, Check::Account), request.to_bytes()).await
    }

    /// The numbers of the epochs of a kind.
    fn numbers(&self, kind: KeyKind) -> Vec<u32> {
        let ring = self.identity().ring.load();
        ring.log.epochs().iter().filter(|epoch| epoch.kind == kind).map(|epoch| epoch.number).collect()
    }
}

/// Keys issue for 30 days, and what they issued is taken for 7 more.
#[tokio::test]
async fn a_key_to_come_does_not_issue_and_a_retired_one_redeems_for_a_while() {
    let service = Service::new().await;
    let refused = (422, "token-request-refused".to_owned());
    let mut tokens = BTreeMap::new();
    for token_type in BOTH {
        let four = [(); 4].map(|()| service.any_token(TENANT, token_type));
        let mut made = Vec::new();
        for token in four {
            made.push(token.await);
        }
        tokens.insert(token_type, made);
    }
    let first = service.directory().await;
    assert_eq!(first.keys().len(), 4, "two types for each of two tenants");

    // A day ahead the next ones are published, and not used.
    service.later(29 * DAY_MS).await;
    let both = service.directory().await;
    assert_eq!(both.keys().len(), 8);
    let begins_s = START_MS / 1000 + 30 * 86_400;
    let next = |token_type: TokenType| {
        let coming = both
            .keys()
            .iter()
            .find(|entry| entry.not_before_seconds == Some(begins_s) && entry.key.token_type() == token_type);
        coming.unwrap().key.clone()
    };
    for token_type in BOTH {
        let current = first.key_for(token_type, service.clock.now_ms()).unwrap();
        assert_eq!(service.offer(TENANT, token_type).await.1, *current);
        assert_eq!(service.ask_under(current).await.status, StatusCode::OK);
        assert_eq!(service.ask_under(&next(token_type)).await.problem(), refused, "it is still to come");
    }
    service.clock.advance(DAY_MS - 1);
    assert_eq!(service.ask_under(&next(TokenType::VoprfP384)).await.problem(), refused, "to the millisecond");

    // The next ones take over; the retired ones issue nothing, and what they issued is good.
    service.clock.advance(1);
    for token_type in BOTH {
        assert_eq!(service.offer(TENANT, token_type).await.1, next(token_type));
        assert_eq!(service.ask_under(&next(token_type)).await.status, StatusCode::OK);
        let retired = first.keys().iter().find(|entry| entry.key.token_type() == token_type).unwrap();
        assert_eq!(service.ask_under(&retired.key).await.problem(), refused, "it is retired");
        let token = tokens.get_mut(&token_type).unwrap().pop().unwrap();
        assert_eq!(service.redeem(&token).await.status, StatusCode::OK);
        assert_eq!(service.redeem(&token).await.problem(), token_refused());
    }
    // A week on, to the millisecond; nobody need have looked.
    service.later(7 * DAY_MS - 1).await;
    for token_type in BOTH {
        let token = tokens.get_mut(&token_type).unwrap().pop().unwrap();
        assert_eq!(service.redeem(&token).await.status, StatusCode::OK);
        assert!(!service.identity().store.spend(name(&token), service.clock.now_ms()).await.unwrap());
    }
    service.clock.advance(1);
    for token_type in BOTH {
        let token = tokens.get_mut(&token_type).unwrap().pop().unwrap();
        assert_eq!(service.redeem(&token).await.problem(), token_refused());
        let shown = authorization(&token.to_bytes());
        assert_eq!(service.post("/v1/sessions", Some(&shown), &json!({})).await.problem(), token_refused());
    }
}

/// When a key has ended its secret half goes, and with it the nonces of what was spent; no other's.
#[tokio::test]
async fn what_ended_is_erased_and_its_nonces_are_forgotten() {
    let service = Service::new().await;
    let mut spent = Vec::new();
    for token_type in BOTH {
        let token = service.any_token(TENANT, token_type).await;
        assert_eq!(service.redeem(&token).await.status, StatusCode::OK);
        spent.push(token);
    }
    let ended: Vec<u32> = BOTH.iter().flat_map(|token_type| service.numbers(KeyKind::of_token(*token_type))).collect();
    let here = |number: &u32| {
        let log = service.folder().log(&service.identity().setup).unwrap();
        service.folder().secret(&log.epochs()[*number as usize]).unwrap().is_some()
    };
    service.later(30 * DAY_MS).await;
    let fresh = service.any_token(TENANT, TokenType::VoprfP384).await;
    assert_eq!(service.redeem(&fresh).await.status, StatusCode::OK);
    service.later(7 * DAY_MS - 1).await;
    assert!(ended.iter().all(here), "they redeem still");
    for token in &spent {
        assert_eq!(service.redeem(token).await.problem(), token_refused());
    }
    service.later(10_000).await;
    assert!(!ended.iter().any(here));
    for token in &spent {
        let kept = !service.identity().store.spend(name(token), service.clock.now_ms()).await.unwrap();
        assert!(kept, "a token that was verified in time may still be on its way");
    }
    service.later(3_600_000).await;
    let now_ms = service.clock.now_ms();
    for token in &spent {
        // The store knows nothing of it any more, and that opens nothing: its key is not accepted.
        assert!(service.identity().store.spend(name(token), now_ms).await.unwrap());
        assert_eq!(service.redeem(token).await.problem(), token_refused());
    }
    assert!(!service.identity().store.spend(name(&fresh), now_ms).await.unwrap(), "another key's are kept");
    assert_eq!(service.redeem(&fresh).await.problem(), token_refused());
}

/// An operator who erases a key need not restart: within ten seconds what it made is refused.
#[tokio::test]
async fn an_erased_key_is_refused_within_the_look_interval() {
    let service = Service::new().await;
    for token_type in BOTH {
        let (first, second) =
            (service.any_token(TENANT, token_type).await, service.any_token(TENANT, token_type).await);
        let key = service.offer(TENANT, token_type).await.1;
        let number = service.numbers(KeyKind::of_token(token_type))[0];
        assert!(service.folder().erase(number as usize).unwrap());
        service.later(9_999).await;
        assert_eq!(service.redeem(&first).await.status, StatusCode::OK, "nobody has looked");
        service.later(1).await;
        assert_eq!(service.redeem(&second).await.problem(), token_refused());
        // A new key has taken its place.
        assert_ne!(service.offer(TENANT, token_type).await.1, key);
        assert_eq!(service.ask_under(&key).await.problem(), (422, "token-request-refused".to_owned()));
        let fresh = service.any_token(TENANT, token_type).await;
        assert_eq!(service.redeem(&fresh).await.status, StatusCode::OK);
    }
}

/// The gateway's newest key that has begun is published; those before it open until they end, and then say so.
#[tokio::test]
async fn capsules_for_the_last_key_open_for_a_while() {
    let service = Service::new().await;
    let published = async || service.get(GATEWAY).await.body;
    let open = async |configs: &[u8]| {
        let headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
        let (method, path, body) = ("POST".to_owned(), "/v1/rank".to_owned(), b"{}".to_vec());
        let request = InnerRequest { method, path, headers, body };
        let (message, _) = ClientContext::encapsulate(configs, &request, "us-east.example").unwrap();
        let outer = Request::post(GATEWAY).header("content-type", "message/ohttp-req");
        service.call(outer.body(Body::from(message)).unwrap()).await
    };
    let first = published().await;
    service.later(29 * DAY_MS).await;
    assert_eq!(published().await, first, "the next is still to come");
    service.later(DAY_MS).await;
    let second = published().await;
    assert_ne!(second, first);
    service.later(7 * DAY_MS - 1).await;
    for configs in [&first, &second] {
        assert_eq!(open(configs).await.status, StatusCode::OK);
    }
    service.later(10_000).await;
    let refused = open(&first).await.problem();
    assert_eq!(refused, (422, "https://iana.org/assignments/http-problem-types#ohttp-key".to_owned()));
    assert_eq!(open(&second).await.status, StatusCode::OK);
}

/// A gateway whose only key was erased gets another at once, and what was sealed to the old one is refused.
#[tokio::test]
async fn an_erased_gateway_key_opens_nothing() {
    let service = Service::new().await;
    let old = service.get(GATEWAY).await.body;
    let number = service.numbers(KeyKind::Oblivious)[0];
    assert!(service.folder().erase(number as usize).unwrap());
    service.later(10_000).await;
    let fresh = service.get(GATEWAY).await;
    assert!(fresh.status == StatusCode::OK && fresh.body != old);
    let (method, path) = ("POST".to_owned(), "/v1/rank".to_owned());
    let request = InnerRequest { method, path, headers: Vec::new(), body: Vec::new() };
    let (message, _) = ClientContext::encapsulate(&old, &request, "us-east.example").unwrap();
    let outer = Request::post(GATEWAY).header("content-type", "message/ohttp-req");
    let refused = service.call(outer.body(Body::from(message)).unwrap()).await.problem();
    assert_eq!(refused, (422, "https://iana.org/assignments/http-problem-types#ohttp-key".to_owned()));
}

/// One tenant's viewer is entitled to that tenant's tokens and to nobody else's, whatever is blinded.
#[tokio::test]
async fn a_tenants_viewers_get_no_tokens_of_another() {
    let service = Service::new().await;
    for token_type in BOTH {
        let access = service.minted(TENANT, 1, Check::Account);
        let (other, other_key) = service.offer(OTHER, token_type).await;
        let (_, own_key) = service.offer(TENANT, token_type).await;
        assert_ne!(own_key, other_key);
        let mut rng = OsRng.unwrap_err();
        let (request, _) = PendingToken::new(&other, &other_key, &mut rng).unwrap();
        let asked = service.ask_for_token(&access, request.to_bytes()).await;
        assert_eq!(asked.problem(), (422, "token-request-refused".to_owned()), "the other's key");
        // Under its own key the issuer cannot see whose challenge was blinded; at redemption it shows.
        let (request, pending) = PendingToken::new(&other, &own_key, &mut rng).unwrap();
        let asked = service.ask_for_token(&access, request.to_bytes()).await;
        let token = pending.finalize(&asked.body).unwrap();
        assert_eq!(service.redeem(&token).await.problem(), token_refused());
    }
}

#[tokio::test]
async fn a_node_attests_to_the_keys_that_it_serves_with() {
    let service = Service::new().await;
    let attested = async || {
        let answer = service.get("/v1/attestation?nonce=0123456789abcdef").await;
        let attestation: attest::Attestation = serde_json::from_slice(&answer.body).unwrap();
        attestation.binding
    };
    let published = async || {
        let now_s = service.clock.now_ms() / 1000;
        let directory = service.directory().await;
        let begun = directory.keys().iter().filter(|key| key.not_before_seconds.is_none_or(|begins| begins <= now_s));
        begun.map(|key| Digest::of(key.key.as_bytes())).collect::<Vec<_>>()
    };
    let before = attested().await;
    let configs = service.get(GATEWAY).await.body;
    assert_eq!(usize::from(u16::from_be_bytes([configs[0], configs[1]])), configs.len() - 2);
    assert_eq!(before.oblivious_keys, [Digest::of(&configs[2..])]);
    let keys = published().await;
    assert_eq!(keys.len(), 4, "of two types for two tenants");
    assert!(keys.iter().all(|key| before.token_keys.contains(key)) && before.token_keys.len() == 4);
    assert!(before.token_keys.is_sorted());
    assert!(before.is_bounded());
    // A month on other keys issue, and the old ones still redeem.
    service.later(29 * DAY_MS).await;
    service.later(2 * DAY_MS).await;
    let after = attested().await;
    assert!(published().await.iter().chain(&keys).all(|key| after.token_keys.contains(key)));
    assert_ne!(after.oblivious_keys, before.oblivious_keys);
    assert_eq!(after.oblivious_keys, [Digest::of(&service.get(GATEWAY).await.body[2..])]);
}
