//! What a source is, and how a scene is tiled.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Route, Speed, session};
use crate::frame::{Band, Frame, GeoReference};
use crate::synth::SLOT_S;

/// What a source is, known before its first frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// One phrase for people: what it is and what it was opened from.
    pub description: String,
    /// The short name of the format, where only some instruments write it:
    /// GDAL's name of its driver, `FLIR`, `CPTV`, `GenICam`, `raw`, `session` or `video`.
    pub driver: Option<String>,
    /// What the source says of the instrument, where it does: the model of a
    /// camera, or the mission and level of a product.
    pub model: Option<String>,
    /// Its bands, in the order of [`Frame::data`].
    pub bands: Arc<[Band]>,
    /// Rows of a picture: of the first one where they differ, of a chip where
    /// a scene is tiled.
    pub rows: usize,
    /// Columns of a picture, likewise.
    pub columns: usize,
    /// How many frames will come; `None` where it is endless or unknown.
    pub frames: Option<usize>,
    /// Seconds between frames as they are heard; `None` where the source has
    /// no clock of its own (pictures in a folder, pages, chips) and each frame
    /// gets one slot, or several where it is slower than by itself.
    pub period_s: Option<f64>,
    /// How many times as fast as by itself it is heard; the period and the
    /// frames' times follow that.
    pub speed: Speed,
    /// How the scene is tiled, where it is.
    pub scene: Option<Scene>,
    /// The highest number that its pixels hold as they are stored: for whole
    /// numbers what their type can hold, for others what lies in the middle of the
    /// picture; `None` where that is unknown.
    pub highest: Option<f64>,
    /// The share of its pixels that is read, where it is not all of them.
    pub sampled: Option<f64>,
    /// What people should know before they hear it, in a sentence.
    pub remark: Option<String>,
}

impl Source {
    /// How many slots its frames are heard for, if no chip of them is empty;
    /// `None` where it is endless or unknown.
    pub fn slots(&self) -> Option<usize> {
        self.frames.map(|frames| (frames as f64 * self.slots_of_one()).ceil() as usize)
    }

    /// How many slots one of its frames is heard for, below 1 where some are
    /// left out.
    pub fn slots_of_one(&self) -> f64 {
        self.period_s.map_or(1.0 / self.speed.factor(), |period_s| period_s / SLOT_S)
    }

    /// Seconds between its frames when they were taken, where it has a clock.
    pub fn own_period_s(&self) -> Option<f64> {
        self.period_s.map(|period_s| period_s * self.speed.factor())
    }

    /// Whether each of its frames is one slot of sound again, as it was when it
    /// was recorded; slots between them had no picture.
    pub fn is_slotted(&self) -> bool {
        self.driver.as_deref() == Some(session::DRIVER)
    }

    /// A source of frames like `frame`, without a clock and without end.
    pub fn like(frame: &Frame, description: impl Into<String>) -> Self {
        let (bands, rows, columns) = (frame.bands.clone(), frame.rows(), frame.columns());
        Self { bands, rows, columns, ..Self::of(description) }
    }

    /// A source of which nothing is known but what it is.
    pub(crate) fn of(description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            driver: None,
            model: None,
            bands: [].into(),
            rows: 0,
            columns: 0,
            frames: None,
            period_s: None,
            speed: Speed::default(),
            scene: None,
            highest: None,
            sampled: None,
            remark: None,
        }
    }
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
    /// The order of the chips.
    #[serde(default)]
    pub route: Route,
    /// How many pixels of the source make one of these, each way.
    #[serde(default = "own")]
    pub factor: usize,
    /// Where the whole scene lies, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub georeference: Option<GeoReference>,
}

/// The factor of pixels that are the source's own.
fn own() -> usize {
    1
}

impl Scene {
    /// A scene that lies nowhere, in pixels of the source's own.
    pub fn new([rows, columns]: [usize; 2], chip: usize, route: Route) -> Self {
        Self { rows, columns, chip, route, factor: own(), georeference: None }
    }

    /// How many chips lie below each other, and beside each other.
    pub fn chips(&self) -> (usize, usize) {
        (self.rows.div_ceil(self.chip.max(1)), self.columns.div_ceil(self.chip.max(1)))
    }

    /// Row and column of the upper left pixel of every chip, along the route.
    pub fn walk(&self) -> impl Iterator<Item = [u32; 2]> + use<> {
        let (down, across) = self.chips();
        let chip = self.chip;
        let pixel =
            move |number: usize| u32::try_from(number.saturating_mul(chip)).unwrap_or(u32::MAX);
        self.route.walk(down, across).map(move |(row, column)| [pixel(row), pixel(column)])
    }

    /// The same scene with pixels `factor` times as wide and as high.
    #[must_use]
    pub fn coarser(&self, factor: usize) -> Self {
        let (rows, columns) = (self.rows.div_ceil(factor), self.columns.div_ceil(factor));
        let scale = factor as f64;
        let georeference = self.georeference.as_ref().map(|own| own.scaled(scale, scale));
        Self { rows, columns, factor: self.factor * factor, georeference, ..*self }
    }
}
