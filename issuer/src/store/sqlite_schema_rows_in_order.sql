-- Disclosures in the order in which they were written: a commit adds a page or two at the end of the table, and goes to the index on
-- `entry` only for its small rows. Before, the sealed values lay in the index itself, which is split wherever an entry comes in
-- between, so that a commit wrote most pages of the last moment again.
ALTER TABLE disclosure RENAME TO disclosure_by_entry;

CREATE TABLE disclosure (
  entry   BLOB NOT NULL CHECK (length(entry) = 16),
  name    TEXT NOT NULL,
  subject BLOB NOT NULL CHECK (length(subject) = 16),
  sealed  BLOB,
  expired INTEGER NOT NULL DEFAULT 0 CHECK (expired IN (0, 1)),
  PRIMARY KEY (entry, name)
) STRICT;

INSERT INTO disclosure (entry, name, subject, sealed, expired)
SELECT entry, name, subject, sealed, expired FROM disclosure_by_entry ORDER BY entry, name;

DROP TABLE disclosure_by_entry;
