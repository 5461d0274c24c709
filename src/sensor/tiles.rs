//! A large picture as a scene of chips.

use std::fmt;

use ndarray::{Array3, s};

use super::route::{Route, Walk};
use super::{Scene, Sensor, Source, check_size};
use crate::error::{Error, Result};
use crate::frame::{self, Frame};
use crate::synth::SLOT_S;

/// A picture from which windows are cut.
pub trait Canvas: Send + fmt::Debug {
    /// What it is, as a whole picture; with its place in `scene` where the
    /// picture has one.
    fn source(&self) -> &Source;

    /// The window of `rows` by `columns` pixels whose upper left pixel is at
    /// (`row`, `column`); it lies inside the picture.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn window(&mut self, row: usize, column: usize, rows: usize, columns: usize) -> Result<Frame>;
}

/// The chips of a picture along a [`Route`]. Chips at the lower and right edge
/// are padded with NaN.
#[derive(Debug)]
pub struct Tiles<C> {
    canvas: C,
    source: Source,
    chip: usize,
    size: (usize, usize),
    walk: Walk,
    /// The number of the next chip.
    next: usize,
}

impl<C: Canvas> Tiles<C> {
    /// Tiles `canvas`, which lies at `scene.georeference`, as `scene` says.
    pub(super) fn new(canvas: C, scene: Scene) -> Self {
        let (down, across) = scene.chips();
        let source = Source {
            rows: scene.chip,
            columns: scene.chip,
            frames: Some(down.saturating_mul(across)),
            scene: Some(scene.clone()),
            ..canvas.source().clone()
        };
        let walk = scene.route.walk(down, across);
        let size = (scene.rows, scene.columns);
        Self { canvas, source, chip: scene.chip, size, walk, next: 0 }
    }

    /// The chip whose upper left pixel is at (`row`, `column`).
    fn chip(&mut self, row: usize, column: usize) -> Result<Frame> {
        let (bands, chip) = (self.source.bands.len(), self.chip);
        let bytes =
            chip.saturating_mul(chip).saturating_mul(bands).saturating_mul(size_of::<f32>());
        let what = format_args!("a chip of {bands} bands of {chip} x {chip} pixels takes");
        check_size(&self.source.description, bytes, what)?;
        let (rows, columns) = (chip.min(self.size.0 - row), chip.min(self.size.1 - column));
        let window = self.canvas.window(row, column, rows, columns)?;
        if (rows, columns) == (chip, chip) {
            return Ok(window);
        }
        let mut data = Array3::from_elem((bands, chip, chip), f32::NAN);
        data.slice_mut(s![.., ..rows, ..columns]).assign(&window.data);
        Ok(Frame { data, ..window })
    }
}

impl<C: Canvas> Iterator for Tiles<C> {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let (row, column) = self.walk.next()?;
        let time_s = self.next as f64 * SLOT_S;
        self.next += 1;
        let frame = self.chip(row * self.chip, column * self.chip);
        if frame.is_err() {
            // An error ends the scene.
            self.walk = Route::default().walk(0, 0);
        }
        Some(frame.map(|frame| Frame { time_s, ..frame }))
    }
}

impl<C: Canvas> Sensor for Tiles<C> {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// A picture in memory: the first one of a sensor, once a window is asked for.
#[derive(Debug)]
pub struct Whole {
    sensor: Box<dyn Sensor>,
    source: Source,
    factor: usize,
    picture: Option<Frame>,
}

impl Whole {
    /// The first picture of `sensor`, with pixels `factor` times as large.
    pub fn new(sensor: Box<dyn Sensor>, factor: usize) -> Self {
        let source = sensor.source().clone();
        let (rows, columns) = (source.rows.div_ceil(factor), source.columns.div_ceil(factor));
        Self { sensor, source: Source { rows, columns, ..source }, factor, picture: None }
    }

    /// Lets its source remark on itself.
    pub(super) fn say(&mut self, remark: Option<String>) {
        self.source.remark = remark;
    }

    fn picture(&mut self) -> Result<&Frame> {
        let picture = match self.picture.take() {
            Some(picture) => picture,
            None => match self.sensor.next() {
                Some(picture) => picture?.coarser(self.factor),
                None => return Err(Error::input(&self.source.description, "shows no picture")),
            },
        };
        Ok(self.picture.insert(picture))
    }
}

impl Canvas for Whole {
    fn source(&self) -> &Source {
        &self.source
    }

    fn window(&mut self, row: usize, column: usize, rows: usize, columns: usize) -> Result<Frame> {
        let picture = self.picture()?;
        let inside = s![.., row..row + rows, column..column + columns];
        let data = frame::cut(picture.data.slice(inside));
        let mut frame = Frame::new(data, picture.bands.clone(), 0.0);
        frame.position = (row, column);
        Ok(frame)
    }
}
