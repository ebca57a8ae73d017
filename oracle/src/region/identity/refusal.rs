//! Why the identity service refuses a call, and what the caller is told. External texts hold nothing of the request, and
//! tell nobody whether an account exists.

use aggregator::release::StoreError;
use attest::access::AccessError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::environment::EntropyError;
use crate::http::Problem;
use crate::region::answers::Unanswered;
use crate::workers::Busy;
use attest::challenge::ChallengeError;

/// What a client of oblivious HTTP is told to fetch the key configuration again (RFC 9458 §5.3).
const OBLIVIOUS_KEY_TYPE: &str = "https://iana.org/assignments/http-problem-types#ohttp-key";

/// How long another call may have a token at most.
const TOKEN_HELD_S: u32 = 30;

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdentityRefusal {
    /// This node checks no identity.
    Off,
    /// No tenant of this node has that name.
    TenantUnknown,
    /// The body is of another media type than is taken.
    MediaType { expected: &'static str },
    /// A text is not of its form, or not of its length.
    Text { field: &'static str },
    /// A message is not one of its protocol.
    Message { field: &'static str },
    /// The region's policy lets nobody make an account this way.
    RegistrationClosed,
    /// No such invite, or it was used or has expired.
    NotInvited,
    /// The tenant has as many open invites as may be.
    InvitesFull,
    /// Too many logins to one account were begun.
    LoginRate { retry_after_s: u32 },
    /// Too many accounts of one tenant were made lately.
    RegistrationRate { retry_after_s: u32 },
    /// As many logins are under way as may.
    LoginsFull,
    /// No such account, a wrong password, or the login's time has run out: one answer for all.
    LoginFailed,
    /// No access token, or one that is refused.
    AccessRefused,
    /// What the access token proves does not open this.
    AccessInsufficient,
    /// The policy does not let this tenant ask that.
    CheckNotGranted,
    /// The nonce is none of this node's for this tenant, was used, or has run out.
    ChallengeRefused,
    /// No trusted issuer of that name may vouch for that.
    IssuerNotTrusted,
    /// An issuer's keys or list of statuses cannot be had now.
    IssuerUnreachable,
    /// The credential or its presentation was refused.
    CredentialRefused { why: String },
    /// The presentation does not disclose what the check needs.
    ClaimMissing,
    /// The account is no longer there.
    AccountGone,
    /// A token request is not of a type, key or form that is issued here now.
    TokenRequestRefused { why: &'static str },
    /// The subject had as many tokens in this window as may be.
    TokensExhausted { retry_after_s: u32 },
    /// The request presents no token.
    TokenMissing,
    /// No open challenge or accepted key fits the token, or it is forged.
    TokenUnknown,
    /// A token is refused for one tenant; the header names what would be taken.
    TokenRefused { why: &'static str, challenge: HeaderValue },
    /// Another call has the token, and may give it back.
    TokenHeld,
    /// As much work waits for the signing threads as may.
    Busy,
    /// The identity store cannot be used now.
    Store,
    /// The operating system gave no randomness.
    NoEntropy,
    /// An answer could not be signed.
    NotSigned,
    /// An oblivious request could not be opened.
    ObliviousRefused,
    /// An oblivious request was sealed to a key that is not in use.
    ObliviousKey,
    /// The tenant's sessions need a verified viewer.
    ProofRequired { challenge: HeaderValue },
    /// The proof that the viewer is verified was refused.
    ProofRefused,
}

impl From<IdentityRefusal> for Problem {
    fn from(refusal: IdentityRefusal) -> Self {
        use IdentityRefusal as R;
        let unprocessable = Self::unprocessable;
        let unauthorized = |slug, title| Self::new(StatusCode::UNAUTHORIZED, slug, title);
        let forbidden = |slug, title| Self::new(StatusCode::FORBIDDEN, slug, title);
        match refusal {
            R::Off => Self::new(StatusCode::NOT_FOUND, "identity-off", "This node checks no identity"),
            R::TenantUnknown => unprocessable("tenant-unknown", "No tenant of this node has that name"),
            R::MediaType { expected } => Self::unsupported_media_type(expected),
            R::Text { field } => unprocessable("text-form", "A text is not of its form or length").with_detail(field),
            R::Message { field } => {
                unprocessable("message-invalid", "A message is not one of its protocol").with_detail(field)
            }
            R::RegistrationClosed => forbidden("registration-closed", "Accounts are not made this way here"),
            R::NotInvited => forbidden("not-invited", "No such invite, or it was used or has expired"),
            R::InvitesFull => Self::unavailable("invites-full", "As many invites are open as may be", 3600),
            R::LoginRate { retry_after_s } | R::RegistrationRate { retry_after_s } => {
                Self::too_many_requests(retry_after_s)
            }
            R::LoginsFull => Self::unavailable("logins-full", "As many logins are under way as may", 1),
            R::LoginFailed => unauthorized("login-failed", "The login was refused"),
            R::AccessRefused => unauthorized("access-refused", "No accepted access token")
                .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            R::AccessInsufficient => forbidden("access-insufficient", "What was proven does not open this"),
            R::CheckNotGranted => forbidden("check-not-granted", "The policy does not let this tenant ask that"),
            R::ChallengeRefused => unprocessable("challenge-refused", "The nonce is unknown, used or has run out"),
            R::IssuerNotTrusted => unprocessable("issuer-not-trusted", "The issuer may not vouch for that here"),
            R::IssuerUnreachable => {
                Self::unavailable("issuer-unreachable", "The issuer's keys or statuses cannot be had now", 30)
            }
            R::CredentialRefused { why } => {
                unprocessable("credential-refused", "The presentation was refused").with_detail(why)
            }
            R::ClaimMissing => unprocessable("claim-missing", "The presentation does not disclose what was asked"),
            R::AccountGone => Self::new(StatusCode::NOT_FOUND, "account-gone", "The account is no longer there"),
            R::TokenRequestRefused { why } => {
                unprocessable("token-request-refused", "The token request was refused").with_detail(why)
            }
            R::TokensExhausted { retry_after_s } => Self::too_many_requests(retry_after_s),
            R::TokenMissing => unauthorized("token-refused", "The token was refused")
                .with_detail("Authorization: PrivateToken token=\"…\" is missing or cannot be read"),
            R::TokenUnknown => unauthorized("token-refused", "The token was refused")
                .with_detail("it answers no challenge of this service, or its key or authenticator is not accepted"),
            R::TokenRefused { why, challenge } => unauthorized("token-refused", "The token was refused")
                .with_detail(why)
                .with_header(header::WWW_AUTHENTICATE, challenge),
            R::TokenHeld => {
                Self::unavailable("token-held", "Another call has this token, and may give it back", TOKEN_HELD_S)
            }
            R::Busy => Self::unavailable("busy", "As much work waits as may", 1),
            R::Store => Self::unavailable("identity-store", "The identity store cannot be used now", 5),
            R::NoEntropy => Self::unavailable("no-entropy", "No randomness to be had", 1),
            R::NotSigned => Self::internal(),
            R::ObliviousRefused => {
                Self::new(StatusCode::BAD_REQUEST, "oblivious-refused", "The oblivious request cannot be opened")
            }
            R::ObliviousKey => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "oblivious-key",
                "That key is not in use: fetch the keys anew",
            )
            .of_registered_type(OBLIVIOUS_KEY_TYPE),
            R::ProofRequired { challenge } => unauthorized("proof-required", "Sessions here need a verified viewer")
                .with_header(header::WWW_AUTHENTICATE, challenge),
            R::ProofRefused => unauthorized("proof-refused", "The proof of a verified viewer was refused"),
        }
    }
}

impl IntoResponse for IdentityRefusal {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl From<StoreError> for IdentityRefusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::Unavailable | StoreError::Corrupt | StoreError::MissingLedger => Self::Store,
        }
    }
}

impl From<EntropyError> for IdentityRefusal {
    fn from(_: EntropyError) -> Self {
        Self::NoEntropy
    }
}

impl From<Unanswered> for IdentityRefusal {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NoEntropy => Self::NoEntropy,
            Unanswered::NotSigned => Self::NotSigned,
        }
    }
}

impl From<Busy> for IdentityRefusal {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl From<AccessError> for IdentityRefusal {
    fn from(_: AccessError) -> Self {
        Self::AccessRefused
    }
}

impl From<ChallengeError> for IdentityRefusal {
    fn from(error: ChallengeError) -> Self {
        match error {
            ChallengeError::Unknown | ChallengeError::Used => Self::ChallengeRefused,
            ChallengeError::Full => Self::Busy,
        }
    }
}
