//! Where the sound of a source goes: the speaker, a file and the recorder.

use std::path::Path;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};

use super::alarm::Alarm;
use super::glance::Glance;
use super::growing::Growing;
use super::latency::Latency;
use super::{Heard, Settings, Summary};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::recorder::Recorder;
use crate::sensor::Source;
use crate::session;
use crate::sink::device::open_speaker;
use crate::sink::guard::VOLUMES_DB;
use crate::sink::{self, Format, Header, Sink, Speaker};
use crate::sonifier::{Sonifier, Sound};
use crate::spectrum::Spectrum;
use crate::stereo::{Channels, Panner};
use crate::synth::{JOIN, SAMPLE_RATE, SLOT, SLOT_S, Synth};

/// Seconds in an hour.
const HOUR_S: f64 = 3600.0;

/// Bytes of a sample in a file.
const WAV_BYTES: usize = 2;

/// How a slot was played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Played {
    /// The first sample that it changes, in the sound as it is played; in the
    /// file where nothing is played.
    pub sample: usize,
    /// Seconds from the arrival of its new picture to that sample.
    pub latency_s: Option<f64>,
}

/// A picture that is heard before its slot.
#[derive(Debug)]
pub(super) struct Follower {
    pub spectrum: Spectrum,
    /// When it arrived and was chosen.
    pub times: [Instant; 2],
    /// Where it is heard, see [`Outputs::is_stereo`].
    pub place: Option<f32>,
}

/// What there is to keep of a slot beside its sound.
#[derive(Debug)]
pub(super) struct Slot {
    pub played: Played,
    /// Where its picture is heard, see [`Outputs::is_stereo`].
    pub place: Option<f32>,
    /// Whether its picture is a new one.
    pub fresh: bool,
    /// What is hottest and coldest in it, if that was looked for.
    pub seen: Option<Glance>,
    /// Pictures of the source that were left out so far.
    pub left_out: u64,
}

/// Where the sound goes.
pub(super) struct Outputs {
    pub speaker: Option<Box<Speaker>>,
    /// Makes the sound of the speaker.
    synth: Synth,
    samples: Vec<f32>,
    /// Samples of the slot that the speaker has by now.
    sent: usize,
    /// Puts it in its place; in the middle, unless `pans` says otherwise.
    panner: Panner,
    pans: bool,
    /// Whether there was a speaker when that was told last.
    connected: bool,
    file: Option<Growing>,
    channels: Channels,
    recorder: Option<Recorder>,
    pub alarm: Option<Alarm>,
    pub header: Header,
    pub summary: Summary,
    pub latency: Latency,
    /// A sentence on how large the session becomes, once that is known.
    pub growth: Option<String>,
    /// What the speaker was asked for.
    volume_db: f32,
    /// Whether the session goes to a file.
    keeps_session: bool,
    muted: bool,
    marks: u64,
}

impl Outputs {
    /// Opens what `settings` ask for; on two channels, if `stereo` is true.
    pub fn open(
        settings: &Settings,
        source: &Source,
        sonifier: &Sonifier,
        stereo: bool,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let alarm = settings.alarm.map(|limit| Alarm::new(limit, source)).transpose()?;
        let start_time = Some(Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true));
        let header = sonifier.header(source, &settings.source);
        let command = Some(session::command_line());
        let header = Header { start_time, stereo, command, ..header };
        let format = settings.sound.as_deref().map(format_of).transpose()?;
        let (device, needed) = (settings.device.as_deref(), settings.sound.is_none());
        let sides = settings.sides;
        let speaker = open_speaker(settings.volume_db, device, sides, needed, say)?;
        if stereo && sides.one_ear && speaker.is_some() {
            say("You hear with one ear, so the speaker plays the same on both sides.");
        }
        if speaker.is_none() && settings.sound.is_none() && settings.session.is_none() {
            return Err(Error::usage("--no-speaker", "then nothing would come of it")
                .hint("write a file: -o sound.wav, or --rrd session.rrd"));
        }
        // What a file holds is lost once it is opened: so whatever else can fail
        // comes before.
        settings.sound.as_deref().map(sink::check_place).transpose()?;
        let mut recorder = None;
        if !settings.session.is_none() {
            let about = session::about(sonifier, &header, settings.sound.clone());
            recorder = Some(Recorder::new(&settings.session, &about)?);
            settings.session.introduction().iter().for_each(|sentence| say(sentence));
        }
        let sound = settings.sound.as_deref().zip(format);
        let file = sound.map(|(path, format)| create(path, format, &header, say)).transpose()?;
        if let Some(alarm) = &alarm {
            say(&alarm.introduction());
            if speaker.is_none() {
                say("Nothing is played, so the alarm is given in words alone.");
            }
        }
        let summary = Summary::default();
        let volume_db = settings.volume_db.unwrap_or_default();
        Ok(Self {
            speaker,
            synth: Synth::new(header.seed, sonifier.layout()),
            samples: Vec::with_capacity(3 * SLOT),
            sent: 0,
            panner: Panner::default(),
            pans: stereo && !sides.one_ear,
            connected: true,
            file,
            channels: Channels::new(stereo),
            recorder,
            alarm,
            header,
            summary,
            latency: Latency::default(),
            growth: None,
            volume_db,
            keeps_session: settings.session.save.is_some(),
            muted: false,
            marks: 0,
        })
    }

    /// Whether each picture is heard from a place of its own.
    pub fn is_stereo(&self) -> bool {
        self.header.stereo
    }

    /// Seconds since the end of the lead-in, as files and sessions count them.
    pub fn time_s(&self) -> f64 {
        self.summary.slots as f64 * SLOT_S
    }

    /// Silences the speaker, or ends that; files go on.
    pub fn mute(&mut self) -> &'static str {
        let Some(speaker) = &self.speaker else { return "Nothing is played." };
        self.muted = !self.muted;
        speaker.set_muted(self.muted);
        if self.muted { "Muted." } else { "Not muted." }
    }

    /// Changes the speaker's volume by `step_db`, within its bounds.
    pub fn turn(&mut self, step_db: f32) -> String {
        let Some(speaker) = &self.speaker else { return "Nothing is played.".to_owned() };
        let [low, high] = VOLUMES_DB;
        self.volume_db = (self.volume_db + step_db).clamp(low, high);
        speaker.set_volume(self.volume_db);
        let bound = match self.volume_db {
            volume_db if volume_db == low => ", the lowest",
            volume_db if volume_db == high => ", the highest",
            _ => "",
        };
        format!("Volume {} dB{bound}{}.", self.volume_db, if self.muted { ", muted" } else { "" })
    }

    /// How loud the speaker is, in words.
    pub fn loudness(&self) -> String {
        match (&self.speaker, self.muted) {
            (None, _) => "nothing is played".to_owned(),
            (Some(_), true) => format!("volume {} dB, muted", self.volume_db),
            (Some(_), false) => format!("volume {} dB", self.volume_db),
        }
    }

    /// Marks this moment, in the session if there is one.
    pub fn mark(&mut self) -> String {
        self.marks += 1;
        self.note(&format!("Mark {}", self.marks));
        let kept = if self.is_recorded() { "" } else { "; no session keeps it" };
        format!("Mark {} at {:.1} s{kept}.", self.marks, self.time_s())
    }

    /// Notes `text` in the session, if there is one.
    pub fn note(&self, text: &str) {
        if let Some(recorder) = &self.recorder {
            recorder.mark(self.summary.slots, self.time_s(), text);
        }
    }

    /// Whether a file or a session holds what is heard.
    pub fn keeps(&self) -> bool {
        self.file.is_some() || self.recorder.is_some()
    }

    pub fn is_recorded(&self) -> bool {
        self.recorder.is_some()
    }

    /// Lets the alarm look at the new picture of a slot, if there is one, and
    /// tells and notes what it says.
    pub fn watch(&mut self, seen: Option<&Glance>, say: &mut dyn FnMut(&str)) {
        if let Some(sentence) = self.alarm.as_mut().and_then(|alarm| alarm.see(seen)) {
            say(&sentence);
            self.note(&sentence);
        }
    }

    /// Tells what is gone, or is there again: viewers, the session's file, the
    /// speaker.
    pub fn check(&mut self, say: &mut dyn FnMut(&str)) {
        if let Some(speaker) = &self.speaker
            && self.connected != speaker.is_connected()
        {
            self.connected = speaker.is_connected();
            let name = speaker.name();
            say(&match self.connected {
                true => format!("It plays again, to {name}, and begins quietly."),
                false => format!(
                    "The speaker {name} is gone: nothing is heard until there is one, and \
                     everything else goes on."
                ),
            });
        }
        if let Some(recorder) = &mut self.recorder {
            self.summary.failures.extend(recorder.tell(say));
        }
    }

    /// Appends the slot of `samples` to the file, heard at `place` or where the
    /// last one was. A file that fails, as on a full disk, or is far behind, as on
    /// one that hangs, is given up and keeps what it has, as if the process had been
    /// killed.
    fn keep(&mut self, samples: &[f32], place: Option<f32>, say: &mut dyn FnMut(&str)) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write(self.channels.lay(samples, place).into_owned()) {
            self.file = None;
            say(&format!("The sound is written no longer, and everything else goes on: {error}."));
            self.summary.failures.push(error);
        }
    }

    /// Looks at a picture that is heard within a slot, and tells and notes what the
    /// alarm says of it.
    pub fn notice(&mut self, frame: &Frame, say: &mut dyn FnMut(&str)) {
        if let Some(sentence) = self.alarm.as_mut().and_then(|a| a.notice(&Glance::at(frame))) {
            say(&sentence);
            self.note(&sentence);
        }
    }

    /// Begins a slot: plays `length` samples of what `sonifier` sounds like now at
    /// `place` or where the last one was, as soon as possible; the original's sound
    /// as its `samples` are. `picture` tells when its new picture arrived and was
    /// chosen.
    pub fn play(
        &mut self,
        sonifier: &Sonifier,
        samples: &[f32],
        picture: Option<[Instant; 2]>,
        place: Option<f32>,
        length: usize,
    ) -> Played {
        let sample = self.sample();
        if self.speaker.is_none() {
            return Played { sample, latency_s: None };
        }
        self.samples.clear();
        self.sent = 0;
        if self.header.original {
            self.samples.extend_from_slice(samples);
            return Played { sample, latency_s: self.hear(picture, place) };
        }
        let sample = self.synth.position();
        self.synth.begin(&sonifier.sounding(), &mut self.samples);
        self.synth.hold(length.saturating_sub(JOIN), &mut self.samples);
        // The lead-in is no answer to a picture.
        Played { sample, latency_s: self.hear(picture.filter(|_| sample > 0), place) }
    }

    /// Goes on with a slot for `length` samples: with a picture that came meanwhile,
    /// of which it tells how it was played.
    pub fn follow(&mut self, picture: Follower, length: usize) -> Played {
        let Follower { spectrum, times, place } = picture;
        self.samples.clear();
        let sample = self.synth.position();
        self.synth.begin(&spectrum, &mut self.samples);
        self.synth.hold(length.saturating_sub(JOIN), &mut self.samples);
        Played { sample, latency_s: self.hear(Some(times), place) }
    }

    /// Goes on with a slot for `length` samples as before.
    pub fn hold(&mut self, length: usize) {
        self.samples.clear();
        self.synth.hold(length, &mut self.samples);
        self.hear(None, None);
    }

    /// Sends the samples to the speaker, heard at `place`. The seconds from the
    /// arrival of their new picture to its sound, if `picture` tells when it arrived
    /// and was chosen.
    fn hear(&mut self, picture: Option<[Instant; 2]>, place: Option<f32>) -> Option<f64> {
        let speaker = self.speaker.as_mut()?;
        let picture = picture.filter(|_| speaker.is_connected());
        let latency_s = picture
            .zip(speaker.heard_at())
            .map(|([arrived, chosen], heard)| self.latency.add(arrived, chosen, heard));
        let heard = self.panner.push(&self.samples, place.filter(|_| self.pans));
        match &self.alarm {
            Some(alarm) => speaker.play(&alarm.over(&heard, self.sent)),
            None => speaker.play(&heard),
        }
        self.sent += self.samples.len();
        latency_s
    }

    /// The first sample that the next slot changes in the file.
    fn sample(&self) -> usize {
        match self.summary.slots as usize {
            0 => 0,
            // It has neither lead-in nor joins.
            slot if self.header.original => slot * SLOT,
            slot => (slot + 1) * SLOT - JOIN / 2,
        }
    }

    /// Keeps one slot that was played.
    pub fn write(
        &mut self,
        sonifier: &Sonifier,
        frame: &Frame,
        sound: Sound,
        slot: Slot,
        say: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let Slot { played, place, fresh, seen, left_out } = slot;
        self.keep(&sound.samples, place, say);
        if let Some(recorder) = &self.recorder {
            let mut moment = session::moment(sonifier, self.summary.slots, sound)?;
            moment.latency_s = played.latency_s;
            moment.sample = Some(played.sample as u64);
            moment.left_out = Some(left_out);
            moment.extremes = seen.as_ref().map_or([None; 3], Glance::values);
            if self.summary.slots == self.summary.silent && self.keeps_session {
                let bytes = recorder.slot_bytes(&moment) as f64 * HOUR_S / SLOT_S;
                self.growth = Some(format!(
                    "By its first picture, the session takes about {:.0} MB an hour.",
                    bytes / 1e6
                ));
            }
            recorder.log(moment);
        }
        self.count([frame.position.0 as u32, frame.position.1 as u32]);
        self.summary.repeated += u64::from(!fresh);
        Ok(())
    }

    /// Sends one slot of no picture; the recorder is told of pictures alone.
    pub fn rest(&mut self, sonifier: &mut Sonifier, say: &mut dyn FnMut(&str)) {
        let samples = sonifier.rest();
        self.play(sonifier, &samples, None, None, SLOT);
        self.keep(&samples, None, say);
        self.count(self.header.positions.last().copied().unwrap_or_default());
        self.summary.silent += 1;
    }

    /// Counts a slot; of a scene it lies at `position`, which its file tells of each.
    fn count(&mut self, position: [u32; 2]) {
        self.summary.slots += 1;
        if self.header.scene.is_some() {
            self.header.positions.push(position);
        }
    }

    /// Closes every output whole; the summary tells what failed.
    pub fn finish(mut self, sonifier: &mut Sonifier) -> Summary {
        // First of all, or the sound has a gap while files are closed.
        if let Some(speaker) = &mut self.speaker {
            self.samples.clear();
            self.synth.finish(&mut self.samples);
            speaker.play(&self.panner.push(&self.samples, None));
            speaker.end();
        }
        let rest = sonifier.finish();
        let mut ends = vec![];
        if let Some(mut file) = self.file.take() {
            self.header.frames = Some(self.summary.slots as usize);
            let rest = file.write(self.channels.lay(&rest, None).into_owned());
            ends.push(rest.and_then(|()| file.finish(&self.header)));
        }
        if let Some(recorder) = self.recorder.take() {
            match recorder.finish() {
                Ok(drops) => self.summary.pictures_dropped = drops.pictures,
                Err(error) => ends.push(Err(error)),
            }
        }
        if let Some(speaker) = self.speaker.take() {
            self.summary.speaker = Some(Heard {
                underruns: speaker.underruns(),
                guarded_s: speaker.acted_s(),
                latency_s: self.latency.percentiles_s(),
            });
            ends.push(speaker.finish());
        }
        self.summary.failures.extend(ends.into_iter().filter_map(Result::err));
        self.summary
    }
}

/// The format of a file of that name.
fn format_of(path: &Path) -> Result<Format> {
    Format::of(path)
        .ok_or_else(|| Error::usage(path.display(), "its name ends neither in .wav nor in .flac"))
}

/// Begins the file at `path`, and says how it grows.
fn create(
    path: &Path,
    format: Format,
    header: &Header,
    say: &mut dyn FnMut(&str),
) -> Result<Growing> {
    let file = Growing::new(path, sink::create(path, format, header)?)?;
    let most = if format == Format::Flac { " at most" } else { "" };
    say(&format!(
        "The sound is written to {}: {:.0} MB an hour{most}.",
        path.display(),
        (header.channels() * WAV_BYTES * SAMPLE_RATE) as f64 * HOUR_S / 1e6
    ));
    Ok(file)
}
