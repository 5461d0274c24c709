//! What a job will take, by the headers of its scenes.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use ndarray::Array3;
use serde::Serialize;

use super::record::Input;
use super::{BATCH, Job, Task, Unit, prepare, tasks};
use crate::error::Result;
use crate::frame::Frame;
use crate::sensor::{self, Source, count, duration};
use crate::session;
use crate::sonifier::Sonifier;
use crate::synth::{SLOT, SLOT_S};
use crate::voice::Ready;

/// Stored numbers that are read in a second, decoded and scaled: measured with
/// a tiled TIFF file of deflated 16-bit numbers on one core of a server of 2022.
/// JPEG 2000 takes several times as long, and what has overviews may take less.
const NUMBERS_PER_S: f64 = 1e8;

/// What one scene will take. Sizes are in bytes; what cannot be known before it
/// is read, as the length of a camera's recording, is absent.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// The source as the user named it.
    pub scene: String,
    /// How it will be heard, where that is worth a sentence.
    pub remark: Option<String>,
    /// Slots of sound, if no tile is empty.
    pub slots: Option<usize>,
    /// Their length in seconds.
    pub sound_s: Option<f64>,
    /// Size of what is read.
    pub bytes_read: Option<u64>,
    /// Size of the sound and of the frames as sent, at most; tables and sessions
    /// are not counted.
    pub bytes_written: Option<u64>,
    /// Number of files of sound, tables and the like.
    pub files: usize,
    /// About how long the work takes on this machine, in hours.
    pub hours: Option<f64>,
}

/// The scenes of `job` that are not there already.
///
/// # Errors
///
/// As for [`run`](super::run), as far as it can be told without opening a scene.
pub fn due(job: &Job) -> Result<Vec<&Unit>> {
    Ok(tasks(job)?.into_iter().map(|Task { unit, .. }| unit).collect())
}

/// What `scene` of `job` will take. Only headers are read, except where the
/// span of values has to be learned from the first pictures.
///
/// # Errors
///
/// If the scene cannot be opened, or no model speaks for it.
pub fn estimate(job: &Job, scene: &str) -> Result<Estimate> {
    let settings = &job.settings;
    let limit = sensor::limit(scene, settings.frames);
    let Ready { sensor, mut sonifier } = settings.voice.ready(scene, limit)?;
    let source = sensor.source();
    let slots = source.slots();
    let [rows, columns] = sonifier.model().grid();
    let readings = source.bands.len() * rows * columns;
    // As many slots as are asked for, which may be more than can be counted in bytes.
    let slot_bytes = |slots: usize| {
        // The lead-in and the lead-out last one slot each.
        let channels = if settings.stereo { 2 } else { 1 };
        let sound = (slots as u64).saturating_add(2);
        let sound = sound.saturating_mul((SLOT * channels * size_of::<i16>()) as u64);
        let frames = (slots as u64).saturating_mul((readings * size_of::<f32>()) as u64);
        sound.saturating_add(if settings.npy { frames } else { 0 })
    };
    let input = Input::of(&sensor::files(scene));
    let seconds = slots.map(|_| work_s(&mut sonifier, source, !settings.unscored)).transpose()?;
    Ok(Estimate {
        scene: scene.to_owned(),
        remark: source.remark.clone(),
        slots,
        sound_s: slots.map(|slots| slots as f64 * SLOT_S),
        bytes_read: (input.files > 0).then_some(input.bytes),
        bytes_written: slots.map(slot_bytes),
        // The record comes beside them.
        files: 1 + settings.endings().len(),
        hours: seconds.map(|seconds| seconds / 3600.0),
    })
}

impl Estimate {
    /// All of `estimates` together, as far as it is known of each.
    pub fn total(estimates: &[Self]) -> Self {
        let sum = |of: fn(&Self) -> Option<u64>| {
            estimates.iter().map(of).try_fold(0, |sum: u64, next| Some(sum.saturating_add(next?)))
        };
        let long = |of: fn(&Self) -> Option<f64>| estimates.iter().map(of).sum::<Option<f64>>();
        Self {
            scene: count(estimates.len(), "scene"),
            remark: None,
            slots: sum(|estimate| Some(estimate.slots? as u64)).map(|slots| slots as usize),
            sound_s: long(|estimate| estimate.sound_s),
            bytes_read: sum(|estimate| estimate.bytes_read),
            bytes_written: sum(|estimate| estimate.bytes_written),
            files: estimates.iter().map(|estimate| estimate.files).sum(),
            hours: long(|estimate| estimate.hours),
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: Option<u64>| match bytes {
            Some(bytes) => format!("{:.1} MB", bytes as f64 / 1e6),
            None => "an unknown size".to_owned(),
        };
        write!(f, "{}: ", self.scene)?;
        match self.sound_s {
            Some(sound_s) => write!(f, "{} of sound", duration(sound_s))?,
            None => write!(f, "sound of unknown length")?,
        }
        let (read, written) = (size(self.bytes_read), size(self.bytes_written));
        write!(f, ", {read} read, {written} written, {}", count(self.files, "file"))?;
        if let Some(hours) = self.hours {
            write!(f, ", about {} of work", duration(3600.0 * hours))?;
        }
        match &self.remark {
            Some(remark) => write!(f, "; {}", remark.trim_end_matches('.')),
            None => Ok(()),
        }
    }
}

/// Seconds from the pictures of `source` to its tables. The reader takes one
/// core, and all of them share the rest of the work.
fn work_s(sonifier: &mut Sonifier, source: &Source, scored: bool) -> Result<f64> {
    let (frames, slots) = (source.frames.unwrap_or(0), source.slots().unwrap_or(0));
    let factor = source.scene.as_ref().map_or(1, |scene| scene.factor);
    let pixels = source.rows as f64 * source.columns as f64 * (factor as f64).powi(2);
    let reading_s = frames as f64 * pixels * source.bands.len() as f64 / NUMBERS_PER_S;

    let [rows, columns] = sonifier.model().grid();
    let empty = Array3::zeros((source.bands.len(), rows, columns));
    let frame = Arc::new(Frame::new(empty, source.bands.clone(), 0.0));
    let frames = vec![frame; BATCH];
    // The first ones find nothing at hand.
    prepare(sonifier, &frames)?;
    let started = Instant::now();
    let prepared = prepare(sonifier, &frames)?;
    let sounds = prepared.into_iter().map(|prepared| sonifier.sound(prepared)).collect();
    session::moments(sonifier, 0, sounds, scored)?;
    let slot_s = started.elapsed().as_secs_f64() / BATCH as f64;
    let cores = rayon::current_num_threads() as f64;
    Ok((slots as f64 * slot_s + reading_s / cores).max(reading_s))
}
