//! Bodies of the fuzz targets of quotes and logs.

use policies::Digest;

use super::quote::Quote;
use super::{AttestationKey, TpmEvidence, boot_log, ima};
use crate::evidence::chain::Anchors;

/// Body of the fuzz target `tpm_quote`: any bytes as each structure of a quote, and any JSON as evidence.
pub fn quote(data: &[u8]) {
    drop(Quote::parse(data));
    if let Ok(key) = AttestationKey::parse(data) {
        assert!(key.verifies(data, data).is_err(), "a key signs nothing by being read");
    }
    if let Ok(evidence) = serde_json::from_slice::<TpmEvidence>(data) {
        drop(super::verify(&evidence, &Anchors::from_der(Vec::new()), &[], 0));
    }
}

/// Body of the fuzz target `tpm_logs`: any bytes as the firmware's and as the kernel's log.
///
/// # Panics
/// When a part of a log that was cut out for a register's value does not replay to it.
pub fn logs(data: &[u8]) {
    drop(boot_log::replay(data));
    let (value, log) = data.split_first_chunk::<32>().map_or(([0; 32], data), |(value, log)| (*value, log));
    let value = Digest::from_bytes(value);
    drop(ima::replay(log, value));
    if let Ok(part) = super::ima_log_until(log, value)
        && part.len() <= super::IMA_LOG_BYTES_MAX
    {
        assert!(ima::replay(part, value).is_ok(), "a part leads to the value that it was cut out for");
    }
}
