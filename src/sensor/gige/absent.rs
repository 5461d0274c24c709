//! Stands in for the cameras in builds without the feature `gige`.

use crate::error::{Error, Fault, Result};
use crate::profile::Profile;
use crate::sensor::Sensor;
use crate::sensor::camera::Attached;

/// None that could be seen.
pub fn attached() -> Vec<Attached> {
    Vec::new()
}

/// Says that there is none.
///
/// # Errors
///
/// Always.
pub fn recognise(source: &str, _: &str, _: Option<&Profile>) -> Result<Profile> {
    Err(unsupported(source))
}

/// Says that there is none.
///
/// # Errors
///
/// Always.
pub fn open(source: &str, _: &str, _: Option<&Profile>) -> Result<Box<dyn Sensor>> {
    Err(unsupported(source))
}

fn unsupported(source: &str) -> Error {
    Error::new(Fault::Unsupported, source, "is a camera, and this build reads none of its kind")
        .hint("install libaravis-dev, 0.8.25 or later, and build with the feature `gige`")
}
