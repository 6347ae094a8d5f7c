//! The repository speaks of the project alone: of no registry host, no machine's folder, no note to self.

use super::sources::{assert_none, files, text};

/// Joined here, so that this file does not match itself. Compared without regard to case.
const PLACES: [&str; 5] =
    [concat!("crates", ".io"), concat!("npm", "js"), concat!("pypi", ".org"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Notes to self; in capitals only, since the lint that refuses them in code is named in small letters.
const NOTES: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Cargo itself writes the index's address here.
const WRITTEN_BY_TOOLS: [&str; 1] = ["Cargo.lock"];

#[test]
fn words_that_stay_out_are_out() {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| !WRITTEN_BY_TOOLS.iter().any(|name| file.ends_with(name))) {
        for (index, line) in text(file).unwrap_or_default().lines().enumerate() {
            let small = line.to_lowercase();
            let places = PLACES.iter().filter(|place| small.contains(**place));
            let notes = NOTES.iter().filter(|note| line.contains(**note));
            found.extend(places.chain(notes).map(|word| format!("{file}:{} says `{word}`", index + 1)));
        }
    }
    assert_none("words that stay out", &found);
}
