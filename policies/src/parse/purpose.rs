//! Reads one purpose of processing.

use std::collections::BTreeSet;

use super::distinct;
use super::document::Document;
use crate::{Finding, PurposePolicy};

pub(super) fn read(document: &Document<'_>, findings: &mut Vec<Finding>) -> Option<PurposePolicy> {
    let root = document.root();
    let signals = distinct(&root, "signals", findings).map(BTreeSet::from_iter);
    let tasks = distinct(&root, "tasks", findings).map(BTreeSet::from_iter);
    Some(PurposePolicy {
        purpose: root.text("purpose")?.value.parse().ok()?,
        title: root.text("title")?.value.to_owned(),
        // Where lines break is notation.
        description: root.text("description")?.value.split_whitespace().collect::<Vec<_>>().join(" "),
        legal_basis: root.text("legal_basis")?.value.to_owned(),
        signals: signals?,
        tasks: tasks?,
    })
}
