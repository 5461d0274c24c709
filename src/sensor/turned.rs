//! Pictures of a camera that hangs on its side or looks into a mirror, turned
//! upright.

use ndarray::{Array3, Axis};

use super::camera::Losses;
use serde::{Deserialize, Serialize};

use super::{Sensor, Source};
use crate::error::{Error, Result};
use crate::frame::Frame;

/// How pictures are turned: first by quarters, then mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Quarter turns clockwise, 0 to 3.
    pub quarters: u8,
    /// Which sides change places.
    pub flip: Option<Flip>,
}

/// Which sides of a picture change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// Left and right.
    Horizontal,
    /// Top and bottom.
    Vertical,
}

const ROWS: Axis = Axis(1);
const COLUMNS: Axis = Axis(2);

impl Turn {
    /// Whether pictures stay as they are.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// `data`, `[band, row, column]`, turned.
    fn apply(self, mut data: Array3<f32>) -> Array3<f32> {
        if self.quarters % 2 == 1 {
            data.swap_axes(ROWS.index(), COLUMNS.index());
        }
        // A flip undoes or adds what the turn does to its axis.
        let columns = matches!(self.quarters, 1 | 2) != (self.flip == Some(Flip::Horizontal));
        let rows = matches!(self.quarters, 2 | 3) != (self.flip == Some(Flip::Vertical));
        if rows {
            data.invert_axis(ROWS);
        }
        if columns {
            data.invert_axis(COLUMNS);
        }
        data.as_standard_layout().into_owned()
    }

    /// Why `source`, which lies on a map, is not turned.
    pub(super) fn refused(source: &str) -> Error {
        let what = format!("{source} lies on a map, whose north is up");
        Error::usage("--rotate or --flip", what)
            .hint("leave it out; GDAL's gdalwarp turns a map together with its place")
    }
}

/// A source whose pictures are turned.
#[derive(Debug)]
pub(super) struct Turned {
    sensor: Box<dyn Sensor>,
    source: Source,
    turn: Turn,
}

impl Turned {
    pub fn new(sensor: Box<dyn Sensor>, turn: Turn) -> Self {
        let mut source = sensor.source().clone();
        if turn.quarters % 2 == 1 {
            (source.rows, source.columns) = (source.columns, source.rows);
        }
        Self { sensor, source, turn }
    }
}

impl Iterator for Turned {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.sensor.next()?.and_then(|mut frame| match frame.georeference {
            Some(_) => Err(Turn::refused(&self.source.description)),
            None => {
                frame.data = self.turn.apply(frame.data);
                frame.code = None;
                Ok(frame)
            }
        }))
    }
}

impl Sensor for Turned {
    fn source(&self) -> &Source {
        &self.source
    }

    fn losses(&self) -> Option<Losses> {
        self.sensor.losses()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```text
    /// 0 1 2
    /// 3 4 5
    /// ```
    fn turned(quarters: u8, flip: Option<Flip>) -> Vec<Vec<f32>> {
        let data = Array3::from_shape_fn((1, 2, 3), |(_, row, column)| (3 * row + column) as f32);
        let data = Turn { quarters, flip }.apply(data);
        data.index_axis(Axis(0), 0).outer_iter().map(|row| row.to_vec()).collect()
    }

    #[test]
    fn pictures_turn_clockwise_and_then_flip() {
        assert_eq!(turned(0, None), [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
        assert_eq!(turned(1, None), [[3.0, 0.0], [4.0, 1.0], [5.0, 2.0]]);
        assert_eq!(turned(2, None), [[5.0, 4.0, 3.0], [2.0, 1.0, 0.0]]);
        assert_eq!(turned(3, None), [[2.0, 5.0], [1.0, 4.0], [0.0, 3.0]]);
        assert_eq!(turned(0, Some(Flip::Horizontal)), [[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]);
        assert_eq!(turned(0, Some(Flip::Vertical)), [[3.0, 4.0, 5.0], [0.0, 1.0, 2.0]]);
        assert_eq!(turned(1, Some(Flip::Horizontal)), [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]);
        assert_eq!(turned(3, Some(Flip::Vertical)), [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]);
    }
}
