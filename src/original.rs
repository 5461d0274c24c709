//! The original's sound, for comparison.
//!
//! WYSIWYH by Maximilian Bachl (<https://github.com/muxamilian/wysiwyh>,
//! commit 161e593) plays a code like this, and so does this module, its faults
//! included:
//!
//! - 1000 samples at 10 kHz for every picture, so 100 ms, and bins 10 Hz apart
//!   from 0 to 5000 Hz. The values are stretched over bins 1 to 500 by a rule
//!   that hands on one bin late, so that of 128 values the first owns five
//!   bins, the last two, and all others three to five.
//! - A bin's magnitude is its value. An inverse transform of 1000 samples
//!   makes a sine of amplitude 2 c / 1000 of it; at the Nyquist frequency,
//!   bin 500, it keeps the real part alone, c cos(phase) / 1000.
//! - Phases are drawn anew for every bin of every picture.
//! - Pictures follow each other without a join, and without lead-in or -out.
//!
//! Two things differ. The sines are evaluated at 48 kHz, which is the exact
//! trigonometric interpolation of each picture's 1000 samples; joins stay hard.
//! And the level is matched for a fair comparison: one constant gain, at which
//! a code that is uniform in 0..1 plays at [`MEAN_LUFS`], as ours does. Pictures
//! are not uniform, and ours adds pilots and tells bright from dark by more: of
//! the 720 pictures of HIT-UAV this sound is 0.7 LU softer than ours, and of
//! twelve simulated sessions of 30 s by 0.3 LU on average, of each from 0.9 LU
//! louder to 1.2 LU softer.

use std::f64::consts::TAU;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use realfft::num_complex::{Complex32, Complex64};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::error::{Error, Result};
use crate::random::Random;
use crate::sink::Header;
use crate::spectrum::{Axis, Law, MEAN_LUFS, Mapping, hearing};
use crate::synth::SLOT;

/// Values in a code of the original.
pub const VALUES: usize = 128;

/// The highest bin, at 5000 Hz: the original's Nyquist frequency.
const HIGHEST: usize = 500;

/// The distance of two bins in hertz.
const BIN_HZ: f64 = 10.0;

/// Samples of a picture at the original's rate.
const SAMPLES: usize = 1000;

/// A slot in which no bin is louder than this, before the gain, is silent.
const SILENT: f32 = 1e-6;

/// Turns codes into the original's sound, and that sound back into codes.
pub struct Original {
    owned: Vec<Range<usize>>,
    gain: f64,
    random: Random,
    inverse: Arc<dyn ComplexToReal<f32>>,
    forward: Arc<dyn RealToComplex<f32>>,
    bins: Vec<Complex32>,
    slot: Vec<f32>,
}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Original").field("gain", &self.gain).finish_non_exhaustive()
    }
}

impl Original {
    /// The sound of codes of `values` values, at most [`VALUES`]; phases are
    /// drawn with `seed`.
    pub fn new(values: usize, seed: u64) -> Self {
        let mut planner = RealFftPlanner::new();
        let (inverse, forward) = (planner.plan_fft_inverse(SLOT), planner.plan_fft_forward(SLOT));
        Self {
            owned: owned(values.min(VALUES)),
            gain: gain(),
            random: Random::named(seed, "original"),
            bins: inverse.make_input_vec(),
            slot: inverse.make_output_vec(),
            inverse,
            forward,
        }
    }

    /// Likewise, of the codes that otherwise were heard by `mapping`.
    ///
    /// # Errors
    ///
    /// If they have more than [`VALUES`] values.
    pub fn of(mapping: &Mapping, seed: u64) -> Result<Self> {
        let Mapping { values, .. } = *mapping;
        if values > VALUES {
            let what = format!("{values} values, the original's sound has {VALUES}");
            return Err(Error::usage("--original", what).hint("ask for fewer: --values 128"));
        }
        Ok(Self::new(values, seed))
    }

    /// What this sound comes nearest to among our mappings, for the header of
    /// its file: `values` values side by side in hertz, amplitude proportional
    /// to the value.
    pub fn mapping(values: usize) -> Mapping {
        Mapping {
            values,
            axis: Axis::Linear,
            low_hz: BIN_HZ,
            high_hz: HIGHEST as f64 * BIN_HZ,
            law: Law::Linear,
            equal_loudness: false,
            gains_db: Vec::new(),
        }
    }

    /// What a file of this sound says about itself, where a file of ours would
    /// say `header`.
    pub fn header(header: Header) -> Header {
        let mapping = Self::mapping(header.mapping.values);
        Header { original: true, mapping, lead_in_s: 0.0, ..header }
    }

    /// How many pictures a sound of `samples` samples holds.
    pub fn slots(samples: usize) -> usize {
        samples / SLOT
    }

    /// The gain in dB on the original's own level.
    pub fn gain_db(&self) -> f64 {
        20.0 * self.gain.log10()
    }

    /// Appends the 4800 samples of `code`, whose values are in 0..1; values
    /// that are missing are silent.
    pub fn push(&mut self, code: &[f32], samples: &mut Vec<f32>) {
        self.bins.fill(Complex32::default());
        let unit = self.gain / SAMPLES as f64;
        for (owned, &value) in self.owned.iter().zip(code) {
            for bin in owned.clone() {
                // A sine of amplitude 1 is a pair of bins of 1/2.
                let phase = TAU * self.random.uniform();
                let phasor = Complex64::from_polar(f64::from(value) * unit, phase);
                let kept = match bin {
                    HIGHEST => Complex64::new(phasor.re / 2.0, 0.0),
                    _ => phasor,
                };
                self.bins[bin] = Complex32::new(kept.re as f32, kept.im as f32);
            }
        }
        let done = self.inverse.process(&mut self.bins, &mut self.slot);
        // It fails on wrong lengths, or on an imaginary part at 0 Hz or
        // 24 kHz, and there all is zero.
        debug_assert!(done.is_ok(), "{done:?}");
        samples.extend(&self.slot);
    }

    /// What a still picture of `code` consists of: a frequency in hertz and a
    /// power for every bin, 1 being that of a full-scale sine.
    pub fn tones(&self, code: &[f32]) -> Vec<(f64, f64)> {
        let unit = 2.0 * self.gain / SAMPLES as f64;
        let tone = |value: f32| {
            move |bin: usize| {
                let power = (f64::from(value) * unit).powi(2);
                (bin as f64 * BIN_HZ, power * share(bin))
            }
        };
        self.owned.iter().zip(code).flat_map(|(bins, &v)| bins.clone().map(tone(v))).collect()
    }

    /// The code in slot `slot` of `samples`; `None` past the last whole slot,
    /// or where it is silent.
    ///
    /// A slot is one period of its picture, so without noise all of it comes
    /// back: a value is the mean of its bins, of which bin 500 tells nothing.
    pub fn hear(&mut self, samples: &[f32], slot: usize) -> Option<Vec<f32>> {
        let start = slot.checked_mul(SLOT)?;
        self.slot.copy_from_slice(samples.get(start..start.checked_add(SLOT)?)?);
        self.forward.process(&mut self.slot, &mut self.bins).ok()?;
        let scale = SAMPLES as f64 / SLOT as f64 / self.gain;
        let magnitude = |bin: usize| (f64::from(self.bins[bin].norm()) * scale) as f32;
        if (1..HIGHEST).all(|bin| magnitude(bin) < SILENT) {
            return None;
        }
        let value = |owned: &Range<usize>| {
            let told = owned.start..owned.end.min(HIGHEST);
            told.clone().map(magnitude).sum::<f32>() / told.len().max(1) as f32
        };
        Some(self.owned.iter().map(|owned| value(owned).clamp(0.0, 1.0)).collect())
    }
}

/// The bins of each of `values` values. A value should end where its share of
/// the 500 bins does; the original's rule ends it with the second bin beyond.
fn owned(values: usize) -> Vec<Range<usize>> {
    let end = |value: usize| match value + 1 == values {
        true => HIGHEST + 1,
        false => (value + 1) * HIGHEST / values + 3,
    };
    (0..values).map(|value| if value == 0 { 1 } else { end(value - 1) }..end(value)).collect()
}

/// The share of its power that a bin is left with: at the Nyquist frequency the
/// amplitude is halved, and of its power half is left on average.
fn share(bin: usize) -> f64 {
    if bin == HIGHEST { 1.0 / 8.0 } else { 1.0 }
}

/// The gain at which a code that is uniform in 0..1 plays at [`MEAN_LUFS`]:
/// the mean square of its values is 1/3, whichever own the bins.
fn gain() -> f64 {
    let power = |bin: usize| {
        let amplitude = 2.0 / SAMPLES as f64;
        share(bin) * amplitude * amplitude / 2.0 / 3.0 * hearing::k_weighting(bin as f64 * BIN_HZ)
    };
    let own = (1..=HIGHEST).map(power).sum::<f64>();
    (hearing::power_of_lufs(MEAN_LUFS) / own).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(count: usize) -> Vec<Vec<f32>> {
        let mut random = Random::new(5);
        (0..count).map(|_| (0..VALUES).map(|_| random.uniform() as f32).collect()).collect()
    }

    fn sound(codes: &[Vec<f32>]) -> Vec<f32> {
        let (mut original, mut samples) = (Original::new(VALUES, 1), vec![]);
        codes.iter().for_each(|code| original.push(code, &mut samples));
        samples
    }

    /// The value that each of the bins 1..=500 carries, told as the original
    /// does it: bin by bin, moving on after the limit was passed.
    fn stretched() -> Vec<usize> {
        let share = HIGHEST as f64 / VALUES as f64;
        let mut value = 0;
        let step = |bin: usize| {
            let own = value;
            value += usize::from(bin as f64 > (value + 1) as f64 * share);
            own
        };
        (0..HIGHEST).map(step).collect()
    }

    #[test]
    fn values_own_the_bins_that_the_original_gives_them() {
        let owned = owned(VALUES);
        let oracle = stretched();
        for (value, bins) in owned.iter().enumerate() {
            assert!(bins.clone().all(|bin| oracle[bin - 1] == value), "value {value}: {bins:?}");
        }
        let counts: Vec<usize> = owned.iter().map(Range::len).collect();
        assert_eq!(counts.iter().sum::<usize>(), 500);
        assert_eq!((&counts[..3], counts[127]), (&[5, 4, 4][..], 2));
        assert_eq!((counts.iter().min(), counts.iter().max()), (Some(&2), Some(&5)));
    }

    #[test]
    fn samples_are_the_sum_of_the_cosines_and_joins_are_hard() {
        let codes = codes(2);
        let samples = sound(&codes);
        assert_eq!(samples.len(), 2 * SLOT);
        let mut random = Random::named(1, "original");
        let oracle = stretched();
        let gain = Original::new(VALUES, 1).gain;
        for (slot, code) in codes.iter().enumerate() {
            let phases: Vec<f64> = (0..HIGHEST).map(|_| TAU * random.uniform()).collect();
            // The samples at the original's own 10 kHz are 4.8 apart: we look
            // at every 24th, the fifth of those, to the very ends of the slot.
            for n in (0..SLOT).step_by(24).chain([1, 2, SLOT - 2, SLOT - 1]) {
                let wave = |bin: usize| {
                    let (value, phase) = (f64::from(code[oracle[bin - 1]]), phases[bin - 1]);
                    let angle = TAU * (bin * n) as f64 / SLOT as f64;
                    match bin {
                        500 => value * phase.cos() * angle.cos() / 1000.0,
                        _ => 2.0 * value * (angle + phase).cos() / 1000.0,
                    }
                };
                let expected = gain * (1..=HIGHEST).map(wave).sum::<f64>();
                let sample = f64::from(samples[slot * SLOT + n]);
                assert!((sample - expected).abs() < 2e-6, "sample {n}: {sample}, not {expected}");
            }
        }
    }

    #[test]
    fn a_uniform_code_is_34_8_db_below_full_scale_and_is_matched_to_ours() {
        let samples = sound(&codes(200));
        let square = samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>();
        let matched_db = 10.0 * (square / samples.len() as f64).log10();
        let own_db = matched_db - Original::new(VALUES, 1).gain_db();
        assert!((own_db - -34.8).abs() < 0.1, "{own_db} dB");
        let mut meter = ebur128::EbuR128::new(1, 48_000, ebur128::Mode::I).unwrap();
        meter.add_frames_f32(&samples).unwrap();
        let lufs = meter.loudness_global().unwrap();
        assert!((lufs - MEAN_LUFS).abs() < 0.1, "{lufs} LUFS");
        assert!(samples.iter().all(|s| s.abs() < 1.0));
    }

    #[test]
    fn codes_come_back_from_16_bits() {
        let codes = codes(3);
        let samples: Vec<f32> =
            sound(&codes).iter().map(|s| (s * 32768.0).round() / 32768.0).collect();
        let mut original = Original::new(VALUES, 9);
        for (slot, code) in codes.iter().enumerate() {
            let heard = original.hear(&samples, slot).unwrap();
            let off = code.iter().zip(&heard).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 2e-3, "slot {slot}: {off}");
        }
        assert!(original.hear(&samples, 3).is_none());
        assert!(original.hear(&samples, usize::MAX).is_none());
        assert!(original.hear(&vec![0.0; SLOT], 0).is_none());
    }
}
