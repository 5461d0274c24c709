//! Stands in for the reader of sessions in builds without the feature `rerun`.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Recorded, Replay};
use crate::error::{Error, Fault, Result};

pub fn read(path: &Path) -> Result<Replay> {
    Err(unsupported(path))
}

fn unsupported(path: &Path) -> Error {
    Error::new(Fault::Unsupported, path.display(), "this build has no session recorder")
        .hint("build with the feature `rerun`")
}

/// There is none in this build.
#[derive(Debug)]
pub enum Slots {}

impl Slots {
    /// Opens nothing.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn open(path: &Path) -> Result<Self> {
        Err(unsupported(path))
    }

    /// What the session says of itself.
    pub fn about(&self) -> &BTreeMap<String, String> {
        match *self {}
    }
}

impl Iterator for Slots {
    type Item = Result<Recorded>;

    fn next(&mut self) -> Option<Self::Item> {
        match *self {}
    }
}
