//! What survives the trip: figures measured on what came back through a
//! 16-bit WAV.

use std::collections::BTreeMap;
use std::fmt;

use ndarray::ArrayView3;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::model::Model;
use crate::sonifier::Sonifier;
use crate::spectrum::{Mapping, Preset};

/// Peak of a normalised picture; a picture that came back exactly scores this
/// in dB.
const PERFECT_DB: f64 = 120.0;

/// The figures of a model on frames it has not seen, preset `data`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Number of frames.
    pub frames: usize,
    /// Mean over frames of the PSNR in dB (peak 1) from the code, unsounded.
    pub psnr_code_db: f64,
    /// The same from the sound, by number of groups of the code: 1, 2, 4 .. K.
    pub psnr_sound_db: BTreeMap<usize, f64>,
    /// Root mean square error from the sound per band, in physical units.
    pub rmse: Vec<f64>,
    /// Correlation of band energy with the mean code.
    pub energy_code_r: f64,
    /// Correlation of band energy with loudness.
    pub energy_loudness_r: f64,
    /// Loudness in LU between the 5th and the 95th percentile.
    pub loudness_span_lu: f64,
    /// Kolmogorov-Smirnov distance of all code values from uniform.
    pub uniformity_pooled: f64,
    /// The largest such distance of a single code position.
    pub uniformity_worst: f64,
}

impl Scores {
    /// The figures by name, for the model's record.
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        let mut named = BTreeMap::from([
            ("psnr_code_db".to_owned(), self.psnr_code_db),
            ("energy_code_r".to_owned(), self.energy_code_r),
            ("energy_loudness_r".to_owned(), self.energy_loudness_r),
            ("loudness_span_lu".to_owned(), self.loudness_span_lu),
            ("uniformity_pooled".to_owned(), self.uniformity_pooled),
            ("uniformity_worst".to_owned(), self.uniformity_worst),
        ]);
        for (groups, psnr) in &self.psnr_sound_db {
            named.insert(format!("psnr_sound_{groups}_db"), *psnr);
        }
        named
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "frames scored: {}", self.frames)?;
        writeln!(f, "PSNR from the code: {:.2} dB", self.psnr_code_db)?;
        for (groups, psnr) in &self.psnr_sound_db {
            writeln!(f, "PSNR from the sound, {groups} groups: {psnr:.2} dB")?;
        }
        for (band, rmse) in self.rmse.iter().enumerate() {
            writeln!(f, "error of band {}: {rmse:.4} (RMS, physical units)", band + 1)?;
        }
        writeln!(f, "correlation of band energy with mean code: {:.3}", self.energy_code_r)?;
        writeln!(f, "correlation of band energy with loudness: {:.3}", self.energy_loudness_r)?;
        writeln!(f, "loudness, 5th to 95th percentile: {:.1} LU", self.loudness_span_lu)?;
        writeln!(f, "distance of the code from uniform, pooled: {:.3}", self.uniformity_pooled)?;
        write!(f, "the same, worst position: {:.3}", self.uniformity_worst)
    }
}

/// Measures `model` on `frames`, through the sound of the preset `data`.
///
/// # Errors
///
/// If there are no frames, or they are not of the model's kind.
pub fn scores(model: &Model, frames: &[Frame]) -> Result<Scores> {
    if frames.is_empty() {
        return Err(Error::usage("DATA", "no frame to score"));
    }
    let mut scores = Scores { frames: frames.len(), ..Scores::default() };
    for level in 0..=model.values().ilog2() {
        let groups = 1usize << level;
        let trip = Trip::take(model, frames, groups)?;
        scores.psnr_sound_db.insert(groups, mean(&trip.psnr_sound_db));
        if groups == model.values() {
            trip.fill(&mut scores);
        }
    }
    Ok(scores)
}

/// One trip of all frames through sound at one number of groups.
struct Trip {
    psnr_code_db: Vec<f64>,
    psnr_sound_db: Vec<f64>,
    square: Vec<(f64, usize)>,
    codes: Vec<Vec<f32>>,
    energy: Vec<f64>,
    loudness: Vec<f64>,
}

impl Trip {
    fn take(model: &Model, frames: &[Frame], groups: usize) -> Result<Self> {
        let mut mapping = Mapping::preset(Preset::Data, model.profile().frequencies_hz);
        mapping.values = groups;
        let mut sonifier = Sonifier::new(model.clone(), mapping, 0)?;
        let range = sonifier.range().to_vec();
        let mut samples = Vec::new();
        let mut sounds = Vec::with_capacity(frames.len());
        for frame in frames {
            let mut sound = sonifier.sonify(frame)?;
            samples.append(&mut sound.samples);
            sounds.push(sound);
        }
        samples.extend(sonifier.finish());
        for sample in &mut samples {
            // What a 16-bit WAV keeps.
            *sample = (*sample * 32768.0).round().clamp(-32768.0, 32767.0) / 32768.0;
        }
        let mut trip = Self {
            psnr_code_db: Vec::new(),
            psnr_sound_db: Vec::new(),
            square: vec![(0.0, 0); model.bands().len()],
            codes: Vec::new(),
            energy: Vec::new(),
            loudness: Vec::new(),
        };
        for (slot, sound) in sounds.into_iter().enumerate() {
            let heard = sonifier.hear(&samples, slot).ok_or_else(|| {
                Error::usage("sound", format!("slot {slot} of {} is missing", frames.len()))
            })?;
            let sent = sound.sent.data.view();
            let back = sonifier.reconstruct(&heard)?;
            trip.psnr_sound_db.push(psnr_db(sent, back.view(), &range));
            let exact = sonifier.reconstruct(&sound.code)?;
            trip.psnr_code_db.push(psnr_db(sent, exact.view(), &range));
            for ((sum, a), b) in
                trip.square.iter_mut().zip(sent.outer_iter()).zip(back.outer_iter())
            {
                for (a, b) in a.iter().zip(b).filter(|(a, _)| a.is_finite()) {
                    *sum = (sum.0 + f64::from(a - b).powi(2), sum.1 + 1);
                }
            }
            trip.codes.push(sound.code);
            trip.energy.push(sound.band_energy);
            trip.loudness.push(sound.loudness_lufs);
        }
        Ok(trip)
    }

    fn fill(self, scores: &mut Scores) {
        let means: Vec<f64> = self
            .codes
            .iter()
            .map(|code| code.iter().map(|&v| f64::from(v)).sum::<f64>() / code.len() as f64)
            .collect();
        scores.psnr_code_db = mean(&self.psnr_code_db);
        scores.rmse =
            self.square.iter().map(|(sum, n)| (sum / (*n).max(1) as f64).sqrt()).collect();
        scores.energy_code_r = correlation(&self.energy, &means);
        scores.energy_loudness_r = correlation(&self.energy, &self.loudness);
        let mut loudness = self.loudness;
        loudness.sort_by(f64::total_cmp);
        let at = |share: f64| loudness[((loudness.len() - 1) as f64 * share).round() as usize];
        scores.loudness_span_lu = at(0.95) - at(0.05);
        scores.uniformity_pooled = uniformity(self.codes.iter().flatten().copied());
        let positions = self.codes.first().map_or(0, Vec::len);
        scores.uniformity_worst = (0..positions)
            .map(|position| uniformity(self.codes.iter().map(|code| code[position])))
            .fold(0.0, f64::max);
    }
}

/// PSNR in dB of `back` against `sent`, both `[band, row, column]` in physical
/// units, with `range` per band as the peak; readings that are missing in
/// `sent` do not count.
pub fn psnr_db(sent: ArrayView3<f32>, back: ArrayView3<f32>, range: &[[f64; 2]]) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for ((sent, back), [low, high]) in sent.outer_iter().zip(back.outer_iter()).zip(range) {
        for (a, b) in sent.iter().zip(back).filter(|(a, _)| a.is_finite()) {
            sum += (f64::from(a - b) / (high - low)).powi(2);
            count += 1;
        }
    }
    if sum > 0.0 { (10.0 * (count as f64 / sum).log10()).min(PERFECT_DB) } else { PERFECT_DB }
}

/// Pearson's correlation of two series of equal length; 0 where one of them
/// has no spread.
pub fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

/// Kolmogorov-Smirnov distance of `values` from the uniform distribution on
/// 0..1.
pub fn uniformity(values: impl Iterator<Item = f32>) -> f64 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    let count = values.len() as f64;
    values
        .iter()
        .enumerate()
        .map(|(index, &value)| {
            let value = f64::from(value);
            (value - index as f64 / count).abs().max(((index + 1) as f64 / count - value).abs())
        })
        .fold(0.0, f64::max)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn a_tenth_of_the_range_off_is_twenty_decibels() {
        let mut sent = Array3::from_elem((1, 4, 4), 20.0f32);
        sent[(0, 0, 0)] = f32::NAN;
        let back = Array3::from_elem((1, 4, 4), 23.0f32);
        let psnr = psnr_db(sent.view(), back.view(), &[[10.0, 40.0]]);
        assert!((psnr - 20.0).abs() < 1e-6, "{psnr}");
    }

    #[test]
    fn uniform_values_are_uniform_and_a_constant_is_not() {
        let values = (0..1000).map(|i| (i as f32 + 0.5) / 1000.0);
        assert!(uniformity(values) < 1e-3);
        assert!(uniformity(std::iter::repeat_n(0.5, 100)) > 0.49);
    }

    #[test]
    fn correlation_needs_spread() {
        assert_eq!(correlation(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
        assert!((correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
    }
}
