-- What was revoked, under the leaf that says so. A cut-off names the second before which tokens were issued; the row of a
-- later one takes the place of an earlier one of its target.
CREATE TABLE revocation (
  kind     TEXT NOT NULL CHECK (kind IN ('block', 'task', 'subject', 'agent', 'key')),
  target   BLOB NOT NULL,
  before_s INTEGER CHECK ((before_s IS NULL) = (kind IN ('block', 'task'))),
  until_s  INTEGER NOT NULL,
  idx      INTEGER NOT NULL,
  PRIMARY KEY (kind, target)
) STRICT, WITHOUT ROWID;

-- For which client each authority block was minted, with the scope that it was given. By task first: task ids begin with the
-- time, so that rows of one time lie side by side.
CREATE TABLE minted (
  task     BLOB NOT NULL CHECK (length(task) = 16),
  block_id BLOB NOT NULL CHECK (length(block_id) = 32),
  client   TEXT NOT NULL,
  scope    TEXT NOT NULL,
  idx      INTEGER NOT NULL,
  PRIMARY KEY (task, block_id)
) STRICT, WITHOUT ROWID;
