//! Samples to spectrum.
