//! AdamW (Loshchilov & Hutter 2019) over the parameters of a network.

use std::collections::BTreeMap;
use std::fmt;

use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{Device, Gradients};
use ndarray::Array2;

use crate::autoencoder::{Network, matrix, read};
use crate::error::{Error, Fault, Result};

/// burn's AdamW, with its state by the parameters' names. burn's own record
/// of it is read back to the default device, which is a graphics adapter even
/// where there is none.
pub(super) struct Optimiser {
    adamw: AdamW,
    states: BTreeMap<String, AdamWState<2>>,
}

impl fmt::Debug for Optimiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Optimiser").field("parameters", &self.states.len()).finish()
    }
}

impl Optimiser {
    /// At the start.
    pub fn new(weight_decay: f32) -> Self {
        let config = AdamWConfig::new().with_weight_decay(weight_decay).with_epsilon(1e-8);
        Self { adamw: config.build(), states: BTreeMap::new() }
    }

    /// The network after a step at the learning rate `rate`.
    pub fn step(&mut self, rate: f64, network: Network, gradients: &Gradients) -> Network {
        network.updated(gradients, &mut |name, value, gradient| {
            let state = self.states.remove(name);
            let (next, state) = self.adamw.step(rate, value, gradient, state);
            if let Some(state) = state {
                self.states.insert(name.to_owned(), state);
            }
            next
        })
    }

    /// Mean and mean square of the gradients so far, as `mean.NAME` and
    /// `square.NAME`.
    pub fn moments(&self) -> Result<Vec<(String, Array2<f32>)>> {
        let mut moments = Vec::new();
        for (name, AdamWState { momentum }) in &self.states {
            for (kind, tensor) in [("mean", &momentum.moment_1), ("square", &momentum.moment_2)] {
                let [rows, columns] = tensor.dims();
                let array = Array2::from_shape_vec((rows, columns), read(tensor.clone())?);
                let array = array.map_err(|e| Error::new(Fault::Unsupported, "optimiser", e))?;
                moments.push((format!("{kind}.{name}"), array));
            }
        }
        Ok(moments)
    }

    /// Goes on from `moments` after `steps` steps.
    pub fn resume(&mut self, moments: &[(String, Array2<f32>)], steps: u64, device: &Device) {
        let by_name: BTreeMap<&str, &Array2<f32>> =
            moments.iter().map(|(name, array)| (name.as_str(), array)).collect();
        for (key, mean) in &by_name {
            if let Some(name) = key.strip_prefix("mean.")
                && let Some(square) = by_name.get(format!("square.{name}").as_str())
            {
                let state = AdaptiveMomentumState {
                    time: steps as usize,
                    moment_1: matrix(mean, device),
                    moment_2: matrix(square, device),
                    max_moment_2: None,
                };
                self.states.insert(name.to_owned(), AdamWState::new(state));
            }
        }
    }
}
