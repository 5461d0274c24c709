//! Many scenes to sound and map.
//!
//! Every scene is opened and checked before the first file is written, and
//! its files appear together, under their final names, once all of them are
//! whole. A scene that fails is reported and counted; the others go on.

mod estimate;
mod outputs;
mod slots;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Fault, Result};
use crate::sensor::{self, Ahead};
use crate::sink::Format;
use crate::staging::{OutputFolder, StagedFolder};
use crate::synth::SLOT_S;
use crate::voice::{Ready, Voice};

use self::outputs::Outputs;

pub use self::estimate::{Estimate, estimate};
pub use self::slots::Slots;

/// What to convert, how, and where to.
#[derive(Clone, Debug)]
pub struct Job {
    /// The sources, each one a sound: scenes, videos, folders of pictures.
    pub scenes: Vec<String>,
    /// Where the files go; made if it is missing.
    pub folder: PathBuf,
    /// Which model speaks, and how.
    pub voice: Voice,
    /// The format of the sound.
    pub format: Format,
    /// Whether to record a session beside each sound.
    pub rrd: bool,
    /// Whether to write the frames as sent beside each sound.
    pub npy: bool,
    /// Stop each scene after so many frames or chips; see [`sensor::limit`]
    /// for what holds without.
    pub frames: Option<usize>,
}

/// What happens along the way.
#[derive(Debug)]
pub enum Event<'a> {
    /// A scene begins; it has this many frames or chips, if that is known.
    Started {
        /// The source as the user named it.
        scene: &'a str,
        /// Frames or chips to come.
        frames: Option<usize>,
        /// What is to be said before: see
        /// [`Sonifier::introduction`](crate::sonifier::Sonifier::introduction)
        /// and [`Source::remark`](crate::sensor::Source::remark).
        introduction: Option<String>,
    },
    /// One more frame or chip is done.
    Advanced,
    /// A scene is on disk.
    Finished(&'a Converted),
    /// A scene failed; nothing of it is on disk.
    Failed(&'a Error),
}

/// One scene as sound.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The source as the user named it.
    pub scene: String,
    /// Its files, the sound first.
    pub files: Vec<PathBuf>,
    /// Number of sound frames, one per slot.
    pub slots: usize,
    /// Chips without any reading, which are not in the sound.
    pub skipped: usize,
}

/// What came of a job.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The scenes that are on disk, in the order of the job.
    pub converted: Vec<Converted>,
    /// Number of scenes that failed.
    pub failed: usize,
    /// How long the work took.
    pub elapsed: Duration,
}

impl Summary {
    /// Length of all sounds in seconds, lead-ins not counted.
    pub fn sound_s(&self) -> f64 {
        self.converted.iter().map(|scene| scene.slots).sum::<usize>() as f64 * SLOT_S
    }
}

/// A scene that has been opened and checked.
struct Checked<'a> {
    scene: &'a str,
    stem: String,
}

/// Converts every scene of `job`, telling `tell` what happens. Ends early
/// once `stop` is true.
///
/// # Errors
///
/// If the model or the folder is unusable, if a single scene was given and
/// failed, or if the user stopped the work. Failures among several scenes are
/// told and counted instead.
pub fn run(job: &Job, stop: &AtomicBool, tell: &mut dyn FnMut(Event)) -> Result<Summary> {
    let started = Instant::now();
    let (mut converted, mut failed) = (vec![], 0);
    let mut fail = |error: Error, tell: &mut dyn FnMut(Event)| {
        if job.scenes.len() == 1 || error.fault == Fault::Interrupted {
            return Err(error);
        }
        tell(Event::Failed(&error));
        failed += 1;
        Ok(())
    };

    let mut checked = vec![];
    for (scene, stem) in job.scenes.iter().zip(stems(&job.scenes)) {
        // What a pipe shows, it shows once.
        let opened = sensor::is_repeatable(scene).then(|| job.voice.ready(scene, None));
        match opened.transpose() {
            Ok(_) => checked.push(Checked { scene, stem }),
            Err(error) => fail(error, tell)?,
        }
    }
    if !checked.is_empty() {
        let _folder = OutputFolder::open(&job.folder)?;
        for scene in checked {
            match convert(job, scene, stop, tell) {
                Ok(done) => {
                    tell(Event::Finished(&done));
                    converted.push(done);
                }
                Err(error) => fail(error, tell)?,
            }
        }
    }
    Ok(Summary { converted, failed, elapsed: started.elapsed() })
}

/// Converts one scene: from its first frame to its files in the job's folder.
fn convert(
    job: &Job,
    Checked { scene, stem }: Checked,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Event),
) -> Result<Converted> {
    let Ready { sensor, mut sonifier } =
        job.voice.ready(scene, sensor::limit(scene, job.frames))?;
    let source = sensor.source().clone();
    let staging = StagedFolder::open(&job.folder)?;
    let named = |error| staging.named(error);
    let mut outputs =
        Outputs::create(job, scene, &stem, &staging, &source, &sonifier).map_err(named)?;
    let slots = |frames: usize| match source.period_s {
        Some(period_s) => (frames as f64 * period_s / SLOT_S).ceil() as usize,
        None => frames,
    };
    let said: Vec<String> =
        sonifier.introduction().into_iter().chain(source.remark.clone()).collect();
    let introduction = (!said.is_empty()).then(|| said.join(" "));
    tell(Event::Started { scene, frames: source.frames.map(slots), introduction });

    // The next chips are decoded while these sound.
    let sensor = match source.scene {
        Some(_) => Box::new(Ahead::start(sensor)?),
        None => sensor,
    };
    let mut slots = Slots::new(sensor);
    while let Some(frame) = slots.advance()? {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(Fault::Interrupted, scene, "stopped before its end")
                .hint("scenes that were finished before are on disk; run again for the rest"));
        }
        let sound = sonifier.sonify(frame)?;
        outputs.write(&sonifier, frame, sound).map_err(named)?;
        tell(Event::Advanced);
    }
    if !slots.readings {
        return Err(Error::input(scene, "no reading in it: every value is nodata"));
    }
    let (slot_count, skipped) = (outputs.slots, slots.skipped);
    let names = outputs.finish(&mut sonifier).map_err(named)?;
    let files = staging.publish(&names)?;
    Ok(Converted { scene: scene.to_owned(), files, slots: slot_count, skipped })
}

/// A file stem for every scene, all different even where case does not
/// count: the stem of its name, with `-2`, `-3` .. in the order of the scenes.
fn stems(scenes: &[String]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut free = |stem: String| {
        let mut name = stem.clone();
        let mut count = 1;
        while !taken.insert(name.to_lowercase()) {
            count += 1;
            name = format!("{stem}-{count}");
        }
        name
    };
    scenes.iter().map(|scene| free(stem(scene))).collect()
}

/// The stem of a scene's name; of a folder, its whole name. Signs that some
/// system forbids in names become `-`.
fn stem(scene: &str) -> String {
    let path = Path::new(if scene == "-" { "stdin" } else { scene });
    let whole = fs::canonicalize(path).ok().filter(|path| path.is_dir());
    let name = match &whole {
        Some(folder) => folder.file_name(),
        None => path.file_stem(),
    };
    let plain =
        |sign: char| if sign.is_control() || "/\\:*?\"<>|".contains(sign) { '-' } else { sign };
    let name = name.map(|name| name.to_string_lossy().chars().map(plain).collect());
    name.unwrap_or_else(|| "scene".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_collide() {
        let scenes = ["a/x.tif", "b/x.tif", "c/X.png", "x-2.tif", "simulated:7", "d/y.tar.gz"];
        let scenes: Vec<String> = scenes.map(String::from).into();
        let expected = ["x", "x-2", "X-3", "x-2-2", "simulated-7", "y.tar"];
        assert_eq!(stems(&scenes), expected);
    }
}
