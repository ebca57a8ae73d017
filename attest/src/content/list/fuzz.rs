//! Bodies of the fuzz targets of private lists.

use policies::Digest;
use rand_core::{CryptoRng, RngCore};

use super::{
    BlindedElement, Bucket, BucketError, Evaluation, Geometry, Identifier, ListExpectation, ListKey, ListManifest,
    ListPublicKey, PROOF_BYTES, PendingCheck, TAG_BYTES, Tag, bucket_path_bytes,
};
use crate::jws::fuzz::fixed_key;

/// Body of the fuzz target `list_manifest`: any text as a manifest, and any JSON as its claims.
///
/// # Panics
/// When a manifest that was signed does not come back, or one that was verified has no buckets.
pub fn manifest(data: &[u8]) {
    let key = fixed_key();
    let verify = |token: &str, expected: &ListExpectation<'_>, now_ms| {
        ListManifest::verify(token, &key.verifying_key(), expected, now_ms)
    };
    let (tenant, list) = ("demo-platform".parse().expect("a name"), "blocked".parse().expect("a name"));
    let expected = ListExpectation { tenant: &tenant, list: &list, epoch_min: 0, last: None };
    if let Ok(text) = std::str::from_utf8(data) {
        drop(verify(text, &expected, 0));
    }
    if let Ok(claims) = serde_json::from_slice::<ListManifest>(data)
        && let Ok(token) = claims.sign(&key)
    {
        let own = ListExpectation { tenant: &claims.tenant, list: &claims.list, epoch_min: 0, last: None };
        if let Ok(read) = verify(&token, &own, claims.iat.saturating_mul(1000)) {
            assert!(read.geometry().is_ok(), "a verified manifest has buckets");
            assert_eq!(read, claims);
        }
    }
}

/// Body of the fuzz target `list_bucket`: two bytes of form and number, and any bytes as that bucket.
///
/// # Panics
/// When a bucket is taken for a root that is not its own.
pub fn bucket(data: &[u8]) {
    let Some(([bits, number], bytes)) = data.split_first_chunk() else { return };
    let bits = bits % 18;
    let slots = u32::try_from(bytes.len().saturating_sub(bucket_path_bytes(bits)) / TAG_BYTES).unwrap_or(u32::MAX);
    let Ok(geometry) = Geometry::new(bits, slots) else { return };
    let verified = Bucket::verify(bytes, &geometry, u32::from(*number), &Digest::of(bytes));
    // A digest of the bytes alone is no leaf and no node.
    match verified.map(|bucket| bucket.holds(&Tag::from_bytes([0; 8]))) {
        Ok(_) => panic!("no bytes are committed to by their plain digest"),
        Err(error) => assert_ne!(error, BucketError::Order, "the root is looked at first"),
    }
}

/// Body of the fuzz target `list_query`: any bytes as an element to evaluate, as an evaluation, and as an identifier.
///
/// # Panics
/// When what is no evaluation is taken for one, or an honest one is refused.
pub fn query(data: &[u8]) {
    let mut rng = Counter(data.len() as u64);
    let key = ListKey::generate(&mut rng);
    if let Ok(element) = BlindedElement::parse(data) {
        assert!(key.evaluate(&[element], &mut rng).is_some(), "an element is evaluated");
    }
    if let Ok(key) = ListPublicKey::parse(data) {
        assert_eq!(key.as_bytes().as_slice(), data, "an element has one encoding");
    }
    drop(ListKey::from_secret_bytes(data));
    let Ok(identifier) = Identifier::new(data) else { return };
    let tag = key.tag(&identifier);
    let (elements, pending) = PendingCheck::new(vec![identifier], &mut rng).expect("one short identifier");
    let blinded = BlindedElement::parse(&elements[0]).expect("a client sends elements");
    let honest = key.evaluate(&[blinded], &mut rng).expect("one element");
    // The first half of what is sent back is the input's, where it is long enough.
    if let Some((element, rest)) = data.split_first_chunk::<32>()
        && let Some(proof) = rest.first_chunk::<PROOF_BYTES>()
    {
        let forged = Evaluation { elements: vec![*element], proof: *proof };
        assert!(forged == honest || pending.finalize(&forged, &key.public()).is_err(), "no proof is found by chance");
        return;
    }
    let tags = pending.finalize(&honest, &key.public());
    assert!(tags.is_ok_and(|tags| tags == [tag]), "an honest evaluation gives the tag");
}

/// Numbers that anyone can compute. For fuzzing alone.
struct Counter(u64);

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand_core::impls::fill_bytes_via_next(self, bytes);
    }
}

impl CryptoRng for Counter {}
