//! The bands of a profile, as its file lists them.

use std::fmt;
use std::path::Path;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::frame::Band;

/// What is longer is no light that a picture is taken by, but nanometres.
const LONGEST_UM: f32 = 1000.0;

/// The bands of an instrument: listed, or taken from each file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Bands {
    /// These, in the order of the file.
    Listed(Vec<Band>),
    /// `bands = "from metadata"`: whatever the file says, as for cubes.
    FromMetadata(FromMetadata),
}

/// The only word that may stand for a list of bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromMetadata {
    /// See [`Bands::FromMetadata`].
    #[serde(rename = "from metadata")]
    FromMetadata,
}

/// Reads either, and says of a band that is wrong what is wrong with it.
impl<'de> Deserialize<'de> for Bands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Bands;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of bands or \"from metadata\"")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> std::result::Result<Bands, E> {
                FromMetadata::deserialize(word.into_deserializer()).map(Bands::FromMetadata)
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                bands: A,
            ) -> std::result::Result<Bands, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(bands)).map(Bands::Listed)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Refuses wavelengths and widths that no `band` of a profile from `origin` has.
pub(super) fn check_wavelengths(band: &Band, origin: &Path) -> Result<()> {
    let places = [("wavelength_um", band.wavelength_um), ("fwhm_um", band.fwhm_um)];
    // Not a number is outside, too.
    let odd = |um: f32| !(um > 0.0 && um <= LONGEST_UM);
    match places.into_iter().find_map(|(key, um)| um.filter(|&um| odd(um)).map(|um| (key, um))) {
        Some((key, um)) => {
            let what = format!("band {} has the {key} {um}, outside 0..{LONGEST_UM}", band.name);
            Err(Error::input(origin, what)
                .hint("it is in micrometres: 842 nanometres are 0.842, and 9 um are 9.0"))
        }
        None => Ok(()),
    }
}
