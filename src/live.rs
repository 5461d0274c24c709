//! A sensor as it is heard: the capture thread and the slot clock.
//!
//! ```text
//! capture thread -> newest frame -> slot clock: sonify, write -> ring -> audio callback
//!                                                       '-> queues: file, recorder, words
//! ```
//!
//! The capture thread reads the sensor at the sensor's own pace and keeps the
//! newest frame alone. The slot clock runs on the caller's thread: where there
//! is a speaker, the speaker paces it, else the wall clock. As late as there is
//! still time to encode it, the newest frame is chosen and sent; where there is
//! none, the last one is sent again. Sources without a clock (pages, pictures in a
//! folder, tiles) give one slot to each of their frames, or several where they are
//! to be heard for longer. A session that is played again gives back slot after
//! slot as it was, those without a picture, too.
//!
//! The slot clock waits for nothing but its pace: what is written or told goes through
//! a queue to a thread of its own, so that neither a disk nor a terminal that hangs
//! holds the sound up.
//!
//! While a source is away (a camera unplugged, or nothing new for two seconds
//! from anything with a clock), its last picture fades, and slots go by in silence; when it is
//! back, its pictures fade in.
//!
//! Three things are heard at the speaker alone, and no file and no session knows
//! of them. A slot has parts there, each of which begins with the frame that is the
//! newest by then, see [`Sent::Each`]. It may be a little longer or shorter, to
//! begin just after the camera's pictures. And an alarm on a temperature may be
//! played over the sound.
//!
//! What the pictures show may become a model for their sensor, on a thread that
//! gives way to all others.
//!
//! Whoever listens may ask for something by a [`Command`]. It is done by the
//! slot clock at the start of a slot, and answered in a sentence.

mod alarm;
mod capture;
mod command;
pub(crate) mod glance;
mod growing;
mod latency;
mod learn;
mod outputs;
mod pace;
mod shown;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::ears::Sides;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::profile::Polarity;
use crate::recorder::Target;
use crate::sensor::camera::Losses;
use crate::sensor::{self, Source, count, rounded};
use crate::sink::Header;
use crate::sonifier::Sonifier;
use crate::spectrum::Mapping;
use crate::staging;
use crate::synth::{SLOT, SLOT_S};
use crate::voice::{Ready, Voice};

use self::alarm::Alarm;
use self::capture::{Newest, capture};
use self::glance::Glance;
use self::learn::Learner;
use self::outputs::{Follower, Outputs, Played, Slot};
use self::pace::Pace;
use self::shown::{Shown, Turn};
use self::words::told_aside;

pub use self::alarm::Limit;
pub use self::capture::Sent;
pub use self::command::{Command, HELP, Keys};

/// By how much one command changes the volume, in dB.
const VOLUME_STEP_DB: f32 = 3.0;

/// So many commands are done in a slot at most, so that no flood of them stops the
/// sound.
const COMMANDS: usize = 8;

/// So many parts has a slot at the speaker, where pictures are heard as they come:
/// as many as a camera of 30 a second has pictures.
const PARTS: usize = 3;

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
    /// Whether a session is heard as it was, see [`Voice::again`]; else its
    /// pictures are heard anew, as those of any other source.
    pub again: bool,
    /// Volume of the speaker in dB; `None`: no speaker.
    pub volume_db: Option<f32>,
    /// The speaker by its name; `None`: the system's choice.
    pub device: Option<String>,
    /// What the listener's ears need of the speaker.
    pub sides: Sides,
    /// Whether each picture is heard from where its energy is centred, on two
    /// channels; so is a session that is heard as it was, if it was.
    pub stereo: bool,
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

impl Settings {
    /// Refuses what does not go together.
    fn check(&self) -> Result<()> {
        let outputs = [&self.sound, &self.session.save].map(Option::as_deref);
        let source = Path::new(&self.source);
        if let Some(path) = outputs.into_iter().flatten().find(|path| are_one(path, source)) {
            return Err(Error::usage(path.display(), "is the source that is heard")
                .hint("write to another file"));
        }
        if let [Some(sound), Some(session)] = outputs
            && are_one(sound, session)
        {
            let what = format!("both are to be written to {}", session.display());
            return Err(Error::usage("-o and --rrd", what).hint("give each a file of its own"));
        }
        self.voice.check(self.stereo, !self.session.is_none())
    }
}

/// Whether both are, or would become, the same file; devices are none.
fn are_one(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| match path.canonicalize() {
        Ok(path) => path.is_file().then_some(path),
        Err(_) => Some(staging::folder_of(path).canonicalize().ok()?.join(path.file_name()?)),
    };
    place(one).is_some_and(|one| place(other) == Some(one))
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
    /// What could not be written to its end. It holds what came before.
    pub failures: Vec<Error>,
}

/// What the speaker tells at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// Gaps in the sound.
    pub underruns: u64,
    /// Seconds of sound that the guard held back.
    pub guarded_s: f64,
    /// Medians and 99th percentiles, in seconds: from the choice of a picture to
    /// the first sample that it changes, and from an event in the scene to that
    /// sample. The former is encoding, the ring, the guard, and the device's own
    /// word on its buffer; in the latter are the slots and the source's period,
    /// but not the camera's exposure and cable.
    pub latency_s: Option<[[f64; 2]; 2]>,
}

/// Plays `settings.source` until it ends, `settings.slots` are over, or `stop`
/// is true. Plain sentences about what will be heard go to `say`, and so do the
/// answers to `commands`; `say` is called on a thread of its own, and may take its
/// time.
///
/// # Errors
///
/// If the source, the model or a file is unusable from the start; if the settings
/// do not go together, see [`Voice::check`]; if there is
/// neither a speaker nor a file; or if the source fails on the way. Files are
/// closed whole all the same. A file that fails on the way ends nothing else:
/// see [`Summary::failures`].
pub fn run(
    settings: &Settings,
    commands: &Receiver<Command>,
    stop: &AtomicBool,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Summary> {
    settings.check()?;
    told_aside(say, |say| hear(settings, commands, stop, say))
}

/// Does so, and tells it without waiting for a reader.
fn hear(
    settings: &Settings,
    commands: &Receiver<Command>,
    stop: &AtomicBool,
    say: &mut dyn FnMut(&str),
) -> Result<Summary> {
    let again = match settings.again {
        true => settings.voice.again(&settings.source)?,
        false => None,
    };
    let anew = again.is_none();
    let stereo = settings.stereo || again.as_ref().is_some_and(|(_, header)| header.stereo);
    let Ready { sensor, mut sonifier } = match again {
        Some((ready, _)) => ready,
        None => settings.voice.ready(&settings.source, None)?,
    };
    let source = sensor.source().clone();
    let profile = sonifier.model().profile();
    if anew && let Some(own) = settings.voice.own_model(sonifier.model()) {
        say(&own);
    }
    let mut learner = settings.learn.map(|slots| Learner::new(profile, slots)).transpose()?;
    let mut outputs = Outputs::open(settings, &source, &sonifier, stereo, say)?;
    if let Some(sentence) = sonifier.introduction() {
        say(&sentence);
    }
    let sent = heard(settings.sent, &source, &outputs);
    say(&expectation(&source, &sonifier, &outputs, sent));

    let newest = Arc::new(Newest::new(settings.sent));
    let thread = {
        let newest = newest.clone();
        let piped = !sensor::is_repeatable(&settings.source);
        std::thread::spawn(move || capture(sensor, piped, &newest))
    };
    let played = Player {
        slots: settings.slots,
        parts: if sent == Sent::Each { PARTS } else { 1 },
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
    if let Err(error) = played {
        for failure in &finished.failures {
            say(&failure.to_string());
        }
        return Err(error);
    }
    let state = newest.lock();
    Ok(Summary { dropped: state.dropped, losses: state.losses, ..finished })
}

/// What is heard at the speaker of pictures that are to be `sent` so: only what has a
/// clock brings pictures when no slot begins.
fn heard(sent: Sent, source: &Source, outputs: &Outputs) -> Sent {
    let clocked = source.period_s.is_some() && !source.is_slotted();
    let follows = clocked && outputs.speaker.is_some() && !outputs.header.original;
    if sent == Sent::Each && !follows { Sent::Newest } else { sent }
}

/// One sentence on what will be heard.
fn expectation(source: &Source, sonifier: &Sonifier, outputs: &Outputs, sent: Sent) -> String {
    let header = &outputs.header;
    let Mapping { low_hz, high_hz, .. } = header.mapping;
    let (loud, unit) = (sonifier.polarity(), sonifier.model().bands().first().map(|b| b.unit));
    let loud = match loud {
        Polarity::HotLoud => "high",
        Polarity::ColdLoud => "low",
    };
    let range = match (sonifier.range(), unit) {
        (&[span], Some(unit)) => {
            let [low, high] = span.map(rounded);
            format!(" between {low} and {high} {unit}")
        }
        _ => String::new(),
    };
    // To a tenth, as rates are no whole numbers.
    let pictures =
        source.period_s.map_or(1.0, |period_s| (10.0 * SLOT_S / period_s).round() / 10.0);
    let pace = match sent {
        _ if pictures <= 1.0 => String::new(),
        Sent::Each => {
            let most = (PARTS as f64 / SLOT_S).round();
            let kept = match outputs.keeps() {
                true => format!("; what is kept is one in {pictures}, the newest"),
                false => String::new(),
            };
            format!(" Pictures are heard as they come, up to {most} a second{kept}.")
        }
        Sent::Newest => format!(" One picture in {pictures} is heard, the newest."),
        Sent::Mean => format!(" Each is the mean of about {pictures} pictures."),
    };
    let way = match header {
        Header { original: true, .. } => " It is the sound of the original, for comparison.",
        Header { stereo: true, .. } => " It comes from the side where there is more of that.",
        _ => "",
    };
    format!(
        "You will hear {}: ten sound frames a second from {low_hz} to {high_hz} Hz, the louder the \
         more of the picture is {loud}{range}.{way}{pace} Ctrl-C ends it.",
        source.description
    )
}

/// Plays one frame after another to the outputs.
struct Player<'a> {
    slots: Option<u64>,
    /// How often in a slot a picture is chosen, see [`Sent::Each`].
    parts: usize,
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
        let mut shown = Shown::new(source);
        let mut pace = Pace::new(source, self.parts);
        let mut looked = Instant::now();
        let most = self.slots;
        let over = |slots: u64| most.is_some_and(|most| slots >= most);
        while !stop.load(Ordering::Relaxed) && !over(self.outputs.summary.slots) {
            pace.wait(self.outputs.speaker.as_deref_mut(), stop);
            for command in self.commands.try_iter().take(COMMANDS) {
                if command == Command::Quit {
                    return Ok(());
                }
                self.obey(command, &shown, say);
            }
            let turn = match shown.turn(self.newest, !self.is_blind(), say)? {
                Turn::Over => return Ok(()),
                Turn::Idle => {
                    self.idle(&mut looked, &mut pace, say);
                    continue;
                }
                turn => turn,
            };
            looked = Instant::now();
            match (&shown.frame, turn) {
                (Some(frame), Turn::Slot { picture, heard }) => {
                    self.send(frame, picture, heard, &mut pace, say)?;
                }
                _ => {
                    self.outputs.watch(None, say);
                    self.outputs.rest(self.sonifier, say);
                }
            }
            pace.advance();
            self.outputs.check(say);
            let fresh = shown.frame.as_ref().filter(|_| turn.is_fresh());
            let learned = self.learner.as_mut().and_then(|learner| learner.see(fresh));
            for sentence in self.outputs.growth.take().into_iter().chain(learned) {
                say(&sentence);
            }
            if matches!(turn, Turn::Slot { .. })
                && let Some((frame, played)) = self.follow(&pace, stop, say)?
            {
                shown.anticipate(frame, played);
            }
        }
        Ok(())
    }

    /// Whether the alarm has long seen nothing, and is to be heard.
    fn is_blind(&self) -> bool {
        let Outputs { alarm, speaker, .. } = &*self.outputs;
        speaker.is_some() && alarm.as_ref().is_some_and(Alarm::is_blind)
    }

    /// Lets the time of the alarm go on, slot by slot since `looked`, while there
    /// is nothing to send; its tones, once it is blind, go out over silence.
    fn idle(&mut self, looked: &mut Instant, pace: &mut Pace, say: &mut dyn FnMut(&str)) {
        let slot = Duration::from_secs_f64(SLOT_S);
        if self.is_blind() {
            *looked = Instant::now();
            self.outputs.watch(None, say);
            self.outputs.rest(self.sonifier, say);
            pace.advance();
        } else if looked.elapsed() >= slot {
            *looked += slot;
            self.outputs.watch(None, say);
        }
    }

    /// Sends one slot of `frame`, at the speaker its first part. `picture` tells when
    /// a new one arrived and was chosen, `heard` how one was played already; without
    /// either it is the last one again.
    fn send(
        &mut self,
        frame: &Frame,
        picture: Option<[Instant; 2]>,
        heard: Option<Played>,
        pace: &mut Pace,
        say: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let fresh = picture.is_some() || heard.is_some();
        let look = |wanted: bool| (fresh && wanted).then(|| Glance::at(frame));
        // The alarm is heard with its picture; whatever else there is to do waits
        // until that is on its way.
        let seen = look(self.outputs.alarm.is_some());
        self.outputs.watch(seen.as_ref(), say);
        let sound = self.sonifier.sonify(frame)?;
        if let (Some([_, chosen]), Some(speaker)) = (picture, &self.outputs.speaker) {
            pace.learn(chosen.elapsed(), speaker.underruns());
        }
        let slew = picture.map_or(0, |[arrived, chosen]| pace.slew(chosen - arrived));
        let length = (SLOT / self.parts).saturating_add_signed(slew);
        let stereo = self.outputs.is_stereo();
        let place = stereo.then(|| self.sonifier.place(&sound.sent)).flatten();
        let played = self.outputs.play(self.sonifier, &sound.samples, picture, place, length);
        let seen = seen.or_else(|| look(self.outputs.is_recorded()));
        let left_out = self.newest.lock().dropped;
        let played = heard.unwrap_or(played);
        let slot = Slot { played, place, fresh, seen, left_out };
        self.outputs.write(self.sonifier, frame, sound, slot, say)
    }

    /// Plays the other parts of a slot at the speaker, each from the newest picture
    /// on, if one has come; the last one that came, and how it was played.
    fn follow(
        &mut self,
        pace: &Pace,
        stop: &AtomicBool,
        say: &mut dyn FnMut(&str),
    ) -> Result<Option<(Frame, Played)>> {
        let mut last = None;
        let length = SLOT / self.parts;
        for _ in 1..self.parts {
            pace.wait(self.outputs.speaker.as_deref_mut(), stop);
            let Some((frame, arrived)) = self.newest.take_frame() else {
                self.outputs.hold(length);
                continue;
            };
            let chosen = Instant::now();
            let prepared = self.sonifier.prepare(&frame)?;
            let stereo = self.outputs.is_stereo();
            let place = stereo.then(|| self.sonifier.place(prepared.sent())).flatten();
            let spectrum = self.sonifier.preview(&prepared);
            let follower = Follower { spectrum, times: [arrived, chosen], place };
            let played = self.outputs.follow(follower, length);
            self.outputs.notice(&frame, say);
            last = Some((frame, played));
        }
        Ok(last)
    }

    /// Does what a listener asks for, and answers.
    fn obey(&mut self, command: Command, shown: &Shown, say: &mut dyn FnMut(&str)) {
        let level = self.sonifier.level();
        match command {
            Command::Mute => say(self.outputs.mute()),
            Command::Louder => say(&self.outputs.turn(VOLUME_STEP_DB)),
            Command::Quieter => say(&self.outputs.turn(-VOLUME_STEP_DB)),
            Command::More => say(&self.resolve(level.saturating_mul(2))),
            Command::Less => say(&self.resolve(level / 2)),
            Command::Mark => say(&self.outputs.mark()),
            Command::Status => say(&self.status(shown.is_away())),
            Command::Where => match &shown.frame {
                None => say("There is no picture yet."),
                Some(frame) if shown.is_away() => {
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
        let frames = |number: u64| count(number, "sound frame");
        let (dropped, losses) = {
            let state = self.newest.lock();
            (state.dropped, state.losses)
        };
        let (level, most) = (self.sonifier.level(), self.sonifier.layout().mapping().values);
        let mut text = format!(
            "{:.1} s; {}; {level} of {most} groups; {} sent, {} left out, {} repeated",
            self.outputs.time_s(),
            self.outputs.loudness(),
            frames(slots),
            count(dropped, "picture"),
            frames(repeated),
        );
        if silent > 0 {
            text += &format!(", {silent} faded or silent");
        }
        if let Some(speaker) = &self.outputs.speaker {
            text += &format!("; gaps in the sound: {}", speaker.underruns());
            if let Some([chosen_s, event_s]) = self.outputs.latency.recent_s() {
                text += &format!(
                    "; latency {:.0} ms from the choice of a picture, {:.0} ms from the scene",
                    chosen_s * 1e3,
                    event_s * 1e3
                );
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
