//! What a loudspeaker, a room or a microphone does to levels.
//!
//! Two things tell it. The pilots, which are sent at known levels, tell what
//! is smooth over frequency: tilts, lost treble. What is not smooth, as in a
//! room, where echoes cancel at one frequency and add up at the next, shows in
//! the bins of a value, which are sent alike; and as the values of a code are
//! uniform over time, a value that is always low has been turned down on the
//! way. How far that is believed depends on how uneven the response shows
//! itself: in the bins of a value, as echoes make them, and in pilots that lie
//! on no line, as the edge of a loudspeaker's band bends them. Where both are
//! even, a value that is always low was sent low. And it depends on which
//! neighbours are low with it: what pictures have in common makes whole groups
//! of values low, echoes make single ones, and edges all that lie beyond.
//!
//! The gain of a way is taken to stay, as pilots are heard with errors, or to go
//! along with the noise: only where those of a frame differ by more than their
//! noise explains is the frame louder or fainter than others, as in a fade.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use super::noisy::{DB_PER_PART, LEAST};
use super::{BIN_HZ, Law, Layout, MEAN_LUFS, Spectrum, centre_hz, from_db, hearing, mean, to_db};
use crate::autoencoder::haar;

/// Standard deviation over frames of the loudness of unseen pictures, in LU:
/// those of a drone's flights span 6.2 LU between the 5th and the 95th
/// percentile, which lie 3.3 deviations apart.
const LOUDNESS_DEVIATION_LU: f64 = 1.9;

/// The gain of a channel at every bin.
#[derive(Clone, Debug)]
pub struct Response {
    /// Power gain by bin.
    gains: Vec<f64>,
    usual: Usual,
}

/// The gain of most frames by their pilots, once the gains of bins are taken out.
///
/// An encoder that runs short of bits keeps less of the frames that are harder
/// to code, all over the spectrum: Opus at 24 kbit/s makes those of twice the
/// noise fainter by 1 dB. So the gain may go along with the noise.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    /// In dB, of a frame with the share of noise `noise_db`.
    gain_db: f64,
    /// Mean share of noise in dB, see [`Layout::noise_db`].
    noise_db: f64,
    /// How much more it is where the noise is 1 dB more, in dB.
    slope: f64,
    /// The least and the most noise of the frames that tell so.
    reach_db: [f64; 2],
}

/// How uneven a response is beside what the pilots tell, in dB^2.
#[derive(Clone, Copy, Debug)]
struct Uneven {
    /// Variance of each bin by itself, as echoes make it.
    roughness: f64,
    /// Variance that is gained with every ERB from a pilot on, as the edge of a
    /// loudspeaker's or a codec's band makes it.
    wander: f64,
}

/// One frame as it was heard.
#[derive(Clone, Debug)]
pub struct Hearing {
    /// What was heard.
    pub spectrum: Spectrum,
    /// Power of the noise in each of its bins.
    pub noise: Vec<f64>,
}

impl Layout {
    /// The response that the frames in `heard`, in order of time, went
    /// through; `None` where a pilot is silent.
    pub fn response(&self, mut heard: Vec<Hearing>) -> Option<Response> {
        let roughness = self.roughness(&heard);
        let (mut response, wander) = self.smooth_response(&heard, roughness)?;
        for frame in &mut heard {
            response.take_out(&mut frame.spectrum, &mut frame.noise);
        }
        response.usual = self.usual(&heard)?;
        if let Law::Decibel { range_db } = self.mapping.law {
            let ripple_db = self.ripple_db(&heard, Uneven { roughness, wander }, range_db);
            for (cell, ripple_db) in self.values.iter().zip(ripple_db) {
                for &bin in &cell.bins {
                    response.gains[bin] *= from_db(ripple_db);
                }
            }
        }
        Some(response)
    }

    /// The response by the mean power of each pilot: linear on the ear's axis
    /// between them, and constant beyond. Where neighbouring bins differ by the
    /// variance `roughness`, pilots differ by chance, too: that share of their
    /// differences is not believed (James and Stein, 1961).
    ///
    /// Beside it, how far the response wanders between pilots: the variance in
    /// dB^2 that it gains with every ERB, by how far pilots lie off a line.
    fn smooth_response(&self, heard: &[Hearing], roughness: f64) -> Option<(Response, f64)> {
        let count = heard.len() as f64;
        let gain_db = |(cell, sent_db): (&super::Cell, f64)| {
            let power = |frame: &Hearing| frame.spectrum.power(&cell.bins);
            let heard: f64 = heard.iter().map(power).sum::<f64>() / count;
            (heard > 0.0).then(|| to_db(heard) - sent_db)
        };
        let pilots = self.pilots.iter().zip(self.pilot_levels_db());
        let gains_db: Vec<f64> = pilots.map(gain_db).collect::<Option<_>>()?;
        let mean_db = mean(&gains_db);
        let square: f64 = gains_db.iter().map(|db| (db - mean_db).powi(2)).sum();
        let spread = square / (gains_db.len() as f64 - 1.0);
        let believed = share((spread - roughness).max(0.0), roughness);
        let points: Vec<(f64, f64)> = self
            .pilots
            .iter()
            .zip(&gains_db)
            .map(|(cell, db)| {
                (hearing::erb_rate(centre_hz(&cell.bins)), mean_db + believed * (db - mean_db))
            })
            .collect();
        let gain = |bin: usize| from_db(between(&points, hearing::erb_rate(bin as f64 * BIN_HZ)));
        let gains = (0..Spectrum::BINS).map(gain).collect();
        // Second differences, of which a tilt has none: those of Brownian motion have
        // twice the variance of a step, those of pilots that err alone six times.
        let bend = |three: &[(f64, f64)]| (three[2].1 - 2.0 * three[1].1 + three[0].1).powi(2);
        let bends: Vec<f64> = points.windows(3).map(bend).collect();
        let spacing = (points.last()?.0 - points.first()?.0) / (points.len() as f64 - 1.0);
        let by_chance = 6.0 * believed * believed * roughness;
        let wander = (mean(&bends) - by_chance).max(0.0) / (2.0 * spacing);
        Some((Response { gains, usual: Usual::default() }, wander))
    }

    /// The gain of most of `heard` by their pilots; `None` where there are none.
    fn usual(&self, heard: &[Hearing]) -> Option<Usual> {
        let gain_db = |frame: &Hearing| self.gain_db(&frame.spectrum, &frame.noise);
        let noise_db = |frame: &Hearing| self.noise_db(&frame.spectrum, &frame.noise);
        let most_db = median(heard.iter().map(gain_db).collect())?;
        let ordinary =
            |frame: &&Hearing| self.may_be(from_db(most_db), from_db(gain_db(frame)), &frame.noise);
        let ordinary = heard.iter().filter(ordinary);
        let usual = Usual::of(&ordinary.map(|f| (noise_db(f), gain_db(f))).collect::<Vec<_>>());
        Some(usual.unwrap_or(Usual { gain_db: most_db, ..Usual::default() }))
    }

    /// Variance in dB^2 of the gains of neighbouring bins, by how much the
    /// bins of a value differ over all of `heard`.
    fn roughness(&self, heard: &[Hearing]) -> f64 {
        let (mut square, mut freedom) = (0.0, 0.0);
        for cell in self.values.iter().filter(|cell| cell.bins.len() > 1) {
            let bins = cell.bins.iter().map(|&bin| mean_power(heard, bin));
            let (levels_db, errors): (Vec<f64>, Vec<f64>) =
                bins.map(|(power, variance)| (to_db(power), variance / (power * power))).unzip();
            let mean_db = mean(&levels_db);
            freedom += levels_db.len() as f64 - 1.0;
            square += levels_db.iter().map(|db| (db - mean_db).powi(2)).sum::<f64>();
            // What noise alone would make of bins that are alike.
            square -= DB_PER_PART.powi(2) * mean(&errors) * (levels_db.len() as f64 - 1.0);
        }
        if freedom > 0.0 { (square / freedom).max(0.0) } else { 0.0 }
    }

    /// The most probable gain of each value in dB beside the response that the
    /// pilots tell, if that is as `uneven` as this.
    fn ripple_db(&self, heard: &[Hearing], uneven: Uneven, range_db: f64) -> Vec<f64> {
        let mut loudness = Vec::with_capacity(heard.len());
        let mut shapes: Vec<Vec<f64>> = vec![Vec::new(); self.values.len()];
        for frame in heard {
            let signal = |bins: &[usize]| {
                let noise: f64 = bins.iter().map(|&bin| frame.noise[bin]).sum();
                (frame.spectrum.power(bins) - noise).max(LEAST * noise)
            };
            let levels_db: Vec<f64> =
                self.values.iter().map(|cell| to_db(signal(&cell.bins))).collect();
            loudness.push(hearing::lufs(super::weighted_power(&self.values, &levels_db)));
            let free_db: Vec<f64> =
                self.values.iter().zip(&levels_db).map(|(c, db)| db - c.correction_db).collect();
            let mean_db = mean(&free_db);
            shapes.iter_mut().zip(free_db).for_each(|(shape, db)| shape.push(db - mean_db));
        }
        // The pilots, of one bin each, tell the gain of all.
        let common = LOUDNESS_DEVIATION_LU.powi(2) / independent(&[loudness.clone()]);
        let gain_db = (mean(&loudness) - MEAN_LUFS)
            * share(uneven.roughness / self.pilots.len() as f64, common);
        // The variance of what is uniform.
        let sent = range_db.powi(2) / 12.0 / independent(&shapes);
        let shape: Vec<f64> = shapes.iter().map(|shape| mean(shape)).collect();
        self.ripple_of(&shape, uneven, sent).into_iter().map(|db| gain_db + db).collect()
    }

    /// The most probable ripple in dB behind `shape`, the mean of each value
    /// over time: the part of it that was not sent. What is sent has the
    /// variance `sent` in each value, and goes along with its neighbours as the
    /// rows of the code have it (see [`haar`]). Of ripple, what is rough differs
    /// from bin to bin, and what wanders goes along with what is near.
    fn ripple_of(&self, shape: &[f64], uneven: Uneven, sent: f64) -> Vec<f64> {
        let size = shape.len();
        let Uneven { roughness, wander } = uneven;
        if roughness <= 0.0 && wander <= 0.0 {
            return vec![0.0; size];
        }
        let place = |cell: &super::Cell| hearing::erb_rate(centre_hz(&cell.bins));
        let [places, pilots] =
            [&self.values, &self.pilots].map(|cells| cells.iter().map(place).collect::<Vec<_>>());
        let ripple = Mat::from_fn(size, size, |row, column| {
            let own = roughness / self.values[row].bins.len() as f64;
            let alone = if row == column { own } else { 0.0 };
            alone + wander * tied(&pilots, places[row], places[column])
        });
        let mut rows = haar::weighted(size);
        // The mean of all values tells the loudness, not the shape.
        rows.row_mut(0).fill(0.0);
        let together = rows.t().dot(&rows);
        let covariance = Mat::from_fn(size, size, |row, column| {
            f64::from(together[(row, column)]) * sent + ripple[(row, column)]
        });
        // A sum of squares: it fails on NaN, or where rounding leaves a direction
        // without any variance; then the pilots alone are believed.
        let Ok(factors) = covariance.llt(Side::Lower) else { return vec![0.0; size] };
        let solution = factors.solve(&Mat::from_fn(size, 1, |row, _| shape[row]));
        let ripple = ripple * solution;
        (0..size).map(|row| ripple[(row, 0)]).collect()
    }
}

/// The covariance of what the response at `a` and at `b`, on the ear's axis, is
/// beside the line through `pilots`, in ascending order there, for each dB^2 that
/// it wanders over an ERB: that of Brownian motion tied to the pilots.
fn tied(pilots: &[f64], a: f64, b: f64) -> f64 {
    let (a, b) = (a.min(b), a.max(b));
    let (below, above) = pilots.split_at(pilots.partition_point(|&place| place <= a));
    match (below.last(), above.first()) {
        (Some(before), Some(after)) => (a - before) * (after - b).max(0.0) / (after - before),
        (Some(before), None) => a - before,
        (None, Some(after)) => (after - b).max(0.0),
        (None, None) => 0.0,
    }
}

/// Mean power of the signal in `bin` over all of `heard`, and the variance of
/// its error.
fn mean_power(heard: &[Hearing], bin: usize) -> (f64, f64) {
    let (mut signal, mut noise, mut variance) = (0.0, 0.0, 0.0);
    for frame in heard {
        let power = f64::from(frame.spectrum.amplitudes[bin]).powi(2);
        let of_noise = frame.noise[bin];
        signal += power - of_noise;
        noise += of_noise;
        variance += 2.0 * (power - of_noise).max(0.0) * of_noise + of_noise * of_noise;
    }
    let count = heard.len() as f64;
    let least = f64::MIN_POSITIVE.sqrt();
    (signal.max(LEAST * noise).max(least) / count, variance / (count * count))
}

/// The slope of the line through `points`, by least squares; without the share of
/// it that chance makes (James and Stein, 1961).
fn slope(points: &[(f64, f64)]) -> f64 {
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let freedom = points.len() as f64 - 2.0;
    let spread: f64 = x.iter().map(|x| (x - mean_x).powi(2)).sum();
    if freedom < 1.0 || spread <= 0.0 {
        return 0.0;
    }
    let product: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = product / spread;
    let rest = |(x, y): &(f64, f64)| (y - mean_y - slope * (x - mean_x)).powi(2);
    let chance = points.iter().map(rest).sum::<f64>() / freedom / spread;
    slope * share((slope * slope - chance).max(0.0), chance)
}

/// The middle one of `values`, if there is any.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The share of a sum that its first term has, where the terms have these
/// variances.
fn share(first: f64, second: f64) -> f64 {
    if first > 0.0 { first / (first + second) } else { 0.0 }
}

/// How many independent samples `series`, sampled alike, are worth: as many as
/// a first-order autoregression of the same correlation from one sample to the
/// next.
fn independent(series: &[Vec<f64>]) -> f64 {
    let (mut product, mut square) = (0.0, 0.0);
    for values in series {
        let mean = mean(values);
        product += values.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>();
        square += values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    }
    let count = series.first().map_or(0, Vec::len) as f64;
    let correlation = if square > 0.0 { (product / square).clamp(0.0, 1.0) } else { 1.0 };
    (count * (1.0 - correlation) / (1.0 + correlation)).max(1.0)
}

impl Usual {
    /// By the noise and the gain of each frame, in dB; `None` without any.
    fn of(frames: &[(f64, f64)]) -> Option<Self> {
        let noises: Vec<f64> = frames.iter().map(|(noise_db, _)| *noise_db).collect();
        let (noise_db, slope) = (mean(&noises), slope(frames));
        let level = |(noise, gain): &(f64, f64)| gain - slope * (noise - noise_db);
        Some(Self {
            gain_db: median(frames.iter().map(level).collect())?,
            noise_db,
            slope,
            reach_db: [
                noises.iter().copied().fold(f64::INFINITY, f64::min),
                noises.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ],
        })
    }
}

impl Response {
    /// Power gain of most frames with the share of noise `noise_db` (see
    /// [`Layout::noise_db`]), once the response is taken out.
    pub fn usual_gain(&self, noise_db: f64) -> f64 {
        let Usual { gain_db, noise_db: mean_db, slope, reach_db: [least, most] } = self.usual;
        from_db(gain_db + slope * (noise_db.max(least).min(most) - mean_db))
    }

    /// Takes the response out of a spectrum and of the power of the `noise` in
    /// each of its bins.
    pub fn take_out(&self, spectrum: &mut Spectrum, noise: &mut [f64]) {
        for (amplitude, gain) in spectrum.amplitudes.iter_mut().zip(&self.gains) {
            *amplitude /= gain.sqrt() as f32;
        }
        for (noise, gain) in noise.iter_mut().zip(&self.gains) {
            *noise /= gain;
        }
    }
}

/// The value at `x` of the line through `points`, which ascend.
fn between(points: &[(f64, f64)], x: f64) -> f64 {
    hearing::line(points, x, |point| point.0, |point| point.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::spectrum::{Mapping, Preset};

    #[test]
    fn what_neighbours_share_was_sent_and_what_one_has_alone_is_ripple() {
        let layout = Layout::new(&Mapping::preset(Preset::Data, [60.0, 5000.0])).unwrap();
        let alone: Vec<f64> = (0..256).map(|k| if k % 2 == 0 { 2.0 } else { -2.0 }).collect();
        let shared: Vec<f64> = (0..256).map(|k| if k < 128 { 2.0 } else { -2.0 }).collect();
        let [alone, shared] = [alone, shared].map(|shape| {
            let ripple = layout.ripple_of(&shape, Uneven { roughness: 3.0, wander: 0.0 }, 0.3);
            ripple.iter().zip(&shape).map(|(r, s)| r / s).sum::<f64>() / 256.0
        });
        assert!(alone > 0.8 && shared < 0.4, "{alone} {shared}");
        assert!(
            layout
                .ripple_of(&[1.0; 256], Uneven { roughness: 0.0, wander: 0.0 }, 0.3)
                .iter()
                .all(|&db| db == 0.0)
        );
    }

    #[test]
    fn a_tilt_is_taken_out() {
        let layout = Layout::new(&Mapping::preset(Preset::Data, [60.0, 5000.0])).unwrap();
        let code: Vec<f32> = (0..256).map(|k| ((k * 37) % 100) as f32 / 100.0).collect();
        let mut heard = layout.spectrum(&code);
        let sent = heard.clone();
        // 1.5 dB less for every ERB, and 20 dB less in all.
        for (bin, amplitude) in heard.amplitudes.iter_mut().enumerate() {
            let erbs = hearing::erb_rate(bin as f64 * BIN_HZ);
            *amplitude *= from_db(-20.0 - 1.5 * erbs).sqrt() as f32;
        }
        let mut noise = vec![1e-6; Spectrum::BINS];
        let quiet = |spectrum: &Spectrum| Hearing {
            spectrum: spectrum.clone(),
            noise: vec![0.0; Spectrum::BINS],
        };
        let response = layout.response(vec![quiet(&heard), quiet(&heard)]).unwrap();
        response.take_out(&mut heard, &mut noise);
        let pilots: Vec<usize> = layout.pilots().collect();
        for bin in pilots[0]..=pilots[3] {
            let ratio = heard.amplitudes[bin] / sent.amplitudes[bin];
            assert!((ratio - 1.0).abs() < 1e-3, "bin {bin}: {ratio}");
        }
        assert!(noise[100] > 1e-5);
        assert!(layout.response(vec![quiet(&Spectrum::silence())]).is_none());
    }

    #[test]
    fn the_gain_goes_along_with_the_noise_where_it_does_and_not_by_chance() {
        let mut random = Random::new(7);
        let mut frames = |slope: f64| -> Vec<(f64, f64)> {
            let draw = |_| {
                let noise_db = -10.0 + 2.0 * random.normal();
                (noise_db, -2.0 + slope * (noise_db + 10.0) + random.normal())
            };
            (0..150).map(draw).collect()
        };
        let usual = Usual::of(&frames(-0.33)).unwrap();
        assert!((usual.slope + 0.33).abs() < 0.1 && (usual.gain_db + 2.0).abs() < 0.3, "{usual:?}");
        let response = Response { gains: vec![], usual };
        let ratio_db = to_db(response.usual_gain(-12.0)) - to_db(response.usual_gain(-8.0));
        assert!((ratio_db + 4.0 * usual.slope).abs() < 1e-9);
        // Not beyond what was heard.
        assert_eq!(response.usual_gain(60.0), response.usual_gain(usual.reach_db[1]));
        let by_chance: f64 =
            (0..20).map(|_| Usual::of(&frames(0.0)).unwrap().slope.abs()).sum::<f64>() / 20.0;
        assert!(by_chance < 0.03, "{by_chance}");
        assert_eq!(Usual::of(&[(-3.0, 1.0)]).unwrap().slope, 0.0);
        assert!(Usual::of(&[]).is_none());
    }

    /// Frames of `codes` after gains by bin that are normal, of 2.5 dB.
    fn in_a_room(layout: &Layout, codes: &[Vec<f32>]) -> Vec<Hearing> {
        let mut random = Random::new(4);
        let gains: Vec<f64> =
            (0..Spectrum::BINS).map(|_| from_db(2.5 * random.normal()).sqrt()).collect();
        let hear = |code: &Vec<f32>| {
            let mut spectrum = layout.spectrum(code);
            let pairs = spectrum.amplitudes.iter_mut().zip(&gains);
            pairs.for_each(|(amplitude, gain)| *amplitude *= *gain as f32);
            Hearing { spectrum, noise: vec![0.0; Spectrum::BINS] }
        };
        codes.iter().map(hear).collect()
    }

    /// Mean square error of the codes that `heard` tells.
    fn error(layout: &Layout, heard: &[Hearing], codes: &[Vec<f32>]) -> f64 {
        let of_frame = |(frame, code): (&Hearing, &Vec<f32>)| {
            let back = layout.code(&frame.spectrum);
            back.iter().zip(code).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
        };
        heard.iter().zip(codes).map(of_frame).sum::<f64>() / (codes.len() * codes[0].len()) as f64
    }

    /// Frames of `codes` after the power gains `gain` of frequencies.
    fn through(layout: &Layout, codes: &[Vec<f32>], gain: impl Fn(f64) -> f64) -> Vec<Hearing> {
        let hear = |code: &Vec<f32>| {
            let mut spectrum = layout.spectrum(code);
            for (bin, amplitude) in spectrum.amplitudes.iter_mut().enumerate() {
                *amplitude *= gain(bin as f64 * BIN_HZ).sqrt() as f32;
            }
            Hearing { spectrum, noise: vec![0.0; Spectrum::BINS] }
        };
        codes.iter().map(hear).collect()
    }

    #[test]
    fn the_edge_of_a_band_is_taken_out_and_a_tilt_is_no_edge() {
        let layout = Layout::new(&Mapping::preset(Preset::Data, [60.0, 5000.0])).unwrap();
        let mut random = Random::new(3);
        let codes: Vec<Vec<f32>> =
            (0..100).map(|_| (0..256).map(|_| random.uniform() as f32).collect()).collect();
        // A high-pass filter of the second order at 300 Hz.
        let mut heard = through(&layout, &codes, |hz| 1.0 / (1.0 + (300.0 / hz.max(1.0)).powi(4)));
        let before = error(&layout, &heard, &codes);
        let response = layout.response(heard.clone()).unwrap();
        heard.iter_mut().for_each(|frame| response.take_out(&mut frame.spectrum, &mut frame.noise));
        let after = error(&layout, &heard, &codes);
        assert!(after < 0.05 * before, "{after} {before}");
        // 1 dB more for every ERB.
        let tilted = through(&layout, &codes, |hz| from_db(hearing::erb_rate(hz)));
        let (_, wander) = layout.smooth_response(&tilted, 0.0).unwrap();
        assert!(wander < 0.01, "{wander}");
    }

    #[test]
    fn what_is_tied_to_pilots_moves_with_its_neighbours_and_not_beyond_them() {
        let layout = Layout::new(&Mapping::preset(Preset::Data, [60.0, 5000.0])).unwrap();
        let pilots: Vec<f64> =
            layout.pilots().map(|bin| hearing::erb_rate(bin as f64 * BIN_HZ)).collect();
        let (middle, spacing) = ((pilots[1] + pilots[2]) / 2.0, pilots[2] - pilots[1]);
        assert!((tied(&pilots, middle, middle) - spacing / 4.0).abs() < 1e-9);
        assert!(tied(&pilots, middle, middle + 1.0) > 0.0);
        assert_eq!(tied(&pilots, pilots[1], pilots[1]), 0.0);
        assert_eq!(tied(&pilots, middle, pilots[2] + 1.0), 0.0);
        assert!((tied(&pilots, pilots[3] + 1.0, pilots[3] + 2.0) - 1.0).abs() < 1e-9);
        assert!((tied(&pilots, pilots[0] - 1.0, pilots[0] - 2.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn echoes_are_taken_out_where_pictures_change_and_left_where_none_does() {
        let layout = Layout::new(&Mapping::preset(Preset::Data, [60.0, 5000.0])).unwrap();
        let mut random = Random::new(9);
        // As pictures make them, whose values go along with their neighbours.
        let rows = haar::weighted(256);
        let mut code = || -> Vec<f32> {
            let components = ndarray::Array1::from_shape_simple_fn(256, || random.normal() as f32);
            rows.t().dot(&components).mapv(|logit| haar::squash(logit.into()) as f32).to_vec()
        };
        let changing: Vec<Vec<f32>> = (0..100).map(|_| code()).collect();
        let still = vec![code(); 100];
        let errors = [&changing, &still].map(|codes| {
            let mut heard = in_a_room(&layout, codes);
            let before = error(&layout, &heard, codes);
            let response = layout.response(heard.clone()).unwrap();
            heard.iter_mut().for_each(|f| response.take_out(&mut f.spectrum, &mut f.noise));
            error(&layout, &heard, codes) / before
        });
        assert!(errors[0] < 0.3 && errors[1] < 1.05, "{errors:?}");
    }

    #[test]
    fn lines_end_at_their_last_points() {
        let points = [(1.0, 10.0), (3.0, 20.0)];
        let at = |x: f64| between(&points, x);
        assert_eq!([at(0.0), at(1.0), at(2.5), at(3.0), at(9.0)], [10.0, 10.0, 17.5, 20.0, 20.0]);
        assert_eq!(between(&[], 1.0), 0.0);
    }
}
