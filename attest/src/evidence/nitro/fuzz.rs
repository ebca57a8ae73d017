//! Bodies of the fuzz targets of Nitro documents and of CBOR.

use policies::rules::NitroValues;

use super::document::{Document, Signed};
use super::{NitroClaims, NitroEvidence, compare, verify};
use crate::evidence::cbor;
use crate::evidence::chain::Anchors;

/// Body of the fuzz target `nitro_document`: any bytes as a document, and as what stands in one.
///
/// # Panics
/// When a document verifies without an anchor.
pub fn document(data: &[u8]) {
    if let Ok(signed) = Signed::parse(data) {
        drop(Document::parse(signed.payload).map(|_| signed.structure()));
    }
    if let Ok(document) = Document::parse(data) {
        let claims = NitroClaims {
            module_id: document.module_id.to_owned(),
            timestamp_ms: document.timestamp_ms,
            pcrs: document.pcrs,
            public_key: None,
            nonce: None,
        };
        drop(compare(&claims, &NitroValues::default()));
        let anchors = Anchors::from_der(document.cabundle.into_iter().map(|root| root.into_owned()).collect());
        drop(verify(&NitroEvidence { document: data.to_vec().into() }, &anchors, document.timestamp_ms));
    }
    let evidence = NitroEvidence { document: data.to_vec().into() };
    assert!(verify(&evidence, &Anchors::from_der(Vec::new()), 0).is_err(), "nothing ends in no anchor");
}

/// Body of the fuzz target `cbor`: any bytes as CBOR.
///
/// # Panics
/// When the bytes that follow a value are not those that the input ends in.
pub fn cbor(data: &[u8]) {
    if let Ok((value, rest)) = cbor::read_prefix(data) {
        assert!(data.ends_with(rest), "the rest is the input's");
        assert_eq!(cbor::read(data).ok(), rest.is_empty().then_some(value));
    }
}
