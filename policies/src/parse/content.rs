//! Reads how content is checked, and holds grants against it.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, Section};
use super::form::listed;
use super::{Read, anchors, distinct, label, name};
use crate::rules::{ContentCheck, ContentRule, ListMeaning, ListRule, PictureListRule, ProvenanceRule};
use crate::{Finding, TenantId};

pub(super) fn read(
    document: &Document<'_>,
    files: &BTreeMap<String, Vec<u8>>,
    findings: &mut Vec<Finding>,
) -> Option<ContentRule> {
    let root = document.root();
    let provenance = root.section("provenance").and_then(|section| provenance(&section, files, findings));
    let mut seen = BTreeSet::new();
    let mut lists = Vec::new();
    for section in root.sections("lists") {
        lists.push(list(&section, &mut seen, findings));
    }
    let mut pictures = Vec::new();
    for section in root.sections("pictures") {
        let read = list(&section, &mut seen, findings);
        let distance_max = section.whole("distance_max");
        pictures.push(read.zip(distance_max).map(|(ListRule { list, tenant, meaning }, distance_max)| {
            PictureListRule { list, tenant, meaning, distance_max }
        }));
    }
    Some(ContentRule {
        provenance: provenance?,
        lists: lists.into_iter().collect::<Option<_>>()?,
        pictures: pictures.into_iter().collect::<Option<_>>()?,
    })
}

fn provenance(
    section: &Section<'_>,
    files: &BTreeMap<String, Vec<u8>>,
    findings: &mut Vec<Finding>,
) -> Option<ProvenanceRule> {
    let anchors = anchors::read(section, "anchors", files, findings);
    let mut sound = section.sound("required_assertions");
    for written in section.texts("required_assertions").into_iter().flatten() {
        if !written.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            let sentence = format!(
                "The label of an assertion is letters, digits, '.', '_' and '-', such as `c2pa.actions.v2`: `{}` is none.",
                written.value.escape_debug()
            );
            findings.push(section.document().error(&written.place, sentence));
            sound = false;
        }
    }
    let required: Vec<String> = distinct(section, "required_assertions", findings).unwrap_or_default();
    let answer_seconds = section.whole("answer_seconds")?;
    let required_assertions = sound.then(|| required.into_iter().collect())?;
    Some(ProvenanceRule { anchors: anchors?, required_assertions, answer_seconds })
}

/// What lists and lists of pictures have in common.
fn list(
    section: &Section<'_>,
    seen: &mut BTreeSet<(TenantId, String)>,
    findings: &mut Vec<Finding>,
) -> Option<ListRule> {
    let tenant: Option<TenantId> = section.text("tenant").and_then(|written| name(section, &written, findings));
    let list = section.text("list").and_then(|written| label(section, &written, "list name", findings));
    let (tenant, list) = tenant.zip(list)?;
    if !seen.insert((tenant.clone(), list.clone())) {
        let sentence = format!(
            "`{tenant}` has a second list of the name `{list}`: a list is asked for by its name, whether it holds clips or pictures."
        );
        findings.push(section.document().error(&section.place_of("list"), sentence));
    }
    let meaning = match section.text("meaning")?.value {
        "blocked" => ListMeaning::Blocked,
        "licensed" => ListMeaning::Licensed,
        "takedown" => ListMeaning::Takedown,
        _ => return None,
    };
    Some(ListRule { list, tenant, meaning })
}

/// Grants and lists fit together: whose list it is may ask for it, and what may be asked can be answered.
pub(super) fn check(read: &Read<'_>, findings: &mut Vec<Finding>) {
    let Some((access, grants)) = &read.access else { return };
    if let Some((document, _)) = &read.content {
        tenants(document, read, findings);
    }
    for (section, grant) in access.root().sections("grants").iter().zip(grants) {
        let Some(grant) = grant.as_ref().filter(|_| section.sound("content")) else { continue };
        let Some(first) = section.texts("content").into_iter().flatten().next() else { continue };
        let Some((_, rule)) = &read.content else {
            let sentence = format!(
                "The platform may ask about content ({}), but nothing says how that is checked: the file `content.toml` is missing.",
                listed(grant.content.iter().map(|check| check.as_str()))
            );
            findings.push(access.error(&first.place, sentence));
            continue;
        };
        let Some(rule) = rule else { continue };
        let lists = rule.lists.iter().any(|list| list.tenant == grant.tenant);
        let pictures = rule.pictures.iter().any(|list| list.tenant == grant.tenant);
        for written in section.texts("content").into_iter().flatten() {
            let missing = match ContentCheck::ALL.into_iter().find(|check| check.as_str() == written.value) {
                Some(ContentCheck::List) if !lists => "lists",
                Some(ContentCheck::Similar) if !pictures => "pictures",
                _ => continue,
            };
            let sentence = format!(
                "The platform may ask for `{}`, but `content.toml` has no list of `{}` for it (`[[{missing}]]`): nothing could ever be answered. Describe one there, or remove it here.",
                written.value, grant.tenant
            );
            findings.push(access.error(&written.place, sentence));
        }
    }
}

/// A list belongs to a platform that is served, and that may ask for it.
fn tenants(document: &Document<'_>, read: &Read<'_>, findings: &mut Vec<Finding>) {
    let Some((access, grants)) = &read.access else { return };
    let sound = access.root().sections("grants").iter().all(|section| section.sound("content"));
    let Some(grants) = grants.iter().map(Option::as_ref).collect::<Option<Vec<_>>>().filter(|_| sound) else { return };
    for (key, check) in [("lists", ContentCheck::List), ("pictures", ContentCheck::Similar)] {
        for section in document.root().sections(key) {
            let Some(written) = section.text("tenant") else { continue };
            let Ok(tenant) = written.value.parse::<TenantId>() else { continue };
            let mut granted = grants.iter().filter(|grant| grant.tenant == tenant).peekable();
            if granted.peek().is_none() {
                let sentence = format!("The list belongs to `{tenant}`, to which `access.toml` grants nothing.");
                findings.push(document.error(&written.place, sentence));
            } else if !granted.any(|grant| grant.content.contains(&check)) {
                let sentence = format!(
                    "The list belongs to `{tenant}`, which may not ask for it: none of its grants has `{}` in `content`.",
                    check.as_str()
                );
                findings.push(document.warning(&written.place, sentence));
            }
        }
    }
}
