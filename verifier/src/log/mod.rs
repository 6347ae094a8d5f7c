//! Merkle log: hashes, proofs, notes, tiles and receipts (C2SP), without I/O.
