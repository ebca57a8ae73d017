//! Files of trust anchors.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::{Mistake, findings, samples, with};
use crate::{Anchor, Digest};

const NITRO: &str = "anchors/aws-nitro.pem";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
    let head = match length {
        0..=0x7f => vec![0x30, low],
        0x80..=0xff => vec![0x30, 0x81, low],
        _ => vec![0x30, 0x82, high, low],
    };
    [head, content.to_vec()].concat()
}

fn found(text: &str) -> Vec<String> {
    let mut files = samples();
    files.insert(NITRO.to_owned(), text.as_bytes().to_vec());
    findings(&files).iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_is_said() {
    let good = String::from_utf8(samples()[NITRO].clone()).unwrap();
    let one = |text: &str| {
        let found = found(text);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].strip_prefix("anchors/aws-nitro.pem:").unwrap().to_owned()
    };
    assert_eq!(found(&format!("# Root of AWS\n\n{good}\n")), [""; 0]);
    assert_eq!(found(&good.replace('\n', "\r\n")), [""; 0]);
    let begins = "error: The certificate that begins here";
    let der = |der: &[u8]| one(&pem(der));
    let wrong_length = format!(
        "1:1: {begins} is cut off, too long, or no certificate: its length is not the one that it states (DER)."
    );
    let not_base64 = format!("1:1: {begins} cannot be read: what stands between its lines is not base64.");
    for (text, expected) in [
        (String::new(), "1:1: error: No certificate stands in this file."),
        (
            format!("Root of AWS\n{good}"),
            "1:1: error: Here stands neither a certificate nor a comment: a certificate begins with the line `-----BEGIN CERTIFICATE-----`, and a comment with `#`.",
        ),
        (
            good.replace("-----BEGIN CERT", "----BEGIN CERT"),
            "1:1: error: Here stands neither a certificate nor a comment: a certificate begins with the line `-----BEGIN CERTIFICATE-----`, and a comment with `#`.",
        ),
        (
            good.replace("BEGIN CERTIFICATE", "BEGIN X509 CRL"),
            "1:1: error: Only certificates stand in a file of trust anchors: this begins or ends something else.",
        ),
        (
            good.replace("END CERTIFICATE", "END PUBLIC KEY"),
            "14:1: error: Only certificates stand in a file of trust anchors: this begins or ends something else.",
        ),
        (
            good.replace(END, ""),
            "1:1: error: The certificate that begins here does not end: the line `-----END CERTIFICATE-----` is missing.",
        ),
        (
            format!("{BEGIN}\n{good}"),
            "2:1: error: Only certificates stand in a file of trust anchors: this begins or ends something else.",
        ),
        (good.replacen("\nMII", "\nM I", 1), not_base64.as_str()),
        (good.replacen("\nMII", "\nMI", 1), not_base64.as_str()),
        (format!("{BEGIN}\n{END}\n"), wrong_length.as_str()),
        (format!("{good}{good}"), "15:1: error: The certificate that begins here stands in this file a second time."),
    ] {
        assert_eq!(one(&text), expected, "{text}");
    }
    assert_eq!(der(&[0x30, 0x80, 0, 0]), wrong_length);
    assert_eq!(der(&[0x30, 0x81, 1, 0]), wrong_length);
    assert_eq!(der(&[0x30, 0x82, 0, 1, 0]), wrong_length);
    assert_eq!(der(&[0x30, 0x82, 1]), wrong_length);
    assert_eq!(der(&[0x30]), wrong_length);
    assert_eq!(der(&[0x30, 0]), wrong_length);
    assert_eq!(der(&[0x31, 1, 0]), wrong_length);
    assert_eq!(der(&[sequence(&[5, 0]), vec![0]].concat()), wrong_length);
    assert_eq!(der(&sequence(&vec![0; 16 * 1024])), format!("1:1: {begins} is larger than 16384 bytes."));
    let several = |count: u8| -> String { (0..count).map(|number| pem(&sequence(&[number]))).collect() };
    assert_eq!(found(&several(16)), [""; 0]);
    assert_eq!(one(&several(17)), "49:1: error: A file of trust anchors has 16 certificates at most.");
}

#[test]
fn a_private_key_is_refused_wherever_it_stands() {
    let key = |label: &str| format!("\n-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let loud = "error: A PRIVATE KEY STANDS IN THIS FILE. Policies are read by many, and none of them needs it: remove it, and use it no more, for whoever has seen this file knows it.";
    for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        let mut files = samples();
        files.get_mut(NITRO).unwrap().extend(key(label).into_bytes());
        let found: Vec<String> = findings(&files).iter().map(ToString::to_string).collect();
        assert_eq!(found, [format!("anchors/aws-nitro.pem:16:1: {loud}")], "{label}");
    }
    for file in ["regions/eu-west.toml", "anchors/amd.key", "issuers/key.txt"] {
        let mut files = samples();
        files.entry(file.to_owned()).or_default().extend(key("PRIVATE KEY").into_bytes());
        let found: Vec<String> = findings(&files).iter().map(ToString::to_string).collect();
        assert_eq!(found.iter().filter(|finding| finding.contains(loud)).count(), 1, "{found:?}");
    }
}

#[test]
fn anchors_are_named() {
    let mut files = samples();
    files.insert("anchors/mine.pem".to_owned(), files[NITRO].clone());
    files.insert("anchors/Mine.pem".to_owned(), files[NITRO].clone());
    let found: Vec<String> = findings(&files).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "anchors/Mine.pem:1:1: error: This is no policy file: a policy folder has `regions/NAME.toml`, `purposes/NAME.toml`, `access.toml`, `issuers.toml`, `issuers/NAME.jwks.json`, `attestation.toml`, `anchors/NAME.pem` and `content.toml`.",
            "anchors/mine.pem:1:1: error: Neither a profile in `attestation.toml` nor `content.toml` names this file of certificates: name it there in `anchors`, or remove it.",
        ]
    );
    let named: Mistake = ("content.toml", "anchors = []", "anchors = [\"anchors/mine.pem\"]");
    let mut files: BTreeMap<_, _> = with(&[named]);
    files.insert("anchors/mine.pem".to_owned(), files[NITRO].clone());
    assert_eq!(findings(&files), []);
}

proptest! {
    /// Whatever stands in certificates of the right form, they are read, and named by their digests.
    #[test]
    fn fingerprints_are_of_the_bytes(contents in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 1..300), 1..8)) {
        let certificates: Vec<Vec<u8>> = contents.iter().map(|content| sequence(content)).collect();
        let text: String = certificates.iter().map(|der| pem(der)).collect();
        prop_assert_eq!(found(&text), [""; 0]);
        let anchor = Anchor { path: NITRO.to_owned(), pem: text.into_bytes() };
        prop_assert_eq!(anchor.fingerprints(), certificates.iter().map(|der| Digest::of(der)).collect::<Vec<_>>());
    }

    /// A certificate without its last bytes, or with more of them, is none.
    #[test]
    fn cut_certificates_are_refused(cut in 1..400_usize, more in prop::collection::vec(any::<u8>(), 1..20)) {
        let der = sequence(&[5; 400]);
        prop_assert_eq!(found(&pem(&der[..der.len() - cut])).len(), 1);
        prop_assert_eq!(found(&pem(&[der, more].concat())).len(), 1);
    }
}
