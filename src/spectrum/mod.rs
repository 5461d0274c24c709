//! Code to levels at frequencies, and back; hearing.
//!
//! # Axis
//!
//! The sound of a frame repeats after 80 ms, so its frequencies are bins
//! 12.5 Hz apart. A code value owns one or more neighbouring bins, as wide on
//! the ear's axis as every other value wherever the bins are fine enough for
//! that. Four bins are pilots of constant level: without them a receiver
//! could not tell an unknown gain from brightness. Their places depend on the
//! axis alone, not on the number of values.
//!
//! # Levels
//!
//! The level of a value is the total power of its bins in dB; 0 dB is a
//! full-scale sine. Under the decibel law value c_k, of K, has the level
//!
//! ```text
//! R (c_k - 1/2) + EL(f_k) + anchor(c)
//! ```
//!
//! with the range R, the equal-loudness correction EL, and an anchor that is
//! common to all values of the frame.
//!
//! # The loudness anchor
//!
//! Loudness should tell how bright the frame is, and the mean of the code
//! does. But under a decibel law the few loudest values hold nearly all of
//! the power, so that on real frames loudness follows the mean code only at a
//! correlation of 0.64 (40 dB) to 0.83 (16 dB). The anchor mends that by
//! construction. It is the one offset at which the K-weighted loudness of all
//! values together (ITU-R BS.1770, without the pilots) is
//!
//! ```text
//! L(c) = -23 LUFS + 24 LU (mean(c) - 1/2)
//! ```
//!
//! An offset scales every power alike, so the anchor has a closed form. It
//! loses nothing: a receiver reads mean(c) from the loudness, and each
//! c_k - mean(c) from the difference of its level to the mean level. A code
//! that is uniform in 0..1 plays at -23 LUFS, the level that broadcasters
//! agreed on (EBU R 128), and no code is louder than -11 LUFS.

mod axis;
pub mod hearing;
pub mod noisy;
pub mod response;

pub use axis::MOST_GAIN_DB;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::original;
use crate::synth::{CYCLE, SAMPLE_RATE};

/// The distance of two bins in hertz.
pub const BIN_HZ: f64 = SAMPLE_RATE as f64 / CYCLE as f64;
/// How many bins are pilots.
pub const PILOTS: usize = 4;
/// Loudness in LUFS of the values of a code whose mean is 1/2.
pub const MEAN_LUFS: f64 = -23.0;
/// Loudness of the code of ones above that of the code of zeros, in LU.
pub const SPAN_LU: f64 = 24.0;
/// Loudness of all pilots together in LUFS: 15 LU below [`MEAN_LUFS`], to which
/// they add 0.14 LU. Each is as loud as two of the 256 values that the preset
/// `data` has, or half of one of the 64 of `listen`.
pub const PILOT_LUFS: f64 = MEAN_LUFS - 15.0;

/// Level of value 1 above that of value 0 in the preset `listen`, in dB: two
/// values that differ by a twentieth are 1.2 dB apart, as much as the ear
/// just hears.
const LISTEN_RANGE_DB: f64 = 24.0;

/// The same in the preset `data`. A wider range sinks the low values in noise:
/// from 24 to 18 dB unseen thermal pictures gain 0.06 dB behind noise 20 dB
/// down and 0.24 dB in a room.
const DATA_RANGE_DB: f64 = 18.0;

/// The level in dB that stands for silence.
const SILENCE_DB: f64 = -200.0;

/// How values are spaced in frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Equal steps on the ERB-rate scale, as the ear resolves them.
    Erb,
    /// Equal steps in hertz.
    Linear,
}

/// How a value becomes a level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// Level in dB proportional to the value, anchored in loudness.
    Decibel {
        /// Level of value 1 above that of value 0, in dB.
        range_db: f64,
    },
    /// Amplitude proportional to the value, under a constant gain at which
    /// uniform values play at [`MEAN_LUFS`].
    Linear,
}

/// Everything that turns a code into a spectrum. It travels with the sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Number of values in a code.
    pub values: usize,
    /// How they are spaced.
    pub axis: Axis,
    /// No bin lies below this frequency in hertz.
    pub low_hz: f64,
    /// No bin lies above this frequency in hertz.
    pub high_hz: f64,
    /// How a value becomes a level.
    pub law: Law,
    /// Whether equal values are equally loud to the ear (ISO 226:2023).
    pub equal_loudness: bool,
    /// What one listener's ears need on top of that: frequencies in hertz,
    /// ascending, and gains in dB; see [`crate::ears`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gains_db: Vec<[f64; 2]>,
}

/// The mappings that most people need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// What people hear apart: 64 values.
    Listen,
    /// What a receiver reads back: 256 values, all at the same level to it.
    /// Levels that are equal to the ear are not: unseen thermal pictures lose
    /// 0.36 dB with them behind noise 20 dB down. Of 128 values 1.3 dB less is
    /// left there, and 1.8 dB less in a file.
    Data,
    /// What [`crate::original`] is played of for comparison: its number of values,
    /// otherwise as in `Data`.
    Original,
}

impl Mapping {
    /// The mapping of `preset` between the lowest and the highest of
    /// `frequencies_hz`.
    pub fn preset(preset: Preset, frequencies_hz: [f64; 2]) -> Self {
        let [low_hz, high_hz] = frequencies_hz;
        let (values, range_db, equal_loudness) = match preset {
            Preset::Listen => (64, LISTEN_RANGE_DB, true),
            Preset::Data => (256, DATA_RANGE_DB, false),
            Preset::Original => (original::VALUES, DATA_RANGE_DB, false),
        };
        let law = Law::Decibel { range_db };
        let gains_db = Vec::new();
        Self { values, axis: Axis::Erb, low_hz, high_hz, law, equal_loudness, gains_db }
    }
}

/// What one cycle of sound consists of: an amplitude at every bin.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// `amplitudes[k]` at `k * BIN_HZ`, linear, full scale 1.0; from 0 Hz to
    /// the Nyquist frequency, `CYCLE / 2 + 1` of them.
    pub amplitudes: Vec<f32>,
}

impl Spectrum {
    /// Number of bins of a spectrum.
    pub const BINS: usize = CYCLE / 2 + 1;

    /// No sound.
    pub fn silence() -> Self {
        Self { amplitudes: vec![0.0; Self::BINS] }
    }

    /// Total power of `bins`; 1.0 is a full-scale sine. A bin that is missing
    /// or not finite, as damaged sound may have, is silent.
    fn power(&self, bins: &[usize]) -> f64 {
        let amplitudes = bins.iter().filter_map(|&bin| self.amplitudes.get(bin));
        amplitudes.filter(|a| a.is_finite()).map(|&a| f64::from(a).powi(2)).sum()
    }
}

/// A mapping, planned: which bins carry which value, how loud each bin is to
/// the ear, and where the pilots lie.
#[derive(Clone, Debug)]
pub struct Layout {
    mapping: Mapping,
    values: Vec<Cell>,
    pilots: Vec<Cell>,
    frequencies_hz: Vec<f64>,
}

/// The bins of one value, or of one pilot.
#[derive(Clone, Debug)]
struct Cell {
    /// In ascending order; neighbours, but for a pilot between them.
    bins: Vec<usize>,
    /// Equal-loudness correction in dB, and the gain of the listener's ears.
    correction_db: f64,
    /// K-weighted mean square of the cell at 0 dB.
    weight: f64,
}

impl Cell {
    fn new(bins: &[usize], mapping: &Mapping) -> Self {
        let centre_hz = centre_hz(bins);
        let equal_db =
            if mapping.equal_loudness { hearing::equal_loudness_db(centre_hz) } else { 0.0 };
        let correction_db = equal_db + hearing::gain_db(&mapping.gains_db, centre_hz);
        let gains = bins.iter().map(|&bin| hearing::k_weighting(hz(bin)));
        // The mean square of a sine is half of its squared amplitude.
        let weight = gains.sum::<f64>() / bins.len() as f64 / 2.0;
        Self { bins: bins.to_vec(), correction_db, weight }
    }

    /// Gives each bin its share of `level_db`.
    fn write(&self, level_db: f64, spectrum: &mut Spectrum) {
        let amplitude = (from_db(level_db) / self.bins.len() as f64).sqrt() as f32;
        for &bin in &self.bins {
            spectrum.amplitudes[bin] = amplitude;
        }
    }
}

/// The K-weighted mean square of `cells` at levels of `levels_db`.
fn weighted_power(cells: &[Cell], levels_db: &[f64]) -> f64 {
    cells.iter().zip(levels_db).map(|(cell, &db)| cell.weight * from_db(db)).sum()
}

impl Layout {
    /// Plans `mapping`.
    ///
    /// # Errors
    ///
    /// If it has no values, more values than the axis has bins, an empty axis,
    /// one beyond the Nyquist frequency, a range that is not positive, or gains
    /// that are no gains for ears.
    pub fn new(mapping: &Mapping) -> Result<Self> {
        let axis::Plan { values, pilots } = axis::plan(mapping)?;
        let cell = |bins: &Vec<usize>| Cell::new(bins, mapping);
        Ok(Self {
            mapping: mapping.clone(),
            values: values.iter().map(cell).collect(),
            pilots: pilots.iter().map(|&bin| cell(&vec![bin])).collect(),
            frequencies_hz: values.iter().map(|bins| centre_hz(bins)).collect(),
        })
    }

    /// The mapping planned here.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Centre of each value in hertz, ascending.
    pub fn frequencies_hz(&self) -> &[f64] {
        &self.frequencies_hz
    }

    /// The bins of each value, ascending: neighbours, but for a pilot that
    /// may lie between them.
    pub fn bins(&self) -> impl Iterator<Item = &[usize]> {
        self.values.iter().map(|cell| cell.bins.as_slice())
    }

    /// The bins of the pilots, ascending.
    pub fn pilots(&self) -> impl Iterator<Item = usize> {
        self.pilots.iter().flat_map(|cell| cell.bins.iter().copied())
    }

    /// Of each value: the power that its correction in dB is, and the K-weighted
    /// mean square that it has at 0 dB.
    pub(crate) fn gains(&self) -> impl Iterator<Item = [f64; 2]> {
        self.values.iter().map(|cell| [from_db(cell.correction_db), cell.weight])
    }

    /// Power of all pilots together.
    pub(crate) fn pilot_power(&self) -> f64 {
        self.pilot_levels_db().into_iter().map(from_db).sum()
    }

    /// What `code` sounds like.
    ///
    /// `code` holds [`Mapping::values`] values in 0..1. Values beyond are
    /// taken as the nearest end and NaN as 1/2, so that no code can be louder
    /// than the loudest; values that are missing are silent.
    pub fn spectrum(&self, code: &[f32]) -> Spectrum {
        let code: Vec<f64> = code.iter().take(self.values.len()).map(|&c| sane(c)).collect();
        let levels_db = match self.mapping.law {
            Law::Decibel { range_db } => self.anchored_levels_db(&code, range_db),
            Law::Linear => self.linear_levels_db(&code),
        };
        let mut spectrum = Spectrum::silence();
        for (cell, level_db) in self.values.iter().zip(levels_db) {
            cell.write(level_db, &mut spectrum);
        }
        for (cell, level_db) in self.pilots.iter().zip(self.pilot_levels_db()) {
            cell.write(level_db, &mut spectrum);
        }
        spectrum
    }

    /// The code that sounds like `spectrum`: the inverse of
    /// [`Layout::spectrum`], values in 0..1. For sound without noise; see
    /// [`noisy`] for the other kind.
    ///
    /// A gain common to all bins is taken out by the pilots; where they are
    /// silent the levels are taken as they are.
    pub fn code(&self, spectrum: &Spectrum) -> Vec<f32> {
        let gain_db = self.gain_db(spectrum, &[]);
        let received_db: Vec<f64> =
            self.values.iter().map(|cell| to_db(spectrum.power(&cell.bins)) - gain_db).collect();
        let code = match self.mapping.law {
            Law::Decibel { range_db } => self.code_of_anchored(&received_db, range_db),
            Law::Linear => self.code_of_linear(&received_db),
        };
        code.into_iter().map(|c| c.clamp(0.0, 1.0) as f32).collect()
    }

    /// Power level of each value in dB, the total of its bins: 0 dB is a
    /// full-scale sine, -200 dB is silence.
    pub fn levels_db(&self, spectrum: &Spectrum) -> Vec<f32> {
        self.values.iter().map(|cell| to_db(spectrum.power(&cell.bins)) as f32).collect()
    }

    /// Loudness in LUFS of the steady sound of `spectrum`, pilots included:
    /// what a mono meter of ITU-R BS.1770 shows once it has settled.
    pub fn loudness_lufs(&self, spectrum: &Spectrum) -> f64 {
        let power = |(bin, &amplitude): (usize, &f32)| {
            f64::from(amplitude).powi(2) / 2.0 * hearing::k_weighting(hz(bin))
        };
        let sounding = spectrum.amplitudes.iter().enumerate().filter(|(_, a)| a.is_normal());
        hearing::lufs(sounding.map(power).sum::<f64>().max(from_db(SILENCE_DB)))
    }

    /// Levels of `code` under the decibel law; see the module's text.
    fn anchored_levels_db(&self, code: &[f64], range_db: f64) -> Vec<f64> {
        let level_db = |(&c, cell): (&f64, &Cell)| range_db * (c - 0.5) + cell.correction_db;
        let free_db: Vec<f64> = code.iter().zip(&self.values).map(level_db).collect();
        let loudness_lufs = MEAN_LUFS + SPAN_LU * (mean(code) - 0.5);
        let anchor_db = loudness_lufs - hearing::lufs(weighted_power(&self.values, &free_db));
        free_db.into_iter().map(|db| db + anchor_db).collect()
    }

    /// The inverse of [`Self::anchored_levels_db`]: the mean of the code from
    /// the loudness, its shape from the differences of the levels.
    fn code_of_anchored(&self, levels_db: &[f64], range_db: f64) -> Vec<f64> {
        let loudness_lufs = hearing::lufs(weighted_power(&self.values, levels_db));
        let mean_code = 0.5 + (loudness_lufs - MEAN_LUFS) / SPAN_LU;
        let free_db: Vec<f64> =
            levels_db.iter().zip(&self.values).map(|(db, cell)| db - cell.correction_db).collect();
        let mean_db = mean(&free_db);
        free_db.into_iter().map(|db| mean_code + (db - mean_db) / range_db).collect()
    }

    /// Levels of `code` under the linear law.
    fn linear_levels_db(&self, code: &[f64]) -> Vec<f64> {
        let full_db = self.linear_full_db();
        let level_db = |(&c, cell): (&f64, &Cell)| full_db + to_db(c * c) + cell.correction_db;
        code.iter().zip(&self.values).map(level_db).collect()
    }

    /// The inverse of [`Self::linear_levels_db`].
    fn code_of_linear(&self, levels_db: &[f64]) -> Vec<f64> {
        let full_db = self.linear_full_db();
        let code = |(db, cell): (&f64, &Cell)| from_db(db - full_db - cell.correction_db).sqrt();
        levels_db.iter().zip(&self.values).map(code).collect()
    }

    /// Level of value 1 under the linear law, before its correction, in dB.
    fn linear_full_db(&self) -> f64 {
        // The mean square of values that are uniform in 0..1.
        let uniform_db = to_db(1.0 / 3.0);
        let levels_db: Vec<f64> =
            self.values.iter().map(|cell| uniform_db + cell.correction_db).collect();
        MEAN_LUFS - hearing::lufs(weighted_power(&self.values, &levels_db))
    }

    /// Levels of the pilots in dB: equally loud, [`PILOT_LUFS`] together.
    fn pilot_levels_db(&self) -> Vec<f64> {
        let free_db: Vec<f64> = self.pilots.iter().map(|cell| cell.correction_db).collect();
        let offset_db = PILOT_LUFS - hearing::lufs(weighted_power(&self.pilots, &free_db));
        free_db.into_iter().map(|db| db + offset_db).collect()
    }

    /// The gain in dB that `spectrum` went through, by the power of all its
    /// pilots together, less that of the `noise` in each bin as far as it is
    /// [added](noisy::ADDED); 0 where they are silent.
    fn gain_db(&self, spectrum: &Spectrum, noise: &[f64]) -> f64 {
        let power = |cell: &Cell| {
            let noise: f64 = cell.bins.iter().filter_map(|&bin| noise.get(bin)).sum();
            spectrum.power(&cell.bins) - noisy::ADDED * noise
        };
        let received: f64 = self.pilots.iter().map(power).sum();
        if received > 0.0 { to_db(received) - to_db(self.pilot_power()) } else { 0.0 }
    }
}

/// The frequency of a bin.
fn hz(bin: usize) -> f64 {
    bin as f64 * BIN_HZ
}

/// The middle of the lowest and the highest of `bins`.
fn centre_hz(bins: &[usize]) -> f64 {
    match (bins.first(), bins.last()) {
        (Some(&low), Some(&high)) => (hz(low) + hz(high)) / 2.0,
        _ => 0.0,
    }
}

fn sane(value: f32) -> f64 {
    if value.is_nan() { 0.5 } else { f64::from(value.clamp(0.0, 1.0)) }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn to_db(power: f64) -> f64 {
    10.0 * power.max(from_db(SILENCE_DB)).log10()
}

fn from_db(db: f64) -> f64 {
    10_f64.powf(db / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn mappings() -> Vec<Mapping> {
        let mut mappings = Vec::new();
        for preset in [Preset::Listen, Preset::Data] {
            for values in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
                let mapping = Mapping { values, ..Mapping::preset(preset, [60.0, 5000.0]) };
                let linear = Mapping { law: Law::Linear, axis: Axis::Linear, ..mapping.clone() };
                let flat = Mapping { equal_loudness: false, ..mapping.clone() };
                let gains_db = vec![[100.0, 3.0], [900.0, 0.0], [4000.0, 12.0]];
                let fitted = Mapping { gains_db, ..mapping.clone() };
                mappings.extend([mapping, linear, flat, fitted]);
            }
        }
        mappings
    }

    fn random_code(random: &mut Random, values: usize) -> Vec<f32> {
        (0..values).map(|_| random.uniform() as f32).collect()
    }

    /// Largest difference of two codes.
    fn error(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    /// K-weighted loudness of the values, summed bin by bin.
    fn loudness_without_pilots(layout: &Layout, spectrum: &Spectrum) -> f64 {
        let mut silent = spectrum.clone();
        layout.pilots().for_each(|bin| silent.amplitudes[bin] = 0.0);
        layout.loudness_lufs(&silent)
    }

    #[test]
    fn a_code_comes_back_from_its_own_spectrum() {
        let mut random = Random::new(2);
        for mapping in mappings() {
            let layout = Layout::new(&mapping).unwrap();
            for _ in 0..20 {
                let code = random_code(&mut random, mapping.values);
                let heard = layout.code(&layout.spectrum(&code));
                assert!(error(&code, &heard) < 2e-6, "{mapping:?}: {}", error(&code, &heard));
            }
            for end in [0.0, 1.0] {
                let code = vec![end; mapping.values];
                assert!(error(&code, &layout.code(&layout.spectrum(&code))) < 2e-6);
            }
        }
    }

    #[test]
    fn a_gain_changes_nothing() {
        let mut random = Random::new(3);
        for mapping in mappings() {
            let layout = Layout::new(&mapping).unwrap();
            let code = random_code(&mut random, mapping.values);
            let mut spectrum = layout.spectrum(&code);
            spectrum.amplitudes.iter_mut().for_each(|a| *a *= 0.03);
            assert!(error(&code, &layout.code(&spectrum)) < 4e-6);
        }
    }

    #[test]
    fn loudness_follows_the_mean_of_the_code_exactly() {
        let mut random = Random::new(4);
        for mapping in mappings() {
            let layout = Layout::new(&mapping).unwrap();
            let power = random.between(0.1, 6.0) as f32;
            let code: Vec<f32> =
                random_code(&mut random, mapping.values).iter().map(|c| c.powf(power)).collect();
            let mean = code.iter().map(|&c| f64::from(c)).sum::<f64>() / code.len() as f64;
            let lufs = loudness_without_pilots(&layout, &layout.spectrum(&code));
            if let Law::Decibel { .. } = mapping.law {
                assert!((lufs - (-23.0 + 24.0 * (mean - 0.5))).abs() < 1e-5, "{mapping:?}: {lufs}");
            }
            assert!(lufs <= -11.0);
        }
    }

    #[test]
    fn uniform_values_play_at_minus_23_lufs_under_the_linear_law() {
        let mapping = Mapping { law: Law::Linear, ..Mapping::preset(Preset::Data, [60.0, 5000.0]) };
        let layout = Layout::new(&mapping).unwrap();
        let mut random = Random::new(5);
        let power: f64 = (0..500)
            .map(|_| layout.spectrum(&random_code(&mut random, 256)))
            .map(|spectrum| hearing::power_of_lufs(loudness_without_pilots(&layout, &spectrum)))
            .sum();
        assert!((hearing::lufs(power / 500.0) - -23.0).abs() < 0.1);
    }

    #[test]
    fn a_level_is_the_total_power_of_its_bins_and_equally_loud() {
        let mapping = Mapping::preset(Preset::Listen, [60.0, 5000.0]);
        let layout = Layout::new(&mapping).unwrap();
        let levels_db = layout.levels_db(&layout.spectrum(&[0.5; 64]));
        for (level_db, &hz) in levels_db.iter().zip(layout.frequencies_hz()) {
            let loud_db = f64::from(*level_db) - hearing::equal_loudness_db(hz);
            let first_db =
                f64::from(levels_db[0]) - hearing::equal_loudness_db(layout.frequencies_hz()[0]);
            assert!((loud_db - first_db).abs() < 1e-4, "{hz} Hz");
        }
        assert_eq!(layout.levels_db(&Spectrum::silence()), vec![-200.0; 64]);
    }

    #[test]
    fn the_range_is_the_step_from_value_0_to_value_1() {
        let layout = Layout::new(&Mapping {
            equal_loudness: false,
            ..Mapping::preset(Preset::Listen, [60.0, 5000.0])
        })
        .unwrap();
        let code: Vec<f32> = (0..64).map(|k| (k % 2) as f32).collect();
        let levels_db = layout.levels_db(&layout.spectrum(&code));
        assert!(levels_db.chunks(2).all(|pair| (pair[1] - pair[0] - 24.0).abs() < 1e-4));
    }

    #[test]
    fn pilots_are_the_same_for_every_code() {
        let layout = Layout::new(&Mapping::preset(Preset::Listen, [60.0, 5000.0])).unwrap();
        let pilots = |code: &[f32]| -> Vec<f32> {
            let spectrum = layout.spectrum(code);
            layout.pilots().map(|bin| spectrum.amplitudes[bin]).collect()
        };
        assert_eq!(pilots(&[0.0; 64]), pilots(&[0.9; 64]));
        assert!(pilots(&[0.0; 64]).iter().all(|&amplitude| amplitude > 1e-3));
    }

    #[test]
    fn no_code_makes_a_spectrum_that_is_not_finite_or_too_loud() {
        let layout = Layout::new(&Mapping::preset(Preset::Data, [60.0, 5000.0])).unwrap();
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -7.0, 9.0, 0.5];
        for code in [vec![], odd.to_vec(), vec![f32::NAN; 256], odd.repeat(200), vec![9.0; 256]] {
            let spectrum = layout.spectrum(&code);
            assert!(spectrum.amplitudes.iter().all(|a| a.is_finite()));
            assert!(loudness_without_pilots(&layout, &spectrum) < -10.999);
        }
        let garbage = [f32::NAN, 3.0, f32::INFINITY, f32::MAX].map(|a| vec![a; Spectrum::BINS]);
        for amplitudes in garbage.into_iter().chain([vec![], vec![0.0; 9]]) {
            let spectrum = Spectrum { amplitudes };
            let code = layout.code(&spectrum);
            assert!(code.len() == 256 && code.iter().all(|c| (0.0..=1.0).contains(c)));
        }
    }

    #[test]
    fn a_mapping_survives_its_text_form() {
        for mapping in mappings() {
            let text = serde_json::to_string(&mapping).unwrap();
            assert_eq!(serde_json::from_str::<Mapping>(&text).unwrap(), mapping);
        }
        let text = serde_json::to_string(&Mapping::preset(Preset::Listen, [60.0, 5000.0])).unwrap();
        assert!(
            text.contains(r#""axis":"erb""#) && text.contains(r#"{"decibel":{"range_db":24.0}}"#)
        );
    }
}
