//! One binary for all integration tests, one module per subject.

#[path = "it/sound.rs"]
mod sound;

/// So that a test can forbid allocation where sound is made.
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
