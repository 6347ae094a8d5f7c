-- The keys under which disclosures are sealed, one for each person. Nothing outside this file holds them, so that a copy of the
-- log's database alone opens nothing, and deleting a row here takes the values from every copy.
CREATE TABLE subject (
  pseudonym BLOB PRIMARY KEY CHECK (length(pseudonym) = 16),
  key       BLOB NOT NULL CHECK (length(key) = 32)
) STRICT, WITHOUT ROWID;

-- People whose key was deleted and may still stand in free pages or in the journal: their erasure can be run again.
CREATE TABLE leaving (
  pseudonym BLOB PRIMARY KEY CHECK (length(pseudonym) = 16)
) STRICT, WITHOUT ROWID;

-- Makes pseudonyms of names.
CREATE TABLE naming (
  singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
  key       BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;
