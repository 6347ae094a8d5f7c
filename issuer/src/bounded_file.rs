//! Files that somebody names: none is waited for, and none is read beyond what it may hold.

use std::fs::{File, metadata};
use std::io::{Error, ErrorKind, Read as _};
use std::path::Path;

/// Opens a file for reading.
///
/// # Errors
/// Whatever the system says, and that it is neither a plain file nor, below `/dev`, what a shell has opened already: opening a
/// named pipe would wait for somebody to write.
pub fn open(path: &Path) -> Result<File, Error> {
    let found = metadata(path)?;
    if found.is_file() || (path.starts_with("/dev") && !found.is_dir()) {
        return File::open(path);
    }
    Err(Error::new(ErrorKind::InvalidInput, "not a plain file"))
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// As [`open`], and for a larger file.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("larger than {most} bytes")));
    }
    Ok(bytes)
}

/// Reads a text of at most `most` bytes.
///
/// # Errors
/// As [`read`], and for what is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String, Error> {
    String::from_utf8(read(path, most)?).map_err(|_| Error::new(ErrorKind::InvalidData, "not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::Scratch;

    #[test]
    fn only_plain_files_within_the_bound_are_read() {
        let scratch = Scratch::new();
        let file = scratch.0.join("file");
        std::fs::write(&file, "four").unwrap();
        assert_eq!(read_text(&file, 4).unwrap(), "four");
        assert_eq!(read(&file, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read(Path::new("/dev/zero"), 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read(Path::new("/dev/null"), 3).unwrap(), b"");
        assert_eq!(read(&scratch.0, 3).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(read(Path::new("/dev"), 3).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(read(&scratch.0.join("none"), 3).unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::write(&file, b"\xff").unwrap();
        assert_eq!(read_text(&file, 4).unwrap_err().kind(), ErrorKind::InvalidData);
        let pipe = scratch.0.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read(&pipe, 3).unwrap_err().kind(), ErrorKind::InvalidInput, "nobody writes into it");
    }
}
