//! What is in a source: bands, sizes, values, and what it would sound like.

pub mod many;

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

    /// Counts in what `other` counts.
    pub fn join(&mut self, other: &Self) {
        let total = self.count + other.count;
        if total > 0 {
            self.mean += (other.mean - self.mean) * other.count as f64 / total as f64;
        }
        (self.min, self.max) = (self.min.min(other.min), self.max.max(other.max));
        self.count = total;
    }
}

/// How often values lie where, without knowing beforehand where they lie: bars
/// of equal width that are merged in pairs whenever a value lies outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Width of a bar is 2 to this power.
    power: i32,
    /// Number of the first bar: it begins at `first * 2^power`.
    first: i64,
    /// The values in each bar, [`BARS`] of them; empty before the first value.
    bars: Vec<Bar>,
}

/// The values in a bar of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bar {
    count: u64,
    /// The lowest and the highest.
    ends: [f64; 2],
}

impl Default for Bar {
    fn default() -> Self {
        Self { count: 0, ends: [f64::INFINITY, f64::NEG_INFINITY] }
    }
}

impl Bar {
    /// Counts in what `other` counts.
    fn add(&mut self, other: Self) {
        let ([low, high], [l, h]) = (self.ends, other.ends);
        *self = Self { count: self.count + other.count, ends: [low.min(l), high.max(h)] };
    }
}

/// Bars of a histogram: fine enough for quartiles.
const BARS: usize = 1024;
/// Bars of the narrowest histogram are so many halvings narrower than its
/// first value is large.
const FINEST: i32 = 24;

impl Histogram {
    /// Counts `values` in; those that are not finite do not count.
    pub fn add<'a>(&mut self, values: impl IntoIterator<Item = &'a f32>) {
        let mut scale = 2f64.powi(-self.power);
        // Far outside it saturates, until the bars are wide enough.
        let bar = |value: f64, scale: f64| (value * scale).floor() as i64;
        for value in values.into_iter().filter(|value| value.is_finite()) {
            let value = f64::from(*value);
            if self.bars.is_empty() {
                self.power = value.abs().max(1e-30).log2().floor() as i32 - FINEST;
                scale = 2f64.powi(-self.power);
                self.first = bar(value, scale) - BARS as i64 / 2;
                self.bars = vec![Bar::default(); BARS];
            }
            let mut place = bar(value, scale).saturating_sub(self.first);
            while !(0..BARS as i64).contains(&place) {
                self.widen(place < 0);
                scale = 2f64.powi(-self.power);
                place = bar(value, scale).saturating_sub(self.first);
            }
            self.bars[place as usize].add(Bar { count: 1, ends: [value; 2] });
        }
    }

    /// Makes bars twice as wide, with room for more below what there is, or
    /// above.
    fn widen(&mut self, below: bool) {
        // What there is takes one bar more than half of them.
        let room = if below { BARS as i64 / 2 - 1 } else { 0 };
        let first = self.first.div_euclid(2) - room;
        let mut bars = vec![Bar::default(); BARS];
        for (place, bar) in self.bars.iter().enumerate().filter(|(_, bar)| bar.count > 0) {
            let place = (self.first + place as i64).div_euclid(2) - first;
            bars[place as usize].add(*bar);
        }
        (self.power, self.first, self.bars) = (self.power + 1, first, bars);
    }

    /// The values below which a quarter, half and three quarters of the values lie, to
    /// the width of a bar; none where all of these lie in one bar among others, as
    /// where a single value is far from all others, or where there are no values.
    pub fn quartiles(&self) -> Option<[f64; 3]> {
        let found = [0.25, 0.5, 0.75].map(|share| self.quantile(share));
        let [(first, quarter), (_, half), (last, three)] = [found[0]?, found[1]?, found[2]?];
        let [low, high] = self.bars[first].ends;
        (first != last || low == high).then_some([quarter, half, three])
    }

    /// The bar in which the value lies below which the share `share` of the values
    /// does, and that value, between the bar's lowest and highest; none without values.
    fn quantile(&self, share: f64) -> Option<(usize, f64)> {
        let total: u64 = self.bars.iter().map(|bar| bar.count).sum();
        let wanted = share * total as f64;
        let mut below = 0.0;
        for (place, bar) in self.bars.iter().enumerate().filter(|(_, bar)| bar.count > 0) {
            let (count, [low, high]) = (bar.count as f64, bar.ends);
            if below + count >= wanted {
                return Some((place, low + (high - low) * ((wanted - below) / count)));
            }
            below += count;
        }
        None
    }

    /// The counts between `low` and `high` in `bars` bars.
    pub fn shape(&self, low: f64, high: f64, bars: usize) -> Vec<u64> {
        let mut shape = vec![0; bars];
        let width = 2f64.powi(self.power);
        for (place, own) in self.bars.iter().enumerate() {
            let middle = ((self.first + place as i64) as f64 + 0.5) * width;
            let at = ((middle - low) / (high - low) * bars as f64).clamp(0.0, bars as f64 - 1.0);
            if let Some(bar) = shape.get_mut(if at.is_nan() { 0 } else { at as usize }) {
                *bar += own.count;
            }
        }
        shape
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
    /// One entry per band.
    pub histograms: Vec<Histogram>,
    /// Pixels per band that were looked at, readings or not.
    pub pixels: u64,
    /// How the last frame was exposed, where a camera says so.
    pub exposure: Option<Exposure>,
    /// What was lost between a camera and here.
    pub losses: Option<Losses>,
}

impl Inspection {
    /// Each band with its statistics and its histogram.
    pub fn bands(&self) -> impl Iterator<Item = (&Band, &Statistics, &Histogram)> {
        let found = self.statistics.iter().zip(&self.histograms);
        self.source.bands.iter().zip(found).map(|(band, (numbers, shape))| (band, numbers, shape))
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
    let counted = scene.is_none() || source.sampled.is_some();
    let mut staged = npy.map(Staged::new).transpose()?;
    let mut inspection = Inspection {
        frames: 0,
        georeference: scene.as_ref().and_then(|scene| scene.georeference.clone()),
        statistics: vec![Statistics::default(); source.bands.len()],
        histograms: vec![Histogram::default(); source.bands.len()],
        pixels: match &scene {
            Some(scene) if !counted => (scene.rows as u64).saturating_mul(scene.columns as u64),
            _ => 0,
        },
        exposure: None,
        losses: None,
        source,
    };
    for (number, frame) in sensor.by_ref().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(Fault::Interrupted, "inspect", "stopped"));
        }
        let frame = frame?;
        let Inspection { statistics, histograms, .. } = &mut inspection;
        let found = statistics.iter_mut().zip(histograms);
        for ((statistics, histogram), band) in found.zip(frame.data.outer_iter()) {
            statistics.add(band);
            histogram.add(band);
        }
        if let Some(staged) = &mut staged {
            staged.push(&frame)?;
        }
        if counted {
            inspection.pixels += (frame.rows() * frame.columns()) as u64;
        }
        if scene.is_none() {
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
        let mut joined = Statistics::default();
        for part in values.chunks(300) {
            let mut own = Statistics::default();
            own.add(part);
            joined.join(&own);
            joined.join(&Statistics::default());
        }
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 1000.0;
        assert!((joined.mean - mean).abs() < 1e-9, "{} against {mean}", joined.mean);
        assert_eq!((joined.count, joined.min, joined.max), (1000, -20.0, 80.0));
        assert!((parts.mean - mean).abs() < 1e-9, "{} against {mean}", parts.mean);
        assert_eq!((parts.count, parts.min, parts.max), (1000, -20.0, 80.0));
    }

    #[test]
    fn quartiles_are_readings_and_unknown_beside_a_distant_one() {
        let of = |values: &[f32]| {
            let mut histogram = Histogram::default();
            histogram.add(values);
            histogram.quartiles()
        };
        assert_eq!(of(&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]), Some([0.0, 0.0, 1.0]));
        assert_eq!(of(&[255.0; 9]), Some([255.0; 3]));
        let mut values: Vec<f32> = (0..1000).map(|n| n as f32).collect();
        assert!(of(&values).is_some());
        values.push(1e9);
        assert_eq!(of(&values), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_histogram_finds_its_place_and_loses_nothing() {
        let sets: [Vec<f32>; 5] = [
            (0..10_000).map(|n| ((n * 7919) % 10_007) as f32 / 100.0 - 30.0).collect(),
            vec![5.0; 100],
            vec![-1e30, 0.0, 1e30],
            vec![1e-20, f32::NAN, f32::INFINITY, 65_535.0, -3.0],
            (0..1000).map(|n| 273.15 + n as f32 * 1e-3).collect(),
        ];
        for values in sets {
            let mut histogram = Histogram::default();
            values.chunks(9).for_each(|part| histogram.add(part));
            let mut sorted: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
            sorted.sort_by(f32::total_cmp);
            assert_eq!(
                histogram.bars.iter().map(|bar| bar.count).sum::<u64>(),
                sorted.len() as u64
            );
            let (low, high) = (f64::from(sorted[0]), f64::from(sorted[sorted.len() - 1]));
            let width = 2f64.powi(histogram.power);
            assert!(low == high || width <= (high - low) / 200.0, "{width} {low} {high}");
            for share in [0.25, 0.5, 0.75] {
                let rank = (share * sorted.len() as f64).ceil() as usize - 1;
                let (found, right) =
                    (histogram.quantile(share).unwrap().1, f64::from(sorted[rank]));
                assert!((found - right).abs() <= 1.001 * width, "{found} {right} {width}");
            }
            assert_eq!(histogram.shape(low, high, 8).iter().sum::<u64>(), sorted.len() as u64);
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
