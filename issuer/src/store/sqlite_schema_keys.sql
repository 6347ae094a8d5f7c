-- What the newest leaf about each key that signs tokens says of it. A key that was taken away stays, so that it never comes back.
CREATE TABLE root_key (
  public_key   BLOB PRIMARY KEY CHECK (length(public_key) = 32),
  state        TEXT NOT NULL CHECK (state IN ('prepared', 'active', 'retired', 'tainted', 'removed')),
  not_before   INTEGER,
  not_after    INTEGER,
  spared_below INTEGER CHECK (spared_below IS NULL OR state = 'tainted'),
  asked        TEXT NOT NULL,
  idx          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Leaves about keys of which no row says what they mean: those of before the table, until they have been read into it, and those
-- that came back without their disclosures. No other text of a leaf can hold these bytes: quotes in it are escaped.
CREATE TABLE unread_key (
  idx INTEGER PRIMARY KEY
) STRICT;
INSERT INTO unread_key (idx) SELECT idx FROM leaf WHERE instr(bytes, CAST('"kind":"key"' AS BLOB)) > 0;
