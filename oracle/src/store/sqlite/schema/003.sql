-- What stands in the centre's transparency log, in its order from 0: written in the transaction of what it speaks of,
-- published as tiles after. Rows are never changed.

CREATE TABLE log_entries (
    ordinal INTEGER PRIMARY KEY CHECK (ordinal >= 0),
    bytes BLOB NOT NULL
) STRICT;

-- Where pointers to models stand in the log.

CREATE TABLE logged_models (
    tenant TEXT NOT NULL,
    serial INTEGER NOT NULL,
    ordinal INTEGER NOT NULL REFERENCES log_entries (ordinal),
    PRIMARY KEY (tenant, serial)
) STRICT, WITHOUT ROWID;

-- Statements of regions' key epochs that were brought.

CREATE TABLE logged_epochs (
    region TEXT NOT NULL,
    issuer TEXT NOT NULL,
    number INTEGER NOT NULL,
    statement BLOB NOT NULL CHECK (length(statement) = 32),
    PRIMARY KEY (region, issuer, number)
) STRICT, WITHOUT ROWID;

-- A node's newest verified checkpoint of a log, by the log's verifier key.

CREATE TABLE log_seen (
    key TEXT PRIMARY KEY,
    note BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The highest serial of a tenant's model pointer that a node has taken, over restarts.

CREATE TABLE pointers_seen (
    tenant TEXT PRIMARY KEY,
    serial INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
