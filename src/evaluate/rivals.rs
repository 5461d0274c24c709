//! Ours, the original's sound and a scan from left to right, side by side: by
//! which of them does the model of hearing tell pictures apart?
//!
//! All are taken as levels in auditory filters, as they are meant to sound: of
//! the original's faults its joins and fresh phases are forgiven, and of the
//! scan's the tones that switching adds.

use std::collections::BTreeMap;
use std::fmt;

use ndarray::Array3;
use serde::Serialize;

use super::audible::{self, Pairs};
use super::figures::{mean, middle};
use super::{Sent, listening};
use crate::error::Result;
use crate::frame::Frame;
use crate::model::{Model, normalise};
use crate::original::{self, Original};
use crate::profile::Polarity;
use crate::random::Random;
use crate::sonifier::Sonifier;
use crate::spectrum::{Mapping, Preset};
use crate::synth::SLOT_S;

/// How often the ear hears each picture.
const TRIALS: usize = 50;
/// Draws of the bootstrap.
const DRAWS: usize = 400;

/// The scan, as The vOICe does it (Meijer, IEEE Trans. Biomed. Eng. 39, 1992):
/// a picture takes a second; its columns follow each other, its rows are tones
/// from the highest above to the lowest below, equally far apart in pitch, and
/// amplitude is brightness.
const SCAN_S: f64 = 1.0;
const SCAN_HZ: [f64; 2] = [500.0, 5000.0];
/// Stretches of a scan in which the ear tells a level as well as in a steady
/// sound, 50 ms each: two for each of ours.
const STRETCHES: usize = 20;

/// One way to sound, and how well pictures are told apart by it.
#[derive(Clone, Debug, Serialize)]
pub struct Contender {
    /// What it is called.
    pub name: &'static str,
    /// Seconds of sound for a picture.
    pub seconds: f64,
    /// Spearman's correlation of looking and sounding different, over pairs of
    /// all frames.
    pub audible_r: Figure,
    /// Share of recognised frames at the first guess, among one of each group.
    pub first: Figure,
    /// The same among five guesses.
    pub five: Figure,
}

/// A figure and the 95 % intervals over groups, by bootstrap; absent where
/// there is only one group.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// The figure itself.
    pub value: f64,
    /// Where it lies.
    pub interval: Option<[f64; 2]>,
    /// Where that of ours less this one lies: on the same draws of groups.
    pub ours_ahead: Option<[f64; 2]>,
}

/// What a contender makes of the frames: a figure for every draw of groups.
struct Trial {
    pairs: Pairs,
    /// Of the first frame of each group.
    recognised: Vec<[f64; 2]>,
}

/// Ours, the original's and the scan, of `frames` of the groups `groups` (one
/// per frame), which `model` has not seen.
///
/// # Errors
///
/// If the frames are not of the model's kind.
pub fn rivals(model: &Model, frames: &[Frame], groups: &[String]) -> Result<Vec<Contender>> {
    let ours = Sent::new(model, frames, listening(model))?;
    let sonifier = &ours.sonifier;
    let pictures: Vec<Array3<f32>> =
        ours.sounds.iter().map(|sound| normalise(&sound.sent, sonifier.range())).collect();
    let own = ours.sounds.iter().map(|sound| audible::levels_db(&sound.spectrum)).collect();

    let mut data = Mapping::preset(Preset::Data, model.profile().frequencies_hz);
    data.values = data.values.min(model.values()).min(original::VALUES);
    let original = Original::new(data.values, 0);
    let codes = Sent::new(model, frames, data)?.sounds;
    let originals = codes.iter().map(|sound| original.tones(&sound.code));
    let originals = originals.map(|tones| audible::levels_of_tones_db(tones.into_iter())).collect();
    let scans = pictures.iter().map(|picture| scan_db(picture, sonifier)).collect();

    let members = members(groups);
    let trial = |levels_db: Vec<Vec<f64>>| {
        let firsts: Vec<Vec<f64>> =
            members.iter().map(|frames| levels_db[frames[0]].clone()).collect();
        Trial {
            pairs: Pairs::new(&pictures, &levels_db),
            recognised: audible::recognised(&firsts, TRIALS),
        }
    };
    let sounds: [(&'static str, f64, Vec<Vec<f64>>); 3] = [
        ("ours, preset listen", SLOT_S, own),
        ("the original's", SLOT_S, originals),
        ("a scan from left to right", SCAN_S, scans),
    ];
    let trials = sounds.map(|(name, seconds, levels_db)| (name, seconds, trial(levels_db)));
    Ok(judged(&trials, &members))
}

/// The frames of each group, by their indices.
fn members(groups: &[String]) -> Vec<Vec<usize>> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (frame, group) in groups.iter().enumerate() {
        members.entry(group).or_default().push(frame);
    }
    members.into_values().collect()
}

/// The figures of each trial, the first being ours.
fn judged(trials: &[(&'static str, f64, Trial)], members: &[Vec<usize>]) -> Vec<Contender> {
    let mut group_of = vec![0; members.iter().map(Vec::len).sum()];
    for (group, frames) in members.iter().enumerate() {
        frames.iter().for_each(|&frame| group_of[frame] = group);
    }
    // The figures where group g counts so many times.
    let figures = |trial: &Trial, counts: &[usize]| -> [f64; 3] {
        let of = |k: usize| {
            let each = trial.recognised.iter().zip(counts);
            each.map(|(own, &count)| own[k] * count as f64).sum::<f64>()
                / counts.iter().sum::<usize>().max(1) as f64
        };
        [trial.pairs.correlation(|frame| counts[group_of[frame]]), of(0), of(1)]
    };
    let mut random = Random::named(0, "bootstrap");
    let draws: Vec<Vec<usize>> = (0..if members.len() > 1 { DRAWS } else { 0 })
        .map(|_| {
            let mut counts = vec![0; members.len()];
            (0..members.len()).for_each(|_| counts[random.below(members.len())] += 1);
            counts
        })
        .collect();
    let drawn: Vec<Vec<[f64; 3]>> = trials
        .iter()
        .map(|(_, _, trial)| draws.iter().map(|counts| figures(trial, counts)).collect())
        .collect();
    let contender = |index: usize, (name, seconds, trial): &(&'static str, f64, Trial)| {
        let whole = figures(trial, &vec![1; members.len()]);
        let [audible_r, first, five] = [0, 1, 2].map(|k| Figure {
            value: whole[k],
            interval: middle(drawn[index].iter().map(|own| own[k]), 0.025),
            ours_ahead: middle(drawn[0].iter().zip(&drawn[index]).map(|(a, b)| a[k] - b[k]), 0.025)
                .filter(|_| index > 0),
        });
        Contender { name, seconds: *seconds, audible_r, first, five }
    };
    trials.iter().enumerate().map(|(index, trial)| contender(index, trial)).collect()
}

/// The levels of the scan of a normalised `picture`, `[band, row, column]`:
/// those in all filters, stretch after stretch.
fn scan_db(picture: &Array3<f32>, sonifier: &Sonifier) -> Vec<f64> {
    let (_, rows, columns) = picture.dim();
    let weights: Vec<f64> =
        sonifier.model().bands().iter().map(|band| f64::from(band.weight())).collect();
    let total: f64 = weights.iter().sum();
    let brightness = |row: usize, column: usize| {
        let bands = weights.iter().enumerate();
        let mean =
            bands.map(|(b, w)| w * f64::from(picture[(b, row, column)])).sum::<f64>() / total;
        // Where there is no reading, it is dark.
        let mean = if mean.is_finite() { mean.clamp(0.0, 1.0) } else { return 0.0 };
        if sonifier.polarity() == Polarity::ColdLoud { 1.0 - mean } else { mean }
    };
    let hz = |row: usize| {
        let height = 1.0 - row as f64 / (rows.max(2) - 1) as f64;
        SCAN_HZ[0] * (SCAN_HZ[1] / SCAN_HZ[0]).powf(height)
    };
    let stretch = |column: usize| (2 * column + 1) * STRETCHES / (2 * columns);
    // Random phases: the tones of a picture of grey 1/2 are as strong as one
    // another, and their sum is 20 dB below full scale.
    let unit = 0.01 / rows as f64 / 0.25;
    let levels = |part: usize| {
        let across: Vec<usize> = (0..columns).filter(|&column| stretch(column) == part).collect();
        let power = |row: usize| {
            let squares = across.iter().map(|&column| brightness(row, column).powi(2));
            unit * mean(&squares.collect::<Vec<_>>())
        };
        audible::levels_of_tones_db((0..rows).map(|row| (hz(row), power(row))))
    };
    (0..STRETCHES).flat_map(levels).collect()
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, seconds, audible_r, first, five } = self;
        let percent = |value: f64| format!("{:.0} %", 100.0 * value);
        let plain = |value: f64| format!("{value:.3}");
        type Shown<'a> = (&'a str, &'a Figure, &'a dyn Fn(f64) -> String);
        let figures: [Shown; 3] = [
            ("looking and sounding different correlate at", audible_r, &plain),
            ("recognised among one frame of each group:", first, &percent),
            ("recognised among five guesses:", five, &percent),
        ];
        write!(f, "{name}, {seconds} s a picture")?;
        for (what, Figure { value, interval, ours_ahead }, shown) in figures {
            write!(f, "\n  {what} {}", shown(*value))?;
            if let Some([low, high]) = interval {
                write!(f, " ({} to {}, 95 % over groups)", shown(*low), shown(*high))?;
            }
            if let Some([low, high]) = ours_ahead {
                write!(f, "; ours is ahead by {} to {}", shown(*low), shown(*high))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_tells_where_the_light_is() {
        let sonifier = Sonifier::new(
            Model::shipped("hituav-lwir").unwrap(),
            Mapping::preset(Preset::Listen, [60.0, 5000.0]),
            0,
        )
        .unwrap();
        let mut picture = Array3::zeros((1, 51, 64));
        picture[(0, 50, 0)] = 1.0;
        picture[(0, 0, 63)] = 0.5;
        let levels = scan_db(&picture, &sonifier);
        let filters = levels.len() / STRETCHES;
        let filter = |hz: f64| crate::spectrum::hearing::erb_rate(hz) as usize;
        let heard: Vec<usize> = (0..levels.len()).filter(|&i| levels[i] > -89.0).collect();
        assert_eq!(heard, [filter(500.0), 19 * filters + filter(5000.0)]);
        // Half the light is a quarter of the power.
        assert!((levels[heard[0]] - levels[heard[1]] - 6.02).abs() < 0.01);
    }

    #[test]
    fn groups_are_drawn_whole_and_ours_is_not_ahead_of_itself() {
        let mut random = Random::new(1);
        let pictures: Vec<Array3<f32>> = (0..24)
            .map(|_| Array3::from_shape_simple_fn((1, 4, 4), || random.uniform() as f32))
            .collect();
        let levels_db: Vec<Vec<f64>> =
            pictures.iter().map(|p| p.iter().map(|&v| 20.0 * f64::from(v)).collect()).collect();
        let groups: Vec<String> = (0..24).map(|i| (i / 4).to_string()).collect();
        let trial = || Trial {
            pairs: Pairs::new(&pictures, &levels_db),
            recognised: vec![
                [1.0, 1.0],
                [0.0, 1.0],
                [1.0, 1.0],
                [1.0, 1.0],
                [1.0, 1.0],
                [0.0, 1.0],
            ],
        };
        let judged = judged(&[("a", 0.1, trial()), ("b", 0.1, trial())], &members(&groups));
        assert!(judged[0].audible_r.value > 0.999 && judged[0].audible_r.ours_ahead.is_none());
        assert!((judged[1].first.value - 4.0 / 6.0).abs() < 1e-9);
        let [low, high] = judged[1].first.interval.unwrap();
        assert!(low < 0.45 && high > 0.9, "{low}..{high}");
        assert_eq!(judged[1].first.ours_ahead, Some([0.0, 0.0]));
    }
}
