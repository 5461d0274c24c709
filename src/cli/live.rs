//! `live`: a source as it is heard.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap::builder::TypedValueParser;
use wysiwyh::Result;
use wysiwyh::live::{self, Limit, Sent, Settings, Summary};
use wysiwyh::recorder::is_session;
use wysiwyh::sensor::camera::Losses;
use wysiwyh::sensor::{Options, STDIN, count};
use wysiwyh::sink::device::Way;
use wysiwyh::spectrum::Preset;

use super::console::Console;
use super::report::Report;
use super::{
    ReadingArguments, STOP, SessionArguments, SpeakerArguments, SpeedArguments, VoiceArguments,
    choice, choose, preset,
};

/// Plays a source as it comes, ten sound frames a second, to the speaker; on
/// request also to files. Ctrl-C ends it and closes the files.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    a camera: its number, /dev/videoN, its profile, such as lepton3, or
          gige:ADDRESS, heard until Ctrl-C, and waited for when it is unplugged;
          simulated:SEED; a video, a FLIR SEQ or CSQ or a CPTV recording, at its
          own rate; a folder of pictures, a TIFF of many pages or a large scene
          in tiles, one sound frame each; with --raw, pixels from a pipe; a
          session (.rrd) that was recorded, played again as it was
Writes:   FILE (.wav or .flac) and RRD on request; both grow in place, and what a
          killed process or a full disk leaves can be read; --rrd, --connect, --serve and --view go
          together
Units:    volume in dB, latency in milliseconds
Example:  wysiwyh live simulated:1 -o sound.wav
Keys:     space mutes, up and down change the volume, + and - how fine the sound is,
          l marks, s status, w what is hottest and where, h help, q quits; where input is
          no terminal, the same as lines: mute, louder, quieter, more, less, mark, ...;
          in a loop that reads a list, give it < /dev/null
Safety:   sound starts quietly, rises by no more than 10 dB in 100 ms, and is never
          louder than -10 LUFS; the file is as the sound was made, unprotected. This is
          no aid to mobility, and --alarm is no safety alarm: it may come late or not at
          all")]
pub struct Arguments {
    /// What to hear
    #[arg(value_name = "SOURCE", required_unless_present_any = ["raw", "device"])]
    source: Option<String>,
    #[command(flatten)]
    voice: VoiceArguments,
    #[command(flatten)]
    reading: ReadingArguments,
    #[command(flatten)]
    pace: SpeedArguments,
    /// `listen`: what people hear apart; `data`: what a receiver reads back
    /// [default: listen; a session is heard as it was, unless this or another
    /// choice of model or sound says otherwise]
    #[arg(long, value_parser = preset())]
    preset: Option<Preset>,
    #[command(flatten)]
    speaker: SpeakerArguments,
    /// Two channels, at the speaker and in the file: each picture is heard from where
    /// its energy is centred between left and right
    #[arg(long)]
    stereo: bool,
    /// Hear the sound of the original WYSIWYH instead, for comparison: linear axis to
    /// 5 kHz, new phases every tenth of a second, hard joins; as loud as ours on
    /// average; of 128 values, or fewer by --values. No session holds it
    #[arg(long, conflicts_with = "preset")]
    original: bool,
    /// Also write the sound to this .wav or .flac file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    session: SessionArguments,
    /// Which pictures are heard: at the speaker `each` as it comes, up to 30 a second,
    /// so that the sound follows the hand, while files hold the newest ten a second;
    /// the `newest` ten there, too, so that `listen` can read the speaker; or the `mean`
    /// of those since the last sound frame: less noise, but blurred
    /// [default: each with the preset listen, newest with data]
    #[arg(long, value_name = "WHICH", value_parser = sent())]
    send: Option<Sent>,
    /// Tell, and play tones over the sound, while any 3 x 3 pixels are above
    /// (">60C") or below ("<0C") a temperature in C, F or K; never a safety alarm
    #[arg(long, value_name = "LIMIT")]
    alarm: Option<Limit>,
    /// Gather pictures for so long while it plays, such as 2min or 90s, and compute
    /// a model for this sensor from them, which speaks from the next run on; carry
    /// the camera about
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true,
        default_missing_value = "2min", value_parser = time)]
    learn: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_name = "S", conflicts_with = "frames", value_parser = slots)]
    seconds: Option<u64>,
    /// End after so many sound frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
}

fn sent() -> impl TypedValueParser<Value = Sent> {
    choice(&[("each", Sent::Each), ("newest", Sent::Newest), ("mean", Sent::Mean)])
}

/// The slots in a number of seconds.
pub fn slots(text: &str) -> std::result::Result<u64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds.is_finite() => Ok((seconds * 10.0).ceil() as u64),
        _ => Err("give a number of seconds above 0".to_owned()),
    }
}

/// The slots in a time such as `2min` or `90s`.
fn time(text: &str) -> std::result::Result<u64, String> {
    match text.strip_suffix("min") {
        Some(minutes) => slots(minutes).ok().and_then(|slots| slots.checked_mul(60)),
        None => slots(text.strip_suffix('s').unwrap_or(text)).ok(),
    }
    .ok_or_else(|| "give a time such as 2min or 90s".to_owned())
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        if let Some(done) = choose(Way::Output, self.speaker.device.as_deref(), report)? {
            return Ok(done);
        }
        let source = self.source.unwrap_or_else(|| STDIN.to_owned());
        let again = self.preset.is_none() && !self.original && self.voice.given().is_empty();
        let preset = match self.original {
            true => Preset::Original,
            false => self.preset.unwrap_or(Preset::Listen),
        };
        let reading = Options { speed: self.pace.speed, ..self.reading.options()? };
        let volume_db = self.speaker.volume_db();
        let sides = self.voice.sides(volume_db)?;
        let voice = match again && reading.raw.is_none() && is_session(Path::new(&source)) {
            // Its sound was fitted when it was made.
            true => self.voice.voice(preset, reading)?,
            false => self.voice.heard(preset, reading, report)?,
        };
        let settings = Settings {
            source,
            voice,
            again,
            volume_db,
            device: self.speaker.device,
            sides,
            stereo: self.stereo,
            sound: self.output,
            session: self.session.target(),
            sent: self.send.unwrap_or(match preset {
                Preset::Listen => Sent::Each,
                Preset::Data | Preset::Original => Sent::Newest,
            }),
            alarm: self.alarm,
            learn: self.learn,
            slots: self.seconds.or(self.frames),
        };
        let console = Console::open(&settings.source, *report);
        let say = &mut |line: &str| report.note(line);
        let summary = live::run(&settings, &console.commands, &STOP, say);
        drop(console);
        let summary = summary?;
        report.print(sentence(&summary))?;
        Ok(report.failures(&summary.failures))
    }
}

fn sentence(summary: &Summary) -> String {
    let Summary { slots, dropped, repeated, silent, losses, speaker, pictures_dropped, .. } =
        summary;
    let frames = |number: u64| count(number, "sound frame");
    let were = if *dropped == 1 { "was" } else { "were" };
    let mut text = format!(
        "{} sent: {} came too fast and {were} left out, {} repeated the one before.",
        frames(*slots),
        count(dropped, "picture"),
        frames(*repeated)
    );
    if *silent > 0 {
        let (frames, were) = (frames(*silent), if *silent == 1 { "was" } else { "were" });
        text += &format!(" {frames} faded or {were} silent while the camera was away.");
    }
    if let Some(lost) = losses.as_ref().and_then(Losses::sentence) {
        text += &format!(" {lost}");
    }
    match speaker {
        Some(heard) => {
            text += &format!(
                " {} in the sound; {:.1} s held back to protect the ear.",
                count(heard.underruns, "gap"),
                heard.guarded_s
            );
            if let Some([chosen_s, event_s]) = heard.latency_s {
                let [chosen, event] = [chosen_s, event_s].map(|times| times.map(|s| s * 1e3));
                text += &format!(
                    " From the choice of a picture to its sound: {:.0} ms in the median, {:.0} ms \
                     at the 99th percentile; from an event in the scene: {:.0} and {:.0} ms.",
                    chosen[0], chosen[1], event[0], event[1]
                );
            }
        }
        None => text += " Nothing was played.",
    }
    if *pictures_dropped > 0 {
        let pictures = count(pictures_dropped, "picture");
        text += &format!(" The recorder was behind and left out {pictures}.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_slots_and_none_is_longer_than_can_be_counted() {
        assert_eq!((time("2min"), time("90s"), time("0.25")), (Ok(1200), Ok(900), Ok(3)));
        for odd in ["", "min", "-1min", "NaNs", "infmin", "1000000000000000000min", "1h"] {
            assert_eq!(time(odd), Err("give a time such as 2min or 90s".to_owned()), "{odd:?}");
        }
    }
}
