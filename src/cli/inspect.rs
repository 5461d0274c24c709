//! `inspect`: what is in a source, and what it would sound like.

mod session;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use wysiwyh::convert::Slots;
use wysiwyh::frame::{Band, Exposure, GeoReference};
use wysiwyh::inspect::many::{self, FEW};
use wysiwyh::inspect::{self, Histogram, Inspection, Statistics};
use wysiwyh::profile::Profile;
use wysiwyh::recorder::is_session;
use wysiwyh::sensor::camera::Losses;
use wysiwyh::sensor::{self, Detail, Options, STDIN, count};
use wysiwyh::synth::SLOT_S;
use wysiwyh::voice::{self, Ready, Voice};
use wysiwyh::{Error, Result};

use super::report::{Report, aligned};
use super::{ReadingArguments, STOP, SpeedArguments, replaceable};

/// Scenes with more values than this are read in tiles of no more, so that
/// memory stays small.
const WHOLE_VALUES: usize = 64 << 20;
/// Side of the largest such tile in pixels.
const TILE: usize = 512;
/// Of rasters with more values than this, a quarter as many are looked at, which
/// takes a few seconds.
const MOST_VALUES: usize = 256 << 20;
/// Sound frames that are tried for their loudness.
const TRIED: usize = 100;
/// Characters of the sparkline of a band's values.
const SPARKS: usize = 12;

/// Tells what is in a source: bands, wavelengths, units, sizes, values, and
/// what it would sound like; or in a session: what was recorded, its scores,
/// and its worst moments.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    a raster, a satellite product by its folder, a picture, a TIFF of one
          page or many, a folder of pictures, a video, a radiometric file of
          FLIR's, a CPTV recording, a camera by its number, device, profile or as
          gige:ADDRESS, or `simulated`;
          with --raw, pixels without a header; or a session, an .rrd file
Writes:   a table, sentences with --say, or JSON with --json; with --npy the frames
          as read, [frame, band, row, column] f32, NaN = no reading; with --table
          a row for each sound frame of a session
Units:    values in the band's unit (degC, K, reflectance, counts), wavelengths
          in micrometres, loudness in LUFS
Example:  wysiwyh inspect stack.tif --sensor sentinel2-l2a")]
pub struct Arguments {
    /// What to look into
    #[arg(required_unless_present = "raw")]
    source: Option<String>,
    /// Sensor profile for what the file does not say [default: recognised]
    #[arg(long, value_name = "NAME")]
    sensor: Option<String>,
    /// Tell it in plain sentences instead of a table; so does --plain. More
    /// than 16 bands are told in groups
    #[arg(long, conflicts_with = "json")]
    say: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write the frames as read to this NumPy file
    #[arg(long, value_name = "FILE", value_parser = replaceable("npy"))]
    npy: Option<PathBuf>,
    /// Of a session: write time, scores, marks and code of every sound frame to
    /// this .csv or .parquet file
    #[arg(long, value_name = "FILE", conflicts_with = "npy")]
    table: Option<PathBuf>,
    /// Look at all pixels of a large raster, instead of some spread evenly over it
    #[arg(long)]
    all: bool,
    /// Stop after so many frames [default: 200 of a camera, else all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    #[command(flatten)]
    reading: ReadingArguments,
    #[command(flatten)]
    pace: SpeedArguments,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let reading = Options { speed: self.pace.speed, ..self.reading.options()? };
        let name = self.source.clone().unwrap_or_else(|| STDIN.to_owned());
        if self.reading.raw.is_none() && is_session(Path::new(&name)) {
            reading.speed.check(&name)?;
            self.refuse_of_pictures(&name, &reading)?;
            return session::inspect(Path::new(&name), self.table.as_deref(), self.json, report);
        }
        if self.table.is_some() {
            return Err(Error::usage("--table", format!("{name} is no session"))
                .hint("give an .rrd file; `convert` writes tables of scenes"));
        }
        // A source that no profile knows can be inspected all the same.
        let (profile, unknown) = match &self.sensor {
            Some(name) => (Some(Profile::find(name)?), None),
            None => match voice::recognise(&name, &reading) {
                Ok(profile) => (Some(profile), None),
                Err(error) => (None, Some(error)),
            },
        };
        let frames = sensor::limit(&name, self.frames.map(|frames| frames as usize));
        let whole = Options { frames, ..reading.clone() };
        let mut sensor = sensor::open(&name, profile.as_ref(), &whole)?;
        let source = sensor.source();
        let bands = source.bands.len();
        let values = bands.saturating_mul(source.rows).saturating_mul(source.columns);
        if self.npy.is_none() && values > WHOLE_VALUES && reading.raw.is_none() {
            let tile = (WHOLE_VALUES / bands).isqrt().clamp(1, TILE);
            let sample = (!self.all).then_some(MOST_VALUES);
            let tiled = Options { chip: Some(tile), sample, ..whole };
            sensor = sensor::open(&name, profile.as_ref(), &tiled)?;
        }
        let mut progress = report.progress(&name, sensor.source().frames);
        let found =
            inspect::run(sensor, self.npy.as_deref(), &STOP, &mut |done| progress.set(done))?;
        drop(progress);
        let known = self.sensor.as_ref().or(profile.as_ref().map(|profile| &profile.name));
        let known = known.filter(|_| sensor::is_repeatable(&name));
        // What is to be told of it was told when it was inspected.
        let reading = Options { tell: None, ..reading };
        let sound = match known {
            Some(sensor) => Some(hear(&name, sensor, frames, reading)),
            None => unknown.map(Err),
        };
        match self.json {
            true => report.json(&document(&found, profile.as_ref(), sound.and_then(Result::ok)))?,
            false if self.say || report.is_plain() => {
                report.print(sentences(&found, profile.as_ref(), sound))?
            }
            false => report.print(text(&found, profile.as_ref(), sound))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses the options by which pictures are read, as `session` is told of, not read.
    fn refuse_of_pictures(&self, session: &str, reading: &Options) -> Result<()> {
        reading.object.refuse(session)?;
        let options = [
            ("--sensor", self.sensor.is_some()),
            ("--npy", self.npy.is_some()),
            ("--all", self.all),
            ("--frames", self.frames.is_some()),
            ("--rotate and --flip", !reading.turn.is_none()),
        ];
        match options.iter().find(|(_, given)| *given) {
            Some((option, _)) => {
                let what = format!("{session} is a session, and its pictures are not read");
                Err(Error::usage(option, what)
                    .hint("leave it out; --table FILE.csv has the code of every sound frame"))
            }
            None => Ok(()),
        }
    }
}

/// What a source would sound like.
#[derive(Serialize)]
struct Hearing {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    introduction: Option<String>,
    slots: usize,
    seconds: f64,
    frequencies_hz: [f64; 2],
    /// Of the first sound frames.
    loudness_lufs: Option<[f64; 2]>,
}

/// Tries the first sound frames of `source` as one of the sensor `name`.
fn hear(source: &str, name: &str, frames: Option<usize>, reading: Options) -> Result<Hearing> {
    // As `convert` hears it.
    let voice = Voice::of_sensor(name, Options { detail: Detail::Fitting, ..reading });
    let Ready { sensor, mut sonifier } = voice.ready(source, frames)?;
    let total = sensor.source().slots();
    let mut slots = Slots::new(sensor);
    let (mut count, mut loudness) = (0, [f64::INFINITY, f64::NEG_INFINITY]);
    while count < TRIED
        && let Some(frame) = slots.advance()?
    {
        let lufs = sonifier.sonify(&frame)?.loudness_lufs;
        loudness = [loudness[0].min(lufs), loudness[1].max(lufs)];
        count += 1;
    }
    // The rest is not read a second time: it follows from the numbers.
    if let (TRIED, Some(total)) = (count, total) {
        count = total;
    }
    Ok(Hearing {
        model: sonifier.model().name().to_owned(),
        introduction: sonifier.introduction(),
        slots: count,
        seconds: count as f64 * SLOT_S,
        frequencies_hz: sonifier.model().profile().frequencies_hz,
        loudness_lufs: (count > 0).then_some(loudness),
    })
}

/// One band for programs.
#[derive(Serialize)]
struct BandEntry<'a> {
    #[serde(flatten)]
    band: &'a Band,
    #[serde(flatten)]
    statistics: &'a Statistics,
    /// Below which a quarter, half and three quarters of the readings lie; unknown
    /// where one reading is far from all others.
    quartiles: Option<[f64; 3]>,
    missing: u64,
}

/// An inspection for programs.
#[derive(Serialize)]
struct Document<'a> {
    source: &'a str,
    /// What the source says of the instrument.
    model: Option<&'a str>,
    profile: Option<&'a str>,
    frames: usize,
    rows: usize,
    columns: usize,
    /// The share of its pixels that was looked at, where it is not all of them.
    sampled: Option<f64>,
    period_s: Option<f64>,
    georeference: Option<&'a GeoReference>,
    bands: Vec<BandEntry<'a>>,
    exposure: Option<Exposure>,
    losses: Option<Losses>,
    sound: Option<Hearing>,
}

/// Rows and columns of a picture, or of the whole scene.
fn size(found: &Inspection) -> (usize, usize) {
    match &found.source.scene {
        Some(scene) => (scene.rows, scene.columns),
        None => (found.source.rows, found.source.columns),
    }
}

fn document<'a>(
    found: &'a Inspection,
    profile: Option<&'a Profile>,
    sound: Option<Hearing>,
) -> Document<'a> {
    let (rows, columns) = size(found);
    Document {
        source: &found.source.description,
        model: found.source.model.as_deref(),
        profile: profile.map(|profile| profile.name.as_str()),
        frames: found.frames,
        rows,
        columns,
        sampled: found.source.sampled,
        period_s: found.source.own_period_s(),
        georeference: found.georeference.as_ref(),
        bands: found
            .bands()
            .map(|(band, statistics, histogram)| BandEntry {
                band,
                statistics,
                quartiles: histogram.quartiles(),
                missing: found.pixels - statistics.count.min(found.pixels),
            })
            .collect(),
        exposure: found.exposure,
        losses: found.losses,
        sound,
    }
}

/// What was looked at, in a line each for source, size, instrument and sensor.
fn opening(found: &Inspection, profile: Option<&Profile>) -> Vec<String> {
    let (rows, columns) = size(found);
    let frames = count(found.frames, "frame");
    let pace = match found.source.own_period_s() {
        Some(period_s) => format!(", {:.3} frames a second", 1.0 / period_s),
        None => String::new(),
    };
    let map = if found.georeference.is_some() { ", on a map" } else { "" };
    let mut lines = vec![
        found.source.description.clone(),
        format!("{frames} of {rows} rows x {columns} columns{pace}{map}"),
    ];
    lines.extend(found.source.model.iter().map(|model| format!("instrument: {model}")));
    lines.push(match profile {
        Some(profile) => format!("sensor: {}, {}", profile.name, profile.title),
        None => "sensor: not recognised; name it with --sensor NAME".to_owned(),
    });
    lines
}

fn text(found: &Inspection, profile: Option<&Profile>, sound: Option<Result<Hearing>>) -> String {
    let mut lines = opening(found, profile);
    let heading = ["band", "um", "unit", "min", "mean", "max", "missing", "from min to max"];
    let mut cells = vec![heading.map(String::from).to_vec()];
    cells.extend(found.bands().map(|(band, statistics, histogram)| {
        let mut cells = row(found.pixels, band, statistics);
        cells.push(sparkline(statistics, histogram));
        cells
    }));
    lines.push(aligned(&cells));
    lines.extend(closing(found, profile, sound));
    lines.join("\n")
}

/// The same for ears: no columns, and nothing that has to be seen.
fn sentences(
    found: &Inspection,
    profile: Option<&Profile>,
    sound: Option<Result<Hearing>>,
) -> String {
    let mut lines: Vec<String> =
        opening(found, profile).into_iter().map(|line| format!("{line}.")).collect();
    lines.extend(match found.source.bands.len() {
        0..=FEW => one_by_one(found),
        _ => together(found),
    });
    lines.extend(closing(found, profile, sound).into_iter().map(
        |line| match line.ends_with('.') {
            true => line,
            false => format!("{line}."),
        },
    ));
    lines.join("\n")
}

/// A sentence or two on each band.
fn one_by_one(found: &Inspection) -> Vec<String> {
    let bands = found.source.bands.len();
    let told =
        |(number, (band, statistics, histogram)): (usize, (&Band, &Statistics, &Histogram))| {
            let place = match band.wavelength_um {
                Some(um) => format!(", at {um} micrometres"),
                None => String::new(),
            };
            let mut line = format!("Band {number} of {bands}, {}{place}: ", band.name);
            let (Statistics { count, min, max, mean }, unit) = (*statistics, band.unit);
            if count == 0 {
                return line + "no reading.";
            }
            line += &format!("{min:.4} to {max:.4} {unit}, {mean:.4} on average.");
            line += &match histogram.quartiles() {
                Some([quarter, half, three]) => format!(
                    " Half of the readings lie between {quarter:.4} and {three:.4}, the median is \
                 {half:.4}."
                ),
                None => " The lowest or the highest is far from all others.".to_owned(),
            };
            line += &match missing(found.pixels, statistics) {
                0.0 => " None is missing.".to_owned(),
                percent => format!(" {percent:.1} per cent are missing."),
            };
            line
        };
    (1..).zip(found.bands()).map(told).collect()
}

/// More bands than anybody wants to hear one by one, in groups.
fn together(found: &Inspection) -> Vec<String> {
    let mut lines = many::sentences(&found.source.bands, &found.statistics);
    let missing = found.statistics.iter().map(|own| missing(found.pixels, own));
    let (least, most) = missing
        .fold((100.0f64, 0.0f64), |(least, most), percent| (least.min(percent), most.max(percent)));
    lines.push(match most {
        0.0 => "No reading is missing.".to_owned(),
        _ => format!("Of a band {least:.1} to {most:.1} per cent of the readings are missing."),
    });
    lines.push("With --json each band is told by itself.".to_owned());
    lines
}

/// Exposure, losses, and what it would sound like.
fn closing(
    found: &Inspection,
    profile: Option<&Profile>,
    sound: Option<Result<Hearing>>,
) -> Vec<String> {
    let mut lines: Vec<String> = found.exposure.map(exposed).into_iter().collect();
    lines.extend(found.losses.and_then(|losses| losses.sentence()));
    lines.push(match sound {
        Some(Ok(sound)) => describe(&sound),
        Some(Err(error)) => format!("sound: none: {error}"),
        None if profile.is_some() => "sound: not tried, as the source shows itself once".to_owned(),
        None => "sound: none, as long as the sensor is unknown".to_owned(),
    });
    lines
}

/// How often values lie where, from the lowest to the highest.
fn sparkline(statistics: &Statistics, histogram: &Histogram) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if statistics.count == 0 {
        return "-".to_owned();
    }
    let [low, high] = [statistics.min, statistics.max].map(f64::from);
    let shape = histogram.shape(low, high, SPARKS);
    let most = shape.iter().copied().max().unwrap_or(1).max(1);
    let block = |count: u64| match count {
        // No value at all is a gap.
        0 => ' ',
        count => BLOCKS[((count * 8 - 1) / most).min(7) as usize],
    };
    shape.into_iter().map(block).collect()
}

/// The percentage of pixels without a reading.
fn missing(pixels: u64, statistics: &Statistics) -> f64 {
    100.0 * (1.0 - statistics.count as f64 / pixels.max(1) as f64)
}

/// How the last frame was exposed.
fn exposed(Exposure { time_us, gain }: Exposure) -> String {
    let time = time_us.map(|time_us| format!("exposed for {:.3} ms", time_us / 1e3));
    let gain = gain.map(|gain| format!("gain {gain}"));
    time.into_iter().chain(gain).collect::<Vec<_>>().join(", ")
}

fn row(pixels: u64, band: &Band, statistics: &Statistics) -> Vec<String> {
    let Statistics { count, min, max, mean } = statistics;
    let known = |value: f64| match count {
        0 => "-".to_owned(),
        _ => format!("{value:.4}"),
    };
    let missing = missing(pixels, statistics);
    vec![
        band.name.clone(),
        band.wavelength_um.map_or_else(|| "-".into(), |um| format!("{um:.4}")),
        band.unit.to_string(),
        known(f64::from(*min)),
        known(*mean),
        known(f64::from(*max)),
        format!("{missing:.1} %"),
    ]
}

fn describe(sound: &Hearing) -> String {
    let Hearing { model, introduction, slots, seconds, frequencies_hz, loudness_lufs } = sound;
    let [low, high] = frequencies_hz;
    let loudness = match loudness_lufs {
        Some([quiet, loud]) => format!(", {quiet:.1} to {loud:.1} LUFS"),
        None => String::new(),
    };
    let introduction = introduction.as_ref().map(|text| format!("\n{text}")).unwrap_or_default();
    let frames = count(slots, "frame");
    format!(
        "sound: {frames}, {seconds:.1} s, {low} to {high} Hz{loudness}, model {model}.\
         {introduction}"
    )
}
