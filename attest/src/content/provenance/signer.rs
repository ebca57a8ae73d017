//! Who signed, when, and whether an anchor of the policy vouches for it.

use c2pa::SignatureInfo;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use webpki::{ALL_VERIFICATION_ALGS, KeyUsage};
use x509_cert::Certificate;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Any, DateTime, Decode as _, Tag, Tagged as _};
use x509_cert::name::Name;

use super::text;
use crate::evidence::chain::{Anchors, ChainError, INTERMEDIATES_MAX};

/// Extended key usages of which a signer's certificate has one (C2PA §14.5.1), as DER content: email protection,
/// document signing, and those of C2PA and of Microsoft for content.
const USAGES: [&[u8]; 4] = [
    &[0x2b, 6, 1, 5, 5, 7, 3, 4],
    &[0x2b, 6, 1, 5, 5, 7, 3, 36],
    &[0x2b, 6, 1, 4, 1, 0x83, 0xe8, 0x5e, 2, 1],
    &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 76, 59, 1, 9],
];

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The certificate's subject: its common name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// Its organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// Who issued the certificate: the common name, or the organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The signature's algorithm, as C2PA names it, such as `es256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// When it was signed, if a time stamp says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<SignedAt>,
    /// Whether an anchor of the policy vouches for it. Only then do the names mean anything.
    pub trusted: bool,
}

/// What a time stamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedAt {
    /// Unix seconds.
    pub seconds: u64,
    /// Whether an anchor of the policy vouches for who made it.
    pub trusted: bool,
}

/// The signer as the certificates name it. `trusted` is yet to be found out.
pub(super) fn signer(info: &SignatureInfo, time_trusted: bool) -> Signer {
    let issuer = certificates(info).first().and_then(|leaf| {
        let leaf = Certificate::from_der(leaf).ok()?;
        name_text(leaf.tbs_certificate().issuer())
    });
    Signer {
        common_name: info.common_name.as_deref().and_then(text::bounded),
        organisation: info.issuer.as_deref().and_then(text::bounded),
        issuer,
        algorithm: info.alg.map(|algorithm| algorithm.to_string()),
        signed_at: info.time.as_deref().and_then(seconds).map(|seconds| SignedAt { seconds, trusted: time_trusted }),
        trusted: false,
    }
}

/// Verifies that the chain leads to an anchor (RFC 5280 §6): at the time of a trusted time stamp, else now.
pub(super) fn verify(
    info: &SignatureInfo,
    signed_at: Option<SignedAt>,
    anchors: &Anchors,
    now_ms: u64,
) -> Result<(), ChainError> {
    let chain = certificates(info);
    let (leaf, rest) = chain.split_first().ok_or(ChainError::Malformed)?;
    // An anchor may stand at the chain's end: it is at hand already.
    let rest: Vec<CertificateDer<'_>> =
        rest.iter().filter(|certificate| !anchors.certificates().contains(certificate)).cloned().collect();
    let at_ms = signed_at.filter(|at| at.trusted).map_or(now_ms, |at| at.seconds.saturating_mul(1000));
    let mut refused = ChainError::Usage;
    for usage in USAGES {
        match anchors.verify(leaf, &rest, KeyUsage::required(usage), ALL_VERIFICATION_ALGS, at_ms) {
            Ok(()) => return Ok(()),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn certificates(info: &SignatureInfo) -> Vec<CertificateDer<'static>> {
    let pem = CertificateDer::pem_slice_iter(info.cert_chain().as_bytes());
    // One more than may be, so that a longer chain is refused and not cut.
    pem.filter_map(Result::ok).take(INTERMEDIATES_MAX + 3).collect()
}

/// A name's common name, or its organisation.
fn name_text(name: &Name) -> Option<String> {
    const COMMON_NAME: &str = "2.5.4.3";
    const ORGANISATION: &str = "2.5.4.10";
    let of = |oid: &str| {
        let mut found = name.iter().filter(|attribute| attribute.oid.to_string() == oid);
        found.next().and_then(|attribute| string(&attribute.value))
    };
    of(COMMON_NAME).or_else(|| of(ORGANISATION))
}

fn string(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => text::bounded(value.decode_as::<Utf8StringRef<'_>>().ok()?.as_str()),
        Tag::PrintableString => text::bounded(value.decode_as::<PrintableStringRef<'_>>().ok()?.as_str()),
        _ => None,
    }
}

/// Unix seconds of a time in UTC by RFC 3339.
fn seconds(time: &str) -> Option<u64> {
    let time = time.strip_suffix("+00:00").or_else(|| time.strip_suffix('Z'))?;
    let whole = time.split_once('.').map_or(time, |(whole, _)| whole);
    let time: DateTime = format!("{whole}Z").parse().ok()?;
    Some(time.unix_duration().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(seconds("2023-11-14T22:13:20+00:00"), Some(1_700_000_000));
        assert_eq!(seconds("2023-11-14T22:13:20.999Z"), Some(1_700_000_000));
        for other in ["", "2023-11-14", "2023-11-14T22:13:20+01:00", "2023-13-14T22:13:20Z", "1969-12-31T23:59:59Z"] {
            assert_eq!(seconds(other), None, "{other}");
        }
    }
}
