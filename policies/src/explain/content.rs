//! What is checked about content, in plain language.

use std::fmt;

use serde::Serialize;

use super::attestation::{AnchorExplanation, anchor, write_anchors};
use super::{Explanation, duration};
use crate::{ContentCheck, Grant, ListMeaning, PolicySet, TenantId};

/// How content is checked for the tenants of a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContentExplanation {
    /// Where signers' certificates must lead for a clip to be trusted; none: no clip is.
    pub anchors: Vec<AnchorExplanation>,
    /// Labels of assertions that a manifest must hold.
    pub required_assertions: Vec<String>,
    /// How long a signed answer holds, in seconds.
    pub answer_seconds: u32,
    /// Lists that clips and frames are held against.
    pub lists: Vec<ListExplanation>,
}

/// One list of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListExplanation {
    /// Its name.
    pub list: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it says.
    pub meaning: ListMeaning,
    /// Bits of 256 that may differ, in a list of pictures; none in a private list of clips.
    pub distance_max: Option<u16>,
}

pub(super) fn content(grants: &[&Grant], set: &PolicySet) -> Option<ContentExplanation> {
    let rule = set.content()?;
    let asks =
        |tenant: &TenantId, check| grants.iter().any(|grant| grant.tenant == *tenant && grant.content.contains(&check));
    if grants.iter().all(|grant| grant.content.is_empty()) {
        return None;
    }
    let lists = rule.lists.iter().filter(|rule| asks(&rule.tenant, ContentCheck::List)).map(|rule| ListExplanation {
        list: rule.list.clone(),
        tenant: rule.tenant.clone(),
        meaning: rule.meaning,
        distance_max: None,
    });
    let pictures =
        rule.pictures.iter().filter(|rule| asks(&rule.tenant, ContentCheck::Similar)).map(|rule| ListExplanation {
            list: rule.list.clone(),
            tenant: rule.tenant.clone(),
            meaning: rule.meaning,
            distance_max: Some(rule.distance_max),
        });
    Some(ContentExplanation {
        anchors: rule.provenance.anchors.iter().map(anchor).collect(),
        required_assertions: rule.provenance.required_assertions.iter().cloned().collect(),
        answer_seconds: rule.provenance.answer_seconds,
        lists: lists.chain(pictures).collect(),
    })
}

impl Explanation {
    pub(super) fn write_content(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat is checked about content")?;
        let Some(rule) = &self.content else {
            return writeln!(f, "  Nothing: no platform may ask about content here.");
        };
        for tenant in &self.tenants {
            match tenant.content.as_slice() {
                [] => writeln!(f, "  {} may ask nothing.", tenant.tenant)?,
                checks => {
                    writeln!(f, "  {} may ask:", tenant.tenant)?;
                    checks.iter().try_for_each(|check| writeln!(f, "    {check}: {}", meaning(*check)))?;
                }
            }
        }
        let asked = |check| self.tenants.iter().any(|tenant| tenant.content.contains(&check));
        if asked(ContentCheck::Provenance) || asked(ContentCheck::Live) {
            write_provenance(f, rule)?;
        }
        for list in &rule.lists {
            writeln!(f, "  {} of {}: {}", list.list, list.tenant, says(list.meaning))?;
            match list.distance_max {
                None => {
                    writeln!(
                        f,
                        "    A private list of clips. Whoever asks learns of one clip whether it stands there,"
                    )?;
                    writeln!(
                        f,
                        "    and nothing else of the list. This service learns 16 bits of the clip's hash at most."
                    )?;
                }
                Some(distance) => writeln!(
                    f,
                    "    A list of pictures. A frame is one of them if {distance} of 256 bits of its hash (PDQ) differ at most."
                )?,
            }
        }
        Ok(())
    }
}

fn write_provenance(f: &mut fmt::Formatter<'_>, rule: &ContentExplanation) -> fmt::Result {
    if rule.anchors.is_empty() {
        writeln!(
            f,
            "  Nobody is believed about a clip's origin: the policy names no certificate. What a clip says of"
        )?;
        writeln!(f, "  itself can be valid (unchanged since it was signed), and is never trusted.")?;
    } else {
        writeln!(f, "  Believed about a clip's origin is whom these certificates vouch for (SHA-256). What others")?;
        writeln!(f, "  signed can be valid (unchanged since it was signed), and is not trusted:")?;
        write_anchors(f, &rule.anchors)?;
    }
    match rule.required_assertions.as_slice() {
        [] => {}
        labels => writeln!(f, "  A clip must say something in each of: {}", labels.join(", "))?,
    }
    writeln!(f, "  A signed answer about a clip holds for {}.", duration(rule.answer_seconds))
}

const fn meaning(check: ContentCheck) -> &'static str {
    match check {
        ContentCheck::Provenance => "what a clip says of its origin (C2PA), and who signed that.",
        ContentCheck::List => "whether a clip stands in a private list.",
        ContentCheck::Similar => "whether a frame nearly equals a picture of a list.",
        ContentCheck::Live => "whether the segments of a live stream come from its source, all and in order.",
    }
}

const fn says(meaning: ListMeaning) -> &'static str {
    match meaning {
        ListMeaning::Blocked => "what stands there must not be shown.",
        ListMeaning::Licensed => "what stands there may be shown, rights are held.",
        ListMeaning::Takedown => "what stands there must be taken down, a notice was received.",
    }
}
