//! Thermal recordings, damaged; `make soak` does more of it.

use crate::damage;

#[test]
fn damaged_recordings_end_in_frames_or_in_an_error() {
    let Some(data) = crate::data() else { return };
    let frames = damage::recordings(&data, 0..320, |_, _| {});
    // Some of the damage does no harm.
    assert!(frames > 50, "{frames} frames");
}
