//! Many scenes to sounds and tables.
//!
//! Every scene is opened and checked before the first file is written, and
//! its files appear together, under their final names, once all of them are
//! whole, and a [`Record`] beside them. A scene that fails is reported, counted
//! and recorded; the others go on. What is there already, made of the same
//! files in the same way, is not made again. Neither a source nor what was made
//! of another one is replaced.

mod chips;
mod estimate;
mod outputs;
pub mod record;
mod slots;
mod unit;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, Result};
use crate::frame::Frame;
use crate::model::Models;
use crate::sensor::{self, Ahead, Source};
use crate::sink::Format;
use crate::sonifier::{Prepared, Sonifier};
use crate::staging::{OutputFolder, StagedFolder};
use crate::synth::SLOT_S;
use crate::voice::{Ready, Voice};

use self::outputs::Outputs;
use self::record::{ENDING, Input, Request};

pub use self::estimate::{Estimate, due, estimate};
pub use self::record::Record;
pub use self::slots::Slots;
pub use self::unit::Unit;
pub(crate) use self::unit::id;

/// So many frames are made into sound at a time, on all cores.
const BATCH: usize = 16;

/// But no more bytes of them than this, and one frame.
const BATCH_BYTES: usize = 64 << 20;

/// What to convert, how, and where to.
#[derive(Clone, Debug)]
pub struct Job {
    /// The sources, each one a sound: scenes, videos, folders of pictures.
    pub units: Vec<Unit>,
    /// Where the files go; made if it is missing.
    pub folder: PathBuf,
    /// How they are to be heard.
    pub settings: Settings,
    /// Whether to make anew what is there already.
    pub force: bool,
    /// Whether somebody waits for a record of every scene, even of a single
    /// one that failed.
    pub planned: bool,
}

/// How scenes are to be heard, as a user says it, a manifest plans it, and a
/// record tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Which model speaks, and how.
    pub voice: Voice,
    /// The format of the sound.
    pub format: Format,
    /// Whether each frame is heard from a place between left and right: chips
    /// by their easting, pictures by the centre of their energy; see
    /// [`Voice::check`].
    pub stereo: bool,
    /// Whether to record a session beside each sound, likewise.
    pub rrd: bool,
    /// Whether to write the frames as sent beside each sound.
    pub npy: bool,
    /// Whether to write each table as a GeoPackage, too.
    pub gpkg: bool,
    /// Whether to leave out what needs the decoder: how well each code holds
    /// its picture, and that picture in a session.
    pub unscored: bool,
    /// Stop each scene after so many frames or chips; see [`sensor::limit`]
    /// for what holds without.
    pub frames: Option<usize>,
}

impl Settings {
    /// Refuses what cannot be made, or written down in a record.
    ///
    /// # Errors
    ///
    /// As for [`Voice::check`], or if the model's path is no text in UTF-8.
    pub(crate) fn check(&self) -> Result<()> {
        self.voice.check(self.stereo, self.rrd)?;
        match self.voice.model.as_deref().filter(|model| model.to_str().is_none()) {
            Some(model) => {
                let what = format!("{} is no text in UTF-8, as records are", model.display());
                Err(Error::usage("--model", what).hint("give the file a plainer name"))
            }
            None => Ok(()),
        }
    }

    /// The endings of the names of a scene's files, the sound's first; its record
    /// lies beside them.
    fn endings(&self) -> Vec<&'static str> {
        let asked = [(self.gpkg, "gpkg"), (self.npy, "npy"), (self.rrd, "rrd")];
        let asked = asked.into_iter().filter(|(asked, _)| *asked).map(|(_, ending)| ending);
        [self.format.extension(), "parquet"].into_iter().chain(asked).collect()
    }
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
        /// What is to be said before: see [`Voice::own_model`],
        /// [`Sonifier::introduction`](crate::sonifier::Sonifier::introduction)
        /// and [`Source::remark`](crate::sensor::Source::remark).
        introduction: Option<String>,
    },
    /// One more frame or chip is done.
    Advanced,
    /// A scene is on disk.
    Finished(&'a Converted),
    /// A scene failed; nothing of it is on disk but a record that says so, and
    /// what was made of it before.
    Failed(&'a Error),
}

/// One scene as sound.
#[derive(Debug)]
pub struct Converted {
    /// The source as the user named it.
    pub scene: String,
    /// Its files, the sound first.
    pub files: Vec<PathBuf>,
    /// Number of sound frames, one per slot.
    pub slots: usize,
    /// Chips without any reading, which are not in the sound.
    pub skipped: usize,
    /// Number of sound frames whose tile or picture has pixels without a reading. They
    /// are filled: see [`normalise`](crate::model::normalise).
    pub gaps: usize,
    /// Whether these are tiles of one picture.
    pub tiled: bool,
    /// Why it ends early, where a camera or a pipe failed on the way or was
    /// stopped: what they showed before comes no second time, so it is kept.
    pub cut: Option<Error>,
}

/// What came of a job.
#[derive(Debug)]
pub struct Summary {
    /// The scenes that are on disk, in the order of the job.
    pub converted: Vec<Converted>,
    /// Number of scenes that were there already.
    pub already: usize,
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

/// A scene to convert, and what is asked for.
struct Task<'a> {
    unit: &'a Unit,
    request: Request,
}

/// Converts every scene of `job`, telling `tell` what happens. Ends early
/// once `stop` is true.
///
/// # Errors
///
/// If the settings do not go together, the model or the folder is unusable, a
/// file would take the place of a source or of what was made of another one, a
/// single scene was given and failed, or the user stopped the work. Failures
/// among several scenes are told, counted and recorded instead.
pub fn run(job: &Job, stop: &AtomicBool, tell: &mut dyn FnMut(Event)) -> Result<Summary> {
    let started = Instant::now();
    let tasks = tasks(job)?;
    let already = job.units.len() - tasks.len();
    let (mut converted, mut failed) = (vec![], 0);
    let mut fail = |task: Task, error: Error, tell: &mut dyn FnMut(Event)| {
        // What is stopped can fail in ways that say nothing of the scene.
        let error = if stop.load(Ordering::Relaxed) { stopped(&task.unit.source) } else { error };
        record_failure(job, task, &error)?;
        if job.units.len() == 1 || error.fault == Fault::Interrupted {
            return Err(error);
        }
        tell(Event::Failed(&error));
        failed += 1;
        Ok(())
    };
    let (mut checked, mut models) = (vec![], Models::default());
    // What is odd about a scene is told when it is heard.
    let mut quiet = job.settings.voice.clone();
    quiet.reading.tell = None;
    for task in tasks {
        let source = &task.unit.source;
        if stop.load(Ordering::Relaxed) {
            return Err(stopped(source));
        }
        // What a pipe shows, it shows once.
        let opened =
            sensor::is_repeatable(source).then(|| quiet.ready_with(&mut models, source, None));
        match opened.transpose() {
            Ok(_) => checked.push(task),
            Err(error) => fail(task, error, tell)?,
        }
    }
    if !checked.is_empty() {
        let folder = OutputFolder::open(&job.folder)?;
        folder.clear();
        for task in checked {
            match convert(job, &task, &mut models, stop, tell) {
                Ok(done) => {
                    tell(Event::Finished(&done));
                    converted.push(done);
                }
                Err(error) => fail(task, error, tell)?,
            }
        }
    }
    Ok(Summary { converted, already, failed, elapsed: started.elapsed() })
}

/// The scenes of `job` that are not there already.
///
/// # Errors
///
/// As for [`run`], as far as it can be told without opening a scene.
fn tasks(job: &Job) -> Result<Vec<Task<'_>>> {
    job.settings.check()?;
    let speakers = record::speakers(&job.settings.voice)?;
    let (mut tasks, mut sources) = (vec![], HashMap::new());
    for unit in &job.units {
        let files = sensor::files(&unit.source);
        let request = Request {
            source: unit.source.clone(),
            input: Input::of(&files),
            settings: job.settings.clone(),
            speakers: speakers.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        // Names of items, and such as `GPKG:a.gpkg:roofs`, hold one of a file.
        let named = unit.source.split(['#', ':', '"']).map(PathBuf::from);
        let whole = files.into_iter().chain(named).filter_map(|file| fs::canonicalize(file).ok());
        sources.extend(whole.map(|file| (file, &unit.source)));
        let same = |record: Record| record.answers(&request, &job.folder);
        let there = earlier(job, unit)?.is_some_and(same);
        if job.force || !sensor::is_lasting(&unit.source) || !there {
            tasks.push(Task { unit, request });
        }
    }
    spare(&sources, job, &tasks)?;
    Ok(tasks)
}

/// Refuses `tasks` if a file of theirs would take the place of one of `sources`,
/// which are files by their whole paths, and what they are a source for.
fn spare(sources: &HashMap<PathBuf, &String>, job: &Job, tasks: &[Task]) -> Result<()> {
    let mut endings: Vec<String> =
        job.settings.endings().iter().map(|ending| format!(".{ending}")).collect();
    endings.push(ENDING.to_owned());
    let is_at_risk = |file: &PathBuf| {
        let name = file.to_string_lossy().to_lowercase();
        endings.iter().any(|ending| name.ends_with(ending))
    };
    // Of most archives there is none, and their outputs need not be looked for.
    if !sources.keys().any(is_at_risk) {
        return Ok(());
    }
    for (task, ending) in tasks.iter().flat_map(|task| endings.iter().map(move |e| (task, e))) {
        let place = job.folder.join(format!("{}{ending}", task.unit.name));
        let source = fs::canonicalize(&place).ok().and_then(|file| sources.get(&file));
        if let Some(source) = source {
            let what = format!("would be overwritten, and is what {source} is read from");
            return Err(
                Error::usage(place.display(), what).hint("convert into another folder with -o DIR")
            );
        }
    }
    Ok(())
}

/// What an earlier run wrote down under the name of `unit`, if there is anything.
///
/// # Errors
///
/// If that is of another source, whose files would be replaced.
fn earlier(job: &Job, unit: &Unit) -> Result<Option<Record>> {
    let path = job.folder.join(format!("{}{ENDING}", unit.name));
    match Record::read(&path) {
        Ok(record) if !unit.is_of(&record.request.source, record.origin.as_deref()) => {
            let (other, source) = (&record.request.source, &unit.source);
            let what = format!("tells of {other}, whose files {source} would replace");
            Err(Error::output(path, what)
                .hint("convert into another folder with -o DIR, or move those files away"))
        }
        // What is damaged keeps nobody's place.
        record => Ok(record.ok()),
    }
}

/// Writes down that a scene failed, where somebody will look for that and
/// where it is the scene's fault. What was made of it before stays, all of it
/// that is there, and so does what its record says of that.
fn record_failure(job: &Job, Task { unit, request }: Task, error: &Error) -> Result<()> {
    let theirs = matches!(error.fault, Fault::Input | Fault::Unsupported | Fault::Usage);
    if !theirs || !(job.planned || job.units.len() > 1) {
        return Ok(());
    }
    let name = format!("{}{ENDING}", unit.name);
    let record = match earlier(job, unit)?.filter(|before| before.outcome.is_some()) {
        Some(before) => Record { error: Some(error.to_string()), ..before },
        None => Record::new(unit, request, Err(error), 0.0),
    };
    let staging = StagedFolder::open(&job.folder)?;
    record.write(&staging.place(&name)).map_err(|error| staging.named(error))?;
    staging.publish(&[name]).map(drop)
}

/// Converts one scene: from its first frame to its files in the job's folder.
fn convert(
    job: &Job,
    Task { unit, request }: &Task,
    models: &mut Models,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Event),
) -> Result<Converted> {
    let (started, scene) = (Instant::now(), unit.source.as_str());
    let Settings { voice, frames, .. } = &job.settings;
    let limit = sensor::limit(scene, *frames);
    let Ready { sensor, mut sonifier } = voice.ready_with(models, scene, limit)?;
    let source = sensor.source().clone();
    let staging = StagedFolder::open(&job.folder)?;
    let named = |error| staging.named(error);
    let mut outputs =
        Outputs::create(&job.folder, request, &unit.name, &staging, &source, &sonifier)
            .map_err(named)?;
    let introduction = introduction(voice, &sonifier, &source);
    tell(Event::Started { scene, frames: source.slots(), introduction });

    // The next chips are decoded while these sound.
    let mut slots = Slots::new(match source.scene {
        Some(_) => Box::new(Ahead::start(sensor)?),
        None => sensor,
    });
    let (mut heard, mut sounds, mut cut) = (vec![], vec![], None);
    loop {
        let mut frames = vec![];
        if cut.is_none()
            && let Err(error) = batch(&mut slots, &mut frames, scene, stop)
        {
            if outputs.slots + heard.len() + frames.len() == 0 {
                return Err(error);
            }
            if sensor::is_lasting(scene) {
                return Err(error.or_hint("to hear what comes before it, stop there with --frames"));
            }
            // What a camera showed is shown no second time.
            cut = Some(error);
        }
        // While some frames are encoded, what became of the last ones is written.
        let (prepared, written) = rayon::join(
            || prepare(&sonifier, &frames),
            || outputs.write(&sonifier, &heard, std::mem::take(&mut sounds)),
        );
        written.map_err(named)?;
        heard.iter().for_each(|_| tell(Event::Advanced));
        if frames.is_empty() {
            break;
        }
        sounds = prepared?.into_iter().map(|prepared| sonifier.sound(prepared)).collect();
        heard = frames;
    }
    if !slots.readings {
        return Err(Error::input(scene, "no reading in it: every value is nodata"));
    }
    let gaps = outputs.gaps;
    let outcome = outputs.finish(&mut sonifier, slots.skipped).map_err(named)?;
    let (slots, skipped) = (outcome.slots, outcome.skipped);
    let mut names = vec![format!("{}{ENDING}", unit.name)];
    names.extend(outcome.outputs.iter().map(|output| output.name.clone()));
    let elapsed_s = started.elapsed().as_secs_f64();
    let record = Record::new(unit, request.clone(), Ok(outcome), elapsed_s);
    record.write(&staging.place(&names[0])).map_err(named)?;
    // Another process may have taken the name meanwhile.
    let before = earlier(job, unit)?.map_or(vec![], |record| record.names());
    let mut files = staging.replace(&before, &names)?;
    // The sound comes first to those who are told.
    files.rotate_left(1);
    let tiled = source.scene.is_some();
    Ok(Converted { scene: scene.to_owned(), files, slots, skipped, gaps, tiled, cut })
}

/// What is to be said before a scene is heard.
fn introduction(voice: &Voice, sonifier: &Sonifier, source: &Source) -> Option<String> {
    let said = [voice.own_model(sonifier.model()), sonifier.introduction(), source.remark.clone()];
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// Appends the pictures of the next slots of `scene` to `frames`: none after its
/// end, and on an error those that came before it.
fn batch(
    slots: &mut Slots,
    frames: &mut Vec<Arc<Frame>>,
    scene: &str,
    stop: &AtomicBool,
) -> Result<()> {
    let mut bytes = 0;
    while frames.len() < BATCH
        && bytes < BATCH_BYTES
        && let Some(frame) = slots.advance()?
    {
        if stop.load(Ordering::Relaxed) {
            return Err(stopped(scene));
        }
        bytes += frame.data.len() * size_of::<f32>();
        frames.push(frame);
    }
    Ok(())
}

/// The user stopped the work at `scene`.
fn stopped(scene: &str) -> Error {
    Error::new(Fault::Interrupted, scene, "stopped before its end")
        .hint("scenes that were finished before are on disk; run again for the rest")
}

/// What the sound of `frames` needs to know of them: one frame on each core, as
/// its own products are too small to be shared. How many cores there are changes
/// no sample.
fn prepare(sonifier: &Sonifier, frames: &[Arc<Frame>]) -> Result<Vec<Prepared>> {
    frames.par_iter().map(|frame| sonifier.prepare(frame)).collect()
}
