//! What the library's words mean. It has no type for its errors, and its words may quote a peer's, so that only what they
//! begin with is looked at and nothing of them is kept.

use std::error::Error;

use super::DcapError;
use crate::evidence::chain::ChainError;

/// By what a cause begins with. The first match counts, from the innermost cause to the outermost.
const MEANINGS: &[(&str, DcapError)] = &[
    // The innermost causes: names of webpki's errors.
    ("CertExpired", DcapError::Chain(ChainError::Expired)),
    ("CertNotValidYet", DcapError::Chain(ChainError::NotYetValid)),
    ("CertRevoked", DcapError::Chain(ChainError::Revoked)),
    ("UnknownIssuer", DcapError::Chain(ChainError::UnknownIssuer)),
    ("InvalidSignatureForPublicKey", DcapError::Chain(ChainError::Signature)),
    ("CrlExpired", DcapError::RevocationListExpired),
    ("InvalidCrl", DcapError::RevocationList),
    ("UnknownRevocationStatus", DcapError::RevocationList),
    // The library's own.
    ("TCBInfo expired", DcapError::CollateralExpired),
    ("QE Identity expired", DcapError::CollateralExpired),
    ("TCBInfo issue date is in the future", DcapError::CollateralNotYetValid),
    ("QE Identity issue date is in the future", DcapError::CollateralNotYetValid),
    ("Signature is invalid for tcb_info", DcapError::CollateralSignature),
    ("Signature is invalid for qe_identity", DcapError::CollateralSignature),
    ("Signature is invalid for qe_report", DcapError::Signature),
    ("QE report hash mismatch", DcapError::Signature),
    ("ISV enclave report signature is invalid", DcapError::Signature),
    ("QE MRSIGNER mismatch", DcapError::QuotingEnclave),
    ("QE ISVPRODID mismatch", DcapError::QuotingEnclave),
    ("QE ISVSVN", DcapError::QuotingEnclave),
    ("QE MISCSELECT mismatch", DcapError::QuotingEnclave),
    ("QE ATTRIBUTES mismatch", DcapError::QuotingEnclave),
    ("QE report validation failed", DcapError::QuotingEnclave),
    ("TDX module MRSIGNER mismatch", DcapError::Module),
    ("TDX module SEAMATTRIBUTES", DcapError::Module),
    ("TDX module identity check", DcapError::Module),
    ("TDX module TCB level check", DcapError::Platform),
    ("Fmspc mismatch", DcapError::Platform),
    ("No matching TCB level found", DcapError::Platform),
    ("TCB status is invalid: Revoked", DcapError::Revoked),
    ("Reserved bits in TD attributes", DcapError::Attributes),
    ("TD migration is enabled", DcapError::Attributes),
    ("SERVTD_EXT is enabled", DcapError::Attributes),
    ("SEPT_VE_DISABLE is not enabled", DcapError::Attributes),
    ("Invalid MR service TD", DcapError::Attributes),
    // The outermost, where nothing within is known.
    ("Failed to parse root CA CRL", DcapError::RevocationList),
    ("Failed to parse PCK CRL", DcapError::RevocationList),
    ("Failed to verify certificate chain", DcapError::Chain(ChainError::Usage)),
    ("Unsupported DCAP", DcapError::Quote),
    ("Unknown QE vendor", DcapError::Quote),
    ("Invalid QE auth data length", DcapError::Quote),
];

/// The meaning of a chain of causes, from the outermost. What is not known is collateral that was not understood.
pub(super) fn of<'a>(causes: impl Iterator<Item = &'a (dyn Error + 'static)>) -> DcapError {
    let mut words: Vec<String> = causes.map(ToString::to_string).collect();
    words.reverse();
    let meaning = |words: &String| MEANINGS.iter().find(|(start, _)| words.starts_with(start)).map(|(_, error)| *error);
    words.iter().find_map(meaning).unwrap_or(DcapError::Collateral)
}
