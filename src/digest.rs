//! SHA-256 (FIPS 180-4), by which files, models and settings are told apart.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use sha2::Sha256;

/// A digest, which is written as 64 hexadecimal digits.
#[derive(Debug, Default)]
pub(crate) struct Digest(Sha256);

impl Digest {
    /// Of `bytes`, and of what is added.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        let mut digest = Self::default();
        digest.add(bytes);
        digest
    }

    /// Of what is in the file at `path`, and how many bytes that are.
    ///
    /// # Errors
    ///
    /// If it cannot be opened or read.
    pub fn of_file(path: &Path) -> io::Result<(Self, u64)> {
        let mut digest = Self::default();
        let bytes = io::copy(&mut File::open(path)?, &mut digest.0)?;
        Ok((digest, bytes))
    }

    /// Goes on with `bytes`.
    pub fn add(&mut self, bytes: impl AsRef<[u8]>) {
        sha2::Digest::update(&mut self.0, bytes);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = sha2::Digest::finalize(self.0.clone());
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first example of FIPS 180-2, appendix B.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_are_those_of_the_standard() {
        let mut parts = Digest::of("a");
        parts.add(b"bc");
        assert_eq!(parts.to_string(), ABC);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let (digest, bytes) = Digest::of_file(&path).unwrap();
        assert_eq!((digest.to_string().as_str(), bytes), (ABC, 3));
    }
}
