//! `listen`: sound back to pictures.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wysiwyh::{Result, listen};

use super::STOP;
use super::report::Report;

/// Turns a sound file of `convert`, `live` or `demo` back into pictures.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    a WAV or FLAC file; what it was made with is in the file. Its model is
          looked for among those that ship, then --model, then beside the sound,
          then in $XDG_DATA_HOME/wysiwyh/models
Writes:   into DIR: frames.npy, [frame, band, row, column] f32; frame-00000.png
          and so on for the first 200; summary.txt; mosaic.tif where the scene
          lies on a map
Units:    values in the unit of the bands, NaN = no reading
Example:  wysiwyh listen sounds/scene.wav -o pictures")]
pub struct Arguments {
    /// The sound
    #[arg(value_name = "AUDIO")]
    audio: PathBuf,
    /// Folder for the files; made if it is missing
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Model file that made the sound
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let mut progress = None;
        let heard = listen::run(
            &self.audio,
            &self.output,
            self.model.as_deref(),
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
