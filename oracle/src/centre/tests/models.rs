use super::*;
use crate::centre::models::{ModelList, PointerState};
use aggregator::centre::CentreStore as _;
use aggregator::centre::store::ModelEntry;
use attest::{JwsError, ModelPointer, PointerError};
use personalize::Model;
use policies::Digest;

const PATH: &str = "/v1/models/demo-platform";

/// A centre with a catalogue and published models of these versions.
pub(super) async fn with_models(versions: &[u64]) -> Harness {
    let harness = Harness::new().await;
    harness.upload(&jsonl(12)).await;
    for version in versions {
        let mut parts = Model::prior(&harness.catalogue(), 100_000).parts();
        parts.version = *version;
        let model = Model::new(parts, &harness.catalogue()).unwrap();
        let entry = ModelEntry {
            tenant: tenant(DEMO),
            version: *version,
            digest: model.digest(),
            frame: model.frame().digest(),
            bytes: model.encode(),
            created_ms: NOW_MS,
        };
        harness.centre.store.publish_model(entry).await.unwrap();
    }
    harness
}

async fn pointer(harness: &Harness) -> String {
    let reply = harness.get(&format!("{PATH}/current"), &harness.token(0)).await;
    assert_eq!(
        (reply.status, &reply.headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"application/jose".parse().unwrap())
    );
    String::from_utf8(reply.body).unwrap()
}

fn verify(harness: &Harness, token: &str, last: Option<&ModelPointer>) -> Result<ModelPointer, PointerError> {
    ModelPointer::verify(token, &harness.centre.verifying_key(), &tenant(DEMO), last)
}

#[tokio::test]
async fn nodes_verify_pointer_and_artifact() {
    let harness = with_models(&[1, 2]).await;
    let token = pointer(&harness).await;
    let current = verify(&harness, &token, None).unwrap();
    assert_eq!((current.version, current.serial, current.iat), (2, 2, NOW_MS / 1000));
    let artifact = harness.get(&format!("{PATH}/2"), &harness.token(0)).await;
    assert_eq!(artifact.headers[header::ETAG], format!("\"{}\"", current.digest));
    assert_eq!(current.check_artifact(&artifact.body), Ok(()));
    assert_eq!(Model::decode(&artifact.body, &harness.catalogue()).map(|model| model.version()), Ok(2));

    let mut tampered = artifact.body.clone();
    tampered[40] ^= 1;
    assert_eq!(current.check_artifact(&tampered), Err(PointerError::Artifact));
    let older = harness.get(&format!("{PATH}/1"), &harness.token(0)).await;
    assert_eq!(current.check_artifact(&older.body), Err(PointerError::Artifact));

    let (input, _) = token.rsplit_once('.').unwrap();
    let unsigned = format!("{input}.{}", "A".repeat(86));
    assert_eq!(verify(&harness, &unsigned, None), Err(PointerError::Jws(JwsError::Signature)));
    let other = with_models(&[1]).await;
    let foreign = pointer(&other).await;
    assert_eq!(verify(&harness, &foreign, None), Err(PointerError::Jws(JwsError::Key)), "another centre's");
}

#[tokio::test]
async fn a_roll_back_raises_the_serial() {
    let harness = with_models(&[1, 2]).await;
    let before = verify(&harness, &pointer(&harness).await, None).unwrap();
    let roll = async |body: &'static str| {
        harness.call(Method::POST, &format!("{PATH}/rollback"), Some(&harness.operator), body).await
    };
    let state: PointerState = roll(r#"{"version":1}"#).await.json();
    assert_eq!((state.version, state.serial), (1, 3));
    let after = verify(&harness, &pointer(&harness).await, Some(&before)).unwrap();
    assert_eq!((after.version, after.serial), (1, 3));
    let replayed = before.sign(&harness.centre.key).unwrap();
    assert_eq!(verify(&harness, &replayed, Some(&after)), Err(PointerError::Serial));

    assert_eq!(roll(r#"{"version":9}"#).await.refusal(), refused(404, "model-unknown"));
    assert_eq!(roll(r#"{"version":1,"force":true}"#).await.refusal(), refused(422, "json-shape"));
    assert_eq!(roll(r#"{"version":-1}"#).await.refusal(), refused(422, "json-shape"));
    let list: ModelList = harness.get(PATH, &harness.demo).await.json();
    assert_eq!(list.pointer.map(|pointer| pointer.serial), Some(3), "refusals change nothing");
    let lines: Vec<_> = list.models.iter().map(|line| (line.version, line.current)).collect();
    assert_eq!(lines, [(1, true), (2, false)]);
    let origin = list.models[0].origin.clone().unwrap();
    assert_eq!((origin.mode.as_str(), origin.releases, origin.private), ("prior", 0, true));
}

#[tokio::test]
async fn before_the_first_model_there_is_none() {
    let harness = Harness::new().await;
    let current = harness.get(&format!("{PATH}/current"), &harness.token(0)).await;
    assert_eq!(current.refusal(), refused(404, "model-missing"));
    assert_eq!(harness.get(&format!("{PATH}/1"), &harness.demo).await.refusal(), refused(404, "model-unknown"));
    assert_eq!(harness.get(&format!("{PATH}/x"), &harness.demo).await.refusal(), refused(404, "not-found"));
    let list: ModelList = harness.get(PATH, &harness.demo).await.json();
    assert_eq!((list.pointer, list.models, list.last_training), (None, vec![], None));
}

/// A pointer for one tenant says nothing to another's node state.
#[tokio::test]
async fn pointers_name_their_tenant() {
    let harness = with_models(&[1]).await;
    let token = pointer(&harness).await;
    let key = harness.centre.verifying_key();
    assert_eq!(ModelPointer::verify(&token, &key, &tenant(NORDLYS), None), Err(PointerError::Tenant));
    assert_ne!(Digest::of(token.as_bytes()), verify(&harness, &token, None).unwrap().digest);
}
