//! The whole middle, no I/O.
