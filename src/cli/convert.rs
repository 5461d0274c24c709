//! `convert`: scenes to sound files and tables.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::builder::TypedValueParser;
use clap::{ArgAction, Args};
use serde_json::json;
use wysiwyh::convert::{self, Estimate, Event, Job, Settings, Summary, Unit};
use wysiwyh::plan::{self, Manifest, Part};
use wysiwyh::sensor::{Detail, Options, Route, STDIN, count};
use wysiwyh::sink::Format;
use wysiwyh::spectrum::Preset;
use wysiwyh::{Error, Fault, Result};

use super::report::Report;
use super::{ReadingArguments, STOP, SpeedArguments, VoiceArguments, choice, preset};

/// Turns scenes into sound files: pictures whole, one tenth of a second each;
/// large scenes in tiles along a path, with a table of what is heard when.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    rasters, pictures, TIFFs of many pages, folders of pictures (one sound
          for a folder), videos, FLIR's radiometric files, CPTV recordings,
          satellite products by their folder, cameras, `simulated`
Writes:   into DIR, named after each scene: .wav or .flac, and .parquet, a table
          with a row for each tenth of a second: the ground that it shows, its
          code, its loudness and scores; .npy, .rrd and .gpkg on request;
          .record.json: what was asked, of which files, and what came of it. Names
          that would collide, also with those of other scenes in DIR, get -2, -3 ..
Again:    a scene whose record asks for the same of the same files (by size and time
          of change; far away, by name) is there already and not converted again;
          so whatever was stopped goes on with the same command
Units:    span in the unit of the bands; seconds of sound count from the end of
          the lead-in
Example:  wysiwyh convert scenes/*.tif -o sounds --sensor sentinel2-l2a
          wysiwyh convert --manifest archive.jsonl --shard 0/16 -o sounds
Exit status 0 if all is well, 1 if all scenes failed, 3 if some did; the others are
converted.")]
pub struct Arguments {
    /// Scenes, each one a sound; quoted patterns such as 'archive/**/*.tif'
    /// stand for all files that match
    #[arg(required_unless_present_any = ["raw", "manifest"], value_name = "SCENE")]
    scenes: Vec<String>,
    /// Folder for the files; made if it is missing
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Convert again what is there already
    #[arg(long)]
    force: bool,
    /// Write nothing, but tell from the headers of the scenes that are not there
    /// already what the work would take: time, bytes, files, seconds of sound
    #[arg(long)]
    dry_run: bool,
    /// That as JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
    #[command(flatten)]
    planned: Planned,
    #[command(flatten)]
    how: How,
}

/// Scenes and settings from a manifest.
#[derive(Args, Debug)]
struct Planned {
    /// Take scenes and settings from this file, which `wysiwyh plan` wrote;
    /// the sounds are named by the scenes' identifiers
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenes", "How", "VoiceArguments", "ReadingArguments", "SpeedArguments"])]
    manifest: Option<PathBuf>,
    /// Only every N-th scene of the manifest, from scene I on: all shards from
    /// 0/N to N-1/N together are the whole
    #[arg(long, value_name = "I/N", requires = "manifest", conflicts_with = "index")]
    shard: Option<Part>,
    /// Only scene I of the manifest, counted from 0 [default: what
    /// SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX says, else all]
    #[arg(long, value_name = "I", requires = "manifest")]
    index: Option<usize>,
}

/// How scenes are heard; shared with `plan`, which writes it down.
#[derive(Args, Debug)]
pub struct How {
    #[command(flatten)]
    voice: VoiceArguments,
    #[command(flatten)]
    reading: ReadingArguments,
    #[command(flatten)]
    pace: SpeedArguments,
    /// `data`: what a receiver reads back; `listen`: what people hear apart
    #[arg(long, value_parser = preset(), default_value = "data")]
    preset: Preset,
    /// Make the sound of the original WYSIWYH instead, for comparison: linear
    /// axis to 5 kHz, new phases every tenth of a second, hard joins; as loud
    /// as ours on average; of 128 values, or fewer by --values
    #[arg(long, conflicts_with = "preset")]
    original: bool,
    /// Two channels: each tile of a scene is heard from where it lies between west
    /// and east, each picture from where its energy is centred
    #[arg(long)]
    stereo: bool,
    /// Format of the sound
    #[arg(long, value_parser = format(), default_value = "wav")]
    format: Format,
    /// Also record a session for the Rerun viewer
    #[arg(long)]
    rrd: bool,
    /// Also write the frames as sent: [frame, band, row, column] f32
    #[arg(long)]
    npy: bool,
    /// Also write the table as a GeoPackage, without codes, for map programs
    /// that read no Parquet
    #[arg(long)]
    gpkg: bool,
    /// Leave out what needs the decoder: psnr_db in tables and records, and the
    /// pictures that come back in a session; a third of the work
    #[arg(long)]
    no_scores: bool,
    /// Stop each scene after so many frames or tiles [default: 200 of
    /// a camera, else all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Hear a scene with pixels of about so many metres, each the mean of
    /// its own; one tile of sound then covers 64 of them each way. By itself a
    /// scene is heard pixel by pixel if that lasts no longer than ten
    /// minutes, else as fine as ten minutes allow
    #[arg(long, value_name = "METRES", value_parser = positive, conflicts_with = "duration")]
    gsd: Option<f64>,
    /// Hear a scene as fine as it can be within so many seconds of sound
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    duration: Option<f64>,
    /// The way through a scene: `winding`, rows to and fro; `hilbert`, a curve
    /// that keeps neighbours near in time; `sweep`, every row from left to
    /// right, north to south on most maps
    #[arg(long, value_parser = route(), default_value = "winding")]
    route: Route,
    /// What is to become of ground that clouds and their shadows hide, where a
    /// product marks them (Sentinel-2 SCL, Landsat QA_PIXEL): `mask` takes it
    /// for missing, and leaves tiles out that show nothing else; `keep` lets
    /// them be heard
    #[arg(long, action = ArgAction::Set, value_parser = clouds(), default_value = "mask")]
    clouds: bool,
}

/// Whether readings that clouds hide are kept.
fn clouds() -> impl TypedValueParser<Value = bool> {
    choice(&[("mask", false), ("keep", true)])
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= 1e9 => Ok(value),
        _ => Err("give a number above 0".to_owned()),
    }
}

fn route() -> impl TypedValueParser<Value = Route> {
    choice(&[("winding", Route::Winding), ("hilbert", Route::Hilbert), ("sweep", Route::Sweep)])
}

impl How {
    /// All of it.
    pub fn settings(self) -> Result<Settings> {
        let detail = match (self.gsd, self.duration) {
            (Some(metres), _) => Detail::Pixel(metres),
            (None, Some(seconds)) => Detail::Duration(seconds),
            (None, None) => Detail::Fitting,
        };
        let (route, clouds, speed) = (self.route, self.clouds, self.pace.speed);
        let reading = Options { detail, route, clouds, speed, ..self.reading.options()? };
        let preset = if self.original { Preset::Original } else { self.preset };
        Ok(Settings {
            voice: self.voice.voice(preset, reading)?,
            format: self.format,
            stereo: self.stereo,
            rrd: self.rrd,
            npy: self.npy,
            gpkg: self.gpkg,
            unscored: self.no_scores,
            frames: self.frames.map(|frames| frames as usize),
        })
    }
}

/// What tells a process of an array which one it is: of Slurm, and of
/// Kubernetes.
const INDICES: [&str; 2] = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"];

impl Planned {
    /// Which part of the manifest is asked for.
    fn part(&self, report: &Report) -> Result<Part> {
        if let Some(part) = self.shard.or(self.index.map(Part::Unit)) {
            return Ok(part);
        }
        let told = |name: &'static str| Some((name, std::env::var(name).ok()?));
        let Some((name, text)) = INDICES.into_iter().find_map(told) else {
            return Ok(Part::Whole);
        };
        let index = text.parse().map_err(|_| Error::usage(name, format!("{text} is no index")))?;
        report.note(format_args!("scene {index} of the manifest, as {name} says"));
        Ok(Part::Unit(index))
    }
}

fn format() -> impl TypedValueParser<Value = Format> {
    choice(&[("wav", Format::Wav), ("flac", Format::Flac)])
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let (force, dry, json) = (self.force, self.dry_run, self.json);
        let job = Job { force, ..self.job(report)? };
        if dry {
            return dry_run(&job, json, report);
        }
        let mut progress = None;
        let summary = convert::run(&job, &STOP, &mut |event| match event {
            Event::Started { scene, frames, introduction } => {
                if let Some(sentence) = introduction {
                    report.note(format_args!("{scene}: {sentence}"));
                }
                progress = Some(report.progress(scene, frames));
            }
            Event::Advanced => {
                if let Some(progress) = &mut progress {
                    progress.advance();
                }
            }
            Event::Finished(done) => {
                progress = None;
                if let Some(error) = &done.cut {
                    report.note(format_args!("{error}; what came before that is kept"));
                }
                let sound = done.files.first().map(|file| file.display().to_string());
                report.note(format_args!("{}: {}", done.scene, sound.unwrap_or_default()));
            }
            Event::Failed(error) => {
                progress = None;
                report.error(error);
            }
        })?;
        report.print(sentence(&summary))?;
        Ok(exit_code(summary.converted.len() + summary.already, summary.failed))
    }

    /// What is to be done.
    fn job(mut self, report: &Report) -> Result<Job> {
        if let Some(path) = &self.planned.manifest {
            let reading = ReadingArguments::silent();
            return Manifest::read(path)?.job(self.planned.part(report)?, self.output, reading);
        }
        if self.scenes.is_empty() {
            self.scenes.push(STDIN.to_owned());
        }
        let sources = plan::sources(&self.scenes)?;
        let settings = self.how.settings()?;
        let units = Unit::list(&sources, &self.output, &settings);
        Ok(Job { units, folder: self.output, settings, force: false, planned: false })
    }
}

/// 0: all is well; 1: nothing is; 3: some is.
pub fn exit_code(well: usize, failed: usize) -> ExitCode {
    match (well, failed) {
        (_, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::FAILURE,
        _ => ExitCode::from(3),
    }
}

/// Tells what the scenes of `job` that are not there already would take, one by
/// one and in total.
fn dry_run(job: &Job, json: bool, report: &Report) -> Result<ExitCode> {
    let (mut estimates, mut failed) = (vec![], 0);
    let due = convert::due(job)?;
    let already = job.units.len() - due.len();
    for unit in due {
        if STOP.load(Ordering::Relaxed) {
            return Err(Error::new(Fault::Interrupted, &unit.source, "stopped before its turn"));
        }
        match convert::estimate(job, &unit.source) {
            Ok(estimate) => estimates.push(estimate),
            Err(error) if job.units.len() == 1 => return Err(error),
            Err(error) => {
                failed += 1;
                report.error(&error);
            }
        }
    }
    let total = Estimate::total(&estimates);
    if json {
        let document =
            json!({ "scenes": estimates, "total": total, "already": already, "failed": failed });
        report.json(&document)?;
    } else {
        for estimate in &estimates {
            report.print(format_args!("{estimate}."))?;
        }
        report.print(format_args!(
            "{total}; {already} already there, {failed} could not be opened."
        ))?;
    }
    Ok(exit_code(estimates.len() + already, failed))
}

fn sentence(summary: &Summary) -> String {
    let Summary { already, failed, .. } = *summary;
    let converted = summary.converted.len();
    let all = converted + already + failed;
    let mut counts = format!("{converted} of {all} scenes converted, {failed} failed");
    if already > 0 {
        counts.push_str(&format!(", {already} already there"));
    }
    if converted == 0 {
        return format!("{counts}.");
    }
    let files: usize = summary.converted.iter().map(|done| done.files.len()).sum();
    let skipped: usize = summary.converted.iter().map(|done| done.skipped).sum();
    let sound_s = summary.sound_s();
    let factor = sound_s / summary.elapsed.as_secs_f64();
    let gaps: Vec<String> =
        [true, false].iter().filter_map(|&tiled| gaps(summary, tiled)).collect();
    format!(
        "{counts}: {}, {sound_s:.1} s of sound, made {factor:.0} times as fast as it plays; {} \
         without any reading left out.{}",
        count(files, "file"),
        count(skipped, "tile"),
        gaps.concat()
    )
}

/// What became of pixels without a reading in tiles, or else in pictures, that have
/// others; none where there are no such.
fn gaps(summary: &Summary, tiled: bool) -> Option<String> {
    let scenes = || summary.converted.iter().filter(|done| done.tiled == tiled);
    let gaps: usize = scenes().map(|done| done.gaps).sum();
    let all: usize = scenes().map(|done| done.slots).sum();
    let noun = if tiled { "tiles" } else { "pictures" };
    (gaps > 0).then(|| {
        format!(
            " {gaps} of {all} {noun} have gaps: they are filled from what lies beside them, and come back \
             as readings."
        )
    })
}
