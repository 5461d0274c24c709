//! Figures of merit of pictures and codes.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis};

use crate::frame;

/// Peak of a normalised picture; a picture that came back exactly scores this
/// in dB.
const PERFECT_DB: f64 = 120.0;

/// A correlation counts as at most this much, so that a value that came back
/// exactly has a finite number of bits: 6.1.
const LARGEST_R: f64 = 0.9999;

/// Radius of the window of [`ssim`], in pixels, and the deviation of its
/// Gaussian weights (Wang, Bovik, Sheikh & Simoncelli, IEEE TIP 13(4), 2004).
const SSIM_RADIUS: usize = 5;
const SSIM_SIGMA: f64 = 1.5;

/// PSNR in dB of `back` against `sent`, both `[band, row, column]` in physical
/// units, with `range` per band as the peak; readings that are missing in
/// `sent` do not count.
pub fn psnr_db(sent: ArrayView3<f32>, back: ArrayView3<f32>, range: &[[f64; 2]]) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for ((sent, back), [low, high]) in sent.outer_iter().zip(back.outer_iter()).zip(range) {
        let error = &sent - &back;
        let (squares, readings) =
            frame::sum_of(error.view(), |error| (f64::from(error) / (high - low)).powi(2));
        sum += squares;
        count += readings;
    }
    if sum > 0.0 { (10.0 * (count as f64 / sum).log10()).min(PERFECT_DB) } else { PERFECT_DB }
}

/// Structural similarity of `back` and `sent`, both `[band, row, column]` in
/// physical units, with `range` per band as the dynamic range: the mean over
/// bands and over all windows of 11 by 11 pixels in which every reading is
/// there. `None` where there is no such window.
///
/// Wang, Bovik, Sheikh & Simoncelli, IEEE TIP 13(4), 2004: Gaussian weights
/// of deviation 1.5 pixels, K1 = 0.01, K2 = 0.03.
pub fn ssim(sent: ArrayView3<f32>, back: ArrayView3<f32>, range: &[[f64; 2]]) -> Option<f64> {
    let weights = ssim_weights();
    let (mut sum, mut count) = (0.0, 0usize);
    for ((sent, back), &[low, high]) in sent.outer_iter().zip(back.outer_iter()).zip(range) {
        let unit = |v: &f32| (f64::from(*v) - low) / (high - low);
        let (sent, back) = (sent.mapv(|v| unit(&v)), back.mapv(|v| unit(&v)));
        let size = 2 * SSIM_RADIUS + 1;
        for (a, b) in sent.windows((size, size)).into_iter().zip(back.windows((size, size))) {
            let here = ssim_here(a, b, &weights);
            if here.is_finite() {
                sum += here;
                count += 1;
            }
        }
    }
    (count > 0).then(|| sum / count as f64)
}

/// The weights of a window, `[row, column]`, of sum 1.
fn ssim_weights() -> Array2<f64> {
    let size = 2 * SSIM_RADIUS + 1;
    let off = |index: usize| (index as f64 - SSIM_RADIUS as f64).powi(2);
    let weights = Array2::from_shape_fn((size, size), |(row, column)| {
        (-(off(row) + off(column)) / (2.0 * SSIM_SIGMA * SSIM_SIGMA)).exp()
    });
    let sum = weights.sum();
    weights / sum
}

/// Structural similarity of one window; NaN where a reading is missing.
fn ssim_here(a: ArrayView2<f64>, b: ArrayView2<f64>, weights: &Array2<f64>) -> f64 {
    let (c1, c2) = (0.01f64.powi(2), 0.03f64.powi(2));
    let [mut ma, mut mb, mut aa, mut bb, mut ab] = [0.0; 5];
    for ((&a, &b), &w) in a.iter().zip(b).zip(weights) {
        ma += w * a;
        mb += w * b;
        aa += w * a * a;
        bb += w * b * b;
        ab += w * a * b;
    }
    let (va, vb, vab) = (aa - ma * ma, bb - mb * mb, ab - ma * mb);
    (2.0 * ma * mb + c1) * (2.0 * vab + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
}

/// Spectral angle in degrees between `back` and `sent`, both
/// `[band, row, column]` in physical units: the mean over pixels that have
/// every reading (Kruse et al., Remote Sensing of Environment 44, 1993).
/// `None` with fewer than four bands or without such a pixel.
pub fn spectral_angle_deg(sent: ArrayView3<f32>, back: ArrayView3<f32>) -> Option<f64> {
    if sent.len_of(Axis(0)) < 4 {
        return None;
    }
    let (mut sum, mut count) = (0.0, 0usize);
    for (a, b) in sent.lanes(Axis(0)).into_iter().zip(back.lanes(Axis(0))) {
        let dot = |x: ndarray::ArrayView1<f32>, y: ndarray::ArrayView1<f32>| -> f64 {
            x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
        };
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        if cosine.is_finite() {
            sum += cosine.clamp(-1.0, 1.0).acos().to_degrees();
            count += 1;
        }
    }
    (count > 0).then(|| sum / count as f64)
}

/// Where a share lies of which `right` of `count` draws are, with 95 %
/// confidence: Wilson's interval of the score test (Wilson, JASA 22, 1927),
/// which also holds for few draws and shares near 0 or 1. 0 to 1 where nothing
/// was drawn.
pub fn wilson(right: usize, count: usize) -> [f64; 2] {
    // The 97.5th percentile of the normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    if count == 0 {
        return [0.0, 1.0];
    }
    let (n, share) = (count as f64, right as f64 / count as f64);
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + (Z / (2.0 * n)).powi(2)).sqrt();
    [centre - half, centre + half].map(|end| (end / (1.0 + Z * Z / n)).clamp(0.0, 1.0))
}

/// Pearson's correlation of two series of equal length; 0 where one of them
/// has no spread.
pub fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

/// Bits per frame that survive a channel: the Gaussian mutual information of
/// sent and received components, `[frame][component]`, which are uncorrelated
/// by construction, so that the log-determinant is a sum over components of
/// -log2(1 - r^2) / 2. A correlation r counts as at most 0.9999.
pub fn bits(sent: &[Vec<f32>], received: &[Vec<f32>]) -> f64 {
    let components = sent.first().map_or(0, Vec::len);
    let column = |rows: &[Vec<f32>], k: usize| -> Vec<f64> {
        rows.iter().map(|row| f64::from(row[k])).collect()
    };
    (0..components)
        .map(|k| {
            let r = correlation(&column(sent, k), &column(received, k)).clamp(0.0, LARGEST_R);
            -0.5 * (1.0 - r * r).log2()
        })
        .sum()
}

/// Kolmogorov-Smirnov distance of `values` from the uniform distribution on
/// 0..1.
pub fn uniformity(values: impl Iterator<Item = f32>) -> f64 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    let count = values.len() as f64;
    values
        .iter()
        .enumerate()
        .map(|(index, &value)| {
            let value = f64::from(value);
            (value - index as f64 / count).abs().max(((index + 1) as f64 / count - value).abs())
        })
        .fold(0.0, f64::max)
}

/// Mean of a series; 0 of an empty one.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The lowest and the highest value of a series without the share `tail` at
/// either end; none of an empty one.
pub fn middle(series: impl Iterator<Item = f64>, tail: f64) -> Option<[f64; 2]> {
    let mut sorted: Vec<f64> = series.collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some([tail, 1.0 - tail].map(|share| sorted[(last as f64 * share).round() as usize]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn a_tenth_of_the_range_off_is_twenty_decibels() {
        let mut sent = Array3::from_elem((1, 4, 4), 20.0f32);
        sent[(0, 0, 0)] = f32::NAN;
        let back = Array3::from_elem((1, 4, 4), 23.0f32);
        let psnr = psnr_db(sent.view(), back.view(), &[[10.0, 40.0]]);
        assert!((psnr - 20.0).abs() < 1e-6, "{psnr}");
    }

    #[test]
    fn intervals_of_shares_are_those_of_scipy() {
        // scipy.stats.binomtest(right, count).proportion_ci(method="wilson").
        let reference = [
            (18, 24, [0.551_005_56, 0.880_006_34]),
            (0, 10, [0.0, 0.277_532_80]),
            (10, 10, [0.722_467_20, 1.0]),
            (7, 40, [0.087_454_14, 0.319_499_90]),
        ];
        for (right, count, expected) in reference {
            let found = wilson(right, count);
            let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-7, "{right} of {count}: {found:?}");
        }
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
    }

    #[test]
    fn similarity_is_one_for_the_same_picture_and_follows_the_formula() {
        let picture = Array3::from_shape_fn((1, 16, 16), |(_, r, c)| ((r * c) % 7) as f32 / 7.0);
        let range = [[0.0, 1.0]];
        let same = ssim(picture.view(), picture.view(), &range).unwrap();
        assert!((same - 1.0).abs() < 1e-9, "{same}");
        // Two flat pictures differ in luminance only: (2ab + c1) / (a^2 + b^2 + c1).
        let flat = |v: f32| Array3::from_elem((1, 16, 16), v);
        let off = ssim(flat(0.5).view(), flat(0.7).view(), &range).unwrap();
        let expected = (0.7 + 1e-4) / (0.25 + 0.49 + 1e-4);
        assert!((off - expected).abs() < 1e-6, "{off} against {expected}");
        assert!(ssim(flat(f32::NAN).view(), flat(0.5).view(), &range).is_none());
    }

    #[test]
    fn spectra_at_right_angles_are_ninety_degrees_apart() {
        let sent = Array3::from_shape_fn((4, 2, 2), |(b, _, _)| f32::from(u8::from(b < 2)));
        let back = Array3::from_shape_fn((4, 2, 2), |(b, _, _)| f32::from(u8::from(b >= 2)));
        assert!((spectral_angle_deg(sent.view(), back.view()).unwrap() - 90.0).abs() < 1e-9);
        assert!(spectral_angle_deg(sent.view(), sent.view()).unwrap() < 1e-5);
        let three = Array3::<f32>::ones((3, 2, 2));
        assert!(spectral_angle_deg(three.view(), three.view()).is_none());
    }

    #[test]
    fn noise_as_strong_as_the_signal_leaves_half_a_bit() {
        let mut random = crate::random::Random::new(9);
        let sent: Vec<Vec<f32>> = (0..20_000).map(|_| vec![random.normal() as f32]).collect();
        let received: Vec<Vec<f32>> =
            sent.iter().map(|row| vec![row[0] + random.normal() as f32]).collect();
        let bits = bits(&sent, &received);
        assert!((bits - 0.5).abs() < 0.02, "{bits}");
    }

    #[test]
    fn uniform_values_are_uniform_and_a_constant_is_not() {
        let values = (0..1000).map(|i| (i as f32 + 0.5) / 1000.0);
        assert!(uniformity(values) < 1e-3);
        assert!(uniformity(std::iter::repeat_n(0.5, 100)) > 0.49);
    }

    #[test]
    fn correlation_needs_spread() {
        assert_eq!(correlation(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
        assert!((correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
    }
}
