-- A node's ledger as a chain of entries, and its charges by time.

-- A ledger of schema 1 does not say when its data was contributed: no budget can be held against it. The check fails where
-- there is any such charge, and with it the whole migration: the file stays as it is.
CREATE TABLE charges_without_time (number INTEGER NOT NULL CHECK (number = 0)) STRICT;
INSERT INTO charges_without_time SELECT count(*) FROM charges;
DROP TABLE charges_without_time;

DROP TABLE outbox;
DROP TABLE charges;
DROP TABLE spent_years;
DROP TABLE closed_windows;
ALTER TABLE ledger DROP COLUMN last_sequence;

-- Every entry that was ever made, as it is encoded, and the head of the chain after it.
CREATE TABLE ledger_entries (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    bytes BLOB NOT NULL,
    head BLOB NOT NULL CHECK (length(head) = 32)
) STRICT;

CREATE TRIGGER entries_stay BEFORE DELETE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'an entry is never deleted'); END;
CREATE TRIGGER entries_stay_as_they_are BEFORE UPDATE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;

-- What the entries that are charges say, and what became of them: open, then unsent and sent; or open, then burned.
CREATE TABLE charges (
    sequence INTEGER PRIMARY KEY REFERENCES ledger_entries (number),
    tenant TEXT NOT NULL,
    task TEXT NOT NULL,
    region TEXT NOT NULL,
    node TEXT NOT NULL,
    window_id INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    from_s INTEGER NOT NULL,
    until_s INTEGER NOT NULL CHECK (until_s > from_s),
    year INTEGER NOT NULL,
    rho_picos INTEGER NOT NULL CHECK (rho_picos >= 0),
    delta_attos INTEGER NOT NULL CHECK (delta_attos >= 0),
    state TEXT NOT NULL CHECK (state IN ('open', 'unsent', 'sent', 'burned')),
    digest BLOB,
    UNIQUE (tenant, task, region, node, window_id)
) STRICT;

CREATE INDEX charges_by_time ON charges (tenant, until_s, from_s, purpose, rho_picos, delta_attos);
CREATE INDEX charges_waiting ON charges (state, sequence) WHERE state IN ('open', 'unsent');

-- What was spent is never given back, whatever a later version of the program does.
CREATE TRIGGER charges_stay BEFORE DELETE ON charges
BEGIN SELECT RAISE(ABORT, 'a charge is never deleted'); END;
CREATE TRIGGER charges_stay_as_they_are
BEFORE UPDATE OF sequence, tenant, task, region, node, window_id, purpose, from_s, until_s, year, rho_picos, delta_attos
ON charges
BEGIN SELECT RAISE(ABORT, 'a charge is never changed'); END;
CREATE TRIGGER burned_charges_stay_burned BEFORE UPDATE OF state ON charges WHEN OLD.state = 'burned'
BEGIN SELECT RAISE(ABORT, 'a burned charge stays burned'); END;

-- Sum of charges by budget year, so that no commit reads a year of them. Compared with them when a ledger is opened.
CREATE TABLE spent_years (
    tenant TEXT NOT NULL,
    purpose TEXT NOT NULL,
    year INTEGER NOT NULL,
    rho_picos INTEGER NOT NULL,
    PRIMARY KEY (tenant, year, purpose)
) STRICT, WITHOUT ROWID;

-- The signed bytes of charges that are unsent.
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY REFERENCES charges (sequence),
    bytes BLOB NOT NULL
) STRICT;

-- The second until which a tenant's time takes no contribution any more.
CREATE TABLE closed_times (
    tenant TEXT PRIMARY KEY,
    until_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last statement of the centre's about this ledger.
CREATE TABLE kept_checkpoint (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    entries INTEGER NOT NULL,
    head BLOB NOT NULL CHECK (length(head) = 32),
    token TEXT NOT NULL
) STRICT;

-- Nodes' ledgers as a centre has followed them. What was pinned before stays pinned, with nothing followed.
ALTER TABLE pinned_ledgers RENAME TO followed_ledgers;

CREATE TABLE followed_entries (
    region TEXT NOT NULL,
    node TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    bytes BLOB NOT NULL,
    head BLOB NOT NULL CHECK (length(head) = 32),
    PRIMARY KEY (region, node, number)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER followed_entries_stay BEFORE DELETE ON followed_entries
BEGIN SELECT RAISE(ABORT, 'a followed entry is never deleted'); END;
CREATE TRIGGER followed_entries_stay_as_they_are BEFORE UPDATE ON followed_entries
BEGIN SELECT RAISE(ABORT, 'a followed entry is never changed'); END;

-- The charges among them.
CREATE TABLE followed_charges (
    region TEXT NOT NULL,
    node TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    task TEXT NOT NULL,
    window_id INTEGER NOT NULL,
    burned INTEGER NOT NULL CHECK (burned IN (0, 1)),
    PRIMARY KEY (region, node, sequence),
    UNIQUE (region, node, tenant, task, window_id)
) STRICT, WITHOUT ROWID;
