//! What is checked about viewers, in plain language.

use std::fmt;

use serde::Serialize;

use super::{Explanation, TenantExplanation, duration};
use crate::{Check, IdentityRule, IssuerKeys, IssuerName, IssuerRule, PolicySet, Registration, StatusRule};

const SECONDS_PER_DAY: u32 = 86_400;

/// How a region identifies viewers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdentityExplanation {
    /// How accounts are made, and what viewers are issued for how long.
    #[serde(flatten)]
    pub rule: IdentityRule,
    /// Who may vouch for what.
    pub issuers: Vec<IssuerExplanation>,
}

/// What one issuer's credentials may say here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssuerExplanation {
    /// The issuer's name; none for the node's own credentials.
    pub issuer: Option<String>,
    /// The policy file with its keys.
    pub keys_file: Option<String>,
    /// The address of its keys.
    pub jwks_url: Option<String>,
    /// The types of credential that are accepted.
    pub types: Vec<String>,
    /// What they may attest.
    pub checks: Vec<Check>,
    /// Whether they must refer to a list of revoked ones.
    pub status: StatusRule,
}

pub(super) fn identity(rule: &IdentityRule, set: &PolicySet) -> IdentityExplanation {
    IdentityExplanation { rule: rule.clone(), issuers: set.issuers().iter().map(issuer).collect() }
}

fn issuer(rule: &IssuerRule) -> IssuerExplanation {
    let (keys_file, jwks_url) = match &rule.keys {
        IssuerKeys::Own => (None, None),
        IssuerKeys::File { path, .. } => (Some(path.clone()), None),
        IssuerKeys::Url(url) => (None, Some(url.clone())),
    };
    IssuerExplanation {
        issuer: match &rule.issuer {
            IssuerName::Own => None,
            IssuerName::Url(url) => Some(url.clone()),
        },
        keys_file,
        jwks_url,
        types: rule.types.iter().cloned().collect(),
        checks: rule.checks.iter().copied().collect(),
        status: rule.status,
    }
}

impl Explanation {
    pub(super) fn write_identity(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat is checked about viewers")?;
        let Some(IdentityExplanation { rule, issuers }) = &self.identity else {
            return writeln!(f, "  Nothing: the region checks no identity.");
        };
        writeln!(f, "  {}", made(rule.registration))?;
        writeln!(
            f,
            "  With one credential identifier {} may be begun in an hour at most.",
            counted(rule.login_starts_per_hour, "login")
        )?;
        writeln!(
            f,
            "  A signed assertion of who a viewer is holds for {}, a credential of this region for {}.",
            duration(rule.assertion_seconds),
            days(rule.credential_days)
        )?;
        writeln!(f, "  Who has an account is known here. For all else somebody must vouch:")?;
        if issuers.is_empty() {
            writeln!(f, "  - Nobody may.")?;
        }
        for issuer in issuers {
            write_issuer(f, issuer)?;
        }
        writeln!(f, "  What a platform may ask:")?;
        if self.tenants.is_empty() {
            writeln!(f, "  - There is none.")?;
        }
        for tenant in &self.tenants {
            write_tenant(f, tenant)?;
        }
        write_tokens(f, rule)
    }
}

fn write_issuer(f: &mut fmt::Formatter<'_>, issuer: &IssuerExplanation) -> fmt::Result {
    let name = issuer.issuer.as_deref().unwrap_or("This service itself");
    writeln!(f, "  - {name}: for {}", listed(&issuer.checks))?;
    let types = if issuer.types.len() == 1 { "type" } else { "types" };
    writeln!(f, "    In credentials of the {types} {}", issuer.types.join(", "))?;
    match (&issuer.keys_file, &issuer.jwks_url) {
        (Some(file), _) => writeln!(f, "    Its keys are those of the policy file {file}")?,
        (None, Some(url)) => writeln!(f, "    Its keys are those that are found at {url}")?,
        (None, None) => writeln!(f, "    It knows its own keys.")?,
    }
    match issuer.status {
        StatusRule::Required => {
            writeln!(f, "    A credential that refers to no list of revoked ones is refused.")
        }
        StatusRule::IfPresent => {
            writeln!(f, "    A list of revoked ones is looked into if the credential refers to it.")
        }
    }
}

fn write_tenant(f: &mut fmt::Formatter<'_>, tenant: &TenantExplanation) -> fmt::Result {
    if tenant.checks.is_empty() {
        writeln!(f, "  - {}: nothing", tenant.tenant)?;
    } else {
        writeln!(f, "  - {}:", tenant.tenant)?;
        for check in &tenant.checks {
            writeln!(f, "    {check}: {}", meaning(*check))?;
        }
    }
    match tenant.tokens_for.as_slice() {
        [] => writeln!(f, "    Its viewers get no anonymous tokens.")?,
        [check] => writeln!(f, "    Anonymous tokens are for viewers of whom {check} was answered with yes.")?,
        checks => writeln!(
            f,
            "    Anonymous tokens are for viewers of whom one of {} was answered with yes.",
            listed(checks)
        )?,
    }
    if tenant.verified_viewers {
        writeln!(f, "    Its sessions need a verified viewer: an identity assertion or an anonymous token.")
    } else {
        writeln!(f, "    Its sessions need no verified viewer.")
    }
}

fn write_tokens(f: &mut fmt::Formatter<'_>, rule: &IdentityRule) -> fmt::Result {
    writeln!(
        f,
        "  An anonymous token says that its holder was admitted, and not who that is. A viewer gets {}",
        counted(rule.tokens_per_window, "token")
    )?;
    writeln!(
        f,
        "  within {} at most. A key issues tokens for {}, and for {} more they are redeemed:",
        duration(rule.token_window_seconds),
        days(rule.token_key_days),
        days(rule.token_key_overlap_days)
    )?;
    writeln!(f, "  a viewer hides among all who got a token of the same key.")
}

const fn made(registration: Registration) -> &'static str {
    match registration {
        Registration::Closed => "Nobody can make an account.",
        Registration::Invite => "An account is made with a one-time invite that the platform gives.",
        Registration::Token => "An account is made with an anonymous token.",
        Registration::Open => "Anyone can make an account.",
    }
}

const fn meaning(check: Check) -> &'static str {
    match check {
        Check::Account => "whether the viewer has an account here and can log in to it.",
        Check::AgeOver18 => "whether the viewer is 18 years old or older; not the age, nor the day of birth.",
        Check::SubscriberTier => "what the viewer has subscribed to.",
        Check::Region => "the region that the viewer belongs to.",
    }
}

fn listed(checks: &[Check]) -> String {
    checks.iter().map(|check| check.as_str()).collect::<Vec<_>>().join(", ")
}

/// A length of time in days.
pub(crate) fn days(count: u32) -> String {
    duration(count.saturating_mul(SECONDS_PER_DAY))
}

fn counted(count: u32, name: &str) -> String {
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}
