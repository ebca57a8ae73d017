//! Reads the grants.

use std::collections::BTreeSet;

use super::document::{Document, Section};
use super::{distinct, name};
use crate::{Finding, Grant};

/// A grant that cannot be read keeps its place in the list, so that places of later findings fit.
pub(super) fn read(document: &Document<'_>, findings: &mut Vec<Finding>) -> Vec<Option<Grant>> {
    document.root().sections("grants").iter().map(|section| grant(section, findings)).collect()
}

fn grant(section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<Grant> {
    let regions = distinct(section, "regions", findings).map(BTreeSet::from_iter);
    let purposes = distinct(section, "purposes", findings).map(BTreeSet::from_iter);
    let tenant = name(section, &section.text("tenant")?, findings)?;
    Some(Grant { tenant, regions: regions?, purposes: purposes? })
}
