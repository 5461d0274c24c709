//! How the stored numbers of a band become readings.

use gdal::Dataset;
use gdal::raster::RasterBand;

use crate::frame::{BRIGHTEST, Band, Unit};
use crate::sensor::BEYOND;

/// Side of the piece in the middle of a raster by which its numbers are judged.
const PIECE: usize = 64;

/// Whole numbers that are spread over so many steps may be rounded.
const STEPS: f64 = 256.0;

/// A band of the file that is a band of the frame, and how its stored numbers
/// become readings.
#[derive(Debug)]
pub(super) struct Layer {
    /// Which of the raster's files it is in.
    pub part: usize,
    /// Its number in the file, from 1.
    pub index: usize,
    /// Its description.
    pub band: Band,
    /// The stored numbers that mean that there is no reading.
    pub missing: Vec<f64>,
    /// How stored numbers become readings.
    pub law: Law,
    /// Whether the file has a mask for this band alone.
    pub own_mask: bool,
}

/// How stored numbers become readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Law {
    /// `value = stored * scale + offset`, by the band's scale and offset.
    Linear,
    /// Brightness temperature in kelvin, `k2 / ln(k1 / radiance + 1)`, of the
    /// radiance `stored * gain + bias` (USGS, Landsat 8-9 Data Users
    /// Handbook, section 5.4).
    Brightness { gain: f64, bias: f64, k1: f64, k2: f64 },
}

impl Layer {
    /// Whether its readings are reflectances that are stored as larger numbers.
    pub fn is_divided(&self) -> bool {
        self.band.unit == Unit::Reflectance && self.band.scale < 1.0
    }

    /// Whether its stored numbers are no whole ones.
    pub fn is_float(&self, dataset: &Dataset) -> gdal::errors::Result<bool> {
        Ok(!dataset.rasterband(self.index)?.band_type().is_integer())
    }

    /// Whether means of its stored numbers that are rounded to their type, as GDAL
    /// rounds them, tell as much as exact ones: they are no whole numbers, or their
    /// steps are small beside reflectances, or beside what lies in the middle of
    /// `dataset`.
    pub fn is_finely_stepped(&self, dataset: &Dataset) -> gdal::errors::Result<bool> {
        if self.is_float(dataset)? || (self.is_divided() && self.band.scale * STEPS <= 1.0) {
            return Ok(true);
        }
        let numbers = self.middle(dataset)?;
        let (low, high) =
            numbers.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |ends, &number| {
                (ends.0.min(number), ends.1.max(number))
            });
        Ok(f64::from(high) - f64::from(low) >= STEPS)
    }

    /// Whether its numbers are floats as small as reflectances, by those in the
    /// middle of `dataset`.
    pub fn holds_reflectances(&self, dataset: &Dataset) -> gdal::errors::Result<bool> {
        if !self.is_float(dataset)? {
            return Ok(false);
        }
        let numbers = self.middle(dataset)?;
        Ok(!numbers.is_empty() && numbers.iter().all(|number| number.abs() <= BRIGHTEST))
    }

    /// The highest of its stored numbers: what their type holds of whole ones, what
    /// lies in the middle of `dataset` of others; `None` where nothing does.
    pub fn highest(&self, dataset: &Dataset) -> gdal::errors::Result<Option<f64>> {
        let kind = dataset.rasterband(self.index)?.band_type();
        if kind.is_integer() {
            let bits = i32::from(kind.bits()) - i32::from(kind.is_signed());
            return Ok(Some(2f64.powi(bits) - 1.0));
        }
        let numbers = self.middle(dataset)?;
        Ok(numbers.into_iter().reduce(f32::max).map(f64::from))
    }

    /// The stored numbers in the middle of `dataset` that are neither missing nor
    /// 0, which is what most programs fill borders with.
    pub fn middle(&self, dataset: &Dataset) -> gdal::errors::Result<Vec<f32>> {
        let mut numbers = middle(&dataset.rasterband(self.index)?)?;
        numbers.retain(|number| {
            let number = f64::from(*number);
            number.abs() < BEYOND && number != 0.0 && !self.missing.contains(&number)
        });
        Ok(numbers)
    }

    /// The reading that `stored` stands for; NaN where there is none.
    pub fn reading(&self, stored: f64) -> f32 {
        let value = match self.law {
            Law::Linear => stored * self.band.scale + self.band.offset,
            // No temperature radiates nothing, or less.
            Law::Brightness { gain, bias, .. } if stored * gain + bias <= 0.0 => f64::NAN,
            Law::Brightness { gain, bias, k1, k2 } => k2 / (k1 / (stored * gain + bias) + 1.0).ln(),
        } as f32;
        let there = stored.abs() < BEYOND && value.is_finite() && !self.missing.contains(&stored);
        if there { value } else { f32::NAN }
    }

    /// The readings that the numbers of `stored` stand for, in order.
    pub fn readings(&self, stored: &[f64], readings: &mut [f32]) {
        // Without branches in it, the loop is done in vectors.
        match (self.law, &self.missing[..]) {
            (Law::Linear, []) => self.linear(stored, readings, f64::NAN),
            (Law::Linear, &[missing]) => self.linear(stored, readings, missing),
            _ => {
                for (reading, &stored) in readings.iter_mut().zip(stored) {
                    *reading = self.reading(stored);
                }
            }
        }
    }

    fn linear(&self, stored: &[f64], readings: &mut [f32], missing: f64) {
        let (scale, offset) = (self.band.scale, self.band.offset);
        for (reading, &stored) in readings.iter_mut().zip(stored) {
            let value = (stored * scale + offset) as f32;
            let there = stored != missing && stored.abs() < BEYOND && value.is_finite();
            *reading = if there { value } else { f32::NAN };
        }
    }
}

/// The stored numbers in the middle of `band`.
pub(super) fn middle(band: &RasterBand) -> gdal::errors::Result<Vec<f32>> {
    let (columns, rows) = band.size();
    let size = (columns.min(PIECE), rows.min(PIECE));
    let corner = ((columns - size.0) / 2, (rows - size.1) / 2);
    let corner = (corner.0.try_into()?, corner.1.try_into()?);
    let mut numbers = vec![0.0f32; size.0 * size.1];
    band.read_into_slice(corner, size, size, &mut numbers, None)?;
    Ok(numbers)
}
