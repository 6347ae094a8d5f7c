-- Tree. Level 0 of the tree is leaf.hash; node holds every eighth level above it, as tiles have them. The levels between
-- are computed from those: stored, they would be a row more for each leaf.
CREATE TABLE leaf (
  idx   INTEGER PRIMARY KEY,
  entry BLOB NOT NULL UNIQUE CHECK (length(entry) = 16),
  hash  BLOB NOT NULL CHECK (length(hash) = 32),
  bytes BLOB NOT NULL CHECK (length(bytes) <= 65535)
) STRICT;

CREATE TABLE node (
  level INTEGER NOT NULL CHECK (level > 0 AND level % 8 = 0),
  idx   INTEGER NOT NULL,
  hash  BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY CHECK (size > 0),
  root BLOB NOT NULL CHECK (length(root) = 32),
  note TEXT NOT NULL
) STRICT;

-- The one row that a commit moves by compare-and-swap. A new epoch begins with each process that opens the log to write.
CREATE TABLE head (
  singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
  size      INTEGER NOT NULL,
  root      BLOB NOT NULL CHECK (length(root) = 32),
  epoch     INTEGER NOT NULL,
  last_t_ms INTEGER NOT NULL,
  anchored  INTEGER NOT NULL DEFAULT 0 CHECK (anchored IN (0, 1))
) STRICT;

-- What opens the leaves' commitments: salt and value, sealed under the key that subjects.db holds for the subject. Rows can be
-- deleted; nothing refers to them and nothing cascades. Without a sealed value, the row says that it was erased.
CREATE TABLE disclosure (
  entry   BLOB NOT NULL CHECK (length(entry) = 16),
  name    TEXT NOT NULL,
  subject BLOB NOT NULL CHECK (length(subject) = 16),
  sealed  BLOB,
  PRIMARY KEY (entry, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE task (
  task      BLOB PRIMARY KEY CHECK (length(task) = 16),
  expires_s INTEGER NOT NULL,
  max_hops  INTEGER NOT NULL,
  hops      INTEGER NOT NULL DEFAULT 0,
  subject   BLOB NOT NULL CHECK (length(subject) = 16)
) STRICT, WITHOUT ROWID;

CREATE TABLE derivation (
  block_id BLOB PRIMARY KEY CHECK (length(block_id) = 32),
  idx      INTEGER NOT NULL REFERENCES leaf (idx)
) STRICT, WITHOUT ROWID;

-- By expiry first, so that rows are added near one end and forgotten at the other; a key's proof names its own expiry.
CREATE TABLE single_use (
  expires_s INTEGER NOT NULL,
  key       BLOB NOT NULL CHECK (length(key) = 32),
  PRIMARY KEY (expires_s, key)
) STRICT, WITHOUT ROWID;

-- Ranges of expiries that were deleted from single_use: what expires there may have been spent.
CREATE TABLE forgotten (
  id     INTEGER PRIMARY KEY,
  from_s INTEGER NOT NULL,
  to_s   INTEGER NOT NULL
) STRICT;

-- A guard against our own mistakes, not against an attacker, who can drop it: the tree's tables only grow.
CREATE TRIGGER leaf_update BEFORE UPDATE ON leaf BEGIN SELECT RAISE (ABORT, 'leaves are append-only'); END;
CREATE TRIGGER leaf_delete BEFORE DELETE ON leaf BEGIN SELECT RAISE (ABORT, 'leaves are append-only'); END;
CREATE TRIGGER node_update BEFORE UPDATE ON node BEGIN SELECT RAISE (ABORT, 'nodes are append-only'); END;
CREATE TRIGGER node_delete BEFORE DELETE ON node BEGIN SELECT RAISE (ABORT, 'nodes are append-only'); END;
CREATE TRIGGER checkpoint_update BEFORE UPDATE ON checkpoint BEGIN SELECT RAISE (ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER checkpoint_delete BEFORE DELETE ON checkpoint BEGIN SELECT RAISE (ABORT, 'checkpoints are append-only'); END;
