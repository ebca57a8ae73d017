//! From bytes to checked policies, with every finding on the way.
//!
//! 1. Each file is read as TOML ([`document`]).
//! 2. Its structure is compared with the schema of its kind ([`form`]).
//! 3. Its values are read and held against each other: limits, budgets, claims ([`region`], [`identity`],
//!    [`purpose`], [`access`], [`issuers`]).
//! 4. Files are held against each other ([`cross`]).
//!
//! A value that fails an early step is left out of later ones, so that one mistake gives one finding.

mod access;
mod claims;
mod cross;
mod document;
mod form;
mod identity;
mod issuers;
mod purpose;
mod region;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

pub(crate) use self::claims::rounded;
use self::document::{At, Document, Section};
use crate::{
    Digest, Finding, Grant, IssuerRule, PolicySet, PurposeId, PurposePolicy, RegionId, RegionPolicy, Severity, schema,
};

/// Files of a policy folder at most.
pub(crate) const FILES_MAX: usize = 1_024;
/// Bytes of one policy file at most.
pub(crate) const FILE_BYTES_MAX: usize = 262_144;
/// The one file that grants.
const ACCESS: &str = "access.toml";
/// The one file that says who may vouch for viewers.
const ISSUERS: &str = "issuers.toml";

/// What was read, with the documents for the places of later findings.
struct Read<'a> {
    regions: BTreeMap<RegionId, (Document<'a>, Option<RegionPolicy>)>,
    purposes: BTreeMap<PurposeId, (Document<'a>, Option<PurposePolicy>)>,
    access: Option<(Document<'a>, Vec<Option<Grant>>)>,
    issuers: Option<(Document<'a>, Vec<Option<IssuerRule>>)>,
    key_files: BTreeSet<&'a str>,
}

/// What a file is by its path.
enum Kind<'a> {
    Region(&'a str),
    Purpose(&'a str),
    Access,
    Issuers,
    Keys,
}

impl<'a> Kind<'a> {
    fn of(file: &'a str) -> Option<Self> {
        let stem = |folder: &str| file.strip_prefix(folder)?.strip_suffix(".toml");
        match file {
            ACCESS => Some(Self::Access),
            ISSUERS => Some(Self::Issuers),
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
    let Read { regions, purposes, access, issuers, .. } = read;
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(findings);
    }
    Ok(PolicySet {
        regions: regions.into_iter().filter_map(|(id, (_, policy))| Some((id, policy?))).collect(),
        purposes: purposes.into_iter().filter_map(|(id, (_, policy))| Some((id, policy?))).collect(),
        grants: access.into_iter().flat_map(|(_, grants)| grants).flatten().collect(),
        issuers: issuers.into_iter().flat_map(|(_, issuers)| issuers).flatten().collect(),
        digest: Digest::of(crate::set::manifest(files).as_bytes()),
        warnings: findings,
    })
}

fn read<'a>(files: &'a BTreeMap<String, Vec<u8>>, findings: &mut Vec<Finding>) -> Read<'a> {
    let mut read = Read {
        regions: BTreeMap::new(),
        purposes: BTreeMap::new(),
        access: None,
        issuers: None,
        key_files: BTreeSet::new(),
    };
    if files.len() > FILES_MAX {
        findings.push(whole_file("", format!("A policy folder has {FILES_MAX} files at most.")));
        return read;
    }
    let schemas = [schema::region(), schema::purpose(), schema::access(), schema::issuers()];
    for (file, bytes) in files {
        let text = match text(file, bytes) {
            Ok(text) => text,
            Err(finding) => {
                findings.push(finding);
                continue;
            }
        };
        let mut open = |schema: &schemars::Schema| {
            let mut document = Document::parse(file, text, findings);
            findings.extend(form::check(&mut document, schema.as_value()));
            document
        };
        match Kind::of(file) {
            Some(Kind::Region(stem)) => {
                let document = open(&schemas[0]);
                if let Some(id) = file_name(&document, "region", stem, findings) {
                    let policy = region::read(&document, findings);
                    read.regions.insert(id, (document, policy));
                }
            }
            Some(Kind::Purpose(stem)) => {
                let document = open(&schemas[1]);
                if let Some(id) = file_name(&document, "purpose", stem, findings) {
                    let policy = purpose::read(&document, findings);
                    read.purposes.insert(id, (document, policy));
                }
            }
            Some(Kind::Access) => {
                let document = open(&schemas[2]);
                let grants = access::read(&document, findings);
                read.access = Some((document, grants));
            }
            Some(Kind::Issuers) => {
                let document = open(&schemas[3]);
                let rules = issuers::read(&document, files, findings);
                read.issuers = Some((document, rules));
            }
            Some(Kind::Keys) => {
                read.key_files.insert(file);
                findings.extend(issuers::jwks(file, text));
            }
            None => {
                let sentence = "This is no policy file: a policy folder has `regions/NAME.toml`, `purposes/NAME.toml`, `access.toml`, `issuers.toml` and `issuers/NAME.jwks.json`.";
                findings.push(whole_file(file, sentence.to_owned()));
            }
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
