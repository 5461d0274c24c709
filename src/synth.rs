//! Spectrum to samples.

/// Samples in a second, always.
pub const SAMPLE_RATE: usize = 48_000;
/// Samples in a slot: every frame is heard this long.
pub const SLOT: usize = 4800;
/// Seconds in a slot.
pub const SLOT_S: f64 = 0.1;
/// Samples after which the sound of one frame repeats: 80 ms, so that its
/// frequencies are the multiples of 12.5 Hz.
pub const CYCLE: usize = 3840;
/// Samples over which one frame gives way to the next: 10 ms, half of them on
/// each side of the slot's boundary.
pub const JOIN: usize = 480;
