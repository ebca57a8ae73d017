//! Bodies of the fuzz targets of live streams. A signature that a fuzzer cannot make stands before much of what reads
//! peers' bytes, so that each reader is called by itself too.

use std::sync::Arc;

use super::bmff_hash::BmffHash;
use super::boxes;
use super::cbor;
use super::cose::{PublicKey, Sign1};
use super::jumbf::ManifestBoxes;
use super::manifest::Manifest;
use super::segment_info::SegmentInfo;
use super::{LiveStream, moment, session_keys};
use crate::evidence::chain::Anchors;

/// Body of the fuzz target `live_boxes`: any bytes as an init segment and as a segment.
///
/// # Panics
/// When boxes do not fill what they were read from, or a stream opens though nobody is believed.
pub fn boxes(data: &[u8]) {
    let nobody = Arc::new(Anchors::from_der(Vec::new()));
    assert!(LiveStream::open(data, &nobody, 0).is_err(), "nobody is believed");
    let Ok(all) = boxes::split(data) else { return };
    assert_eq!(all.iter().map(|boxed| boxed.whole.len()).sum::<usize>(), data.len(), "boxes fill the bytes");
    for boxed in &all {
        if let Ok(message) = boxes::segment_info(boxed) {
            segment_info(message);
            if let Ok(information) = SegmentInfo::read(message) {
                let _ = information.check_hash(&all);
            }
        }
        if let Ok(store) = boxes::manifest_store(boxed) {
            manifest(store);
        }
    }
}

/// Body of the fuzz target `live_manifest`: any bytes as a manifest store, and each of its assertions as what it may be.
///
/// # Panics
/// When a manifest verifies though nobody is believed.
pub fn manifest(data: &[u8]) {
    assert!(Manifest::verify(data, &Anchors::from_der(Vec::new()), 0).is_err(), "nobody is believed");
    let Ok(parts) = ManifestBoxes::active(data) else { return };
    drop(Sign1::parse(parts.signature));
    for content in parts.assertions.iter().filter_map(|assertion| assertion.content(*b"cbor")) {
        structures(content);
    }
}

/// Body of the fuzz target `live_segment_info`: any bytes as segment information, and what it holds.
pub fn segment_info(data: &[u8]) {
    if let Ok(information) = SegmentInfo::read(data) {
        let _ = information.check_hash(&[]);
        structures(information.payload);
    }
    structures(data);
}

/// Any bytes as every structure that is CBOR.
fn structures(data: &[u8]) {
    drop(session_keys::read(data, b"certificate"));
    let Ok(value) = cbor::decode(data) else { return };
    drop(BmffHash::read(&value, Some("sha256")));
    if let (Ok(key), Ok(signature)) = (PublicKey::from_cose(&value), Sign1::from_value(&value)) {
        let _ = signature.verify(&key, data);
    }
    if let Some(text) = value.text() {
        moment::parse_ms(text);
    }
}
