//! Who calls, and what they may do: a node by the admission on its connection, a tenant or an operator by a bearer key.

use std::sync::Arc;

use attest::{Admission, AdmissionError, AdmissionMode, ApiKey};
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use policies::{RegionId, TenantId};

use super::Centre;
use super::error::CentreError;
use crate::http::ConnectionScope;

/// An authenticated caller.
#[derive(Debug)]
pub(super) enum Caller {
    /// An admitted node.
    Node(Admission),
    /// A tenant's backend.
    Tenant(TenantId),
    /// An operator of this centre.
    Operator,
}

impl Caller {
    /// The node, where only nodes may call.
    pub(super) fn node(self) -> Result<Admission, CentreError> {
        match self {
            Self::Node(admission) => Ok(admission),
            Self::Tenant(_) | Self::Operator => Err(CentreError::Forbidden),
        }
    }

    /// That the caller is an operator.
    pub(super) fn operator(&self) -> Result<(), CentreError> {
        match self {
            Self::Operator => Ok(()),
            Self::Node(_) | Self::Tenant(_) => Err(CentreError::Forbidden),
        }
    }

    /// That the caller may change the tenant's catalogue: the tenant itself, or an operator.
    pub(super) fn may_write(&self, tenant: &TenantId) -> Result<(), CentreError> {
        match self {
            Self::Operator => Ok(()),
            Self::Tenant(own) if own == tenant => Ok(()),
            Self::Node(_) | Self::Tenant(_) => Err(CentreError::Forbidden),
        }
    }

    /// That the caller may read the tenant's catalogues and models: who may write, and the nodes that serve it.
    pub(super) fn may_read(&self, centre: &Centre, tenant: &TenantId) -> Result<(), CentreError> {
        match self {
            Self::Node(admission) if centre.admits(admission.region(), tenant) => Ok(()),
            Self::Node(_) | Self::Tenant(_) | Self::Operator => self.may_write(tenant),
        }
    }
}

impl FromRequestParts<Arc<Centre>> for Caller {
    type Rejection = CentreError;

    async fn from_request_parts(parts: &mut Parts, centre: &Arc<Centre>) -> Result<Self, CentreError> {
        let mut values = parts.headers.get_all(AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value,
            (None, _) => return centre.admitted_on(parts).map(Self::Node),
            (Some(_), Some(_)) => return Err(CentreError::Unauthenticated),
        };
        // RFC 9110 §11.1: the scheme is compared without case.
        let (scheme, credential) =
            value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(CentreError::Unauthenticated)?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(CentreError::Unauthenticated);
        }
        match ApiKey::parse(credential) {
            Ok(key) => centre.by_api_key(&key),
            Err(_) if centre.admission == AdmissionMode::PinnedKey => {
                centre.by_token(credential).map(Self::Node).map_err(CentreError::Admission)
            }
            Err(_) => Err(CentreError::NoTokens),
        }
    }
}

impl Centre {
    /// The live admission of the connection that a request came by.
    fn admitted_on(&self, parts: &Parts) -> Result<Admission, CentreError> {
        let scope = parts.extensions.get::<ConnectionScope>();
        scope.and_then(|scope| scope.admission(self.clock.now_ms())).ok_or(CentreError::AdmissionRequired)
    }

    fn by_token(&self, token: &str) -> Result<Admission, AdmissionError> {
        Admission::by_pinned_key(token, &self.nodes, &self.name, self.clock.now_ms())
    }

    /// Every stored hash is compared, so that time does not tell whose key nearly fits.
    fn by_api_key(&self, key: &ApiKey) -> Result<Caller, CentreError> {
        let mut found = None;
        for hash in &self.operators {
            if hash.is_of(key) {
                found = Some(Caller::Operator);
            }
        }
        for tenant in self.tenants.values() {
            for hash in &tenant.api_keys {
                if hash.is_of(key) {
                    found = Some(Caller::Tenant(tenant.id.clone()));
                }
            }
        }
        found.ok_or(CentreError::Unauthenticated)
    }

    /// Whether the policy in force lets the region serve the tenant.
    fn admits(&self, region: &RegionId, tenant: &TenantId) -> bool {
        self.in_force().current().admits(region, tenant)
    }
}
