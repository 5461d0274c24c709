//! Where samples go.
