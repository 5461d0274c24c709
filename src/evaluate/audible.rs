//! Whether pictures that differ sound different.
//!
//! A model of hearing, not hearing: the levels in auditory filters, one ERB
//! apart, told apart to a decibel. Nobody was asked.

use ndarray::Array3;

use super::figures::correlation;
use crate::random::Random;
use crate::spectrum::{BIN_HZ, Spectrum, hearing};
use crate::synth::SAMPLE_RATE;

/// At most so many pairs of pictures are compared.
const PAIRS: usize = 4000;

/// Deviation in dB of what the ear takes a level in one filter to be: about
/// the smallest step that trained listeners hear.
const ERROR_DB: f64 = 1.0;

/// Levels below this are as good as silent, in dB; 0 is a full-scale sine.
const SILENT_DB: f64 = -90.0;

/// The level in each auditory filter in dB, low frequencies first: power
/// summed over steps of one ERB.
pub fn levels_db(spectrum: &Spectrum) -> Vec<f64> {
    let tone =
        |(bin, &amplitude): (usize, &f32)| (bin as f64 * BIN_HZ, f64::from(amplitude).powi(2));
    levels_of_tones_db(spectrum.amplitudes.iter().enumerate().map(tone))
}

/// The same for tones, each of a frequency in hertz and a power: 1 is that of a
/// full-scale sine.
pub fn levels_of_tones_db(tones: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
    let filter = |hz: f64| hearing::erb_rate(hz) as usize;
    let mut powers = vec![0.0f64; filter(SAMPLE_RATE as f64 / 2.0) + 1];
    for (hz, power) in tones {
        if let Some(sum) = powers.get_mut(filter(hz)) {
            *sum += power;
        }
    }
    powers.into_iter().map(|power| (10.0 * power.log10()).max(SILENT_DB)).collect()
}

/// Pairs of frames: how different they look (RMS difference of the normalised
/// pictures) and how different they sound (RMS difference of the levels).
#[derive(Clone, Debug)]
pub struct Pairs {
    frames: Vec<[usize; 2]>,
    seen: Vec<f64>,
    heard: Vec<f64>,
}

impl Pairs {
    /// At most 4000 random pairs of `pictures`, which sound as
    /// `levels_db`, `[frame][level]`; the same pairs for as many pictures.
    pub fn new(pictures: &[Array3<f32>], levels_db: &[Vec<f64>]) -> Self {
        let mut random = Random::named(0, "pairs");
        let count = pictures.len().min(levels_db.len());
        let mut pairs = Self { frames: vec![], seen: vec![], heard: vec![] };
        for _ in 0..if count < 2 { 0 } else { PAIRS } {
            let (a, b) = (random.below(count), random.below(count));
            if a != b {
                let pixels = pictures[a].iter().zip(&pictures[b]);
                let apart = rms(pixels.map(|(a, b)| f64::from(a - b)).filter(|v| v.is_finite()));
                pairs.frames.push([a, b]);
                pairs.seen.push(apart);
                pairs.heard.push(apart_db(&levels_db[a], &levels_db[b]));
            }
        }
        pairs
    }

    /// Spearman's correlation of looking and sounding different, where frame
    /// `f` counts `weight(f)` times: a pair as often as both together.
    pub fn correlation(&self, weight: impl Fn(usize) -> usize) -> f64 {
        let copies = |values: &[f64]| -> Vec<f64> {
            let each = self.frames.iter().zip(values);
            each.flat_map(|(&[a, b], &v)| std::iter::repeat_n(v, weight(a) * weight(b))).collect()
        };
        correlation(&ranks(&copies(&self.seen)), &ranks(&copies(&self.heard)))
    }
}

/// The share of frames that are recognised by their sound among all frames:
/// their own sound is nearer than any other to what the ear takes it to be, or
/// than all but four.
pub fn retrieval(levels_db: &[Vec<f64>]) -> [f64; 2] {
    let each = recognised(levels_db, 1);
    let mean = |k: usize| each.iter().map(|own| own[k]).sum::<f64>() / each.len().max(1) as f64;
    [mean(0), mean(1)]
}

/// The same of each frame, out of `trials` that the ear hears it.
pub fn recognised(levels_db: &[Vec<f64>], trials: usize) -> Vec<[f64; 2]> {
    let mut random = Random::named(0, "ear");
    let mut trial = |own: &Vec<f64>| {
        let heard: Vec<f64> = own.iter().map(|db| db + ERROR_DB * random.normal()).collect();
        let distance = apart_db(&heard, own);
        // Its own sound is among these.
        levels_db.iter().filter(|other| apart_db(&heard, other) <= distance).count()
    };
    let each = |own| {
        let near: Vec<usize> = (0..trials).map(|_| trial(own)).collect();
        [1, 5].map(|k| near.iter().filter(|&&near| near <= k).count() as f64 / trials as f64)
    };
    levels_db.iter().map(each).collect()
}

/// RMS difference of two sounds in dB.
fn apart_db(a: &[f64], b: &[f64]) -> f64 {
    rms(a.iter().zip(b).map(|(a, b)| a - b))
}

fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), v| (sum + v * v, count + 1));
    (sum / count.max(1) as f64).sqrt()
}

/// The rank of each value; equal values share their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        // The ranks before this run are those of all smaller values.
        let first = order.partition_point(|&index| values[index] < values[equal[0]]);
        let shared = first as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|&index| ranks[index] = shared);
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
    }

    #[test]
    fn ranks_with_ties_correlate_as_scipy_has_them() {
        let a: Vec<f64> = (0..40).map(|i| f64::from(i * i * 7 % 13)).collect();
        let b: Vec<f64> = (0..40)
            .map(|i| f64::from((i * 5 + 3) % 11) + f64::from(i * i * 7 % 13) / 4.0)
            .collect();
        // scipy.stats.spearmanr
        assert!((correlation(&ranks(&a), &ranks(&b)) - 0.602_550_544_118_578_3).abs() < 1e-12);
    }

    #[test]
    fn filters_are_one_erb_apart_and_add_power() {
        let mut spectrum = Spectrum::silence();
        // 1000 Hz lies in filter 15, as 21.4 log10(1 + 0.00437 * 1000) = 15.6.
        spectrum.amplitudes[80] = 0.1;
        spectrum.amplitudes[81] = 0.1;
        let levels = levels_db(&spectrum);
        let expected = 10.0 * (2.0f64 * 0.01).log10();
        assert!((levels[15] - expected).abs() < 1e-3, "{}", levels[15]);
        assert!(levels.iter().enumerate().all(|(filter, &db)| filter == 15 || db == SILENT_DB));
    }

    #[test]
    fn sounds_that_follow_pictures_correlate_and_are_found_again() {
        let mut random = Random::new(8);
        let pictures: Vec<Array3<f32>> = (0..60)
            .map(|_| Array3::from_shape_simple_fn((1, 4, 4), || random.uniform() as f32))
            .collect();
        let sounds: Vec<Vec<f64>> = pictures
            .iter()
            .map(|picture| picture.iter().map(|&v| 30.0 * f64::from(v)).collect())
            .collect();
        let r = |sounds: &[Vec<f64>]| Pairs::new(&pictures, sounds).correlation(|_| 1);
        assert!(r(&sounds) > 0.999);
        assert!(retrieval(&sounds)[0] > 0.95);
        assert_eq!(retrieval(&vec![vec![0.0; 16]; 60]), [0.0, 0.0], "all are alike");
        let shuffled: Vec<Vec<f64>> = sounds.iter().rev().cloned().collect();
        assert!(r(&shuffled).abs() < 0.3);
        assert_eq!(Pairs::new(&pictures[..1], &sounds[..1]).correlation(|_| 1), 0.0);
    }
}
