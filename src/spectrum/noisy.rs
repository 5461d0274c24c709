//! What levels say about a code when there is noise in them.

use super::{Cell, Law, Layout, Spectrum, from_db, hearing, mean, to_db};

/// A level is taken to be at least this share of the noise in its bins when
/// the anchor is first guessed.
pub(crate) const LEAST: f64 = 0.1;

/// dB per relative error of a power.
pub(crate) const DB_PER_PART: f64 = 10.0 / std::f64::consts::LN_10;

/// A value is taken as it is where its error is smaller than this share of
/// its distance to 0 or 1, so that its logit has an error just as normal.
const SHARP: f64 = 0.05;

/// Or where its error is smaller than this, as without noise.
const EXACT: f64 = 1e-4;

/// A likelihood reaches over so many errors on either side.
pub(crate) const REACH: f64 = 4.0;

/// The share of the power of the noise by which what is heard has more power
/// than what was sent. That is all of it for noise that was added, and none
/// for the errors of a codec, which keeps the power of its bands. A half costs
/// little either way; see ARCHITECTURE.md.
pub(crate) const ADDED: f64 = 0.5;

/// The gain of a frame is that of most unless its pilots are off by so many
/// standard deviations of what noise does to them.
const UNUSUAL: f64 = 3.0;

/// Powers that were heard through noise; gain taken out.
#[derive(Clone, Debug)]
pub struct Levels {
    heard: Vec<Heard>,
    /// Mean of the code, as the loudness tells it.
    mean_code: f64,
    range_db: f64,
}

/// The power of one value, 1.0 being a full-scale sine.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// Of signal and noise together.
    power: f64,
    /// Of the noise in each bin.
    noise: f64,
    bins: f64,
    correction_db: f64,
}

/// What was heard of one value of a code.
#[derive(Clone, Debug)]
pub enum Observation {
    /// This value, give or take a small error.
    Sharp {
        /// The value; outside 0..1 if the error took it there.
        value: f64,
        /// Variance of its error.
        variance: f64,
    },
    /// A likelihood.
    Blurred {
        /// The value lies between these, 0..1.
        range: [f64; 2],
        /// The likelihood, up to a factor, at the middles of equal steps of
        /// the range.
        likelihood: Vec<f64>,
    },
}

impl Observation {
    /// Makes it an observation of 1 less the value.
    pub fn reverse(&mut self) {
        match self {
            Self::Sharp { value, .. } => *value = 1.0 - *value,
            Self::Blurred { range: [low, high], likelihood } => {
                (*low, *high) = (1.0 - *high, 1.0 - *low);
                likelihood.reverse();
            }
        }
    }
}

/// What is heard is silence where it has no more than so many times the power
/// of the noise.
const SILENCE: f64 = 1.5;

/// Steps of the likelihood of a blurred value.
const STEPS: usize = 48;

impl Layout {
    /// Whether `spectrum` holds nothing of ours, neither values nor pilots,
    /// when `noise` is the power of noise in each of its bins.
    pub fn is_silent(&self, spectrum: &Spectrum, noise: &[f64]) -> bool {
        let cells = || self.values.iter().chain(&self.pilots);
        let heard: f64 = cells().map(|cell| spectrum.power(&cell.bins)).sum();
        let bins = cells().flat_map(|cell| &cell.bins);
        heard <= SILENCE * bins.filter_map(|&bin| noise.get(bin)).sum::<f64>()
    }

    /// The share of `noise`, the power of noise in each bin, in what `spectrum`
    /// has of the values, in dB.
    pub fn noise_db(&self, spectrum: &Spectrum, noise: &[f64]) -> f64 {
        let bins = || self.values.iter().flat_map(|cell| &cell.bins);
        let heard: f64 = self.values.iter().map(|cell| spectrum.power(&cell.bins)).sum();
        to_db(bins().filter_map(|&bin| noise.get(bin)).sum()) - to_db(heard)
    }

    /// What `spectrum` says about a code when `noise` is the power of noise in
    /// each of its bins, and `usual` the power gain of most frames that went
    /// the same way, if there are others; `None` under the linear law, which
    /// has no anchor to find, and for which [`Layout::code`] is all there is.
    pub fn levels(&self, spectrum: &Spectrum, noise: &[f64], usual: Option<f64>) -> Option<Levels> {
        let Law::Decibel { range_db } = self.mapping.law else { return None };
        let own = from_db(self.gain_db(spectrum, noise));
        let gain = usual.filter(|&usual| self.may_be(usual, own, noise)).unwrap_or(own);
        let hear = |cell: &Cell| {
            let bins = cell.bins.len() as f64;
            let noise = cell.bins.iter().filter_map(|&bin| noise.get(bin)).sum::<f64>() / bins;
            let (power, noise) = (spectrum.power(&cell.bins) / gain, noise / gain);
            Heard { power, noise, bins, correction_db: cell.correction_db }
        };
        let heard: Vec<Heard> = self.values.iter().map(hear).collect();
        let pairs = self.values.iter().zip(&heard);
        let weighted: f64 =
            pairs.map(|(cell, h)| cell.weight * (h.power - ADDED * h.bins * h.noise)).sum();
        let loudness_lufs = hearing::lufs(weighted.max(from_db(super::SILENCE_DB)));
        let mean_code = 0.5 + (loudness_lufs - super::MEAN_LUFS) / super::SPAN_LU;
        Some(Levels { heard, mean_code: mean_code.clamp(0.0, 1.0), range_db })
    }

    /// Whether a frame of the power gain `usual` may have pilots that tell
    /// `own`, with `noise` in each bin.
    pub(super) fn may_be(&self, usual: f64, own: f64, noise: &[f64]) -> bool {
        let (mut sent, mut variance) = (0.0, 0.0);
        for (cell, level_db) in self.pilots.iter().zip(self.pilot_levels_db()) {
            let signal = from_db(level_db);
            let noise: f64 = cell.bins.iter().filter_map(|&bin| noise.get(bin)).sum();
            sent += signal;
            // As for a value: see `Heard::variance`.
            variance += 2.0 * signal * usual * noise + noise * noise;
        }
        (own - usual).abs() * sent <= UNUSUAL * variance.sqrt()
    }
}

impl Levels {
    /// The anchor in dB at which the mean of all levels is that of the code.
    pub fn anchor_db(&self) -> f64 {
        let levels: Vec<f64> =
            self.heard.iter().map(|heard| to_db(heard.signal()) - heard.correction_db).collect();
        mean(&levels) - self.range_db * (self.mean_code - 0.5)
    }

    /// A better anchor in dB, if `anchor_db` led to a code whose mean is
    /// `mean_code`.
    pub fn corrected_db(&self, anchor_db: f64, mean_code: f64) -> f64 {
        anchor_db + self.range_db * (mean_code - self.mean_code)
    }

    /// What was heard of each value of the code, if the anchor is `anchor_db`.
    pub fn observations(&self, anchor_db: f64) -> Vec<Observation> {
        self.heard.iter().map(|heard| self.observe(heard, anchor_db)).collect()
    }

    fn observe(&self, heard: &Heard, anchor_db: f64) -> Observation {
        let signal = heard.signal();
        let relative = heard.variance(signal) / (signal * signal);
        let variance = (DB_PER_PART / self.range_db).powi(2) * relative;
        let level_db = to_db(signal) - heard.correction_db - anchor_db;
        let value = 0.5 + level_db / self.range_db;
        let error = if variance.is_finite() { variance.sqrt() } else { 0.0 };
        if error < EXACT || error < SHARP * value.min(1.0 - value) {
            return Observation::Sharp { value, variance: error * error };
        }
        let nearest = value.clamp(0.0, 1.0);
        let (low, high) = ((nearest - REACH * error).max(0.0), (nearest + REACH * error).min(1.0));
        let logs: Vec<f64> = (0..STEPS)
            .map(|step| {
                let value = low + (high - low) * (step as f64 + 0.5) / STEPS as f64;
                let level_db = self.range_db * (value - 0.5) + heard.correction_db + anchor_db;
                heard.log_likelihood(from_db(level_db))
            })
            .collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let likelihood = logs.iter().map(|log| (log - largest).exp()).collect();
        Observation::Blurred { range: [low, high], likelihood }
    }
}

impl Heard {
    /// The power of the signal, as the mean power tells it.
    fn signal(&self) -> f64 {
        let noise = self.bins * self.noise;
        (self.power - noise).max(LEAST * noise)
    }

    /// Variance of the power that is heard of a signal of the power `signal`:
    /// the second moment of a non-central chi-squared distribution.
    fn variance(&self, signal: f64) -> f64 {
        2.0 * signal * self.noise + self.bins * self.noise * self.noise
    }

    /// Logarithm of the likelihood of the power heard, if the signal has the
    /// power `signal`: that of a normal distribution of the same two moments.
    fn log_likelihood(&self, signal: f64) -> f64 {
        let variance = self.variance(signal);
        let off = self.power - signal - ADDED * self.bins * self.noise;
        -0.5 * (off * off / variance + variance.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectrum::{Mapping, Preset};

    #[test]
    fn what_noise_does_to_pilots_is_no_gain_and_a_fade_is() {
        let layout = Layout::new(&Mapping::preset(Preset::Data, [60.0, 5000.0])).unwrap();
        let code: Vec<f32> = (0..256).map(|k| ((k * 37) % 100) as f32 / 100.0).collect();
        let sent = layout.spectrum(&code);
        let exact = layout.levels(&sent, &[0.0; Spectrum::BINS], None).unwrap().mean_code;
        // The pilots are heard 1 dB too loud, all by chance.
        let mut louder = sent.clone();
        layout.pilots().for_each(|bin| louder.amplitudes[bin] *= from_db(1.0).sqrt() as f32);
        let power = f64::from(sent.amplitudes[layout.pilots().next().unwrap()]).powi(2);
        let mean_code = |spectrum: &Spectrum, noise: f64, usual: Option<f64>| {
            let noise = [noise * power; Spectrum::BINS];
            layout.levels(spectrum, &noise, usual).unwrap().mean_code
        };
        let [own, usual] = [None, Some(1.0)].map(|usual| mean_code(&louder, 0.02, usual));
        // Less what half of the noise adds to pilots.
        assert!((own - usual + 1.0 / 24.0).abs() < 2e-3, "{own} {usual}");
        // Without noise, pilots are believed; and a fade is one in any noise.
        assert!((mean_code(&louder, 1e-6, Some(1.0)) - exact + 1.0 / 24.0).abs() < 1e-4);
        let mut faded = sent;
        faded.amplitudes.iter_mut().for_each(|amplitude| *amplitude *= 0.25);
        assert!((mean_code(&faded, 1e-6, Some(1.0)) - exact).abs() < 1e-4);
    }
}
