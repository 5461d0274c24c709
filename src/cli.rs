//! The command line: one file per verb, each with its arguments and what it
//! says. The work itself is done in the library.

mod collect;
mod completions;
mod console;
mod convert;
mod datasets;
mod demo;
mod evaluate;
mod hearing;
mod inspect;
mod listen;
mod live;
mod plan;
mod practice;
#[cfg(feature = "gdal")]
pub mod probe;
pub mod report;
mod sensors;
mod train;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use wysiwyh::ears::{Ears, Sides};
use wysiwyh::profile::Polarity;
use wysiwyh::recorder::Target;
use wysiwyh::sensor::{Flip, Object, Options, RawFormat, Speed, Turn};
use wysiwyh::sink::device::{self, Way};
use wysiwyh::sink::guard::{DEFAULT_VOLUME_DB, VOLUMES_DB};
use wysiwyh::spectrum::{Axis, Preset};
use wysiwyh::voice::{Listener, Span, Voice};
use wysiwyh::{Error, Fault, Result};

use report::Report;

/// The version, and what this build can do.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let features = [
        ("gdal", cfg!(feature = "gdal")),
        ("sound", cfg!(feature = "sound")),
        ("uvc", cfg!(all(feature = "uvc", target_os = "linux"))),
        ("rerun", cfg!(feature = "rerun")),
        ("gpu", cfg!(feature = "gpu")),
        ("gige", cfg!(feature = "gige")),
    ];
    let named = |built: bool| {
        let names = features.iter().filter(|(_, there)| *there == built).map(|(name, _)| *name);
        let names: Vec<&str> = names.collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let devices = if cfg!(feature = "gpu") { "cpu, wgpu" } else { "cpu" };
    format!(
        "{}\nfeatures: {}\nleft out: {}\ntrains on: {devices}\nsystem: {} {}",
        env!("CARGO_PKG_VERSION"),
        named(true),
        named(false),
        std::env::consts::OS,
        std::env::consts::ARCH
    )
});

/// What you see is what you hear: heat, infrared and satellite bands as
/// sound, and the sound as pictures again.
#[derive(Debug, Parser)]
#[command(
    version,
    long_version = VERSION.as_str(),
    max_term_width = 100,
    after_help = "\
Start with:  wysiwyh demo
Every verb explains itself:  wysiwyh VERB --help
Exit status: 0 ok, 1 failure, 2 wrong usage, 3 part of a batch failed."
)]
pub struct Cli {
    /// Plain lines for screen readers: no tables, colours, or anything that
    /// redraws itself. Also with WYSIWYH_PLAIN=1. Nothing redraws itself where
    /// standard error is no terminal.
    #[arg(long, global = true)]
    pub plain: bool,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    Sensors(sensors::Arguments),
    Inspect(inspect::Arguments),
    Train(train::Arguments),
    Live(live::Arguments),
    Convert(convert::Arguments),
    Plan(plan::Arguments),
    Collect(collect::Arguments),
    Listen(listen::Arguments),
    Evaluate(evaluate::Arguments),
    Datasets(datasets::Arguments),
    Hearing(hearing::Arguments),
    Practice(practice::Arguments),
    View(view::Arguments),
    Demo(demo::Arguments),
    Completions(completions::Arguments),
    #[cfg(feature = "gdal")]
    Probe(probe::Arguments),
}

/// Which model speaks, and how; shared by the verbs that make sound.
#[derive(Args, Debug)]
pub struct VoiceArguments {
    /// Model file to speak with
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Sensor profile, by name or .toml file; its shipped model, or a
    /// general one, speaks unless --model is given
    #[arg(long, value_name = "NAME")]
    sensor: Option<String>,
    /// Values that mean 0 and 1, such as 20C..40C, 68F..104F, 290K..310K or
    /// 0..0.4 in the bands' own unit; narrow it to hear small differences
    /// [default: the model's or the profile's range, else that of the first
    /// pictures; `auto` asks for the latter]
    #[arg(long, value_name = "LO..HI|auto", allow_hyphen_values = true)]
    span: Option<Span>,
    /// Which end of the span is loud [default: the profile's choice]
    #[arg(long, value_parser = polarity())]
    polarity: Option<Polarity>,
    /// How many values the code has, a power of two: more tell more of the
    /// picture, fewer are easier to tell apart [default: 64 in the preset
    /// `listen`, 256 in `data`, or as many as the model has]
    #[arg(long, value_name = "K")]
    values: Option<usize>,
    /// Lowest frequency of the sound in hertz, 20 to 20000 [default: the
    /// profile's]
    #[arg(long, value_name = "HZ", value_parser = audible_hz)]
    low: Option<f64>,
    /// Highest frequency, likewise
    #[arg(long, value_name = "HZ", value_parser = audible_hz)]
    high: Option<f64>,
    /// How the values are spaced between them: `erb`, as the ear resolves them, or
    /// `linear`, in hertz [default: erb]
    #[arg(long, value_name = "AXIS", value_parser = axis())]
    axis: Option<Axis>,
    /// Fit the sound to your ears: settings that `wysiwyh hearing` wrote
    /// [default: yours, where there are any, for live, demo and practice with the
    /// preset `listen`, and for the sides of every speaker; `none` leaves them out]
    #[arg(long, value_name = "FILE|none")]
    hearing: Option<PathBuf>,
    /// Seed of the sound's phases and of the simulated camera; the same seed
    /// gives the same sound
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl VoiceArguments {
    /// The voice, for sound of this `preset` of sources read so.
    fn voice(self, preset: Preset, reading: Options) -> Result<Voice> {
        let Self { model, sensor, values, span, polarity, low, high, axis, hearing, seed } = self;
        let file = hearing.filter(|path| path.as_os_str() != NO_HEARING);
        let ears = file.map(|path| Ears::load(&path)).transpose()?;
        let listener = Listener { low_hz: low, high_hz: high, axis, ears };
        Ok(Voice { model, sensor, preset, values, span, polarity, listener, seed, reading })
    }

    /// What the listener's ears need of the speaker at `volume_db`, whatever
    /// sound they hear; nothing, where none is to play.
    fn sides(&self, volume_db: Option<f32>) -> Result<Sides> {
        match &self.hearing {
            _ if volume_db.is_none() => Ok(Sides::default()),
            Some(none) if none.as_os_str() == NO_HEARING => Ok(Sides::default()),
            Some(file) => Ok(Ears::load(file)?.sides),
            None => Ears::sides_of_user(),
        }
    }

    /// The options that were given, by their names, save the model; a seed of 0 is as
    /// good as none.
    fn given(&self) -> Vec<&'static str> {
        let Self { sensor, values, span, polarity, low, high, axis, hearing, seed, .. } = self;
        let options = [
            ("--sensor", sensor.is_some()),
            ("--span", span.is_some()),
            ("--polarity", polarity.is_some()),
            ("--values", values.is_some()),
            ("--low", low.is_some()),
            ("--high", high.is_some()),
            ("--axis", axis.is_some()),
            ("--hearing", hearing.is_some()),
            ("--seed", *seed != 0),
        ];
        options.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }

    /// The same where somebody listens: fitted to the user's ears.
    fn heard(self, preset: Preset, reading: Options, report: &Report) -> Result<Voice> {
        let asked = self.hearing.is_some() || preset != Preset::Listen;
        let mut voice = self.voice(preset, reading)?;
        if !asked {
            voice.listener.ears = own_ears(report)?;
        }
        Ok(voice)
    }
}

/// The user's hearing settings, if there are any, and says so.
fn own_ears(report: &Report) -> Result<Option<Ears>> {
    let ears = Ears::of_user()?;
    if let Some(Ears { band_hz: [low_hz, high_hz], .. }) = ears {
        report.note(format_args!(
            "The sound is fitted to your ears, {low_hz} to {high_hz} Hz at most."
        ));
    }
    Ok(ears)
}

/// In place of a file of hearing settings.
const NO_HEARING: &str = "none";

fn audible_hz(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(hz) if (20.0..=20_000.0).contains(&hz) => Ok(hz),
        _ => Err("a frequency is a number of hertz from 20 to 20000".to_owned()),
    }
}

/// What a user knows of a source and it does not say, or says wrongly; shared
/// by the verbs that open one.
#[derive(Args, Debug)]
pub struct ReadingArguments {
    /// Emissivity of the object, above 0 and at most 1, in place of what a
    /// file of FLIR's states
    #[arg(long, value_name = "E", value_parser = emissivity)]
    emissivity: Option<f64>,
    /// Distance of the object in metres, likewise
    #[arg(long, value_name = "METRES", value_parser = distance_m)]
    distance: Option<f64>,
    /// Temperature in degC of what the object mirrors, likewise
    #[arg(long, value_name = "DEGC", allow_hyphen_values = true, value_parser = celsius)]
    reflected: Option<f64>,
    /// Turn pictures clockwise, of a camera that hangs on its side
    #[arg(long, value_name = "DEGREES", value_parser = quarters())]
    rotate: Option<u8>,
    /// Then let left and right (`horizontal`) or top and bottom (`vertical`)
    /// change places, of a camera that looks into a mirror
    #[arg(long, value_name = "WAY", value_parser = flip())]
    flip: Option<Flip>,
    /// The source is raw pixels, from a file, a named pipe or `-`, standard
    /// input: gray8, gray16le, gray16be, y10, y12, y14, mono10p, mono12p,
    /// mono10packed, mono12packed or f32le; columns x rows, and pictures a
    /// second, as in gray16le 160x120@9
    #[arg(long, num_args = 2, value_names = ["FORMAT", "SIZE@RATE"])]
    raw: Option<Vec<String>>,
}

impl ReadingArguments {
    /// How to open a source.
    fn options(&self) -> Result<Options> {
        let raw = match self.raw.as_deref() {
            Some([packing, size]) => {
                Some(RawFormat::new(packing, size).map_err(|what| Error::usage("--raw", what))?)
            }
            _ => None,
        };
        let object = Object {
            emissivity: self.emissivity,
            distance_m: self.distance,
            reflected_c: self.reflected,
        };
        let turn = Turn { quarters: self.rotate.unwrap_or_default(), flip: self.flip };
        Ok(Options { object, turn, raw, ..Self::silent() })
    }

    /// How to open a source of which the user says nothing.
    fn silent() -> Options {
        let tell = |text: &str| report::line(text);
        Options { stop: Some(&STOP), tell: Some(tell), ..Options::default() }
    }
}

/// How fast a source is heard; shared by the verbs that hear one as it goes.
#[derive(Args, Debug)]
pub struct SpeedArguments {
    /// Hear a recording so many times as fast as it was made, 0.1 to 10; the
    /// pictures of a folder, pages and others without a clock for 0.1 s / FACTOR
    /// each, so 0.1 lets each be heard for a second, and 1 is the most
    #[arg(
        long,
        value_name = "FACTOR",
        default_value = "1",
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    speed: Speed,
}

fn emissivity(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("an emissivity is above 0 and at most 1".to_owned()),
    }
}

fn distance_m(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=1e5).contains(&value) => Ok(value),
        _ => Err("a distance is a number of metres from 0 to 100000".to_owned()),
    }
}

fn celsius(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(value) if (-273.0..=5000.0).contains(&value) => Ok(value),
        _ => Err("a temperature is a number of degC from -273 to 5000".to_owned()),
    }
}

/// One of these words, and what each stands for.
fn choice<T: Clone + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    let names = PossibleValuesParser::new(words.iter().map(|(word, _)| *word));
    names.try_map(move |name| {
        let named = words.iter().find(|(word, _)| *word == name);
        named.map(|(_, meaning)| meaning.clone()).ok_or("is no choice")
    })
}

/// A file to write whose name should end in `ending`: one that is there under another
/// name is somebody's, and a pattern may have named it.
fn replaceable(ending: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |path| {
        let is_ours = path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending));
        match is_ours || !path.is_file() {
            true => Ok(path),
            false => Err(format!("there is a file already that is no .{ending}: give a new name")),
        }
    })
}

/// Quarter turns.
fn quarters() -> impl TypedValueParser<Value = u8> {
    choice(&[("90", 1), ("180", 2), ("270", 3)])
}

fn flip() -> impl TypedValueParser<Value = Flip> {
    choice(&[("horizontal", Flip::Horizontal), ("vertical", Flip::Vertical)])
}

fn polarity() -> impl TypedValueParser<Value = Polarity> {
    choice(&[("hot-loud", Polarity::HotLoud), ("cold-loud", Polarity::ColdLoud)])
}

fn axis() -> impl TypedValueParser<Value = Axis> {
    choice(&[("erb", Axis::Erb), ("linear", Axis::Linear)])
}

fn preset() -> impl TypedValueParser<Value = Preset> {
    choice(&[("listen", Preset::Listen), ("data", Preset::Data)])
}

/// Where sound is heard, and how loudly; shared by the verbs that play.
#[derive(Args, Debug)]
pub struct SpeakerArguments {
    /// Volume in dB, -60 to 20; whatever it is, the ear is protected
    #[arg(long, value_name = "DB", default_value_t = DEFAULT_VOLUME_DB,
        allow_hyphen_values = true, value_parser = volume_db)]
    volume: f32,
    /// Play to this device, headphones say; `list` shows the names of all
    /// [default: the system's choice]
    #[arg(long, value_name = "NAME|list")]
    device: Option<String>,
    /// Do not play
    #[arg(long)]
    no_speaker: bool,
}

impl SpeakerArguments {
    /// The volume to play at, if at all.
    fn volume_db(&self) -> Option<f32> {
        (!self.no_speaker).then_some(self.volume)
    }
}

/// Where a session goes that grows with the sound; shared by the verbs that go on
/// for as long as somebody listens.
#[derive(Args, Debug)]
pub struct SessionArguments {
    /// Record a session for the Rerun viewer to this file, which grows
    #[arg(long, visible_alias = "save", value_name = "RRD", value_parser = replaceable("rrd"))]
    rrd: Option<PathBuf>,
    /// Show the session in a Rerun viewer that runs already, by default on this
    /// machine; if it is closed, everything else goes on
    #[arg(long, value_name = "HOST[:PORT]", num_args = 0..=1, require_equals = true,
        default_missing_value = "127.0.0.1:9876")]
    connect: Option<String>,
    /// Let viewers on this machine connect to this port, also from a browser
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true,
        default_missing_value = "9876")]
    serve: Option<u16>,
    /// Show the session in a viewer that is started for it
    #[arg(long)]
    view: bool,
}

impl SessionArguments {
    fn target(self) -> Target {
        let Self { rrd: save, connect, serve, view: spawn } = self;
        let connect =
            connect.map(|address| match (address.contains("://"), address.contains(':')) {
                (true, _) => address,
                (false, true) => format!("rerun+http://{address}/proxy"),
                (false, false) => format!("rerun+http://{address}:9876/proxy"),
            });
        Target { save, connect, serve, spawn, ..Target::default() }
    }
}

/// Makes ready for the device for sound that was `asked` for; where that is
/// `list`, shows all of them, and there is nothing else to do.
///
/// The sound server is told by the environment which device is meant, and that
/// of a process that runs already is not safe to change: it starts again.
fn choose(way: Way, asked: Option<&str>, report: &Report) -> Result<Option<ExitCode>> {
    let Some(name) = asked else { return Ok(None) };
    if name == LIST {
        let devices = device::list(way);
        if devices.is_empty() {
            report.print("There is no device for sound.")?;
        }
        devices.iter().try_for_each(|device| report.print(device))?;
        return Ok(Some(ExitCode::SUCCESS));
    }
    match device::environment(way, name)? {
        Some((variable, value)) => Err(start_again(variable, &value)),
        None => Ok(None),
    }
}

/// In place of the name of a device for sound.
const LIST: &str = "list";

/// Takes the place of this process with the same arguments, and `variable` set
/// to `value`; returns only if that fails.
fn start_again(variable: &str, value: &str) -> Error {
    let failed = |what| Error::new(Fault::Device, "--device", what);
    #[cfg(unix)]
    return match std::env::current_exe() {
        Ok(program) => {
            let mut command = std::process::Command::new(program);
            command.args(std::env::args_os().skip(1)).env(variable, value);
            failed(std::os::unix::process::CommandExt::exec(&mut command))
        }
        Err(error) => failed(error),
    };
    #[cfg(not(unix))]
    failed(std::io::Error::other(format!("start again with {variable}={value}")))
}

fn volume_db(text: &str) -> std::result::Result<f32, String> {
    let [low, high] = VOLUMES_DB;
    match text.parse::<f32>() {
        Ok(volume_db) if (low..=high).contains(&volume_db) => Ok(volume_db),
        _ => Err(format!("a volume is a number of decibels from {low} to {high}")),
    }
}

/// True once the user wants to stop; every loop looks at it.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// The first Ctrl-C asks every loop to end and close its files; the second
/// one ends the process at once.
pub fn stop_on_ctrl_c() {
    let handler = || {
        if STOP.swap(true, Ordering::Relaxed) {
            console::restore_terminal();
            std::process::exit(1);
        }
    };
    // Without a handler Ctrl-C ends the process, which is no worse than
    // refusing to start.
    let _ = ctrlc::set_handler(handler);
}
