//! `POST /v1/content/similar`.

use attest::pdq::PdqHash;

use super::*;

/// A picture of 24 blocks in shades that do not repeat, as PNG or JPEG, lifted by `lift` of 255.
fn picture(format: image::ImageFormat, lift: u8) -> Vec<u8> {
    let shade = |x: u32, y: u32| {
        let block = u64::from(x / 24 + 8 * (y / 24));
        image::Rgb([37, 91, 53].map(|step| u8::try_from(block * block * step % 200).unwrap() + lift))
    };
    let mut bytes = Vec::new();
    image::RgbImage::from_fn(192, 144, shade).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// A hash that differs from this one in its first `bits` bits.
fn altered(hash: &str, bits: u32) -> String {
    let mut words = *hash.parse::<PdqHash>().unwrap().words();
    words[0] ^= u64::MAX >> (64 - bits);
    PdqHash::from_words(words).to_string()
}

async fn service(folder: &tempfile::TempDir, lines: &str) -> Service {
    std::fs::create_dir_all(folder.path().join(TENANT)).unwrap();
    std::fs::write(folder.path().join(TENANT).join("demo-takedown.pdq"), lines).unwrap();
    let pictures = Some(folder.path().to_owned());
    Service::start(&Signatory::new().root_pem, Some(ContentOptions { pictures, ..ContentOptions::default() })).await
}

async fn ask(service: &Service, query: &str, media_type: &str, body: impl Into<Body>) -> (StatusCode, Value) {
    service.post(0, &format!("/v1/content/similar{query}"), media_type, body).await
}

const LIST: &str = "?list=demo-takedown";

#[tokio::test]
async fn a_frame_is_held_against_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let png = picture(image::ImageFormat::Png, 0);
    // What the list holds is learned from the node itself: an empty list first.
    let empty = service(&folder, "").await;
    let (status, told) = ask(&empty, LIST, "image/png", png.clone()).await;
    assert_eq!((status, &told["listed"], &told["nearest"]), (StatusCode::OK, &json!(false), &Value::Null), "{told}");
    assert_eq!((&told["meaning"], &told["distance_max"]), (&json!("takedown"), &json!(31)));
    assert_eq!((&told["reliable"], told.get("answer")), (&json!(true), None));
    let hash = told["hash"].as_str().unwrap();

    let service = service(&folder, &format!("{}\n{hash}\n", altered(hash, 64))).await;
    // The same picture, brighter, as a JPEG.
    let (_, told) = ask(&service, LIST, "image/jpeg", picture(image::ImageFormat::Jpeg, 20)).await;
    assert_eq!((&told["listed"], &told["nearest"]["line"]), (&json!(true), &json!(2)), "{told}");
    // By hash: at the threshold, and one bit past it, which is as far from the first line.
    for (bits, nearest) in [(31, json!({"line": 2, "distance": 31})), (32, Value::Null)] {
        let asked = json!({"hash": altered(hash, bits)}).to_string();
        let (_, told) = ask(&service, LIST, "application/json", asked).await;
        assert_eq!((&told["nearest"], &told["quality"]), (&nearest, &Value::Null));
    }
    // Signed, for this tenant and nonce.
    let (_, told) = ask(&service, "?list=demo-takedown&nonce=n-1", "image/png", png.clone()).await;
    let expected = AnswerExpectation { issuer: "node-1", audience: TENANT, nonce: "n-1", input: Digest::of(&png) };
    let key = service.node.answer_key.verifying_key();
    let answer = Answer::<Value>::verify(told["answer"].as_str().unwrap(), &key, expected, NOW_MS).unwrap();
    assert_eq!((answer.check.as_str(), &answer.result["nearest"]["distance"]), ("similar", &json!(0)));
}

#[tokio::test]
async fn a_frame_that_hardly_varies_is_said_to_be_unreliable() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(&folder, "").await;
    let mut flat = Vec::new();
    let shade = image::Rgb([90, 90, 90]);
    image::RgbImage::from_pixel(64, 64, shade).write_to(&mut Cursor::new(&mut flat), image::ImageFormat::Png).unwrap();
    let (_, told) = ask(&service, LIST, "image/png", flat).await;
    assert_eq!((&told["quality"], &told["reliable"]), (&json!(0), &json!(false)));
}

#[tokio::test]
async fn refusals_of_frames_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(&folder, "").await;
    let png = picture(image::ImageFormat::Png, 0);
    let mut tiny = Vec::new();
    image::RgbImage::new(4, 9).write_to(&mut Cursor::new(&mut tiny), image::ImageFormat::Png).unwrap();
    for (query, media_type, body, status, problem) in [
        ("?list=none", "image/png", png.clone(), 404, "list-unknown"),
        ("", "image/png", png.clone(), 422, "query-shape"),
        (LIST, "image/gif", png.clone(), 415, "unsupported-media-type"),
        (LIST, "image/jpeg", png.clone(), 422, "content-malformed"),
        (LIST, "image/png", png[..png.len() / 2].to_vec(), 422, "content-malformed"),
        (LIST, "image/png", tiny, 422, "content-malformed"),
        (LIST, "application/json", b"{\"hash\":\"00\"}".to_vec(), 422, "content-malformed"),
        (LIST, "application/json", vec![b' '; 1025], 413, "body-too-large"),
        ("?list=demo-takedown&nonce=", "image/png", png, 422, "text-length"),
    ] {
        let (got, told) = ask(&service, query, media_type, body).await;
        let said = (got.as_u16(), told["type"].as_str());
        assert_eq!(said, (status, Some(format!("urn:siwa:problem:{problem}").as_str())), "{query} {media_type}");
    }
}
