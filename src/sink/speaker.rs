//! The speaker.
