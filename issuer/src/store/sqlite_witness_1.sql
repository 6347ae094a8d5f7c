-- Whose state this is: a key that met another state could cosign two histories.
CREATE TABLE witness (
  singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
  vkey      TEXT NOT NULL
) STRICT;

-- The newest checkpoint cosigned for each log, with the lines of log and witness. Rows move forward by compare-and-swap.
CREATE TABLE cosigned (
  origin TEXT PRIMARY KEY,
  size   INTEGER NOT NULL CHECK (size >= 0),
  root   BLOB NOT NULL CHECK (length(root) = 32),
  time_s INTEGER NOT NULL,
  note   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER cosigned_back BEFORE UPDATE ON cosigned WHEN new.size < old.size
BEGIN SELECT RAISE (ABORT, 'a witness does not go back'); END;
CREATE TRIGGER cosigned_delete BEFORE DELETE ON cosigned BEGIN SELECT RAISE (ABORT, 'a witness does not forget'); END;
