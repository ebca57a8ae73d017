//! Reads the issuers of credentials, and looks into the files with their keys.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::document::{At, Document, Section};
use super::{Read, distinct, whole_file};
use crate::ids::is_label;
use crate::{Check, Finding, IssuerKeys, IssuerName, IssuerRule, Severity, StatusRule};

/// Bytes of an issuer's name, and of an address of keys, at most.
const URL_BYTES_MAX: usize = 256;
/// Members of a JWK that only a private or a symmetric key has (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
const SECRET_MEMBERS: [&str; 2] = ["d", "k"];

/// The name within `issuers/NAME.jwks.json`, if the path has that form.
pub(super) fn key_file_name(path: &str) -> Option<&str> {
    path.strip_prefix("issuers/")?.strip_suffix(".jwks.json").filter(|name| is_label(name))
}

/// An issuer that cannot be read keeps its place in the list.
pub(super) fn read(
    document: &Document<'_>,
    files: &BTreeMap<String, Vec<u8>>,
    findings: &mut Vec<Finding>,
) -> Vec<Option<IssuerRule>> {
    let sections = document.root().sections("issuers");
    once(document, &sections, findings);
    sections.iter().map(|section| issuer(section, files, findings)).collect()
}

/// Two rules for one issuer would contradict each other; two issuers with one file of keys could speak for each other.
fn once(document: &Document<'_>, sections: &[Section<'_>], findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for section in sections {
        if let Some(own) = section.flag("own").filter(|own| own.value)
            && !seen.insert(("own", ""))
        {
            let sentence =
                "The node's own credentials stand here a second time: write all that is said of them in one place.";
            findings.push(document.error(&own.place, sentence.to_owned()));
        }
        if let Some(written) = section.text("issuer")
            && !seen.insert(("issuer", written.value))
        {
            let sentence = format!(
                "The issuer `{}` stands here a second time: write all that is said of it in one place.",
                written.value
            );
            findings.push(document.error(&written.place, sentence));
        }
        if let Some(written) = section.text("keys_file")
            && !seen.insert(("keys_file", written.value))
        {
            let sentence = format!(
                "The keys of `{}` are already those of another issuer: each could sign what the other attests. Give every issuer a file of its own.",
                written.value
            );
            findings.push(document.error(&written.place, sentence));
        }
    }
}

fn issuer(section: &Section<'_>, files: &BTreeMap<String, Vec<u8>>, findings: &mut Vec<Finding>) -> Option<IssuerRule> {
    let own = section.flag("own").is_some_and(|own| own.value);
    let source = match (section.sound("own"), own) {
        (false, _) => None,
        (true, true) => own_source(section, findings),
        (true, false) => foreign_source(section, files, findings),
    };
    let types = types(section, findings);
    let checks = checks(section, findings);
    let status = status(section, own, findings);
    let (issuer, keys) = source?;
    Some(IssuerRule { issuer, keys, types: types?, checks: checks?, status: status? })
}

fn own_source(section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<(IssuerName, IssuerKeys)> {
    let mut superfluous = ["issuer", "keys_file", "jwks_url"].into_iter().filter(|key| section.has(key)).peekable();
    let fits = superfluous.peek().is_none();
    for key in superfluous {
        let sentence = format!(
            "These are the node's own credentials (`own = true`), whose name and keys the node knows: remove `{key}`, or `own`."
        );
        findings.push(section.document().error(&section.place_of(key), sentence));
    }
    fits.then_some((IssuerName::Own, IssuerKeys::Own))
}

fn foreign_source(
    section: &Section<'_>,
    files: &BTreeMap<String, Vec<u8>>,
    findings: &mut Vec<Finding>,
) -> Option<(IssuerName, IssuerKeys)> {
    if !section.has("issuer") {
        let sentence = "`issuer` is missing in `[issuers]`. Write the https address that its credentials name as their issuer, or `own = true` for the node's own credentials.";
        findings.push(section.document().error(&section.place, sentence.to_owned()));
    }
    let name = section.text("issuer").and_then(|written| {
        let sentence = format!(
            "An issuer's name is an https address without a query, of {URL_BYTES_MAX} bytes at most, letter for letter as its credentials state it: `{}` is none.",
            written.value
        );
        https(section, &written, false, sentence, findings)
    });
    let keys = keys(section, files, findings);
    Some((IssuerName::Url(name?), keys?))
}

fn keys(section: &Section<'_>, files: &BTreeMap<String, Vec<u8>>, findings: &mut Vec<Finding>) -> Option<IssuerKeys> {
    let document = section.document();
    match (section.has("keys_file"), section.has("jwks_url")) {
        (true, true) => {
            let sentence = "The issuer's keys stand in a file (`keys_file`) and at an address (`jwks_url`), and both could differ: remove one of them.";
            findings.push(document.error(&section.place_of("jwks_url"), sentence.to_owned()));
            None
        }
        (false, false) => {
            let sentence = "Nothing says what keys this issuer signs with: write `keys_file` (a file of this folder) or `jwks_url` (an https address).";
            findings.push(document.error(&section.place, sentence.to_owned()));
            None
        }
        (true, false) => key_file(section, files, findings),
        (false, true) => {
            let written = section.text("jwks_url")?;
            let sentence = format!(
                "Keys are fetched from an https address of {URL_BYTES_MAX} bytes at most: `{}` is none.",
                written.value
            );
            https(section, &written, true, sentence, findings).map(IssuerKeys::Url)
        }
    }
}

fn key_file(
    section: &Section<'_>,
    files: &BTreeMap<String, Vec<u8>>,
    findings: &mut Vec<Finding>,
) -> Option<IssuerKeys> {
    let written = section.text("keys_file")?;
    let path = written.value;
    let sentence = match (key_file_name(path), files.get(path)) {
        (Some(_), Some(jwks)) => return Some(IssuerKeys::File { path: path.to_owned(), jwks: jwks.clone() }),
        (Some(_), None) => format!("The issuer's keys should stand in `{path}`, but there is no such file."),
        (None, _) => format!(
            "A file of keys is `issuers/NAME.jwks.json` in this folder, where NAME is 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends: `{path}` is none."
        ),
    };
    findings.push(section.document().error(&written.place, sentence));
    None
}

fn https(
    section: &Section<'_>,
    written: &At<&str>,
    query: bool,
    sentence: String,
    findings: &mut Vec<Finding>,
) -> Option<String> {
    if is_https(written.value, query) {
        return Some(written.value.to_owned());
    }
    findings.push(section.document().error(&written.place, sentence));
    None
}

/// Whether the text is an https URL (RFC 3986) with the name of a host, without user and fragment.
pub(super) fn is_https(text: &str, query: bool) -> bool {
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let label = |label: &str| is_label(&label.to_ascii_lowercase());
    let port_fits = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    text.len() <= URL_BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&b))
        && host.split('.').all(label)
        && port.is_none_or(port_fits)
        && (query || !rest.contains('?'))
}

/// Types are compared byte by byte, so that none may look like another: printable ASCII alone.
fn types(section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<BTreeSet<String>> {
    for written in section.texts("types").into_iter().flatten() {
        if !written.value.bytes().all(|b| b.is_ascii_graphic()) {
            let sentence = format!(
                "The type `{}` is none that can be compared: a type has only the letters, digits and signs of ASCII, and no space.",
                written.value.escape_debug()
            );
            findings.push(section.document().error(&written.place, sentence));
        }
    }
    distinct(section, "types", findings).map(BTreeSet::from_iter)
}

fn checks(section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<BTreeSet<Check>> {
    for written in section.texts("checks").into_iter().flatten() {
        if written.value == Check::Account.as_str() {
            let sentence = "No issuer attests `account`: only the node itself knows who has an account. Remove it.";
            findings.push(section.document().error(&written.place, sentence.to_owned()));
        }
    }
    // One that cannot be read may be the one that is asked for.
    distinct(section, "checks", findings).filter(|_| section.sound("checks")).map(BTreeSet::from_iter)
}

fn status(section: &Section<'_>, own: bool, findings: &mut Vec<Finding>) -> Option<StatusRule> {
    let written = section.text("status")?;
    let status = StatusRule::ALL.into_iter().find(|status| status.as_str() == written.value)?;
    if own && status == StatusRule::Required {
        let sentence = "The node's own credentials need not refer to a list of revoked ones: `status` must be `if-present` for them.";
        findings.push(section.document().error(&written.place, sentence.to_owned()));
    }
    Some(status)
}

/// A file of keys is a JWK set (RFC 7517, section 5) with public keys. Whether a key is usable is not seen here.
pub(super) fn jwks(file: &str, text: &str) -> Option<Finding> {
    let sentence = match serde_json::from_str::<Value>(text) {
        Err(error) => {
            let line = error.line().max(1);
            let before = text.lines().nth(line - 1).and_then(|text| text.get(..error.column().saturating_sub(1)));
            return Some(Finding {
                file: file.to_owned(),
                line,
                column: before.map_or(1, |before| before.chars().count() + 1),
                severity: Severity::Error,
                sentence: "The file cannot be read as JSON here.".to_owned(),
            });
        }
        Ok(set) => match set.get("keys").and_then(Value::as_array) {
            None => "The file is no set of keys: it must be a JSON object with a list `keys` (JWK set, RFC 7517).",
            Some(keys) if keys.iter().any(|key| SECRET_MEMBERS.iter().any(|member| key.get(member).is_some())) => {
                "The file holds a private key, and only public ones belong here: remove it, and use it no more, for whoever has seen this file knows it."
            }
            Some(_) => return None,
        },
    };
    Some(whole_file(file, sentence.to_owned()))
}

/// Every file of keys is one that an issuer names: another would be trusted by nobody, and look as if it were.
pub(super) fn unnamed_key_files(read: &Read<'_>, findings: &mut Vec<Finding>) {
    let sections = read.issuers.as_ref().map(|(document, _)| document.root().sections("issuers")).unwrap_or_default();
    if !sections.iter().all(|section| section.sound("keys_file")) {
        return;
    }
    let named: BTreeSet<_> = sections.iter().filter_map(|section| section.text("keys_file")).map(|w| w.value).collect();
    for file in read.key_files.difference(&named) {
        let sentence =
            "No issuer in `issuers.toml` names this file of keys: name it there as `keys_file`, or remove it.";
        findings.push(whole_file(file, sentence.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_with_a_host() {
        for good in ["https://a", "https://Id.example:8443/tenant/1?p=2", "https://a.example/%C3%A4"] {
            assert!(is_https(good, true), "{good}");
            assert_eq!(is_https(good, false), !good.contains('?'), "{good}");
        }
        let long = format!("https://a/{}", "b".repeat(URL_BYTES_MAX - 10));
        assert!(is_https(&long, false) && !is_https(&format!("{long}b"), false));
        for bad in [
            "",
            "https://",
            "https:///a",
            "http://a",
            "HTTPS://a",
            "https://a..b",
            "https://a.",
            "https://u@a",
            "https://a:",
            "https://a:+1",
            "https://a:65536",
            "https://a/#b",
            "https://a/ b",
            "https://ä.example",
            "https://a/ä",
            "https://a\\b",
        ] {
            assert!(!is_https(bad, true), "{bad}");
        }
    }

    #[test]
    fn places_in_key_files_are_lines_and_characters() {
        let place = |text: &str| jwks("f", text).map(|finding| (finding.line, finding.column));
        assert_eq!(place("{\n\"ä\" x"), Some((2, 5)));
        assert_eq!(place(""), Some((1, 1)));
        assert_eq!(place("{\"keys\":[]}"), None);
    }
}
