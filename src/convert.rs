//! Many scenes to sound and map.
//!
//! Every scene is opened and checked before the first file is written, and
//! its files appear together, under their final names, once all of them are
//! whole. A scene that fails is reported and counted; the others go on.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Fault, Result};
use crate::frame::Frame;
use crate::map;
use crate::npy::FrameArray;
use crate::recorder::{Pace, Recorder, Target};
use crate::sensor::{self, Sensor, Source};
use crate::session;
use crate::sink::{self, FileSink, Format};
use crate::sonifier::{Sonifier, Sound};
use crate::staging::{OutputFolder, StagedFolder};
use crate::synth::SLOT_S;
use crate::voice::{Ready, Voice};

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
        /// See [`Sonifier::introduction`].
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
    let introduction = sonifier.introduction();
    tell(Event::Started { scene, frames: source.frames.map(slots), introduction });

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

/// The pictures of a sensor, one per slot of sound: the newest at the slot's
/// start, so that a slower source repeats and a faster one is thinned. A
/// source without a clock of its own has one slot per picture, and its chips
/// without any reading are left out.
pub struct Slots {
    sensor: std::iter::Peekable<Box<dyn Sensor>>,
    period_s: Option<f64>,
    tiled: bool,
    current: Option<Frame>,
    first_s: f64,
    slot: usize,
    /// Chips left out so far.
    pub skipped: usize,
    /// Whether any picture so far had a reading.
    pub readings: bool,
}

/// How far a timestamp may lie behind a slot's start and still count as
/// there: half a sample of the sound would do, but timestamps of videos are
/// rounded to milliseconds.
const TOLERANCE_S: f64 = 0.001;

impl Slots {
    /// Deals the pictures of `sensor` to slots.
    pub fn new(sensor: Box<dyn Sensor>) -> Self {
        let (period_s, tiled) = (sensor.source().period_s, sensor.source().scene.is_some());
        Self {
            sensor: sensor.peekable(),
            period_s,
            tiled,
            current: None,
            first_s: 0.0,
            slot: 0,
            skipped: 0,
            readings: false,
        }
    }

    /// The picture of the next slot; none after the end.
    ///
    /// # Errors
    ///
    /// If the sensor fails.
    pub fn advance(&mut self) -> Result<Option<&Frame>> {
        let more = match self.period_s {
            Some(period_s) => self.catch_up(period_s)?,
            None => self.step()?,
        };
        self.slot += 1;
        Ok(self.current.as_ref().filter(|_| more))
    }

    /// Takes the next picture that is worth a slot.
    fn step(&mut self) -> Result<bool> {
        for frame in self.sensor.by_ref() {
            let frame = frame?;
            if let (Some(_), Some(before)) = (self.period_s, &self.current) {
                sensor::check_clock(before.time_s, frame.time_s)?;
            }
            let readings = frame.data.iter().any(|value| !value.is_nan());
            self.readings |= readings;
            self.current = Some(frame);
            if readings || !self.tiled {
                return Ok(true);
            }
            self.skipped += 1;
        }
        Ok(false)
    }

    /// Takes every picture up to the slot's start; false once the last one
    /// has had its time.
    fn catch_up(&mut self, period_s: f64) -> Result<bool> {
        if self.current.is_none() {
            if !self.step()? {
                return Ok(false);
            }
            self.first_s = self.current.as_ref().map_or(0.0, |frame| frame.time_s);
        }
        let start_s = self.first_s + self.slot as f64 * SLOT_S + TOLERANCE_S;
        // An error is due at once, and so is a picture without a time.
        let due = |next: &Result<Frame>| !next.as_ref().is_ok_and(|f| f.time_s > start_s);
        while self.sensor.peek().is_some_and(due) {
            self.step()?;
        }
        let last_s = self.current.as_ref().map_or(0.0, |frame| frame.time_s);
        let lasts = start_s < last_s + period_s;
        Ok(self.slot == 0 || lasts || self.sensor.peek().is_some())
    }
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// The files of one scene in the making.
struct Outputs<'a> {
    source: &'a Source,
    stem: String,
    staging: &'a StagedFolder,
    sound: Box<dyn FileSink>,
    header: sink::Header,
    array: Option<FrameArray>,
    recorder: Option<Recorder>,
    names: Vec<String>,
    slots: usize,
}

impl<'a> Outputs<'a> {
    fn create(
        job: &Job,
        scene: &str,
        stem: &str,
        staging: &'a StagedFolder,
        source: &'a Source,
        sonifier: &Sonifier,
    ) -> Result<Self> {
        let name = format!("{stem}.{}", job.format.extension());
        let header = sonifier.header(source, scene);
        let sound = sink::create(&staging.place(&name), job.format, &header)?;
        let mut names = vec![name];
        let staged = |extension: &str| staging.place(&format!("{stem}.{extension}"));
        let mut array = None;
        if job.npy {
            let [rows, columns] = sonifier.model().grid();
            array = Some(FrameArray::create(staged("npy"), [source.bands.len(), rows, columns])?);
            names.push(format!("{stem}.npy"));
        }
        let mut recorder = None;
        if job.rrd {
            let target =
                Target { save: Some(staged("rrd")), pace: Pace::Batch, ..Target::default() };
            let about = session::about(sonifier, &header, Some(job.folder.join(&names[0])));
            recorder = Some(Recorder::new(&target, &about)?);
            names.push(format!("{stem}.rrd"));
        }
        let stem = stem.to_owned();
        Ok(Self { source, stem, staging, sound, header, array, recorder, names, slots: 0 })
    }

    fn write(&mut self, sonifier: &Sonifier, frame: &Frame, sound: Sound) -> Result<()> {
        self.sound.write(&sound.samples)?;
        if let Some(array) = &mut self.array {
            array.push(sound.sent.data.view())?;
        }
        if let Some(recorder) = &self.recorder {
            recorder.log(session::moment(sonifier, self.slots as u64, sound)?);
        }
        if self.source.scene.is_some() {
            self.header.positions.push([frame.position.0 as u32, frame.position.1 as u32]);
        }
        self.slots += 1;
        Ok(())
    }

    /// Completes every file; gives their names, the sound first.
    fn finish(mut self, sonifier: &mut Sonifier) -> Result<Vec<String>> {
        self.sound.write(&sonifier.finish())?;
        self.header.frames = Some(self.slots);
        self.sound.replace_header(&self.header)?;
        self.sound.finish()?;
        if let Some(array) = self.array {
            array.finish()?;
        }
        if let Some(recorder) = self.recorder {
            recorder.finish()?;
        }
        if let Some(scene) = self.source.scene.as_ref().filter(|s| s.georeference.is_some()) {
            let time_s = |slot: usize| slot as f64 * SLOT_S;
            let times: Vec<_> =
                (0..self.slots).map(|slot| [time_s(slot), time_s(slot + 1)]).collect();
            let footprints = map::footprints(scene, &self.header.positions, &times)?;
            let name = format!("{}.geojson", self.stem);
            let path = self.staging.place(&name);
            fs::write(&path, footprints).map_err(|e| Error::output(&path, e))?;
            self.names.push(name);
        }
        Ok(self.names)
    }
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
    use std::sync::Arc;

    use ndarray::Array3;

    use super::*;
    use crate::frame::{Band, Unit};

    /// Pictures at given times, each filled with its number; NaN where the
    /// number is negative.
    #[derive(Debug)]
    struct Fake(Source, std::vec::IntoIter<(f64, f32)>);

    impl Iterator for Fake {
        type Item = Result<Frame>;

        fn next(&mut self) -> Option<Self::Item> {
            let (time_s, number) = self.1.next()?;
            let value = if number < 0.0 { f32::NAN } else { number };
            Some(Ok(Frame::new(Array3::from_elem((1, 2, 2), value), self.0.bands.clone(), time_s)))
        }
    }

    impl Sensor for Fake {
        fn source(&self) -> &Source {
            &self.0
        }
    }

    fn slots(period_s: Option<f64>, tiled: bool, pictures: Vec<(f64, f32)>) -> Slots {
        let scene = crate::sensor::Scene { rows: 4, columns: 4, chip: 2, georeference: None };
        let source = Source {
            description: String::new(),
            driver: None,
            model: None,
            bands: Arc::new([Band::new("LWIR", Unit::Celsius)]),
            rows: 2,
            columns: 2,
            frames: None,
            period_s,
            scene: tiled.then_some(scene),
        };
        Slots::new(Box::new(Fake(source, pictures.into_iter())))
    }

    fn numbers(slots: &mut Slots) -> Vec<f32> {
        let mut numbers = vec![];
        while let Some(frame) = slots.advance().unwrap() {
            numbers.push(frame.data[(0, 0, 0)]);
        }
        numbers
    }

    fn regular(count: usize, rate: f64) -> Vec<(f64, f32)> {
        (0..count).map(|n| (n as f64 / rate, n as f32)).collect()
    }

    #[test]
    fn a_fast_source_is_thinned_to_the_newest_picture_of_each_slot() {
        let mut thirty = slots(Some(1.0 / 30.0), false, regular(60, 30.0));
        let expected: Vec<f32> = (0..20).map(|slot| (slot * 3) as f32).collect();
        assert_eq!(numbers(&mut thirty), expected);
    }

    #[test]
    fn a_slow_source_repeats_and_its_last_picture_has_its_time() {
        let mut four = slots(Some(0.25), false, regular(4, 4.0));
        let expected = [0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0];
        assert_eq!(numbers(&mut four), expected);
    }

    #[test]
    fn times_count_from_the_first_picture() {
        let late = regular(30, 10.0).into_iter().map(|(t, n)| (t + 1e6, n)).collect();
        assert_eq!(numbers(&mut slots(Some(0.1), false, late)).len(), 30);
    }

    #[test]
    fn a_source_without_clock_has_one_slot_per_picture() {
        let still = (0..40).map(|n| (0.0, n as f32)).collect();
        assert_eq!(numbers(&mut slots(None, false, still)).len(), 40);
    }

    #[test]
    fn only_chips_without_reading_are_left_out() {
        let pictures = vec![(0.0, -1.0), (0.0, 5.0), (0.0, -1.0), (0.0, 7.0), (0.0, -1.0)];
        let mut scene = slots(None, true, pictures.clone());
        assert_eq!(numbers(&mut scene), [5.0, 7.0]);
        assert_eq!((scene.skipped, scene.readings), (3, true));
        assert_eq!(numbers(&mut slots(None, false, pictures)).len(), 5);
        let mut nothing = slots(None, true, vec![(0.0, -1.0)]);
        assert!(numbers(&mut nothing).is_empty() && !nothing.readings);
    }

    #[test]
    fn names_never_collide() {
        let scenes = ["a/x.tif", "b/x.tif", "c/X.png", "x-2.tif", "simulated:7", "d/y.tar.gz"];
        let scenes: Vec<String> = scenes.map(String::from).into();
        let expected = ["x", "x-2", "X-3", "x-2-2", "simulated-7", "y.tar"];
        assert_eq!(stems(&scenes), expected);
    }
}
