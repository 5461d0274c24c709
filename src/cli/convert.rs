//! `convert`: scenes to sound files and maps.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use wysiwyh::Result;
use wysiwyh::convert::{self, Estimate, Event, Job, Summary};
use wysiwyh::sensor::{Detail, Options, Route};
use wysiwyh::sink::Format;
use wysiwyh::spectrum::Preset;

use super::report::Report;
use super::{ReadingArguments, STDIN, STOP, VoiceArguments, preset};

/// Turns scenes into sound files: pictures whole, one tenth of a second each;
/// large scenes in tiles along a path, with a map of the sound.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    rasters, pictures, TIFFs of many pages, folders of pictures (one sound
          for a folder), videos, FLIR's radiometric files, CPTV recordings,
          satellite products by their folder, cameras, `simulated`
Writes:   into DIR, named after each scene: .wav or .flac; .geojson where the scene
          lies on a map (which seconds of the sound show which ground); .npy and
          .rrd on request. Names that would collide get -2, -3 ..
Units:    span in the unit of the bands; seconds of sound count from the end of
          the lead-in
Example:  wysiwyh convert scenes/*.tif -o sounds --sensor sentinel2-l2a
Exit status 3 if some of the scenes failed; the others are converted.")]
pub struct Arguments {
    /// Scenes, each one a sound
    #[arg(required_unless_present = "raw", value_name = "SCENE")]
    scenes: Vec<String>,
    /// Folder for the files; made if it is missing
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    voice: VoiceArguments,
    #[command(flatten)]
    reading: ReadingArguments,
    /// `data`: what a receiver reads back; `listen`: what people hear apart
    #[arg(long, value_parser = preset(), default_value = "data")]
    preset: Preset,
    /// Format of the sound
    #[arg(long, value_parser = format(), default_value = "wav")]
    format: Format,
    /// Also record a session for the Rerun viewer
    #[arg(long)]
    rrd: bool,
    /// Also write the frames as sent: [frame, band, row, column] f32
    #[arg(long)]
    npy: bool,
    /// Stop each scene after so many frames or tiles [default: 200 of
    /// a camera, else all]
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
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
    #[arg(long, value_parser = ["mask", "keep"], default_value = "mask")]
    clouds: String,
    /// Write nothing, but tell from the headers of the scenes what the work
    /// would take: hours, bytes read and written, files, seconds of sound
    #[arg(long)]
    dry_run: bool,
    /// That as JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= 1e9 => Ok(value),
        _ => Err("give a number above 0".to_owned()),
    }
}

fn route() -> impl TypedValueParser<Value = Route> {
    PossibleValuesParser::new(["winding", "hilbert", "sweep"]).map(|name| match name.as_str() {
        "hilbert" => Route::Hilbert,
        "sweep" => Route::Sweep,
        _ => Route::Winding,
    })
}

fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["wav", "flac"]).map(|name| match name.as_str() {
        "flac" => Format::Flac,
        _ => Format::Wav,
    })
}

impl Arguments {
    pub fn run(mut self, report: &Report) -> Result<ExitCode> {
        if self.scenes.is_empty() {
            self.scenes.push(STDIN.to_owned());
        }
        let detail = match (self.gsd, self.duration) {
            (Some(metres), _) => Detail::Pixel(metres),
            (None, Some(seconds)) => Detail::Duration(seconds),
            (None, None) => Detail::Fitting,
        };
        let clouds = self.clouds == "keep";
        let reading = Options { detail, route: self.route, clouds, ..self.reading.options()? };
        let job = Job {
            scenes: self.scenes,
            folder: self.output,
            voice: self.voice.voice(self.preset, reading),
            format: self.format,
            rrd: self.rrd,
            npy: self.npy,
            frames: self.frames,
        };
        if self.dry_run {
            return dry_run(&job, self.json, report);
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
                let sound = done.files.first().map(|file| file.display().to_string());
                report.note(format_args!("{}: {}", done.scene, sound.unwrap_or_default()));
            }
            Event::Failed(error) => {
                progress = None;
                report.error(error);
            }
        })?;
        report.print(sentence(&summary))?;
        Ok(match (summary.converted.len(), summary.failed) {
            (_, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::FAILURE,
            _ => ExitCode::from(3),
        })
    }
}

/// Tells what `job` would take, scene by scene and in total.
fn dry_run(job: &Job, json: bool, report: &Report) -> Result<ExitCode> {
    let (mut estimates, mut failed) = (vec![], 0);
    for scene in &job.scenes {
        match convert::estimate(job, scene) {
            Ok(estimate) => estimates.push(estimate),
            Err(error) if job.scenes.len() == 1 => return Err(error),
            Err(error) => {
                failed += 1;
                report.error(&error);
            }
        }
    }
    let total = Estimate::total(&estimates);
    if json {
        let document = json!({ "scenes": estimates, "total": total, "failed": failed });
        report.json(&document)?;
    } else {
        for estimate in &estimates {
            report.print(estimate)?;
        }
        report.print(format_args!("{total}; {failed} could not be opened"))?;
    }
    Ok(match (estimates.len(), failed) {
        (_, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::FAILURE,
        _ => ExitCode::from(3),
    })
}

fn sentence(summary: &Summary) -> String {
    let (converted, failed) = (summary.converted.len(), summary.failed);
    let counts = format!("{converted} of {} scenes converted, {failed} failed", converted + failed);
    if converted == 0 {
        return format!("{counts}.");
    }
    let files: usize = summary.converted.iter().map(|done| done.files.len()).sum();
    let skipped: usize = summary.converted.iter().map(|done| done.skipped).sum();
    let sound_s = summary.sound_s();
    let factor = sound_s / summary.elapsed.as_secs_f64();
    format!(
        "{counts}: {files} files, {sound_s:.1} s of sound, made {factor:.0} times as fast as it \
         plays; {skipped} tiles without any reading left out."
    )
}
