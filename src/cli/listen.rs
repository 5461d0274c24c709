//! `listen`: sound back to pictures.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wysiwyh::sensor::Options;
use wysiwyh::spectrum::Preset;
use wysiwyh::{Result, listen};

use super::report::Report;
use super::{STOP, VoiceArguments};

/// Turns a sound of `convert`, `live` or `demo` back into pictures: the file
/// itself, or a recording or copy of it in another format.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    a WAV or FLAC file; what it was made with is in the file. Its model is
          looked for among those that ship, then --model, then beside the sound,
          then in $XDG_DATA_HOME/wysiwyh/models. Other sound files, through
          ffmpeg: name the sensor or model, and the preset that made the sound
Writes:   into DIR: frames.npy, [frame, band, row, column] f32; frame-00000.png
          and so on for the first 200; summary.txt; mosaic.tif where the scene
          lies on a map
Units:    values in the unit of the bands, NaN = no reading
Example:  wysiwyh listen sounds/scene.wav -o pictures
          wysiwyh listen copy.mp3 --sensor hituav-lwir --preset data -o pictures")]
pub struct Arguments {
    /// The sound
    #[arg(value_name = "AUDIO")]
    audio: PathBuf,
    /// Folder for the files; made if it is missing
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// What the sound was made for: `listen` by live and demo, `data` by
    /// convert; used where the file does not say
    #[arg(long, value_parser = super::preset(), default_value = "data")]
    preset: Preset,
    /// Pictures of bands at these wavelengths in um, such as 0.56,0.842: also
    /// of bands that were not sent, as far as the model knows how they go
    /// together with those that were
    #[arg(long, value_name = "UM,UM..", value_delimiter = ',')]
    wavelengths: Vec<f32>,
    #[command(flatten)]
    voice: VoiceArguments,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let mut progress = None;
        let heard = listen::run(
            &self.audio,
            &self.output,
            &self.voice.voice(self.preset, Options::default())?,
            &self.wavelengths,
            &STOP,
            &mut |done, total| {
                progress.get_or_insert_with(|| report.progress("decoding", Some(total))).set(done);
            },
        )?;
        drop(progress);
        report.print(&heard)?;
        report.print(format_args!("{} files in {}", heard.files.len(), self.output.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}
