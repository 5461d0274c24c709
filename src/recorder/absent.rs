//! Stands in for the Rerun stream in builds without the feature `rerun`.

use std::sync::Arc;

use super::outlet::Destination;
use super::queue::Entry;
use super::{Pace, Session};
use crate::error::{Error, Fault, Result};

/// Identifies a recording.
#[derive(Clone, Debug)]
pub(super) struct RecordingId;

pub(super) fn recording_id() -> RecordingId {
    RecordingId
}

/// There is no stream in this build.
#[derive(Debug)]
pub(super) enum Stream {}

impl Stream {
    pub fn open(
        destination: &Destination,
        _pace: Pace,
        _recording: &RecordingId,
        _about: &Arc<Session>,
    ) -> Result<Self> {
        Err(Error::new(Fault::Unsupported, destination, "this build has no session recorder")
            .hint("build with the feature `rerun`"))
    }

    pub fn write(&mut self, _entry: &Entry) -> std::result::Result<(), String> {
        match *self {}
    }

    pub fn end(self, _dropped: u64) -> std::result::Result<(), String> {
        match self {}
    }
}
