//! Bodies of the fuzz targets of this module.

use std::collections::BTreeMap;

use super::{Bundle, Delivery, Signers, Statement, Trust};
use crate::log::{KeyAlgorithm, Note, VerifierKey};

/// Body of the fuzz target `policy_bundle_note`: a note, its text, and what verification makes of it.
pub fn note(data: &[u8]) {
    let Ok(key) = VerifierKey::new("fuzz", KeyAlgorithm::Note, [7; 32]) else { return };
    let Ok(signers) = Signers::new(vec![key], 1) else { return };
    let _refused = Bundle::open(data, &BTreeMap::new(), Trust::First(&signers));
    if let Ok(note) = Note::parse(data)
        && let Ok(statement) = note.text().parse::<Statement>()
    {
        assert_eq!(statement.to_string(), note.text(), "a statement has one form");
    }
}

/// Body of the fuzz target `policy_bundle_delivery`: what a centre answers.
pub fn delivery(data: &[u8]) {
    let Ok(delivery) = Delivery::decode(data) else { return };
    assert_eq!(Delivery::decode(&delivery.encode()), Ok(delivery.clone()), "a delivery reads as it is written");
    let Ok(key) = VerifierKey::new("fuzz", KeyAlgorithm::Note, [7; 32]) else { return };
    let Ok(next) = Signers::new(vec![key], 1) else { return };
    let held = Statement { version: 1, manifest: crate::Digest::of(b""), next };
    let _refused = Bundle::follow(&delivery, &held);
}
