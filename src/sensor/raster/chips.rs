//! A scene as a sequence of chips.

use ndarray::{Array3, s};

use super::Raster;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::sensor::{LIMIT, Scene, Sensor, Source};
use crate::synth::SLOT_S;

/// How much of a scene is held decoded at a time, in bytes.
const STRIP: usize = 256 << 20;

/// The chips of a scene, in boustrophedon order: rows of chips from the top,
/// the first from left to right, the second from right to left, and so on,
/// so that every chip touches the one before it.
#[derive(Debug)]
pub struct Chips {
    raster: Raster,
    source: Source,
    chip: usize,
    /// Chips in a row of chips.
    across: usize,
    /// Chips in the whole scene.
    count: usize,
    /// The number of the next chip.
    next: usize,
    /// Rows of chips in a strip; 0 where even one does not fit.
    height: usize,
    /// The first row of the strip at hand, and its readings.
    strip: Option<(usize, Array3<f32>)>,
}

impl Chips {
    pub(super) fn new(raster: Raster, chip: usize) -> Self {
        let chip = chip.max(1);
        let (rows, columns) = (raster.rows(), raster.columns());
        let (down, across) = (rows.div_ceil(chip), columns.div_ceil(chip));
        let scene = Scene { rows, columns, chip, georeference: raster.georeference().cloned() };
        let source = Source {
            rows: chip,
            columns: chip,
            frames: Some(down * across),
            scene: Some(scene),
            ..raster.source.clone()
        };
        // As many rows of chips at a time as a row of the file's blocks
        // touches, so that few blocks are decoded twice.
        let row_bytes = raster.bytes(chip, columns);
        let height = raster.block().0.div_ceil(chip).min(STRIP / row_bytes.max(1));
        Self { raster, source, chip, across, count: down * across, next: 0, height, strip: None }
    }

    /// The chip whose upper left pixel is at (`row`, `column`).
    fn chip(&mut self, row: usize, column: usize) -> Result<Frame> {
        let (bands, bytes) = (self.source.bands.len(), self.raster.bytes(self.chip, self.chip));
        if bytes > LIMIT {
            let what = format!(
                "a chip of {bands} bands of {0} x {0} pixels takes {1} MiB, more than {2} MiB",
                self.chip,
                bytes >> 20,
                LIMIT >> 20
            );
            return Err(Error::input(&self.raster.path, what));
        }
        let rows = self.chip.min(self.raster.rows() - row);
        let columns = self.chip.min(self.raster.columns() - column);
        let mut data = Array3::from_elem((bands, self.chip, self.chip), f32::NAN);
        let mut inside = data.slice_mut(s![.., ..rows, ..columns]);
        if self.height == 0 {
            inside.assign(&self.raster.read(row, column, rows, columns)?.data);
        } else {
            let (first, strip) = self.strip(row)?;
            let top = row - first;
            inside.assign(&strip.slice(s![.., top..top + rows, column..column + columns]));
        }
        let mut frame = Frame::new(data, self.source.bands.clone(), 0.0);
        frame.position = (row, column);
        frame.georeference = self.raster.georeference_at(row, column);
        Ok(frame)
    }

    /// The strip that holds `row`, the first row of a chip, with its own
    /// first row.
    fn strip(&mut self, row: usize) -> Result<(usize, &Array3<f32>)> {
        let step = self.height * self.chip;
        let first = row / step * step;
        let strip = match self.strip.take() {
            Some(strip) if strip.0 == first => strip,
            _ => {
                let rows = step.min(self.raster.rows() - first);
                (first, self.raster.read(first, 0, rows, self.raster.columns())?.data)
            }
        };
        let strip = self.strip.insert(strip);
        Ok((strip.0, &strip.1))
    }
}

impl Iterator for Chips {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.count {
            return None;
        }
        let (row, place) = (self.next / self.across, self.next % self.across);
        let column = if row.is_multiple_of(2) { place } else { self.across - 1 - place };
        let time_s = self.next as f64 * SLOT_S;
        let frame = self.chip(row * self.chip, column * self.chip);
        self.next = if frame.is_ok() { self.next + 1 } else { self.count };
        Some(frame.map(|frame| Frame { time_s, ..frame }))
    }
}

impl Sensor for Chips {
    fn source(&self) -> &Source {
        &self.source
    }
}
