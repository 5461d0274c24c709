//! `listen`: sound back to pictures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use wysiwyh::model::Model;
use wysiwyh::sensor::{Options, count};
use wysiwyh::sink::device::Way;
use wysiwyh::spectrum::Preset;
use wysiwyh::{Error, Result, listen};

use super::report::Report;
use super::{STOP, SessionArguments, VoiceArguments, choose};

/// Turns a sound of `convert`, `live` or `demo` back into pictures: the file
/// itself, or a recording or copy of it in another format.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    a WAV or FLAC file; what it was made with is in the file. Its model is
          looked for in --model, then among those that ship, then beside the sound,
          then in $XDG_DATA_HOME/wysiwyh/models. Other sound files, through
          ffmpeg: name the sensor or model, and the preset that made the sound
Writes:   into DIR: frames.npy, [frame, band, row, column] f32; frame-00000.png
          and so on for the first 200; summary.txt; mosaic.tif where the scene
          lies on a map
Units:    values in the unit of the bands, NaN = not sent; gaps within a tile or a
          picture were filled before they were sent, and come back as readings
Example:  wysiwyh listen sounds/scene.wav -o pictures
          wysiwyh listen copy.mp3 --sensor hituav-lwir --preset data -o pictures
          wysiwyh listen --live --sensor lepton3 --preset listen --rrd heard.rrd
Live:     say which sensor or model speaks, and which preset; the first picture
          comes after two seconds; DIR gets frames.npy alone, at the end; --rrd,
          --connect, --serve and --view are for --live, and go together")]
pub struct Arguments {
    /// The sound
    #[arg(value_name = "AUDIO", required_unless_present = "live")]
    audio: Option<PathBuf>,
    /// Folder for the files; made if it is missing
    #[arg(short, long, value_name = "DIR", required_unless_present = "live")]
    output: Option<PathBuf>,
    /// Listen to a microphone, or whatever input for sound the system has
    /// chosen, and make pictures while it plays; until Ctrl-C
    #[arg(long, conflicts_with_all = ["audio", "wavelengths"])]
    live: bool,
    /// With --live: the input for sound, by its name; `list` shows all
    #[arg(long, value_name = "NAME|list", requires = "live")]
    device: Option<String>,
    #[command(flatten)]
    session: SessionArguments,
    /// With --live: end after so many seconds
    #[arg(long, value_name = "S", requires = "live", value_parser = super::live::slots)]
    seconds: Option<u64>,
    /// What the sound was made for: `listen` by live and demo, `data` by
    /// convert; used where the file does not say [default: data]
    #[arg(long, value_parser = super::preset())]
    preset: Option<Preset>,
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
        // What clap cannot tell, as AUDIO stands in the way of what is missing.
        let session = self.session.target();
        let live = !session.is_none() || self.seconds.is_some() || self.device.is_some();
        if self.audio.is_some() && live {
            let what = "are for what is heard with --live";
            let options = "--device, --rrd, --connect, --serve, --view and --seconds";
            return Err(Error::usage(options, what)
                .hint("leave out AUDIO and say --live, or leave them out"));
        }
        if let Some(done) = choose(Way::Input, self.device.as_deref(), report)? {
            return Ok(done);
        }
        let mut given = self.voice.given();
        given.extend(self.preset.map(|_| "--preset"));
        let preset = self.preset.unwrap_or(Preset::Data);
        let voice = self.voice.voice(preset, Options::default())?;
        let (Some(audio), Some(output)) = (&self.audio, &self.output) else {
            let say = &mut |line: &str| report.note(line);
            let settings = listen::Settings {
                voice,
                device: self.device,
                folder: self.output,
                session,
                slots: self.seconds,
            };
            let summary = listen::run_live(&settings, &STOP, say)?;
            report.print(&summary)?;
            return Ok(report.failures(&summary.failures));
        };
        let mut progress = None;
        let heard =
            listen::run(audio, output, &voice, &self.wavelengths, &STOP, &mut |done, total| {
                progress.get_or_insert_with(|| report.progress("decoding", Some(total))).set(done);
            })?;
        drop(progress);
        if heard.said {
            let model = voice.model.as_deref().map(Model::load).transpose()?;
            let other = model.is_some_and(|model| model.hash() != heard.header.model_hash);
            given.extend(other.then_some("--model"));
            if !given.is_empty() {
                report.note(unused(audio, &given));
            }
        }
        report.print(&heard)?;
        let files = count(heard.files.len(), "file");
        report.print(format_args!("{}: {files}.", output.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// One sentence on the options that were given for a sound that needs none of them.
fn unused(audio: &Path, given: &[&str]) -> String {
    let (are, given) = (if given.len() == 1 { "is" } else { "are" }, given.join(", "));
    format!("{} says itself how it was made, so {given} {are} not used.", audio.display())
}
