//! The README's folder map is true.

use std::collections::BTreeSet;

use super::sources::{assert_none, files, required_text};

#[test]
fn the_folder_map_names_the_folders_there_are() {
    let files = files();
    let exists = |folder: &str| files.iter().any(|file| file.starts_with(folder));
    let readme = required_text("README.md");
    let section = readme.split("## Folder map").nth(1).expect("a section `Folder map` in README.md");
    let map = section.split("```").nth(1).expect("a fenced block in the folder map");
    let named: BTreeSet<_> = map.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(!named.is_empty(), "the folder map is empty");

    let untrue = named.iter().filter(|folder| !folder.ends_with('/') || !exists(folder));
    let untrue = untrue.map(|folder| format!("`{folder}` is not a folder"));
    let top: BTreeSet<_> = files.iter().filter_map(|file| Some(&file[..=file.find('/')?])).collect();
    let left_out = top.iter().filter(|folder| !folder.starts_with('.') && !named.contains(**folder));
    let left_out = left_out.map(|folder| format!("`{folder}` is left out"));
    assert_none("README.md's folder map", &untrue.chain(left_out).collect::<Vec<_>>());
}
