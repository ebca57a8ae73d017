//! Services that lie about a list, each in one thing.

use attest::SigningKey;
use attest::content::list::{
    BlindedElement, BucketError, BucketTree, CheckError, ListKey, ManifestError, TAG_BYTES, Tag,
};
use attest::opaque::Stretching;
use attest::privacy_pass::Token;
use axum::http::StatusCode;
use axum::routing::{any_service, get, post};
use axum::{Json, Router};
use policies::ListMeaning;
use rand_core::{OsRng, TryRngCore as _};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::client::{Client, ClientOptions};
use crate::environment::Environment;
use crate::http::tests::{Running, patient, run};
use crate::http::{Limits, Problem};
use IdentityClientError as E;

pub(crate) const PATH: &str = "/v1/content/lists/demo/blocked";
const SLOTS: u32 = 16;

/// A service with one list, which holds `clip-1`.
pub(crate) struct Service {
    signer: SigningKey,
    key: ListKey,
    /// The key that evaluates: another one where the service lies.
    evaluates: ListKey,
    manifest: ListManifest,
    bucket: Vec<u8>,
    /// What is changed of an evaluation's answer.
    change: Change,
}

pub(crate) fn identifier(clip: &str) -> Identifier {
    Identifier::new(clip.as_bytes()).unwrap()
}

impl Service {
    pub(crate) fn honest() -> Self {
        let mut rng = OsRng.unwrap_err();
        let (signer, key) = (SigningKey::generate(&mut rng), ListKey::generate(&mut rng));
        let evaluates = ListKey::from_secret_bytes(&*key.to_secret_bytes()).unwrap();
        let mut tags: Vec<Tag> = (1..SLOTS).map(|number| key.padding(0, number)).collect();
        tags.push(key.tag(&identifier("clip-1")));
        tags.sort();
        let bucket: Vec<u8> = tags.iter().flat_map(|tag| *tag.as_bytes()).collect();
        let root = BucketTree::new(vec![BucketTree::leaf(0, &bucket)]).unwrap().root();
        let iat = Environment::production().clock.now_s();
        let manifest = ListManifest {
            tenant: "demo".parse().unwrap(),
            list: "blocked".parse().unwrap(),
            meaning: ListMeaning::Blocked,
            epoch: 4,
            iat,
            exp: iat + 86_400,
            bits: 0,
            slots: SLOTS,
            tag_bytes: u8::try_from(TAG_BYTES).unwrap(),
            entries_max: 1024,
            key: key.public(),
            root,
        };
        Self { signer, key, evaluates, manifest, bucket, change: |_| {} }
    }

    /// The router, and how often an evaluation was asked for.
    pub(crate) fn router(self) -> (Router, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let (token, jwk) = (self.manifest.sign(&self.signer).unwrap(), self.signer.verifying_key().to_jwk());
        let (bucket, key, change, counted) = (self.bucket, Arc::new(self.evaluates), self.change, Arc::clone(&asked));
        let evaluate = async move |Json(question): Json<Value>| {
            counted.fetch_add(1, Ordering::SeqCst);
            let element = bytes_of(question["elements"][0].as_str().unwrap()).unwrap();
            let element = BlindedElement::parse(&element).unwrap();
            let evaluation = key.evaluate(&[element], &mut OsRng.unwrap_err()).unwrap();
            let mut answer = json!({"epoch": question["epoch"], "elements": [text_of(&evaluation.elements[0])],
                "proof": text_of(&evaluation.proof)});
            change(&mut answer);
            Json(answer)
        };
        let router = Router::new()
            .route(&format!("{PATH}/key"), get(async move || Json(jwk)))
            .route(&format!("{PATH}/manifest"), get(async move || token))
            .route(&format!("{PATH}/epochs/4/buckets/0"), get(async move || bucket))
            .route(&format!("{PATH}/evaluations"), post(evaluate));
        (router, asked)
    }

    /// What a device makes of it, and how often it asked for an evaluation.
    async fn asked(self, clip: &str, trust: &ListTrust) -> (Result<bool, E>, usize) {
        let (router, asked) = self.router();
        let (_server, device) = device(router).await;
        let listed = ask(&device, clip, trust).await;
        (listed, asked.load(Ordering::SeqCst))
    }
}

pub(crate) async fn device(router: Router) -> (Running, IdentityClient) {
    let limits = Limits { body_bytes_max: 100_000, ..patient() };
    let server = run(None, limits, router).await;
    let client = Client::new(ClientOptions::new(format!("http://{}", server.address), Vec::new())).unwrap();
    let environment = Arc::new(Environment::production());
    (server, IdentityClient::new(client, "demo".parse().unwrap(), Stretching::fast_for_tests(), environment))
}

/// A token by its form.
pub(crate) fn token() -> Token {
    let mut bytes = [7; 146];
    bytes[..2].copy_from_slice(&[0, 1]);
    Token::parse(&bytes).unwrap()
}

async fn ask(device: &IdentityClient, clip: &str, trust: &ListTrust) -> Result<bool, E> {
    let way = device.direct();
    let list = device.list(&"blocked".parse().unwrap(), trust, (&way, &way)).await?;
    let question = device.list_question(&list, identifier(clip), &way).await?;
    device.is_listed(&list, question, &token(), &way).await
}

/// What is changed of an answer, and what the client is to make of it.
type Change = fn(&mut Value);
type Expected = fn(&E) -> bool;

fn pinned(key: &SigningKey) -> ListTrust {
    ListTrust { key: Some(key.verifying_key()), epoch_min: 4 }
}

#[tokio::test]
async fn an_honest_service_says_yes_or_no() {
    for (clip, listed) in [("clip-1", true), ("clip-2", false)] {
        let service = Service::honest();
        let trust = pinned(&service.signer);
        assert!(matches!(service.asked(clip, &trust).await, (Ok(found), 1) if found == listed), "{clip}");
    }
    assert!(matches!(Service::honest().asked("clip-1", &ListTrust::default()).await, (Ok(true), 1)));
}

#[tokio::test]
async fn a_manifest_of_another_key_or_an_earlier_epoch_is_refused() {
    let other = SigningKey::generate(&mut OsRng.unwrap_err());
    let answered = Service::honest().asked("clip-1", &pinned(&other)).await;
    assert!(matches!(answered, (Err(E::ListManifest(ManifestError::Jws(attest::JwsError::Key))), 0)));
    let trust = ListTrust { key: None, epoch_min: 5 };
    let answered = Service::honest().asked("clip-1", &trust).await;
    assert!(matches!(answered, (Err(E::ListManifest(ManifestError::Epoch)), 0)));
    let mut others = Service::honest();
    others.manifest.tenant = "other".parse().unwrap();
    let answered = others.asked("clip-1", &ListTrust::default()).await;
    assert!(matches!(answered, (Err(E::ListManifest(ManifestError::Tenant)), 0)));
}

/// A cache that alters a bucket is found out before a token is spent.
#[tokio::test]
async fn an_altered_bucket_is_refused_before_anything_is_asked() {
    let mut service = Service::honest();
    let without: Vec<u8> = (1..=SLOTS).flat_map(|number| *service.key.padding(0, number).as_bytes()).collect();
    service.bucket = without;
    let answered = service.asked("clip-1", &ListTrust::default()).await;
    assert!(matches!(answered, (Err(E::ListBucket(BucketError::Root)), 0)));
    let mut service = Service::honest();
    service.bucket.pop();
    let answered = service.asked("clip-1", &ListTrust::default()).await;
    assert!(matches!(answered, (Err(E::ListBucket(BucketError::Length)), 0)));
}

#[tokio::test]
async fn an_evaluation_by_another_key_or_altered_is_refused() {
    let mut service = Service::honest();
    service.evaluates = ListKey::generate(&mut OsRng.unwrap_err());
    let answered = service.asked("clip-1", &ListTrust::default()).await;
    assert!(matches!(answered, (Err(E::ListCheck(CheckError::Proof)), 1)));
    let changes: [(Change, Expected); 6] = [
        (|answer| answer["epoch"] = json!(5), |error| matches!(error, E::Call(ClientError::AnswerForm))),
        (|answer| answer["elements"] = json!([]), |error| matches!(error, E::ListCheck(CheckError::Answers))),
        (
            |answer| answer["elements"] = json!([answer["elements"][0], answer["elements"][0]]),
            |error| matches!(error, E::ListCheck(CheckError::Answers)),
        ),
        (
            |answer| answer["elements"] = json!([text_of(&[0; 32])]),
            |error| matches!(error, E::ListCheck(CheckError::Element)),
        ),
        (|answer| answer["elements"] = json!([text_of(&[1; 31])]), |error| matches!(error, E::Call(_))),
        (|answer| answer["proof"] = json!(text_of(&[0; 63])), |error| matches!(error, E::Call(_))),
    ];
    for (place, (change, expected)) in changes.into_iter().enumerate() {
        let service = Service { change, ..Service::honest() };
        let (answered, _) = service.asked("clip-1", &ListTrust::default()).await;
        assert!(answered.as_ref().is_err_and(expected), "{place}: {answered:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_by_its_type() {
    let (router, _) = Service::honest().router();
    let ended = async || Problem::new(StatusCode::CONFLICT, "list-epoch-ended", "The epoch was replaced");
    let router =
        Router::new().route(&format!("{PATH}/evaluations"), post(ended)).route("/{*rest}", any_service(router));
    let (_server, device) = device(router).await;
    match ask(&device, "clip-1", &ListTrust::default()).await {
        Err(E::Call(error)) => assert_eq!(error.problem(), Some("list-epoch-ended")),
        other => panic!("{other:?}"),
    }
}

/// Whoever is not on one of the two ways hears nothing of a list: the node would see the address before the capsule.
#[tokio::test]
async fn nothing_of_a_list_goes_by_another_way() {
    let heard = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&heard);
    let node = Router::new().fallback(async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        StatusCode::NOT_FOUND
    });
    let (_node, device) = device(node).await;
    let (router, asked) = Service::honest().router();
    let (_elsewhere, other) = self::device(router).await;
    let way = other.direct();
    let list = device.list(&"blocked".parse().unwrap(), &ListTrust::default(), (&way, &way)).await.unwrap();
    let question = device.list_question(&list, identifier("clip-1"), &way).await.unwrap();
    assert!(device.is_listed(&list, question, &token(), &way).await.unwrap());
    assert_eq!([heard.load(Ordering::SeqCst), asked.load(Ordering::SeqCst)], [0, 1]);
}
