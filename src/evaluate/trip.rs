//! Frame by frame: what was sent, and what came back through a 16-bit file.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field};
use ndarray::Array3;

use super::channel::Channel;
use super::{Sent, data_mapping};
use crate::dataset::{Origin, Unseen};
use crate::error::Result;
use crate::model::Model;
use crate::sonifier::Sound;
use crate::table;

/// One frame on its way through sound, preset `data`.
#[derive(Clone, Debug)]
pub struct Trip {
    /// The flight, place or clip that it is from.
    pub group: String,
    /// Where it is from.
    pub origin: Origin,
    /// What was sent.
    pub sound: Sound,
    /// What came back, `[band, row, column]` in physical units.
    pub back: Array3<f32>,
    /// PSNR in dB (peak 1) of what came back.
    pub psnr_db: f64,
}

/// Sends the `unseen` frames through a 16-bit file, with codes of `values`
/// values.
///
/// # Errors
///
/// As for [`super::scores`].
pub fn trips(model: &Model, unseen: &Unseen, values: usize) -> Result<Vec<Trip>> {
    let mut sent = Sent::new(model, &unseen.frames, data_mapping(model, values))?;
    let received = sent.receive(Channel::Wav)?.unwrap_or_default();
    let psnr_db = sent.psnr_db(&received);
    let from = unseen.groups.iter().zip(&unseen.origins);
    let rest = from.zip(sent.sounds).zip(received).zip(psnr_db);
    Ok(rest
        .map(|((((group, origin), sound), received), psnr_db)| Trip {
            group: group.clone(),
            origin: origin.clone(),
            sound,
            back: received.picture,
            psnr_db,
        })
        .collect())
}

/// Writes a table with a row for each of `trips`, as [`table::save`] does: the
/// source of the frame, its number in there, its group, its scores and its code,
/// one byte for each value.
///
/// # Errors
///
/// As for [`table::save`].
pub fn save(path: &Path, trips: &[Trip], about: &[(&str, String)]) -> Result<()> {
    let numbers = |name: &str, of: fn(&Trip) -> f64| -> (Field, ArrayRef) {
        let column = Float64Array::from_iter_values(trips.iter().map(of));
        (Field::new(name, DataType::Float64, false), Arc::new(column))
    };
    let sources = StringArray::from_iter_values(trips.iter().map(|trip| &trip.origin.source));
    let frames = trips.iter().map(|trip| trip.origin.frame as u32);
    let frames = UInt32Array::from_iter_values(frames);
    let groups = StringArray::from_iter_values(trips.iter().map(|trip| &trip.group));
    let columns = vec![
        (Field::new("source", DataType::Utf8, false), Arc::new(sources) as ArrayRef),
        (Field::new("frame", DataType::UInt32, false), Arc::new(frames)),
        (Field::new("group", DataType::Utf8, false), Arc::new(groups)),
        numbers("psnr_db", |trip| trip.psnr_db),
        numbers("loudness_lufs", |trip| trip.sound.loudness_lufs),
        numbers("band_energy", |trip| trip.sound.band_energy),
        table::codes(trips.iter().map(|trip| Some(&trip.sound.code[..]))),
    ];
    table::save(path, columns, about)
}
