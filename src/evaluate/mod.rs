//! What survives the trip: figures measured on what came back through sound.

pub mod audible;
pub mod channel;
pub mod figures;
pub mod peers;
pub mod pleasant;
pub mod report;
pub mod rivals;
pub mod trip;

use std::collections::BTreeMap;
use std::fmt;

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, Result};
use crate::frame::Frame;
use crate::inspect::many::FEW;
use crate::model::{Model, normalise};
use crate::random::Random;
use crate::receiver::align::align;
use crate::sonifier::{Sonifier, Sound};
use crate::spectrum::{Layout, Mapping, Preset, Spectrum};
use crate::synth::{SAMPLE_RATE, SLOT, Synth};
use audible::Pairs;
use channel::Channel;
use figures::{bits, correlation, mean, middle, psnr_db, spectral_angle_deg, ssim, uniformity};
use peers::Peer;
use pleasant::{FULL_SCALE_PA, Sensation};

/// At most so many pictures are held still, to hear how pleasant they are.
const STILL: usize = 12;

/// The figures of a model on frames it has not seen, preset `data`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    /// Number of frames.
    pub frames: usize,
    /// Mean over frames of the PSNR in dB (peak 1) from the code, unsounded.
    pub psnr_code_db: f64,
    /// The same from its first digits alone, which is what is heard.
    pub psnr_heard_db: f64,
    /// The same of the whole code from a 16-bit file, by number of groups of
    /// the code: 1, 2, 4 .. K.
    pub psnr_sound_db: BTreeMap<usize, f64>,
    /// The same of each frame, at K.
    #[serde(skip)]
    pub psnr_frames_db: Vec<f64>,
    /// Root mean square error from a 16-bit file per band, in physical units.
    pub rmse: Vec<f64>,
    /// Mean structural similarity from a 16-bit file; absent where no window
    /// of the picture has every reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssim: Option<f64>,
    /// Mean spectral angle in degrees from a 16-bit file; absent with fewer
    /// than four bands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectral_angle_deg: Option<f64>,
    /// What each channel leaves, by its name.
    pub channels: BTreeMap<String, Survival>,
    /// Spearman's correlation of how different frames look and how different
    /// they sound, preset `listen`: see [`audible::Pairs`].
    pub audible_r: f64,
    /// Shares of the frames that are recognised by their sound, preset
    /// `listen`, as the first guess and among five: see
    /// [`audible::retrieval`].
    pub recognised: [f64; 2],
    /// Mean roughness in asper of still pictures, preset `listen`: see
    /// [`pleasant`].
    pub roughness_asper: f64,
    /// Their mean fluctuation strength in vacil.
    pub fluctuation_vacil: f64,
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

/// What one channel leaves of the pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Survival {
    /// Mean over frames of the PSNR in dB (peak 1).
    pub psnr_db: f64,
    /// Bits per frame that survive: see [`figures::bits`].
    pub bits: f64,
}

/// How the code compares with another linear code of as many values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Mean PSNR in dB of the other, by number of values: 1, 2, 4 .. K.
    pub psnr_db: BTreeMap<usize, f64>,
    /// What the code through a 16-bit file gains over it at K, mean over
    /// frames, in dB; absent where the other has fewer values, for want of
    /// training pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain_db: Option<f64>,
    /// The 95 % interval of the gain, bootstrapped over groups; absent where
    /// there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_db: Option<[f64; 2]>,
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "frames scored: {}", self.frames)?;
        writeln!(f, "PSNR from the code: {:.2} dB", self.psnr_code_db)?;
        writeln!(f, "PSNR from what is heard of it: {:.2} dB", self.psnr_heard_db)?;
        for (groups, psnr) in &self.psnr_sound_db {
            writeln!(f, "PSNR from the sound, {groups} groups: {psnr:.2} dB")?;
        }
        for channel in Channel::ALL {
            let Some(Survival { psnr_db, bits }) = self.channels.get(channel.name()) else {
                continue;
            };
            let way = channel.told();
            writeln!(f, "PSNR after {way}: {psnr_db:.2} dB, {bits:.0} bits a frame")?;
        }
        for line in errors(&self.rmse) {
            writeln!(f, "{line}")?;
        }
        if let Some(ssim) = self.ssim {
            writeln!(f, "structural similarity: {ssim:.3}")?;
        }
        if let Some(angle) = self.spectral_angle_deg {
            writeln!(f, "spectral angle: {angle:.2} degrees")?;
        }
        let [first, five] = self.recognised.map(|share| 100.0 * share);
        writeln!(f, "correlation of looking and sounding different: {:.3}", self.audible_r)?;
        writeln!(f, "recognised by the sound: {first:.0} %; among five guesses: {five:.0} %")?;
        writeln!(f, "roughness of still pictures: {:.2} asper", self.roughness_asper)?;
        writeln!(f, "their fluctuation: {:.2} vacil", self.fluctuation_vacil)?;
        writeln!(f, "correlation of band energy with mean code: {:.3}", self.energy_code_r)?;
        writeln!(f, "correlation of band energy with loudness: {:.3}", self.energy_loudness_r)?;
        writeln!(f, "loudness, 5th to 95th percentile: {:.1} LU", self.loudness_span_lu)?;
        writeln!(f, "distance of the code from uniform, pooled: {:.3}", self.uniformity_pooled)?;
        write!(f, "the same, worst position: {:.3}", self.uniformity_worst)
    }
}

/// The RMS error of each band, or of many bands the best and the worst.
fn errors(rmse: &[f64]) -> Vec<String> {
    let told = |(band, rmse): (usize, &f64)| {
        format!("error of band {}: {rmse:.4} (RMS, physical units)", band + 1)
    };
    let all = || rmse.iter().enumerate();
    if rmse.len() <= FEW {
        return all().map(told).collect();
    }
    let order = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1);
    let (best, worst) = (all().min_by(order), all().max_by(order));
    let of = |which: &str, found: Option<(usize, &f64)>| {
        found.map(|found| format!("{which} of {} bands: {}", rmse.len(), told(found)))
    };
    of("best", best).into_iter().chain(of("worst", worst)).collect()
}

/// Measures `model` on `frames`, through the sound of the preset `data` with
/// codes of `values` values; what is about ears, through that of the preset
/// `listen`. Channels that need ffmpeg are left out where it is not installed.
///
/// # Errors
///
/// If there are no frames, they are not of the model's kind, or its codes
/// cannot have so many values.
pub fn scores(model: &Model, frames: &[Frame], values: usize) -> Result<Scores> {
    if frames.is_empty() {
        return Err(Error::usage("DATA", "no frame to score"));
    }
    let mut scores = Scores { frames: frames.len(), ..Scores::default() };
    let mut sent = Sent::new(model, frames, data_mapping(model, values))?;
    for level in 0..values.ilog2() {
        let mut sent = Sent::new(model, frames, data_mapping(model, 1 << level))?;
        let Some(received) = sent.receive(Channel::Wav)? else { continue };
        scores.psnr_sound_db.insert(1 << level, mean(&sent.psnr_db(&received)));
    }
    for channel in Channel::ALL {
        let Some(received) = sent.receive(channel)? else { continue };
        let psnr_db = mean(&sent.psnr_db(&received));
        let bits = sent.bits(&received);
        scores.channels.insert(channel.name().to_owned(), Survival { psnr_db, bits });
        if channel == Channel::Wav {
            scores.psnr_sound_db.insert(values, psnr_db);
            scores.fidelity(&sent, &received)?;
        }
    }
    scores.loudness(&sent.sounds);
    scores.audible(&Sent::new(model, frames, listening(model))?);
    Ok(scores)
}

/// What machines read of a model: the preset `data`, with codes of `values`
/// values.
fn data_mapping(model: &Model, values: usize) -> Mapping {
    let data = Mapping::preset(Preset::Data, model.profile().frequencies_hz);
    Mapping { values, ..data }
}

/// What people hear of a model: the preset `listen`.
fn listening(model: &Model) -> Mapping {
    let mut mapping = Mapping::preset(Preset::Listen, model.profile().frequencies_hz);
    mapping.values = mapping.values.min(model.values());
    mapping
}

/// Roughness in asper and fluctuation strength in vacil of two seconds of
/// `spectrum`, a sound of `layout`, held still.
fn sensations(spectrum: &Spectrum, layout: &Layout) -> [f64; 2] {
    let (mut synth, mut samples) = (Synth::new(0, layout), Vec::new());
    let seconds = 2 * SAMPLE_RATE;
    while samples.len() < SLOT + seconds {
        synth.push(spectrum, &mut samples);
    }
    // Without the lead-in.
    let pressure = samples[SLOT..SLOT + seconds].iter();
    let pressure: Vec<f64> = pressure.map(|&v| FULL_SCALE_PA * f64::from(v)).collect();
    [Sensation::Roughness, Sensation::Fluctuation].map(|sensation| sensation.of(&pressure))
}

/// Compares `scores` of a model, measured on `frames` of the groups `groups`
/// (one per frame), with `peer`; `range` is that of the model.
pub fn compare(
    scores: &Scores,
    peer: &Peer,
    frames: &[Frame],
    groups: &[&str],
    range: &[[f64; 2]],
) -> Comparison {
    let curves = peer.psnr_db(frames, range);
    let values = scores.psnr_sound_db.keys().next_back();
    let gains: Option<Vec<f64>> = values.and_then(|values| curves.get(values)).map(|other| {
        scores.psnr_frames_db.iter().zip(other).map(|(own, other)| own - other).collect()
    });
    Comparison {
        psnr_db: curves.iter().map(|(&values, psnr)| (values, mean(psnr))).collect(),
        gain_db: gains.as_deref().map(mean),
        interval_db: gains.as_deref().and_then(|gains| interval(gains, groups)),
    }
}

/// The 95 % interval of the mean of `gains`, one per frame, bootstrapped over
/// `groups`: frames of one flight, place or clip are not independent.
fn interval(gains: &[f64], groups: &[&str]) -> Option<[f64; 2]> {
    const DRAWS: usize = 2000;
    let mut by_group: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (&gain, &group) in gains.iter().zip(groups) {
        let (sum, count) = by_group.entry(group).or_default();
        *sum += gain;
        *count += 1.0;
    }
    let by_group: Vec<(f64, f64)> = by_group.into_values().collect();
    if by_group.len() < 2 {
        return None;
    }
    let mut random = Random::named(0, "bootstrap");
    let means = (0..DRAWS).map(|_| {
        let (sum, count) = (0..by_group.len())
            .map(|_| by_group[random.below(by_group.len())])
            .fold((0.0, 0.0), |(sum, count), (s, c)| (sum + s, count + c));
        sum / count
    });
    middle(means, 0.025)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gain_db {
            Some(gain_db) => write!(f, "gained {gain_db:+.2} dB")?,
            None => write!(f, "too few training pictures for as many values")?,
        }
        if let Some([low, high]) = self.interval_db {
            write!(f, " ({low:+.2} to {high:+.2}, 95 % over groups)")?;
        }
        for (values, psnr) in &self.psnr_db {
            write!(f, "\n  {psnr:.2} dB with {values} values")?;
        }
        Ok(())
    }
}

impl Scores {
    /// Fills in what needs the pictures `received` through a 16-bit file.
    fn fidelity(&mut self, sent: &Sent, received: &[Received]) -> Result<()> {
        let range = sent.sonifier.range();
        self.psnr_frames_db = sent.psnr_db(received);
        let (mut exact, mut heard) = (Vec::new(), Vec::new());
        for sound in &sent.sounds {
            let psnr_db = |code: &[f32]| -> Result<f64> {
                let back = sent.sonifier.reconstruct(code)?;
                Ok(psnr_db(sound.sent.data.view(), back.view(), range))
            };
            exact.push(psnr_db(&sound.code)?);
            heard.push(psnr_db(&sent.sonifier.model().autoencoder().heard(&sound.code))?);
        }
        (self.psnr_code_db, self.psnr_heard_db) = (mean(&exact), mean(&heard));
        let mut square = vec![(0.0, 0usize); range.len()];
        let (mut similarities, mut angles) = (Vec::new(), Vec::new());
        for (sound, Received { picture, .. }) in sent.sounds.iter().zip(received) {
            let (a, b) = (sound.sent.data.view(), picture.view());
            for ((sum, a), b) in square.iter_mut().zip(a.outer_iter()).zip(b.outer_iter()) {
                for (a, b) in a.iter().zip(b).filter(|(a, _)| a.is_finite()) {
                    *sum = (sum.0 + f64::from(a - b).powi(2), sum.1 + 1);
                }
            }
            similarities.extend(ssim(a, b, range));
            angles.extend(spectral_angle_deg(a, b));
        }
        self.rmse = square.iter().map(|(sum, n)| (sum / (*n).max(1) as f64).sqrt()).collect();
        self.ssim = (!similarities.is_empty()).then(|| mean(&similarities));
        self.spectral_angle_deg = (!angles.is_empty()).then(|| mean(&angles));
        Ok(())
    }

    /// Fills in what ears would make of it.
    fn audible(&mut self, sent: &Sent) {
        let range = sent.sonifier.range();
        let pictures: Vec<Array3<f32>> =
            sent.sounds.iter().map(|sound| normalise(&sound.sent, range)).collect();
        let levels_db: Vec<Vec<f64>> =
            sent.sounds.iter().map(|sound| audible::levels_db(&sound.spectrum)).collect();
        self.audible_r = Pairs::new(&pictures, &levels_db).correlation(|_| 1);
        self.recognised = audible::retrieval(&levels_db);
        let still = sent.sounds.iter().step_by(sent.sounds.len().div_ceil(STILL));
        let layout = sent.sonifier.layout();
        let felt: Vec<[f64; 2]> = still.map(|sound| sensations(&sound.spectrum, layout)).collect();
        let [rough, slow] = [0, 1].map(|k| mean(&felt.iter().map(|v| v[k]).collect::<Vec<_>>()));
        (self.roughness_asper, self.fluctuation_vacil) = (rough, slow);
    }

    /// Fills in what the codes and their loudness say.
    fn loudness(&mut self, sounds: &[Sound]) {
        let means: Vec<f64> = sounds
            .iter()
            .map(|sound| mean(&sound.code.iter().map(|&v| f64::from(v)).collect::<Vec<_>>()))
            .collect();
        let energy: Vec<f64> = sounds.iter().map(|sound| sound.band_energy).collect();
        let loudness: Vec<f64> = sounds.iter().map(|sound| sound.loudness_lufs).collect();
        self.energy_code_r = correlation(&energy, &means);
        self.energy_loudness_r = correlation(&energy, &loudness);
        self.loudness_span_lu =
            middle(loudness.into_iter(), 0.05).map_or(0.0, |[low, high]| high - low);
        self.uniformity_pooled =
            uniformity(sounds.iter().flat_map(|sound| sound.code.iter().copied()));
        let positions = sounds.first().map_or(0, |sound| sound.code.len());
        self.uniformity_worst = (0..positions)
            .map(|position| uniformity(sounds.iter().map(|sound| sound.code[position])))
            .fold(0.0, f64::max);
    }
}

/// Frames that were turned into one sound.
struct Sent {
    sonifier: Sonifier,
    sounds: Vec<Sound>,
    samples: Vec<f32>,
}

/// What came back of one frame.
struct Received {
    code: Vec<f32>,
    /// `[band, row, column]`, physical units.
    picture: Array3<f32>,
}

impl Sent {
    /// Turns `frames` into sound, as `mapping` has it.
    fn new(model: &Model, frames: &[Frame], mapping: Mapping) -> Result<Self> {
        let mut sonifier = Sonifier::new(model.clone(), mapping, 0)?;
        let mut samples = Vec::new();
        let mut sounds = Vec::with_capacity(frames.len());
        for frame in frames {
            let mut sound = sonifier.sonify(frame)?;
            samples.append(&mut sound.samples);
            sounds.push(sound);
        }
        samples.extend(sonifier.finish());
        Ok(Self { sonifier, sounds, samples })
    }

    /// What comes back through `channel`; `None` where it cannot be had here.
    fn receive(&mut self, channel: Channel) -> Result<Option<Vec<Received>>> {
        let Some(mut samples) = channel.carry(&self.samples)? else { return Ok(None) };
        if channel != Channel::Wav {
            // As `listen` does with what is no file of ours.
            match align([&samples]) {
                Some(aligned) if aligned.frames == self.sounds.len() => samples = aligned.samples,
                _ => {}
            }
            self.sonifier.equalise(&samples, self.sounds.len());
        }
        let mut received = Vec::with_capacity(self.sounds.len());
        for slot in 0..self.sounds.len() {
            let code = match self.sonifier.hear(&samples, slot) {
                Some(code) => code,
                // A quiet frame may drown in the errors of a poor codec: then
                // nothing is known of it, and its code is the middle.
                None if channel != Channel::Wav => self.sonifier.unknown(),
                None => {
                    let what = format!("slot {slot} of {} is missing", self.sounds.len());
                    return Err(Error::new(Fault::Unsupported, "sound", what));
                }
            };
            let picture = self.sonifier.reconstruct(&code)?;
            received.push(Received { code, picture });
        }
        Ok(Some(received))
    }

    /// PSNR in dB of each frame.
    fn psnr_db(&self, received: &[Received]) -> Vec<f64> {
        let range = self.sonifier.range();
        let pairs = self.sounds.iter().zip(received);
        pairs.map(|(s, r)| psnr_db(s.sent.data.view(), r.picture.view(), range)).collect()
    }

    /// Bits per frame: see [`figures::bits`].
    fn bits(&self, received: &[Received]) -> f64 {
        let components = |code: &[f32]| self.sonifier.components(code);
        let sent: Vec<_> = self.sounds.iter().map(|sound| components(&sound.code)).collect();
        let back: Vec<_> = received.iter().map(|received| components(&received.code)).collect();
        bits(&sent, &back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_many_bands_are_the_best_and_the_worst() {
        assert_eq!(errors(&[0.5]), ["error of band 1: 0.5000 (RMS, physical units)"]);
        let many: Vec<f64> = (0..300).map(|band| f64::from((band * 7) % 300) + 1.0).collect();
        assert_eq!(
            errors(&many),
            [
                "best of 300 bands: error of band 1: 1.0000 (RMS, physical units)",
                "worst of 300 bands: error of band 258: 300.0000 (RMS, physical units)"
            ]
        );
    }

    #[test]
    fn an_interval_over_groups_is_wider_than_over_frames() {
        // Ten frames in each of four flights that differ as a whole.
        let gains: Vec<f64> = (0..40).map(|i| f64::from(i / 10)).collect();
        let names: Vec<String> = (0..40).map(|i| (i / 10).to_string()).collect();
        let flights: Vec<&str> = names.iter().map(String::as_str).collect();
        let [low, high] = interval(&gains, &flights).unwrap();
        assert!(low <= 0.75 && high >= 2.25, "{low}..{high}");
        let frames: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        let [low, high] = interval(&gains, &frames).unwrap();
        assert!(low > 1.0 && high < 2.0, "{low}..{high}");
        assert_eq!(interval(&gains[..10], &flights[..10]), None);
    }
}
