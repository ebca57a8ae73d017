-- Signed policy bundles that were taken, the newest and some before it: a version only rises, also across restarts, and
-- releases made under an earlier one may still arrive. note is the signed note, files a JSON object of text by path,
-- logged its place in the transparency log, at a centre.

CREATE TABLE bundles (
    version INTEGER PRIMARY KEY CHECK (version > 0),
    note TEXT NOT NULL,
    files BLOB NOT NULL,
    logged INTEGER REFERENCES log_entries (ordinal),
    taken_ms INTEGER NOT NULL
) STRICT;
