//! The only threads.
