//! How bands vary together, as pictures show it.
//!
//! Bands that state a wavelength follow from those of a model by that. Of others a model
//! knows nothing, but the first pictures do: the principal axes of their pixels, each of
//! which varies over a picture as the model knows that bands do.

use faer::Mat;
use ndarray::{Array1, Array2, Axis, s};
use serde::{Deserialize, Serialize};

use super::linear::{SPECTRAL_COMPONENTS, eigen};
use super::transfer::Mixing;
use crate::error::Result;
use crate::frame::{Band, Frame};

/// So many pixels are looked at, about.
const PIXELS: usize = 16_384;

/// So many bands may have axes.
pub const MOST: usize = 1024;

/// Axes of less variance than this share of the first one's are noise.
const LEAST: f64 = 1e-4;

/// Mean and principal axes of the pixels of pictures, normalised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loadings {
    /// Per band.
    mean: Vec<f32>,
    /// `[axis][band]`, each as long as the pixels deviate along it, longest first.
    axes: Vec<Vec<f32>>,
}

impl Loadings {
    /// Whether `bands` have to be looked at: there are several, and none states a
    /// wavelength. More than [`MOST`] take too long.
    pub fn are_needed(bands: &[Band]) -> bool {
        (2..=MOST).contains(&bands.len()) && bands.iter().all(|band| band.wavelength_um.is_none())
    }

    /// Those of the pixels of `frames` that have a reading in every band, normalised by
    /// `range`, which says of each band what means 0 and 1; `None` where there are too few
    /// of them.
    ///
    /// # Errors
    ///
    /// If the eigenvalues do not converge.
    pub fn of(frames: &[&Frame], range: &[[f64; 2]]) -> Result<Option<Self>> {
        let bands = range.len();
        let mut pixels = pixels(frames, range);
        let Some(mean) = pixels.mean_axis(Axis(0)) else { return Ok(None) };
        pixels -= &mean;
        let covariance = pixels.t().dot(&pixels) / pixels.nrows() as f32;
        let covariance = Mat::from_fn(bands, bands, |a, b| f64::from(covariance[(a, b)]));
        let (values, vectors) = eigen(&covariance)?;
        let least = LEAST * values.first().copied().unwrap_or_default().max(0.0);
        let kept = values.iter().take(SPECTRAL_COMPONENTS).take_while(|&&v| v > least);
        let axis = |(at, value): (usize, &f64)| {
            (0..bands).map(|band| (vectors[(band, at)] * value.sqrt()) as f32).collect()
        };
        let axes: Vec<Vec<f32>> = kept.enumerate().map(axis).collect();
        Ok((!axes.is_empty()).then(|| Self { mean: mean.to_vec(), axes }))
    }

    /// Whether they can be those of so many `bands`, wherever they come from.
    pub fn fit(&self, bands: usize) -> bool {
        let fits = |row: &[f32]| row.len() == bands && row.iter().all(|value| value.abs() <= 1.0);
        let is_axis = |row: &Vec<f32>| fits(row) && row.iter().any(|value| value.abs() > 1e-9);
        let most = bands.min(SPECTRAL_COMPONENTS);
        (1..=most).contains(&self.axes.len()) && self.axes.iter().all(is_axis) && fits(&self.mean)
    }

    /// How pictures of these bands vary, which follow from no others.
    pub fn mixing(&self, others: usize) -> Mixing {
        let apart = Array2::from_shape_fn((self.mean.len(), self.axes.len()), |(band, axis)| {
            self.axes[axis][band]
        });
        let weights = Array2::zeros((self.mean.len(), others));
        Mixing { weights, offset: Array1::from(self.mean.clone()), apart }
    }
}

/// Some of the pixels of `frames` that have a reading in every band, evenly spaced,
/// `[pixel, band]`, normalised by `range`.
fn pixels(frames: &[&Frame], range: &[[f64; 2]]) -> Array2<f32> {
    let bands = range.len();
    let all: usize = frames.iter().map(|frame| frame.rows() * frame.columns()).sum();
    let mut pixels = Array2::zeros((0, bands));
    let mut pixel = Array1::zeros(bands);
    for frame in frames.iter().filter(|frame| frame.bands.len() == bands) {
        let columns = frame.columns();
        for at in (0..frame.rows() * columns).step_by((all / PIXELS).max(1)) {
            let values = frame.data.slice(s![.., at / columns, at % columns]);
            for ((own, &value), [low, high]) in pixel.iter_mut().zip(values).zip(range) {
                *own = ((f64::from(value) - low) / (high - low)).clamp(0.0, 1.0) as f32;
            }
            if pixel.iter().all(|value| !value.is_nan()) {
                // Its shape is that of every row.
                let _ = pixels.push_row(pixel.view());
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::frame::Unit;
    use crate::random::Random;

    /// A picture of three bands, of which the second is twice the first, but for where it
    /// has no reading, and the third goes its own way.
    fn picture(random: &mut Random) -> Frame {
        let mut data = Array3::zeros((3, 40, 50));
        for row in 0..40 {
            for column in 0..50 {
                let (a, b) = (random.normal(), random.normal());
                let values = [10.0 + a, 20.0 + 2.0 * a, 5.0 + 0.5 * b];
                for (band, value) in values.into_iter().enumerate() {
                    data[(band, row, column)] = value as f32;
                }
            }
        }
        data[(1, 3, 4)] = f32::NAN;
        let bands: Vec<Band> = ["a", "b", "c"].map(|name| Band::new(name, Unit::Counts)).into();
        Frame::new(data, bands.into(), 0.0)
    }

    #[test]
    fn axes_are_those_of_the_pixels() {
        let mut random = Random::new(5);
        let frames = [picture(&mut random), picture(&mut random)];
        assert!(Loadings::are_needed(&frames[0].bands));
        // Four deviations on either side mean 0 and 1.
        let range = [[6.0, 14.0], [12.0, 28.0], [3.0, 7.0]];
        let loadings = Loadings::of(&frames.each_ref(), &range).unwrap().unwrap();
        assert!(loadings.fit(3) && !loadings.fit(2));
        let Mixing { weights, offset, apart } = loadings.mixing(12);
        assert!(weights.dim() == (3, 12) && weights.iter().all(|&weight| weight == 0.0));
        assert!(offset.iter().all(|mean| (mean - 0.5).abs() < 0.01), "{offset}");
        let covariance = apart.dot(&apart.t());
        for (at, &found) in covariance.indexed_iter() {
            let expected = match at {
                (2, 0 | 1) | (0 | 1, 2) => 0.0,
                _ => 0.125f32.powi(2),
            };
            assert!((found - expected).abs() < 1e-3, "{at:?}: {found} instead of {expected}");
        }
        for wrong in [vec![], vec![vec![0.0; 3]], vec![vec![f32::NAN; 3]], vec![vec![0.5; 3]; 4]] {
            assert!(!Loadings { axes: wrong, ..loadings.clone() }.fit(3));
        }
        // One that is wholly without a reading says nothing.
        let mut empty = picture(&mut random);
        empty.data.index_axis_mut(Axis(0), 0).fill(f32::NAN);
        assert_eq!(Loadings::of(&[&empty], &range).unwrap(), None);
    }
}
