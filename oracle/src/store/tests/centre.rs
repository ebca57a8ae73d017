use aggregator::centre::CentreStore as _;
use aggregator::centre::store::{CatalogueSummary, ModelEntry, ModelSummary, Pointer, PublishError};
use policies::Digest;

use super::*;

fn model(version: u64, bytes: &[u8]) -> ModelEntry {
    ModelEntry {
        tenant: tenant("demo"),
        version,
        digest: Digest::of(bytes),
        frame: Digest::of(b"frame"),
        bytes: bytes.to_vec(),
        created_ms: 1000 + version,
    }
}

#[tokio::test]
async fn the_serial_rises_with_every_publication_and_roll_back() {
    let scratch = Scratch::new();
    let (store, demo) = (&scratch.store, tenant("demo"));
    let pointer = |version, bytes: &[u8], serial| Pointer { version, digest: Digest::of(bytes), serial };
    assert_eq!(store.pointer(&demo).await, Ok(None));
    assert_eq!(store.publish_model(model(1, b"one")).await, Ok(pointer(1, b"one", 1)));
    assert_eq!(store.publish_model(model(2, b"two")).await, Ok(pointer(2, b"two", 2)));
    assert_eq!(store.publish_model(model(2, b"other")).await, Err(PublishError::Conflict));
    assert_eq!(store.point_model(&demo, 1, 9).await, Ok(pointer(1, b"one", 3)));
    assert_eq!(store.point_model(&demo, 3, 9).await, Err(PublishError::UnknownVersion));
    assert_eq!(store.point_model(&tenant("other"), 1, 9).await, Err(PublishError::UnknownVersion));
    assert_eq!(store.publish_model(model(2, b"two")).await, Ok(pointer(2, b"two", 4)));

    let scratch = scratch.reopen();
    let store = &scratch.store;
    assert_eq!(store.pointer(&demo).await, Ok(Some(pointer(2, b"two", 4))));
    assert_eq!(store.model(&demo, 1).await, Ok(Some(b"one".to_vec())));
    assert_eq!(store.model(&tenant("other"), 1).await, Ok(None));
    let frame = Digest::of(b"frame");
    let expected = [(1, &b"one"[..]), (2, b"two")].map(|(version, bytes)| ModelSummary {
        version,
        digest: Digest::of(bytes),
        frame,
        bytes: 3,
        created_ms: 1000 + version,
    });
    assert_eq!(store.models(&demo).await, Ok(expected.to_vec()));
}

#[tokio::test]
async fn catalogues_rise_by_one_and_the_same_one_is_kept_once() {
    let scratch = Scratch::new();
    let (store, demo) = (&scratch.store, tenant("demo"));
    let put = async |text: &str| {
        store.put_catalogue(&demo, Digest::of(text.as_bytes()), 3, text.as_bytes().to_vec()).await.unwrap()
    };
    let summary = |version, text: &str| CatalogueSummary { version, digest: Digest::of(text.as_bytes()), items: 3 };
    assert_eq!(put("a").await, summary(1, "a"));
    assert_eq!(put("a").await, summary(1, "a"));
    assert_eq!(put("b").await, summary(2, "b"));
    assert_eq!(put("a").await, summary(3, "a"));
    let kept = vec![summary(1, "a"), summary(2, "b"), summary(3, "a")];
    assert_eq!(store.catalogues(&demo).await, Ok(kept));
    assert_eq!(store.catalogue(&demo, 2).await, Ok(Some(b"b".to_vec())));
    assert_eq!(store.catalogue(&demo, 4).await, Ok(None));
    assert_eq!(store.catalogues(&tenant("other")).await, Ok(vec![]));
}
