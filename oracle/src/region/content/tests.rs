mod pictures;
mod sockets;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Cursor;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};

use attest::{Answer, AnswerExpectation, ApiKey};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use c2pa::{Builder, SigningAlg};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame};
use policies::{Digest, TenantId};
use rand_core::{OsRng, TryRngCore as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::refusal::ContentRefusal;
use super::*;
use crate::clock::Clock;
use crate::region::testing::{environment, node_options};
use crate::region::{Node, NodeOptions, TenantAccess, router};

/// 2027-01-15.
const NOW_MS: u64 = 1_800_000_000_000;
/// May ask about content in eu-west; the other may not.
const TENANT: &str = "demo-platform";
const OTHER: &str = "nordlys-clips";

/// A signer, and the root that vouches for it.
struct Signatory {
    root_pem: String,
    chain_pem: String,
    key_pem: String,
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Pictures Ltd");
    params
}

impl Signatory {
    fn new() -> Self {
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (mut root, mut leaf) = (named("A root"), named("A photographer"));
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        leaf.use_authority_key_identifier_extension = true;
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        let chain_pem = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap().pem();
        Self { root_pem, chain_pem, key_pem: key.serialize_pem() }
    }

    /// A signed picture and its manifest store.
    fn sign(&self) -> (Vec<u8>, Vec<u8>) {
        let signer =
            c2pa::create_signer::from_keys(self.chain_pem.as_bytes(), self.key_pem.as_bytes(), SigningAlg::Es256, None);
        let generated = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";
        let action = json!({"action": "c2pa.created", "digitalSourceType": generated});
        let definition = json!({"title": "A picture", "claim_generator_info": [{"name": "siwa-tests"}],
            "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}]});
        let mut builder =
            Builder::from_context(c2pa::Context::new()).with_definition(definition.to_string().as_str()).unwrap();
        let mut signed = Cursor::new(Vec::new());
        let store =
            builder.sign(signer.unwrap().as_ref(), "image/jpeg", &mut Cursor::new(picture()), &mut signed).unwrap();
        (signed.into_inner(), store)
    }
}

/// The segments of a JPEG, around something that is no picture.
fn picture() -> Vec<u8> {
    let jfif = b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
    let scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0";
    [b"\xff\xd8".as_slice(), jfif, scan, &[7; 2000], b"\xff\xd9"].concat()
}

struct Service {
    node: Arc<Node>,
    keys: [ApiKey; 2],
}

impl Service {
    /// A node of eu-west that believes `anchor`.
    async fn start(anchor: &str, content: Option<ContentOptions>) -> Self {
        let mut rng = OsRng.unwrap_err();
        let mut files = policies::sample::files();
        let text = String::from_utf8(files["content.toml"].clone()).unwrap();
        let text = text.replace("anchors = []", "anchors = [\"anchors/pictures.pem\"]");
        files.insert("content.toml".to_owned(), text.into_bytes());
        files.insert("anchors/pictures.pem".to_owned(), anchor.as_bytes().to_vec());
        let policies = PolicySet::parse(&files).unwrap_or_else(|findings| panic!("{findings:?}"));
        let keys = [ApiKey::generate(&mut rng), ApiKey::generate(&mut rng)];
        let access = |key: &ApiKey| TenantAccess { api_keys: vec![key.hash()], certificates: Vec::new() };
        let names = [TENANT, OTHER].map(|name| name.parse::<TenantId>().unwrap());
        let tenants = names.into_iter().zip(keys.iter().map(access)).collect::<BTreeMap<_, _>>();
        let options = NodeOptions { content, ..node_options("eu-west", policies, tenants) };
        Self { node: Node::start(options, environment(Clock::manual(NOW_MS))).await.unwrap(), keys }
    }

    async fn ask(&self, key: usize, query: &str, media_type: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        self.post(key, &format!("/v1/content/provenance{query}"), media_type, body).await
    }

    async fn post(&self, key: usize, path: &str, media_type: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let key = self.keys.get(key).map_or("none", ApiKey::expose);
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, media_type)
            .body(body.into());
        let response = router(Arc::clone(&self.node)).oneshot(request.unwrap()).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }
}

fn limits(upload_bytes_max: usize, uploads_bytes_max: usize) -> Option<ContentOptions> {
    let limits = ContentLimits { upload_bytes_max, uploads_bytes_max, ..ContentLimits::default() };
    Some(ContentOptions { limits, ..ContentOptions::default() })
}

#[tokio::test]
async fn a_picture_is_told_and_signed() {
    let signatory = Signatory::new();
    let (clip, _) = signatory.sign();
    let service = Service::start(&signatory.root_pem, Some(ContentOptions::default())).await;
    let (status, told) = service.ask(0, "", "image/jpeg", clip.clone()).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let provenance = &told["provenance"];
    assert_eq!((&provenance["state"], &provenance["asset"]), (&json!("trusted"), &json!("checked")));
    assert_eq!(provenance["signer"]["common_name"], "A photographer");
    assert_eq!(provenance["ai"], json!({"made": "generated", "disclosure": false, "mining": []}));
    assert_eq!(provenance["digest"], Digest::of(&clip).to_string());
    assert_eq!((&told["policy"], told.get("answer")), (&json!(service.node.policy().to_string()), None));
    let (_, signed) = service.ask(0, "?nonce=n-1", "image/jpeg", clip.clone()).await;
    let expected = AnswerExpectation { issuer: "node-1", audience: TENANT, nonce: "n-1", input: Digest::of(&clip) };
    let key = service.node.answer_key.verifying_key();
    let answer = Answer::<Value>::verify(signed["answer"].as_str().unwrap(), &key, expected, NOW_MS).unwrap();
    assert_eq!((answer.check.as_str(), &answer.result, answer.sub), ("provenance", provenance, None));
    assert_eq!(answer.exp - answer.iat, 600, "as the policy says");
    // Whoever believes another root knows of a valid signature, and no more.
    let stranger = Service::start(&Signatory::new().root_pem, Some(ContentOptions::default())).await;
    let (_, told) = stranger.ask(0, "", "image/jpeg", clip).await;
    let failures = json!([{"code": "signingCredential.untrusted", "part": "manifest",
        "sentence": "the signer's certificates do not lead to an anchor of the policy"}]);
    assert_eq!((&told["provenance"]["state"], &told["provenance"]["failures"]), (&json!("valid"), &failures));
}

#[tokio::test]
async fn a_manifest_without_its_clip_is_unbound() {
    let signatory = Signatory::new();
    let (clip, store) = signatory.sign();
    let service = Service::start(&signatory.root_pem, Some(ContentOptions::default())).await;
    let body = json!({"digest": Digest::of(&clip).to_string(), "media_type": "image/jpeg",
        "manifest": URL_SAFE_NO_PAD.encode(&store)});
    let (status, told) = service.ask(0, "?nonce=n", "application/json", body.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let state = (&told["provenance"]["state"], &told["provenance"]["asset"]);
    assert_eq!(state, (&json!("unbound"), &json!("not-checked")));
    let input = Digest::of(body.to_string().as_bytes());
    let expected = AnswerExpectation { issuer: "node-1", audience: TENANT, nonce: "n", input };
    let key = service.node.answer_key.verifying_key();
    let answer = Answer::<Value>::verify(told["answer"].as_str().unwrap(), &key, expected, NOW_MS).unwrap();
    assert_eq!(answer.result, told["provenance"]);
}

#[tokio::test]
async fn refusals_say_why() {
    let signatory = Signatory::new();
    let (clip, _) = signatory.sign();
    let service = Service::start(&signatory.root_pem, limits(100_000, 200_000)).await;
    let long = format!("?nonce={}", "n".repeat(129));
    let json_of = |media_type: &str| {
        json!({"digest": Digest::of(b"").to_string(), "media_type": media_type, "manifest": ""}).to_string()
    };
    for (key, query, media_type, body, status, problem) in [
        (2, "", "image/jpeg", clip.clone(), 401, "unauthorized"),
        (1, "", "image/jpeg", clip.clone(), 403, "check-not-granted"),
        (0, "", "image/gif", clip.clone(), 415, "unsupported-media-type"),
        (0, "?init_bytes=9", "image/jpeg", clip.clone(), 415, "unsupported-media-type"),
        (0, "?nonce=", "image/jpeg", clip.clone(), 422, "text-length"),
        (0, long.as_str(), "image/jpeg", clip.clone(), 422, "text-length"),
        (0, "?once=1", "image/jpeg", clip.clone(), 422, "query-shape"),
        (0, "", "image/png", clip.clone(), 422, "content-malformed"),
        (0, "", "image/jpeg", Vec::new(), 422, "content-malformed"),
        (0, "?init_bytes=99999999", "video/mp4", clip.clone(), 422, "content-malformed"),
        (0, "", "application/json", b"{".to_vec(), 422, "json-shape"),
        (0, "", "application/json", json_of("image/gif").into_bytes(), 422, "content-malformed"),
        (0, "", "application/json", json_of("image/png").into_bytes(), 422, "content-malformed"),
        (0, "", "image/jpeg", vec![0; 100_001], 413, "body-too-large"),
    ] {
        let (got, told) = service.ask(key, query, media_type, body).await;
        let said = (got.as_u16(), told["type"].as_str());
        assert_eq!(said, (status, Some(format!("urn:siwa:problem:{problem}").as_str())), "{query} {media_type}");
    }
    let off = Service::start(&signatory.root_pem, None).await;
    let (status, told) = off.ask(0, "", "image/jpeg", clip).await;
    assert_eq!((status, &told["type"]), (StatusCode::NOT_FOUND, &json!("urn:siwa:problem:content-off")));
}

/// A body that comes in frames and counts what was taken of it.
struct Stream {
    frames: usize,
    frame_bytes: usize,
    taken: Arc<AtomicUsize>,
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.frames == 0 {
            return Poll::Ready(None);
        }
        self.frames -= 1;
        self.taken.fetch_add(self.frame_bytes, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; self.frame_bytes])))))
    }
}

const MB: usize = 1_000_000;

fn headers(length: Option<&str>) -> HeaderMap {
    length.map(|length| (header::CONTENT_LENGTH, length.parse().unwrap())).into_iter().collect()
}

/// Receives `frames` frames of 1 MB, and says how many bytes were taken.
async fn receive(uploads: &Uploads, frames: usize, told: Option<&str>) -> (Result<usize, ContentRefusal>, usize) {
    let taken = Arc::new(AtomicUsize::new(0));
    let body = Body::new(Stream { frames, frame_bytes: MB, taken: Arc::clone(&taken) });
    let received = uploads.receive(&"second".parse().unwrap(), &headers(told), body, 50 * MB).await;
    (received.map(|upload| upload.bytes().len()), taken.load(Ordering::Relaxed))
}

#[tokio::test]
async fn five_gigabytes_are_refused_after_fifty_megabytes() {
    let uploads = Uploads::new(256 * MB, 50 * MB);
    let refused = || Err(ContentRefusal::TooLarge { max: 50 * MB });
    // Told beforehand, nothing is taken; untold, or told wrong, no more than the limit and the frame that passed it.
    assert_eq!(receive(&uploads, 5000, Some("5000000000")).await, (refused(), 0));
    assert_eq!(receive(&uploads, 5000, Some("99999999999999999999999")).await, (refused(), 51 * MB));
    assert_eq!(receive(&uploads, 5000, None).await, (refused(), 51 * MB));
    assert_eq!(receive(&uploads, 5000, Some("1000")).await, (refused(), 51 * MB));
    assert_eq!(receive(&uploads, 50, None).await, (Ok(50 * MB), 50 * MB));
    assert_eq!(receive(&uploads, 50, Some("50000000")).await, (Ok(50 * MB), 50 * MB));
}

#[tokio::test]
async fn all_uploads_together_are_within_the_budget() {
    let uploads = Uploads::new(80 * MB, 50 * MB);
    let body = |frames| Body::new(Stream { frames, frame_bytes: MB, taken: Arc::default() });
    let first = "first".parse().unwrap();
    let first = uploads.receive(&first, &headers(Some("50000000")), body(50), 50 * MB).await.unwrap();
    // Told beforehand it is refused at once, untold where the budget ends.
    assert_eq!(receive(&uploads, 31, Some("31000000")).await, (Err(ContentRefusal::UploadsFull), 0));
    let (refused, taken) = receive(&uploads, 50, None).await;
    assert_eq!((refused, taken <= 31 * MB), (Err(ContentRefusal::UploadsFull), true), "{taken} taken");
    assert_eq!(receive(&uploads, 29, None).await.0, Ok(29 * MB));
    drop(first);
    assert_eq!(receive(&uploads, 50, Some("50000000")).await.0, Ok(50 * MB), "what was refused has given all back");
}

/// A body that never ends, of which one frame came.
struct Stalled(Option<Bytes>);

impl HttpBody for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }
}

/// Announcing takes nothing: bodies that say much and send little leave room for others.
#[tokio::test]
async fn what_is_announced_holds_no_place() {
    let uploads = Uploads::new(100 * MB, 50 * MB);
    let tenant = "first".parse().unwrap();
    let told = headers(Some("30000000"));
    let mut waiting: Vec<_> = (0..50)
        .map(|_| {
            let body = Body::new(Stalled(Some(Bytes::from_static(b"x"))));
            Box::pin(uploads.receive(&tenant, &told, body, 50 * MB))
        })
        .collect();
    for received in &mut waiting {
        assert!(futures_poll(received.as_mut()).is_pending());
    }
    // Fifty steps of 256 KiB are held, and not fifty times thirty megabytes.
    let body = Body::new(Stream { frames: 36, frame_bytes: MB, taken: Arc::default() });
    let more = uploads.receive(&tenant, &headers(Some("36000000")), body, 50 * MB).await;
    assert_eq!(more.map(|upload| upload.bytes().len()), Ok(36 * MB));
}

fn futures_poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut TaskContext::from_waker(std::task::Waker::noop()))
}

/// A tenant has half of the budget, and the other half is for others.
#[tokio::test]
async fn one_tenant_does_not_hold_it_all() {
    let uploads = Uploads::new(40 * MB, 10 * MB);
    let (first, second) = ("first".parse().unwrap(), "second".parse().unwrap());
    let receive = async |tenant, frames: usize, told: bool| {
        let length = told.then(|| (frames * MB).to_string());
        let body = Body::new(Stream { frames, frame_bytes: MB, taken: Arc::default() });
        uploads.receive(tenant, &headers(length.as_deref()), body, 10 * MB).await
    };
    let mut held = vec![receive(&first, 9, true).await.unwrap(), receive(&first, 9, false).await.unwrap()];
    for told in [true, false] {
        let refused = receive(&first, 9, told).await;
        assert_eq!(refused.map(|upload| upload.bytes().len()), Err(ContentRefusal::UploadsFull));
        held.push(receive(&second, 9, told).await.unwrap());
    }
    held.remove(0);
    assert_eq!(receive(&first, 9, true).await.map(|upload| upload.bytes().len()), Ok(9 * MB));
}

#[tokio::test]
async fn a_broken_body_is_none() {
    struct Broken;
    impl HttpBody for Broken {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
        }
    }
    let uploads = Uploads::new(MB, MB);
    let received = uploads.receive(&"first".parse().unwrap(), &HeaderMap::new(), Body::new(Broken), MB).await;
    assert_eq!(received.map(|upload| upload.bytes().len()), Err(ContentRefusal::Broken));
}
