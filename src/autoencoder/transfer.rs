//! A linear path seen through another sensor.
//!
//! A model knows how the pictures of its own sensor vary. What another sensor
//! would have seen of the same scenes follows from that, as far as its bands
//! follow from the model's: by wavelength. So the moments of the other
//! sensor's pictures are known without a single one of them, and the linear
//! path is solved from those moments as if it had been trained: band energy
//! first, as that sensor's own bands make it, then principal components.

use ndarray::{Array1, Array2, Array3, Axis};

use super::linear::{Linear, Moments, SPECTRAL_COMPONENTS, by_variance, eigen, energy};
use crate::error::Result;
use crate::frame::{Band, Unit};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// Beyond the first and last centre wavelength of a model, its outermost
/// bands speak for others as far as this factor.
const REACH: f32 = 1.15;

/// Mean and deviation of the values of a band whose first and last percentile
/// mean 0 and 1, if they are normal: the percentiles lie 2.326 deviations from
/// the mean.
const MEAN: f32 = 0.5;
const DEVIATION: f32 = 0.5 / 2.326;

/// What of a band's variance no other band explains, at least: no band follows from
/// others better than pictures are measured.
const LEFT: f32 = 1e-3;

/// The bands of a sensor and, per band, the physical values that mean 0 and 1.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The bands.
    pub bands: &'a [Band],
    /// One range per band.
    pub range: &'a [[f64; 2]],
}

/// How the normalised bands of one sensor follow from those of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixing {
    /// Weight of each band of the other, `[band, other band]`. A row of zeros:
    /// the band follows from none.
    pub weights: Array2<f32>,
    /// What is added, `[band]`.
    pub offset: Array1<f32>,
    /// How bands that follow from none vary, `[band, axis]`: along axes at right angles to
    /// each other, by so much.
    pub apart: Array2<f32>,
}

impl Mixing {
    /// How the bands of `new` follow from those of `old`, whose pictures
    /// `linear` describes.
    ///
    /// A band lies between the two of `old` that are next in wavelength, and
    /// follows from them linearly; a single band of `old` speaks for any
    /// single band. Values of the same unit keep their physical meaning.
    /// Others, and counts, which mean something else in every camera, are taken
    /// to fill their range as the percentiles of a normal distribution would.
    pub fn between(linear: &Linear, old: Sight<'_>, new: Sight<'_>) -> Self {
        let mut weights = Array2::zeros((new.bands.len(), old.bands.len()));
        let mut offset = Array1::from_elem(new.bands.len(), MEAN);
        let deviations = linear.band_deviations();
        for (index, (band, &[low, high])) in new.bands.iter().zip(new.range).enumerate() {
            let single = old.bands.len() == 1 && new.bands.len() == 1;
            let neighbours = match single {
                true => vec![(0, 1.0)],
                false => neighbours(old.bands, band.wavelength_um),
            };
            if neighbours.is_empty() {
                continue;
            }
            let alike = neighbours.iter().all(|&(i, _)| old.bands[i].unit == band.unit);
            let physical = alike && band.unit != Unit::Counts;
            let mean: f32 = neighbours.iter().map(|&(i, w)| w * linear.band_mean[i]).sum();
            let deviation: f32 = neighbours.iter().map(|&(i, w)| w * deviations[i]).sum();
            if !physical {
                offset[index] = MEAN - mean * DEVIATION / deviation.max(1e-6);
            } else {
                offset[index] = (-low / (high - low)) as f32;
            }
            for (i, weight) in neighbours {
                let [old_low, old_high] = old.range[i];
                if physical {
                    weights[(index, i)] = weight * ((old_high - old_low) / (high - low)) as f32;
                    offset[index] += weight * (old_low / (high - low)) as f32;
                } else {
                    weights[(index, i)] = weight * DEVIATION / deviation.max(1e-6);
                }
            }
        }
        let alone: Vec<usize> = (0..new.bands.len())
            .filter(|&band| weights.row(band).iter().all(|&w| w == 0.0))
            .collect();
        let apart = Array2::from_shape_fn((new.bands.len(), alone.len()), |(band, axis)| {
            if alone[axis] == band { DEVIATION } else { 0.0 }
        });
        Self { weights, offset, apart }
    }
}

/// The bands of `old` between which a band at `wavelength_um` lies, with weights
/// that sum to 1; none where it lies beyond them or its wavelength is unknown.
pub fn neighbours(old: &[Band], wavelength_um: Option<f32>) -> Vec<(usize, f32)> {
    let Some(at) = wavelength_um.filter(|um| um.is_finite()) else { return vec![] };
    let mut known: Vec<(usize, f32)> =
        old.iter().enumerate().filter_map(|(i, b)| Some((i, b.wavelength_um?))).collect();
    known.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (Some(&first), Some(&last)) = (known.first(), known.last()) else { return vec![] };
    if at < first.1 / REACH || at > last.1 * REACH {
        return vec![];
    }
    let above = known.partition_point(|&(_, wavelength)| wavelength < at);
    match (above.checked_sub(1).map(|below| known[below]), known.get(above)) {
        (Some(below), Some(&above)) => {
            let share = (at - below.1) / (above.1 - below.1);
            // At a band of `old` the one below it has no say, nor has its unit.
            if share == 1.0 {
                return vec![(above.0, 1.0)];
            }
            vec![(below.0, 1.0 - share), (above.0, share)]
        }
        (None, Some(&only)) | (Some(only), None) => vec![(only.0, 1.0)],
        (None, None) => vec![],
    }
}

impl Linear {
    /// Deviation of the normalised values of each band, `[band]`.
    fn band_deviations(&self) -> Array1<f32> {
        self.spectral.mapv(|s| s * s).dot(&self.spectral_variance()).mapv(f32::sqrt)
    }

    /// Variance of a pixel along each spectral component, `[component]`.
    fn spectral_variance(&self) -> Array1<f32> {
        let pixels = self.grid[0] * self.grid[1];
        let mut spectral = Array1::<f32>::zeros(self.spectral.ncols());
        for (&index, &variance) in self.selected.iter().zip(&self.variance) {
            spectral[index as usize / pixels] += variance / pixels as f32;
        }
        spectral
    }

    /// Puts into the `empty` bands of `picture`, `[band, row, column]`, normalised, what
    /// its other bands, of which there is one at least, say of them: pixel by pixel the
    /// linear regression on these, by how the model's bands vary together.
    pub fn complete(&self, picture: &mut Array3<f32>, empty: &[usize]) {
        let covariance = (&self.spectral * &self.spectral_variance()).dot(&self.spectral.t());
        let known: Vec<usize> = (0..picture.dim().0).filter(|b| !empty.contains(b)).collect();
        let among = Mat::from_fn(known.len(), known.len(), |a, b| {
            let noise = if a == b { LEFT * covariance[(known[a], known[a])] + 1e-9 } else { 0.0 };
            f64::from(covariance[(known[a], known[b])] + noise)
        });
        let towards = Mat::from_fn(known.len(), empty.len(), |a, b| {
            f64::from(covariance[(known[a], empty[b])])
        });
        // A sum of squares and of what is left: it has a factor.
        let Ok(factor) = among.llt(Side::Lower) else { return };
        let weights = factor.solve(&towards);
        let (_, rows, columns) = picture.dim();
        for (column, &band) in empty.iter().enumerate() {
            let mut sum = Array2::from_elem((rows, columns), self.band_mean[band]);
            for (row, &from) in known.iter().enumerate() {
                let weight = weights[(row, column)] as f32;
                sum.zip_mut_with(&picture.index_axis(Axis(0), from), |sum, value| {
                    *sum += weight * (value - self.band_mean[from]);
                });
            }
            picture.index_axis_mut(Axis(0), band).assign(&sum);
        }
    }

    /// This linear path for pictures on `grid` of a sensor whose bands follow
    /// from its own by `mixing`, and whose band energy weighs them with
    /// `weights`. What follows from none is taken to vary over a picture like the
    /// leading spectral component, by itself. A narrow `grid` with few frequencies has a
    /// code of fewer values, a power of two.
    ///
    /// # Errors
    ///
    /// If eigenvalues do not converge.
    pub fn through(&self, mixing: &Mixing, weights: &[f32], grid: [usize; 2]) -> Result<Self> {
        let sight = Transfer::new(self, mixing, grid)?;
        let pixels = grid[0] * grid[1];
        let covariance = self.covariance();
        let variance = |from: &Vec<(usize, f32)>| -> f32 {
            let along = |&(i, w): &(usize, f32)| -> f32 {
                from.iter().map(|&(j, v)| w * v * covariance[(i, j)]).sum()
            };
            from.iter().map(along).sum()
        };
        let mut selected = by_variance(&sight.sources.iter().map(variance).collect(), pixels);
        selected.retain(|&index| !sight.sources[index as usize].is_empty());
        let of = |index: u32| (index as usize / pixels, &sight.sources[index as usize]);
        let centre = selected.iter().map(|&index| match of(index) {
            (component, _) if sight.alone(component) => 0.0,
            (_, from) => from.iter().map(|&(i, w)| w * self.centre[i]).sum(),
        });
        let centre = Array1::from_iter(centre);
        let mut half = Array2::<f32>::zeros((selected.len(), self.selected.len()));
        for (mut row, &index) in half.outer_iter_mut().zip(&selected) {
            for &(i, weight) in of(index).1 {
                row.scaled_add(weight, &covariance.row(i));
            }
        }
        let seen = Array2::from_shape_fn((selected.len(), selected.len()), |(row, column)| {
            let ((a, _), (b, from)) = (of(selected[row]), of(selected[column]));
            match a != b && (sight.alone(a) || sight.alone(b)) {
                true => 0.0,
                false => from.iter().map(|&(j, weight)| weight * half[(row, j)]).sum(),
            }
        });
        let frame = Linear {
            grid,
            values: self.values,
            band_mean: mixing.weights.dot(&self.band_mean) + &mixing.offset,
            energy: energy(&selected, &sight.spectral, weights, pixels),
            spectral: sight.spectral,
            centre,
            variance: Array1::zeros(0),
            selected,
            synthesis: Array2::zeros((0, 0)),
            deviation: Array1::zeros(0),
        };
        let most = 1 << frame.selected.len().max(1).ilog2();
        let path = Moments::known(frame, seen).solve(self.values.min(most), 0.0)?;
        Ok(path.leading(self.components()))
    }

    /// The path that reads other bands than those that were sent out of codes:
    /// the most probable pictures (in the sense of least squares) of bands
    /// that follow from this path's own by `wanted`. The codes are of this
    /// path, or of `sent`: what it is [`Linear::through`] that mixing. It
    /// decodes only, and so has no band energy.
    ///
    /// # Errors
    ///
    /// If eigenvalues do not converge.
    pub fn reading(&self, sent: Option<(&Mixing, &Self)>, wanted: &Mixing) -> Result<Self> {
        let path = sent.map_or(self, |(_, path)| path);
        let grid = path.grid;
        // What one unit of each component says of each coefficient here.
        let known = match sent {
            None => self.synthesis.clone(),
            Some((mixing, path)) => self.regression(mixing, path)?,
        };
        let sight = Transfer::new(self, wanted, grid)?;
        let sources = sight.sources.iter().enumerate().filter(|(_, from)| !from.is_empty());
        let sources: Vec<(usize, &Vec<(usize, f32)>)> = sources.collect();
        let mut synthesis = Array2::zeros((sources.len(), path.components()));
        for (mut row, (_, from)) in synthesis.outer_iter_mut().zip(&sources) {
            for &(i, weight) in *from {
                row.scaled_add(weight, &known.row(i));
            }
        }
        let centre = |from: &[(usize, f32)]| from.iter().map(|&(i, w)| w * self.centre[i]).sum();
        Ok(Self {
            grid,
            values: path.values,
            band_mean: wanted.weights.dot(&self.band_mean) + &wanted.offset,
            energy: Array1::zeros(sources.len()),
            spectral: sight.spectral,
            centre: sources.iter().map(|(_, from)| centre(from)).collect(),
            variance: (&synthesis * &path.deviation).mapv(|v: f32| v * v).sum_axis(Axis(1)),
            selected: sources.iter().map(|&(index, _)| index as u32).collect(),
            synthesis,
            deviation: path.deviation.clone(),
        })
    }

    /// What one unit of each component of `path`, this path through `mixing`,
    /// says of each coefficient of this one, `[coefficient, component]`.
    fn regression(&self, mixing: &Mixing, path: &Self) -> Result<Array2<f32>> {
        let sight = Transfer::new(self, mixing, path.grid)?;
        let pixels = path.grid[0] * path.grid[1];
        let mut weights = Array2::<f32>::zeros((self.selected.len(), path.components()));
        for (&index, analysis) in path.selected.iter().zip(path.analysis().outer_iter()) {
            if sight.alone(index as usize / pixels) {
                continue;
            }
            for &(i, weight) in sight.sources.get(index as usize).into_iter().flatten() {
                weights.row_mut(i).scaled_add(weight, &analysis);
            }
        }
        Ok(self.covariance().dot(&weights) / path.deviation.mapv(|d| d * d))
    }
}

/// The spectral components of the new sensor, and how they follow from those
/// of the old one.
struct Transfer {
    /// Orthonormal, `[band, component]`; those of bands that follow from none
    /// come last.
    spectral: Array2<f32>,
    /// For every new coefficient, flat in `[component, row frequency, column
    /// frequency]`: the old ones, by position among those selected, of which it
    /// is the weighted sum; of none where the old pictures say nothing.
    sources: Vec<Vec<(usize, f32)>>,
    /// How many components follow from the old ones.
    following: usize,
}

impl Transfer {
    fn new(old: &Linear, mixing: &Mixing, grid: [usize; 2]) -> Result<Self> {
        let pixels = old.grid[0] * old.grid[1];
        let mut power = Array1::<f32>::zeros(old.spectral.ncols());
        for (&index, &variance) in old.selected.iter().zip(&old.variance) {
            power[index as usize / pixels] += variance;
        }
        let seen = mixing.weights.dot(&old.spectral);
        let weighted = &seen * &power.mapv(f32::sqrt);
        let gram = weighted.dot(&weighted.t());
        let bands = gram.nrows();
        let apart = &mixing.apart;
        let lengths = apart.mapv(|along| along * along).sum_axis(Axis(0)).mapv(f32::sqrt);
        let (values, vectors) = match mixing.weights.iter().all(|&weight| weight == 0.0) {
            // Thousands of bands without a wavelength would take a minute for nothing.
            true => (Vec::new(), Mat::zeros(bands, 0)),
            false => eigen(&Mat::from_fn(bands, bands, |a, b| f64::from(gram[(a, b)])))?,
        };
        let least = 1e-9 * values.first().copied().unwrap_or(0.0);
        let following = values.iter().take(SPECTRAL_COMPONENTS).filter(|&&v| v > least).count();
        let spectral =
            Array2::from_shape_fn((bands, following + apart.ncols()), |(band, component)| {
                match component.checked_sub(following) {
                    None => vectors[(band, component)] as f32,
                    Some(axis) => apart[(band, axis)] / lengths[axis],
                }
            });
        // More or fewer pixels show the same pattern with more or less energy.
        let finer = ((grid[0] * grid[1]) as f32 / pixels as f32).sqrt();
        let mut mix = spectral.t().dot(&seen) * finer;
        let own = old.selected.iter().zip(&old.variance);
        let leading: f32 =
            own.filter(|&(&i, _)| (i as usize) < pixels).map(|(_, v)| v).sum::<f32>()
                / pixels as f32;
        for (mut row, length) in mix.axis_iter_mut(Axis(0)).skip(following).zip(lengths) {
            row.fill(0.0);
            row[0] = length / leading.sqrt().max(1e-6) * finer;
        }
        Ok(Self { spectral, sources: sources(old, &mix, grid), following })
    }

    /// Whether a component is that of a band which follows from none.
    fn alone(&self, component: usize) -> bool {
        component >= self.following
    }
}

/// See [`Transfer::sources`]; `mix` says how the components follow from the old
/// ones, `[component, old component]`.
fn sources(old: &Linear, mix: &Array2<f32>, [rows, columns]: [usize; 2]) -> Vec<Vec<(usize, f32)>> {
    let [old_rows, old_columns] = old.grid;
    let mut sources = vec![Vec::new(); mix.nrows() * rows * columns];
    for (position, &index) in old.selected.iter().enumerate() {
        let (component, frequency) =
            (index as usize / (old_rows * old_columns), index as usize % (old_rows * old_columns));
        let (down, across) = (frequency / old_columns, frequency % old_columns);
        if down >= rows || across >= columns {
            continue;
        }
        for (new, &weight) in mix.column(component).iter().enumerate() {
            if weight != 0.0 {
                sources[(new * rows + down) * columns + across].push((position, weight));
            }
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::autoencoder::{Autoencoder, read};
    use crate::random::Random;

    /// Bands at 1, 2, 3 .. um.
    fn bands(count: usize) -> Vec<Band> {
        (1..=count)
            .map(|um| Band {
                wavelength_um: Some(um as f32),
                ..Band::new(um.to_string(), Unit::Reflectance)
            })
            .collect()
    }

    /// Pictures of two materials, with smooth spectra over three bands, and
    /// some noise.
    fn scenes(seed: u64, count: usize) -> Vec<Array3<f32>> {
        let mut random = Random::new(seed);
        (0..count)
            .map(|_| {
                let (a, b) = (random.normal(), random.normal());
                let (c, d) = (random.between(0.2, 1.2), random.between(0.2, 1.2));
                Array3::from_shape_fn((3, 8, 8), |(band, row, column)| {
                    let (x, y, um) = (row as f64, column as f64, band as f64);
                    let first = a * (x * c).sin() + b * (y * d).cos();
                    let second = b * (x * d).cos() - a * (y * c).sin();
                    let clean = 0.1 * first * (1.0 + 0.3 * um) + 0.05 * second * (2.0 - um);
                    (0.4 + clean + 0.01 * random.normal()) as f32
                })
            })
            .collect()
    }

    /// Three bands that are those of the model.
    fn identity() -> Mixing {
        let (weights, offset) = (Array2::eye(3), Array1::zeros(3));
        Mixing { weights, offset, apart: Array2::zeros((3, 0)) }
    }

    fn keep(pictures: &[Array3<f32>], bands: &[usize]) -> Vec<Array3<f32>> {
        pictures.iter().map(|picture| picture.select(Axis(0), bands)).collect()
    }

    fn trained(pictures: &[Array3<f32>]) -> Linear {
        let weights = vec![1.0; pictures[0].dim().0];
        Moments::gather(pictures, &weights).unwrap().solve(16, 0.1).unwrap()
    }

    /// Mean squared error of `pictures` from their components.
    fn error(linear: &Linear, pictures: &[Array3<f32>]) -> f64 {
        let autoencoder = Autoencoder::new(linear.clone(), 1.0, &Device::flex());
        let sent = autoencoder.tensor(pictures).unwrap();
        let back = autoencoder.pictures(autoencoder.components(sent.clone()));
        let errors = read((sent - back).powf_scalar(2.0)).unwrap();
        errors.iter().map(|&e| f64::from(e)).sum::<f64>() / errors.len() as f64
    }

    /// `linear`, trained for three bands, through those at `kept`.
    fn through(linear: &Linear, kept: &[usize]) -> Linear {
        let all = bands(3);
        let range = [[0.0, 1.0]; 3];
        let some: Vec<Band> = kept.iter().map(|&band| all[band].clone()).collect();
        let new = Sight { bands: &some, range: &range[..some.len()] };
        let mixing = Mixing::between(linear, Sight { bands: &all, range: &range }, new);
        linear.through(&mixing, &vec![1.0; some.len()], linear.grid).unwrap()
    }

    #[test]
    fn through_its_own_bands_a_path_is_itself() {
        let (linear, unseen) = (trained(&scenes(1, 200)), scenes(2, 50));
        let (own, same) = (error(&linear, &unseen), error(&through(&linear, &[0, 1, 2]), &unseen));
        assert!(same < 1.06 * own, "{same} against {own}");
    }

    #[test]
    fn through_some_bands_it_is_nearly_as_good_as_one_trained_for_them() {
        let (scenes, unseen) = (scenes(1, 200), scenes(2, 50));
        let linear = trained(&scenes);
        for kept in [vec![0, 2], vec![1], vec![2, 0]] {
            let unseen = keep(&unseen, &kept);
            let own = error(&trained(&keep(&scenes, &kept)), &unseen);
            let seen = error(&through(&linear, &kept), &unseen);
            assert!(seen < 1.12 * own, "{kept:?}: {seen} against {own}");
        }
    }

    #[test]
    fn a_band_between_two_follows_from_both_and_one_far_off_from_none() {
        let linear = trained(&scenes(1, 50));
        let all = bands(3);
        let mut new = bands(2);
        (new[0].wavelength_um, new[1].wavelength_um) = (Some(2.25), Some(11.0));
        let (old, ranges) = (Sight { bands: &all, range: &[[0.0, 2.0]; 3] }, [[1.0, 2.0]; 2]);
        let mixing = Mixing::between(&linear, old, Sight { bands: &new, range: &ranges });
        assert_eq!(mixing.weights.row(0).to_vec(), [0.0, 1.5, 0.5]);
        assert_eq!((mixing.offset[0], mixing.offset[1]), (-1.0, MEAN));
        assert!(mixing.weights.row(1).iter().all(|&w| w == 0.0));
        // What follows from nothing is a picture all the same.
        let seen = linear.through(&mixing, &[1.0, 1.0], [8, 8]).unwrap();
        let mut unseen = keep(&scenes(2, 20), &[0, 1]);
        let flat = unseen.iter().map(|p| p - p.mean().unwrap()).map(|p| p.mapv(|v| v * v));
        let spread = flat.map(|p| f64::from(p.mean().unwrap())).sum::<f64>() / 20.0;
        unseen.iter_mut().for_each(|p| p.mapv_inplace(|v| v + 0.1));
        assert!(error(&seen, &unseen) < 0.3 * spread, "{} {spread}", error(&seen, &unseen));
    }

    #[test]
    fn a_band_that_was_not_sent_is_read_from_those_that_were() {
        let linear = trained(&scenes(1, 200));
        let (all, range) = (bands(3), [[0.0, 1.0]; 3]);
        let sight = |bands| Sight { bands, range: &range[..1] };
        let own = Sight { bands: &all, range: &range };
        let sent = Mixing::between(&linear, own, sight(&all[..1]));
        let path = linear.through(&sent, &[1.0], linear.grid).unwrap();
        let wanted = Mixing::between(&linear, own, sight(&all[2..]));
        let reading = linear.reading(Some((&sent, &path)), &wanted).unwrap();
        let read_from = |path: &Linear, reading: Linear, pictures: &[Array3<f32>]| {
            let device = Device::flex();
            let encoder = Autoencoder::new(path.clone(), 1.0, &device);
            let components = encoder.components(encoder.tensor(pictures).unwrap());
            let back = Autoencoder::new(reading, 1.0, &device).pictures(components);
            read(back).unwrap()
        };
        let unseen = scenes(2, 50);
        let (first, third) = (keep(&unseen, &[0]), keep(&unseen, &[2]));
        let truth: Vec<f32> = third.iter().flatten().copied().collect();
        let off = |back: &[f32]| -> f32 {
            back.iter().zip(&truth).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / truth.len() as f32
        };
        let error_read = off(&read_from(&path, reading, &first));
        // What a regression of pixels on pixels reaches, fitted to these very
        // pictures.
        let given: Vec<f32> = first.iter().flatten().copied().collect();
        let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
        let (x, y) = (mean(&given), mean(&truth));
        let along: f32 = given.iter().zip(&truth).map(|(a, b)| (a - x) * (b - y)).sum();
        let slope = along / given.iter().map(|a| (a - x).powi(2)).sum::<f32>();
        let line: Vec<f32> = given.iter().map(|a| y + slope * (a - x)).collect();
        assert!(error_read < 1.1 * off(&line), "{error_read} against {}", off(&line));
        // Of what was sent, it reads what the path itself decodes.
        let own = linear.reading(None, &identity());
        let again = read_from(&linear, own.unwrap(), &unseen);
        let direct = read_from(&linear, linear.clone(), &unseen);
        assert!(again.iter().zip(&direct).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn a_band_without_readings_follows_from_the_others() {
        let linear = trained(&scenes(1, 300));
        let rms = |error: Array2<f32>| error.mapv(|e| e * e).mean().unwrap().sqrt();
        for sent in scenes(2, 20) {
            let mut picture = sent.clone();
            picture.index_axis_mut(Axis(0), 1).fill(f32::NAN);
            linear.complete(&mut picture, &[1]);
            let [sent, back] = [&sent, &picture].map(|p| p.index_axis(Axis(0), 1));
            let error = rms(&back - &sent);
            let contrast = rms(&sent - linear.band_mean[1]);
            assert!(error < 0.03 + 0.1 * contrast, "{error} of {contrast}");
        }
    }

    #[test]
    fn counts_of_two_cameras_do_not_compare() {
        let one = keep(&scenes(1, 50), &[0]);
        let linear = trained(&one);
        let counts = [Band::new("a", Unit::Counts)];
        let [old, new] = [[0.0, 255.0], [2600.0, 2700.0]];
        let sight = |range| Sight { bands: &counts, range };
        let mixing = Mixing::between(&linear, sight(&[old][..]), sight(&[new][..]));
        let mean = mixing.weights[(0, 0)] * linear.band_mean[0] + mixing.offset[0];
        assert!((mean - MEAN).abs() < 1e-5, "{mean}");
        // What has a meaning keeps it.
        let celsius = [Band::new("a", Unit::Celsius)];
        let sight = |range| Sight { bands: &celsius, range };
        let mixing =
            Mixing::between(&linear, sight(&[[10.0, 30.0]][..]), sight(&[[20.0, 25.0]][..]));
        assert_eq!((mixing.weights[(0, 0)], mixing.offset[0]), (4.0, -2.0));
    }

    #[test]
    fn a_smaller_grid_shows_the_same_pattern() {
        let linear = trained(&scenes(1, 200));
        let identity = identity();
        let small = linear.through(&identity, &[1.0; 3], [4, 8]).unwrap();
        let halved: Vec<Array3<f32>> = scenes(2, 50)
            .iter()
            .map(|p| {
                Array3::from_shape_fn((3, 4, 8), |(band, row, column)| {
                    (p[(band, 2 * row, column)] + p[(band, 2 * row + 1, column)]) / 2.0
                })
            })
            .collect();
        let spread = 0.01;
        assert!(error(&small, &halved) < 0.1 * spread, "{}", error(&small, &halved));
    }
}
