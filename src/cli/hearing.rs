//! `hearing`: what a listener's ears hear, and settings that suit them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wysiwyh::ears::{self, Answer, Check, Comparison, Ears, Sides, Sitting};
use wysiwyh::sink::Sink;
use wysiwyh::sink::device::{Way, open_speaker};
use wysiwyh::{Error, Result};

use super::console::Console;
use super::report::Report;
use super::{STOP, SpeakerArguments, choose, replaceable};

/// Finds out in two minutes which tones you hear, and with which ear you hear
/// more, and fits the sound of live, demo and practice to your ears.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    y or n after each tone; l, r, s or n after a sound from left and right; a
          to hear it again, q to stop; as keys at a terminal, as lines from
          anything else
Writes:   $XDG_CONFIG_HOME/wysiwyh/hearing.toml: the lowest and the highest
          frequency that you hear, by how much to raise what you hear less of, and
          by how much the speaker's louder side is to be quieter
Units:    frequencies in hertz, gains in dB, 12 at most
Example:  wysiwyh hearing
It is no medical test: speaker, room and ears are measured together. Sit as you
will sit, where it is quiet, with the volume at which you will listen, and best
with headphones on. Who hears with one ear is noticed, and gets no sound that
moves from side to side.")]
pub struct Arguments {
    /// Write the settings to this file, for --hearing, in place of yours
    #[arg(short, long, value_name = "FILE", value_parser = replaceable("toml"))]
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
        Ears::check_place(&path)?;
        let say = &mut |line: &str| report.note(line);
        // What each ear needs is asked anew.
        let volume_db = self.speaker.volume_db();
        let mut speaker = open_speaker(volume_db, device, Sides::default(), true, say)?;
        let count = Check::TRIALS;
        say(&format!(
            "There are {count} soft tones; sometimes there is only silence. After each, say y if \
             you heard it and n if not; a plays it again, q quits. At the end a rushing comes \
             from one side and then from the other, a few times: say which was louder. It takes \
             two minutes."
        ));
        let hint = "Keys: y, n, l, r, s, a and q.";
        let press = |byte: u8| char::from(byte).to_string().parse::<Answer>().ok();
        let console = Console::of("", *report, hint, press, str::parse);
        let answers = &console.commands;
        let mut sitting = Sitting { speaker: speaker.as_deref_mut(), answers, stop: &STOP };
        let ears = examine(self.seed, &mut sitting, say);
        drop(console);
        // What was heard is kept, whatever becomes of the speaker.
        let played = speaker.map_or(Ok(()), Sink::finish);
        let ears = ears?;
        ears.save(&path)?;
        tell(&ears, report)?;
        report.print(format_args!("Stored in {}.", path.display()))?;
        played.map(|()| ExitCode::SUCCESS)
    }
}

/// Asks for tones and then, where the speaker has two sides, for the louder one.
fn examine(seed: u64, sitting: &mut Sitting<'_>, say: &mut dyn FnMut(&str)) -> Result<Ears> {
    let mut check = Check::new(seed);
    ears::ask(&mut check, sitting, say)?;
    let ears = check.finish()?;
    if sitting.speaker.as_ref().is_some_and(|speaker| !speaker.has_sides()) {
        say("This speaker has one channel, so left and right are not compared.");
        return Ok(ears);
    }
    let mut comparison = Comparison::new(seed);
    ears::compare(&mut comparison, &ears, sitting, say)?;
    Ok(Ears { sides: comparison.found().unwrap_or_default(), ..ears })
}

fn tell(ears: &Ears, report: &Report) -> Result<()> {
    let [low_hz, high_hz] = ears.band_hz;
    report.print(format_args!("You hear tones from {low_hz} to {high_hz} Hz."))?;
    for [hz, db] in ears.gains_db.iter().filter(|[_, db]| *db > 0.0) {
        report.print(format_args!("{hz} Hz is raised by {db:.0} dB."))?;
    }
    match ears.sides.louder() {
        _ if ears.sides.one_ear => {
            report.print("You hear with one ear: both sides will play the same.")
        }
        Some((side, db)) => report.print(format_args!(
            "You hear more on the {side} side, which is made quieter by {db} dB."
        )),
        None => report.print("You hear left and right alike."),
    }
}
