//! A sensor as it is heard: the capture thread and the slot clock.
//!
//! ```text
//! capture thread -> newest frame -> slot clock: sonify, write -> ring -> audio callback
//!                                                       '-> file, recorder's queue
//! ```
//!
//! The capture thread reads the sensor at the sensor's own pace and keeps the
//! newest frame alone. The slot clock runs on the caller's thread: where there
//! is a speaker, the speaker paces it, else the wall clock. At the start of
//! each slot the newest frame is sent; where there is none, the last one is
//! sent again. Sources without a clock (pages, pictures in a folder, tiles)
//! give one slot to each of their frames.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Fault, Result};
use crate::frame::Frame;
use crate::profile::Polarity;
use crate::recorder::{Recorder, Target};
use crate::sensor::{Sensor, Source, check_clock};
use crate::session;
use crate::sink::{self, FileSink, Format, Header, Sink, Speaker};
use crate::sonifier::{Sonifier, Sound};
use crate::synth::{JOIN, SAMPLE_RATE, SLOT_S};
use crate::voice::Voice;

/// The next slot is made when no more than this waits for the speaker: time
/// to encode a frame, and some to spare for a busy machine.
const LEAD_S: f64 = 0.08;

/// How long a reader has to end once nobody listens any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the slot clock sleeps at a time.
const REST: Duration = Duration::from_millis(20);

/// What to hear, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The source as the user named it.
    pub source: String,
    /// Which model speaks, and how.
    pub voice: Voice,
    /// Volume of the speaker in dB; `None`: no speaker.
    pub volume_db: Option<f32>,
    /// A WAV or FLAC file that grows with the sound.
    pub sound: Option<PathBuf>,
    /// A session that grows with it.
    pub rrd: Option<PathBuf>,
    /// Ends after so many slots; `None`: with the source.
    pub slots: Option<u64>,
}

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Sound frames that were sent, one per slot.
    pub slots: u64,
    /// Frames of the source that a newer one replaced before they were sent.
    pub dropped: u64,
    /// Slots that repeated the frame before.
    pub repeated: u64,
    /// What the speaker tells at the end, if there was one.
    pub speaker: Option<Heard>,
    /// Pictures that the recorder dropped; their codes and scores are kept.
    pub pictures_dropped: u64,
}

/// What the speaker tells at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// Gaps in the sound.
    pub underruns: u64,
    /// Seconds of sound that the guard held back.
    pub guarded_s: f64,
    /// Median and 99th percentile, in seconds, of the time from a frame's
    /// arrival to the moment at which it alone is heard: waiting for its slot,
    /// encoding, the ring, the guard, the device's own word on its buffer, and
    /// the join of 10 ms. The camera's exposure and the source's period are
    /// not in it.
    pub latency_s: Option<[f64; 2]>,
}

/// Plays `settings.source` until it ends, `settings.slots` are over, or `stop`
/// is true. Plain sentences about what will be heard go to `say`.
///
/// # Errors
///
/// If the source, the model or a file is unusable; if there is neither a
/// speaker nor a file; or if one of them fails on the way. Files are closed
/// whole all the same.
pub fn run(settings: &Settings, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<Summary> {
    let model = settings.voice.model_for(&settings.source)?;
    let sensor = settings.voice.open(&settings.source, &model, None)?;
    let source = sensor.source().clone();
    let mut sonifier = settings.voice.sonifier(model)?;
    let mut outputs = Outputs::open(settings, &source, &sonifier, say)?;
    say(&expectation(&source, &sonifier));

    let newest = Arc::new(Newest::default());
    let thread = {
        let newest = newest.clone();
        std::thread::spawn(move || {
            let ended = Ending(&newest);
            capture(sensor, ended.0);
        })
    };
    let played = play(settings.slots, &source, &newest, &mut sonifier, &mut outputs, stop);
    newest.close();
    // A source may keep its reader waiting for ever, as a silent pipe does: that
    // one is left behind. A thread that panicked has said so itself.
    if newest.has_ended(PATIENCE) {
        let _ = thread.join();
    }
    let finished = outputs.finish(&mut sonifier);
    played?;
    Ok(Summary { dropped: newest.lock().dropped, ..finished? })
}

/// One sentence on what will be heard.
fn expectation(source: &Source, sonifier: &Sonifier) -> String {
    let mapping = sonifier.layout().mapping();
    let (loud, unit) = (sonifier.polarity(), sonifier.model().bands().first().map(|b| b.unit));
    let loud = match loud {
        Polarity::HotLoud => "high",
        Polarity::ColdLoud => "low",
    };
    let range = match (sonifier.range(), unit) {
        (&[[low, high]], Some(unit)) => format!(" between {low} and {high} {unit}"),
        _ => String::new(),
    };
    format!(
        "You will hear {}: ten sound frames a second from {} to {} Hz, the louder the more of \
         the picture is {loud}{range}. Ctrl-C ends it.",
        source.description, mapping.low_hz, mapping.high_hz
    )
}

/// The slot clock: one frame after another to the outputs.
fn play(
    slots: Option<u64>,
    source: &Source,
    newest: &Newest,
    sonifier: &mut Sonifier,
    outputs: &mut Outputs,
    stop: &AtomicBool,
) -> Result<()> {
    let mut current: Option<(Frame, Instant)> = None;
    let mut clock = Clock::default();
    while !stop.load(Ordering::Relaxed) && slots.is_none_or(|slots| outputs.summary.slots < slots) {
        clock.wait(outputs.speaker.as_deref_mut(), stop);
        // Only a source with a clock may be slower than the slots.
        let wait = current.is_none() || source.period_s.is_none();
        let fresh = match newest.take(wait, stop) {
            Taken::Frame(frame, arrived) => {
                current = Some((frame, arrived));
                true
            }
            Taken::Nothing => false,
            Taken::End => return Ok(()),
            Taken::Failure(error) => return Err(error),
        };
        let Some((frame, arrived)) = &current else { continue };
        let sound = sonifier.sonify(frame)?;
        outputs.write(sonifier, frame, sound, fresh.then_some(*arrived))?;
        clock.slots += 1;
    }
    Ok(())
}

/// When slots begin.
#[derive(Debug, Default)]
struct Clock {
    started: Option<Instant>,
    slots: u32,
}

impl Clock {
    /// Waits for the next slot.
    fn wait(&mut self, speaker: Option<&mut Speaker>, stop: &AtomicBool) {
        if let Some(speaker) = speaker {
            return speaker.wait(LEAD_S, stop);
        }
        // The first slot begins with the first frame.
        if self.slots == 0 {
            return;
        }
        let started = *self.started.get_or_insert_with(Instant::now);
        let due = started + Duration::from_secs_f64(SLOT_S) * self.slots;
        while !stop.load(Ordering::Relaxed) {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(REST));
        }
    }
}

/// Reads the sensor at its own pace, until it ends or nobody listens.
fn capture(sensor: Box<dyn Sensor>, newest: &Newest) {
    let (period_s, tiled) = (sensor.source().period_s, sensor.source().scene.is_some());
    let mut start = None;
    let mut before_s = None;
    let mut end = Instant::now();
    for frame in sensor {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return newest.end(Some(error)),
        };
        let Some(period_s) = period_s else {
            // Tiles without any reading are left out.
            let empty = tiled && frame.data.iter().all(|value| value.is_nan());
            if !empty && !newest.hand_over(frame) {
                return;
            }
            continue;
        };
        if let Err(error) = check_clock(before_s.unwrap_or(frame.time_s), frame.time_s) {
            return newest.end(Some(error));
        }
        before_s = Some(frame.time_s);
        let (began, first_s) = *start.get_or_insert((Instant::now(), frame.time_s));
        let offset_s = (frame.time_s - first_s).max(0.0);
        let due = Duration::try_from_secs_f64(offset_s).ok().and_then(|d| began.checked_add(d));
        let due = due.unwrap_or_else(Instant::now);
        if !newest.sleep_until(due) {
            return;
        }
        newest.replace(frame, due);
        end = due + Duration::try_from_secs_f64(period_s).unwrap_or_default();
    }
    // The last frame has its time, too.
    newest.sleep_until(end);
    newest.end(None);
}

/// Says that no more frames will come, even where reading them panics: or the
/// slot clock would wait for ever.
struct Ending<'a>(&'a Newest);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let failed = || Error::new(Fault::Input, "source", "its reader failed");
        self.0.end(std::thread::panicking().then(failed));
    }
}

/// The newest frame, between the capture thread and the slot clock.
#[derive(Debug, Default)]
struct Newest {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    frame: Option<(Frame, Instant)>,
    /// Frames that were replaced before they were taken.
    dropped: u64,
    /// No more frames will come.
    ended: bool,
    failure: Option<Error>,
    /// No more frames are wanted.
    closed: bool,
}

/// What there is to send.
enum Taken {
    Frame(Frame, Instant),
    Nothing,
    End,
    Failure(Error),
}

impl Newest {
    /// No code that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `frame`, taken at `arrived`, in the place of the one before.
    fn replace(&self, frame: Frame, arrived: Instant) {
        let mut state = self.lock();
        let missed = state.frame.replace((frame, arrived)).is_some();
        state.dropped += u64::from(missed);
        self.changed.notify_all();
    }

    /// Waits until the frame before was taken; false if nobody listens.
    fn hand_over(&self, frame: Frame) -> bool {
        let mut state = self.lock();
        while state.frame.is_some() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.frame = Some((frame, Instant::now()));
        self.changed.notify_all();
        !state.closed
    }

    /// Sleeps until `due`; false if nobody listens any more.
    fn sleep_until(&self, due: Instant) -> bool {
        let mut state = self.lock();
        while !state.closed {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.closed
    }

    /// No more frames will come.
    fn end(&self, failure: Option<Error>) {
        let mut state = self.lock();
        state.ended = true;
        state.failure = failure.or(state.failure.take());
        self.changed.notify_all();
    }

    /// Waits for the end of the frames, but no longer than `patience`; whether
    /// it came.
    fn has_ended(&self, patience: Duration) -> bool {
        let waiting = |state: &mut State| !state.ended;
        let waited = self.changed.wait_timeout_while(self.lock(), patience, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// No more frames are wanted.
    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// The newest frame; with `wait`, as soon as there is one.
    fn take(&self, wait: bool, stop: &AtomicBool) -> Taken {
        let mut state = self.lock();
        loop {
            if let Some((frame, arrived)) = state.frame.take() {
                self.changed.notify_all();
                return Taken::Frame(frame, arrived);
            }
            if let Some(error) = state.failure.take() {
                return Taken::Failure(error);
            }
            if state.ended {
                return Taken::End;
            }
            if !wait || stop.load(Ordering::Relaxed) {
                return Taken::Nothing;
            }
            let waited = self.changed.wait_timeout(state, REST);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Where the sound goes.
struct Outputs {
    speaker: Option<Box<Speaker>>,
    file: Option<Box<dyn FileSink>>,
    recorder: Option<Recorder>,
    header: Header,
    summary: Summary,
    latencies_s: Vec<f64>,
}

impl Outputs {
    fn open(
        settings: &Settings,
        source: &Source,
        sonifier: &Sonifier,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let mut header = sonifier.header(source, &settings.source);
        header.start_time = Some(rfc3339(SystemTime::now()));
        let format = settings.sound.as_deref().map(|path| {
            Format::of(path).ok_or_else(|| {
                Error::usage(path.display(), "its name ends neither in .wav nor in .flac")
            })
        });
        let format = format.transpose()?;
        let speaker = open_speaker(settings.volume_db, settings.sound.is_none(), say)?;
        if speaker.is_none() && settings.sound.is_none() && settings.rrd.is_none() {
            return Err(Error::usage("--no-speaker", "then nothing would come of it")
                .hint("write a file: -o sound.wav, or --rrd session.rrd"));
        }
        let mut file = None;
        if let (Some(path), Some(format)) = (&settings.sound, format) {
            file = Some(sink::create(path, format, &header)?);
            say(&format!("The sound is written to {}.", path.display()));
        }
        let mut recorder = None;
        if let Some(path) = &settings.rrd {
            let target = Target { save: Some(path.clone()), ..Target::default() };
            let about = session::about(sonifier, &header, settings.sound.clone());
            recorder = Some(Recorder::new(&target, &about)?);
            say(&format!("The session is recorded to {}.", path.display()));
        }
        let summary = Summary::default();
        Ok(Self { speaker, file, recorder, header, summary, latencies_s: vec![] })
    }

    /// Sends one slot. `arrived` is when its frame came, if it is a new one.
    fn write(
        &mut self,
        sonifier: &Sonifier,
        frame: &Frame,
        sound: Sound,
        arrived: Option<Instant>,
    ) -> Result<()> {
        let mut latency_s = None;
        if let Some(speaker) = &mut self.speaker {
            // The lead-in is no answer to a frame.
            let answered = arrived.filter(|_| self.summary.slots > 0 && speaker.is_connected());
            latency_s = answered.map(|arrived| {
                arrived.elapsed().as_secs_f64()
                    + speaker.queued_s()
                    + JOIN as f64 / SAMPLE_RATE as f64
            });
            speaker.write(&sound.samples)?;
        }
        self.latencies_s.extend(latency_s);
        if let Some(file) = &mut self.file {
            file.write(&sound.samples)?;
        }
        if let Some(recorder) = &self.recorder {
            let mut moment = session::moment(sonifier, self.summary.slots, sound)?;
            moment.latency_s = latency_s;
            recorder.log(moment);
        }
        if self.header.scene.is_some() {
            self.header.positions.push([frame.position.0 as u32, frame.position.1 as u32]);
        }
        self.summary.slots += 1;
        self.summary.repeated += u64::from(arrived.is_none());
        Ok(())
    }

    /// Closes every output whole, and only then tells what failed.
    fn finish(mut self, sonifier: &mut Sonifier) -> Result<Summary> {
        let rest = sonifier.finish();
        let mut ends = vec![];
        if let Some(mut file) = self.file.take() {
            self.header.frames = Some(self.summary.slots as usize);
            ends.push(file.write(&rest));
            ends.push(file.replace_header(&self.header));
            ends.push(file.finish());
        }
        if let Some(recorder) = self.recorder.take() {
            match recorder.finish() {
                Ok(drops) => self.summary.pictures_dropped = drops.pictures,
                Err(error) => ends.push(Err(error)),
            }
        }
        if let Some(mut speaker) = self.speaker.take() {
            ends.push(speaker.write(&rest));
            self.summary.speaker = Some(Heard {
                underruns: speaker.underruns(),
                guarded_s: speaker.acted_s(),
                latency_s: percentiles(&mut self.latencies_s),
            });
            ends.push(speaker.finish());
        }
        ends.into_iter().collect::<Result<()>>()?;
        Ok(self.summary)
    }
}

/// Opens the speaker at `volume_db`, and says what it is; where there is none,
/// says so, or fails if it is `needed`.
///
/// # Errors
///
/// If a speaker that is needed cannot be opened.
pub(crate) fn open_speaker(
    volume_db: Option<f32>,
    needed: bool,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Box<Speaker>>> {
    let Some(volume_db) = volume_db else { return Ok(None) };
    match Speaker::open(volume_db) {
        Ok(speaker) => {
            let name = speaker.name();
            say(&format!("It plays to {name} at {volume_db} dB, and begins quietly."));
            Ok(Some(Box::new(speaker)))
        }
        Err(error) if matches!(error.fault, Fault::Device | Fault::Unsupported) && !needed => {
            let reason = error.to_string();
            let reason = reason.trim_end_matches('.');
            say(&format!("There is no speaker, so nothing is played: {reason}."));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The median and the 99th percentile.
fn percentiles(values: &mut [f64]) -> Option<[f64; 2]> {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (share * values.len() as f64).ceil() as usize;
        values.get(rank.saturating_sub(1)).copied()
    };
    Some([at(0.5)?, at(0.99)?])
}

/// `time` in UTC, to the millisecond.
///
/// The civil calendar from days since 1970: Howard Hinnant, "chrono-compatible
/// low-level date algorithms".
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = ((since.as_secs() / 86_400) as i64, since.as_secs() % 86_400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}
