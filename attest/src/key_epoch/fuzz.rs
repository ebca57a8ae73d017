//! Body of the fuzz target of logs of key epochs.

use super::{Epoch, EpochLog, KeyKind};
use crate::jws::fuzz::fixed_key;
use crate::jws::{self, Typ};

const ISSUER: &str = "https://siwa.example";

/// Body of the fuzz target `key_epoch_log`: any text as a log, and any JSON, line by line, as statements that were
/// signed.
///
/// # Panics
/// When a log that was accepted does not come back from its texts, or issues with a key that has not begun or has ended.
pub fn log(data: &[u8]) {
    let key = fixed_key();
    let Ok(text) = std::str::from_utf8(data) else { return };
    let signed = |line: &str| {
        let epoch: Epoch = serde_json::from_str(line).ok()?;
        jws::sign(Typ::KeyEpoch, &epoch, &key).ok()
    };
    let signed: Vec<String> = text.lines().filter_map(signed).collect();
    for text in [text, &signed.join("\n")] {
        let Ok(log) = EpochLog::verify(text, ISSUER, &key.verifying_key()) else { continue };
        let again = EpochLog::verify(&log.texts().join("\n"), ISSUER, &key.verifying_key());
        assert_eq!(again.as_ref(), Ok(&log), "a log is its texts");
        for epoch in log.epochs() {
            let now_s = epoch.begins_s;
            let issuing = log.issuing(&epoch.key_use(), now_s);
            assert!(issuing.is_none_or(|key| key.begins_s <= now_s && now_s < key.issues_until_s));
        }
        assert!(KeyKind::ALL.iter().map(|kind| log.live(*kind, 0).count()).sum::<usize>() == log.epochs().len());
    }
}
