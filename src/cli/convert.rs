//! `convert`: scenes to sound files and maps.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use wysiwyh::Result;
use wysiwyh::convert::{self, Event, Job, Summary};
use wysiwyh::sink::Format;
use wysiwyh::spectrum::Preset;

use super::report::Report;
use super::{ReadingArguments, STDIN, STOP, VoiceArguments, preset};

/// Turns scenes into sound files: pictures whole, one tenth of a second each;
/// large scenes in tiles along a winding path, with a map of the sound.
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
    /// Make the sound of the original WYSIWYH instead, for comparison: linear
    /// axis to 5 kHz, new phases every tenth of a second, hard joins; as loud
    /// as ours on average
    #[arg(long, conflicts_with_all = ["preset", "rrd"])]
    original: bool,
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
        let job = Job {
            scenes: self.scenes,
            folder: self.output,
            voice: self.voice.voice(self.preset, self.reading.options()?)?,
            format: self.format,
            original: self.original,
            rrd: self.rrd,
            npy: self.npy,
            frames: self.frames,
        };
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
