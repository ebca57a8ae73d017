//! What a manifest's assertions say: artificial intelligence, edits, ingredients, use for training.

use std::collections::BTreeSet;

use c2pa::{Manifest, ManifestAssertion, Reader, Relationship};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EDITS_MAX, text};

/// Manifests below the active one that are followed, one below another.
const DEPTH_MAX: usize = 16;
/// Entries of a training-and-mining assertion told at most.
const MINING_MAX: usize = 8;

/// How far a clip is said to be made by a trained algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AiUse {
    /// Nothing is said of it. That is not to say that there was none.
    NotStated,
    /// In part, or a part of it was.
    Composite,
    /// Wholly.
    Generated,
}

/// What is said of artificial intelligence, by the active manifest and those of its ingredients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ai {
    /// How far it was used, from the digital source types of the actions (IPTC).
    pub made: AiUse,
    /// Whether the active manifest has an AI disclosure (`c2pa.ai-disclosure`).
    pub disclosure: bool,
    /// What the clip may be used for (`c2pa.training-mining`, `cawg.training-mining`).
    pub mining: Vec<Mining>,
}

/// Whether a clip may be used for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mining {
    /// Such as `c2pa.ai_training`.
    pub purpose: String,
    /// Whether.
    pub allowed: MiningUse,
}

/// An answer to whether a clip may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MiningUse {
    /// Yes.
    Allowed,
    /// No.
    NotAllowed,
    /// Under conditions; also anything that is not one of the other two.
    Constrained,
}

/// One action (C2PA §18.14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Such as `c2pa.cropped`.
    pub action: String,
    /// The last part of its digital source type, such as `digitalCapture`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
}

/// What a clip was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingredients {
    /// Of the active manifest.
    pub count: usize,
    /// How many manifests stand below another, the active one not counted; 16 at most.
    pub depth: usize,
    /// Whether one of them is what the clip was edited from.
    pub parent: bool,
}

/// The last part of a digital source type. The whole is an IRI of IPTC or of C2PA.
fn last_part(source_type: &str) -> &str {
    source_type.rsplit('/').next().unwrap_or(source_type)
}

fn ai_use(source_type: &str) -> AiUse {
    match last_part(source_type) {
        "trainedAlgorithmicMedia" | "trainedAlgorithmicData" => AiUse::Generated,
        "compositeWithTrainedAlgorithmicMedia" | "compositeSynthetic" => AiUse::Composite,
        _ => AiUse::NotStated,
    }
}

/// The actions of a manifest, whatever the assertion's version.
fn actions(manifest: &Manifest) -> impl Iterator<Item = &Value> {
    let assertions = manifest.assertions().iter().filter(|assertion| is(assertion, "c2pa.actions"));
    assertions.filter_map(|assertion| assertion.value().ok()?.get("actions")?.as_array()).flatten()
}

fn source_type(action: &Value) -> Option<&str> {
    action.get("digitalSourceType").or_else(|| action.get("parameters")?.get("digitalSourceType"))?.as_str()
}

fn is(assertion: &ManifestAssertion, label: &str) -> bool {
    is_version_of(assertion.label(), label)
}

/// Whether a label is `wanted` or a version of it, such as `c2pa.actions.v2`, whichever of several it is (`__1`).
pub(super) fn is_version_of(label: &str, wanted: &str) -> bool {
    let label = label.split_once("__").map_or(label, |(label, _)| label);
    match label.strip_prefix(wanted) {
        Some("") => true,
        Some(rest) => rest.strip_prefix(".v").is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit())),
        None => false,
    }
}

/// The edits of a manifest, and how many are not among them.
pub(super) fn edits(manifest: &Manifest) -> (Vec<Edit>, usize) {
    let edit = |action: &Value| {
        let name = text::bounded(action.get("action")?.as_str()?)?;
        Some(Edit { action: name, source_type: source_type(action).map(last_part).and_then(text::bounded) })
    };
    let count = actions(manifest).count();
    let edits: Vec<Edit> = actions(manifest).filter_map(edit).take(EDITS_MAX).collect();
    let left_off = count - edits.len();
    (edits, left_off)
}

/// What is said of artificial intelligence.
pub(super) fn ai(reader: &Reader, active: &Manifest) -> Ai {
    let disclosure = active.assertions().iter().any(|assertion| is(assertion, "c2pa.ai-disclosure"));
    let mut seen = BTreeSet::new();
    Ai { made: made(reader, active, 0, &mut seen), disclosure, mining: mining(active) }
}

/// How far a manifest or what it was made of says that a trained algorithm made it. What was generated and is now a part
/// is a part.
fn made(reader: &Reader, manifest: &Manifest, depth: usize, seen: &mut BTreeSet<String>) -> AiUse {
    let mut made = actions(manifest).filter_map(source_type).map(ai_use).max().unwrap_or(AiUse::NotStated);
    if depth >= DEPTH_MAX || !seen.insert(manifest.label().unwrap_or_default().to_owned()) {
        return made;
    }
    for ingredient in manifest.ingredients() {
        let Some(below) = ingredient.active_manifest().and_then(|label| reader.get_manifest(label)) else { continue };
        let below = match self::made(reader, below, depth + 1, seen) {
            AiUse::Generated if *ingredient.relationship() != Relationship::ParentOf => AiUse::Composite,
            below => below,
        };
        made = made.max(below);
    }
    made
}

fn mining(manifest: &Manifest) -> Vec<Mining> {
    let assertions = manifest.assertions().iter();
    let assertions = assertions
        .filter(|assertion| is(assertion, "c2pa.training-mining") || is(assertion, "cawg.training-mining"))
        .filter_map(|assertion| assertion.value().ok()?.get("entries")?.as_object());
    let entry = |(purpose, entry): (&String, &Value)| {
        let allowed = match entry.get("use").and_then(Value::as_str) {
            Some("allowed") => MiningUse::Allowed,
            Some("notAllowed") => MiningUse::NotAllowed,
            _ => MiningUse::Constrained,
        };
        Some(Mining { purpose: text::bounded(purpose)?, allowed })
    };
    assertions.flatten().filter_map(entry).take(MINING_MAX).collect()
}

/// What a clip was made of.
pub(super) fn ingredients(reader: &Reader, active: &Manifest) -> Ingredients {
    Ingredients {
        count: active.ingredients().len(),
        depth: depth(reader, active),
        parent: active.ingredients().iter().any(|ingredient| *ingredient.relationship() == Relationship::ParentOf),
    }
}

/// Level by level, each manifest once.
fn depth(reader: &Reader, active: &Manifest) -> usize {
    let mut seen = BTreeSet::from([active.label().unwrap_or_default()]);
    let (mut level, mut depth) = (vec![active], 0);
    while depth < DEPTH_MAX {
        let below = level.iter().flat_map(|manifest| manifest.ingredients());
        let labels: Vec<&str> = below.filter_map(|ingredient| ingredient.active_manifest()).collect();
        level = labels.into_iter().filter(|label| seen.insert(label)).filter_map(|l| reader.get_manifest(l)).collect();
        if level.is_empty() {
            break;
        }
        depth += 1;
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_instances_of_a_label_are_the_label() {
        for label in ["c2pa.actions", "c2pa.actions.v2", "c2pa.actions__1", "c2pa.actions.v2__3"] {
            assert!(is_version_of(label, "c2pa.actions"), "{label}");
        }
        for label in ["c2pa.action", "c2pa.actions.vx", "c2pa.actions.v2.x", "c2pa.actionsx", "x.c2pa.actions", ""] {
            assert!(!is_version_of(label, "c2pa.actions"), "{label}");
        }
    }

    #[test]
    fn source_types_are_told_apart() {
        let iptc = |name: &str| ai_use(&format!("http://cv.iptc.org/newscodes/digitalsourcetype/{name}"));
        assert_eq!(iptc("trainedAlgorithmicMedia"), AiUse::Generated);
        assert_eq!(ai_use("http://c2pa.org/digitalsourcetype/trainedAlgorithmicData"), AiUse::Generated);
        assert_eq!(iptc("compositeWithTrainedAlgorithmicMedia"), AiUse::Composite);
        assert_eq!(iptc("compositeSynthetic"), AiUse::Composite);
        for other in ["digitalCapture", "algorithmicMedia", "humanEdits", ""] {
            assert_eq!(iptc(other), AiUse::NotStated, "{other}");
        }
    }
}
