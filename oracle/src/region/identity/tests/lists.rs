//! Private lists of a node, asked as clients ask: what is served to everyone, what a token pays for, and what is refused.

use attest::content::list::{
    Bucket, CheckError, Evaluation, Identifier, ListExpectation, ListManifest, ListName, PendingCheck,
};
use attest::oblivious::{ClientContext, InnerRequest};

use super::setting::operator;
use super::*;
use crate::http::ConditionState;
use crate::lists::tests::{lines, make};

const LIST: &str = "/v1/content/lists/demo-platform/demo-blocked";

fn refused(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

fn identifier(clip: &str) -> Identifier {
    Identifier::new(clip.as_bytes()).unwrap()
}

/// A node with a list of `clip-0` to `clip-999`.
async fn listed() -> Service {
    let service = Service::new().await;
    service.build(0..1000);
    service.restart(&[]).await
}

impl Service {
    fn build(&self, range: std::ops::Range<u32>) {
        let root = self.files.path().join("lists");
        std::fs::create_dir_all(&root).unwrap();
        make(&root, &operator(), &lines(range), self.clock.now_s());
    }

    /// The manifest, verified by the key that the node publishes.
    async fn manifest(&self) -> ListManifest {
        let key = self.get(&format!("{LIST}/key")).await;
        let key: attest::keys::Jwk = serde_json::from_slice(&key.body).unwrap();
        let key = attest::VerifyingKey::try_from(&key).unwrap();
        let answered = self.get(&format!("{LIST}/manifest")).await;
        assert_eq!(answered.headers["content-type"], "application/jwt");
        assert_eq!(answered.headers["cache-control"], "public, max-age=60");
        let (tenant, list): (TenantId, ListName) = (TENANT.parse().unwrap(), "demo-blocked".parse().unwrap());
        let expected = ListExpectation { tenant: &tenant, list: &list, epoch_min: 1, last: None };
        let token = std::str::from_utf8(&answered.body).unwrap();
        ListManifest::verify(token, &key, &expected, self.clock.now_s() * 1000).unwrap()
    }

    async fn bucket(&self, epoch: u64, number: u32) -> Answered {
        self.get(&format!("{LIST}/epochs/{epoch}/buckets/{number}")).await
    }

    async fn evaluate(&self, token: Option<&Token>, body: &Value) -> Answered {
        let shown = token.map(|token| authorization(&token.to_bytes()));
        self.post(&format!("{LIST}/evaluations"), shown.as_deref(), body).await
    }

    async fn list_token(&self) -> Token {
        self.any_token(TENANT, TokenType::VoprfP384).await
    }

    /// Asks about clips, with a token, as a client does.
    async fn ask_lists(&self, clips: &[&str], manifest: &ListManifest) -> Result<Vec<bool>, CheckError> {
        let identifiers = clips.iter().map(|clip| identifier(clip)).collect();
        let (elements, pending) = PendingCheck::new(identifiers, &mut OsRng.unwrap_err()).unwrap();
        let elements: Vec<_> = elements.iter().map(|element| text(element)).collect();
        let token = self.list_token().await;
        let asked = json!({"epoch": manifest.epoch, "elements": elements});
        let answered = self.evaluate(Some(&token), &asked).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.json());
        assert_eq!(answered.headers["cache-control"], "no-store");
        assert_eq!(answered.json()["epoch"], manifest.epoch);
        let tags = pending.finalize(&evaluation(&answered.json()), &manifest.key)?;
        let (geometry, mut found) = (manifest.geometry().unwrap(), Vec::new());
        for (clip, tag) in clips.iter().zip(tags) {
            let number = geometry.bucket(&identifier(clip));
            let bytes = self.bucket(manifest.epoch, number).await.body;
            found.push(Bucket::verify(&bytes, &geometry, number, &manifest.root).unwrap().holds(&tag));
        }
        Ok(found)
    }
}

fn evaluation(answer: &Value) -> Evaluation {
    let elements = answer["elements"].as_array().unwrap().iter();
    Evaluation {
        elements: elements.map(|element| bytes(element.as_str().unwrap()).try_into().unwrap()).collect(),
        proof: bytes(answer["proof"].as_str().unwrap()).try_into().unwrap(),
    }
}

/// A question about one clip, well-formed.
fn asked(epoch: u64) -> Value {
    let (elements, _) = PendingCheck::new(vec![identifier("clip-1")], &mut OsRng.unwrap_err()).unwrap();
    json!({"epoch": epoch, "elements": [text(&elements[0])]})
}

#[tokio::test]
async fn a_client_learns_yes_or_no_and_pays_with_one_token() {
    let service = listed().await;
    let manifest = service.manifest().await;
    assert_eq!((manifest.epoch, manifest.bits, manifest.entries_max), (1, 3, 1024));
    assert_eq!(service.ask_lists(&["clip-7"], &manifest).await, Ok(vec![true]));
    assert_eq!(service.ask_lists(&["clip-1000"], &manifest).await, Ok(vec![false]));
    let clips = ["clip-1", "clip-x", "clip-2", "clip-3"].repeat(4);
    assert_eq!(service.ask_lists(&clips, &manifest).await, Ok([true, false, true, true].repeat(4)));
    let other = attest::content::list::ListKey::generate(&mut OsRng.unwrap_err());
    let lying = ListManifest { key: other.public(), ..manifest };
    assert_eq!(service.ask_lists(&["clip-7"], &lying).await, Err(CheckError::Proof), "another key than was used");
    let lists = service.node.conditions().into_iter().find(|condition| condition.name == "lists").unwrap();
    assert_eq!(lists.state, ConditionState::Met);
}

#[tokio::test]
async fn buckets_are_for_caches() {
    let service = listed().await;
    let first = service.bucket(1, 5).await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(first.headers["cache-control"], "public, max-age=86400, immutable");
    assert_eq!(first.headers["content-type"], "application/octet-stream");
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "strong: {tag}");
    let conditional = |value: String| {
        let request = Request::get(format!("{LIST}/epochs/1/buckets/5")).header("if-none-match", value);
        service.call(request.body(Body::empty()).unwrap())
    };
    for same in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answered = conditional(same).await;
        assert_eq!((answered.status, answered.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(answered.headers["etag"].to_str().unwrap(), tag);
    }
    for other in ["\"other\"".to_owned(), tag.trim_matches('"').to_owned(), tag.replace("-5", "-6")] {
        assert_eq!(conditional(other).await.status, StatusCode::OK);
    }
    let tags: std::collections::BTreeSet<String> = futures(&service, 0..8)
        .await
        .into_iter()
        .map(|answered| answered.headers["etag"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(tags.len(), 8, "each bucket has its own");
}

async fn futures(service: &Service, numbers: std::ops::Range<u32>) -> Vec<Answered> {
    let mut all = Vec::new();
    for number in numbers {
        all.push(service.bucket(1, number).await);
    }
    all
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let service = listed().await;
    assert_eq!(service.bucket(1, 8).await.problem(), refused(404, "list-bucket-unknown"));
    assert_eq!(service.bucket(2, 0).await.problem(), refused(409, "list-epoch-unknown"));
    assert_eq!(service.bucket(0, 0).await.problem(), refused(409, "list-epoch-ended"));
    for path in ["x", "-1", "4294967296", "1.5"] {
        let answered = service.get(&format!("{LIST}/epochs/1/buckets/{path}")).await;
        assert_eq!(answered.problem(), refused(404, "not-found"), "{path}");
    }
    for of in ["demo-platform/other", "other-platform/demo-blocked", "nobody/demo-blocked", "demo-platform/..%2f"] {
        for rest in ["manifest", "key", "epochs/1/buckets/0"] {
            let answered = service.get(&format!("/v1/content/lists/{of}/{rest}")).await;
            assert_eq!(answered.problem(), refused(404, "list-unknown"), "{of}/{rest}");
        }
    }
}

#[tokio::test]
async fn only_who_is_granted_it_may_ask() {
    let service = listed().await;
    let change = ("access.toml", "\"provenance\", \"list\",", "\"provenance\",");
    let service = service.restart(&[change]).await;
    assert_eq!(service.get(&format!("{LIST}/manifest")).await.problem(), refused(404, "list-unknown"));
}

#[tokio::test]
async fn a_call_without_a_good_token_gets_nothing() {
    let service = listed().await;
    let token_refused = refused(401, "token-refused");
    let none = service.evaluate(None, &asked(1)).await;
    assert_eq!((none.problem(), none.text("detail")), (token_refused.clone(), "there is none".to_owned()));
    assert!(none.headers["www-authenticate"].to_str().unwrap().starts_with("PrivateToken "));
    let token = service.list_token().await;
    for forged in flipped(&token.to_bytes()).step_by(97) {
        let shown = authorization(&forged);
        let answered = service.post(&format!("{LIST}/evaluations"), Some(&shown), &asked(1)).await;
        assert_eq!(answered.problem(), token_refused);
    }
    let others = service.any_token(OTHER, TokenType::VoprfP384).await;
    assert_eq!(service.evaluate(Some(&others), &asked(1)).await.problem(), token_refused);
    assert_eq!(service.evaluate(Some(&token), &asked(1)).await.status, StatusCode::OK);
    let spent = service.evaluate(Some(&token), &asked(1)).await;
    assert_eq!((spent.problem(), spent.text("detail")), (token_refused.clone(), "it was spent before".to_owned()));
    // Of a whole batch as well, and for everything else that a token is good for.
    let batch = json!({"epoch": 1, "elements": vec![asked(1)["elements"][0].clone(); 16]});
    assert_eq!(service.evaluate(Some(&token), &batch).await.problem(), token_refused);
    assert_eq!(service.redeem(&token).await.problem(), token_refused);
    let token = service.list_token().await;
    assert_eq!(service.evaluate(Some(&token), &batch).await.status, StatusCode::OK);
    assert_eq!(service.evaluate(Some(&token), &batch).await.problem(), token_refused);
}

/// Each call that is refused for another reason leaves the token with its holder.
#[tokio::test]
async fn what_is_refused_spends_nothing() {
    let service = listed().await;
    let token = service.list_token().await;
    let good = asked(1)["elements"][0].clone();
    let element = |bytes: &[u8]| json!(text(bytes));
    let bad = [
        element(&[0; 32]),
        element(&[0xff; 32]),
        element(&[1; 31]),
        element(&[]),
        json!("!"),
        json!(format!("{}=", good.as_str().unwrap())),
    ];
    let mut questions: Vec<Value> = bad.into_iter().map(|bad| json!({"epoch": 1, "elements": [good, bad]})).collect();
    questions.push(json!({"epoch": 1, "elements": []}));
    questions.push(json!({"epoch": 1, "elements": vec![good.clone(); 17]}));
    for question in questions {
        assert_eq!(
            service.evaluate(Some(&token), &question).await.problem(),
            refused(422, "message-invalid"),
            "{question}"
        );
    }
    assert_eq!(service.evaluate(Some(&token), &asked(2)).await.problem(), refused(409, "list-epoch-unknown"));
    assert_eq!(service.evaluate(Some(&token), &asked(0)).await.problem(), refused(409, "list-epoch-ended"));
    let unknown = json!({"epoch": 1, "elements": [good], "clip": "clip-1"});
    assert_eq!(service.evaluate(Some(&token), &unknown).await.problem().0, 422);
    assert_eq!(service.evaluate(Some(&token), &asked(1)).await.status, StatusCode::OK, "it is good still");
}

/// A later epoch is taken up while a client asks: it can finish with the one that it began with, for a while.
#[tokio::test]
async fn an_epoch_that_is_replaced_mid_query_is_answered_for_a_while() {
    let service = listed().await;
    let first = service.manifest().await;
    service.build(500..2000);
    assert_eq!(service.manifest().await, first, "not looked yet");
    service.clock.advance(5_000);
    let second = service.manifest().await;
    assert_eq!(second.epoch, 2);
    assert_ne!(first.key, second.key);
    assert_eq!(service.ask_lists(&["clip-1", "clip-1999"], &first).await, Ok(vec![true, false]));
    assert_eq!(service.ask_lists(&["clip-1", "clip-1999"], &second).await, Ok(vec![false, true]));
    service.clock.advance(600_000);
    let token = service.list_token().await;
    assert_eq!(service.evaluate(Some(&token), &asked(1)).await.problem(), refused(409, "list-epoch-ended"));
    assert_eq!(service.bucket(1, 0).await.problem(), refused(409, "list-epoch-ended"));
    assert_eq!(service.evaluate(Some(&token), &asked(2)).await.status, StatusCode::OK, "the token was not spent");
}

/// An epoch that does not verify is not taken up, and one that has run out is not served.
#[tokio::test]
async fn a_list_that_cannot_be_believed_is_not_served() {
    let service = listed().await;
    let lists = |service: &Service| {
        service.node.conditions().into_iter().find(|condition| condition.name == "lists").unwrap().state
    };
    service.build(0..10);
    let folder = service.files.path().join("lists/demo-platform/demo-blocked/epochs/2");
    std::fs::copy(folder.join("../1/manifest.jwt"), folder.join("manifest.jwt")).unwrap();
    service.clock.advance(5_000);
    assert_eq!(service.manifest().await.epoch, 1, "what was served stays");
    assert_eq!(lists(&service), ConditionState::Degraded);
    let service = service.restart(&[]).await;
    let unavailable = refused(503, "list-unavailable");
    assert_eq!(service.get(&format!("{LIST}/manifest")).await.problem(), unavailable);
    let token = service.list_token().await;
    assert_eq!(service.evaluate(Some(&token), &asked(1)).await.problem(), unavailable);
    assert_eq!(lists(&service), ConditionState::Degraded);
}

#[tokio::test]
async fn an_epoch_that_has_run_out_is_not_served() {
    let service = listed().await;
    service.clock.advance(31 * 86_400_000);
    assert_eq!(service.get(&format!("{LIST}/manifest")).await.problem(), refused(503, "list-unavailable"));
    assert_eq!(service.bucket(1, 0).await.problem(), refused(503, "list-unavailable"));
    let lists = service.node.conditions().into_iter().find(|condition| condition.name == "lists").unwrap();
    assert_eq!(lists.state, ConditionState::Degraded);
}

/// Two calls with one token at once: one is answered.
#[tokio::test]
async fn one_token_pays_once_however_many_ask_at_once() {
    let service = listed().await;
    let token = service.list_token().await;
    let batch = json!({"epoch": 1, "elements": vec![asked(1)["elements"][0].clone(); 2]});
    let one = asked(1);
    let questions = [&batch, &one, &batch, &one];
    let answers = tokio::join!(
        service.evaluate(Some(&token), questions[0]),
        service.evaluate(Some(&token), questions[1]),
        service.evaluate(Some(&token), questions[2]),
        service.evaluate(Some(&token), questions[3]),
    );
    let answers: [Answered; 4] = answers.into();
    assert_eq!(answers.iter().filter(|answered| answered.status == StatusCode::OK).count(), 1);
}

#[tokio::test]
async fn lists_are_asked_through_the_gateway_too() {
    let service = listed().await;
    let manifest = service.manifest().await;
    let inside = async |method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let request =
            InnerRequest { method: method.to_owned(), path: path.to_owned(), headers: headers.collect(), body };
        let keys = service.get("/.well-known/ohttp-gateway").await;
        let (message, context) = ClientContext::encapsulate(&keys.body, &request, "us-east.example").unwrap();
        let sealed = Request::post("/.well-known/ohttp-gateway").header("content-type", "message/ohttp-req");
        context.decapsulate(&service.call(sealed.body(Body::from(message)).unwrap()).await.body).unwrap()
    };
    let bucket = inside("GET", &format!("{LIST}/epochs/1/buckets/3"), &[], Vec::new()).await;
    assert_eq!((bucket.status, &bucket.body), (200, &service.bucket(1, 3).await.body));
    let (elements, pending) = PendingCheck::new(vec![identifier("clip-5")], &mut OsRng.unwrap_err()).unwrap();
    let body = json!({"epoch": 1, "elements": [text(&elements[0])]}).to_string().into_bytes();
    let shown = authorization(&service.list_token().await.to_bytes());
    let headers = [("content-type", "application/json"), ("authorization", shown.as_str())];
    let answered = inside("POST", &format!("{LIST}/evaluations"), &headers, body).await;
    let answer: Value = serde_json::from_slice(&answered.body).unwrap();
    assert_eq!(pending.finalize(&evaluation(&answer), &manifest.key).map(|tags| tags.len()), Ok(1));
}
