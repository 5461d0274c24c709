//! The most probable code behind values that were heard with errors.
//!
//! Components are uncorrelated and of unit variance, and the logits of the
//! code are sums of them: so values that were heard well say something about
//! those that were not. This is the linear estimate of least mean square error
//! (Wiener): with logits l = M z + n, z of unit covariance and n of the
//! covariance D, z = (1 + M' D^-1 M)^-1 M' D^-1 l.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use ndarray::{Array1, Array2, s};

use super::{Autoencoder, haar, weighted_rows};
use crate::spectrum::noisy::Observation;

/// No logit is known better than this, so that the matrix can be inverted.
const LEAST_VARIANCE: f64 = 1e-9;

/// Values this close to 0 or 1 are as far out as noise can make them.
const EDGE: f64 = 1e-3;

/// Estimates codes averaged to one number of groups.
#[derive(Clone, Debug)]
pub struct Estimator {
    /// Logits of unit components, `[position, component]`.
    logits: Array2<f64>,
}

impl Estimator {
    /// For codes of `autoencoder` averaged to `groups` groups, of which each
    /// group is heard once.
    pub fn new(autoencoder: &Autoencoder, groups: usize) -> Self {
        let values = autoencoder.values();
        let factor = f64::from(haar::rescale(values, groups) / autoencoder.spread);
        let rows = weighted_rows(values);
        let step = values / groups.max(1);
        let kept = rows.slice(s![..groups, ..;step]);
        Self { logits: kept.t().mapv(|v| f64::from(v) * factor) }
    }

    /// The most probable code, each value in 0..1, after what was heard of
    /// each value.
    pub fn estimate(&self, heard: &[Observation]) -> Vec<f64> {
        let (logits, precision): (Vec<f64>, Vec<f64>) = heard.iter().map(logit).unzip();
        let weighted = &self.logits.t() * &Array1::from_vec(precision);
        let right = weighted.dot(&Array1::from_vec(logits));
        let mut matrix = weighted.dot(&self.logits);
        matrix.diag_mut().mapv_inplace(|v| v + 1.0);
        let size = right.len();
        let system = Mat::from_fn(size, size, |row, column| matrix[(row, column)]);
        let right = Mat::from_fn(size, 1, |row, _| right[row]);
        // The matrix is positive definite, as it is 1 plus a square.
        let Ok(decomposition) = system.llt(Side::Lower) else { return vec![0.5; heard.len()] };
        let solution = decomposition.solve(&right);
        let components = Array1::from_shape_fn(size, |row| solution[(row, 0)]);
        self.logits.dot(&components).iter().map(|&logit| haar::squash(logit)).collect()
    }
}

/// What was heard of a value as a logit and the precision (the inverse of the
/// variance) that it adds to what is known beforehand.
fn logit(heard: &Observation) -> (f64, f64) {
    match heard {
        Observation::Sharp { value, variance } => {
            let edge = EDGE.min(*variance);
            let logit = haar::unsquash(value.clamp(edge, 1.0 - edge));
            let variance = variance / haar::density(logit).powi(2);
            (logit, 1.0 / variance.max(LEAST_VARIANCE))
        }
        Observation::Blurred(likelihood) => {
            // Beforehand every value is as probable as another.
            let (mean_before, variance_before) = moments(&vec![1.0; likelihood.len()]);
            let (mean, variance) = moments(likelihood);
            let precision = 1.0 / variance - 1.0 / variance_before;
            if precision <= 1e-3 {
                return (0.0, 1e-3);
            }
            ((mean / variance - mean_before / variance_before) / precision, precision)
        }
    }
}

/// Mean and variance of the logits of evenly spaced values that have these
/// weights.
fn moments(weights: &[f64]) -> (f64, f64) {
    let steps = weights.len() as f64;
    let logit = |step: usize| haar::unsquash((step as f64 + 0.5) / steps);
    let sum: f64 = weights.iter().sum();
    let mean = weights.iter().enumerate().map(|(step, w)| w * logit(step)).sum::<f64>() / sum;
    let square = |(step, w): (usize, &f64)| w * (logit(step) - mean).powi(2);
    (mean, (weights.iter().enumerate().map(square).sum::<f64>() / sum).max(1e-4))
}
