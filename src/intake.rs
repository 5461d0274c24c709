//! Files that are read whole: none that never end, and none longer than such a
//! file can be.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// The bytes of the file at `path`, `most` at most. It is opened only if it is
/// a regular file: pipes and devices may never begin, or never end.
///
/// # Errors
///
/// If it is missing, no regular file, too long, or cannot be read.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let failed = |e| Error::input(path, e);
    let found = fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(Error::input(path, "is no file"));
    }
    if found.len() > most {
        let what = format!("{} bytes, such a file has at most {most}", found.len());
        return Err(Error::input(path, what));
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

/// The text of the file at `path`, of `most` bytes at most.
///
/// # Errors
///
/// As for [`read`], or if it is no text in UTF-8.
pub(crate) fn text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read(path, most)?).map_err(|e| Error::input(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_too_long_is_refused_without_reading_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "12345").unwrap();
        assert_eq!(text(&path, 5).unwrap(), "12345");
        let error = read(&path, 4).unwrap_err().to_string();
        assert!(error.ends_with("a: 5 bytes, such a file has at most 4"), "{error}");
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(text(&path, 5).is_err() && read(&folder.path().join("b"), 5).is_err());
        assert!(read(folder.path(), 5).unwrap_err().to_string().ends_with("is no file"));
        assert!(read(Path::new("/dev/zero"), 5).unwrap_err().to_string().ends_with("is no file"));
    }
}
