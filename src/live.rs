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
//!
//! While a camera is away (unplugged, or without anything new for two
//! seconds), its last picture fades, and slots go by in silence; when it is
//! back, its pictures fade in.
//!
//! On the way to the speaker alone an alarm on a temperature may be played
//! over the sound. What the pictures show may become a model for their sensor,
//! on a thread that gives way to all others.
//!
//! Whoever listens may ask for something by a [`Command`]. It is done by the
//! slot clock at the start of a slot, and answered in a sentence.

mod alarm;
mod capture;
mod command;
pub(crate) mod glance;
mod learn;
mod outputs;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::profile::{Polarity, Profile};
use crate::recorder::Target;
use crate::sensor::Source;
use crate::sensor::camera::Losses;
use crate::sink::Speaker;
use crate::sonifier::Sonifier;
use crate::synth::SLOT_S;
use crate::voice::{Ready, Voice};

use self::capture::{Newest, Taken, capture};
use self::glance::Glance;
use self::learn::Learner;
use self::outputs::{Outputs, percentiles};

pub use self::alarm::Limit;
pub use self::capture::Sent;
pub use self::command::{Command, HELP, Keys};
pub use self::outputs::open_speaker;

/// By how much one command changes the volume, in dB.
const VOLUME_STEP_DB: f32 = 3.0;

/// A status tells the latency of so many frames: ten seconds.
const RECENT: usize = 100;

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
    /// Where the session goes that grows with it.
    pub session: Target,
    /// What is heard of pictures that come faster than the slots.
    pub sent: Sent,
    /// A temperature at which to give the alarm.
    pub alarm: Option<Limit>,
    /// For so many slots pictures are gathered, from which a model for this
    /// sensor is then computed.
    pub learn: Option<u64>,
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
    /// Slots in which a camera was away, and the sound faded or was silent.
    pub silent: u64,
    /// What a camera has lost; `None` for other sources.
    pub losses: Option<Losses>,
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
/// is true. Plain sentences about what will be heard go to `say`, and so do the
/// answers to `commands`.
///
/// # Errors
///
/// If the source, the model or a file is unusable; if there is neither a
/// speaker nor a file; or if one of them fails on the way. Files are closed
/// whole all the same.
pub fn run(
    settings: &Settings,
    commands: &Receiver<Command>,
    stop: &AtomicBool,
    say: &mut dyn FnMut(&str),
) -> Result<Summary> {
    let Ready { sensor, mut sonifier } = settings.voice.ready(&settings.source, None)?;
    let source = sensor.source().clone();
    let profile = sonifier.model().profile();
    if settings.voice.model.is_none()
        && let Some(own) = Profile::own_model(&profile.name).filter(|path| path.is_file())
    {
        say(&format!("Your own model for {} speaks: {}.", profile.name, own.display()));
    }
    let mut learner = settings.learn.map(|slots| Learner::new(profile, slots)).transpose()?;
    let mut outputs = Outputs::open(settings, &source, &sonifier, say)?;
    if let Some(sentence) = sonifier.introduction() {
        say(&sentence);
    }
    say(&expectation(&source, &sonifier, settings.sent));

    let newest = Arc::new(Newest::new(settings.sent));
    let thread = {
        let newest = newest.clone();
        std::thread::spawn(move || capture(sensor, &newest))
    };
    let played = Player {
        slots: settings.slots,
        commands,
        newest: &newest,
        sonifier: &mut sonifier,
        outputs: &mut outputs,
        learner: &mut learner,
    }
    .play(&source, stop, say);
    newest.close();
    // A source may keep its reader waiting for ever, as a silent pipe does: that
    // one is left behind. A thread that panicked has said so itself.
    if newest.has_ended(PATIENCE) {
        let _ = thread.join();
    }
    let finished = outputs.finish(&mut sonifier);
    if let Some(learner) = learner {
        learner.finish(say);
    }
    played?;
    let Summary { slots, repeated, silent, speaker, pictures_dropped, .. } = finished?;
    let state = newest.lock();
    let (dropped, losses) = (state.dropped, state.losses);
    Ok(Summary { slots, dropped, repeated, silent, losses, speaker, pictures_dropped })
}

/// One sentence on what will be heard.
fn expectation(source: &Source, sonifier: &Sonifier, sent: Sent) -> String {
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
    // To a tenth, as rates are no whole numbers.
    let pictures =
        source.period_s.map_or(1.0, |period_s| (10.0 * SLOT_S / period_s).round() / 10.0);
    let pace = match sent {
        _ if pictures <= 1.0 => String::new(),
        Sent::Newest => format!(" One picture in {pictures} is heard, the newest."),
        Sent::Mean => format!(" Each is the mean of about {pictures} pictures."),
    };
    format!(
        "You will hear {}: ten sound frames a second from {} to {} Hz, the louder the more of \
         the picture is {loud}{range}.{pace} Ctrl-C ends it.",
        source.description, mapping.low_hz, mapping.high_hz
    )
}

/// Plays one frame after another to the outputs.
struct Player<'a> {
    slots: Option<u64>,
    commands: &'a Receiver<Command>,
    newest: &'a Newest,
    sonifier: &'a mut Sonifier,
    outputs: &'a mut Outputs,
    learner: &'a mut Option<Learner>,
}

impl Player<'_> {
    /// The slot clock.
    fn play(
        &mut self,
        source: &Source,
        stop: &AtomicBool,
        say: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let mut current: Option<(Frame, Instant)> = None;
        let mut absence: Option<Absence> = None;
        let mut clock = Clock::default();
        let most = self.slots;
        let over = |slots: u64| most.is_some_and(|most| slots >= most);
        while !stop.load(Ordering::Relaxed) && !over(self.outputs.summary.slots) {
            clock.wait(self.outputs.speaker.as_deref_mut(), stop);
            while let Ok(command) = self.commands.try_recv() {
                if command == Command::Quit {
                    return Ok(());
                }
                let seen = current.as_ref().map(|(frame, _)| frame);
                self.obey(command, seen, absence.is_some(), say);
            }
            // Only a source with a clock may be slower than the slots.
            let wait = current.is_none() || source.period_s.is_none();
            let mut fresh = false;
            match self.newest.take(wait) {
                Taken::Frame(frame, arrived) => {
                    current = Some((frame, arrived));
                    fresh = true;
                    if let Some(absence) = absence.take() {
                        absence.end(say);
                    }
                }
                Taken::Nothing if wait => continue,
                Taken::Nothing => {}
                Taken::Away(error) => absence.get_or_insert_with(Absence::begin).tell(&error, say),
                Taken::End => return Ok(()),
                Taken::Failure(error) => return Err(error),
            }
            let Some((frame, arrived)) = &current else { continue };
            let seen = self.attend(frame, fresh, say);
            if absence.is_some() {
                self.outputs.rest(self.sonifier)?;
            } else {
                let sound = self.sonifier.sonify(frame)?;
                let left_out = self.newest.lock().dropped;
                let arrived = fresh.then_some(*arrived);
                self.outputs.write(
                    self.sonifier,
                    frame,
                    sound,
                    arrived,
                    seen.as_ref(),
                    left_out,
                )?;
            }
            clock.slots += 1;
        }
        Ok(())
    }

    /// Lets everybody look at the picture of this slot, which may be a `fresh`
    /// one, and tells what they say.
    fn attend(&mut self, frame: &Frame, fresh: bool, say: &mut dyn FnMut(&str)) -> Option<Glance> {
        let seen = (fresh && self.outputs.look()).then(|| Glance::at(frame));
        self.outputs.watch(seen.as_ref(), say);
        self.outputs.check_viewers(say);
        let learner = self.learner.as_mut();
        let learned = learner.and_then(|learner| learner.see(fresh.then_some(frame)));
        for sentence in self.outputs.growth.take().into_iter().chain(learned) {
            say(&sentence);
        }
        seen
    }

    /// Does what a listener asks for, and answers. `seen` is the picture that
    /// was sent last; the camera may be `away` since then.
    fn obey(
        &mut self,
        command: Command,
        seen: Option<&Frame>,
        away: bool,
        say: &mut dyn FnMut(&str),
    ) {
        let level = self.sonifier.level();
        match command {
            Command::Mute => say(self.outputs.mute()),
            Command::Louder => say(&self.outputs.turn(VOLUME_STEP_DB)),
            Command::Quieter => say(&self.outputs.turn(-VOLUME_STEP_DB)),
            Command::More => say(&self.resolve(level.saturating_mul(2))),
            Command::Less => say(&self.resolve(level / 2)),
            Command::Mark => say(&self.outputs.mark()),
            Command::Status => say(&self.status(away)),
            Command::Where => match seen {
                None => say("There is no picture yet."),
                Some(frame) if away => {
                    say(&format!("The camera is away. Its last picture: {}", Glance::at(frame)));
                }
                Some(frame) => say(&Glance::at(frame).to_string()),
            },
            Command::Help => HELP.iter().for_each(|line| say(line)),
            // The slot clock ends by it.
            Command::Quit => {}
        }
    }

    /// Makes the sound as fine as `level` groups, if it can.
    fn resolve(&mut self, level: usize) -> String {
        let before = self.sonifier.level();
        self.sonifier.set_level(level);
        let (now, most) = (self.sonifier.level(), self.sonifier.layout().mapping().values);
        let bound = match now {
            _ if now != before => "",
            1 => ", the coarsest",
            _ => ", the finest",
        };
        let text = format!("{now} of {most} groups{bound}.");
        if now != before {
            self.outputs.note(&text);
        }
        text
    }

    /// How it goes, in a sentence or two.
    fn status(&self, away: bool) -> String {
        let Summary { slots, repeated, silent, .. } = self.outputs.summary;
        let (dropped, losses) = {
            let state = self.newest.lock();
            (state.dropped, state.losses)
        };
        let (level, most) = (self.sonifier.level(), self.sonifier.layout().mapping().values);
        let mut text = format!(
            "{:.1} s; {}; {level} of {most} groups; {slots} sound frames sent, {dropped} pictures \
             left out, {repeated} sound frames repeated",
            self.outputs.time_s(),
            self.outputs.loudness(),
        );
        if silent > 0 {
            text += &format!(", {silent} faded or silent");
        }
        if let Some(speaker) = &self.outputs.speaker {
            text += &format!("; gaps in the sound: {}", speaker.underruns());
            let latencies_s = &self.outputs.latencies_s;
            let recent = latencies_s.len().saturating_sub(RECENT);
            let mut recent_s = latencies_s.get(recent..).unwrap_or_default().to_vec();
            if let Some([median_s, _]) = percentiles(&mut recent_s) {
                text += &format!("; latency {:.0} ms", median_s * 1e3);
            }
        }
        text.push('.');
        if let Some(lost) = losses.as_ref().and_then(Losses::sentence) {
            text += &format!(" {lost}");
        }
        if away {
            text += " The camera is away.";
        }
        text
    }
}

/// A time in which the camera is away.
#[derive(Debug)]
struct Absence {
    since: Instant,
    /// What was said of it, so that it is said once.
    said: String,
}

impl Absence {
    fn begin() -> Self {
        Self { since: Instant::now(), said: String::new() }
    }

    fn tell(&mut self, error: &Error, say: &mut dyn FnMut(&str)) {
        let reason = error.to_string();
        if reason != self.said {
            say(&format!("{reason}; the sound fades, and waits for it."));
            self.said = reason;
        }
    }

    fn end(self, say: &mut dyn FnMut(&str)) {
        let away_s = self.since.elapsed().as_secs_f64();
        say(&format!("The camera is back after {away_s:.1} s."));
    }
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
