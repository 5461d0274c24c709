//! What is in a source: bands, sizes, values, and what it would sound like.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Exposure, Frame, GeoReference};
use crate::npy::FrameArray;
use crate::sensor::camera::Losses;
use crate::sensor::{Sensor, Source};
use crate::staging::StagedFile;

/// Running count, lowest, mean and highest value; NaN does not count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Number of readings.
    pub count: u64,
    /// Lowest reading; infinite without any.
    pub min: f32,
    /// Highest reading; infinite without any.
    pub max: f32,
    /// Mean of the readings; 0 without any.
    pub mean: f64,
}

impl Default for Statistics {
    fn default() -> Self {
        Self { count: 0, min: f32::INFINITY, max: f32::NEG_INFINITY, mean: 0.0 }
    }
}

impl Statistics {
    /// Counts `values` in.
    pub fn add<'a>(&mut self, values: impl IntoIterator<Item = &'a f32>) {
        let (mut count, mut sum) = (0u64, 0.0);
        for &value in values.into_iter().filter(|value| !value.is_nan()) {
            count += 1;
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            sum += f64::from(value);
        }
        let total = self.count + count;
        if total > 0 {
            self.mean += (sum - self.mean * count as f64) / total as f64;
        }
        self.count = total;
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What the source says about itself.
    pub source: Source,
    /// Frames read; a tiled scene counts as one.
    pub frames: usize,
    /// Where the first frame, or the scene, lies.
    pub georeference: Option<GeoReference>,
    /// One entry per band.
    pub statistics: Vec<Statistics>,
    /// Pixels per band, readings or not.
    pub pixels: u64,
    /// How the last frame was exposed, where a camera says so.
    pub exposure: Option<Exposure>,
    /// What was lost between a camera and here.
    pub losses: Option<Losses>,
}

impl Inspection {
    /// Each band with its statistics.
    pub fn bands(&self) -> impl Iterator<Item = (&Band, &Statistics)> {
        self.source.bands.iter().zip(&self.statistics)
    }
}

/// Reads every frame of `sensor`; with `npy`, writes the frames as read to
/// that file (`[frame, band, row, column]` f32, NaN = no reading).
///
/// # Errors
///
/// If a frame cannot be read, the file cannot be written, the frames written
/// to it differ in size, or `stop` becomes true.
pub fn run(
    mut sensor: Box<dyn Sensor>,
    npy: Option<&Path>,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(usize),
) -> Result<Inspection> {
    let source = sensor.source().clone();
    let scene = source.scene.clone();
    let mut staged = npy.map(Staged::new).transpose()?;
    let mut inspection = Inspection {
        frames: 0,
        georeference: scene.as_ref().and_then(|scene| scene.georeference.clone()),
        statistics: vec![Statistics::default(); source.bands.len()],
        pixels: scene.as_ref().map_or(0, |scene| (scene.rows * scene.columns) as u64),
        exposure: None,
        losses: None,
        source,
    };
    for (number, frame) in sensor.by_ref().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(Fault::Interrupted, "inspect", "stopped"));
        }
        let frame = frame?;
        for (statistics, band) in inspection.statistics.iter_mut().zip(frame.data.outer_iter()) {
            statistics.add(band);
        }
        if let Some(staged) = &mut staged {
            staged.push(&frame)?;
        }
        if scene.is_none() {
            inspection.pixels += (frame.rows() * frame.columns()) as u64;
            inspection.georeference = inspection.georeference.or(frame.georeference);
        }
        inspection.exposure = frame.exposure;
        inspection.frames = if scene.is_none() { number + 1 } else { 1 };
        tell(number + 1);
    }
    inspection.losses = sensor.losses();
    if let Some(staged) = staged {
        staged.finish()?;
    }
    Ok(inspection)
}

/// An array file that appears under its name once it is whole.
struct Staged {
    file: StagedFile,
    array: Option<FrameArray>,
}

impl Staged {
    fn new(path: &Path) -> Result<Self> {
        Ok(Self { file: StagedFile::create(path)?, array: None })
    }

    fn push(&mut self, frame: &Frame) -> Result<()> {
        let array = match &mut self.array {
            Some(array) => array,
            None => {
                let shape = [frame.bands.len(), frame.rows(), frame.columns()];
                self.array.insert(FrameArray::create(self.file.part(), shape)?)
            }
        };
        array.push(frame.data.view()).map_err(|e| self.file.named(e))
    }

    fn finish(self) -> Result<()> {
        let Some(array) = self.array else {
            let nothing = Error::output(self.file.part(), "there is no frame to write");
            return Err(self.file.named(nothing));
        };
        array.finish().map_err(|e| self.file.named(e))?;
        self.file.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_over_parts_are_those_of_the_whole() {
        let values: Vec<f32> = (0..1000).map(|n| ((n * 37) % 101) as f32 - 20.0).collect();
        let mut parts = Statistics::default();
        for part in values.chunks(7) {
            parts.add(part);
            parts.add(&[f32::NAN]);
        }
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 1000.0;
        assert!((parts.mean - mean).abs() < 1e-9, "{} against {mean}", parts.mean);
        assert_eq!((parts.count, parts.min, parts.max), (1000, -20.0, 80.0));
    }
}
