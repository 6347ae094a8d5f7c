//! Writes the test vectors: `cargo run -p narrows-tests --bin vectors`.

use std::fs;

use narrows_tests::vectors::{all, file_text, folder};

fn main() -> std::io::Result<()> {
    let cases = all();
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        let stale = path.extension().is_some_and(|extension| extension == "json")
            && !path.file_stem().and_then(|name| name.to_str()).is_some_and(|name| cases.contains_key(name));
        if stale {
            fs::remove_file(path)?;
        }
    }
    for (name, vector) in &cases {
        fs::write(folder().join(format!("{name}.json")), file_text(vector))?;
    }
    println!("{} vectors", cases.len());
    Ok(())
}
