//! Nitro documents from the Nitro Security Module, which an enclave's kernel shows as a device.

use std::path::Path;

use attest::evidence::nitro::{DOCUMENT_BYTES_MAX, NitroEvidence};
use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use aws_nitro_enclaves_nsm_api::driver::{nsm_exit, nsm_init, nsm_process_request};

/// The module's device.
const DEVICE: &str = "/dev/nsm";

/// Why the module gave no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NsmError {
    /// The device is not there, or may not be opened.
    #[error("the Nitro Security Module cannot be opened")]
    Device,
    /// It refused, or answered something else.
    #[error("the Nitro Security Module gave no document")]
    Refused,
    /// A document longer than any.
    #[error("the Nitro Security Module's document is too long")]
    TooLong,
}

/// Whether the process runs in an enclave.
#[must_use]
pub fn is_present() -> bool {
    Path::new(DEVICE).exists()
}

/// Asks for a document over 64 bytes. It blocks for as long as the module takes.
///
/// # Errors
/// The device, or its answer.
pub fn document(bound: &[u8; 64]) -> Result<NitroEvidence, NsmError> {
    let device = nsm_init();
    if device < 0 {
        return Err(NsmError::Device);
    }
    let user_data = Some(bound.to_vec().into());
    let response = nsm_process_request(device, Request::Attestation { user_data, nonce: None, public_key: None });
    nsm_exit(device);
    evidence(response)
}

fn evidence(response: Response) -> Result<NitroEvidence, NsmError> {
    match response {
        Response::Attestation { document } if document.len() > DOCUMENT_BYTES_MAX => Err(NsmError::TooLong),
        Response::Attestation { document } => Ok(NitroEvidence { document: document.into() }),
        _ => Err(NsmError::Refused),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use aws_nitro_enclaves_nsm_api::api::ErrorCode;

    #[test]
    fn only_a_document_is_evidence() {
        let made = evidence(Response::Attestation { document: b"document".to_vec() }).unwrap();
        assert_eq!(made.document.0, b"document");
        let long = Response::Attestation { document: vec![0; DOCUMENT_BYTES_MAX + 1] };
        assert_eq!(evidence(long), Err(NsmError::TooLong));
        assert_eq!(evidence(Response::Error(ErrorCode::InvalidOperation)), Err(NsmError::Refused));
        assert_eq!(evidence(Response::LockPCR), Err(NsmError::Refused));
    }

    #[test]
    fn a_real_module_answers() {
        if !is_present() {
            assert_eq!(document(&[7; 64]), Err(NsmError::Device));
            writeln!(std::io::stderr(), "SKIPPED: a_real_module_answers: {DEVICE}").unwrap();
            return;
        }
        let made = document(&[7; 64]).unwrap();
        assert!(made.document.windows(64).any(|window| window == [7; 64]), "the document carries what was given");
    }
}
