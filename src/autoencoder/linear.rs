//! The linear path: the analytic start of every model, computed in seconds.
//!
//! A picture is taken apart separably: across bands by the eigenvectors of
//! their covariance (KLT), across space by the two-dimensional cosine
//! transform (DCT-II). The coefficients of largest variance are kept, and
//! their own principal components, ordered by variance, are what the code
//! carries. The covariance is shrunk towards its diagonal, which is that of a
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
const SPECTRAL_COMPONENTS: usize = 16;

/// So many pictures are summed by one thread at a time.
const CHUNK: usize = 32;

/// The parameters of the linear path, in plain arrays.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Rows and columns of the pictures it takes.
    pub grid: [usize; 2],
    /// Mean of each normalised band, `[band]`.
    pub band_mean: Array1<f32>,
    /// Orthonormal spectral components, `[band, component]`.
    pub spectral: Array2<f32>,
    /// The coefficients that take part: flat indices into
    /// `[component, row frequency, column frequency]`, `[coefficient]`.
    pub selected: Vec<u32>,
    /// Mean of each coefficient, `[coefficient]`.
    pub centre: Array1<f32>,
    /// Orthonormal principal directions of the coefficients, ordered by
    /// variance, `[coefficient, component]`.
    pub rotation: Array2<f32>,
    /// Standard deviation along each of them, `[component]`.
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
    /// normalised and without gaps.
    ///
    /// # Errors
    ///
    /// If there are fewer than two pictures.
    pub fn gather(pictures: &[Array3<f32>]) -> Result<Self> {
        let (Some(first), true) = (pictures.first(), pictures.len() > 1) else {
            let what = format!("{} pictures to learn from, at least 2 are needed", pictures.len());
            return Err(Error::new(Fault::Input, "training", what));
        };
        let (bands, rows, columns) = first.dim();
        let (band_mean, spectral) = spectral_components(pictures, bands);
        let dct = Dct::new(rows, columns);
        let coefficients = |picture: &Array3<f32>| {
            dct.forward(
                mix(
                    &(picture - &band_mean.view().insert_axis(Axis(1)).insert_axis(Axis(2))),
                    &spectral,
                )
                .view(),
            )
        };
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
        let mut order: Vec<u32> = (0..total as u32).collect();
        order.sort_by(|&a, &b| {
            variance[b as usize].total_cmp(&variance[a as usize]).then(a.cmp(&b))
        });
        order.truncate(COEFFICIENTS);
        let centre = Array1::from_iter(order.iter().map(|&index| mean[index as usize]));

        let gathered: Vec<Array1<f32>> = pictures
            .par_iter()
            .map(|picture| {
                let y = coefficients(picture);
                Array1::from_iter(order.iter().map(|&index| y[index as usize])) - &centre
            })
            .collect();
        let mut data = Array2::zeros((gathered.len(), order.len()));
        for (mut row, y) in data.outer_iter_mut().zip(&gathered) {
            row.assign(y);
        }
        let covariance = data.t().dot(&data) / count;
        let frame = Linear {
            grid: [rows, columns],
            band_mean,
            spectral,
            selected: order,
            centre,
            rotation: Array2::zeros((0, 0)),
            deviation: Array1::zeros(0),
        };
        Ok(Self { frame, covariance })
    }

    /// Solves for `values` components with the covariance shrunk towards its
    /// diagonal by `shrinkage` (0: not at all; 1: a zonal cosine transform).
    ///
    /// # Errors
    ///
    /// If more components are asked for than coefficients take part, or the
    /// eigenvalues do not converge.
    pub fn solve(&self, values: usize, shrinkage: f32) -> Result<Linear> {
        let coefficients = self.covariance.nrows();
        if values > coefficients {
            let what = format!("{values} values asked of {coefficients} coefficients");
            return Err(Error::usage("--values", what).hint("take fewer values or a larger grid"));
        }
        let shrunk = Mat::from_fn(coefficients, coefficients, |row, column| {
            let kept = if row == column { 1.0 } else { 1.0 - shrinkage };
            f64::from(self.covariance[(row, column)] * kept)
        });
        let (variances, directions) = eigen(&shrunk)?;
        let mut linear = self.frame.clone();
        linear.rotation =
            Array2::from_shape_fn((coefficients, values), |(row, k)| directions[(row, k)] as f32);
        // The true variance along each direction, not the shrunk one.
        let along = self.covariance.dot(&linear.rotation);
        linear.deviation = Array1::from_shape_fn(values, |k| {
            let variance = along.column(k).dot(&linear.rotation.column(k));
            variance.max(variances[k] as f32 * 1e-3).max(1e-12).sqrt()
        });
        Ok(linear)
    }
}

impl Linear {
    /// Number of components.
    pub fn values(&self) -> usize {
        self.deviation.len()
    }

    /// Turns every component whose correlation with `energy` is negative, so
    /// that brighter pictures have larger components; pictures are given as
    /// `components`, `[picture, component]`.
    pub fn align(&mut self, components: &Array2<f32>, energy: &[f32]) {
        let mean = energy.iter().sum::<f32>() / energy.len().max(1) as f32;
        for k in 0..self.values() {
            let products =
                components.column(k).into_iter().zip(energy).map(|(z, e)| z * (e - mean));
            if products.sum::<f32>() < 0.0 {
                self.rotation.column_mut(k).mapv_inplace(|v| -v);
            }
        }
    }
}

/// Mean `[band]` and leading eigenvectors `[band, component]` of the bands'
/// covariance over all pixels.
fn spectral_components(pictures: &[Array3<f32>], bands: usize) -> (Array1<f32>, Array2<f32>) {
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
fn eigen(matrix: &Mat<f64>) -> Result<(Vec<f64>, Mat<f64>)> {
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
        let linear = Moments::gather(&pictures).unwrap().solve(8, 0.0).unwrap();
        assert!(linear.deviation[2] > 5e-2 * linear.deviation[0], "{}", linear.deviation);
        assert!(linear.deviation[3] < 2e-2 * linear.deviation[0], "{}", linear.deviation);
        for k in 1..3 {
            assert!(linear.deviation[k] <= linear.deviation[k - 1] * 1.0001);
        }
    }

    #[test]
    fn too_many_values_are_refused_with_both_numbers() {
        let error = Moments::gather(&mixtures(4)).unwrap().solve(4096, 0.5).unwrap_err();
        assert!(error.to_string().contains("4096 values asked of 160"), "{error}");
    }
}
