//! Sound to pictures while it plays.

#[cfg_attr(not(feature = "sound"), path = "live/absent.rs")]
mod microphone;

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ndarray::Array3;

use super::{ARRAY, remains, unsaid};
use crate::error::{Error, Result};
use crate::npy::FrameArray;
use crate::receiver::align::Follower;
use crate::recorder::{Moment, Origin, Recorder, Target};
use crate::sensor::count;
use crate::session;
use crate::sonifier::Sonifier;
use crate::staging::StagedFolder;
use crate::synth::{SLOT, SLOT_S};
use crate::voice::Voice;

pub use microphone::Microphone;

/// A slot is decoded together with so many before it, which tell the noise.
const NEAR: usize = 4;
/// What the way of the sound does to levels is learned from so many slots,
/// half a minute, and anew after every [`LEARN`].
const MEMORY: usize = 300;
/// See [`MEMORY`].
const LEARN: usize = 20;
/// An input that brings nothing for so long at the start is told.
const PATIENCE: Duration = Duration::from_secs(3);

/// What to listen to, and where pictures go.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which model speaks, and how: the sound does not say.
    pub voice: Voice,
    /// The input for sound, by its name; `None`: the system's choice.
    pub device: Option<String>,
    /// A folder that gets `frames.npy` at the end.
    pub folder: Option<PathBuf>,
    /// Where the session goes that grows with the sound.
    pub session: Target,
    /// Ends after so many slots of time by the clock, whatever is heard.
    pub slots: Option<u64>,
}

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames that became pictures.
    pub frames: usize,
    /// Slots between them in which nothing of ours was heard.
    pub silent: usize,
    /// What could not be written to its end. It holds what came before.
    pub failures: Vec<Error>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames, silent, .. } = self;
        let were = if *frames == 1 { "was" } else { "were" };
        let (frames, silent) = (count(frames, "frame"), count(silent, "time"));
        write!(f, "{frames} {were} heard, and {silent} a tenth of a second without one.")
    }
}

/// Listens to an input for sound until `stop` is true, and makes pictures of
/// what it hears, as it plays. Plain sentences about what happens go to `say`.
/// It also ends where every viewer is closed and every file has failed.
///
/// # Errors
///
/// If neither a sensor nor a model is chosen, there is nowhere for pictures to
/// go, there is no input or it is lost, a viewer or a file cannot be opened, or
/// the folder cannot be written. What was heard before is kept all the same. A
/// session that fails on the way ends nothing else: see [`Summary::failures`].
pub fn run(settings: &Settings, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<Summary> {
    if settings.folder.is_none() && settings.session.is_none() {
        return Err(Error::usage("--live", "nothing would come of it").hint(
            "show the pictures in a viewer: --view, or keep them: --rrd heard.rrd, -o pictures",
        ));
    }
    let (header, sonifier) = unsaid(Path::new("live sound"), &settings.voice)?;
    let mut microphone = Microphone::open(settings.device.as_deref())?;
    say(&format!("It listens to {}.", microphone.name()));
    // The session last: an earlier one stays as it is where something is missing.
    let staging = settings.folder.as_deref().map(StagedFolder::open).transpose()?;
    let grid = sonifier.model().grid();
    let shape = [sonifier.model().bands().len(), grid[0], grid[1]];
    let array = staging.as_ref().map(|staging| FrameArray::create(staging.place(ARRAY), shape));
    let array = array.transpose()?;
    let mut recorder = None;
    if !settings.session.is_none() {
        let about = session::about(&sonifier, &header, None);
        recorder = Some(Recorder::new(&settings.session, &about)?);
        settings.session.introduction().iter().for_each(|sentence| say(sentence));
    }
    let (recent, summary) = (VecDeque::new(), Summary::default());
    let mut listener = Listener { sonifier, recorder, array, recent, slots: 0, summary };
    let started = Instant::now();
    let over = || {
        let most_s = settings.slots.map(|slots| slots as f64 * SLOT_S);
        let late = most_s.is_some_and(|most_s| started.elapsed().as_secs_f64() >= most_s);
        late || stop.load(Ordering::Relaxed)
    };
    let listened = listener.listen(&mut microphone, over, say);
    // What was heard is kept, whatever ended it.
    let (summary, kept) = listener.finish(settings.folder.as_deref().zip(staging), say);
    match listened.and(kept) {
        Ok(()) => Ok(summary),
        Err(error) => {
            summary.failures.iter().for_each(|failure| say(&failure.to_string()));
            Err(error)
        }
    }
}

/// What hears one slot after another.
struct Listener {
    sonifier: Sonifier,
    recorder: Option<Recorder>,
    array: Option<FrameArray>,
    /// The last slots.
    recent: VecDeque<Vec<f32>>,
    /// How many there have been.
    slots: u64,
    summary: Summary,
}

impl Listener {
    /// Hears what comes from `microphone` until it is `over`.
    ///
    /// # Errors
    ///
    /// If the input is lost, or the pictures cannot be written.
    fn listen(
        &mut self,
        microphone: &mut Microphone,
        over: impl Fn() -> bool,
        say: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let (mut follower, mut samples) = (Follower::default(), Vec::new());
        let mut silent_since = Some(Instant::now());
        while !over() {
            samples.clear();
            microphone.read(&mut samples)?;
            if !samples.is_empty() {
                silent_since = None;
            } else if silent_since.is_some_and(|since| since.elapsed() > PATIENCE) {
                say("Nothing comes from there yet.");
                silent_since = None;
            }
            follower.push(&samples);
            while let Some(slot) = follower.slot() {
                match self.hear(slot)? {
                    true if self.summary.frames == 0 => {
                        say("Frames are heard.");
                        self.summary.frames += 1;
                    }
                    true => self.summary.frames += 1,
                    false => self.summary.silent += 1,
                }
            }
            let Some(recorder) = &mut self.recorder else { continue };
            self.summary.failures.extend(recorder.tell(say));
            if recorder.is_lost() && self.array.is_none() {
                say("Nothing is left to which pictures could go, so it ends.");
                return Ok(());
            }
        }
        Ok(())
    }

    /// Closes everything whole; the pictures, if there are any, appear in their folder.
    fn finish(
        mut self,
        folder: Option<(&Path, StagedFolder)>,
        say: &mut dyn FnMut(&str),
    ) -> (Summary, Result<()>) {
        if let Some(recorder) = self.recorder.take() {
            self.summary.failures.extend(recorder.finish().err());
        }
        let kept = match (folder, self.array) {
            (Some((folder, _)), Some(_)) if self.summary.frames == 0 => {
                say(&format!("No frame was heard: {} stays as it was.", folder.display()));
                Ok(())
            }
            (Some((folder, staging)), Some(array)) => array
                .finish()
                .and_then(|()| staging.replace(&remains(folder), &[ARRAY.to_owned()]))
                .map(drop),
            _ => Ok(()),
        };
        (self.summary, kept)
    }

    /// Makes a picture of `slot`; false if it holds none.
    fn hear(&mut self, slot: Vec<f32>) -> Result<bool> {
        self.recent.push_back(slot);
        if self.recent.len() > MEMORY {
            self.recent.pop_front();
        }
        self.slots += 1;
        if self.slots.is_multiple_of(LEARN as u64) {
            let count = self.recent.len();
            let sound = self.last(count);
            self.sonifier.equalise(&sound, count);
        }
        let count = self.recent.len().min(NEAR + 1);
        let Some(code) = self.sonifier.hear(&self.last(count), count - 1) else {
            return Ok(false);
        };
        let picture = self.sonifier.reconstruct(&code)?;
        if let Some(array) = &mut self.array {
            array.push(picture.view())?;
        }
        if let Some(recorder) = &self.recorder {
            recorder.log(self.moment(code, picture));
        }
        Ok(true)
    }

    /// The last `count` slots as our files have them, with a slot of silence on
    /// either side.
    fn last(&self, count: usize) -> Vec<f32> {
        let slots = self.recent.iter().skip(self.recent.len() - count);
        let silence = vec![0.0; SLOT];
        let mut sound = silence.clone();
        slots.chain([&silence]).for_each(|slot| sound.extend_from_slice(slot));
        sound
    }

    /// What the recorder is told; nobody knows what was seen.
    fn moment(&self, code: Vec<f32>, picture: Array3<f32>) -> Moment {
        let layout = self.sonifier.layout();
        let spectrum = layout.spectrum(&code);
        Moment {
            slot: self.slots - 1,
            time_s: (self.slots - 1) as f64 * SLOT_S,
            input: Array3::from_elem(picture.dim(), f32::NAN),
            levels_db: layout.levels_db(&spectrum),
            loudness_lufs: layout.loudness_lufs(&spectrum),
            band_energy: f64::NAN,
            reconstruction: Some((picture, Origin::FromSound)),
            code,
            psnr_db: None,
            latency_s: None,
            sample: None,
            left_out: None,
            extremes: [None; 3],
        }
    }
}
