//! One picture in memory as a scene of chips.

use ndarray::{Array3, s};

use super::{Scene, Sensor, Source};
use crate::error::Result;
use crate::frame::Frame;
use crate::synth::SLOT_S;

/// The chips of a picture that is decoded as a whole, in the order of a
/// scene: rows of chips from the top, the first from left to right, the next
/// from right to left, so that neighbours in time are neighbours in space.
/// Chips at the lower and right edge are padded with NaN.
#[derive(Debug)]
pub struct Tiles {
    sensor: Box<dyn Sensor>,
    source: Source,
    chip: usize,
    /// The whole picture, once decoded.
    picture: Option<Frame>,
    next: usize,
}

impl Tiles {
    /// Tiles the first picture of `sensor` into chips of `chip` pixels.
    pub fn new(sensor: Box<dyn Sensor>, chip: usize) -> Self {
        let chip = chip.max(1);
        let whole = sensor.source();
        let (rows, columns) = (whole.rows, whole.columns);
        let source = Source {
            rows: chip,
            columns: chip,
            frames: Some(rows.div_ceil(chip) * columns.div_ceil(chip)),
            scene: Some(Scene { rows, columns, chip, georeference: None }),
            ..whole.clone()
        };
        Self { sensor, source, chip, picture: None, next: 0 }
    }

    /// The chip whose upper left pixel is at (`row`, `column`) of `picture`.
    fn cut(&self, picture: &Frame, row: usize, column: usize) -> Frame {
        let rows = self.chip.min(picture.rows() - row);
        let columns = self.chip.min(picture.columns() - column);
        let mut data = Array3::from_elem((picture.bands.len(), self.chip, self.chip), f32::NAN);
        data.slice_mut(s![.., ..rows, ..columns]).assign(&picture.data.slice(s![
            ..,
            row..row + rows,
            column..column + columns
        ]));
        let mut frame = Frame::new(data, picture.bands.clone(), self.next as f64 * SLOT_S);
        frame.position = (row, column);
        frame
    }
}

impl Iterator for Tiles {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let picture = match self.picture.take() {
            Some(picture) => picture,
            None => match self.sensor.next()? {
                Ok(picture) => picture,
                Err(error) => return Some(Err(error)),
            },
        };
        let (down, across) =
            (picture.rows().div_ceil(self.chip), picture.columns().div_ceil(self.chip));
        let (line, step) = (self.next / across, self.next % across);
        if line >= down {
            return None;
        }
        let place = if line % 2 == 0 { step } else { across - 1 - step };
        let frame = self.cut(&picture, line * self.chip, place * self.chip);
        self.next += 1;
        self.picture = Some(picture);
        Some(Ok(frame))
    }
}

impl Sensor for Tiles {
    fn source(&self) -> &Source {
        &self.source
    }
}
