//! The receiver as tensors: powers that were heard through noise back to
//! components, with gradients.
//!
//! It does what [`crate::spectrum::noisy`] and [`crate::autoencoder::estimate`]
//! do, and knows as much: the power of the noise in each bin, and the loudness
//! of a frame. Of each value it takes mean m and variance v of the logit after
//! what was heard, by a sum over [`NODES`] nodes about where the power seems to
//! be. Less what was known beforehand that is an observation of the precision
//! p = 1 / v - 1 / before, at m / (v p). From all observations together it
//! estimates the components (Wiener):
//!
//! ```text
//! z = (1 + M' P M)^-1 M' P l = M' (M M' + 1 / P)^-1 l
//! ```
//!
//! The latter form is solved: however much better some values are known than
//! others, it is as well conditioned as the covariance M M' of the logits.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Axis;

use crate::autoencoder::estimate::{EDGE, ENOUGH_PRECISION, Estimator, LEAST_PRECISION};
use crate::autoencoder::{density, digits, matrix, squash, unsquash};
use crate::spectrum::noisy::{ADDED, DB_PER_PART, LEAST, REACH};

/// Nodes of the sum over a logit.
const NODES: usize = 24;

/// No logit is known better than this: what a 16-bit file leaves.
const LEAST_VARIANCE: f64 = 1e-7;

/// Steps of the conjugate gradients. What is then left of the error is below
/// what a picture shows.
const STEPS: usize = 16;

/// Conjugate gradients stand still once their error has fallen by this factor;
/// beyond, f32 would divide nothing by nothing.
const CONVERGED: f64 = 1e-7;

/// Hears codes of one number of groups.
#[derive(Clone, Debug)]
pub(super) struct Receiver {
    /// Logits of unit components, `[component, value]`.
    rows: Tensor<2>,
    /// The same, `[value, component]`.
    columns: Tensor<2>,
    /// Covariance of the logits beforehand, `[value, value]`.
    covariance: Tensor<2>,
    /// Variance of a logit beforehand, `[1, value]`.
    before: Tensor<2>,
    /// Number of bins of a value, `[1, value]`.
    bins: Tensor<2>,
    /// Places of the nodes in -1..1, `[1, 1, node]`.
    nodes: Tensor<3>,
    /// Level of value 1 above that of value 0, in dB.
    pub range_db: f64,
    /// Whether values have a second digit.
    pub digits: bool,
}

/// What is known of logits, each `[item, value]`.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub logit: Tensor<2>,
    /// The inverse of its variance.
    pub precision: Tensor<2>,
}

impl Receiver {
    /// Reads what `estimator` would, of values of `bins` bins each whose levels
    /// have the range `range_db`; `sign` is -1 where cold is loud.
    pub fn new(
        estimator: &Estimator,
        bins: Tensor<2>,
        range_db: f64,
        sign: f64,
        device: &Device,
    ) -> Self {
        let logits = estimator.logits().mapv(|v| (sign * v) as f32);
        let covariance = logits.dot(&logits.t());
        let before = covariance.diag().to_owned().insert_axis(Axis(0));
        let node = |node| ((2 * node + 1) as f32 - NODES as f32) / NODES as f32;
        let nodes: Vec<f32> = (0..NODES).map(node).collect();
        let columns = matrix(&logits, device);
        Self {
            rows: columns.clone().transpose(),
            columns,
            covariance: matrix(&covariance, device),
            before: matrix(&before, device),
            bins,
            nodes: Tensor::from_data(TensorData::new(nodes, [1, 1, NODES]), device),
            range_db,
            digits: estimator.has_digits(),
        }
    }

    /// The logits, `[item, value]`, of `components`, `[item, component]`.
    pub fn logits(&self, components: Tensor<2>) -> Tensor<2> {
        components.matmul(self.rows.clone())
    }

    /// The power, `[item, value]` or more, of a value of the logit `logits`; that
    /// of the logit 0 is 1.
    pub fn power<const D: usize>(&self, logits: Tensor<D>) -> Tensor<D> {
        ((squash(logits) - 0.5) * (self.range_db / DB_PER_PART)).exp()
    }

    /// What is known of logits after the power `heard` of each value, where
    /// `noise` is that of the noise in each of its bins; both are
    /// `[item, value]`, and the power of the logit 0 is 1.
    pub fn hear(&self, heard: Tensor<2>, noise: Tensor<2>) -> Known {
        let [middle, half] = self.reach(heard.clone(), noise.clone());
        let deep = |tensor: Tensor<2>| -> Tensor<3> { tensor.unsqueeze_dim(2) };
        let logits = deep(middle.clone()) + deep(half.clone()) * self.nodes.clone();
        let power = self.power(logits.clone());
        let (all, noise) = (deep(noise.clone() * self.bins.clone()), deep(noise));
        let variance = (power.clone() * 2.0 + all.clone()) * noise;
        let off = deep(heard) - power - all * ADDED;
        let log_likelihood = off.square() / variance.clone() + variance.log();
        let prior = logits.square() / deep(self.before.clone());
        let weights = softmax((log_likelihood + prior) * -0.5, 2);

        let place = (weights.clone() * self.nodes.clone()).sum_dim(2);
        let spread = (weights * (self.nodes.clone() - place.clone()).square()).sum_dim(2);
        let size = half.dims();
        let mean = middle + half.clone() * place.reshape(size);
        let variance = half.square() * spread.reshape(size) + LEAST_VARIANCE;
        let precision =
            (variance.clone().recip() - self.before.clone().recip()).clamp_min(LEAST_PRECISION);
        Known { logit: mean / variance / precision.clone(), precision }
    }

    /// Middle and half width of where the logits are looked for.
    fn reach(&self, heard: Tensor<2>, noise: Tensor<2>) -> [Tensor<2>; 2] {
        let all = noise.clone() * self.bins.clone();
        let signal = (heard - all.clone()).max_pair(all.clone() * LEAST);
        let per_db = DB_PER_PART / self.range_db;
        let relative = (signal.clone() * 2.0 + all) * noise / signal.clone().square();
        let nearest = (signal.log() * per_db + 0.5).clamp(0.0, 1.0);
        let error = relative.sqrt() * (per_db * REACH);
        let logit = |value: Tensor<2>| unsquash(value.clamp(EDGE, 1.0 - EDGE));
        let (low, high) = (logit(nearest.clone() - error.clone()), logit(nearest + error));
        [(high.clone() + low.clone()) / 2.0, (high - low) / 2.0]
    }

    /// The most probable components, `[item, component]`, by conjugate
    /// gradients (Hestenes & Stiefel 1952), preconditioned by the diagonal.
    pub fn components(&self, known: &Known) -> Tensor<2> {
        let variance = known.precision.clone().clamp_max(ENOUGH_PRECISION).recip();
        let diagonal = variance.clone() + self.before.clone();
        let product = |a: Tensor<2>, b: Tensor<2>| (a * b).sum_dim(1);
        let mut left = known.logit.clone();
        let mut way = left.clone() / diagonal.clone();
        let mut error = product(left.clone(), way.clone());
        let least = error.clone().detach() * CONVERGED + f32::MIN_POSITIVE;
        let mut solution = way.zeros_like();
        for _ in 0..STEPS {
            let image =
                way.clone().matmul(self.covariance.clone()) + way.clone() * variance.clone();
            let along = product(way.clone(), image.clone()) + least.clone();
            let far = error.clone() / along;
            solution = solution + way.clone() * far.clone();
            left = left - image * far;
            let next = left.clone() / diagonal.clone();
            let remains = product(left.clone(), next.clone());
            way = next + way * (remains.clone() / (error + least.clone()));
            error = remains;
        }
        solution.matmul(self.columns.clone())
    }
}

impl Known {
    /// What is known of the second digits of the logits `fine`, if `sent` are
    /// those of the first ones: both move by as much as the error, and a digit
    /// turns back at the ends of its step (see [`digits`]).
    pub fn fine(&self, sent: Tensor<2>, fine: Tensor<2>) -> Self {
        let place = squash(fine) + (self.logit.clone() - sent) / digits::STEP;
        let turned = (place.clone() - (place / 2.0).round() * 2.0).abs();
        let logit = unsquash(turned.clamp(EDGE, 1.0 - EDGE));
        let slope = density(logit.clone()) * digits::STEP;
        Self { logit, precision: self.precision.clone() * slope.square() }
    }
}
