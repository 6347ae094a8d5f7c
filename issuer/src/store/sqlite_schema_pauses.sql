-- The tasks and agents that are held for now, each under the leaf that says so. A resumption takes the row away.
CREATE TABLE pause (
  kind   TEXT NOT NULL CHECK (kind IN ('task', 'agent')),
  target BLOB NOT NULL,
  idx    INTEGER NOT NULL,
  PRIMARY KEY (kind, target)
) STRICT, WITHOUT ROWID;
