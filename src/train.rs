//! The losses and the loop.
