//! Stands in for the speaker in builds without the feature `sound`.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::Sink;
use crate::error::{Error, Fault, Result};

/// There is no speaker in this build.
#[derive(Debug)]
pub enum Speaker {}

impl Speaker {
    /// Says so.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn open(_volume_db: f32, _device: Option<&str>, _balance: [f32; 2]) -> Result<Self> {
        Err(Error::new(Fault::Unsupported, "speaker", "this build plays no sound")
            .hint("build with the feature `sound`, or go on without: --no-speaker"))
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        match *self {}
    }

    /// Whether left and right are heard apart.
    pub fn has_sides(&self) -> bool {
        match *self {}
    }

    /// Plays samples, left and right of each.
    pub fn play(&mut self, _samples: &[[f32; 2]]) {
        match *self {}
    }

    /// Asks for another volume in dB.
    pub fn set_volume(&self, _volume_db: f32) {
        match *self {}
    }

    /// Fades to silence, or from it.
    pub fn set_muted(&self, _muted: bool) {
        match *self {}
    }

    /// Seconds of sound that wait to be taken by the device.
    pub fn waiting_s(&self) -> f64 {
        match *self {}
    }

    /// When the next sample that is written will be heard.
    pub fn heard_at(&self) -> Option<Instant> {
        match *self {}
    }

    /// Waits until there is sound for no longer than `lead`.
    pub fn wait(&mut self, _lead: Duration, _stop: &AtomicBool) {
        match *self {}
    }

    /// How often the sound had a gap.
    pub fn underruns(&self) -> u64 {
        match *self {}
    }

    /// Seconds of sound that the guard held back.
    pub fn acted_s(&self) -> f64 {
        match *self {}
    }

    /// Says that no more samples will come, so that it is no gap when they have
    /// been played.
    pub fn end(&self) {
        match *self {}
    }

    /// Whether there is a device at present.
    pub fn is_connected(&self) -> bool {
        match *self {}
    }
}

impl Sink for Speaker {
    fn write(&mut self, _samples: &[f32]) -> Result<()> {
        match *self {}
    }

    fn finish(self: Box<Self>) -> Result<()> {
        match *self {}
    }
}
