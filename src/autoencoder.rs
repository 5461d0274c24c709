//! Frame to code and back.
