//! `hearing`: what a listener's ears hear, and settings that suit them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wysiwyh::ears::{self, Answer, Check, Ears};
use wysiwyh::live::open_speaker;
use wysiwyh::sink::Sink;
use wysiwyh::sink::device::Way;
use wysiwyh::{Error, Result};

use super::console::Console;
use super::report::Report;
use super::{STOP, SpeakerArguments, choose};

/// Finds out in two minutes which tones you hear, and fits the sound of live
/// and demo to your ears.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    y or n after each tone, a to hear it again, q to stop; as keys at a
          terminal, as lines from anything else
Writes:   $XDG_CONFIG_HOME/wysiwyh/hearing.toml: the lowest and the highest
          frequency that you hear, and by how much to raise what you hear less of
Units:    frequencies in hertz, gains in dB, 12 at most
Example:  wysiwyh hearing
It is no medical test: speaker, room and ears are measured together. Sit as you
will sit, where it is quiet, with the volume at which you will listen.")]
pub struct Arguments {
    /// Write the settings to this file, for --hearing, in place of yours
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Seed of the order of the tones
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    speaker: SpeakerArguments,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let device = self.speaker.device.as_deref();
        if let Some(done) = choose(Way::Output, device, report)? {
            return Ok(done);
        }
        let path = self.output.or_else(Ears::place).ok_or_else(|| {
            Error::usage("-o", "there is no home folder for your settings")
                .hint("name a file: -o hearing.toml")
        })?;
        let say = &mut |line: &str| report.note(line);
        let mut speaker = open_speaker(self.speaker.volume_db(), device, true, say)?;
        let count = Check::TRIALS;
        say(&format!(
            "There are {count} soft tones; sometimes there is only silence. After each, say y if \
             you heard it and n if not; a plays it again, q quits. It takes two minutes."
        ));
        let hint = "Keys: y, n, a and q.";
        let press = |byte: u8| char::from(byte).to_string().parse::<Answer>().ok();
        let console = Console::of("", *report, hint, press, str::parse);
        let mut check = Check::new(self.seed);
        let asked = ears::ask(&mut check, speaker.as_deref_mut(), &console.commands, &STOP, say);
        drop(console);
        if let Some(speaker) = speaker {
            speaker.finish()?;
        }
        asked?;
        let ears = check.finish()?;
        ears.save(&path)?;
        let [low_hz, high_hz] = ears.band_hz;
        report.print(format_args!("You hear tones from {low_hz} to {high_hz} Hz."))?;
        for [hz, db] in ears.gains_db.iter().filter(|[_, db]| *db > 0.0) {
            report.print(format_args!("{hz} Hz is raised by {db:.0} dB."))?;
        }
        report.print(format_args!("Stored in {}.", path.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}
