//! Frame to code and back.
//!
//! A code is K values in 0..1 (K a power of two), ordered so that groups of
//! neighbours carry coarse information. The autoencoder is a linear path that
//! is computed in seconds ([`linear`], [`haar`]) plus a network whose last
//! layers start at zero: training begins at the linear path, and is kept only
//! where it improves on it on groups that it has not seen. Each value holds two
//! components: one that is heard, and one that a file keeps ([`digits`]).
//!
//! ```text
//! picture -> spectral mix -> DCT -> coefficients -> components (+ network) -> Haar -> logits -> digits -> code
//! picture <- spectral mix <- DCT <- coefficients (+ network) <- components <- Haar <- logits <- digits <- code
//! ```
//!
//! All of it is matrix products, which are fast on every backend, where the
//! backward pass of convolutions is slow on the CPU.

pub mod digits;
pub mod estimate;
pub mod haar;
pub mod linear;
pub mod loadings;
pub mod transfer;

mod network;

use burn::module::Module;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use ndarray::{Array2, Array3, Axis, s};

use crate::error::{Error, Result};
use linear::{Linear, cosines};
pub use network::{Network, Part, Shape};

/// Frame to code and back, on one device.
#[derive(Clone, Debug)]
pub struct Autoencoder {
    linear: Linear,
    /// Scale of the logits: they are divided by it before the squash.
    pub spread: f32,
    constants: Constants,
    /// The trained part, if training was worth keeping.
    pub network: Option<Network>,
    device: Device,
}

/// The linear path's arrays as tensors.
#[derive(Clone, Debug)]
struct Constants {
    band_mean: Tensor<3>,     // [1, band, 1]
    mix: Tensor<3>,           // [1, component, band]
    rows: Tensor<3>,          // [1, frequency, row]
    columns: Tensor<2>,       // [column, frequency]
    frequencies: [usize; 2],  // of rows and columns: up to the highest selected
    selected: Tensor<1, Int>, // [coefficient], among those frequencies
    centre: Tensor<2>,        // [1, coefficient]
    analysis: Tensor<2>,      // [coefficient, component]
    synthesis: Tensor<2>,     // [component, coefficient]
    deviation: Tensor<2>,     // [1, component]
    scale: Tensor<2>,         // [1, coefficient]
    spread_rows: Tensor<2>,   // [value, position]: weighted Haar rows
}

impl Autoencoder {
    /// The linear path alone, for pictures and device as given; `spread` is
    /// the scale of the logits.
    pub fn new(linear: Linear, spread: f32, device: &Device) -> Self {
        let constants = Constants::new(&linear, device);
        Self { linear, spread, constants, network: None, device: device.clone() }
    }

    /// The same autoencoder on another device.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> Self {
        let mut moved = Self::new(self.linear.clone(), self.spread, device);
        moved.network = self.network.clone().map(|network| network.to_device(device));
        moved
    }

    /// The linear path.
    pub fn linear(&self) -> &Linear {
        &self.linear
    }

    /// Number of code values, K.
    pub fn values(&self) -> usize {
        self.linear.values
    }

    /// Number of components that a code averaged to `groups` groups carries:
    /// twice as many, where values have a second digit.
    pub fn carried(&self, groups: usize) -> usize {
        groups * self.linear.components() / self.linear.values.max(1)
    }

    /// The device it computes on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Pictures `[picture, band, row, column]`, normalised and without gaps,
    /// to components of unit variance `[picture, component]`.
    pub fn components(&self, pictures: Tensor<4>) -> Tensor<2> {
        self.components_of(self.coefficients(pictures))
    }

    /// Centred coefficients `[picture, coefficient]` to components of unit
    /// variance `[picture, component]`.
    pub fn components_of(&self, coefficients: Tensor<2>) -> Tensor<2> {
        self.leading_of(coefficients, self.linear.components())
    }

    /// The `leading` components of centred coefficients `[picture, coefficient]`,
    /// `[picture, component]`.
    pub fn leading_of(&self, coefficients: Tensor<2>, leading: usize) -> Tensor<2> {
        let c = &self.constants;
        let of = |constant: &Tensor<2>| constant.clone().narrow(1, 0, leading);
        let components = coefficients.clone().matmul(of(&c.analysis)) / of(&c.deviation);
        match self.network.as_ref().and_then(|n| n.encode(coefficients / c.scale.clone())) {
            Some(correction) => components + correction.narrow(1, 0, leading),
            None => components,
        }
    }

    /// Centred coefficients `[picture, coefficient]` of pictures
    /// `[picture, band, row, column]`.
    pub fn coefficients(&self, pictures: Tensor<4>) -> Tensor<2> {
        self.selected(self.centred(pictures)) - self.constants.centre.clone()
    }

    /// Likewise, and the energy of each picture that no coefficient takes part
    /// in, `[picture]`: the sum of squares that no decoder restores. The
    /// transforms are orthonormal, so that the squared error of a picture is
    /// this plus that of its coefficients (Parseval).
    pub fn analyse(&self, pictures: Tensor<4>) -> (Tensor<2>, Tensor<1>) {
        let flat = self.centred(pictures);
        let selected = self.selected(flat.clone());
        let [batch, bands, pixels] = flat.dims();
        let total = flat.square().reshape([batch, bands * pixels]).sum_dim(1);
        let kept = selected.clone().square().sum_dim(1);
        let lost = (total - kept).clamp_min(0.0).reshape([batch]);
        (selected - self.constants.centre.clone(), lost)
    }

    /// Pictures less the mean of each band, `[picture, band, pixel]`.
    fn centred(&self, pictures: Tensor<4>) -> Tensor<3> {
        let [batch, bands, rows, columns] = pictures.dims();
        pictures.reshape([batch, bands, rows * columns]) - self.constants.band_mean.clone()
    }

    /// The coefficients that take part of centred pictures
    /// `[picture, band, pixel]`, `[picture, coefficient]`.
    fn selected(&self, centred: Tensor<3>) -> Tensor<2> {
        let c = &self.constants;
        let [batch, bands, _] = centred.dims();
        let [rows, columns] = self.linear.grid;
        let spectral = self.linear.spectral.ncols();
        let mixed = match bands {
            // The product of a single row and column is a number.
            1 => centred * c.mix.clone(),
            _ => c.mix.clone().expand([batch, spectral, bands]).matmul(centred),
        };
        let lines = mixed.reshape([batch * spectral * rows, columns]);
        let [down, across] = c.frequencies;
        let planes = lines.matmul(c.columns.clone()).reshape([batch * spectral, rows, across]);
        let both = c.rows.clone().expand([batch * spectral, down, rows]).matmul(planes);
        both.reshape([batch, spectral * down * across]).select(1, c.selected.clone())
    }

    /// Components `[picture, component]` back to centred coefficients
    /// `[picture, coefficient]`. Components that are missing are 0.
    pub fn coefficients_of(&self, components: Tensor<2>) -> Tensor<2> {
        let c = &self.constants;
        let [_, leading] = components.dims();
        let scaled = components.clone() * c.deviation.clone().narrow(1, 0, leading);
        let coefficients = scaled.matmul(c.synthesis.clone().narrow(0, 0, leading));
        match &self.network {
            Some(network) => coefficients + network.decode(components) * c.scale.clone(),
            None => coefficients,
        }
    }

    /// Components `[picture, component]` back to pictures
    /// `[picture, band, row, column]`.
    pub fn pictures(&self, components: Tensor<2>) -> Tensor<4> {
        let c = &self.constants;
        let coefficients = self.coefficients_of(components) + c.centre.clone();
        let [batch, _] = coefficients.dims();
        let [rows, columns] = self.linear.grid;
        let (bands, spectral) = self.linear.spectral.dim();
        let [down, across] = c.frequencies;
        let empty = Tensor::<2>::zeros([batch, spectral * down * across], &self.device);
        let planes = empty
            .select_assign(1, c.selected.clone(), coefficients, IndexingUpdateOp::Add)
            .reshape([batch * spectral, down, across]);
        let inverse_rows = c.rows.clone().swap_dims(1, 2).expand([batch * spectral, rows, down]);
        let lines = inverse_rows.matmul(planes).reshape([batch * spectral * rows, across]);
        let mixed = lines.matmul(c.columns.clone().transpose());
        let mixed = mixed.reshape([batch, spectral, rows * columns]);
        let flat = c.mix.clone().swap_dims(1, 2).expand([batch, bands, spectral]).matmul(mixed)
            + c.band_mean.clone();
        flat.reshape([batch, bands, rows, columns])
    }

    /// Components `[picture, component]` to the code `[picture, value]` in
    /// 0..1, as a tensor and without second digits, so that losses on the code
    /// have gradients.
    pub fn code_tensor(&self, components: Tensor<2>) -> Tensor<2> {
        let heard = components.narrow(1, 0, self.values());
        let logits = heard.matmul(self.constants.spread_rows.clone()) / self.spread;
        squash(logits)
    }

    /// One picture `[band, row, column]`, normalised and without gaps, to its
    /// code averaged to `groups` groups (K: not averaged).
    ///
    /// # Errors
    ///
    /// As for [`Self::tensor`], or if the device fails.
    pub fn encode(&self, picture: &Array3<f32>, groups: usize) -> Result<Vec<f32>> {
        let components = self.components(self.tensor(std::slice::from_ref(picture))?);
        let components = read(components)?;
        Ok(self.code(&components, groups))
    }

    /// Pictures `[band, row, column]` as one tensor
    /// `[picture, band, row, column]` on the device.
    ///
    /// # Errors
    ///
    /// If a picture does not have the bands, rows and columns of the model.
    pub fn tensor(&self, pictures: &[Array3<f32>]) -> Result<Tensor<4>> {
        let [rows, columns] = self.linear.grid;
        let bands = self.linear.band_mean.len();
        let mut flat: Vec<f32> = Vec::with_capacity(pictures.len() * bands * rows * columns);
        for picture in pictures {
            if picture.dim() != (bands, rows, columns) {
                let what = format!(
                    "the picture is {:?}, the model takes {:?} (bands, rows, columns)",
                    picture.dim(),
                    (bands, rows, columns)
                );
                return Err(Error::usage("frame", what));
            }
            match picture.as_slice() {
                Some(picture) => flat.extend_from_slice(picture),
                None => flat.extend(picture.iter()),
            }
        }
        let shape = [pictures.len(), bands, rows, columns];
        Ok(Tensor::from_data(TensorData::new(flat, shape), &self.device))
    }

    /// Unit components `[component]` to the code averaged to `groups` groups, from
    /// 1 to K: the leading ones to the first digits of its values, as many that
    /// follow to the second ones. Components that are missing are 0. Fewer groups
    /// than 1 count as 1, and more than K as K.
    pub fn code(&self, components: &[f32], groups: usize) -> Vec<f32> {
        let groups = groups.min(self.values()).max(1);
        let (first, rest) = components.split_at(groups.min(components.len()));
        let logits = self.logits(first, groups);
        if self.carried(groups) == groups {
            return logits.into_iter().map(|logit| haar::squash(logit) as f32).collect();
        }
        let width = self.values() / groups;
        let digits = logits.into_iter().zip(self.logits(rest, groups)).enumerate();
        digits
            .map(|(at, (coarse, fine))| haar::squash(digits::join(at / width, coarse, fine)) as f32)
            .collect()
    }

    /// The inverse of [`Autoencoder::code`]: a code of K values that was averaged
    /// to `groups` groups to components, zero beyond those that it carries.
    pub fn components_of_code(&self, code: &[f32], groups: usize) -> Vec<f32> {
        let groups = groups.min(self.values()).max(1);
        let logits = code.iter().map(|&value| haar::unsquash(f64::from(value)));
        let mut components = if self.carried(groups) == groups {
            self.components_of_logits(&logits.collect::<Vec<_>>(), groups)
        } else {
            let width = self.values() / groups;
            let part = |(at, logit)| digits::part(at / width, logit).into();
            let (coarse, fine): (Vec<f64>, Vec<f64>) = logits.enumerate().map(part).unzip();
            let mut components = self.components_of_logits(&coarse, groups);
            components.extend(self.components_of_logits(&fine, groups));
            components
        };
        components.resize(self.linear.components(), 0.0);
        components
    }

    /// What is heard of `code`, one value for each group: the values without
    /// their second digits.
    pub fn heard(&self, code: &[f32]) -> Vec<f32> {
        let first = |(index, &value): (usize, &f32)| {
            let [coarse, _] = digits::part(index, haar::unsquash(f64::from(value)));
            haar::squash(coarse) as f32
        };
        if self.carried(1) == 1 {
            return code.to_vec();
        }
        code.iter().enumerate().map(first).collect()
    }

    /// The logits, `[position]`, of at most `groups` unit components.
    fn logits(&self, components: &[f32], groups: usize) -> Vec<f64> {
        let values = self.values();
        let rescale = f64::from(haar::rescale(values, groups) / self.spread);
        let weights = haar::weights(values);
        let mut logits = vec![0.0f64; values];
        for (row, &component) in components.iter().enumerate().take(groups) {
            for (position, entry) in haar::entries(values, row) {
                logits[position] += f64::from(component) * f64::from(entry * weights[row]);
            }
        }
        logits.iter_mut().for_each(|logit| *logit *= rescale);
        logits
    }

    /// The `groups` unit components of `logits`, `[position]`.
    fn components_of_logits(&self, logits: &[f64], groups: usize) -> Vec<f32> {
        let values = self.values();
        let rescale = f64::from(self.spread / haar::rescale(values, groups));
        let weights = haar::weights(values);
        (0..groups)
            .map(|row| {
                let products = haar::entries(values, row)
                    .map(|(position, entry)| f64::from(entry) * logits[position]);
                (rescale * products.sum::<f64>() / f64::from(weights[row])) as f32
            })
            .collect()
    }

    /// A code that was averaged to `groups` groups to the normalised picture
    /// `[band, row, column]`.
    ///
    /// # Errors
    ///
    /// If the code does not have K values.
    pub fn decode(&self, code: &[f32], groups: usize) -> Result<Array3<f32>> {
        if code.len() != self.values() {
            let what = format!("{} values, the model has {}", code.len(), self.values());
            return Err(Error::usage("code", what));
        }
        let components = self.components_of_code(code, groups);
        let shape = [1, components.len()];
        let tensor = Tensor::<2>::from_data(TensorData::new(components, shape), &self.device);
        let [rows, columns] = self.linear.grid;
        let flat = read(self.pictures(tensor))?;
        Array3::from_shape_vec((self.linear.band_mean.len(), rows, columns), flat)
            .map_err(|e| Error::usage("code", e))
    }
}

/// Reads a tensor back from its device, row by row.
///
/// # Errors
///
/// If the device fails.
pub fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor
        .into_data()
        .try_to_vec::<f32>()
        .map_err(|e| Error::new(crate::error::Fault::Device, "tensor", format!("{e:?}")))
}

/// [`haar::squash`] of tensors, without its limits.
pub(crate) fn squash<const D: usize>(logits: Tensor<D>) -> Tensor<D> {
    let w = logits.clone() / (logits.square() + 4.0).sqrt();
    w.clone() * (w.square() * -1.0 + 3.0) / 4.0 + 0.5
}

/// [`haar::unsquash`] of tensors, of values between 0 and 1.
pub(crate) fn unsquash<const D: usize>(values: Tensor<D>) -> Tensor<D> {
    let w = ((values * 2.0 - 1.0).asin() / 3.0).sin() * 2.0;
    w.clone() * 2.0 / (w.square() * -1.0 + 1.0).sqrt()
}

/// [`haar::density`] of tensors.
pub(crate) fn density<const D: usize>(logits: Tensor<D>) -> Tensor<D> {
    (logits.square() / 4.0 + 1.0).powf_scalar(-2.5) * 0.375
}

/// An array of two dimensions as a tensor, in memory row by row.
pub(crate) fn matrix(array: &Array2<f32>, device: &Device) -> Tensor<2> {
    let flat: Vec<f32> = array.iter().copied().collect();
    Tensor::from_data(TensorData::new(flat, [array.nrows(), array.ncols()]), device)
}

impl Constants {
    fn new(linear: &Linear, device: &Device) -> Self {
        let [rows, columns] = linear.grid;
        let column =
            |values: &ndarray::Array1<f32>| matrix(&values.clone().insert_axis(Axis(0)), device);
        // No other frequency is read or written, and most are higher.
        let place = |&index: &u32| {
            let index = index as usize;
            [index / (rows * columns), index / columns % rows, index % columns]
        };
        let places: Vec<[usize; 3]> = linear.selected.iter().map(place).collect();
        let [down, across] =
            [1, 2].map(|axis| 1 + places.iter().map(|place| place[axis]).max().unwrap_or(0));
        let kept = |&[component, row, column]: &[usize; 3]| {
            ((component * down + row) * across + column) as i32
        };
        let selected: Vec<i32> = places.iter().map(kept).collect();
        let count = selected.len();
        let lowest = |size: usize, count| cosines(size).slice(s![..count, ..]).to_owned();
        // The deviation of each coefficient as far as the components explain
        // it sets the scale on which the network sees and corrects it.
        let explained = (&linear.synthesis * &linear.deviation.view().insert_axis(Axis(0)))
            .mapv(|v| v * v)
            .sum_axis(Axis(1))
            .mapv(|v| v.sqrt().max(1e-4));
        Self {
            band_mean: column(&linear.band_mean).reshape([1, linear.band_mean.len(), 1]),
            mix: matrix(&linear.spectral, device).transpose().unsqueeze::<3>(),
            rows: matrix(&lowest(rows, down), device).unsqueeze::<3>(),
            columns: matrix(&lowest(columns, across), device).transpose(),
            frequencies: [down, across],
            selected: Tensor::from_data(TensorData::new(selected, [count]), device),
            centre: column(&linear.centre),
            analysis: matrix(&linear.analysis(), device),
            synthesis: matrix(&linear.synthesis.t().to_owned(), device),
            deviation: column(&linear.deviation),
            scale: column(&explained),
            spread_rows: matrix(&haar::weighted(linear.values), device),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Model;

    #[test]
    fn a_code_has_one_group_at_least_and_as_many_as_values_at_most() {
        let model = Model::shipped("simulated-lwir").unwrap();
        let (autoencoder, values) = (model.autoencoder(), model.values());
        let components: Vec<f32> = (0..values).map(|k| (k as f32).sin()).collect();
        let code = autoencoder.code(&components, values);
        for (asked, counts_as) in [(0, 1), (2 * values, values), (usize::MAX, values)] {
            let like = autoencoder.code(&components, counts_as);
            assert_eq!(autoencoder.code(&components, asked), like, "{asked}");
            let like = autoencoder.components_of_code(&code, counts_as);
            assert_eq!(autoencoder.components_of_code(&code, asked), like, "{asked}");
        }
    }
}
