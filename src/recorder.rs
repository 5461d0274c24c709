//! The Rerun tap.
