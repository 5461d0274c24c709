//! The whole middle, without I/O: frame to sound, and sound to frame.

use ndarray::{Array3, ArrayView2, ArrayView3};

use crate::autoencoder::{self, estimate::Estimator};
use crate::error::{Error, Result};
use crate::frame::{self, Area, Band, Frame};
use crate::model::{Model, normalise};
use crate::original::Original;
use crate::profile::Polarity;
use crate::receiver::{Noise, Receiver};
use crate::sensor::{self, Source};
use crate::sink::Header;
use crate::spectrum::noisy::{Levels, Observation};
use crate::spectrum::response::{Hearing, Response};
use crate::spectrum::{Layout, Mapping, Spectrum};
use crate::synth::{SLOT, SLOT_S, Synth};

/// How often the anchor of noisy levels is corrected; each step takes off at
/// least half of its error.
const ANCHOR_STEPS: usize = 5;

/// An anchor that is off by less than this, in dB, is right.
const ANCHOR_ERROR_DB: f64 = 1e-6;

/// By how much the sound falls in each slot without a picture, and rises in
/// each one after it, in dB.
const FADE_DB: f32 = 12.0;

/// What would be fainter than this is silent.
const FAINTEST_DB: f32 = -48.0;

/// A response is learned from so many slots at most, evenly spaced.
const RESPONSE_SLOTS: usize = 200;

/// Frames of one kind to sound, one slot each.
#[derive(Debug)]
pub struct Sonifier {
    model: Model,
    layout: Layout,
    synth: Synth,
    /// Makes the sound in place of the synth.
    original: Option<Original>,
    receiver: Receiver,
    estimator: Estimator,
    response: Option<Response>,
    range: Vec<[f64; 2]>,
    polarity: Polarity,
    seed: u64,
    /// See [`Sonifier::set_level`].
    level: usize,
    /// What was sent last, before the fade.
    last: Spectrum,
    /// Gain of the fade; 0 while there are pictures.
    fade_db: f32,
}

/// What a frame became.
#[derive(Clone, Debug)]
pub struct Sound {
    /// The frame as sent: on the model's grid, in physical units, NaN where
    /// there was no reading.
    pub sent: Frame,
    /// The code, K values in 0..1.
    pub code: Vec<f32>,
    /// Amplitudes of the sound.
    pub spectrum: Spectrum,
    /// Level of each code value in dB, 0 dB being a full-scale sine.
    pub levels_db: Vec<f32>,
    /// Loudness of the steady sound in LUFS.
    pub loudness_lufs: f64,
    /// The mean reading of each band, where the band's range is 0..1; none
    /// without readings.
    pub band_means: Vec<Option<f64>>,
    /// Weighted sum over bands of those means, polarity applied; the weights
    /// are the bands' widths, and sum to 1.
    pub band_energy: f64,
    /// The next samples of the sound at 48 kHz, full scale 1.0. The first
    /// frame's are preceded by the lead-in.
    pub samples: Vec<f32>,
}

/// A frame that only lacks its place in the sound.
#[derive(Clone, Debug)]
pub struct Prepared {
    sent: Frame,
    code: Vec<f32>,
    band_means: Vec<Option<f64>>,
}

impl Prepared {
    /// The code that it will be sent as.
    pub fn code(&self) -> &[f32] {
        &self.code
    }

    /// The frame as it will be sent, see [`Sound::sent`].
    pub fn sent(&self) -> &Frame {
        &self.sent
    }
}

impl Sonifier {
    /// A sonifier of `model`; the code is averaged to `mapping.values` groups
    /// where the mapping has fewer values than the model. `seed` is that of
    /// the phases.
    ///
    /// # Errors
    ///
    /// If the mapping has more values than the model, not a power of two of
    /// them, or more than its axis has bins.
    pub fn new(model: Model, mapping: Mapping, seed: u64) -> Result<Self> {
        let (asked, has) = (mapping.values, model.values());
        if !asked.is_power_of_two() || asked > has {
            let what = format!("{asked} values asked, the model's code has {has}");
            return Err(Error::usage("mapping", what)
                .hint("ask for a power of two that is not larger, or train with --values"));
        }
        let layout = Layout::new(&mapping)?;
        Ok(Self {
            synth: Synth::new(seed, &layout),
            layout,
            original: None,
            receiver: Receiver::new(),
            response: None,
            estimator: Estimator::new(model.autoencoder(), asked),
            range: model.range().to_vec(),
            polarity: model.profile().polarity,
            model,
            seed,
            level: asked,
            last: Spectrum::silence(),
            fade_db: 0.0,
        })
    }

    /// Lets other physical values mean 0 and 1, per band: a narrower range
    /// makes small differences audible.
    #[must_use]
    pub fn with_range(mut self, range: Vec<[f64; 2]>) -> Self {
        self.range = range;
        self
    }

    /// Lets the other end of the range be loud.
    #[must_use]
    pub fn with_polarity(mut self, polarity: Polarity) -> Self {
        self.polarity = polarity;
        self
    }

    /// Makes the [original's sound](crate::original) of the codes instead, for
    /// comparison. All else is told of them as of ours.
    ///
    /// # Errors
    ///
    /// If the codes have more values than it can sound.
    pub fn with_original(mut self) -> Result<Self> {
        self.original = Some(Original::of(self.layout.mapping(), self.seed)?);
        Ok(self)
    }

    /// The model in use.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The mapping in use, planned.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Per band, the physical values that mean 0 and 1.
    pub fn range(&self) -> &[[f64; 2]] {
        &self.range
    }

    /// Which end of the range is loud.
    pub fn polarity(&self) -> Polarity {
        self.polarity
    }

    /// Number of groups of equal values that a code has.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Lets later frames keep no more than the `level` leading components, a
    /// power of two from 1 to the number of values: their codes then consist
    /// of as many groups of neighbours whose values are equal, but for the
    /// steps of their digits. What is between is rounded down.
    ///
    /// The mapping keeps its values, and their scale is that of the full code,
    /// so that one receiver reads all levels of a sound, and a picture is as
    /// loud at each. A code that is averaged once and for all, as by a mapping
    /// of fewer values, is stretched to fill 0..1 again, which the receiver has
    /// to know beforehand.
    pub fn set_level(&mut self, level: usize) {
        let most = self.layout.mapping().values;
        self.level = 1 << level.clamp(1, most).ilog2();
    }

    /// One sentence on who speaks, where no model was trained for the sensor, or
    /// for all of its bands.
    pub fn introduction(&self) -> Option<String> {
        let view = self.model.view()?;
        let (name, profile) = (self.model.name(), &self.model.profile().name);
        if name == profile {
            let count = sensor::count(view.bands.len(), "band");
            return Some(format!(
                "There is no more than {count} of {profile}: its model speaks as far as they tell."
            ));
        }
        let way = match view.loadings {
            Some(_) => "by how its bands, which state no wavelengths, vary together here",
            None => "as far as their bands agree",
        };
        let mut text = format!("No model was trained for {profile}: {name} speaks for it, {way}");
        if let (&[[low, high]], Some(band)) = (&self.range[..], self.model.bands().first()) {
            text += &format!("; {low:.4} {unit} is quiet, {high:.4} loud", unit = band.unit);
        }
        Some(text + ".")
    }

    /// The part of the grid that pictures of `rows` by `columns` cover.
    pub fn area(&self, rows: usize, columns: usize) -> Area {
        let [grid_rows, grid_columns] = self.model.grid();
        Area::letterbox(rows, columns, grid_rows, grid_columns)
    }

    /// What a file of this sound says about itself; `name` is the source's.
    pub fn header(&self, source: &Source, name: &str) -> Header {
        let area = match &source.scene {
            Some(_) => self.area(1, 1),
            None => self.area(source.rows, source.columns),
        };
        let header = Header {
            format: crate::sink::FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: None,
            model: self.model.name().to_owned(),
            model_hash: self.model.hash().to_owned(),
            profile: self.model.profile().name.clone(),
            view: self.model.view().cloned(),
            mapping: self.layout.mapping().clone(),
            original: false,
            stereo: false,
            polarity: self.polarity,
            range: self.range.clone(),
            seed: self.seed,
            lead_in_s: SLOT_S,
            speed: source.speed,
            frames: None,
            area,
            source: name.to_owned(),
            start_time: None,
            scene: source.scene.clone(),
            positions: Vec::new(),
            left_out: Vec::new(),
        };
        if self.original.is_some() { Original::header(header) } else { header }
    }

    /// The next frame as sound.
    ///
    /// # Errors
    ///
    /// If the frame has other bands than the model takes.
    pub fn sonify(&mut self, frame: &Frame) -> Result<Sound> {
        let prepared = self.prepare(frame)?;
        Ok(self.sound(prepared))
    }

    /// What [`Self::sound`] needs to know of a frame: the larger part of the
    /// work, which can be done for many frames at once. A frame that brings its
    /// code is sent as that.
    ///
    /// # Errors
    ///
    /// As for [`Self::sonify`].
    pub fn prepare(&self, frame: &Frame) -> Result<Prepared> {
        self.model.accepts(&frame.bands)?;
        let [rows, columns] = self.model.grid();
        let sent = frame.letterbox(rows, columns);
        let code = match &frame.code {
            Some(code) if code.len() == self.layout.mapping().values => self.again(code),
            _ => self.encode(&sent)?,
        };
        Ok(Prepared { band_means: self.band_means(sent.data.view()), sent, code })
    }

    /// The next frame as sound, once it is prepared.
    pub fn sound(&mut self, Prepared { sent, code, band_means }: Prepared) -> Sound {
        self.last = self.layout.spectrum(&code);
        self.fade_db = (self.fade_db.max(FAINTEST_DB) + FADE_DB).min(0.0);
        let spectrum = self.sounding();
        let mut samples = Vec::new();
        match &mut self.original {
            Some(original) => original.push(&code, &mut samples),
            None => self.synth.push(&spectrum, &mut samples),
        }
        Sound {
            band_energy: self.band_energy(&sent.bands, &band_means),
            band_means,
            levels_db: self.layout.levels_db(&spectrum),
            loudness_lufs: self.layout.loudness_lufs(&spectrum),
            sent,
            code,
            spectrum,
            samples,
        }
    }

    /// The next slot where there is no picture: the last one's sound fades by
    /// 12 dB a slot, and is silent after four. Later frames fade in as fast.
    ///
    /// A receiver takes no notice of a fade, as it takes gains out by the
    /// pilots: it reads the last picture from a slot that fades, and none from
    /// a silent one. The original's sound, which has no fades, is silent at once.
    pub fn rest(&mut self) -> Vec<f32> {
        self.fade_db = (self.fade_db - FADE_DB).max(FAINTEST_DB - FADE_DB);
        let mut samples = Vec::new();
        match self.original {
            Some(_) => samples.resize(SLOT, 0.0),
            None => self.synth.push(&self.sounding(), &mut samples),
        }
        samples
    }

    /// What was sent last, as faint as it is now.
    pub fn sounding(&self) -> Spectrum {
        self.faded(self.last.clone())
    }

    /// What a frame sounds like as faint as it is now, for whoever hears it before
    /// it has a slot.
    pub fn preview(&self, prepared: &Prepared) -> Spectrum {
        self.faded(self.layout.spectrum(&prepared.code))
    }

    fn faded(&self, mut spectrum: Spectrum) -> Spectrum {
        if self.fade_db < 0.0 {
            let audible = self.fade_db >= FAINTEST_DB;
            let gain = if audible { 10f32.powf(self.fade_db / 20.0) } else { 0.0 };
            spectrum.amplitudes.iter_mut().for_each(|amplitude| *amplitude *= gain);
        }
        spectrum
    }

    /// The end of the sound: the last frame fades out over one more slot. The
    /// original's sound ends without.
    pub fn finish(&mut self) -> Vec<f32> {
        let mut samples = Vec::new();
        self.synth.finish(&mut samples);
        samples
    }

    /// The code heard in slot `slot` of `samples`, counted from the end of the
    /// lead-in; `None` past the last whole slot, or where it is silent.
    pub fn hear(&mut self, samples: &[f32], slot: usize) -> Option<Vec<f32>> {
        let mut spectrum = self.receiver.spectrum(samples, slot)?;
        let Noise { own, around: mut noise } = self.receiver.noise(samples, slot)?;
        // Neighbours may be much louder, and so be their noise.
        if self.layout.is_silent(&spectrum, &own) {
            return None;
        }
        if let Some(response) = &self.response {
            response.take_out(&mut spectrum, &mut noise);
        }
        let noise_db = self.layout.noise_db(&spectrum, &noise);
        let usual = self.response.as_ref().map(|response| response.usual_gain(noise_db));
        match self.layout.levels(&spectrum, &noise, usual) {
            Some(levels) => self.most_probable(&levels),
            None => Some(self.layout.code(&spectrum)),
        }
    }

    /// Learns from a recording of `slots` slots, aligned as [`Self::hear`] wants
    /// it, what the way that it took does to levels; `hear` takes that out
    /// from then on.
    pub fn equalise(&mut self, samples: &[f32], slots: usize) {
        let step = slots.div_ceil(RESPONSE_SLOTS).max(1);
        let mut heard = Vec::new();
        for slot in (0..slots).step_by(step) {
            let spectrum = self.receiver.spectrum(samples, slot);
            let noise = self.receiver.noise(samples, slot).map(|noise| noise.around);
            heard.extend(spectrum.zip(noise).map(|(spectrum, noise)| Hearing { spectrum, noise }));
        }
        self.response = self.layout.response(heard);
    }

    /// The most probable code behind levels heard through noise.
    fn most_probable(&self, levels: &Levels) -> Option<Vec<f32>> {
        let mut anchor_db = levels.anchor_db();
        let mut estimate = Vec::new();
        for _ in 0..ANCHOR_STEPS {
            let mut heard = levels.observations(anchor_db);
            if self.polarity == Polarity::ColdLoud {
                heard.iter_mut().for_each(Observation::reverse);
            }
            estimate = self.estimator.estimate(&heard)?;
            let mean = estimate.iter().sum::<f64>() / estimate.len().max(1) as f64;
            let mean = if self.polarity == Polarity::ColdLoud { 1.0 - mean } else { mean };
            let corrected_db = levels.corrected_db(anchor_db, mean);
            // Without noise the first guess is right.
            if (corrected_db - anchor_db).abs() < ANCHOR_ERROR_DB {
                break;
            }
            anchor_db = corrected_db;
        }
        Some(estimate.into_iter().map(|value| self.polar(value as f32)).collect())
    }

    /// The picture that a code still holds, `[band, row, column]` on the
    /// model's grid, in physical units.
    ///
    /// # Errors
    ///
    /// If the code does not have as many values as the mapping.
    pub fn reconstruct(&self, code: &[f32]) -> Result<Array3<f32>> {
        let groups = self.layout.mapping().values;
        if code.len() != groups {
            let what = format!("{} values, the mapping has {groups}", code.len());
            return Err(Error::usage("code", what));
        }
        let mut picture = self.model.autoencoder().decode(&self.whole(code), groups)?;
        for (mut band, &[low, high]) in picture.outer_iter_mut().zip(&self.range) {
            band.mapv_inplace(|v| (low + f64::from(v) * (high - low)) as f32);
        }
        Ok(picture)
    }

    /// The code of which nothing is known: the middle.
    pub fn unknown(&self) -> Vec<f32> {
        self.model.autoencoder().heard(&vec![0.5; self.layout.mapping().values])
    }

    /// The components of unit variance that a code still holds, `[component]`,
    /// as many as the model has; zero beyond those that were sent.
    pub fn components(&self, code: &[f32]) -> Vec<f32> {
        let groups = self.layout.mapping().values;
        self.model.autoencoder().components_of_code(&self.whole(code), groups)
    }

    /// A code that was sent as the model has it: each value for its whole
    /// group, without the polarity.
    fn whole(&self, code: &[f32]) -> Vec<f32> {
        let repeat = self.model.values() / self.layout.mapping().values;
        code.iter().flat_map(|&value| std::iter::repeat_n(self.polar(value), repeat)).collect()
    }

    /// The code of a frame on the model's grid.
    fn encode(&self, sent: &Frame) -> Result<Vec<f32>> {
        let mut picture = normalise(sent, &self.range);
        let autoencoder = self.model.autoencoder();
        let bands = sent.data.outer_iter().enumerate();
        let empty = bands.filter(|(_, band)| band.iter().all(|value| !value.is_finite()));
        let empty: Vec<usize> = empty.map(|(band, _)| band).collect();
        if (1..sent.bands.len()).contains(&empty.len()) {
            autoencoder.linear().complete(&mut picture, &empty);
        }
        let picture = autoencoder.tensor(std::slice::from_ref(&picture))?;
        let components = autoencoder::read(autoencoder.components(picture))?;
        Ok(self.code(&components))
    }

    /// The code of the leading components, as many as the level keeps.
    fn code(&self, components: &[f32]) -> Vec<f32> {
        let groups = self.layout.mapping().values;
        let autoencoder = self.model.autoencoder();
        // Second digits hold what is finer than all levels.
        let level = if self.level < groups { self.level } else { autoencoder.carried(groups) };
        let kept = components.get(..level).unwrap_or(components);
        let code = autoencoder.code(kept, groups);
        let repeat = code.len() / groups;
        code.iter().step_by(repeat).map(|&value| self.polar(value)).collect()
    }

    /// A code that was sent before: the same one, unless the level is lower.
    fn again(&self, code: &[f32]) -> Vec<f32> {
        match self.level == self.layout.mapping().values {
            true => code.to_vec(),
            false => self.code(&self.components(code)),
        }
    }

    /// A code value with the polarity applied; its own inverse.
    fn polar(&self, value: f32) -> f32 {
        match self.polarity {
            Polarity::HotLoud => value,
            Polarity::ColdLoud => 1.0 - value,
        }
    }

    /// See [`Sound::band_means`]; `sent` is `[band, row, column]`.
    fn band_means(&self, sent: ArrayView3<f32>) -> Vec<Option<f64>> {
        let mean = |(readings, &[low, high]): (ArrayView2<f32>, &[f64; 2])| {
            let (sum, count) = frame::sum_of(readings, f64::from);
            (count > 0).then(|| (sum / count as f64 - low) / (high - low))
        };
        sent.outer_iter().zip(&self.range).map(mean).collect()
    }

    /// See [`Sound::band_energy`].
    fn band_energy(&self, bands: &[Band], means: &[Option<f64>]) -> f64 {
        let (mut energy, mut weights) = (0.0, 0.0);
        for (band, mean) in bands.iter().zip(means) {
            if let &Some(mean) = mean {
                let weight = f64::from(band.weight());
                energy +=
                    weight * if self.polarity == Polarity::ColdLoud { 1.0 - mean } else { mean };
                weights += weight;
            }
        }
        if weights > 0.0 { energy / weights } else { 0.0 }
    }

    /// Where the energy of the bands of `sent` is centred, from left, -1, to
    /// right, 1; 0 without any, and `None` without a reading.
    pub fn place(&self, sent: &Frame) -> Option<f32> {
        let (mut moment, mut energy, mut seen) = (0.0, 0.0, false);
        let bands = sent.bands.iter().zip(sent.data.outer_iter()).zip(&self.range);
        for ((band, picture), &[low, high]) in bands {
            for ((_, column), &reading) in picture.indexed_iter().filter(|(_, v)| v.is_finite()) {
                let value = ((f64::from(reading) - low) / (high - low)).clamp(0.0, 1.0);
                let own = f64::from(band.weight()) * f64::from(self.polar(value as f32));
                moment += own * ((2 * column + 1) as f64 / picture.ncols() as f64 - 1.0);
                energy += own;
                seen = true;
            }
        }
        let centre = if energy > 0.0 { moment / energy } else { 0.0 };
        seen.then_some(centre as f32)
    }
}

#[cfg(test)]
mod tests;
