//! The session recorder: a read-only tap that logs to Rerun what went in,
//! what was sent and what came back.
//!
//! Every target (a file, a viewer) has its own thread and its own queue, so
//! that a viewer that stalls costs the file nothing, and neither delays the
//! sound. In a session one finds, on the timelines `slot` (number) and `time`
//! (seconds since the end of the lead-in):
//!
//! | entity | what |
//! |---|---|
//! | `input/picture`, `input/values` | the frame as sent: colours as PNG, and values in physical units `[band, row, column]` |
//! | `reconstruction/from_code/..`, `reconstruction/from_sound/..` | the same two for what came back; the values once in [`VALUES_STEP`] slots while the pace is live |
//! | `code` | the code, 0..1 |
//! | `spectrum` | level of each value in dB above the lowest possible level, over Hz |
//! | `spectrogram` | the last [`SPECTROGRAM_SLOTS`] spectra as a picture |
//! | `scores/loudness_lufs`, `band_energy`, `psnr_db`, `latency_s`, `sample`, `left_out`, `drops` | one number per slot |
//! | `scene/highest`, `lowest`, `centre` | values of the picture before it was shrunk, likewise |
//! | `marks` | what was noted at a slot, in words |
//! | `about` | what the session is, and what its colours mean |
//!
//! Values are stored in half precision where its steps are finer than a
//! thousandth of the band's range, else in single precision.

mod outlet;
#[cfg_attr(not(feature = "rerun"), allow(dead_code, reason = "read by the stream only"))]
mod queue;
mod replay;
mod viewer;

#[cfg(feature = "rerun")]
mod blueprint;
#[cfg_attr(not(feature = "rerun"), path = "absent.rs")]
mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ndarray::Array3;

use crate::error::{Error, Result};
use crate::frame::Band;
use crate::picture::{png, preview};
use outlet::{Destination, Outlet};
use queue::{Entry, Pictures, Slot};

pub use replay::{Recorded, Replay, Replayed, SCORES, Slots};
pub(crate) use viewer::MAGIC;
pub use viewer::{is_session, view};

/// So many slots are on a spectrogram.
pub const SPECTROGRAM_SLOTS: usize = 100;

/// While the pace is live, the values of what came back are kept once in so
/// many slots: code and model give them, too.
pub const VALUES_STEP: u64 = 10;

/// The share of values that Rerun's compression (LZ4) leaves: 0.6 to 0.8 in a
/// minute of the simulated camera, of HIT-UAV, of a Lepton and of Sentinel-2.
const VALUES_LEFT: f64 = 0.7;

/// What a slot takes in a file beside its pictures and values: times, scores, a
/// share of the spectrogram and what the format itself needs, in bytes.
const SLOT_BYTES: usize = 1000;

/// Slots of a live file: an hour, after which its index takes 23 MB.
const LONGEST: u64 = 36_000;

/// Whether the caller has time to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// The caller is never held up. Pictures are dropped while a target is
    /// behind, and counted; codes, times and scores are kept for an hour, and
    /// a target further behind than that is given up with an error. A file is
    /// written in place and is readable at every moment, save for the last
    /// seconds.
    #[default]
    Live,
    /// Nothing is dropped: the caller waits until the target has caught up.
    /// A file appears under its name when it is complete.
    Batch,
}

/// Where a session goes: any of these together. None: nothing is recorded.
/// Rerun's own viewers of the same minor version show it, on a screen or, with
/// their option `--web-viewer`, in a browser.
#[derive(Clone, Debug)]
pub struct Target {
    /// To this `.rrd` file.
    pub save: Option<PathBuf>,
    /// To the viewer that listens at this address, such as
    /// `rerun+http://127.0.0.1:9876/proxy`.
    pub connect: Option<String>,
    /// To viewers that connect to this port of the loopback interface.
    pub serve: Option<u16>,
    /// To a viewer that is started for it, or already runs on this machine.
    pub spawn: bool,
    /// Whether the caller has time to wait.
    pub pace: Pace,
    /// How long [`Recorder::finish`] waits for a target that takes nothing.
    pub patience: Duration,
    /// A live session goes on in a file of its own after so many slots: Rerun
    /// keeps an index of a file in memory until the file ends.
    pub longest: u64,
}

impl Target {
    /// Whether nothing is recorded.
    pub fn is_none(&self) -> bool {
        let Self { save, connect, serve, spawn, .. } = self;
        save.is_none() && connect.is_none() && serve.is_none() && !spawn
    }

    /// Where the session can be seen: a plain sentence for each of them.
    pub fn introduction(&self) -> Vec<String> {
        let mut told = vec![];
        if let Some(path) = &self.save {
            told.push(format!("The session is recorded to {}.", path.display()));
        }
        if let Some(address) = &self.connect {
            told.push(format!("The viewer at {address} shows the session."));
        }
        if let Some(port) = self.serve {
            let address = format!("rerun+http://127.0.0.1:{port}/proxy");
            told.push(format!(
                "Viewers on this machine can show the session: rerun {address}, or in a browser: \
                 rerun --web-viewer --bind 127.0.0.1 {address}"
            ));
        }
        if self.spawn {
            let sentence = "The viewer is a window of its own; everything else goes on without it.";
            told.push(sentence.to_owned());
        }
        told
    }
}

impl Default for Target {
    fn default() -> Self {
        Self {
            save: None,
            connect: None,
            serve: None,
            spawn: false,
            pace: Pace::Live,
            patience: Duration::from_secs(20),
            longest: LONGEST,
        }
    }
}

/// What a session is about, known at its start.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The command that was given.
    pub command_line: String,
    /// The seed of everything random.
    pub seed: u64,
    /// Name of the model.
    pub model: String,
    /// SHA-256 of the model file, hexadecimal.
    pub model_hash: String,
    /// Name of the sensor profile.
    pub profile: String,
    /// What the frames come from.
    pub source: String,
    /// The sound file of the session. Rerun holds no sound.
    pub wav: Option<PathBuf>,
    /// Where time 0 of the session lies in the sound file, in seconds.
    pub lead_in_s: f64,
    /// When the session began, RFC 3339.
    pub start_time: Option<String>,
    /// What a sound file of it says about itself, as JSON, so that it can be
    /// heard again; empty where there is no sound.
    pub header: String,
    /// The bands of the frames.
    pub bands: Arc<[Band]>,
    /// Per band: the physical values that mean 0 and 1.
    pub range: Vec<[f64; 2]>,
    /// Centre of each value's frequencies in hertz.
    pub frequencies_hz: Vec<f64>,
    /// Lowest and highest level in dB that a value can have.
    pub levels_db: [f32; 2],
}

/// What a picture was decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the code before it became sound.
    FromCode,
    /// From the code that was heard in the sound.
    FromSound,
}

/// One slot of a session.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Number of the slot.
    pub slot: u64,
    /// Seconds since the end of the lead-in.
    pub time_s: f64,
    /// The frame as sent, `[band, row, column]` in physical units.
    pub input: Array3<f32>,
    /// The code, 0..1.
    pub code: Vec<f32>,
    /// Level of each value in dB.
    pub levels_db: Vec<f32>,
    /// What came back, `[band, row, column]` in physical units.
    pub reconstruction: Option<(Array3<f32>, Origin)>,
    /// Loudness of the slot in LUFS.
    pub loudness_lufs: f64,
    /// Band energy of the frame, 0..1.
    pub band_energy: f64,
    /// Fidelity of the reconstruction in dB.
    pub psnr_db: Option<f64>,
    /// Seconds from the picture's arrival to its sound.
    pub latency_s: Option<f64>,
    /// The first sample that the picture changes, in the sound as it is played.
    pub sample: Option<u64>,
    /// Pictures of the source that were left out so far.
    pub left_out: Option<u64>,
    /// The highest and the lowest value of the picture, and the one at its
    /// centre, in physical units.
    pub extremes: [Option<f64>; 3],
}

/// What did not reach the targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Slots whose pictures were dropped, summed over the targets.
    pub pictures: u64,
}

/// The tap. Dropping it ends the session like [`Recorder::finish`], without a
/// report.
#[derive(Debug)]
pub struct Recorder {
    about: Arc<Session>,
    outlets: Vec<Outlet>,
    patience: Duration,
}

impl Recorder {
    /// Opens every target of `target`.
    ///
    /// # Errors
    ///
    /// If a target cannot be opened: a file that cannot be created, an
    /// address where no viewer listens, a port that is taken, a viewer that
    /// is missing or of another version; or, for any target, if this build
    /// has no recorder.
    pub fn new(target: &Target, about: &Session) -> Result<Self> {
        let about = Arc::new(about.clone());
        let recording = stream::recording_id();
        // The file last: where a viewer is missing, an earlier one stays as it is.
        let destinations = [
            target.connect.clone().map(Destination::Viewer),
            target.serve.map(Destination::Port),
            target.spawn.then_some(Destination::NewViewer),
            target.save.clone().map(Destination::File),
        ];
        let outlets = destinations
            .into_iter()
            .flatten()
            .map(|destination| Outlet::open(destination, target, &recording, &about))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { about, outlets, patience: target.patience })
    }

    /// Logs one slot; see [`Pace`] for whether this can wait.
    pub fn log(&self, moment: Moment) {
        if self.outlets.is_empty() {
            return;
        }
        let slot = Slot::from(moment);
        for outlet in &self.outlets {
            outlet.push(Entry::Slot(slot.clone()));
        }
    }

    /// About how many bytes of a file a live session takes for each slot that is
    /// like `moment`.
    pub fn slot_bytes(&self, moment: &Moment) -> usize {
        let Session { bands, range, .. } = &*self.about;
        let picture = |data: &Array3<f32>| {
            png(&preview(data.view(), range, bands)).map_or(0, |png| png.len())
        };
        let size = VALUES_LEFT * if halves_suffice(range) { 2.0 } else { 4.0 };
        let values = |data: &Array3<f32>| (data.len() as f64 * size) as usize;
        let back = moment
            .reconstruction
            .as_ref()
            .map_or(0, |(data, _)| picture(data) + values(data) / VALUES_STEP as usize);
        let numbers = moment.code.len() + moment.levels_db.len();
        picture(&moment.input) + values(&moment.input) + back + 4 * numbers + SLOT_BYTES
    }

    /// Notes `text` at slot `slot`, `time_s` seconds after the lead-in.
    pub fn mark(&self, slot: u64, time_s: f64, text: &str) {
        for outlet in &self.outlets {
            outlet.push(Entry::Mark { slot, time_s, text: text.to_owned() });
        }
    }

    /// Logs `value` at `path` (such as `loss/choose`) on the timeline `step`.
    pub fn log_scalar(&self, path: &str, step: u64, value: f64) {
        for outlet in &self.outlets {
            outlet.push(Entry::Scalar { path: path.to_owned(), step, value });
        }
    }

    /// Says in which files the session has gone on (after `session.rrd` come
    /// `session-2.rrd` and so on, each a session by itself), and gives up the targets that
    /// have failed, as a viewer whose window is closed, or a file on a full disk,
    /// with a word. Everything else goes on. Anybody may close a viewer; the
    /// errors of files, whose end is missing, are returned.
    pub fn tell(&mut self, say: &mut dyn FnMut(&str)) -> Vec<Error> {
        for path in self.outlets.iter().flat_map(Outlet::begun) {
            say(&format!("The session goes on in {}.", path.display()));
        }
        let mut failures = vec![];
        for outlet in self.outlets.extract_if(.., |outlet| outlet.check().is_err()) {
            let Err(error) = outlet.check() else { continue };
            if outlet.is_viewer() {
                say(&format!("A viewer is gone, and everything else goes on: {error}."));
            } else {
                say(&format!(
                    "The session is recorded no longer, and everything else goes on: {error}."
                ));
                failures.push(error);
            }
        }
        failures
    }

    /// Whether every target has been given up.
    pub fn is_lost(&self) -> bool {
        self.outlets.is_empty()
    }

    /// Writes what is still queued, closes every target and tells what was
    /// dropped.
    ///
    /// # Errors
    ///
    /// The first error of any target; all are closed nevertheless. Viewers may
    /// be closed at any time, and their errors do not count.
    pub fn finish(mut self) -> Result<Drops> {
        self.end()
    }

    fn end(&mut self) -> Result<Drops> {
        let outlets = std::mem::take(&mut self.outlets);
        outlets.iter().for_each(Outlet::close);
        let pictures = outlets.iter().map(Outlet::dropped).sum();
        let end = |outlet: Outlet| {
            let is_viewer = outlet.is_viewer();
            outlet
                .finish(self.patience)
                .or_else(|error| if is_viewer { Ok(()) } else { Err(error) })
        };
        let ends: Vec<Result<()>> = outlets.into_iter().map(end).collect();
        ends.into_iter().collect::<Result<()>>()?;
        Ok(Drops { pictures })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Whoever wants to know calls `finish`.
        let _ = self.end();
    }
}

/// Whether the steps of half precision are finer than a thousandth of every
/// range, and values beyond the range have room.
fn halves_suffice(range: &[[f64; 2]]) -> bool {
    range.iter().all(|[low, high]| {
        let largest = low.abs().max(high.abs());
        // Eleven significant bits: the largest steps are 2^-10 of a value.
        let step = 2f64.powf(largest.log2().floor() - 10.0);
        largest < 1e4 && step < (high - low) / 1000.0
    })
}

impl From<Moment> for Slot {
    fn from(moment: Moment) -> Self {
        let Moment { input, reconstruction, code, levels_db, .. } = moment;
        Slot {
            slot: moment.slot,
            time_s: moment.time_s,
            code: code.into(),
            levels_db: levels_db.into(),
            loudness_lufs: moment.loudness_lufs,
            band_energy: moment.band_energy,
            psnr_db: moment.psnr_db,
            latency_s: moment.latency_s,
            sample: moment.sample,
            left_out: moment.left_out,
            extremes: moment.extremes,
            pictures: Some(Arc::new(Pictures { input, reconstruction })),
            dropped: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_for_ranges_that_are_wide_for_their_values() {
        assert!(halves_suffice(&[[0.0, 1.0], [-40.0, 40.0]]));
        assert!(!halves_suffice(&[[0.0, 1.0], [20.0, 21.0]]));
        assert!(!halves_suffice(&[[0.0, 65_536.0]]));
        // Whatever a header says.
        for odd in [[0.0, 0.0], [f64::MAX, f64::MAX], [1.0, -1.0], [0.0, f64::INFINITY]] {
            assert!(!halves_suffice(&[odd]), "{odd:?}");
        }
        assert!(halves_suffice(&[[0.0, f64::MIN_POSITIVE]]));
    }
}
