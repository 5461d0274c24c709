//! The table of a sound: one row for each of its slots.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, ListArray, UInt8Array, UInt32Array,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type};

use super::record::Request;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::map::{self, Footprint};
use crate::recorder::Moment;
use crate::sensor::{Scene, Source};
use crate::sink::Header;
use crate::sonifier::Sonifier;
use crate::synth::SLOT_S;
use crate::table::{TableWriter, code_byte};

/// So many rows wait for their places, which are cheaper to find together.
const WAITING: usize = 512;

/// The table of one sound in the making. Its columns are the same for every
/// source, and null where they do not apply; docs/archives.md explains them.
#[derive(Debug)]
pub(super) struct ChipTable {
    writer: TableWriter,
    scene: Option<Scene>,
    /// By how much times that were taken from the source's clock are multiplied,
    /// as it may be heard faster or slower; none where it has none.
    clock: Option<f64>,
    /// Number of values of a code.
    values: i32,
    waiting: Vec<Chip>,
    written: usize,
}

/// One row.
#[derive(Debug)]
pub(super) struct Chip {
    position: [u32; 2],
    time_s: f64,
    code: Vec<u8>,
    band_means: Vec<Option<f32>>,
    loudness_lufs: f32,
    psnr_db: Option<f32>,
    valid: f32,
    clouds: Option<f32>,
}

impl Chip {
    /// The row of what was seen in `frame`, of the means of its bands (see
    /// [`Sound::band_means`](crate::sonifier::Sound::band_means)), and of what
    /// became of it.
    pub fn of(frame: &Frame, means: Vec<Option<f64>>, heard: &Moment) -> Self {
        let seen = means.iter().any(Option::is_some);
        Self {
            position: [frame.position.0 as u32, frame.position.1 as u32],
            time_s: frame.time_s,
            code: heard.code.iter().copied().map(code_byte).collect(),
            band_means: means.into_iter().map(|mean| mean.map(|mean| mean as f32)).collect(),
            loudness_lufs: heard.loudness_lufs as f32,
            psnr_db: heard.psnr_db.filter(|_| seen).map(|psnr_db| psnr_db as f32),
            valid: frame.valid_fraction(),
            clouds: frame.cloud_fraction,
        }
    }

    /// Whether pixels of `frame`, whose row it is, have no reading, but for those of a
    /// tile that lie beyond the edge of its `scene`.
    pub fn has_gaps(&self, scene: Option<&Scene>, frame: &Frame) -> bool {
        let ([rows, columns], (row, column)) = ([frame.rows(), frame.columns()], frame.position);
        let inside = scene.map_or(rows * columns, |scene| {
            let rows = rows.min(scene.rows.saturating_sub(row));
            rows * columns.min(scene.columns.saturating_sub(column))
        });
        self.valid < inside as f32 / (rows * columns).max(1) as f32
    }

    /// How well its code holds the picture, in dB of PSNR, where that is known.
    pub fn psnr_db(&self) -> Option<f64> {
        self.psnr_db.map(f64::from)
    }
}

impl ChipTable {
    pub fn create(path: &Path, source: &Source, sonifier: &Sonifier) -> Result<Self> {
        let too_many = |_| Error::usage("code", "has too many values for a table");
        let values = i32::try_from(sonifier.layout().mapping().values).map_err(too_many)?;
        Ok(Self {
            writer: TableWriter::create(path, columns(values))?,
            scene: source.scene.clone(),
            clock: source.period_s.map(|_| source.speed.factor()),
            values,
            waiting: Vec::new(),
            written: 0,
        })
    }

    /// Appends the row of the next slot.
    pub fn push(&mut self, chip: Chip) -> Result<()> {
        self.waiting.push(chip);
        if self.waiting.len() == WAITING { self.write() } else { Ok(()) }
    }

    /// Completes the table; `header` is that of the sound. It holds what was
    /// asked for, and not the command, so that all calls that ask for the same
    /// make the same file.
    pub fn finish(mut self, header: &Header, request: &Request, sonifier: &Sonifier) -> Result<()> {
        self.write()?;
        let bands = serde_json::to_string(sonifier.model().bands());
        let request = serde_json::to_string(request);
        self.writer.finish(&[
            ("header", header.to_json()?),
            ("bands", bands.map_err(|e| Error::usage("bands", e))?),
            ("request", request.map_err(|e| Error::usage("request", e))?),
        ])
    }

    /// Hands what waits to the file.
    fn write(&mut self) -> Result<()> {
        let chips = std::mem::take(&mut self.waiting);
        let tiled = |value: u32| self.scene.is_some().then_some(value);
        let slot_s = |slot: usize| slot as f64 * SLOT_S;
        let slots = self.written..self.written + chips.len();
        self.written = slots.end;
        let codes = UInt8Array::from_iter_values(chips.iter().flat_map(|c| c.code.iter().copied()));
        let codes = FixedSizeListArray::try_new(byte(), self.values, Arc::new(codes), None)
            .map_err(|e| Error::usage("code", e))?;
        let floats = |of: fn(&Chip) -> Option<f32>| -> ArrayRef {
            Arc::new(chips.iter().map(of).collect::<Float32Array>())
        };
        let taken_s = chips.iter().map(|chip| self.clock.map(|clock| chip.time_s * clock));
        let means = chips.iter().map(|chip| Some(chip.band_means.iter().copied()));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(slots.clone().map(|slot| slot as u32))),
            Arc::new(Float64Array::from_iter_values(slots.clone().map(slot_s))),
            Arc::new(Float64Array::from_iter_values(slots.map(|slot| slot_s(slot + 1)))),
            Arc::new(taken_s.collect::<Float64Array>()),
            Arc::new(chips.iter().map(|c| tiled(c.position[0])).collect::<UInt32Array>()),
            Arc::new(chips.iter().map(|c| tiled(c.position[1])).collect::<UInt32Array>()),
            Arc::new(codes),
            Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(means)),
            floats(|chip| Some(chip.loudness_lufs)),
            floats(|chip| chip.psnr_db),
            floats(|chip| Some(chip.valid)),
            floats(|chip| chip.clouds),
        ];
        let footprints = self.footprints(&chips)?;
        self.writer.append(columns, &footprints)
    }

    fn footprints(&self, chips: &[Chip]) -> Result<Vec<Option<Footprint>>> {
        let positions: Vec<[u32; 2]> = chips.iter().map(|chip| chip.position).collect();
        match self.scene.as_ref().filter(|scene| scene.georeference.is_some()) {
            Some(scene) => map::footprints(scene, &positions),
            None => Ok(vec![None; chips.len()]),
        }
    }
}

/// The columns of a table of codes of `values` bytes.
fn columns(values: i32) -> Vec<Field> {
    let number = |name: &str| Field::new(name, DataType::UInt32, false);
    let place = |name: &str| Field::new(name, DataType::UInt32, true);
    let seconds = |name: &str| Field::new(name, DataType::Float64, false);
    let score = |name: &str| Field::new(name, DataType::Float32, true);
    let means = Field::new_list_field(DataType::Float32, true);
    vec![
        number("chip"),
        seconds("start_s"),
        seconds("end_s"),
        Field::new("time_s", DataType::Float64, true),
        place("row"),
        place("column"),
        // Bytes, because DuckDB computes with lists of them and not with blobs.
        Field::new("code", DataType::FixedSizeList(byte(), values), false),
        Field::new("band_means", DataType::List(Arc::new(means)), false),
        score("loudness_lufs"),
        score("psnr_db"),
        score("valid_fraction"),
        score("cloud_fraction"),
    ]
}

/// A value of a code: `round(255 * value)`.
fn byte() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::UInt8, false))
}
