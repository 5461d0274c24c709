//! Stands in for the reader of sessions in builds without the feature `rerun`.

use std::path::Path;

use super::Replay;
use crate::error::{Error, Fault, Result};

pub fn read(path: &Path) -> Result<Replay> {
    Err(Error::new(Fault::Unsupported, path.display(), "this build has no session recorder")
        .hint("build with the feature `rerun`"))
}
