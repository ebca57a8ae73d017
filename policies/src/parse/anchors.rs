//! Files of trust anchors: certificates as PEM text (RFC 7468).
//!
//! What is checked here is the form: labels, base64, and the head of each DER value. Whether a certificate can be used is
//! for the reader of the policy to see, who knows X.509.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::document::Section;
use super::{Read, distinct, whole_file};
use crate::ids::is_label;
use crate::rules::EvidenceKind;
use crate::{Anchor, Digest, Finding, Severity};

/// Certificates of one file at most.
const CERTIFICATES_MAX: usize = 16;
/// Bytes of one certificate at most.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// What ends the label of every form of private key (RFC 7468, sections 10 and 11; RFC 5958).
const PRIVATE_KEY: &str = "PRIVATE KEY-----";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What is wrong in a file of anchors, and in which line, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Text(usize),
    Label(usize),
    Unended(usize),
    Base64(usize),
    Der(usize),
    Large(usize),
    Twice(usize),
    TooMany(usize),
    Empty,
}

/// The name within `anchors/NAME.pem`, if the path has that form.
pub(super) fn file_name(path: &str) -> Option<&str> {
    path.strip_prefix("anchors/")?.strip_suffix(".pem").filter(|name| is_label(name))
}

/// The anchors that a list names, if all of them are files of this folder.
pub(super) fn read(
    section: &Section<'_>,
    key: &str,
    files: &BTreeMap<String, Vec<u8>>,
    findings: &mut Vec<Finding>,
) -> Option<Vec<Anchor>> {
    let paths: Vec<String> = distinct(section, key, findings)?;
    let mut sound = section.sound(key);
    for written in section.texts(key).into_iter().flatten() {
        let path = written.value;
        let sentence = match (file_name(path), files.contains_key(path)) {
            (Some(_), true) => continue,
            (Some(_), false) => format!("The certificates should stand in `{path}`, but there is no such file."),
            (None, _) => format!(
                "A file of certificates is `anchors/NAME.pem` in this folder, where NAME is 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends: `{}` is none.",
                path.escape_debug()
            ),
        };
        findings.push(section.document().error(&written.place, sentence));
        sound = false;
    }
    let anchor = |path: String| Some(Anchor { pem: files.get(&path)?.clone(), path });
    sound.then(|| paths.into_iter().filter_map(anchor).collect())
}

/// Looks for a private key in any file: whoever has seen the folder has seen the key.
pub(super) fn private_key(file: &str, text: &str) -> Option<Finding> {
    let before = text.split_once(PRIVATE_KEY)?.0;
    let sentence = "A PRIVATE KEY STANDS IN THIS FILE. Policies are read by many, and none of them needs it: remove it, and use it no more, for whoever has seen this file knows it.";
    Some(at_line(file, before.matches('\n').count() + 1, sentence.to_owned()))
}

/// Checks the form of a file of anchors.
pub(super) fn check(file: &str, text: &str) -> Option<Finding> {
    let (line, sentence) = match certificates(text).err()? {
        Wrong::Text(line) => (line, "Here stands neither a certificate nor a comment: a certificate begins with the line `-----BEGIN CERTIFICATE-----`, and a comment with `#`.".to_owned()),
        Wrong::Label(line) => (line, "Only certificates stand in a file of trust anchors: this begins or ends something else.".to_owned()),
        Wrong::Unended(line) => (line, "The certificate that begins here does not end: the line `-----END CERTIFICATE-----` is missing.".to_owned()),
        Wrong::Base64(line) => (line, "The certificate that begins here cannot be read: what stands between its lines is not base64.".to_owned()),
        Wrong::Der(line) => (line, "The certificate that begins here is cut off, too long, or no certificate: its length is not the one that it states (DER).".to_owned()),
        Wrong::Large(line) => (line, format!("The certificate that begins here is larger than {CERTIFICATE_BYTES_MAX} bytes.")),
        Wrong::Twice(line) => (line, "The certificate that begins here stands in this file a second time.".to_owned()),
        Wrong::TooMany(line) => (line, format!("A file of trust anchors has {CERTIFICATES_MAX} certificates at most.")),
        Wrong::Empty => (1, "No certificate stands in this file.".to_owned()),
    };
    Some(at_line(file, line, sentence))
}

fn at_line(file: &str, line: usize, sentence: String) -> Finding {
    Finding { file: file.to_owned(), line, column: 1, severity: Severity::Error, sentence }
}

/// SHA-256 of every certificate of a file that was checked: what manufacturers publish as its fingerprint.
pub(crate) fn fingerprints(pem: &[u8]) -> Vec<Digest> {
    let certificates = std::str::from_utf8(pem).ok().and_then(|text| certificates(text).ok()).unwrap_or_default();
    certificates.iter().map(|certificate| Digest::of(certificate)).collect()
}

fn certificates(text: &str) -> Result<Vec<Vec<u8>>, Wrong> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, begin)) = lines.next() {
        match line {
            BEGIN if found.len() == CERTIFICATES_MAX => return Err(Wrong::TooMany(begin)),
            BEGIN => {}
            _ if line.trim().is_empty() || line.starts_with('#') => continue,
            _ if line.starts_with("-----") => return Err(Wrong::Label(begin)),
            _ => return Err(Wrong::Text(begin)),
        }
        let mut body = String::new();
        loop {
            match lines.next() {
                None => return Err(Wrong::Unended(begin)),
                Some((END, _)) => break,
                Some((line, at)) if line.starts_with("-----") => return Err(Wrong::Label(at)),
                Some((line, _)) => body.push_str(line),
            }
        }
        let der = STANDARD.decode(&body).map_err(|_| Wrong::Base64(begin))?;
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(Wrong::Large(begin));
        }
        if content_bytes(&der).is_none() {
            return Err(Wrong::Der(begin));
        }
        if found.contains(&der) {
            return Err(Wrong::Twice(begin));
        }
        found.push(der);
    }
    if found.is_empty() { Err(Wrong::Empty) } else { Ok(found) }
}

/// The content of one SEQUENCE that fills the value, if its length is written as DER wants it (X.690, section 10.1).
fn content_bytes(der: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    let (&[tag, first], rest) = der.split_first_chunk()?;
    let (length, content) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => {
            let (&[high, low], content) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes([high, low])), content)
        }
        _ => return None,
    };
    let shortest = match first {
        0..=0x7f => true,
        0x81 => length >= 0x80,
        _ => length >= 0x100,
    };
    (tag == SEQUENCE && shortest && content.len() == length && length > 0).then_some(content)
}

/// Every file of anchors is one that somebody names: another would be trusted by nobody, and look as if it were.
pub(super) fn unnamed_files(read: &Read<'_>, findings: &mut Vec<Finding>) {
    let complete = read.attestation.as_ref().is_none_or(|(_, profiles)| profiles.is_complete())
        && read.content.as_ref().is_none_or(|(document, _)| document.root().section("provenance").is_some());
    if !complete {
        return;
    }
    let profiles = read.attestation.iter().flat_map(|(document, _)| {
        EvidenceKind::ALL.into_iter().flat_map(|kind| document.root().sections(kind.as_str()))
    });
    let content = read.content.iter().filter_map(|(document, _)| document.root().section("provenance"));
    let sections: Vec<Section<'_>> = profiles.chain(content).collect();
    if !sections.iter().all(|section| section.sound("anchors")) {
        return;
    }
    let named: BTreeSet<&str> =
        sections.iter().flat_map(|section| section.texts("anchors").into_iter().flatten()).map(|w| w.value).collect();
    for file in read.anchor_files.difference(&named) {
        let sentence = "Neither a profile in `attestation.toml` nor `content.toml` names this file of certificates: name it there in `anchors`, or remove it.";
        findings.push(whole_file(file, sentence.to_owned()));
    }
}
