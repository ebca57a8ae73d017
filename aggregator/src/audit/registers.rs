//! Model pointers and key epochs: what only rises, and what has one value.

use std::collections::{BTreeMap, HashMap};

use policies::{Digest, RegionId, TenantId};

use super::finding::{FindingKind, Findings};
use crate::log::{KeyEpochLogged, ModelLogged};

#[derive(Default)]
struct Models {
    serial: Option<u64>,
    versions: HashMap<u64, Digest>,
}

/// What was pointed at and which keys were used.
#[derive(Default)]
pub(super) struct Registers {
    models: BTreeMap<TenantId, Models>,
    keys: HashMap<(RegionId, String, u32), Digest>,
}

impl Registers {
    pub(super) fn model(&mut self, index: u64, logged: &ModelLogged, findings: &mut Findings) {
        let models = self.models.entry(logged.tenant.clone()).or_default();
        let subject = || format!("{} version {}", logged.tenant, logged.version);
        if models.serial.is_some_and(|serial| serial >= logged.serial) {
            let before = models.serial.unwrap_or_default();
            let sentence = format!("the pointer's serial {} follows {before}", logged.serial);
            findings.add(FindingKind::ModelSerial, index, subject(), sentence);
        }
        models.serial = models.serial.max(Some(logged.serial));
        let digest = *models.versions.entry(logged.version).or_insert(logged.digest);
        if digest != logged.digest {
            let sentence = format!("the version is {}, and was {digest}", logged.digest);
            findings.add(FindingKind::ModelDigest, index, subject(), sentence);
        }
    }

    pub(super) fn key_epoch(&mut self, index: u64, logged: &KeyEpochLogged, findings: &mut Findings) {
        let key = (logged.region.clone(), logged.issuer.clone(), logged.number);
        let statement = *self.keys.entry(key).or_insert(logged.statement);
        if statement != logged.statement {
            // An issuer is any text.
            let issuer = logged.issuer.escape_debug();
            let sentence =
                format!("statement {} of issuer {issuer} is {}, and was {statement}", logged.number, logged.statement);
            findings.add(FindingKind::KeyFork, index, logged.region.to_string(), sentence);
        }
    }
}
