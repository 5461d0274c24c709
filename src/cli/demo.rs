//! `demo`: hear it without owning anything.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wysiwyh::Result;
use wysiwyh::demo::{self, Settings};
use wysiwyh::sensor::count;
use wysiwyh::sink::device::Way;
use wysiwyh::voice::Listener;

use super::report::Report;
use super::{STOP, SpeakerArguments, choose, own_ears};

/// Plays twenty seconds of a simulated thermal camera, writes them to a sound
/// file, and shows what the sound still holds.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    nothing; the scene is simulated from the seed
Writes:   into DIR sound.wav, session.rrd (for `wysiwyh view`) and
          contact-sheet.png: sent, spectrum, decoded
Units:    fidelity as PSNR in dB, loudness in LUFS, volume in dB
Example:  wysiwyh demo -o demo")]
pub struct Arguments {
    /// Folder for the files; made if it is missing
    #[arg(short, long, value_name = "DIR", default_value = "wysiwyh-demo")]
    output: PathBuf,
    /// Seed of the scene and the sound
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    speaker: SpeakerArguments,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        if let Some(done) = choose(Way::Output, self.speaker.device.as_deref(), report)? {
            return Ok(done);
        }
        let listener = Listener { ears: own_ears(report)?, ..Listener::default() };
        let settings = Settings {
            folder: self.output,
            seed: self.seed,
            listener,
            volume_db: self.speaker.volume_db(),
            device: self.speaker.device,
        };
        let done = demo::run(&settings, &STOP, &mut |line| report.note(line))?;
        report.print(format_args!(
            "{}. Pictures from the code: {:.2} dB PSNR; from the WAV: {:.2} dB. \
             Warmth and loudness correlate at r = {:.2}.",
            count(done.slots, "sound frame"),
            done.psnr_code_db,
            done.psnr_sound_db,
            done.loudness_r
        ))?;
        for file in &done.files {
            report.print(file.display())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
