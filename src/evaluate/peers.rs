//! What the code is compared with: other linear codes of as many values,
//! fitted to the same training pictures, unquantised and never sounded.

use std::collections::BTreeMap;

use faer::Mat;
use ndarray::{Array1, Array2, Array3, s};

use super::figures::psnr_db;
use crate::autoencoder::linear::{cosines, eigen, spectral_components};
use crate::error::Result;
use crate::frame::Frame;
use crate::model::normalise;

/// A linear code: a picture is its mean plus a sum of patterns.
#[derive(Debug)]
pub struct Peer {
    /// What it is called in tables.
    pub name: &'static str,
    mean: Array1<f32>,
    /// Orthonormal patterns, the most important first, `[value, pixel]`.
    patterns: Array2<f32>,
}

impl Peer {
    /// Principal components of the pixels of all bands, as many as `values`, or
    /// fewer where there are fewer pictures or pixels;
    /// `pictures` are `[band, row, column]`, normalised and without gaps.
    ///
    /// # Errors
    ///
    /// If the eigenvalues do not converge.
    pub fn pca(pictures: &[Array3<f32>], values: usize) -> Result<Self> {
        let (mean, centred) = centred(pictures);
        let (count, pixels) = centred.dim();
        let values = values.min(count).min(pixels);
        // The smaller of the two Gram matrices has the same eigenvalues.
        let patterns = match count < pixels {
            true => {
                let weights = leading(&centred.dot(&centred.t()), values)?;
                orthonormal(weights.t().dot(&centred))
            }
            false => leading(&centred.t().dot(&centred), values)?.reversed_axes(),
        };
        Ok(Self { name: "PCA", mean, patterns })
    }

    /// The `values` coefficients of largest variance of the cosine transform
    /// of each spectral component (KLT x DCT, zonal); `pictures` as for
    /// [`Peer::pca`].
    pub fn klt_dct(pictures: &[Array3<f32>], values: usize) -> Self {
        let (mean, centred) = centred(pictures);
        let (bands, rows, columns) = pictures.first().map_or((0, 0, 0), Array3::dim);
        let (_, spectral) = spectral_components(pictures, bands);
        let (vertical, horizontal) = (cosines(rows), cosines(columns));
        let mut variances: Vec<(f32, [usize; 3])> = Vec::new();
        let mut energy = Array3::<f32>::zeros((spectral.ncols(), rows, columns));
        for picture in centred.outer_iter() {
            let Ok(flat) = picture.to_shape((bands, rows * columns)) else { continue };
            for (component, mixed) in spectral.t().dot(&flat).outer_iter().enumerate() {
                let Ok(plane) = mixed.to_shape((rows, columns)) else { continue };
                let coefficients = vertical.dot(&plane).dot(&horizontal.t());
                let mut sum = energy.slice_mut(s![component, .., ..]);
                sum += &(&coefficients * &coefficients);
            }
        }
        for ((component, row, column), &variance) in energy.indexed_iter() {
            variances.push((variance, [component, row, column]));
        }
        variances.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        variances.truncate(values);
        let mut patterns = Array2::zeros((variances.len(), bands * rows * columns));
        for (mut pattern, (_, [component, row, column])) in
            patterns.outer_iter_mut().zip(&variances)
        {
            let mut pixels = pattern.iter_mut();
            for band in spectral.column(*component) {
                for down in vertical.row(*row) {
                    for (across, pixel) in horizontal.row(*column).iter().zip(&mut pixels) {
                        *pixel = band * down * across;
                    }
                }
            }
        }
        Self { name: "KLT x DCT", mean, patterns }
    }

    /// PSNR in dB of each of `frames` (on the grid of the training pictures,
    /// physical units) by number of values: 1, 2, 4 .. K.
    pub fn psnr_db(&self, frames: &[Frame], range: &[[f64; 2]]) -> BTreeMap<usize, Vec<f64>> {
        let mut curve: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for frame in frames {
            let picture = Array1::from_iter(normalise(frame, range).iter().copied());
            let weights = self.patterns.dot(&(&picture - &self.mean));
            let mut back = self.mean.clone();
            for (index, (&weight, pattern)) in
                weights.iter().zip(self.patterns.outer_iter()).enumerate()
            {
                back.scaled_add(weight, &pattern);
                if (index + 1).is_power_of_two() {
                    let psnr = against(frame, &back, range);
                    curve.entry(index + 1).or_default().push(psnr);
                }
            }
        }
        curve
    }
}

/// PSNR of the flat normalised picture `back` against `frame`.
fn against(frame: &Frame, back: &Array1<f32>, range: &[[f64; 2]]) -> f64 {
    let Ok(back) = back.to_shape(frame.data.dim()) else { return 0.0 };
    let mut physical = back.to_owned();
    for (mut band, &[low, high]) in physical.outer_iter_mut().zip(range) {
        band.mapv_inplace(|v| (low + f64::from(v) * (high - low)) as f32);
    }
    psnr_db(frame.data.view(), physical.view(), range)
}

/// The mean picture `[pixel]` and what each differs from it, `[picture, pixel]`.
fn centred(pictures: &[Array3<f32>]) -> (Array1<f32>, Array2<f32>) {
    let pixels = pictures.first().map_or(0, Array3::len);
    let mut data = Array2::zeros((pictures.len(), pixels));
    for (mut row, picture) in data.outer_iter_mut().zip(pictures) {
        row.iter_mut().zip(picture).for_each(|(to, from)| *to = *from);
    }
    let mean = data.mean_axis(ndarray::Axis(0)).unwrap_or_default();
    data -= &mean;
    (mean, data)
}

/// The `count` leading eigenvectors of a symmetric matrix, `[row, vector]`.
fn leading(matrix: &Array2<f32>, count: usize) -> Result<Array2<f32>> {
    let size = matrix.nrows();
    let matrix = Mat::from_fn(size, size, |row, column| f64::from(matrix[(row, column)]));
    let (_, vectors) = eigen(&matrix)?;
    Ok(Array2::from_shape_fn((size, count), |at| vectors[at] as f32))
}

/// Rows scaled to length 1; they are orthogonal already. A row of zeros stays.
fn orthonormal(mut rows: Array2<f32>) -> Array2<f32> {
    for mut row in rows.outer_iter_mut() {
        let length = row.dot(&row).sqrt().max(f32::MIN_POSITIVE);
        row /= length;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::figures::mean;
    use super::*;
    use crate::frame::{Band, Unit};
    use crate::random::Random;

    fn pictures(count: usize, rows: usize) -> Vec<Array3<f32>> {
        let mut random = Random::new(2);
        let mut draw = || {
            let (a, b) = (random.normal(), random.normal());
            Array3::from_shape_fn((1, rows, 8), |(_, r, c)| {
                (0.5 + 0.1 * a * (r as f64 * 0.8).sin() + 0.05 * b * (c as f64)) as f32
            })
        };
        (0..count).map(|_| draw()).collect()
    }

    fn frames(pictures: &[Array3<f32>]) -> Vec<Frame> {
        let bands = [Band::new("a", Unit::Counts)];
        pictures.iter().map(|p| Frame::new(p.clone(), bands.clone().into(), 0.0)).collect()
    }

    /// Mean PSNR of `peer` by number of values.
    fn curve(peer: &Peer, pictures: &[Array3<f32>]) -> BTreeMap<usize, f64> {
        let all = peer.psnr_db(&frames(pictures), &[[0.0, 1.0]]);
        all.into_iter().map(|(values, psnr)| (values, mean(&psnr))).collect()
    }

    #[test]
    fn two_patterns_need_two_principal_components_either_way() {
        for (count, rows) in [(12, 6), (80, 6)] {
            let pictures = pictures(count, rows);
            let curve = curve(&Peer::pca(&pictures, 2).unwrap(), &pictures);
            assert!(curve[&2] > 70.0 && curve[&1] < 40.0, "{count}: {curve:?}");
        }
    }

    #[test]
    fn all_coefficients_of_the_cosine_transform_are_the_picture() {
        let pictures = pictures(9, 8);
        let curve = curve(&Peer::klt_dct(&pictures, 64), &pictures);
        assert!(curve[&64] > 80.0 && curve[&4] < curve[&64], "{curve:?}");
    }
}
