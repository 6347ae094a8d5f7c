-- How far the index reaches, and the key under which names are hashed. The key goes with the file.
CREATE TABLE cursor (
  singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
  next      INTEGER NOT NULL,
  last      BLOB CHECK (length(last) = 32),
  key       BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

CREATE TABLE term (
  field INTEGER NOT NULL,
  value BLOB NOT NULL,
  idx   INTEGER NOT NULL,
  PRIMARY KEY (field, value, idx)
) STRICT, WITHOUT ROWID;

-- What a leaf is found under: names are forgotten and compared leaf by leaf.
CREATE INDEX term_leaf ON term (idx, field);
