//! Ordered components to code values and back.
//!
//! Components of unit variance, ordered by importance, are spread over the K
//! code positions by the orthonormal inverse Haar transform, coarse rows
//! first. Replacing groups of neighbouring logits by their mean zeroes exactly
//! the rows finer than the groups, so the code at G groups carries exactly the
//! leading G components. A logit, the sum of many components, has a bell
//! shape; its distribution function makes the code uniform in 0..1.
//!
//! The distribution is Student's t with four degrees of freedom: pictures
//! differ in contrast, so logits pooled over pictures have heavier tails than
//! a Gaussian, and tails that fall with a power keep hot outliers moving the
//! code where a Gaussian's would have saturated. Both the function and its
//! inverse are closed forms (Abramowitz & Stegun 26.7.4; the cubic by the
//! triple-angle formula).

use ndarray::{Array1, Array2, Axis};

/// Upper quartile of Student's t with four degrees of freedom.
pub const T4_QUARTILE: f64 = 0.740_697;

/// Code values stay this far from 0 and 1, so that their logits are finite.
const EDGE: f64 = 1e-6;

/// Distribution function of Student's t with four degrees of freedom.
pub fn squash(logit: f64) -> f64 {
    let w = logit / (4.0 + logit * logit).sqrt();
    (0.5 + w * (3.0 - w * w) / 4.0).clamp(EDGE, 1.0 - EDGE)
}

/// The derivative of [`squash`]: the density of Student's t with four degrees
/// of freedom.
pub fn density(logit: f64) -> f64 {
    0.375 * (1.0 + logit * logit / 4.0).powf(-2.5)
}

/// The inverse of [`squash`]; values beyond its reach count as its limits.
pub fn unsquash(value: f64) -> f64 {
    let w = 2.0 * ((2.0 * value.clamp(EDGE, 1.0 - EDGE) - 1.0).asin() / 3.0).sin();
    2.0 * w / (1.0 - w * w).sqrt()
}

/// The level of row `row`: 0 for the mean, then 0 for the first detail row, 1
/// for the next two, and so on, shifted by one.
pub fn level(row: usize) -> usize {
    match row {
        0 => 0,
        row => row.ilog2() as usize + 1,
    }
}

/// Number of levels of a code of `values` values.
pub fn levels(values: usize) -> usize {
    level(values.saturating_sub(1)) + 1
}

/// What is not 0 in row `row` of the [`matrix`] of `values` rows: positions and
/// entries.
pub fn entries(values: usize, row: usize) -> impl Iterator<Item = (usize, f32)> {
    let rows_of_level = if row == 0 { 1 } else { 1 << row.ilog2() };
    let width = values / rows_of_level;
    let start = if row == 0 { 0 } else { (row - rows_of_level) * width };
    let height = 1.0 / (width as f32).sqrt();
    (0..width).map(move |offset| {
        let second_half = row > 0 && offset >= width / 2;
        (start + offset, if second_half { -height } else { height })
    })
}

/// The orthonormal Haar matrix `[row, position]` of a power of two, rows from
/// coarse to fine.
pub fn matrix(values: usize) -> Array2<f32> {
    let mut haar = Array2::zeros((values, values));
    for row in 0..values {
        entries(values, row).for_each(|(position, entry)| haar[(row, position)] = entry);
    }
    haar
}

/// The share of a logit's variance that level `level` holds, up to a common
/// factor. It grows with the level; of 128 values the mean holds a thirteenth,
/// and the finest 64 rows hold a sixth.
///
/// So sounds differ most nearly as pictures do, and more of the code survives
/// noise than with equal shares; see ARCHITECTURE.md. Unweighted rows would
/// give the finest level half of the variance, and brightness almost none.
fn share(level: usize) -> f32 {
    6.0 + level as f32
}

/// The shares of all levels of a code of `values` values together.
fn shares(values: usize) -> f32 {
    (0..levels(values)).map(share).sum()
}

/// The factor of every row, `[row]`, such that each level holds its share of a
/// logit's variance and the variance is 1 for unit components.
pub fn weights(values: usize) -> Array1<f32> {
    let unit = values as f32 / shares(values);
    Array1::from_shape_fn(values, |row| {
        let rows_of_level = if row == 0 { 1 } else { 1usize << row.ilog2() };
        (unit * share(level(row)) / rows_of_level as f32).sqrt()
    })
}

/// The rows times their factors, `[row, position]`: the logits of unit components.
pub fn weighted(values: usize) -> Array2<f32> {
    matrix(values) * weights(values).insert_axis(Axis(1))
}

/// What a code averaged to `groups` groups is multiplied by, in logits, so
/// that it is uniform again: the finer levels are gone with their shares.
pub fn rescale(values: usize, groups: usize) -> f32 {
    (shares(values) / shares(groups)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_orthonormal() {
        for values in [1, 2, 8, 128] {
            let haar = matrix(values);
            let product = haar.dot(&haar.t());
            for ((a, b), &value) in product.indexed_iter() {
                let expected = f32::from(u8::from(a == b));
                assert!((value - expected).abs() < 1e-5, "{values}: ({a}, {b}) is {value}");
            }
        }
    }

    #[test]
    fn averaging_neighbours_zeroes_exactly_the_finer_rows() {
        let haar = matrix(16);
        let rows = Array1::from_shape_fn(16, |row| (row as f32 * 1.7).sin());
        let mut logits = rows.dot(&haar);
        for group in logits.as_slice_mut().unwrap().chunks_mut(4) {
            let mean = group.iter().sum::<f32>() / 4.0;
            group.fill(mean);
        }
        let averaged = haar.dot(&logits);
        for row in 0..16 {
            let expected = if row < 4 { rows[row] } else { 0.0 };
            assert!((averaged[row] - expected).abs() < 1e-5, "row {row}");
        }
    }

    #[test]
    fn logits_of_unit_components_have_unit_variance_at_every_level() {
        let values = 64;
        let (haar, weights) = (matrix(values), weights(values));
        for groups in [1, 2, 8, 64] {
            let factor = rescale(values, groups);
            for position in 0..values {
                let variance: f32 = (0..groups)
                    .map(|row| (haar[(row, position)] * weights[row] * factor).powi(2))
                    .sum();
                assert!((variance - 1.0).abs() < 1e-4, "{groups} groups: {variance}");
            }
        }
    }

    #[test]
    fn squash_agrees_with_the_integral_of_its_density() {
        let steps = 200_000;
        for limit in [0.3, T4_QUARTILE, 2.5] {
            let width = limit / f64::from(steps);
            let integral: f64 =
                (0..steps).map(|i| density((f64::from(i) + 0.5) * width) * width).sum();
            assert!((squash(limit) - 0.5 - integral).abs() < 1e-9, "at {limit}");
        }
        assert!((squash(T4_QUARTILE) - 0.75).abs() < 1e-6);
    }

    #[test]
    fn unsquash_is_the_inverse() {
        for logit in [-20.0, -3.0, -0.1, 0.0, 0.5, 4.0, 30.0] {
            let back = unsquash(squash(logit));
            assert!((back - logit).abs() < 1e-6 * (1.0 + logit.abs().powi(5)), "{logit}: {back}");
        }
        assert!(unsquash(0.0).is_finite() && unsquash(1.0).is_finite());
    }
}
