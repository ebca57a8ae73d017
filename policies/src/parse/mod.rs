//! From bytes to checked policies, with every finding on the way.
//!
//! 1. Each file is read as TOML ([`document`]).
//! 2. Its structure is compared with the schema of its kind ([`form`]).
//! 3. Its values are read and held against each other: limits, budgets, claims ([`region`], [`identity`],
//!    [`purpose`], [`access`], [`issuers`], [`attestation`], [`anchors`], [`content`]).
//! 4. Files are held against each other ([`cross`]).
//!
//! A value that fails an early step is left out of later ones, so that one mistake gives one finding.

mod access;
mod anchors;
mod attestation;
mod claims;
mod content;
mod cross;
mod document;
mod form;
mod identity;
mod issuers;
mod purpose;
mod purpose_budget;
mod region;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::LazyLock;

pub(crate) use self::anchors::fingerprints;
pub(crate) use self::claims::rounded;
use schemars::Schema;

use self::document::{At, Document, Section};
use crate::ids::{InvalidName, is_label};
use crate::{
    ContentRule, Digest, Finding, Grant, IssuerRule, PolicySet, PurposeId, PurposePolicy, RegionId, RegionPolicy,
    Severity, schema,
};

/// Files of a policy folder at most.
pub(crate) const FILES_MAX: usize = 1_024;
/// Bytes of one policy file at most.
pub(crate) const FILE_BYTES_MAX: usize = 262_144;
/// The one file that grants.
const ACCESS: &str = "access.toml";
/// The one file that says who may vouch for viewers.
const ISSUERS: &str = "issuers.toml";

/// The one file that says what evidence is accepted.
const ATTESTATION: &str = "attestation.toml";
/// The one file that says how content is checked.
const CONTENT: &str = "content.toml";

/// What is said of a file that is none of these.
const NO_POLICY_FILE: &str = "This is no policy file: a policy folder has `regions/NAME.toml`, `purposes/NAME.toml`, `access.toml`, `issuers.toml`, `issuers/NAME.jwks.json`, `attestation.toml`, `anchors/NAME.pem` and `content.toml`.";

/// What was read, with the documents for the places of later findings.
#[derive(Default)]
struct Read<'a> {
    regions: BTreeMap<RegionId, (Document<'a>, Option<RegionPolicy>)>,
    purposes: BTreeMap<PurposeId, (Document<'a>, Option<PurposePolicy>)>,
    access: Option<(Document<'a>, Vec<Option<Grant>>)>,
    issuers: Option<(Document<'a>, Vec<Option<IssuerRule>>)>,
    key_files: BTreeSet<&'a str>,
    attestation: Option<(Document<'a>, attestation::Profiles)>,
    content: Option<(Document<'a>, Option<ContentRule>)>,
    anchor_files: BTreeSet<&'a str>,
}

/// What a file is by its path.
enum Kind<'a> {
    Region(&'a str),
    Purpose(&'a str),
    Access,
    Issuers,
    Keys,
    Attestation,
    Content,
    Anchors,
}

impl<'a> Kind<'a> {
    fn of(file: &'a str) -> Option<Self> {
        let stem = |folder: &str| file.strip_prefix(folder)?.strip_suffix(".toml");
        match file {
            ACCESS => Some(Self::Access),
            ISSUERS => Some(Self::Issuers),
            ATTESTATION => Some(Self::Attestation),
            CONTENT => Some(Self::Content),
            _ if anchors::file_name(file).is_some() => Some(Self::Anchors),
            _ if issuers::key_file_name(file).is_some() => Some(Self::Keys),
            _ => stem("regions/").map(Self::Region).or_else(|| stem("purposes/").map(Self::Purpose)),
        }
    }
}

pub(crate) fn parse(files: &BTreeMap<String, Vec<u8>>) -> Result<PolicySet, Vec<Finding>> {
    let mut findings = Vec::new();
    let read = read(files, &mut findings);
    cross::check(&read, &mut findings);
    findings.sort();
    findings.dedup();
    let Read { regions, purposes, access, issuers, attestation, content, .. } = read;
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(findings);
    }
    Ok(PolicySet {
        regions: regions.into_iter().filter_map(|(id, (_, policy))| Some((id, policy?))).collect(),
        purposes: purposes.into_iter().filter_map(|(id, (_, policy))| Some((id, policy?))).collect(),
        grants: access.into_iter().flat_map(|(_, grants)| grants).flatten().collect(),
        issuers: issuers.into_iter().flat_map(|(_, issuers)| issuers).flatten().collect(),
        profiles: attestation.map(|(_, profiles)| profiles.into_read()).unwrap_or_default(),
        content: content.and_then(|(_, rule)| rule),
        digest: Digest::of(crate::set::manifest(files).as_bytes()),
        files: std::sync::Arc::new(files.clone()),
        warnings: findings,
    })
}

fn read<'a>(files: &'a BTreeMap<String, Vec<u8>>, findings: &mut Vec<Finding>) -> Read<'a> {
    let mut read = Read::default();
    if files.len() > FILES_MAX {
        findings.push(whole_file("", format!("A policy folder has {FILES_MAX} files at most.")));
        return read;
    }
    for (file, bytes) in files {
        match text(file, bytes) {
            Ok(text) => read.file(file, text, files, &SCHEMAS, findings),
            Err(finding) => findings.push(finding),
        }
    }
    if !files.contains_key(ACCESS) {
        let sentence =
            "The file is missing. It says which tenant may do what where; without it nobody may do anything.";
        findings.push(whole_file(ACCESS, sentence.to_owned()));
    }
    if read.regions.is_empty() {
        findings.push(whole_file("regions", "No region is described here: `regions/NAME.toml` is missing.".to_owned()));
    }
    read
}

/// The schema of each kind of TOML file.
struct Schemas {
    region: Schema,
    purpose: Schema,
    access: Schema,
    issuers: Schema,
    attestation: Schema,
    content: Schema,
}

/// Made once: to make them takes longer than to read a folder.
static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| Schemas {
    region: schema::region(),
    purpose: schema::purpose(),
    access: schema::access(),
    issuers: schema::issuers(),
    attestation: schema::attestation(),
    content: schema::content(),
});

impl<'a> Read<'a> {
    fn file(
        &mut self,
        file: &'a str,
        text: &'a str,
        files: &BTreeMap<String, Vec<u8>>,
        schemas: &Schemas,
        findings: &mut Vec<Finding>,
    ) {
        // Whatever else the file is, this comes first.
        if let Some(finding) = anchors::private_key(file, text) {
            findings.push(finding);
            if file.ends_with(".pem") {
                self.anchor_files.extend(anchors::file_name(file).map(|_| file));
                return;
            }
        }
        let mut open = |schema: &Schema| {
            let mut document = Document::parse(file, text, findings);
            findings.extend(form::check(&mut document, schema.as_value()));
            document
        };
        match Kind::of(file) {
            Some(Kind::Region(stem)) => {
                let document = open(&schemas.region);
                if let Some(id) = file_name(&document, "region", stem, findings) {
                    let policy = region::read(&document, findings);
                    self.regions.insert(id, (document, policy));
                }
            }
            Some(Kind::Purpose(stem)) => {
                let document = open(&schemas.purpose);
                if let Some(id) = file_name(&document, "purpose", stem, findings) {
                    let policy = purpose::read(&document, findings);
                    self.purposes.insert(id, (document, policy));
                }
            }
            Some(Kind::Access) => {
                let document = open(&schemas.access);
                let grants = access::read(&document, findings);
                self.access = Some((document, grants));
            }
            Some(Kind::Issuers) => {
                let document = open(&schemas.issuers);
                let rules = issuers::read(&document, files, findings);
                self.issuers = Some((document, rules));
            }
            Some(Kind::Keys) => {
                self.key_files.insert(file);
                findings.extend(issuers::jwks(file, text));
            }
            Some(Kind::Attestation) => {
                let document = open(&schemas.attestation);
                let profiles = attestation::read(&document, files, findings);
                self.attestation = Some((document, profiles));
            }
            Some(Kind::Content) => {
                let document = open(&schemas.content);
                let rule = content::read(&document, files, findings);
                self.content = Some((document, rule));
            }
            Some(Kind::Anchors) => {
                self.anchor_files.insert(file);
                findings.extend(anchors::check(file, text));
            }
            None => findings.push(whole_file(file, NO_POLICY_FILE.to_owned())),
        }
    }
}

fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Finding> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(whole_file(file, format!("The file is larger than {FILE_BYTES_MAX} bytes.")));
    }
    std::str::from_utf8(bytes).map_err(|_| whole_file(file, "The file is not UTF-8 text.".to_owned()))
}

fn whole_file(file: &str, sentence: String) -> Finding {
    Finding { file: file.to_owned(), line: 1, column: 1, severity: Severity::Error, sentence }
}

/// The name that a file is found by: its own, which the name inside must repeat.
fn file_name<T: FromStr<Err: ToString>>(
    document: &Document<'_>,
    key: &str,
    stem: &str,
    findings: &mut Vec<Finding>,
) -> Option<T> {
    if let Some(written) = document.root().text(key)
        && written.value != stem
    {
        let sentence =
            format!("The file `{stem}.toml` describes the {key} `{}`: both names must be the same.", written.value);
        findings.push(document.error(&written.place, sentence));
    }
    stem.parse().map_err(|error: T::Err| findings.push(document.error(&(0..0), error_sentence(&error)))).ok()
}

/// A name of its type; the finding where it is none.
fn name<T: FromStr<Err: ToString>>(
    section: &Section<'_>,
    written: &At<&str>,
    findings: &mut Vec<Finding>,
) -> Option<T> {
    let refused = |error: T::Err| findings.push(section.document().error(&written.place, error_sentence(&error)));
    written.value.parse().map_err(refused).ok()
}

/// A name that is no type of its own; the finding where it is none.
fn label(section: &Section<'_>, written: &At<&str>, what: &'static str, findings: &mut Vec<Finding>) -> Option<String> {
    if is_label(written.value) {
        return Some(written.value.to_owned());
    }
    findings.push(section.document().error(&written.place, error_sentence(&InvalidName::of(what))));
    None
}

fn error_sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// The values of a list without repetition, and a finding for each repetition; nothing where there is no list.
fn distinct<T: Ord + FromStr<Err: ToString>>(
    section: &Section<'_>,
    key: &str,
    findings: &mut Vec<Finding>,
) -> Option<Vec<T>> {
    let mut seen = Vec::new();
    for written in section.texts(key)? {
        let Some(value) = name::<T>(section, &written, findings) else { continue };
        if seen.contains(&value) {
            let sentence = format!("`{}` stands in `{key}` twice.", written.value);
            findings.push(section.document().error(&written.place, sentence));
        } else {
            seen.push(value);
        }
    }
    Some(seen)
}
