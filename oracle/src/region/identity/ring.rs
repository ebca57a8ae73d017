//! The keys in use: read from the folder, replaced as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use attest::SigningKey;
use attest::key_epoch::{Epoch, EpochLog, KeyKind, KeyUse};
use attest::oblivious::{Gateway, KEYS_MAX as GATEWAY_KEYS_MAX};
use attest::privacy_pass::{IssuerKey, TokenKeyId, TokenType};

use policies::TenantId;

use crate::identity_folder::{FolderError, IdentityFolder, Secret};

/// A token key and when it is used.
pub(crate) struct TokenKey {
    pub(crate) epoch: Epoch,
    pub(crate) key: IssuerKey,
    pub(crate) id: TokenKeyId,
}

/// Every key whose secret half is there and whose time has not run out.
pub(crate) struct KeyRing {
    pub(crate) log: EpochLog,
    /// Oldest first.
    pub(crate) tokens: Vec<Arc<TokenKey>>,
    pub(crate) gateway: Option<Gateway>,
    /// Oldest first.
    pub(crate) credentials: Vec<(Epoch, SigningKey)>,
    numbers: BTreeSet<u32>,
    loaded_s: u64,
}

impl KeyRing {
    /// Opens the keys that `log` says are in use at `now_s`, or will be.
    ///
    /// # Errors
    /// A key file that can't be opened. One that was erased is left out.
    pub(crate) fn load(folder: &IdentityFolder, log: EpochLog, now_s: u64) -> Result<Self, FolderError> {
        let (mut tokens, mut gateways, mut credentials) = (Vec::new(), Vec::new(), Vec::new());
        let numbers = folder.key_numbers(&log, now_s)?;
        for kind in KeyKind::ALL {
            for epoch in log.live(kind, now_s) {
                match folder.secret(epoch)? {
                    Some(Secret::Token(key)) => {
                        let id = key.public().id();
                        tokens.push(Arc::new(TokenKey { epoch: epoch.clone(), key, id }));
                    }
                    Some(Secret::Oblivious(key)) => gateways.push((epoch.begins_s, *key)),
                    Some(Secret::Credential(key)) => credentials.push((epoch.clone(), key)),
                    None => tracing::warn!(epoch = epoch.number, kind = kind.as_str(), "an epoch's key was erased"),
                }
            }
        }
        // The newest that has begun stands first: clients take the first. One that has not begun waits at the end.
        gateways.sort_by_key(|(begins_s, _)| (*begins_s > now_s, std::cmp::Reverse(*begins_s)));
        let mut gateways: Vec<_> = gateways.into_iter().map(|(_, key)| key).collect();
        if gateways.len() > GATEWAY_KEYS_MAX {
            tracing::warn!(
                keys = gateways.len(),
                max = GATEWAY_KEYS_MAX,
                "the oldest keys of oblivious HTTP are left out"
            );
            gateways.truncate(GATEWAY_KEYS_MAX);
        }
        let gateway = Gateway::new(gateways).ok();
        Ok(Self { log, tokens, gateway, credentials, numbers, loaded_s: now_s })
    }

    /// Whether an epoch has begun since this was loaded: then another key may stand first.
    pub(crate) fn is_overtaken(&self, now_s: u64) -> bool {
        self.log.epochs().iter().any(|epoch| self.loaded_s < epoch.begins_s && epoch.begins_s <= now_s)
    }

    /// The numbers of the epochs whose keys are here.
    pub(crate) const fn numbers(&self) -> &BTreeSet<u32> {
        &self.numbers
    }

    /// The key that issues tokens of a type to a tenant's viewers now.
    pub(crate) fn issues(&self, tenant: &TenantId, token_type: TokenType, now_s: u64) -> Option<&Arc<TokenKey>> {
        let of = KeyUse { kind: KeyKind::of_token(token_type), tenant: Some(tenant.clone()) };
        let epoch = self.log.issuing(&of, now_s)?;
        self.tokens.iter().find(|key| key.epoch.number == epoch.number)
    }

    /// The first of these uses for which no key issues now: none was made, or it was erased.
    pub(crate) fn lacks<'a>(&self, uses: &'a [KeyUse], now_s: u64) -> Option<&'a KeyUse> {
        let issues =
            |of: &KeyUse| self.log.issuing(of, now_s).is_some_and(|epoch| self.numbers.contains(&epoch.number));
        uses.iter().find(|of| !issues(of))
    }

    /// The key of this id, if what it issued is accepted now.
    pub(crate) fn accepting(&self, id: &TokenKeyId, now_s: u64) -> Option<&Arc<TokenKey>> {
        self.tokens.iter().find(|key| key.id == *id && key.epoch.accepts(now_s))
    }

    /// The key that signs credentials now, and when it is used.
    pub(crate) fn credential_key(&self, now_s: u64) -> Option<&(Epoch, SigningKey)> {
        let epoch = self.log.issuing(&KeyUse { kind: KeyKind::Credential, tenant: None }, now_s)?;
        self.credentials.iter().find(|(own, _)| own.number == epoch.number)
    }
}
