//! Spectrum to samples.
