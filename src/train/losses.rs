//! What training asks for, each a function over tensors with gradients.
//!
//! # Recursive averaging
//!
//! The logits of a code are averaged in groups of neighbours before the
//! decoder sees them. They are the components times weighted orthonormal Haar
//! rows (see [`crate::autoencoder::haar`]), so that averaging to G groups
//! zeroes exactly the rows from G on, and keeps the others. The factor by
//! which the sender rescales what is left is known to the receiver, who takes
//! it out again. Averaging to G groups is thus the product with
//! [`leading`], exactly.

use std::f32::consts::PI;

use burn::tensor::{Device, Tensor, TensorData};

/// Variances below this count as no spread at all.
const NO_SPREAD: f32 = 1e-8;

/// Squared errors below this count as this, so that a perfect picture has a
/// finite score: 100 dB.
const SMALLEST_ERROR: f32 = 1e-10;

/// Waves that tell a distribution from the uniform one; finer ones would add a
/// tenth to the distance of a constant.
const WAVES: u32 = 12;

/// Ones for the `kept[i]` leading components of item i, else zeros:
/// `[item, component]`, `components` to an item.
pub fn leading(kept: &[usize], components: usize, device: &Device) -> Tensor<2> {
    let keep = |&kept: &usize| (0..components).map(move |row| f32::from(u8::from(row < kept)));
    let flat: Vec<f32> = kept.iter().flat_map(keep).collect();
    Tensor::from_data(TensorData::new(flat, [kept.len(), components]), device)
}

/// Mean squared error of each picture over its `pixels` pixels and bands,
/// `[item]`: of its coefficients `sent` and `back`, `[item, coefficient]`, and
/// of the energy `lost` beside them, `[item]` (see
/// [`crate::autoencoder::Autoencoder::analyse`]).
pub fn squared_error(
    sent: Tensor<2>,
    back: Tensor<2>,
    lost: Tensor<1>,
    pixels: usize,
) -> Tensor<1> {
    let [items, _] = sent.dims();
    let difference: Tensor<1> = (sent - back).square().sum_dim(1).reshape([items]);
    (difference + lost) / pixels as f32
}

/// The mean over pictures of their error in dB below the peak, which is the
/// negative of the mean PSNR by which models are judged: `[1]`. Every picture
/// counts alike, whatever its contrast and however coarse its code.
pub fn fidelity_db(squared_errors: Tensor<1>) -> Tensor<1> {
    squared_errors.clamp_min(SMALLEST_ERROR).log().mean() * (10.0 / std::f32::consts::LN_10)
}

/// How far the code `[item, value]` is from uniform in 0..1: the mean over
/// values of the Cramer-von Mises distance of each over the batch, plus that
/// of all values pooled, `[1]`. The pooled distance alone would be satisfied
/// by a constant code, the other one alone by a batch too small to tell.
///
/// That distance is the integral over 0..1 of (F(x) - x)^2, where F is the share
/// of items that are at most x. F(x) - x is zero at both ends, and a series of
/// sin(k pi x) whose coefficients are means of cos(k pi u) over the items u:
/// the integral is the sum over k of 2 / (k pi)^2 times the square of that mean
/// (Durbin & Knott 1972). The first dozen needs no sorting, which graphics adapters
/// do badly, and is smooth in every item.
pub fn uniformity(code: Tensor<2>) -> Tensor<1> {
    let of_wave = |wave: u32| {
        let radians = wave as f32 * PI;
        let each: Tensor<2> = (code.clone() * radians).cos().mean_dim(0);
        let pooled = each.clone().mean().square();
        (each.square().mean() + pooled) * (2.0 / radians.powi(2))
    };
    (2..=WAVES).fold(of_wave(1), |sum, wave| sum + of_wave(wave))
}

/// One minus the correlation over the batch of the frames' band energy
/// `[item]` with the loudness of their codes `[item, value]`: `[1]`, in 0..2.
/// Loudness in LU is a linear function of the mean code by construction (see
/// [`crate::spectrum`]), so the correlation is that with the mean code.
/// Zero, without a gradient, where the batch has no spread of energy or none
/// of loudness: a still scene has nothing to follow.
pub fn band_energy(code: Tensor<2>, energy: Tensor<1>) -> Tensor<1> {
    let [items, _] = code.dims();
    let loudness: Tensor<1> = code.mean_dim(1).reshape([items]);
    let centred = |series: Tensor<1>| series.clone() - series.mean();
    let (loudness, energy) = (centred(loudness), centred(energy));
    let variance = |series: &Tensor<1>| series.clone().square().mean();
    let (of_loudness, of_energy) = (variance(&loudness), variance(&energy));
    let smaller = of_loudness.clone().detach().min_pair(of_energy.clone());
    let spread = smaller.greater_elem(NO_SPREAD).float();
    let product = of_loudness.clamp_min(NO_SPREAD) * of_energy.clamp_min(NO_SPREAD);
    ((loudness * energy).mean() / product.sqrt() * -1.0 + 1.0) * spread
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoencoder::{haar, read};
    use crate::random::Random;

    fn device() -> Device {
        Device::flex()
    }

    fn tensor(values: &[f32], columns: usize, device: &Device) -> Tensor<2> {
        let shape = [values.len() / columns, columns];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
    }

    fn draw(count: usize, seed: u64) -> Vec<f32> {
        let mut random = Random::new(seed);
        (0..count).map(|_| random.between(0.1, 0.9) as f32).collect()
    }

    fn scalar(tensor: Tensor<1>) -> f64 {
        f64::from(read(tensor).unwrap()[0])
    }

    /// Compares the gradient of `loss` at `point` with central differences
    /// along random directions. In f32 a loss near 1 is known to 1e-7, so a
    /// step of 1e-3 gives its slope to about 1e-4.
    fn agrees_with_differences(
        point: &[f32],
        columns: usize,
        loss: impl Fn(Tensor<2>) -> Tensor<1>,
    ) {
        let tracked = tensor(point, columns, &device().autodiff()).require_grad();
        let gradients = loss(tracked.clone()).backward();
        let gradient = read(tracked.grad(&gradients).unwrap()).unwrap();
        for seed in 0..5 {
            let mut random = Random::new(100 + seed);
            let direction: Vec<f32> = point.iter().map(|_| random.normal() as f32).collect();
            let step = 1e-3f32;
            let at = |sign: f32| {
                let moved: Vec<f32> =
                    point.iter().zip(&direction).map(|(p, d)| p + sign * step * d).collect();
                scalar(loss(tensor(&moved, columns, &device())))
            };
            let difference = (at(1.0) - at(-1.0)) / f64::from(2.0 * step);
            let slope: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
            let size = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
            let bound = 0.02 * size * (point.len() as f64).sqrt() + 5e-4;
            assert!((difference - slope).abs() < bound, "{difference} {slope}, bound {bound}");
            assert!(size > 1e-3, "the test says something only where there is a slope: {size}");
        }
    }

    #[test]
    fn leading_components_are_what_explicit_averaging_leaves() {
        let values = 32;
        let rows = haar::weighted(values);
        for level in 0..=5 {
            let groups = 1usize << level;
            let mut random = Random::new(level);
            let z: Vec<f32> = (0..values).map(|_| random.normal() as f32).collect();
            let mut logits = ndarray::Array1::from_vec(z.clone()).dot(&rows);
            for group in logits.as_slice_mut().unwrap().chunks_mut(values / groups) {
                let mean = group.iter().sum::<f32>() / group.len() as f32;
                group.fill(mean);
            }
            // The receiver's way back: orthonormal rows, without their weights.
            let back = haar::matrix(values).dot(&logits) / haar::weights(values);
            let masked = tensor(&z, values, &device()) * leading(&[groups], values, &device());
            for (a, b) in read(masked).unwrap().iter().zip(back) {
                assert!((a - b).abs() < 1e-5, "{groups} groups: {a} {b}");
            }
        }
    }

    #[test]
    fn uniformity_is_the_integral_of_the_squared_difference() {
        // A single item, and items that are far from uniform; a column pooled with
        // itself counts twice.
        let crowded: Vec<f32> = draw(200, 5).iter().map(|u| u * u).collect();
        for items in [&[0.3], &crowded[..]] {
            let steps = 200_000;
            let integral: f64 = (0..steps)
                .map(|step| {
                    let x = (f64::from(step) + 0.5) / f64::from(steps);
                    let below = items.iter().filter(|&&u| f64::from(u) <= x).count();
                    (below as f64 / items.len() as f64 - x).powi(2) / f64::from(steps)
                })
                .sum();
            let closed = scalar(uniformity(tensor(items, 1, &device()))) / 2.0;
            // What the finer waves of as many items would add at most.
            let rest = 2.0 / (f64::from(PI).powi(2) * f64::from(WAVES));
            let rest = rest * (4.0 / items.len() as f64).min(1.0);
            assert!(closed <= integral + 1e-5 && integral <= closed + rest, "{integral} {closed}");
        }
    }

    #[test]
    fn a_constant_code_is_not_uniform_nor_is_one_that_is_so_only_when_pooled() {
        let even: Vec<f32> = (0..64).map(|i| (i as f32 + 0.5) / 64.0).collect();
        let loss = |code: &[f32], columns| scalar(uniformity(tensor(code, columns, &device())));
        // Four values, sixteen items: every value runs through all of 0..1.
        assert!(loss(&even, 4) < 2e-3, "{}", loss(&even, 4));
        assert!(loss(&[0.5; 64], 4) > 0.15);
        // Pooled these are uniform, but no value ever changes.
        let stuck: Vec<f32> = (0..64).map(|i| (i % 4) as f32 / 4.0 + 0.125).collect();
        assert!(loss(&stuck, 4) > 0.1);
    }

    #[test]
    fn energy_is_followed_or_not() {
        let energy = Tensor::<1>::from_data([0.1f32, 0.2, 0.4, 0.3], &device());
        let loss =
            |code: [f32; 8]| scalar(band_energy(tensor(&code, 2, &device()), energy.clone()));
        assert!(loss([0.0, 0.2, 0.2, 0.2, 0.4, 0.4, 0.3, 0.3]).abs() < 1e-5);
        assert!((loss([0.9, 0.9, 0.8, 0.8, 0.6, 0.6, 0.7, 0.7]) - 2.0).abs() < 1e-5);
        assert_eq!(loss([0.5; 8]), 0.0);
        let still = Tensor::<1>::from_data([0.3f32; 4], &device());
        let code = tensor(&draw(8, 1), 2, &device().autodiff()).require_grad();
        let gradients = band_energy(code.clone(), still).backward();
        let gradient = read(code.grad(&gradients).unwrap()).unwrap();
        assert!(gradient.iter().all(|&g| g == 0.0), "{gradient:?}");
    }

    #[test]
    fn gradients_of_the_error_are_those_of_differences() {
        let sent = draw(24, 1);
        agrees_with_differences(&draw(24, 2), 6, |back| {
            let device = back.device().without_autodiff();
            let lost = Tensor::<1>::from_data([0.1f32, 0.2, 0.3, 0.4], &device);
            fidelity_db(squared_error(tensor(&sent, 6, &device), back, lost, 10))
        });
    }

    #[test]
    fn gradients_of_the_uniformity_are_those_of_differences() {
        // Codes crowded in the middle.
        let code: Vec<f32> = draw(48, 3).iter().map(|u| 0.4 + 0.2 * u).collect();
        agrees_with_differences(&code, 4, uniformity);
    }

    #[test]
    fn gradients_of_the_energy_are_those_of_differences() {
        agrees_with_differences(&draw(32, 4), 4, |code| {
            let energy: Vec<f32> = draw(8, 9);
            let device = code.device().without_autodiff();
            let energy = Tensor::<1>::from_data(TensorData::new(energy, [8]), &device);
            band_energy(code, energy)
        });
    }
}
