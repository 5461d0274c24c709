//! Stands in for the microphone in builds without the feature `sound`.

use crate::error::{Error, Fault, Result};

/// There is no input for sound in this build.
#[derive(Debug)]
pub enum Microphone {}

impl Microphone {
    /// Says so.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn open(_name: Option<&str>) -> Result<Self> {
        Err(Error::new(Fault::Unsupported, "microphone", "this build hears no sound")
            .hint("build with the feature `sound`, or give a recording as a file"))
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        match *self {}
    }

    /// Waits for samples.
    ///
    /// # Errors
    ///
    /// Never: there is none of these.
    pub fn read(&mut self, _samples: &mut Vec<f32>) -> Result<()> {
        match *self {}
    }
}
