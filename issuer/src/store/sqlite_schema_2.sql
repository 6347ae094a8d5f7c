-- What the newest leaf of kind `retention` says, where look-ups and triggers find it. The leaf is what counts; without a row, the
-- log keeps everything. Leaves below `minimum` are not handed out, of those below `deleted` but the first the bytes are gone.
CREATE TABLE retention (
  singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
  leaf      INTEGER NOT NULL REFERENCES leaf (idx),
  minimum   INTEGER NOT NULL CHECK (minimum % 256 = 0 AND minimum <= leaf),
  deleted   INTEGER NOT NULL CHECK (deleted % 256 = 0 AND deleted <= minimum)
) STRICT;

CREATE TRIGGER retention_back BEFORE UPDATE ON retention
WHEN new.leaf <= old.leaf OR new.minimum < old.minimum OR new.deleted < old.deleted
BEGIN SELECT RAISE (ABORT, 'what went does not come back'); END;
CREATE TRIGGER retention_delete BEFORE DELETE ON retention BEGIN SELECT RAISE (ABORT, 'what went does not come back'); END;

-- A row without a sealed value that is not an erasure: the value was kept for as long as it was to be.
ALTER TABLE disclosure ADD COLUMN expired INTEGER NOT NULL DEFAULT 0 CHECK (expired IN (0, 1));

-- The one change that a leaf may see: its bytes go, once the log has said so. Its hash stays, and with it the tree.
DROP TRIGGER leaf_update;
CREATE TRIGGER leaf_update BEFORE UPDATE ON leaf
WHEN NOT (
  new.idx = old.idx AND new.entry = old.entry AND new.hash = old.hash AND length(new.bytes) = 0
  AND old.idx > 0 AND old.idx < coalesce((SELECT deleted FROM retention), 0)
)
BEGIN SELECT RAISE (ABORT, 'leaves are append-only'); END;
