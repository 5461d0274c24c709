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

use super::{Autoencoder, digits, haar};
use crate::spectrum::noisy::Observation;

/// No logit is known better than this, so that the matrix can be inverted.
const LEAST_VARIANCE: f64 = 1e-9;

/// Where every logit is known this well, as in a file of ours, the estimate
/// would change nothing that a picture shows.
pub(crate) const ENOUGH_PRECISION: f64 = 1e4;

/// What a value that was not heard says about its logit.
pub(crate) const LEAST_PRECISION: f64 = 1e-3;

/// Where no logit is known better than this, what is known of all of them
/// explains half a hundredth of what they vary by: not worth solving for.
const NO_PRECISION: f64 = 5e-3;

/// Values this close to 0 or 1 are as far out as noise can make them.
pub(crate) const EDGE: f64 = 1e-3;

/// Estimates codes averaged to one number of groups.
#[derive(Clone, Debug)]
pub struct Estimator {
    /// Logits of unit components, `[position, component]`.
    logits: Array2<f64>,
    /// Whether values have a second digit.
    digits: bool,
}

impl Estimator {
    /// For codes of `autoencoder` averaged to `groups` groups, of which each
    /// group is heard once.
    pub fn new(autoencoder: &Autoencoder, groups: usize) -> Self {
        let values = autoencoder.values();
        let factor = f64::from(haar::rescale(values, groups) / autoencoder.spread);
        let rows = haar::weighted(values);
        let step = values / groups.max(1);
        let kept = rows.slice(s![..groups, ..;step]);
        let digits = autoencoder.carried(groups) > groups;
        Self { logits: kept.t().mapv(|v| f64::from(v) * factor), digits }
    }

    /// Logits of unit components, `[position, component]`.
    pub(crate) fn logits(&self) -> &Array2<f64> {
        &self.logits
    }

    /// Whether values have a second digit.
    pub(crate) fn has_digits(&self) -> bool {
        self.digits
    }

    /// The most probable code, each value in 0..1, after what was heard of
    /// each value. `None` where what was heard is no number.
    pub fn estimate(&self, heard: &[Observation]) -> Option<Vec<f64>> {
        let rows = heard.iter().zip(self.logits.outer_iter());
        let known: Vec<Known> = rows.map(|(heard, row)| logit(heard, row.dot(&row))).collect();
        if !self.digits {
            return Some(self.wiener(&known)?.into_iter().map(haar::squash).collect());
        }
        let (coarse, fine): (Vec<Known>, Vec<Known>) =
            known.into_iter().enumerate().map(|(index, known)| known.digits(index)).unzip();
        let digits = self.wiener(&coarse)?.into_iter().zip(self.wiener(&fine)?).enumerate();
        let value = |(index, (coarse, fine))| haar::squash(digits::join(index, coarse, fine));
        Some(digits.map(value).collect())
    }

    /// The most probable logits after what is known of each.
    fn wiener(&self, known: &[Known]) -> Option<Vec<f64>> {
        if known.iter().all(|known| known.precision > ENOUGH_PRECISION) {
            return Some(known.iter().map(|known| known.logit).collect());
        }
        if known.iter().all(|known| known.precision < NO_PRECISION) {
            return Some(vec![0.0; known.len()]);
        }
        let precision: Array1<f64> = known.iter().map(|known| known.precision).collect();
        let logits: Array1<f64> = known.iter().map(|known| known.logit).collect();
        let weighted = &self.logits.t() * &precision;
        let right = weighted.dot(&logits);
        let mut matrix = weighted.dot(&self.logits);
        matrix.diag_mut().mapv_inplace(|v| v + 1.0);
        let size = right.len();
        let system = Mat::from_fn(size, size, |row, column| matrix[(row, column)]);
        let right = Mat::from_fn(size, 1, |row, _| right[row]);
        // Positive definite, as it is 1 plus a square: it fails on NaN alone.
        let solution = system.llt(Side::Lower).ok()?.solve(&right);
        let components = Array1::from_shape_fn(size, |row| solution[(row, 0)]);
        Some(self.logits.dot(&components).to_vec())
    }
}

/// A logit, as far as it is known.
#[derive(Clone, Copy, Debug)]
struct Known {
    logit: f64,
    /// The inverse of its variance, or of what it adds to what is known
    /// beforehand: that the logit is normal and of zero mean.
    precision: f64,
}

impl Known {
    /// What it says of the coarse digit and of the fine one, as the logit of
    /// value `index`.
    fn digits(self, index: usize) -> (Self, Self) {
        let variance = 1.0 / self.precision;
        let [coarse, fine] = digits::part(index, self.logit);
        let slope = digits::STEP * haar::density(fine);
        let fine_variance = variance / (slope * slope);
        (
            Self { logit: coarse, ..self },
            Self { logit: fine, precision: 1.0 / fine_variance.max(LEAST_VARIANCE) },
        )
    }
}

/// What was heard of a value whose logit has the variance `before` beforehand.
fn logit(heard: &Observation, before: f64) -> Known {
    match heard {
        Observation::Sharp { value, variance } => {
            let edge = EDGE.min(*variance);
            let logit = haar::unsquash(value.clamp(edge, 1.0 - edge));
            let variance = variance / haar::density(logit).powi(2);
            Known { logit, precision: 1.0 / variance.max(LEAST_VARIANCE) }
        }
        Observation::Blurred { range, likelihood } => {
            let (mean, variance) = moments(*range, likelihood, before);
            let precision = 1.0 / variance - 1.0 / before;
            if precision <= LEAST_PRECISION {
                return Known { logit: 0.0, precision: LEAST_PRECISION };
            }
            Known { logit: mean / variance / precision, precision }
        }
    }
}

/// Mean and variance of a logit that is normal, of zero mean and the variance
/// `before`, after its value was heard to lie in `range` with the likelihood
/// `likelihood` at the middles of equal steps.
fn moments([low, high]: [f64; 2], likelihood: &[f64], before: f64) -> (f64, f64) {
    let steps = likelihood.len() as f64;
    let weighted: Vec<(f64, f64)> = likelihood
        .iter()
        .enumerate()
        .map(|(step, likelihood)| {
            let logit = haar::unsquash(low + (high - low) * (step as f64 + 0.5) / steps);
            // Steps are equal in the value, not in the logit.
            let width = 1.0 / haar::density(logit);
            (logit, likelihood * width * (-logit * logit / (2.0 * before)).exp())
        })
        .collect();
    let sum: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    let mean = weighted.iter().map(|(logit, weight)| weight * logit).sum::<f64>() / sum;
    let square = |(logit, weight): &(f64, f64)| weight * (logit - mean).powi(2);
    let variance = weighted.iter().map(square).sum::<f64>() / sum;
    if sum > 0.0 { (mean, variance.max(LEAST_VARIANCE)) } else { (0.0, before) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoencoder::linear::Moments;
    use crate::random::Random;
    use burn::tensor::Device;
    use ndarray::Array3;

    fn autoencoder() -> Autoencoder {
        let mut random = Random::new(1);
        let pictures: Vec<Array3<f32>> = (0..40)
            .map(|_| Array3::from_shape_simple_fn((1, 8, 8), || random.uniform() as f32))
            .collect();
        let linear = Moments::gather(&pictures, &[1.0]).unwrap().solve(32, 0.5).unwrap();
        Autoencoder::new(linear, 1.0, &Device::flex())
    }

    /// Codes as the estimator takes them to be: of normal components.
    fn codes(autoencoder: &Autoencoder, groups: usize, count: usize) -> Vec<Vec<f64>> {
        let mut random = Random::new(7);
        let step = autoencoder.values() / groups;
        (0..count)
            .map(|_| {
                let components: Vec<f32> =
                    (0..2 * groups).map(|_| random.normal() as f32).collect();
                let code = autoencoder.code(&components, groups);
                code.into_iter().step_by(step).map(f64::from).collect()
            })
            .collect()
    }

    #[test]
    fn what_was_heard_well_is_taken_as_it_is() {
        let autoencoder = autoencoder();
        for groups in [1, 8, 32] {
            let estimator = Estimator::new(&autoencoder, groups);
            for code in codes(&autoencoder, groups, 5) {
                let sharp = |&value: &f64| Observation::Sharp { value, variance: 0.0 };
                let heard: Vec<Observation> = code.iter().map(sharp).collect();
                for (a, b) in estimator.estimate(&heard).unwrap().iter().zip(&code) {
                    assert!((a - b).abs() < 1e-5, "{groups} groups: {a} of {b}");
                }
            }
        }
    }

    #[test]
    fn nothing_heard_is_the_middle() {
        let estimator = Estimator::new(&autoencoder(), 32);
        let code = estimator.estimate(&vec![
            Observation::Blurred {
                range: [0.0, 1.0],
                likelihood: vec![1.0; 64]
            };
            32
        ]);
        let code = code.unwrap();
        let apart = 0.375 * digits::STEP / 2.0;
        assert!(code.iter().all(|value| (value - 0.5).abs() <= apart), "{code:?}");
        let code: Vec<f32> = code.iter().map(|&value| value as f32).collect();
        let fine = &autoencoder().components_of_code(&code, 32)[32..];
        assert!(fine.iter().all(|component| component.abs() < 1e-3), "{fine:?}");
    }

    /// Squared errors of the components of `codes` heard with errors of
    /// `deviation`: before and after the estimate.
    fn errors(deviation: f64, observe: impl Fn(f64, f64) -> Observation) -> [f64; 2] {
        let autoencoder = autoencoder();
        let estimator = Estimator::new(&autoencoder, 32);
        let mut random = Random::new(3);
        let mut errors = [0.0; 2];
        let components = |code: &[f64]| {
            let code: Vec<f32> = code.iter().map(|&value| value as f32).collect();
            autoencoder.components_of_code(&code, 32)
        };
        for code in codes(&autoencoder, 32, 50) {
            let noisy: Vec<f64> = code.iter().map(|c| c + deviation * random.normal()).collect();
            let heard: Vec<Observation> =
                noisy.iter().map(|&value| observe(value, deviation * deviation)).collect();
            let estimate = estimator.estimate(&heard).unwrap();
            let sent = components(&code);
            for (error, back) in errors.iter_mut().zip([noisy, estimate]) {
                let off = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
                *error += components(&back).iter().zip(&sent).map(off).sum::<f64>();
            }
        }
        errors
    }

    #[test]
    fn noise_is_taken_off() {
        let blurred = |value: f64, variance: f64| {
            let reach = 4.0 * variance.sqrt();
            let (low, high) = ((value - reach).clamp(0.0, 0.99), (value + reach).clamp(0.01, 1.0));
            let at = |step: usize| low + (high - low) * (step as f64 + 0.5) / 48.0 - value;
            let likelihood = |step| (-at(step).powi(2) / (2.0 * variance)).exp();
            let likelihood = (0..48).map(likelihood).collect();
            Observation::Blurred { range: [low, high], likelihood }
        };
        for deviation in [0.2, 0.05, 0.01] {
            let [before, after] = errors(deviation, blurred);
            assert!(after < 0.995 * before, "{deviation}: {after} of {before}");
        }
    }
}
