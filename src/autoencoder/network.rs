//! The trained part of an autoencoder: corrections of the linear path.

use std::cell::RefCell;

use burn::module::{Module, Param};
use burn::nn;
use burn::tensor::activation::gelu;
use burn::tensor::module::linear;
use burn::tensor::{Device, Gradients, Tensor};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{matrix, read};
use crate::error::{Error, Fault, Result};
use crate::random::Random;

/// Which ends of the autoencoder have a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The decoder alone: codes and sounds stay those of the linear path, and
    /// so do their uniformity, their order and their loudness.
    Decoder,
    /// Encoder and decoder.
    Both,
}

/// The sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of coefficients of a picture.
    pub coefficients: usize,
    /// Number of components of a picture.
    pub components: usize,
    /// Number of units of a hidden layer.
    pub width: usize,
}

/// The trained part: a correction of the components, seen from the
/// coefficients, and one of the coefficients, seen from the components.
#[derive(Module, Debug)]
pub struct Network {
    encoder: Option<Perceptron>,
    decoder: Perceptron,
}

/// Two hidden layers with a shortcut over the second.
#[derive(Module, Debug)]
struct Perceptron {
    first: nn::Linear,
    second: nn::Linear,
    last: nn::Linear,
}

impl Network {
    /// A network whose output is zero: the last layers start there, the others
    /// uniform within 1 / sqrt(inputs), drawn with `random`.
    ///
    /// # Errors
    ///
    /// If memory does not suffice for it.
    pub fn start(part: Part, shape: Shape, random: &mut Random, device: &Device) -> Result<Self> {
        let random = RefCell::new(random);
        let Shape { coefficients, components, width } = shape;
        let parameter = |name: &str| -> Result<Array2<f32>> {
            let (inputs, outputs) = match name.starts_with("encoder") {
                true => (coefficients, components),
                false => (components, coefficients),
            };
            let (rows, columns) = match name {
                name if name.contains(".first.") => (inputs, width),
                name if name.contains(".second.") => (width, width),
                _ => (width, outputs),
            };
            let dim = if name.ends_with(".bias") { (1, columns) } else { (rows, columns) };
            if name.contains(".last.") || name.ends_with(".bias") {
                return Ok(Array2::zeros(dim));
            }
            let bound = 1.0 / (rows as f64).sqrt();
            let mut random = random.borrow_mut();
            Ok(Array2::from_shape_simple_fn(dim, || random.between(-bound, bound) as f32))
        };
        Self::from_parameters(part, &parameter, device)
    }

    /// The correction of components, from scaled coefficients; `None` where
    /// the encoder is linear.
    pub(super) fn encode(&self, coefficients: Tensor<2>) -> Option<Tensor<2>> {
        self.encoder.as_ref().map(|encoder| encoder.forward(coefficients))
    }

    /// The correction of scaled coefficients, from components; those that are
    /// missing are 0.
    pub(super) fn decode(&self, components: Tensor<2>) -> Tensor<2> {
        self.decoder.forward(components)
    }

    /// Whether its layers fit each other and a picture of `coefficients`
    /// coefficients and `components` components.
    pub fn fits(&self, coefficients: usize, components: usize) -> bool {
        let encoder = self.encoder.as_ref().is_none_or(|end| end.fits(coefficients, components));
        encoder && self.decoder.fits(components, coefficients)
    }

    /// Which ends it has.
    pub fn part(&self) -> Part {
        if self.encoder.is_some() { Part::Both } else { Part::Decoder }
    }

    /// Names and arrays of the parameters, for the model file:
    /// weights `[input, output]`, biases `[1, output]`.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn parameters(&self) -> Result<Vec<(String, Array2<f32>)>> {
        self.collect(Some, Some)
    }

    /// The gradients of a loss by the same names, in the same shapes; without
    /// those that the loss does not depend on.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn gradients(&self, gradients: &Gradients) -> Result<Vec<(String, Array2<f32>)>> {
        self.collect(|weight| weight.grad(gradients), |bias| bias.grad(gradients))
    }

    /// What `of_weight` and `of_bias` make of each parameter, by name.
    fn collect(
        &self,
        of_weight: impl Fn(Tensor<2>) -> Option<Tensor<2>>,
        of_bias: impl Fn(Tensor<1>) -> Option<Tensor<1>>,
    ) -> Result<Vec<(String, Array2<f32>)>> {
        let mut collected = Vec::new();
        let encoder = self.encoder.as_ref().map(|encoder| ("encoder", encoder));
        for (part, perceptron) in encoder.into_iter().chain([("decoder", &self.decoder)]) {
            for (layer, linear) in perceptron.layers() {
                let bias = linear.bias.as_ref().and_then(|bias| of_bias(bias.val()));
                let bias = bias.map(|bias| ("bias", bias.unsqueeze::<2>()));
                let weight = of_weight(linear.weight.val()).map(|weight| ("weight", weight));
                for (kind, tensor) in weight.into_iter().chain(bias) {
                    let [rows, columns] = tensor.dims();
                    let array = Array2::from_shape_vec((rows, columns), read(tensor)?)
                        .map_err(|e| Error::new(Fault::Unsupported, "network", e))?;
                    collected.push((format!("{part}.{layer}.{kind}"), array));
                }
            }
        }
        Ok(collected)
    }

    /// The network after a step: every parameter that has a gradient becomes
    /// what `update` makes of its name, its value and its gradient, none of
    /// them tracked. Shapes are those of [`Network::parameters`].
    #[must_use]
    pub fn updated(
        mut self,
        gradients: &Gradients,
        update: &mut dyn FnMut(&str, Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Self {
        let encoder = self.encoder.as_mut().map(|encoder| ("encoder", encoder));
        for (part, perceptron) in encoder.into_iter().chain([("decoder", &mut self.decoder)]) {
            let Perceptron { first, second, last } = perceptron;
            for (layer, linear) in [("first", first), ("second", second), ("last", last)] {
                let weight = linear.weight.val();
                if let Some(gradient) = weight.grad(gradients) {
                    let name = format!("{part}.{layer}.weight");
                    let next = update(&name, weight.without_autodiff(), gradient);
                    linear.weight = Param::from_tensor(next.autodiff());
                }
                let Some(bias) = linear.bias.as_ref().map(Param::val) else { continue };
                if let Some(gradient) = bias.grad(gradients) {
                    let name = format!("{part}.{layer}.bias");
                    let size = bias.dims();
                    let value = bias.without_autodiff().unsqueeze::<2>();
                    let next: Tensor<1> =
                        update(&name, value, gradient.unsqueeze::<2>()).reshape(size);
                    linear.bias = Some(Param::from_tensor(next.autodiff()));
                }
            }
        }
        self
    }

    /// A network from its parameters: the inverse of [`Network::parameters`].
    ///
    /// # Errors
    ///
    /// If `parameter` does not have one of them.
    pub fn from_parameters(
        part: Part,
        parameter: &dyn Fn(&str) -> Result<Array2<f32>>,
        device: &Device,
    ) -> Result<Self> {
        let load = |end: &str| Perceptron::from_parameters(end, parameter, device);
        let encoder = (part == Part::Both).then(|| load("encoder")).transpose()?;
        Ok(Self { encoder, decoder: load("decoder")? })
    }
}

impl Perceptron {
    /// Of the leading inputs; the others are 0.
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let [_, leading] = input.dims();
        let bias = self.first.bias.as_ref().map(|bias| bias.val());
        let hidden = gelu(linear(input, self.first.weight.val().narrow(0, 0, leading), bias));
        let hidden = hidden.clone() + gelu(self.second.forward(hidden));
        self.last.forward(hidden)
    }

    fn fits(&self, inputs: usize, outputs: usize) -> bool {
        let [first, second, last] = self.layers().map(|(_, layer)| layer.weight.val().dims());
        first == [inputs, first[1]] && second == [first[1]; 2] && last == [first[1], outputs]
    }

    fn layers(&self) -> [(&'static str, &nn::Linear); 3] {
        [("first", &self.first), ("second", &self.second), ("last", &self.last)]
    }

    fn from_parameters(
        end: &str,
        parameter: &dyn Fn(&str) -> Result<Array2<f32>>,
        device: &Device,
    ) -> Result<Self> {
        let layer = |layer: &str| -> Result<nn::Linear> {
            let weight = parameter(&format!("{end}.{layer}.weight"))?;
            let bias = parameter(&format!("{end}.{layer}.bias"))?;
            if bias.dim() != (1, weight.ncols()) {
                let what = format!("bias {:?} beside weight {:?}", bias.dim(), weight.dim());
                return Err(Error::input(format!("{end}.{layer}"), what));
            }
            let bias: Tensor<1> = matrix(&bias, device).reshape([weight.ncols()]);
            Ok(nn::Linear {
                weight: Param::from_tensor(matrix(&weight, device)),
                bias: Some(Param::from_tensor(bias)),
            })
        };
        Ok(Self { first: layer("first")?, second: layer("second")?, last: layer("last")? })
    }
}
