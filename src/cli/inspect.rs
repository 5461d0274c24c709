//! `inspect`: what is in a source, and what it would sound like.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use wysiwyh::Result;
use wysiwyh::convert::Slots;
use wysiwyh::frame::{Band, Exposure, GeoReference};
use wysiwyh::inspect::{self, Inspection, Statistics};
use wysiwyh::profile::Profile;
use wysiwyh::sensor::camera::Losses;
use wysiwyh::sensor::{self, Detail, Options};
use wysiwyh::synth::SLOT_S;
use wysiwyh::voice::{self, Ready, Voice};

use super::report::{Report, table};
use super::{ReadingArguments, STDIN, STOP};

/// Scenes with more values than this are read in tiles of no more, so that
/// memory stays small.
const WHOLE_VALUES: usize = 64 << 20;
/// Side of the largest such tile in pixels.
const TILE: usize = 512;
/// Sound frames that are tried for their loudness.
const TRIED: usize = 100;

/// Tells what is in a source: bands, wavelengths, units, sizes, values, and
/// what it would sound like.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    a raster, a satellite product by its folder, a picture, a TIFF of one
          page or many, a folder of pictures, a video, a radiometric file of
          FLIR's, a CPTV recording, a camera by its number, device, profile or as
          gige:ADDRESS, or `simulated`;
          with --raw, pixels without a header
Writes:   a table, or JSON with --json; with --npy the frames as read,
          [frame, band, row, column] f32, NaN = no reading
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
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write the frames as read to this NumPy file
    #[arg(long, value_name = "FILE")]
    npy: Option<PathBuf>,
    /// Stop after so many frames [default: 200 of a camera, else all]
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
    #[command(flatten)]
    reading: ReadingArguments,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let reading = self.reading.options()?;
        let name = self.source.unwrap_or_else(|| STDIN.to_owned());
        let profile = match &self.sensor {
            Some(name) => Some(Profile::find(name)?),
            // A source that no profile knows can be inspected all the same.
            None => voice::recognise(&name, &reading).ok(),
        };
        let frames = sensor::limit(&name, self.frames);
        let whole = Options { frames, ..reading.clone() };
        let mut sensor = sensor::open(&name, profile.as_ref(), &whole)?;
        let source = sensor.source();
        let bands = source.bands.len();
        let values = bands.saturating_mul(source.rows).saturating_mul(source.columns);
        if self.npy.is_none() && values > WHOLE_VALUES && reading.raw.is_none() {
            let tile = (WHOLE_VALUES / bands).isqrt().clamp(1, TILE);
            let tiled = Options { chip: Some(tile), ..whole };
            sensor = sensor::open(&name, profile.as_ref(), &tiled)?;
        }
        let mut progress = report.progress(&name, sensor.source().frames);
        let found =
            inspect::run(sensor, self.npy.as_deref(), &STOP, &mut |done| progress.set(done))?;
        drop(progress);
        let known = self.sensor.as_ref().or(profile.as_ref().map(|profile| &profile.name));
        let known = known.filter(|_| sensor::is_repeatable(&name));
        let sound = known.map(|sensor| hear(&name, sensor, frames, reading));
        match self.json {
            true => report.json(&document(&found, profile.as_ref(), sound.and_then(Result::ok)))?,
            false => report.print(text(&found, profile.as_ref(), sound))?,
        }
        Ok(ExitCode::SUCCESS)
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
        period_s: found.source.period_s,
        georeference: found.georeference.as_ref(),
        bands: found
            .bands()
            .map(|(band, statistics)| BandEntry {
                band,
                statistics,
                missing: found.pixels - statistics.count.min(found.pixels),
            })
            .collect(),
        exposure: found.exposure,
        losses: found.losses,
        sound,
    }
}

fn text(found: &Inspection, profile: Option<&Profile>, sound: Option<Result<Hearing>>) -> String {
    let (rows, columns) = size(found);
    let frames = match found.frames {
        1 => "1 frame".to_owned(),
        count => format!("{count} frames"),
    };
    let pace = match found.source.period_s {
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
    let heading = ["band", "um", "unit", "min", "mean", "max", "missing"].map(String::from);
    let mut cells = vec![heading.to_vec()];
    cells.extend(found.bands().map(|(band, statistics)| row(found.pixels, band, statistics)));
    lines.push(table(&cells));
    lines.extend(found.exposure.map(exposed));
    lines.extend(found.losses.and_then(|losses| losses.sentence()));
    lines.push(match sound {
        Some(Ok(sound)) => describe(&sound),
        Some(Err(error)) => format!("sound: none: {error}"),
        None if profile.is_some() => "sound: not tried, as the source shows itself once".to_owned(),
        None => "sound: none, as long as the sensor is unknown".to_owned(),
    });
    lines.join("\n")
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
    let missing = 100.0 * (1.0 - *count as f64 / pixels.max(1) as f64);
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
    format!(
        "sound: {slots} frames, {seconds:.1} s, {low} to {high} Hz{loudness}, model {model}\
         {introduction}"
    )
}
