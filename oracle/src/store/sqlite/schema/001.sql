-- A node's ledger and outbox.

CREATE TABLE ledger (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    last_sequence INTEGER NOT NULL
) STRICT;

-- Every charge that was ever made. A charge is open, then unsent and sent; or open, then burned.
CREATE TABLE charges (
    sequence INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    task TEXT NOT NULL,
    region TEXT NOT NULL,
    node TEXT NOT NULL,
    window_id INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    unit TEXT NOT NULL,
    year INTEGER NOT NULL,
    rho_picos INTEGER NOT NULL CHECK (rho_picos >= 0),
    delta REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'unsent', 'sent', 'burned')),
    digest BLOB,
    UNIQUE (tenant, task, region, node, window_id)
) STRICT;

CREATE INDEX charges_of_window ON charges (tenant, window_id, rho_picos);
CREATE INDEX charges_waiting ON charges (state, sequence) WHERE state IN ('open', 'unsent');

-- What was spent is never given back, whatever a later version of the program does.
CREATE TRIGGER charges_stay BEFORE DELETE ON charges
BEGIN SELECT RAISE(ABORT, 'a charge is never deleted'); END;
CREATE TRIGGER charges_stay_as_they_are
BEFORE UPDATE OF sequence, tenant, task, region, node, window_id, unit, year, rho_picos, delta ON charges
BEGIN SELECT RAISE(ABORT, 'a charge is never changed'); END;
CREATE TRIGGER burned_charges_stay_burned BEFORE UPDATE OF state ON charges WHEN OLD.state = 'burned'
BEGIN SELECT RAISE(ABORT, 'a burned charge stays burned'); END;

-- Sum of charges by budget year, so that no commit reads a year of them. Compared with them when a ledger is opened.
CREATE TABLE spent_years (
    tenant TEXT NOT NULL,
    year INTEGER NOT NULL,
    rho_picos INTEGER NOT NULL,
    PRIMARY KEY (tenant, year)
) STRICT, WITHOUT ROWID;

-- The signed bytes of charges that are unsent.
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY REFERENCES charges (sequence),
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE closed_windows (
    tenant TEXT PRIMARY KEY,
    window_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A centre's releases and their running sums.

CREATE TABLE pinned_ledgers (
    region TEXT NOT NULL,
    node TEXT NOT NULL,
    ledger BLOB NOT NULL CHECK (length(ledger) = 16),
    last_sequence INTEGER NOT NULL,
    PRIMARY KEY (region, node)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    task TEXT NOT NULL,
    region TEXT NOT NULL,
    node TEXT NOT NULL,
    window_id INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    rho_picos INTEGER NOT NULL,
    delta REAL NOT NULL,
    private INTEGER NOT NULL,
    policy BLOB NOT NULL,
    frame BLOB NOT NULL,
    digest BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL,
    UNIQUE (tenant, task, region, node, window_id)
) STRICT;

CREATE INDEX releases_of_tenant ON releases (tenant, ordinal);

-- Apart from the summaries, so that lists do not read them.
CREATE TABLE envelopes (
    ordinal INTEGER PRIMARY KEY REFERENCES releases (ordinal),
    bytes BLOB NOT NULL
) STRICT;

-- One running sum of what encodes alike.
CREATE TABLE sums (
    tenant TEXT NOT NULL,
    task TEXT NOT NULL,
    frame BLOB NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (tenant, task, frame)
) STRICT;

-- A centre's models and catalogues.

CREATE TABLE models (
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest BLOB NOT NULL,
    frame BLOB NOT NULL,
    size INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (tenant, version)
) STRICT;

CREATE TABLE pointers (
    tenant TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    FOREIGN KEY (tenant, version) REFERENCES models (tenant, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE catalogues (
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest BLOB NOT NULL,
    items INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (tenant, version)
) STRICT;
