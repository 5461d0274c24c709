//! The linear path: the analytic start of every model, computed in seconds.
//!
//! A picture is taken apart separably: across bands by the eigenvectors of
//! their covariance (KLT), across space by the two-dimensional cosine
//! transform (DCT-II). The coefficients of largest variance are kept. The
//! first component of the code is the picture's band energy, and takes with it
//! all that the coefficients on average do with band energy; the others are
//! the principal components of what remains, ordered by variance. So the mean
//! of the code follows band energy by construction, for any picture, and the
//! components stay uncorrelated.
//!
//! The covariance is shrunk towards its diagonal, which is that of a
//! stationary picture: a few hundred training pictures estimate a full
//! covariance badly, and the plain principal components of the pixels are the
//! worse the more of them one takes.

use faer::{Mat, Side};
use ndarray::{Array1, Array2, Array3, ArrayView3, Axis, s};
use rayon::prelude::*;

use crate::error::{Error, Fault, Result};

/// At most so many coefficients of a picture take part.
const COEFFICIENTS: usize = 1024;

/// At most so many spectral components take part.
pub(super) const SPECTRAL_COMPONENTS: usize = 16;

/// So many pictures are summed by one thread at a time.
const CHUNK: usize = 32;

/// The parameters of the linear path, in plain arrays.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Rows and columns of the pictures it takes.
    pub grid: [usize; 2],
    /// Number of code values, K. The components are as many, or twice as many
    /// where each value has a second digit.
    pub values: usize,
    /// Mean of each normalised band, `[band]`.
    pub band_mean: Array1<f32>,
    /// Orthonormal spectral components, `[band, component]`.
    pub spectral: Array2<f32>,
    /// The coefficients that take part: flat indices into
    /// `[component, row frequency, column frequency]`, `[coefficient]`.
    pub selected: Vec<u32>,
    /// Mean of each coefficient, `[coefficient]`.
    pub centre: Array1<f32>,
    /// Variance of each coefficient, `[coefficient]`: more than the components
    /// explain of it.
    pub variance: Array1<f32>,
    /// Band energy as a weighted sum of the coefficients, up to a factor: the
    /// first component, `[coefficient]`.
    pub energy: Array1<f32>,
    /// What one unit of each component adds to the coefficients,
    /// `[coefficient, component]`. The first column is the regression of the
    /// coefficients on band energy, the others are orthonormal, and orthogonal
    /// to `energy`.
    pub synthesis: Array2<f32>,
    /// Standard deviation of each component, `[component]`.
    pub deviation: Array1<f32>,
}

/// Second moments of training pictures, from which any [`Linear`] is solved.
#[derive(Debug)]
pub struct Moments {
    frame: Linear,
    covariance: Array2<f32>,
}

impl Moments {
    /// Gathers the moments of `pictures`, each `[band, row, column]`,
    /// normalised and without gaps; `weights`, one per band, are those of the
    /// band energy.
    ///
    /// # Errors
    ///
    /// If there are fewer than two pictures.
    pub fn gather(pictures: &[Array3<f32>], weights: &[f32]) -> Result<Self> {
        let (Some(first), true) = (pictures.first(), pictures.len() > 1) else {
            let what = format!("{} pictures to learn from, at least 2 are needed", pictures.len());
            return Err(Error::new(Fault::Input, "training", what));
        };
        let (bands, rows, columns) = first.dim();
        let (band_mean, spectral) = spectral_components(pictures, bands);
        let dct = Dct::new(rows, columns);
        let coefficients =
            |picture: &Array3<f32>| coefficients(picture, &band_mean, &spectral, &dct);
        let total = spectral.ncols() * rows * columns;
        let sums = |chunk: &[Array3<f32>]| {
            let empty = (Array1::<f32>::zeros(total), Array1::<f32>::zeros(total));
            chunk.iter().map(coefficients).fold(empty, |(sum, square), y| {
                let squared = &y * &y;
                (sum + y, square + squared)
            })
        };
        // Chunks of a fixed size, summed in order: the same pictures give the
        // same model to the last bit, however the threads share the work.
        let sums: Vec<_> = pictures.par_chunks(CHUNK).map(sums).collect();
        let (sum, square) =
            sums.into_iter().reduce(|(a, b), (c, d)| (a + c, b + d)).unwrap_or_default();
        let count = pictures.len() as f32;
        let mean = sum / count;
        let variance = square / count - &mean * &mean;
        let order = by_variance(&variance, rows * columns);
        let centre = Array1::from_iter(order.iter().map(|&index| mean[index as usize]));
        let frame = Linear {
            grid: [rows, columns],
            values: 0,
            energy: energy(&order, &spectral, weights, rows * columns),
            band_mean,
            spectral,
            selected: order,
            centre,
            variance: Array1::zeros(0),
            synthesis: Array2::zeros((0, 0)),
            deviation: Array1::zeros(0),
        };
        let data = frame.selected(pictures) - &frame.centre;
        Ok(Self::known(frame, data.t().dot(&data) / count))
    }

    /// The moments of `pictures` in the coefficients of `path`, which is one for
    /// pictures of their grid and bands.
    pub fn within(path: &Linear, pictures: &[Array3<f32>]) -> Self {
        let data = path.selected(pictures);
        let centre = data.mean_axis(Axis(0)).unwrap_or_else(|| path.centre.clone());
        let data = data - &centre;
        let covariance = data.t().dot(&data) / pictures.len().max(1) as f32;
        Self::known(Linear { centre, ..path.clone() }, covariance)
    }

    /// The moments of a mixture of these pictures and of those that `path` was
    /// made for, which have the share `share` in it, 0..1. These moments have to
    /// be [`Moments::within`] that path.
    pub fn mixed(&self, path: &Linear, share: f32) -> Self {
        let apart = (&path.centre - &self.frame.centre).insert_axis(Axis(1));
        let centre = &self.frame.centre * (1.0 - share) + &path.centre * share;
        let between = apart.dot(&apart.t()) * (share * (1.0 - share));
        let covariance = &self.covariance * (1.0 - share) + path.covariance() * share + between;
        Self::known(Linear { centre, ..self.frame.clone() }, covariance)
    }

    /// The moments of coefficients of which all but the components of `frame`
    /// is known, and their `covariance`, `[coefficient, coefficient]`.
    pub(super) fn known(frame: Linear, covariance: Array2<f32>) -> Self {
        let variance = covariance.diag().to_owned();
        Self { frame: Linear { variance, ..frame }, covariance }
    }

    /// Solves for the components of a code of `values` values, two for each,
    /// with the covariance shrunk towards its diagonal by `shrinkage` (0: not
    /// at all; 1: a zonal cosine transform). Components beyond the number of
    /// coefficients are empty.
    ///
    /// # Errors
    ///
    /// If more values are asked for than coefficients take part, or the
    /// eigenvalues do not converge.
    pub fn solve(&self, values: usize, shrinkage: f32) -> Result<Linear> {
        let coefficients = self.covariance.nrows();
        if values > coefficients {
            let what = format!("{values} values asked of {coefficients} coefficients");
            return Err(Error::usage("--values", what).hint("take fewer values or a larger grid"));
        }
        let mut shrunk = self.covariance.mapv(|v| v * (1.0 - shrinkage));
        shrunk.diag_mut().assign(&self.covariance.diag());
        let mut linear = self.frame.clone();
        let with_energy = shrunk.dot(&linear.energy);
        let variance = linear.energy.dot(&with_energy).max(1e-12);
        let residual = Mat::from_fn(coefficients, coefficients, |row, column| {
            let explained = with_energy[row] * with_energy[column] / variance;
            f64::from(shrunk[(row, column)] - explained)
        });
        let (_, directions) = eigen(&residual)?;
        let components = 2 * values;
        linear.values = values;
        linear.synthesis = Array2::from_shape_fn((coefficients, components), |(row, k)| match k {
            0 => with_energy[row] / variance,
            k if k > coefficients => 0.0,
            k => directions[(row, k - 1)] as f32,
        });
        // The true deviation of each component, not that of the shrunk
        // covariance.
        let analysis = linear.analysis();
        let along = self.covariance.dot(&analysis);
        linear.deviation = Array1::from_shape_fn(components, |k| {
            along.column(k).dot(&analysis.column(k)).max(1e-12).sqrt()
        });
        Ok(linear)
    }
}

impl Linear {
    /// Number of components.
    pub fn components(&self) -> usize {
        self.deviation.len()
    }

    /// The path with its leading `components` alone.
    #[must_use]
    pub(super) fn leading(mut self, components: usize) -> Self {
        let kept = components.min(self.components());
        self.synthesis = self.synthesis.slice_move(s![.., ..kept]);
        self.deviation = self.deviation.slice_move(s![..kept]);
        self
    }

    /// Gives components zero mean and unit variance over pictures whose
    /// components are now `components`, `[picture, component]`: windows and
    /// mirror images, of which the moments were gathered too, have others than
    /// whole pictures.
    pub fn standardise(&mut self, components: &Array2<f32>) {
        let Some(mean) = components.mean_axis(Axis(0)) else { return };
        self.centre += &self.synthesis.dot(&(&mean * &self.deviation));
        let deviation = components.std_axis(Axis(0), 0.0);
        // A component without any spread keeps its scale.
        self.deviation *= &deviation.mapv(|d| if d > 1e-3 { d } else { 1.0 });
    }

    /// The coefficients of `pictures` that take part, `[picture, coefficient]`.
    fn selected(&self, pictures: &[Array3<f32>]) -> Array2<f32> {
        let dct = Dct::new(self.grid[0], self.grid[1]);
        let rows: Vec<Vec<f32>> = pictures
            .par_iter()
            .map(|picture| {
                let all = coefficients(picture, &self.band_mean, &self.spectral, &dct);
                self.selected.iter().map(|&index| all[index as usize]).collect()
            })
            .collect();
        let mut data = Array2::zeros((rows.len(), self.selected.len()));
        for (mut to, from) in data.outer_iter_mut().zip(&rows) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
        data
    }

    /// The covariance of the coefficients, `[coefficient, coefficient]`: what
    /// the components explain, and on the diagonal all the rest.
    pub(super) fn covariance(&self) -> Array2<f32> {
        let scaled = &self.synthesis * &self.deviation;
        let mut covariance = scaled.dot(&scaled.t());
        let explained = covariance.diag().to_owned();
        let missing = (&self.variance - &explained).mapv(|v| v.max(0.0));
        covariance.diag_mut().scaled_add(1.0, &missing);
        covariance
    }

    /// The weights with which the coefficients make each component, before it
    /// is divided by its deviation, `[coefficient, component]`: first band
    /// energy, then the projections of what band energy leaves unexplained.
    pub fn analysis(&self) -> Array2<f32> {
        let first = self.synthesis.column(0);
        let overlap = first.dot(&self.synthesis);
        let mut analysis = self.synthesis.clone();
        for (k, mut column) in analysis.columns_mut().into_iter().enumerate() {
            match k {
                0 => column.assign(&self.energy),
                k => column.scaled_add(-overlap[k], &self.energy),
            }
        }
        analysis
    }
}

/// All coefficients of a picture, flat in `[component, row frequency, column
/// frequency]`.
fn coefficients(
    picture: &Array3<f32>,
    band_mean: &Array1<f32>,
    spectral: &Array2<f32>,
    dct: &Dct,
) -> Array1<f32> {
    let mean = band_mean.view().insert_axis(Axis(1)).insert_axis(Axis(2));
    dct.forward(mix(&(picture - &mean), spectral).view())
}

/// The coefficients that take part: those of largest variance, after the mean
/// levels of the spectral components, of which band energy is made. There are
/// `pixels` coefficients to a spectral component, its mean level first.
pub(super) fn by_variance(variance: &Array1<f32>, pixels: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..variance.len() as u32).collect();
    let key = |&index: &u32| (!(index as usize).is_multiple_of(pixels), variance[index as usize]);
    order.sort_by(|a, b| {
        let ((detail_a, variance_a), (detail_b, variance_b)) = (key(a), key(b));
        detail_a.cmp(&detail_b).then(variance_b.total_cmp(&variance_a)).then(a.cmp(b))
    });
    order.truncate(COEFFICIENTS);
    order
}

/// The weights of the `selected` coefficients in the band energy, as a vector
/// of length 1: the mean level of each spectral component counts by what the
/// bands' `weights` give it.
pub(super) fn energy(
    selected: &[u32],
    spectral: &Array2<f32>,
    weights: &[f32],
    pixels: usize,
) -> Array1<f32> {
    let of_component = |component: usize| -> f32 {
        spectral.column(component).iter().zip(weights).map(|(s, w)| s * w).sum()
    };
    let energy = Array1::from_iter(selected.iter().map(|&index| {
        let (component, coefficient) = (index as usize / pixels, index as usize % pixels);
        if coefficient == 0 { of_component(component) } else { 0.0 }
    }));
    let length = energy.dot(&energy).sqrt();
    energy / length.max(f32::MIN_POSITIVE)
}

/// Mean `[band]` and leading eigenvectors `[band, component]` of the bands'
/// covariance over all pixels.
pub fn spectral_components(pictures: &[Array3<f32>], bands: usize) -> (Array1<f32>, Array2<f32>) {
    let (sum, square, count) = pictures
        .par_iter()
        .map(|picture| {
            let pixels = picture.len() / bands;
            let flat = picture.to_shape((bands, pixels)).map(|p| p.to_owned()).unwrap_or_default();
            let flat = flat.mapv(f64::from);
            (flat.sum_axis(Axis(1)), flat.dot(&flat.t()), pixels as f64)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .reduce(|a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2))
        .unwrap_or((Array1::zeros(bands), Array2::zeros((bands, bands)), 1.0));
    let mean = sum / count;
    let covariance = Mat::from_fn(bands, bands, |a, b| square[(a, b)] / count - mean[a] * mean[b]);
    let components = bands.min(SPECTRAL_COMPONENTS);
    let spectral = match eigen(&covariance) {
        Ok((_, vectors)) => {
            Array2::from_shape_fn((bands, components), |(band, c)| vectors[(band, c)] as f32)
        }
        // Eigenvalues of a covariance converge; the bands themselves are a
        // basis, too.
        Err(_) => Array2::eye(bands).slice_move(s![.., ..components]),
    };
    (mean.mapv(|m| m as f32), spectral)
}

/// Eigenvalues and eigenvectors of a symmetric matrix, largest first.
pub(crate) fn eigen(matrix: &Mat<f64>) -> Result<(Vec<f64>, Mat<f64>)> {
    let decomposition = matrix.self_adjoint_eigen(Side::Lower).map_err(|e| {
        Error::new(Fault::Input, "training", format!("the covariance has no eigenvectors: {e:?}"))
            .hint("look for NaN or infinite values in the training data")
    })?;
    let size = matrix.nrows();
    let values = decomposition.S().column_vector();
    let vectors = decomposition.U();
    let sorted = (0..size).rev().map(|k| values[k]).collect();
    // Eigenvectors are known up to their sign; fix it, so that the same data
    // give the same model.
    let signs: Vec<f64> = (0..size)
        .map(|k| {
            let sum: f64 = (0..size).map(|row| vectors[(row, k)]).sum();
            if sum < 0.0 { -1.0 } else { 1.0 }
        })
        .collect();
    let turned =
        Mat::from_fn(size, size, |row, k| vectors[(row, size - 1 - k)] * signs[size - 1 - k]);
    Ok((sorted, turned))
}

/// `[component, row, column]` of a picture `[band, row, column]`.
pub fn mix(picture: &Array3<f32>, spectral: &Array2<f32>) -> Array3<f32> {
    let (bands, rows, columns) = picture.dim();
    let flat = picture.to_shape((bands, rows * columns));
    let mixed = flat.map(|flat| spectral.t().dot(&flat)).unwrap_or_default();
    mixed.into_shape_with_order((spectral.ncols(), rows, columns)).unwrap_or_default()
}

/// The orthonormal two-dimensional DCT-II of one picture size.
#[derive(Debug)]
pub struct Dct {
    rows: Array2<f32>,
    columns: Array2<f32>,
}

impl Dct {
    /// Plans for pictures of `rows` by `columns`.
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { rows: cosines(rows), columns: cosines(columns) }
    }

    /// Coefficients, flat from `[component, row frequency, column frequency]`.
    pub fn forward(&self, picture: ArrayView3<f32>) -> Array1<f32> {
        let mut flat = Vec::with_capacity(picture.len());
        for component in picture.outer_iter() {
            flat.extend(self.rows.dot(&component).dot(&self.columns.t()).iter());
        }
        Array1::from_vec(flat)
    }
}

/// The orthonormal DCT-II as a matrix, `[frequency, position]`.
pub fn cosines(size: usize) -> Array2<f32> {
    Array2::from_shape_fn((size, size), |(frequency, position)| {
        let norm = if frequency == 0 { 1.0 } else { 2.0 } / size as f64;
        let angle = std::f64::consts::PI * frequency as f64 * (position as f64 + 0.5) / size as f64;
        (norm.sqrt() * angle.cos()) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn cosines_are_orthonormal() {
        let dct = cosines(51);
        for ((a, b), &value) in dct.dot(&dct.t()).indexed_iter() {
            assert!((value - f32::from(u8::from(a == b))).abs() < 1e-5, "({a}, {b}): {value}");
        }
    }

    /// Pictures that are mixtures of three fixed patterns in two bands.
    fn mixtures(count: usize) -> Vec<Array3<f32>> {
        let mut random = Random::new(5);
        (0..count)
            .map(|_| {
                let (a, b, c) = (random.normal(), 0.5 * random.normal(), 0.25 * random.normal());
                Array3::from_shape_fn((2, 8, 10), |(band, row, column)| {
                    let (row, column) = (row as f64, column as f64);
                    let value = a + b * (row * 0.7).sin() + c * (column * row * 0.1).cos();
                    (value * if band == 0 { 1.0 } else { -0.5 } + 0.3) as f32
                })
            })
            .collect()
    }

    #[test]
    fn three_patterns_need_three_components() {
        let pictures = mixtures(60);
        let linear = Moments::gather(&pictures, &[1.0, 0.3]).unwrap().solve(8, 0.0).unwrap();
        assert!(linear.deviation[2] > 5e-2 * linear.deviation[0], "{}", linear.deviation);
        assert!(linear.deviation[3] < 2e-2 * linear.deviation[0], "{}", linear.deviation);
        for k in 2..4 {
            assert!(linear.deviation[k] <= linear.deviation[k - 1] * 1.0001);
        }
    }

    #[test]
    fn analysis_undoes_synthesis_and_leaves_components_uncorrelated() {
        let moments = Moments::gather(&mixtures(60), &[1.0, 0.3]).unwrap();
        // The pictures have no more than three.
        let linear = moments.solve(3, 0.0).unwrap().leading(3);
        let (analysis, synthesis) = (linear.analysis(), &linear.synthesis);
        for ((a, b), &value) in analysis.t().dot(synthesis).indexed_iter() {
            assert!((value - f32::from(u8::from(a == b))).abs() < 1e-3, "({a}, {b}): {value}");
        }
        let covariance = analysis.t().dot(&moments.covariance).dot(&analysis);
        for ((a, b), &value) in covariance.indexed_iter() {
            let scale = linear.deviation[a] * linear.deviation[b];
            let expected = f32::from(u8::from(a == b));
            assert!((value / scale - expected).abs() < 1e-2, "({a}, {b}): {value} of {scale}");
        }
    }

    #[test]
    fn the_first_component_is_band_energy() {
        let (pictures, weights) = (mixtures(60), [1.0, 0.3]);
        let linear = Moments::gather(&pictures, &weights).unwrap().solve(4, 0.5).unwrap();
        let dct = Dct::new(8, 10);
        let mean = linear.band_mean.view().insert_axis(Axis(1)).insert_axis(Axis(2));
        let (first, energies): (Vec<f64>, Vec<f64>) = pictures
            .iter()
            .map(|picture| {
                let all = dct.forward(mix(&(picture - &mean), &linear.spectral).view());
                let selected = linear.selected.iter().map(|&index| all[index as usize]);
                let first: f32 = selected.zip(&linear.energy).map(|(y, w)| y * w).sum();
                let bands = picture.outer_iter().zip(weights);
                let energy: f32 = bands.map(|(band, w)| w * band.mean().unwrap()).sum();
                (f64::from(first), f64::from(energy))
            })
            .unzip();
        let r = crate::evaluate::figures::correlation(&first, &energies);
        assert!(r > 0.9999, "{r}");
    }

    #[test]
    fn mixed_moments_are_those_of_all_pictures_together() {
        // Three patterns, which four components tell whole.
        let (known, own) = (mixtures(60), mixtures(20));
        let own: Vec<_> = own.iter().map(|picture| picture * 1.3 + 0.1).collect();
        let path = Moments::gather(&known, &[1.0, 0.3]).unwrap().solve(8, 0.0).unwrap();
        let mixed = Moments::within(&path, &own).mixed(&path, 0.75);
        let together = Moments::within(&path, &[known, own].concat());
        let apart = (&mixed.covariance - &together.covariance).mapv(f32::abs);
        let most = together.covariance.diag().fold(0.0f32, |most, &v| most.max(v));
        assert!(apart.iter().all(|&a| a < 1e-3 * most), "{apart} of {most}");
        let (mixed, together) = (mixed.frame.centre, together.frame.centre);
        assert!((&mixed - &together).iter().all(|a| a.abs() < 1e-3 * most.sqrt()), "{mixed}");
    }

    #[test]
    fn too_many_values_are_refused_with_both_numbers() {
        let error =
            Moments::gather(&mixtures(4), &[1.0, 1.0]).unwrap().solve(4096, 0.5).unwrap_err();
        assert!(error.to_string().contains("4096 values asked of 160"), "{error}");
    }
}
