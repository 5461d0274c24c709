//! Where frames come from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Frame, GeoReference};
use crate::profile::Profile;

/// What a source is, known before its first frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// One phrase for people: what it is and what it was opened from.
    pub description: String,
    /// Its bands, in the order of [`Frame::data`].
    pub bands: Arc<[Band]>,
    /// Rows of a picture: of the first one where they differ, of a chip where
    /// a scene is tiled.
    pub rows: usize,
    /// Columns of a picture, likewise.
    pub columns: usize,
    /// How many frames will come; `None` where it is endless or unknown.
    pub frames: Option<usize>,
    /// Seconds between frames; `None` where the source has no clock of its
    /// own (pictures in a folder, pages, chips) and each frame gets one slot.
    pub period_s: Option<f64>,
    /// How the scene is tiled, where it is.
    pub scene: Option<Scene>,
}

/// A scene tiled into square chips of the model's grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// Rows of the whole scene in pixels.
    pub rows: usize,
    /// Columns of the whole scene in pixels.
    pub columns: usize,
    /// Side of a chip in pixels; chips at the lower and right edge are padded
    /// with NaN.
    pub chip: usize,
    /// Where the whole scene lies, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub georeference: Option<GeoReference>,
}

/// A source of frames. An error ends the iteration.
pub trait Sensor: Iterator<Item = Result<Frame>> + Send {
    /// What this source is.
    fn source(&self) -> &Source;
}

/// How to open a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Tile scenes into square chips of so many pixels; `None`: whole
    /// pictures.
    pub chip: Option<usize>,
    /// Seed of the simulated camera.
    pub seed: u64,
    /// Stop after so many frames.
    pub frames: Option<usize>,
}

/// Opens `source`: `simulated`, a folder of pictures, a picture, a TIFF of one
/// page or many, a raster, or a video file.
///
/// # Errors
///
/// If it is missing, empty, damaged or of a kind that this build cannot read.
pub fn open(source: &str, profile: Option<&Profile>, options: &Options) -> Result<Box<dyn Sensor>> {
    let _ = (profile, options);
    Err(Error::new(Fault::Unsupported, source, "no reader for this kind of source"))
}

/// The bands of a file whose own metadata says `found`, as `profile` has them.
///
/// Where the profile lists bands, their names, wavelengths, widths and units
/// are the profile's. Scale and offset are the file's where it states any
/// (other than 1 and 0), else the profile's. Without a profile, or where it
/// takes its bands from the metadata, the file's word stands.
///
/// # Errors
///
/// If the profile lists another number of bands than the file has.
pub(crate) fn reconcile(
    subject: &str,
    found: Vec<Band>,
    profile: Option<&Profile>,
) -> Result<Arc<[Band]>> {
    let Some((profile, listed)) = profile.and_then(|p| Some((p, p.listed_bands()?))) else {
        return Ok(found.into());
    };
    if listed.len() != found.len() {
        let what = format!(
            "has {}, but the sensor profile {} lists {}",
            count(found.len(), "band"),
            profile.name,
            listed.len()
        );
        return Err(Error::usage(subject, what)
            .hint("choose the profile of the instrument with --sensor, or leave it out"));
    }
    let merged = listed.iter().zip(found).map(|(listed, found)| {
        let mut band = listed.clone();
        if (found.scale, found.offset) != (1.0, 0.0) {
            (band.scale, band.offset) = (found.scale, found.offset);
        }
        band
    });
    Ok(merged.collect())
}

/// `1 band`, `2 bands`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Unit;

    #[test]
    fn the_profile_names_the_bands_and_the_file_scales_them() {
        let profile = Profile::find("sentinel2-l2a").unwrap();
        let mut found: Vec<Band> =
            (0..12).map(|b| Band::new(b.to_string(), Unit::Counts)).collect();
        found[3].scale = 0.5;
        let bands = reconcile("a.tif", found.clone(), Some(&profile)).unwrap();
        assert_eq!((bands[3].name.as_str(), bands[3].scale), ("B04", 0.5));
        assert_eq!((bands[2].unit, bands[2].scale), (Unit::Reflectance, 1e-4));
        let error = reconcile("a.tif", found[..5].to_vec(), Some(&profile)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.tif: has 5 bands, but the sensor profile sentinel2-l2a lists 12"
        );
        assert_eq!(reconcile("a.tif", found.clone(), None).unwrap().len(), 12);
    }
}
