//! Hear it without owning anything: the simulated thermal camera through the
//! model that ships for it, to files, and back to pictures.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::Array3;

use crate::convert::Slots;
use crate::ears::Sides;
use crate::error::{Error, Fault, Result};
use crate::evaluate::figures::{correlation, psnr_db};
use crate::picture::{self, SheetRow};
use crate::recorder::{Moment, Origin, Pace, Recorder, Target};
use crate::sensor::Options;
use crate::session;
use crate::sink::device::open_speaker;
use crate::sink::{self, Format, Header, Sink, Speaker};
use crate::sonifier::Sonifier;
use crate::spectrum::Preset;
use crate::staging::StagedFolder;
use crate::synth::SLOT_S;
use crate::voice::{Listener, Ready, Voice};

/// Length of the demo.
pub const SECONDS: f64 = 20.0;
/// Rows of the contact sheet.
const ROWS: usize = 6;

/// What to do with the demo.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where `sound.wav`, `session.rrd` and `contact-sheet.png` go.
    pub folder: PathBuf,
    /// Seeds the scene and the sound.
    pub seed: u64,
    /// Who listens.
    pub listener: Listener,
    /// Volume of the speaker in dB; `None`: nothing is played.
    pub volume_db: Option<f32>,
    /// The speaker by its name; `None`: the system's choice.
    pub device: Option<String>,
}

/// How much survived.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The files written, the sound first.
    pub files: Vec<PathBuf>,
    /// Number of sound frames.
    pub slots: usize,
    /// Mean PSNR in dB of the pictures decoded from the code.
    pub psnr_code_db: f64,
    /// Mean PSNR in dB of the pictures decoded from the WAV, read back.
    pub psnr_sound_db: f64,
    /// Correlation of band energy and loudness.
    pub loudness_r: f64,
}

/// Runs the demo: it plays through the speaker, if there is one, and writes
/// its files. Plain sentences about what happens go to `say`. It ends early,
/// without files, once `stop` is true.
///
/// # Errors
///
/// If the folder cannot be written.
pub fn run(settings: &Settings, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<Summary> {
    let voice = Voice {
        preset: Preset::Listen,
        listener: settings.listener.clone(),
        seed: settings.seed,
        ..Voice::of_sensor("simulated-lwir", Options::default())
    };
    let folder = &settings.folder;
    let staging = StagedFolder::open(folder)?;

    say("You will hear warm bodies cross a cool room: the more warmth in view, the louder; \
         each sound frame lasts a tenth of a second.");
    let named = |error| staging.named(error);
    let device = settings.device.as_deref();
    let sides = settings.listener.ears.as_ref().map_or_else(Sides::default, |ears| ears.sides);
    let mut speaker = open_speaker(settings.volume_db, device, sides, false, say)?;
    let wav = staging.place("sound.wav");
    let written = write_sound(&voice, &wav, speaker.as_deref_mut(), stop).map_err(named);
    if let Some(speaker) = speaker {
        speaker.finish()?;
    }
    let (mut sonifier, header, mut moments) = written?;
    let recording = sink::read(&wav)?;
    for (slot, moment) in moments.iter_mut().enumerate() {
        decode(&mut sonifier, &recording.samples, slot, moment)?;
    }
    let summary = score(&sonifier, &moments);
    write_sheet(&staging.place("contact-sheet.png"), &sonifier, &moments).map_err(named)?;
    let mut names = vec!["sound.wav".to_owned(), "contact-sheet.png".to_owned()];
    let rrd = staging.place("session.rrd");
    match write_session(&rrd, &sonifier, &header, folder.join("sound.wav"), moments) {
        Ok(()) => names.push("session.rrd".to_owned()),
        Err(error) if error.fault == Fault::Unsupported => say(&format!("no session: {error}")),
        Err(error) => return Err(named(error)),
    }
    // An earlier session is of another sound.
    let files = staging.replace(&["session.rrd".to_owned()], &names)?;
    Ok(Summary { files, ..summary })
}

/// The whole signal path: from the camera to the file at `wav` and the
/// speaker, which sets the pace where there is one; and what the recorder
/// shall know, still without pictures from the sound.
fn write_sound(
    voice: &Voice,
    wav: &Path,
    mut speaker: Option<&mut Speaker>,
    stop: &AtomicBool,
) -> Result<(Sonifier, Header, Vec<Moment>)> {
    let Ready { sensor, mut sonifier } = voice.ready("simulated", None)?;
    let source = sensor.source().clone();
    let command = Some(session::command_line());
    let mut header = Header { command, ..sonifier.header(&source, "simulated") };
    let mut file = sink::create(wav, Format::Wav, &header)?;

    let count = (SECONDS / SLOT_S) as usize;
    let mut slots = Slots::new(sensor);
    let mut moments = Vec::with_capacity(count);
    while moments.len() < count
        && let Some(frame) = slots.advance()?
    {
        if stop.load(Ordering::Relaxed) {
            if let Some(speaker) = speaker {
                // Fades out.
                speaker.write(&sonifier.finish())?;
            }
            return Err(Error::new(Fault::Interrupted, "demo", "stopped before its files"));
        }
        let sound = sonifier.sonify(&frame)?;
        if let Some(speaker) = &mut speaker {
            speaker.write(&sound.samples)?;
        }
        file.write(&sound.samples)?;
        moments.push(session::moment(&sonifier, moments.len() as u64, sound)?);
    }
    let rest = sonifier.finish();
    if let Some(speaker) = &mut speaker {
        speaker.write(&rest)?;
    }
    file.write(&rest)?;
    header.frames = Some(moments.len());
    file.replace_header(&header)?;
    file.finish()?;
    Ok((sonifier, header, moments))
}

/// Replaces the picture of `moment` that came from the code by the one that
/// is heard in `samples`; the PSNR stays that of the code.
fn decode(
    sonifier: &mut Sonifier,
    samples: &[f32],
    slot: usize,
    moment: &mut Moment,
) -> Result<()> {
    let code = sonifier
        .hear(samples, slot)
        .ok_or_else(|| Error::input("sound.wav", format!("frame {slot} cannot be heard")))?;
    moment.reconstruction = Some((sonifier.reconstruct(&code)?, Origin::FromSound));
    Ok(())
}

fn score(sonifier: &Sonifier, moments: &[Moment]) -> Summary {
    let from_sound = |moment: &Moment| {
        let (back, _) = moment.reconstruction.as_ref()?;
        Some(psnr_db(moment.input.view(), back.view(), sonifier.range()))
    };
    let energy: Vec<f64> = moments.iter().map(|m| m.band_energy).collect();
    let loudness: Vec<f64> = moments.iter().map(|m| m.loudness_lufs).collect();
    Summary {
        files: vec![],
        slots: moments.len(),
        psnr_code_db: mean(moments.iter().filter_map(|m| m.psnr_db)),
        psnr_sound_db: mean(moments.iter().filter_map(from_sound)),
        loudness_r: correlation(&energy, &loudness),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / count
}

/// A few moments as pictures: what went in, its spectrum, what came back out
/// of the WAV.
fn write_sheet(path: &Path, sonifier: &Sonifier, moments: &[Moment]) -> Result<()> {
    let step = moments.len().div_ceil(ROWS).max(1);
    let rows: Vec<SheetRow> = moments
        .iter()
        .step_by(step)
        .map(|moment| {
            let preview = |data: &Array3<f32>| {
                picture::preview(data.view(), sonifier.range(), sonifier.model().bands())
            };
            let back = moment.reconstruction.as_ref().map_or(&moment.input, |(back, _)| back);
            SheetRow {
                input: preview(&moment.input),
                levels_db: moment.levels_db.clone(),
                reconstruction: preview(back),
                caption: format!("{:.1} s, {:.1} LUFS", moment.time_s, moment.loudness_lufs),
            }
        })
        .collect();
    let headings = ["sent", "spectrum", "decoded from sound.wav"];
    picture::save_png(&picture::contact_sheet(headings, &rows), path)
}

fn write_session(
    path: &Path,
    sonifier: &Sonifier,
    header: &Header,
    wav: PathBuf,
    moments: Vec<Moment>,
) -> Result<()> {
    let target = Target { save: Some(path.into()), pace: Pace::Batch, ..Target::default() };
    let recorder = Recorder::new(&target, &session::about(sonifier, header, Some(wav)))?;
    moments.into_iter().for_each(|moment| recorder.log(moment));
    recorder.finish().map(|_| ())
}
