//! What you see is what you hear: pictures that no eye can see, as sound, and
//! the sound as pictures again.
//!
//! The modules stand in the order of the signal path:
//!
//! ```text
//! Sensor -> Frame -> normalise -> Encoder -> Code -> Mapping -> Spectrum -> Synth -> samples -> Sink
//!             |                     |         '-> Decoder -> reconstruction                      |
//!             '------------------------ Recorder (read-only tap) --------------------------------'
//! and back:   samples -> Receiver -> Spectrum -> Code -> Decoder -> Frame
//! ```

pub mod error;
pub mod frame;
pub mod profile;
pub mod sensor;

pub mod autoencoder;
pub mod dataset;
pub mod model;
pub mod train;

pub mod ears;
pub mod original;
pub mod receiver;
pub mod sonifier;
pub mod spectrum;
pub mod stereo;
pub mod synth;

mod degree;
mod digest;
mod intake;
pub mod npy;
pub mod picture;
mod program;
pub mod recorder;
pub mod session;
pub mod sink;
mod staging;
pub mod table;
pub mod voice;

pub mod catalogue;
pub mod convert;
pub mod demo;
pub mod evaluate;
pub mod inspect;
pub mod listen;
pub mod live;
pub mod map;
pub mod plan;
pub mod practice;

pub mod random;

pub use error::{Error, Fault, Result};
pub use frame::{Band, Frame, GeoReference, Unit};
pub use profile::Profile;
pub use staging::check_place;
