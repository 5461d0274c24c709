//! A session read back: scores, codes and marks, or slot after slot with its
//! pictures.

#[cfg_attr(not(feature = "rerun"), path = "replay/absent.rs")]
mod rrd;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field};
use ndarray::Array3;

use crate::error::{Error, Result};
use crate::table;

pub use rrd::Slots;

/// A slot as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its number.
    pub slot: u64,
    /// Seconds since the end of the lead-in.
    pub time_s: f64,
    /// The code, 0..1.
    pub code: Vec<f32>,
    /// The frame as sent, `[band, row, column]` in physical units; none where the
    /// recorder dropped it.
    pub input: Option<Array3<f32>>,
}

/// The scores of a slot that has them, by the names of their curves, in the
/// order of the table.
pub const SCORES: [&str; 10] = [
    "loudness_lufs",
    "band_energy",
    "psnr_db",
    "latency_s",
    "sample",
    "left_out",
    "drops",
    "highest",
    "lowest",
    "centre",
];

/// One slot of a session that was read back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// Seconds since the end of the lead-in.
    pub time_s: f64,
    /// The code, 0..1.
    pub code: Option<Vec<f32>>,
    /// What there is of [`SCORES`].
    pub scores: BTreeMap<String, f64>,
}

/// A session that was read back, without its pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// What it says of itself: `command_line`, `version`, `seed`, `model`,
    /// `model_hash`, `profile`, `source`, `wav`, `lead_in_s`; `header`, what a sound
    /// file of it says about itself, and `bands`, both as JSON.
    pub about: BTreeMap<String, String>,
    /// The slots, by their numbers.
    pub moments: BTreeMap<u64, Replayed>,
    /// What was noted, with slot and seconds.
    pub marks: Vec<(u64, f64, String)>,
    /// How many pictures the recorder dropped; absent where the session was
    /// not ended, as when the program was killed.
    pub dropped: Option<u64>,
}

impl Replay {
    /// Reads the session at `path`; of one that is cut off, what is there.
    ///
    /// # Errors
    ///
    /// If it is no session of ours, holds no slot, or this build has no
    /// recorder.
    pub fn read(path: &Path) -> Result<Self> {
        let replay = rrd::read(path)?;
        if replay.moments.is_empty() {
            return Err(Error::input(path, "holds no sound frames, as the session of a training")
                .hint(format!("look at it: wysiwyh view {}", path.display())));
        }
        Ok(replay)
    }

    /// The slot of this number.
    #[cfg_attr(not(feature = "rerun"), allow(dead_code, reason = "called by the reader only"))]
    fn moment(&mut self, slot: u64, time_s: f64) -> &mut Replayed {
        self.moments.entry(slot).or_insert_with(|| Replayed { time_s, ..Replayed::default() })
    }

    /// Writes a row for each slot to `path`, as [`table::save`] does: `slot`,
    /// `time_s`, [`SCORES`], what was noted there (`mark`), and the code.
    ///
    /// # Errors
    ///
    /// As for [`table::save`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let rows = || self.moments.values();
        let slots = UInt64Array::from_iter_values(self.moments.keys().copied());
        let times = Float64Array::from_iter_values(rows().map(|row| row.time_s));
        let mut columns: Vec<(Field, ArrayRef)> = vec![
            (Field::new("slot", DataType::UInt64, false), Arc::new(slots)),
            (Field::new("time_s", DataType::Float64, false), Arc::new(times)),
        ];
        for name in SCORES {
            let values: Float64Array = rows().map(|row| row.scores.get(name).copied()).collect();
            columns.push((Field::new(name, DataType::Float64, true), Arc::new(values)));
        }
        let mut marks: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for (slot, _, text) in &self.marks {
            marks.entry(*slot).or_default().push(text);
        }
        let marks: StringArray =
            self.moments.keys().map(|slot| marks.get(slot).map(|m| m.join("; "))).collect();
        columns.push((Field::new("mark", DataType::Utf8, true), Arc::new(marks)));
        columns.push(table::codes(rows().map(|row| row.code.as_deref())));
        let about: Vec<(&str, String)> =
            self.about.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        table::save(path, columns, &about)
    }
}
