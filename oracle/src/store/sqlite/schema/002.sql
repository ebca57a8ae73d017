-- Accounts by OPAQUE. No name and no password: credential_id is a keyed hash of the name, record is what RFC 9807 calls
-- the registration record, claims are sealed.

CREATE TABLE accounts (
    credential_id BLOB PRIMARY KEY CHECK (length(credential_id) = 32),
    tenant TEXT NOT NULL,
    subject BLOB NOT NULL CHECK (length(subject) = 32),
    record BLOB NOT NULL,
    claims BLOB NOT NULL,
    UNIQUE (tenant, subject)
) STRICT, WITHOUT ROWID;

-- Nobody's account: read in place of one that does not exist, so that finding and not finding are the same work.
INSERT INTO accounts VALUES (zeroblob(32), 'nobody', zeroblob(32), zeroblob(193), x'');

-- One-time invitations to make an account, by the digest of their code.

CREATE TABLE invites (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    tenant TEXT NOT NULL,
    claims BLOB NOT NULL,
    expires_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX invites_by_expiry ON invites (expires_s);
CREATE INDEX invites_of_tenant ON invites (tenant);

-- How many anonymous tokens a subject was issued in a window. Which ones, nobody can know.

CREATE TABLE issued_tokens (
    tenant TEXT NOT NULL,
    subject BLOB NOT NULL CHECK (length(subject) = 32),
    window_id INTEGER NOT NULL,
    tokens INTEGER NOT NULL CHECK (tokens > 0),
    PRIMARY KEY (tenant, subject, window_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX issued_tokens_by_window ON issued_tokens (window_id);

-- Tokens that were redeemed, or are reserved while what they pay for is done. Dropped with their key.

CREATE TABLE spent_tokens (
    key_id BLOB NOT NULL CHECK (length(key_id) = 32),
    nonce BLOB NOT NULL CHECK (length(nonce) = 32),
    reservation BLOB CHECK (length(reservation) = 16),
    reserved_until_ms INTEGER,
    PRIMARY KEY (key_id, nonce),
    CHECK ((reservation IS NULL) = (reserved_until_ms IS NULL))
) STRICT, WITHOUT ROWID;
