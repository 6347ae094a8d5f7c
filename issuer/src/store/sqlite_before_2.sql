-- A file of the first schema, opened for reading only, is read as what it is: a log that keeps everything.
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE retention (leaf INTEGER, minimum INTEGER, deleted INTEGER);
CREATE TEMP VIEW disclosure AS SELECT entry, name, subject, sealed, 0 AS expired FROM main.disclosure;
