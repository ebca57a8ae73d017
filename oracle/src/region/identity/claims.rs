//! What a tenant vouched for, sealed between the invite and the credential.

use attest::Pseudonym;
use attest::sd_jwt::VerifiedCredential;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::TenantId;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::Identity;
use super::refusal::IdentityRefusal;

/// Bytes of a claim's text.
const CLAIM_BYTES_MAX: usize = 64;
/// What the seal is for.
const LABEL: &str = "vouched claims";

/// What the platform knows of its viewer. It is sealed with the account, and disclosed by the viewer alone.
#[derive(Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VouchedClaims {
    /// Whether the viewer is 18 or older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) age_over_18: Option<bool>,
    /// What the viewer subscribed to, 1 to 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subscriber_tier: Option<String>,
    /// Where the viewer is at home, 1 to 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
}

impl VouchedClaims {
    /// Whether every text has a length that is taken.
    pub(crate) fn fits(&self) -> bool {
        let texts = [&self.subscriber_tier, &self.region];
        texts.into_iter().flatten().all(|text| (1..=CLAIM_BYTES_MAX).contains(&text.len()))
    }
}

/// The claim of a credential of this service that names the tenant that vouched. Visible to every verifier.
const TENANT: &str = "vouched_by";
/// The claim that names the account behind it, to this service alone: sealed anew in every credential, so that two of
/// one account have nothing in common for anyone else.
const ACCOUNT: &str = "account_handle";
const ACCOUNT_LABEL: &str = "account of a credential";

impl Identity {
    /// The claims by which this service knows its own credentials again.
    pub(crate) fn name_account(
        &self,
        tenant: &TenantId,
        subject: Pseudonym,
        rng: &mut impl CryptoRng,
    ) -> Map<String, Value> {
        let sealed = self.setup.records.seal(ACCOUNT_LABEL, subject.as_bytes(), rng);
        let sealed = sealed.expect("32 bytes fit under a seal");
        Map::from_iter([
            (TENANT.to_owned(), tenant.as_str().into()),
            (ACCOUNT.to_owned(), URL_SAFE_NO_PAD.encode(sealed).into()),
        ])
    }

    /// The account behind a credential of this service, for the tenant that vouched for it.
    ///
    /// # Errors
    /// Another tenant's: what one vouches for is nothing to another. Or an account that was erased.
    pub(crate) async fn account_behind(
        &self,
        tenant: &TenantId,
        credential: &VerifiedCredential,
    ) -> Result<Pseudonym, IdentityRefusal> {
        let claim = |name| credential.claims().get(name).and_then(Value::as_str);
        if claim(TENANT) != Some(tenant.as_str()) {
            return Err(IdentityRefusal::IssuerNotTrusted);
        }
        let refused = || IdentityRefusal::CredentialRefused { why: "it names no account".to_owned() };
        let sealed = claim(ACCOUNT).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(refused)?;
        let subject = self.setup.records.open(ACCOUNT_LABEL, &sealed).map_err(|_| refused())?;
        let subject = Pseudonym::from_bytes(subject.as_slice().try_into().map_err(|_| refused())?);
        match self.store.account_of(tenant.clone(), subject).await? {
            Some(_) => Ok(subject),
            None => Err(IdentityRefusal::AccountGone),
        }
    }

    /// Seals claims for the store.
    pub(crate) fn seal_claims(&self, claims: &VouchedClaims, rng: &mut impl CryptoRng) -> Vec<u8> {
        let text = Zeroizing::new(serde_json::to_vec(claims).expect("texts and flags serialise"));
        self.setup.records.seal(LABEL, &text, rng).expect("three short claims fit under a seal")
    }

    /// Opens what was sealed; nothing was vouched for where nothing was sealed.
    pub(crate) fn open_claims(&self, sealed: &[u8]) -> Result<VouchedClaims, IdentityRefusal> {
        if sealed.is_empty() {
            return Ok(VouchedClaims::default());
        }
        let text = self.setup.records.open(LABEL, sealed).map_err(|_| IdentityRefusal::Store)?;
        serde_json::from_slice(&text).map_err(|_| IdentityRefusal::Store)
    }
}
