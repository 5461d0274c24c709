//! What levels say about a code when there is noise in them.

use super::{Cell, Law, Layout, Spectrum, from_db, hearing, mean, to_db};

/// A level is taken to be at least this share of the noise in its bins when
/// the anchor is first guessed.
const LEAST: f64 = 0.1;

/// dB per relative error of a power.
const DB_PER_PART: f64 = 10.0 / std::f64::consts::LN_10;

/// A value is taken as it is where its error is smaller than this share of
/// its distance to 0 or 1, so that its logit has an error just as normal.
const SHARP: f64 = 0.05;

/// Or where its error is smaller than this, as without noise.
const EXACT: f64 = 1e-4;

/// A likelihood reaches over so many errors on either side.
const REACH: f64 = 4.0;

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

    /// What `spectrum` says about a code when `noise` is the power of noise in
    /// each of its bins; `None` under the linear law, which has no anchor to
    /// find, and for which [`Layout::code`] is all there is.
    pub fn levels(&self, spectrum: &Spectrum, noise: &[f64]) -> Option<Levels> {
        let Law::Decibel { range_db } = self.mapping.law else { return None };
        let gain = from_db(self.gain_db(spectrum));
        let hear = |cell: &Cell| {
            let bins = cell.bins.len() as f64;
            let noise = cell.bins.iter().filter_map(|&bin| noise.get(bin)).sum::<f64>() / bins;
            let (power, noise) = (spectrum.power(&cell.bins) / gain, noise / gain);
            Heard { power, noise, bins, correction_db: cell.correction_db }
        };
        let heard: Vec<Heard> = self.values.iter().map(hear).collect();
        let pairs = self.values.iter().zip(&heard);
        let weighted: f64 = pairs.map(|(cell, h)| cell.weight * (h.power - h.bins * h.noise)).sum();
        let loudness_lufs = hearing::lufs(weighted.max(from_db(super::SILENCE_DB)));
        let mean_code = 0.5 + (loudness_lufs - super::MEAN_LUFS) / super::SPAN_LU;
        Some(Levels { heard, mean_code: mean_code.clamp(0.0, 1.0), range_db })
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
        let off = self.power - signal - self.bins * self.noise;
        -0.5 * (off * off / variance + variance.ln())
    }
}
