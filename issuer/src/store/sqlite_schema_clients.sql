-- The clients that operators registered, under the leaf that says so: the entry as the configuration would have it, with digests
-- of secrets alone. A disabled one stays, so that nobody else gets its id.
CREATE TABLE client (
  id       TEXT PRIMARY KEY,
  entry    TEXT NOT NULL,
  disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
  idx      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
