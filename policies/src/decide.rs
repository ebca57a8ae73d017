//! The decisions of a policy set, each a question with one answer.
//!
//! Nodes and centres ask here before they act, and test cases ([`crate::cases`]) ask the same questions, so that what was
//! tested is what is enforced.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    AttestationRule, Check, ContentCheck, EvidenceKind, Grant, IssuerName, PolicySet, PurposeId, RegionId, SignalKind,
    Status, TaskKind, TenantId, Tier,
};

/// Something that may be allowed or refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// May the tenant's viewers be served in the region?
    Serve(TenantId, RegionId),
    /// May a session begin for a viewer of whom nothing was verified?
    Unverified(TenantId, RegionId),
    /// May sessions be counted for the purpose?
    Purpose(TenantId, RegionId, PurposeId),
    /// Is a session counted at all, whose browser says `Sec-GPC: 1` or does not?
    Counted(TenantId, RegionId, bool),
    /// Does the region release the task for the tenant?
    Release(TenantId, RegionId, TaskKind),
    /// May the tenant ask this about a viewer?
    Check(TenantId, RegionId, Check),
    /// Does a yes to the check admit a viewer to anonymous tokens?
    Tokens(TenantId, RegionId, Check),
    /// May the tenant ask this about content?
    Content(TenantId, RegionId, ContentCheck),
    /// May the tenant's viewers' devices show evidence of the profile?
    Device(TenantId, RegionId, String),
    /// May sessions in the region send the signal?
    Signal(RegionId, SignalKind),
    /// May the region's nodes show evidence of the profile?
    Node(RegionId, String),
    /// Is evidence of a node enough, behind which so much stands, and which fared so?
    Evidence(RegionId, Tier, Status),
    /// May another region take over?
    Failover(RegionId, RegionId),
    /// May credentials of the issuer answer the check?
    Vouch(IssuerName, Check),
}

/// Why something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No such region.
    #[error("the policy knows no such region")]
    UnknownRegion,
    /// No grant of the tenant names the region.
    #[error("the tenant is granted nothing in this region")]
    NotGranted,
    /// The grant does not name it.
    #[error("the tenant's grant does not name it")]
    NotInGrant,
    /// The grant asks for verified viewers.
    #[error("the tenant's grant asks for verified viewers")]
    VerifiedViewers,
    /// The browser says that its viewer objects.
    #[error("the viewer's browser objects")]
    Objected,
    /// The region has no such task.
    #[error("the region has no such task")]
    NoSuchTask,
    /// The region takes no such signal.
    #[error("the region takes no such signal")]
    NoSuchSignal,
    /// There is no such profile, or the region names another.
    #[error("no such profile is accepted here")]
    NoSuchProfile,
    /// Nodes of the region can prove nothing.
    #[error("the region has no [attestation]")]
    NoAttestation,
    /// A stronger root of trust is asked for.
    #[error("a stronger root of trust is asked for")]
    Tier,
    /// A better status is asked for.
    #[error("a better status is asked for")]
    Status,
    /// The region does not name the other.
    #[error("the region names no such fail-over")]
    NoFailover,
    /// The other region is under another law.
    #[error("fail-over never leaves the jurisdiction")]
    OtherJurisdiction,
    /// No such issuer.
    #[error("nobody of this name is trusted")]
    UnknownIssuer,
    /// The issuer may not vouch for that.
    #[error("the issuer is not trusted with that")]
    IssuerNotTrusted,
}

impl AttestationRule {
    /// Whether evidence is enough behind which `tier` stands and that fared as `status`.
    ///
    /// # Errors
    /// [`Reason::Status`] before [`Reason::Tier`]. What is contraindicated is never enough.
    pub fn accepts(&self, tier: Tier, status: Status) -> Result<(), Reason> {
        if status > self.status_min || status == Status::Contraindicated {
            return Err(Reason::Status);
        }
        if tier < self.tier_min { Err(Reason::Tier) } else { Ok(()) }
    }
}

fn named(holds: bool, reason: Reason) -> Result<(), Reason> {
    if holds { Ok(()) } else { Err(reason) }
}

impl PolicySet {
    /// The answer to a question.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn decide(&self, question: &Question) -> Result<(), Reason> {
        use Question as Q;
        let granted = |tenant: &TenantId, region: &RegionId| self.grant(region, tenant).ok_or(Reason::NotGranted);
        let in_grant = |tenant: &TenantId, region: &RegionId, holds: &dyn Fn(&Grant) -> bool| {
            granted(tenant, region).and_then(|grant| named(holds(grant), Reason::NotInGrant))
        };
        match question {
            Q::Serve(tenant, region) => granted(tenant, region).map(|_| ()),
            Q::Unverified(tenant, region) => {
                granted(tenant, region).and_then(|grant| named(!grant.verified_viewers, Reason::VerifiedViewers))
            }
            Q::Purpose(tenant, region, purpose) => in_grant(tenant, region, &|grant| grant.purposes.contains(purpose)),
            Q::Counted(tenant, region, objects) => {
                granted(tenant, region)?;
                named(!objects, Reason::Objected)
            }
            Q::Release(tenant, region, kind) => {
                granted(tenant, region)?;
                let of_region = &self.region(region).ok_or(Reason::UnknownRegion)?.tasks;
                named(of_region.iter().any(|task| task.spec.kind() == *kind), Reason::NoSuchTask)?;
                let released = self.tasks_for(region, tenant);
                named(released.iter().any(|task| task.spec.kind() == *kind), Reason::NotInGrant)
            }
            Q::Check(tenant, region, check) => in_grant(tenant, region, &|grant| grant.checks.contains(check)),
            Q::Tokens(tenant, region, check) => in_grant(tenant, region, &|grant| grant.tokens_for.contains(check)),
            Q::Content(tenant, region, check) => in_grant(tenant, region, &|grant| grant.content.contains(check)),
            Q::Device(tenant, region, profile) => {
                in_grant(tenant, region, &|grant| grant.devices.contains(profile))?;
                named(self.profiles().contains_key(profile), Reason::NoSuchProfile)
            }
            Q::Signal(region, signal) => {
                let policy = self.region(region).ok_or(Reason::UnknownRegion)?;
                named(policy.signals.contains(signal), Reason::NoSuchSignal)
            }
            Q::Node(..) | Q::Evidence(..) | Q::Failover(..) => self.decide_of_nodes(question),
            Q::Vouch(issuer, check) => {
                let rule = self.issuers().iter().find(|rule| rule.issuer == *issuer).ok_or(Reason::UnknownIssuer)?;
                named(rule.checks.contains(check), Reason::IssuerNotTrusted)
            }
        }
    }

    fn decide_of_nodes(&self, question: &Question) -> Result<(), Reason> {
        use Question as Q;
        let (Q::Node(region, _) | Q::Evidence(region, ..) | Q::Failover(region, _)) = question else {
            return self.decide(question);
        };
        let policy = self.region(region).ok_or(Reason::UnknownRegion)?;
        let rule = policy.attestation.as_ref().ok_or(Reason::NoAttestation);
        match question {
            Q::Node(region, profile) => {
                rule?;
                named(self.profiles_of(region).any(|known| known.name == *profile), Reason::NoSuchProfile)
            }
            Q::Evidence(_, tier, status) => rule?.accepts(*tier, *status),
            Q::Failover(_, to) => {
                let other = self.region(to).ok_or(Reason::UnknownRegion)?;
                named(other.jurisdiction == policy.jurisdiction, Reason::OtherJurisdiction)?;
                named(policy.failover.contains(to), Reason::NoFailover)
            }
            _ => self.decide(question),
        }
    }

    /// Every decision that these policies make, allowed or refused, each once and in order. Tenants are those of the
    /// grants; where a tenant has no grant, that it is not served is the one decision.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        let tenants: std::collections::BTreeSet<_> = self.grants().iter().map(|grant| &grant.tenant).collect();
        let mut all = Vec::new();
        for region in self.regions().keys() {
            self.questions_of_region(region, &mut all);
            for tenant in &tenants {
                self.questions_of_tenant(tenant, region, &mut all);
            }
        }
        for rule in self.issuers() {
            // Only the node itself knows of accounts: no issuer can be trusted with that.
            let checks = Check::ALL.into_iter().filter(|check| *check != Check::Account);
            all.extend(checks.map(|check| Question::Vouch(rule.issuer.clone(), check)));
        }
        all.sort();
        all.dedup();
        all
    }

    fn questions_of_region(&self, region: &RegionId, all: &mut Vec<Question>) {
        use Question as Q;
        all.extend(SignalKind::ALL.map(|signal| Q::Signal(region.clone(), signal)));
        let others = self.regions().keys().filter(|other| *other != region);
        all.extend(others.map(|other| Q::Failover(region.clone(), other.clone())));
        let of_nodes = self.profiles().values().filter(|profile| !profile.kind().is_of_device());
        all.extend(of_nodes.map(|profile| Q::Node(region.clone(), profile.name.clone())));
        for tier in [Tier::Software, Tier::Development, Tier::Hardware] {
            for status in [Status::Affirming, Status::Warning, Status::Contraindicated] {
                all.push(Q::Evidence(region.clone(), tier, status));
            }
        }
    }

    fn questions_of_tenant(&self, tenant: &TenantId, region: &RegionId, all: &mut Vec<Question>) {
        use Question as Q;
        let place = || (tenant.clone(), region.clone());
        let mut ask = |question: &dyn Fn(TenantId, RegionId) -> Question| {
            let (tenant, region) = place();
            all.push(question(tenant, region));
        };
        ask(&Q::Serve);
        if !self.admits(region, tenant) {
            return;
        }
        ask(&Q::Unverified);
        ask(&|tenant, region| Q::Counted(tenant, region, false));
        ask(&|tenant, region| Q::Counted(tenant, region, true));
        for purpose in self.purposes().keys() {
            ask(&|tenant, region| Q::Purpose(tenant, region, purpose.clone()));
        }
        for kind in TaskKind::ALL {
            ask(&|tenant, region| Q::Release(tenant, region, kind));
        }
        for check in Check::ALL {
            ask(&|tenant, region| Q::Check(tenant, region, check));
            ask(&|tenant, region| Q::Tokens(tenant, region, check));
        }
        for check in ContentCheck::ALL {
            ask(&|tenant, region| Q::Content(tenant, region, check));
        }
        for profile in self.profiles().values().filter(|profile| EvidenceKind::is_of_device(profile.kind())) {
            ask(&|tenant, region| Q::Device(tenant, region, profile.name.clone()));
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serve(tenant, region) => write!(f, "{region}: serve {tenant}"),
            Self::Unverified(tenant, region) => write!(f, "{region}: {tenant}, a viewer who is not verified"),
            Self::Purpose(tenant, region, purpose) => write!(f, "{region}: {tenant}, count for {purpose}"),
            Self::Counted(tenant, region, false) => write!(f, "{region}: {tenant}, count a session"),
            Self::Counted(tenant, region, true) => write!(f, "{region}: {tenant}, count a session with Sec-GPC"),
            Self::Release(tenant, region, task) => write!(f, "{region}: {tenant}, release {task}"),
            Self::Check(tenant, region, check) => write!(f, "{region}: {tenant}, ask {check}"),
            Self::Tokens(tenant, region, check) => write!(f, "{region}: {tenant}, tokens for {check}"),
            Self::Content(tenant, region, check) => write!(f, "{region}: {tenant}, check content by {check}"),
            Self::Device(tenant, region, profile) => write!(f, "{region}: {tenant}, devices of {profile}"),
            Self::Signal(region, signal) => write!(f, "{region}: signal {}", signal.as_str()),
            Self::Node(region, profile) => write!(f, "{region}: nodes of {profile}"),
            Self::Evidence(region, tier, status) => {
                write!(f, "{region}: evidence of {} that is {}", tier.as_str(), status.as_str())
            }
            Self::Failover(region, to) => write!(f, "{region}: fail over to {to}"),
            Self::Vouch(IssuerName::Own, check) => write!(f, "issuer own: vouch for {check}"),
            Self::Vouch(IssuerName::Url(issuer), check) => write!(f, "issuer {issuer}: vouch for {check}"),
        }
    }
}

impl Tier {
    /// The name in policy files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Development => "development",
            Self::Hardware => "hardware",
        }
    }
}

impl Status {
    /// The name in policy files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Affirming => "affirming",
            Self::Warning => "warning",
            Self::Contraindicated => "contraindicated",
        }
    }
}
