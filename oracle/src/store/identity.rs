//! Durable verbs of the identity service: accounts, invites, how many tokens were issued, which were spent.
//!
//! Each is one transaction, done before its future resolves. Names and passwords never come here, nor anything that
//! links a token that is redeemed to its issuance.

use aggregator::release::StoreError;
use attest::Pseudonym;
use policies::{Digest, TenantId};

use super::Store;
use super::sqlite::{accounts, tokens};

/// An account as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Keyed hash of tenant and name.
    pub(crate) credential_id: [u8; 32],
    /// Whose viewer it is.
    pub(crate) tenant: TenantId,
    /// The pairwise pseudonym by which the tenant knows its owner.
    pub(crate) subject: Pseudonym,
    /// The registration record of RFC 9807.
    pub(crate) record: Vec<u8>,
    /// What the tenant vouched for, sealed.
    pub(crate) claims: Vec<u8>,
}

/// What a login needs of an account.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LoginRecord {
    /// The owner's pairwise pseudonym.
    pub(crate) subject: Pseudonym,
    /// The registration record of RFC 9807.
    pub(crate) record: Vec<u8>,
}

/// What lets an account be made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nothing is asked.
    Open,
    /// An invite, which is used up; its claims become the account's.
    Invite {
        /// SHA-256 of the code.
        digest: Digest,
        /// Unix seconds.
        now_s: u64,
    },
    /// An anonymous token, which is spent.
    Token {
        /// The token.
        token: TokenName,
        /// Unix ms.
        now_ms: u64,
    },
}

/// Which token. The two together are random to everyone but whoever holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenName {
    /// The key that issued it.
    pub(crate) key_id: [u8; 32],
    /// Its own nonce.
    pub(crate) nonce: [u8; 32],
}

/// What became of a registration. Whether the account existed before is not among it: nobody is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    /// The gate was passed: the account is as asked, or stays as it was.
    Accepted,
    /// No such invite, or it has expired.
    NotInvited,
    /// The token was spent before, or is reserved.
    TokenSpent,
}

/// One invite.
pub(crate) struct Invite {
    /// SHA-256 of the code.
    pub(crate) digest: Digest,
    /// Who invites.
    pub(crate) tenant: TenantId,
    /// What it vouches for, sealed.
    pub(crate) claims: Vec<u8>,
    /// Unix seconds.
    pub(crate) expires_s: u64,
}

/// Whose tokens are counted, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IssuanceWindow {
    /// The window's number.
    pub(crate) window: u64,
    /// Tokens of one subject in one window at most.
    pub(crate) tokens_max: u32,
}

/// A reservation of a token while what it pays for is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// The token.
    pub(crate) token: TokenName,
    /// The reservation's own random name: only its holder settles it.
    pub(crate) name: [u8; 16],
    /// Unix ms from which on the token may be reserved by another, if this one was never settled.
    pub(crate) until_ms: u64,
}

/// What became of a wish to reserve a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// It is reserved for the caller.
    Yes,
    /// Another call has it, which may give it back.
    Held,
    /// It was spent.
    Spent,
}

impl Store {
    /// Makes an account if the gate lets it, in one transaction. An account that exists is left as it is, and the gate
    /// is used up all the same.
    pub(crate) async fn register(&self, account: Account, gate: Gate) -> Result<Registered, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| accounts::register(connection, &account, &gate)).await,
        }
    }

    /// What a login to the account of this keyed name needs. Whether there is one makes no difference in time.
    pub(crate) async fn login_record(&self, credential_id: [u8; 32]) -> Result<Option<LoginRecord>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |connection| accounts::by_name(connection, credential_id)).await,
        }
    }

    /// The account of this subject.
    pub(crate) async fn account_of(&self, tenant: TenantId, subject: Pseudonym) -> Result<Option<Account>, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store.read(move |connection| accounts::by_subject(connection, &tenant, &subject)).await
            }
        }
    }

    /// Erases an account. Says whether there was one.
    pub(crate) async fn erase_account(&self, tenant: TenantId, subject: Pseudonym) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| accounts::erase(connection, &tenant, &subject)).await,
        }
    }

    /// Keeps an invite, if the tenant has fewer than `invites_max` open ones. Says whether it did.
    pub(crate) async fn invite(&self, invite: Invite, invites_max: u32, now_s: u64) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store.run(move |connection| accounts::invite(connection, &invite, invites_max, now_s)).await
            }
        }
    }

    /// Counts `tokens` more for a subject, all of them or none. Says whether the limit left room.
    pub(crate) async fn count_issued(
        &self,
        tenant: TenantId,
        subject: Pseudonym,
        tokens: u32,
        window: IssuanceWindow,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store.run(move |connection| tokens::count(connection, &tenant, &subject, tokens, window)).await
            }
        }
    }

    /// Takes back what was counted for tokens that were not issued.
    pub(crate) async fn uncount_issued(
        &self,
        tenant: TenantId,
        subject: Pseudonym,
        tokens: u32,
        window: IssuanceWindow,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => {
                store.run(move |connection| tokens::uncount(connection, &tenant, &subject, tokens, window)).await
            }
        }
    }

    /// Forgets what was counted in windows before `window`.
    pub(crate) async fn forget_issued(&self, window: u64) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| tokens::forget_counts(connection, window)).await,
        }
    }

    /// Spends a token. True exactly once for each, whatever happens in between.
    pub(crate) async fn spend(&self, token: TokenName, now_ms: u64) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| tokens::spend(connection, token, now_ms)).await,
        }
    }

    /// Reserves a token that is neither spent nor reserved by another.
    pub(crate) async fn reserve(&self, reservation: Reservation, now_ms: u64) -> Result<Reserved, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| tokens::reserve(connection, reservation, now_ms)).await,
        }
    }

    /// Settles a reservation: spends the token, or gives it back. False where the reservation had run out and another
    /// took the token.
    pub(crate) async fn settle(&self, reservation: Reservation, spend: bool) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| tokens::settle(connection, reservation, spend)).await,
        }
    }

    /// Forgets the spent tokens of a key that is accepted no more.
    pub(crate) async fn forget_tokens(&self, key_id: [u8; 32]) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| tokens::forget(connection, key_id)).await,
        }
    }
}
