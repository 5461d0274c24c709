//! `practice`: training for the ear.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::TypedValueParser;
use wysiwyh::practice::{self, Answer, Practice, Score, Stage, Task};
use wysiwyh::sensor;
use wysiwyh::session;
use wysiwyh::sink::device::{Way, open_speaker};
use wysiwyh::sink::{self, Format, Header, Sink};
use wysiwyh::spectrum::Preset;
use wysiwyh::voice::Ready;
use wysiwyh::{Error, Fault, Result, check_place};

use super::console::Console;
use super::report::Report;
use super::{
    ReadingArguments, STOP, SpeakerArguments, VoiceArguments, choice, choose, replaceable,
};

/// Trains your ear: plays pictures, and asks which they were, or whether two
/// are the same.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    a source of pictures, as live does; your answers: a number, or s for same
          and d for different, a to hear it again, l to hear all pictures, q to
          stop; as keys at a terminal, as lines from anything else; at a speaker
          only once the question is asked, save q
Writes:   the score; with --log a row for each trial, with -o the sound
Units:    shares in per cent, intervals with 95 % confidence (Wilson)
Example:  wysiwyh practice simulated:1 --trials 24
Every choice is a sound and a sentence; nothing has to be seen.")]
pub struct Arguments {
    /// Where the pictures come from: up to six of its first 200, those that
    /// sound least alike
    #[arg(value_name = "SOURCE", default_value = "simulated")]
    source: String,
    /// What is asked: `which` of the pictures one is, or whether two are the
    /// `same`
    #[arg(long, value_name = "TASK", default_value = "which", value_parser = task())]
    task: Task,
    /// How often
    #[arg(long, value_name = "N", default_value_t = 24,
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    trials: u16,
    /// Do not tell what was right: for measuring rather than learning
    #[arg(long)]
    no_feedback: bool,
    /// Write what was played to this .wav or .flac file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a row for each trial to this CSV file: what was played, the answer,
    /// whether it was right, how often it was played and the seconds it took
    #[arg(long, value_name = "FILE.csv", value_parser = replaceable("csv"))]
    log: Option<PathBuf>,
    #[command(flatten)]
    voice: VoiceArguments,
    #[command(flatten)]
    reading: ReadingArguments,
    #[command(flatten)]
    speaker: SpeakerArguments,
}

fn task() -> impl TypedValueParser<Value = Task> {
    choice(&[("which", Task::Which), ("same", Task::Same)])
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let device = self.speaker.device.as_deref();
        if let Some(done) = choose(Way::Output, device, report)? {
            return Ok(done);
        }
        self.log.as_deref().map(check_place).transpose()?;
        let seed = self.voice.seed;
        let volume_db = self.speaker.volume_db();
        let sides = self.voice.sides(volume_db)?;
        let voice = self.voice.heard(Preset::Listen, self.reading.options()?, report)?;
        let Ready { sensor, sonifier } =
            voice.ready(&self.source, sensor::limit(&self.source, None))?;
        // What is played are pictures of the source, and not its scene.
        let (scene, command) = (None, Some(session::command_line()));
        let header = Header { scene, command, ..sonifier.header(sensor.source(), &self.source) };
        let count = usize::from(self.trials);
        let mut practice = Practice::new(sensor, &sonifier, self.task, count, seed, &STOP)?;
        let say = &mut |line: &str| report.note(line);
        let file = match &self.output {
            Some(path) => {
                let format = Format::of(path).ok_or_else(|| {
                    Error::usage("-o", "is no name of a sound file").hint("end it in .wav or .flac")
                })?;
                Some(sink::create_atomic(path, format, &header)?)
            }
            None => None,
        };
        let mut speaker = open_speaker(volume_db, device, sides, file.is_none(), say)?;
        say(&introduction(self.task, practice.choices()));
        let hint = "Keys: the numbers, s, d, a, l and q.";
        let press = |byte: u8| char::from(byte).to_string().parse::<Answer>().ok();
        let console = Console::of(&self.source, *report, hint, press, str::parse);
        let mut stage = Stage { sonifier, speaker: speaker.as_deref_mut(), file, slots: 0 };
        let feedback = !self.no_feedback;
        let asked =
            practice::ask(&mut practice, &mut stage, feedback, &console.commands, &STOP, say);
        drop(console);
        let told = told(&practice.score());
        // What was answered is kept, whatever else fails.
        let log = self.log.as_deref().filter(|_| told.is_ok());
        let logged = log.map(|log| practice.save_log(log)).transpose();
        asked?;
        let told = told?;
        stage.finish(header)?;
        if let Some(speaker) = speaker {
            speaker.finish()?;
        }
        logged?;
        report.print(told)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn introduction(task: Task, choices: usize) -> String {
    let asked = match task {
        Task::Which => format!(
            "You will hear {choices} pictures, each followed by its number and what is in it. \
             Then each trial plays one of them: say its number. "
        ),
        Task::Same => "Each trial plays two pictures: say s if they are the same and d if they \
                       are different. "
            .to_owned(),
    };
    asked + "a plays it again, l plays all pictures, q ends it."
}

/// The score in sentences.
///
/// # Errors
///
/// If nothing was answered.
fn told(score: &Score) -> Result<String> {
    let Score { right, answered, interval: [low, high], guessing } = *score;
    if answered == 0 {
        return Err(Error::new(Fault::Interrupted, "practice", "ended before the first answer"));
    }
    let percent = |share: f64| format!("{:.0}", 100.0 * share);
    let verdict = match () {
        () if low > guessing => "That is better than guessing",
        () if high < guessing => "That is worse than guessing",
        () => "That may be guessing",
    };
    Ok(format!(
        "{right} of {answered} right: {} %, {} to {} % with 95 % confidence. {verdict}, which is \
         right in {} %.",
        percent(right as f64 / answered as f64),
        percent(low),
        percent(high),
        percent(guessing)
    ))
}
