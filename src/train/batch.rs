//! Training pictures, drawn at random and cropped.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, ArrayView3};

use super::Settings;
use super::channel::{Draws, Link, Ways};
use super::losses::leading;
use crate::autoencoder::Autoencoder;
use crate::error::Result;
use crate::random::Random;

/// Pictures as training sees them; everything is on the device of the
/// autoencoder, and constant.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Centred coefficients, `[item, coefficient]`.
    pub coefficients: Tensor<2>,
    /// Energy beside them, `[item]`.
    pub lost: Tensor<1>,
    /// Band energy, `[item]`.
    pub energy: Tensor<1>,
    /// Ones for the components that are kept, `[item, component]`.
    pub kept: Tensor<2>,
    /// How many items may need all components: the others keep no more than the
    /// leading [`coarse`], and no others are computed.
    whole: usize,
    /// The channel on their way and what it draws, unless they keep as they are.
    pub passage: Option<(Link, Draws)>,
    /// Pixels of a picture times bands.
    pub pixels: usize,
}

impl Batch {
    /// `pictures`, with the band energies `energy`, as a batch whose items are
    /// averaged to `groups`, as a file keeps them.
    ///
    /// # Errors
    ///
    /// If a picture does not have the autoencoder's size.
    pub fn new(
        autoencoder: &Autoencoder,
        pictures: &[Array3<f32>],
        energy: &[f32],
        groups: &[usize],
    ) -> Result<Self> {
        let (device, components) = (autoencoder.device(), autoencoder.linear().components());
        let carried: Vec<usize> =
            groups.iter().map(|&groups| autoencoder.carried(groups)).collect();
        let (coefficients, lost) = autoencoder.analyse(autoencoder.tensor(pictures)?);
        let energy = TensorData::new(energy.to_vec(), [energy.len()]);
        Ok(Self {
            coefficients,
            lost,
            energy: Tensor::from_data(energy, device),
            kept: leading(&carried, components, device),
            whole: carried
                .iter()
                .rposition(|&kept| kept > coarse(components))
                .map_or(0, |at| at + 1),
            passage: None,
            pixels: pictures.first().map_or(1, Array3::len),
        })
    }

    /// A batch drawn from `pictures`, as `settings` say, for one of the channels
    /// of `ways`. All items that pass a channel have as many groups, as sounds of
    /// different numbers of groups have different bins.
    ///
    /// # Errors
    ///
    /// If a picture does not have the autoencoder's size.
    pub fn draw(
        autoencoder: &Autoencoder,
        pictures: &[Array3<f32>],
        weights: &[f32],
        settings: &Settings,
        ways: &Ways,
        random: &mut Random,
    ) -> Result<Self> {
        let levels = autoencoder.values().ilog2() as usize + 1;
        let link = ways.draw(random);
        let mut items = Vec::with_capacity(settings.batch);
        let mut groups = Vec::with_capacity(settings.batch);
        for _ in 0..settings.batch {
            let picture = &pictures[random.below(pictures.len())];
            items.push(varied(picture, settings, random));
            groups.push(link.map_or_else(|| 1 << random.below(levels), Link::groups));
        }
        // Those that need all components come first.
        groups.sort_unstable_by(|a, b| b.cmp(a));
        let energy: Vec<f32> = items.iter().map(|item| band_energy(item, weights)).collect();
        let batch = Self::new(autoencoder, &items, &energy, &groups)?;
        Ok(match link {
            Some(link) => batch.through(link, random),
            None => batch,
        })
    }

    /// The same through the channel of `link`, whose number of groups is that of
    /// every item.
    #[must_use]
    pub fn through(mut self, link: &Link, random: &mut Random) -> Self {
        let [items, _] = self.coefficients.dims();
        let draws = link.draw(items, &self.coefficients.device(), random);
        self.passage = Some((link.clone(), draws));
        self.whole = items;
        self
    }

    /// The items in two blocks: from where on, how many, and how many components
    /// they may keep of `components`.
    fn blocks(&self, components: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let [items, _] = self.coefficients.dims();
        let blocks =
            [(0, self.whole, components), (self.whole, items - self.whole, coarse(components))];
        blocks.into_iter().filter(|(_, items, _)| *items > 0)
    }

    /// The components `[item, component]` as far as they may be kept, else 0.
    pub fn components(&self, autoencoder: &Autoencoder) -> Tensor<2> {
        let all = autoencoder.linear().components();
        let block = |(start, items, leading)| {
            let coefficients = self.coefficients.clone().narrow(0, start, items);
            let components = autoencoder.leading_of(coefficients, leading);
            match all - leading {
                0 => components,
                rest => {
                    let rest = Tensor::zeros([items, rest], &components.device());
                    Tensor::cat(vec![components, rest], 1)
                }
            }
        };
        Tensor::cat(self.blocks(all).map(block).collect(), 0)
    }

    /// The coefficients `[item, coefficient]` that the decoder makes of what it
    /// [received](Self::received), `[item, component]`.
    pub fn decoded(&self, autoencoder: &Autoencoder, received: Tensor<2>) -> Tensor<2> {
        let block = |(start, items, leading)| {
            let received = received.clone().narrow(0, start, items).narrow(1, 0, leading);
            autoencoder.coefficients_of(received)
        };
        Tensor::cat(self.blocks(autoencoder.linear().components()).map(block).collect(), 0)
    }

    /// What the decoder gets of `components`, `[item, component]`.
    pub fn received(&self, components: Tensor<2>) -> Tensor<2> {
        match &self.passage {
            Some((link, draws)) => link.carry(components, draws),
            None => components * self.kept.clone(),
        }
    }
}

/// Two thirds of the items, all but those of the finest levels, keep no more than
/// so many of `components`.
fn coarse(components: usize) -> usize {
    components.div_ceil(8)
}

/// Weighted sum over bands of the mean of a normalised picture.
pub fn band_energy(picture: &Array3<f32>, weights: &[f32]) -> f32 {
    let means = picture.outer_iter().zip(weights);
    means.map(|(band, weight)| weight * band.mean().unwrap_or(0.0)).sum()
}

/// A crop of `picture` at a random scale, enlarged to its size.
fn varied(picture: &Array3<f32>, settings: &Settings, random: &mut Random) -> Array3<f32> {
    let scale = random.between(settings.smallest_crop.clamp(0.1, 1.0), 1.0);
    let (down, right) = (random.uniform() * (1.0 - scale), random.uniform() * (1.0 - scale));
    match settings.smallest_crop < 1.0 {
        true => crop(picture.view(), scale, [down, right]),
        false => picture.clone(),
    }
}

/// The part of `picture` that is `scale` of its rows and columns and begins
/// at the shares `corner` of them, enlarged to its size by linear
/// interpolation.
fn crop(picture: ArrayView3<f32>, scale: f64, corner: [f64; 2]) -> Array3<f32> {
    let (bands, rows, columns) = picture.dim();
    // Each pixel lies between one of the picture and the next, this far on.
    let places = |size: usize, corner: f64| -> Vec<(usize, f32)> {
        (0..size)
            .map(|index| {
                let at = corner * size as f64 + (index as f64 + 0.5) * scale - 0.5;
                let at = at.clamp(0.0, (size - 1) as f64);
                (at.floor() as usize, at.fract() as f32)
            })
            .collect()
    };
    let (down, across) = (places(rows, corner[0]), places(columns, corner[1]));
    let mut enlarged = Vec::with_capacity(picture.len());
    // The last pixel of a line is its own neighbour.
    let mut line = vec![0.0; columns + 1];
    let picture = picture.as_standard_layout();
    for band in picture.as_slice().unwrap_or_default().chunks(rows * columns) {
        for &(top, v) in &down {
            // Down first, as whole lines are done many pixels at a time.
            let [upper, lower] = [top, (top + 1).min(rows - 1)].map(|row| &band[row * columns..]);
            for ((pixel, upper), lower) in line[..columns].iter_mut().zip(upper).zip(lower) {
                *pixel = upper + v * (lower - upper);
            }
            line[columns] = line[columns - 1];
            enlarged.extend(across.iter().map(|&(left, u)| {
                let (left, right) = (line[left], line[left + 1]);
                left + u * (right - left)
            }));
        }
    }
    // It has as many pixels as the picture.
    Array3::from_shape_vec((bands, rows, columns), enlarged).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::autoencoder::linear::Moments;
    use crate::autoencoder::{Network, Part, Shape, read};
    use crate::train::losses::squared_error;
    use burn::tensor::Device;
    use ndarray::Array2;

    /// Twelve pictures of nothing but noise.
    fn noise(bands: usize, random: &mut Random) -> Vec<Array3<f32>> {
        let mut picture =
            || Array3::from_shape_simple_fn((bands, 8, 10), || random.uniform() as f32);
        (0..12).map(|_| picture()).collect()
    }

    #[test]
    fn a_crop_of_a_plane_is_a_part_of_that_plane() {
        let plane =
            Array3::from_shape_fn((1, 20, 30), |(_, y, x)| 0.1 * y as f32 + 0.01 * x as f32);
        let whole = crop(plane.view(), 1.0, [0.0, 0.0]);
        assert!(whole.iter().zip(&plane).all(|(a, b)| (a - b).abs() < 1e-6));
        let part = crop(plane.view(), 0.5, [0.5, 0.25]);
        for ((_, y, x), &value) in part.indexed_iter() {
            let at = |corner: f32, index: usize, size: f32| {
                (corner * size + (index as f32 + 0.5) * 0.5 - 0.5).min(size - 1.0)
            };
            let expected = 0.1 * at(0.5, y, 20.0) + 0.01 * at(0.25, x, 30.0);
            assert!((value - expected).abs() < 1e-5, "({y}, {x}): {value} {expected}");
        }
    }

    #[test]
    fn components_that_no_item_keeps_are_not_missed() {
        let mut random = Random::new(3);
        let pictures = noise(1, &mut random);
        let moments = Moments::gather(&pictures, &[1.0]).unwrap();
        let linear = moments.solve(16, 0.5).unwrap();
        let mut autoencoder = Autoencoder::new(linear, 1.0, &Device::flex());
        let shape = Shape {
            coefficients: autoencoder.linear().selected.len(),
            components: autoencoder.linear().components(),
            width: 8,
        };
        let start = Network::start(Part::Both, shape, &mut random, &Device::flex()).unwrap();
        let any = start
            .parameters()
            .unwrap()
            .into_iter()
            .map(|(name, array)| (name, array.mapv(|_| random.between(-0.1, 0.1) as f32)));
        let any: HashMap<String, Array2<f32>> = any.collect();
        let network =
            Network::from_parameters(Part::Both, &|name| Ok(any[name].clone()), &Device::flex());
        autoencoder.network = Some(network.unwrap());
        for groups in [[16, 16, 8, 4, 2, 2, 2, 1, 1, 1, 1, 1], [1; 12], [16; 12]] {
            let batch = Batch::new(&autoencoder, &pictures, &[0.0; 12], &groups).unwrap();
            let some = batch.components(&autoencoder);
            let all = autoencoder.components_of(batch.coefficients.clone());
            let decoded = batch.decoded(&autoencoder, batch.received(some));
            let expected = autoencoder.coefficients_of(batch.received(all));
            for (a, b) in read(decoded).unwrap().iter().zip(read(expected).unwrap()) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }

    #[test]
    fn errors_of_coefficients_are_those_of_pictures() {
        let pictures = noise(3, &mut Random::new(1));
        let moments = Moments::gather(&pictures, &[1.0; 3]).unwrap();
        let autoencoder = Autoencoder::new(moments.solve(16, 0.5).unwrap(), 1.0, &Device::flex());
        let batch = Batch::new(&autoencoder, &pictures, &[0.0; 12], &[4; 12]).unwrap();
        let components = autoencoder.components_of(batch.coefficients.clone()) * batch.kept;
        let back = autoencoder.coefficients_of(components.clone());
        let errors = squared_error(batch.coefficients, back, batch.lost, batch.pixels);
        let decoded = read(autoencoder.pictures(components)).unwrap();
        for ((picture, decoded), error) in
            pictures.iter().zip(decoded.chunks(240)).zip(read(errors).unwrap())
        {
            let square: f32 = picture.iter().zip(decoded).map(|(a, b)| (a - b).powi(2)).sum();
            assert!((square / 240.0 - error).abs() < 1e-5, "{} {error}", square / 240.0);
        }
    }
}
