use super::*;
use crate::centre::catalogues::{CatalogueList, CatalogueVersion};

const PATH: &str = "/v1/catalogues/demo-platform";

#[tokio::test]
async fn versions_rise_and_the_same_catalogue_stays() {
    let harness = Harness::new().await;
    let first = harness.upload(&jsonl(3)).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let first: CatalogueVersion = first.json();
    assert_eq!((first.version, first.items), (1, 3));
    // The same items in another spelling are the same catalogue.
    let again = harness.upload(&format!("{}\n", jsonl(3).replace("\":", "\" :"))).await;
    assert_eq!((again.status, again.json::<CatalogueVersion>()), (StatusCode::OK, first.clone()));
    let second: CatalogueVersion = harness.upload(&jsonl(4)).await.json();
    assert_eq!((second.version, second.items), (2, 4));

    let list: CatalogueList = harness.get(PATH, &harness.token(0)).await.json();
    assert_eq!(list.catalogues, [first.clone(), second]);
    let bytes = harness.get(&format!("{PATH}/1"), &harness.token(0)).await;
    assert_eq!(String::from_utf8(bytes.body).unwrap(), jsonl(3));
    let pulled = Catalogue::parse(tenant(DEMO), 1, jsonl(3).as_bytes()).unwrap();
    assert_eq!(pulled.digest(), first.digest);
    let missing = harness.get(&format!("{PATH}/3"), &harness.token(0)).await;
    assert_eq!(missing.refusal(), refused(404, "catalogue-missing"));
}

#[tokio::test]
async fn a_version_that_does_not_follow_is_refused() {
    let harness = Harness::new().await;
    let put = async |version: u64, items| {
        let path = format!("{PATH}?version={version}");
        harness.call(Method::PUT, &path, Some(&harness.demo), jsonl(items)).await
    };
    let conflict = |next: u64| (409, "catalogue-version".to_owned(), format!("the next version is {next}"));
    assert_eq!(put(2, 3).await.problem(), conflict(1));
    assert_eq!(put(1, 3).await.status, StatusCode::CREATED);
    assert_eq!(put(2, 4).await.status, StatusCode::CREATED);
    assert_eq!(put(1, 3).await.problem(), conflict(3), "going back to older items is a new version");
    assert_eq!(put(2, 5).await.problem(), conflict(3));
    assert_eq!(put(2, 4).await.status, StatusCode::OK, "sent again");
    let shape = harness.call(Method::PUT, &format!("{PATH}?versions=1"), Some(&harness.demo), jsonl(3)).await;
    assert_eq!(shape.refusal(), refused(422, "query-shape"));
}

#[tokio::test]
async fn bad_catalogues_name_the_line_and_not_its_content() {
    let harness = Harness::new().await;
    let broken = jsonl(3).replace("item-1", "item-0");
    let (status, kind, detail) = harness.upload(&broken).await.problem();
    assert_eq!((status, kind.as_str()), (422, "catalogue-refused"));
    assert!(detail.contains("line 2") && !detail.contains("item-0"), "{detail}");
    assert_eq!(harness.upload("").await.refusal(), refused(422, "catalogue-refused"));
    let small = CentreLimits { catalogue_bytes_max: 100, ..CentreLimits::default() };
    let small = Harness::with(small, false).await;
    assert_eq!(small.upload(&jsonl(3)).await.refusal(), refused(413, "body-too-large"));
    assert_eq!(small.get(PATH, &small.demo).await.json::<CatalogueList>().catalogues, []);
}

#[tokio::test]
async fn artifacts_are_cached_by_their_digest() {
    let harness = Harness::new().await;
    harness.upload(&jsonl(3)).await;
    let first = harness.get(&format!("{PATH}/1"), &harness.demo).await;
    let tag = first.headers[header::ETAG].clone();
    assert_eq!(tag, format!("\"{}\"", policies::Digest::of(jsonl(3).as_bytes())));
    let request = Request::get(format!("{PATH}/1"))
        .header(header::AUTHORIZATION, format!("Bearer {}", harness.demo))
        .header(header::IF_NONE_MATCH, tag);
    let again = harness.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let again = Reply::of(again).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
}
