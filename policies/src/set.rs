//! All policy files of one deployment, after every check.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    ContentRule, Digest, Finding, Grant, IssuerRule, Profile, PurposeId, PurposePolicy, RegionId, RegionPolicy,
    TaskRule, TenantId,
};

/// All policies of one deployment. Exists only if no file has an error.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySet {
    pub(crate) regions: BTreeMap<RegionId, RegionPolicy>,
    pub(crate) purposes: BTreeMap<PurposeId, PurposePolicy>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) issuers: Vec<IssuerRule>,
    pub(crate) profiles: BTreeMap<String, Profile>,
    pub(crate) content: Option<ContentRule>,
    pub(crate) digest: Digest,
    pub(crate) files: Arc<BTreeMap<String, Vec<u8>>>,
    pub(crate) warnings: Vec<Finding>,
}

impl PolicySet {
    /// Files of a policy folder at most.
    pub const FILES_MAX: usize = crate::parse::FILES_MAX;
    /// Bytes of one policy file at most.
    pub const FILE_BYTES_MAX: usize = crate::parse::FILE_BYTES_MAX;

    /// Reads and checks a policy folder: `regions/NAME.toml`, `purposes/NAME.toml`, `access.toml`, and where there
    /// are any `issuers.toml`, `issuers/NAME.jwks.json`, `attestation.toml`, `anchors/NAME.pem` and `content.toml`,
    /// by their path relative to the folder.
    ///
    /// # Errors
    /// Every finding of every file, if one of them is an error; sorted by place.
    pub fn parse(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, Vec<Finding>> {
        crate::parse::parse(files)
    }

    /// One region's policy.
    #[must_use]
    pub fn region(&self, region: &RegionId) -> Option<&RegionPolicy> {
        self.regions.get(region)
    }

    /// Every region.
    #[must_use]
    pub const fn regions(&self) -> &BTreeMap<RegionId, RegionPolicy> {
        &self.regions
    }

    /// Every purpose of processing.
    #[must_use]
    pub const fn purposes(&self) -> &BTreeMap<PurposeId, PurposePolicy> {
        &self.purposes
    }

    /// Every grant, in the order of the file.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Who may vouch for what about a viewer, in the order of the file; each issuer once.
    #[must_use]
    pub fn issuers(&self) -> &[IssuerRule] {
        &self.issuers
    }

    /// What is accepted of evidence, by the profiles' names.
    #[must_use]
    pub const fn profiles(&self) -> &BTreeMap<String, Profile> {
        &self.profiles
    }

    /// How content is checked, if it is.
    #[must_use]
    pub const fn content(&self) -> Option<&ContentRule> {
        self.content.as_ref()
    }

    /// The profiles that a region's nodes may show.
    pub fn profiles_of(&self, region: &RegionId) -> impl Iterator<Item = &Profile> {
        let names = self.regions.get(region).and_then(|policy| policy.attestation.as_ref());
        names.into_iter().flat_map(|rule| &rule.profiles).filter_map(|name| self.profiles.get(name))
    }

    /// The digest that names exactly these files: see [`manifest`].
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The files, as they were read.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// What is suspicious in the files, but no error.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// What the tenant may do in the region. There is one grant at most for both.
    #[must_use]
    pub fn grant(&self, region: &RegionId, tenant: &TenantId) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.tenant == *tenant && grant.regions.contains(region))
    }

    /// Whether the tenant's viewers may be served in the region.
    #[must_use]
    pub fn admits(&self, region: &RegionId, tenant: &TenantId) -> bool {
        self.grant(region, tenant).is_some()
    }

    /// The tasks that a region releases for a tenant: those whose purpose the tenant is granted there.
    #[must_use]
    pub fn tasks_for(&self, region: &RegionId, tenant: &TenantId) -> Vec<TaskRule> {
        let Some((policy, grant)) = self.regions.get(region).zip(self.grant(region, tenant)) else { return Vec::new() };
        policy.tasks.iter().filter(|task| grant.purposes.contains(&task.purpose)).cloned().collect()
    }
}

/// The manifest of a set of files: JSON in canonical form (RFC 8785) with the SHA-256 of every file.
/// Its SHA-256 is the policy digest that stands in answers, releases and evidence.
///
/// Neither the signed note of a [bundle](crate::bundle), which signs the digest, nor test cases ([`crate::cases`]) are among
/// the files: a test changes nothing that a node enforces, so that another test must not look like another policy.
#[must_use]
pub fn manifest(files: &BTreeMap<String, Vec<u8>>) -> String {
    // RFC 8785 sorts keys by UTF-16 code units.
    let mut entries: Vec<_> = files.iter().map(|(path, bytes)| (path, Digest::of(bytes))).collect();
    entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    let entries: Vec<String> =
        entries.into_iter().map(|(path, digest)| format!("{}:\"{digest}\"", serde_json::json!(path))).collect();
    format!("{{\"files\":{{{}}},\"format\":\"siwa-policy-manifest/1\"}}", entries.join(","))
}
