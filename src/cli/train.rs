//! `train`: a model for a sensor.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use burn::tensor::Device;
use clap::Args;
use clap::builder::TypedValueParser;
use wysiwyh::autoencoder::Part;
use wysiwyh::dataset::Dataset;
use wysiwyh::model::Model;
use wysiwyh::recorder::{Pace, Recorder, Session, Target};
use wysiwyh::session;
use wysiwyh::train::{Budget, Channel, Event, Settings, analytic, device, train};
use wysiwyh::{Error, Profile, Result, check_place};

use super::report::{Progress, Report};
use super::{ReadingArguments, STOP, choice, replaceable};

/// Computes a model for a sensor in seconds, and scores it on groups
/// (flights, places, clips) that it has not seen. With --minutes or --steps
/// it then trains a network on top, which is kept only if it does better on
/// groups held out for that choice.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    folders, pictures and rasters of one sensor, or simulated:SEED; groups
          follow from file names as its profile says and are never split
Writes:   MODEL, one .safetensors file with its training record and held-out
          scores; while a network is trained, MODEL.checkpoint, from which
          --resume goes on after Ctrl-C
Units:    fidelity as PSNR in dB
Example:  wysiwyh train frames/ --sensor hituav-lwir -o my.safetensors")]
pub struct Arguments {
    /// Training data
    #[arg(required = true, value_name = "DATA")]
    data: Vec<String>,
    /// Sensor profile, by name or .toml file
    #[arg(long, value_name = "NAME")]
    sensor: String,
    /// The model file to write
    #[arg(short, long, value_name = "MODEL", value_parser = replaceable("safetensors"))]
    output: PathBuf,
    /// Length of the code, a power of two
    #[arg(long, value_name = "K", default_value_t = 256)]
    values: usize,
    /// Start from a model: a file, or the name of a sensor that has one. What it
    /// knows of pictures in these bands counts as much as groups held out for
    /// that choice say; worth it where there are few pictures
    #[arg(long, value_name = "MODEL")]
    from: Option<String>,
    /// Seed of the split and of the training
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Train a network for so many minutes
    #[arg(long, value_name = "M", value_parser = minutes)]
    minutes: Option<f64>,
    /// Train a network for so many steps: the same seed gives the same model
    #[arg(long, value_name = "N", conflicts_with = "minutes",
          value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Train and choose the network for what is left of the code after these
    /// ways: `file`, which keeps all of it; `noise=20`, white noise 20 dB below
    /// the sound; `late=10`, a receiver that is 10 ms late, of which the guard
    /// takes 5; `codec=64`, Opus at 64 kbit/s, which an MP3 of 32 comes near.
    /// Without a number these are the strengths. Several, with commas, take
    /// turns and count alike
    #[arg(long, value_name = "NAME[=STRENGTH]", value_delimiter = ',', default_value = "file")]
    channel: Vec<Channel>,
    /// Which ends the network corrects: `decoder`, so that codes and sounds stay
    /// those of the linear path, or `both`
    #[arg(long, value_parser = ends(), default_value = "decoder")]
    ends: Part,
    /// Units of a hidden layer of the network
    #[arg(long, value_name = "W", default_value_t = Settings::default().width)]
    width: usize,
    /// Where to train: `cpu`, or `wgpu` for a graphics adapter
    #[arg(long, value_parser = processor(), default_value = "cpu")]
    device: Processor,
    /// Go on from MODEL.checkpoint
    #[arg(long)]
    resume: bool,
    /// Record the curves for the Rerun viewer
    #[arg(long, value_name = "FILE", value_parser = replaceable("rrd"))]
    rrd: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingArguments,
}

/// Where to train.
#[derive(Clone, Copy, Debug)]
enum Processor {
    Cpu,
    Wgpu,
}

fn processor() -> impl TypedValueParser<Value = Processor> {
    choice(&[("cpu", Processor::Cpu), ("wgpu", Processor::Wgpu)])
}

fn ends() -> impl TypedValueParser<Value = Part> {
    choice(&[("decoder", Part::Decoder), ("both", Part::Both)])
}

/// A positive number of minutes.
fn minutes(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes.is_finite() && minutes > 0.0 => Ok(minutes),
        _ => Err("must be a positive number of minutes".to_owned()),
    }
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let budget = match (self.minutes, self.steps) {
            (Some(minutes), _) => Some(Budget::Minutes(minutes)),
            (None, steps) => steps.map(Budget::Steps),
        };
        self.check(budget)?;
        check_place(&self.output)?;
        let device = match self.device {
            Processor::Cpu => Device::flex(),
            Processor::Wgpu => device::wgpu()?,
        };
        let profile = Profile::find(&self.sensor)?;
        let path = checkpoint(&self.output);
        let mut dataset = Dataset::read(&self.data, &profile, self.seed, &self.reading.options()?)?;
        if let Some(model) = &self.from {
            dataset.start_from(&Model::named(model)?, &profile)?;
        }
        let recorder = self.recorder(&dataset, &profile)?;
        let (values, seed, width) = (self.values, self.seed, self.width);
        let (channels, part) = (self.channel.clone(), self.ends);
        let settings = Settings { values, seed, width, channels, part, ..Settings::default() };
        let mut watch = Watch { report, recorder: recorder.as_ref(), progress: None };
        let mut observer = |event: Event<'_>| watch.see(event);
        let model = match budget {
            None => analytic(&dataset, &profile, &settings, &mut observer)?,
            Some(budget) => {
                let settings = Settings { budget, ..settings };
                let (path, resume) = (Some(path.as_path()), self.resume);
                train(&dataset, &profile, &settings, &device, path, resume, &mut observer)?
            }
        };
        drop(watch);
        model.save(&self.output)?;
        if budget.is_some() {
            // Only now is nothing lost with it.
            std::fs::remove_file(&path).map_err(|e| Error::output(&path, e))?;
        }
        let record = model.record();
        report.print(&record.scores)?;
        for (name, peer) in &record.peers {
            report.print(format_args!("against {name}: {peer}"))?;
        }
        report.print(self.output.display())?;
        // Last: the model is there, whatever becomes of its curves.
        if let Some(recorder) = recorder {
            recorder.finish()?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What is contradictory is refused before anything is read.
    fn check(&self, budget: Option<Budget>) -> Result<()> {
        let hint = "add --minutes M or --steps N to train a network";
        let resumed = self.resume.then_some("--resume");
        let on_adapter = matches!(self.device, Processor::Wgpu).then_some("--device wgpu");
        let way = self.channel.iter().find(|&&channel| channel != Channel::File);
        let way = way.map(|channel| format!("--channel {channel}"));
        let both = (self.ends == Part::Both).then(|| "--ends both".to_owned());
        let asked = resumed.or(on_adapter).map(str::to_owned).or(way).or(both);
        if let (None, Some(flag)) = (budget, asked) {
            let what = "only a network is trained in steps; the linear path takes seconds";
            return Err(Error::usage(flag, what).hint(hint));
        }
        let path = checkpoint(&self.output);
        match (budget, self.resume, path.exists()) {
            (Some(_), false, true) => {
                let what = "is the checkpoint of an earlier training";
                return Err(Error::output(path, what).hint("go on with --resume, or remove it"));
            }
            (Some(_), true, false) => {
                let what = "is not there, so that there is nothing to go on from";
                return Err(Error::input(path, what).hint("leave out --resume to begin anew"));
            }
            _ => {}
        }
        if !self.values.is_power_of_two() {
            let what = format!("{} values, it must be a power of two", self.values);
            return Err(Error::usage("--values", what).hint("256 is the usual choice"));
        }
        if !(1..=4096).contains(&self.width) {
            let what = format!("{} units, 1 to 4096 are possible", self.width);
            return Err(Error::usage("--width", what));
        }
        Ok(())
    }

    /// The recorder of the curves, if one is asked for.
    fn recorder(&self, dataset: &Dataset, profile: &Profile) -> Result<Option<Recorder>> {
        let Some(path) = &self.rrd else { return Ok(None) };
        let target = Target { save: Some(path.clone()), pace: Pace::Batch, ..Target::default() };
        let session = Session {
            command_line: session::command_line(),
            seed: self.seed,
            profile: profile.name.clone(),
            source: self.data.join(" "),
            bands: dataset.bands.clone().into(),
            range: dataset.range.clone(),
            ..Session::default()
        };
        Recorder::new(&target, &session).map(Some)
    }
}

/// The file beside `model` that holds the state of training.
fn checkpoint(model: &Path) -> PathBuf {
    let mut name = model.as_os_str().to_owned();
    name.push(".checkpoint");
    PathBuf::from(name)
}

/// Tells what happens, and stops when the user wants to.
struct Watch<'a> {
    report: &'a Report,
    recorder: Option<&'a Recorder>,
    progress: Option<Progress>,
}

impl Watch<'_> {
    fn see(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Said(line) => match &self.progress {
                Some(progress) => progress.say(line),
                None => self.report.note(line),
            },
            Event::Point { path, step, value } => {
                if let Some(recorder) = self.recorder {
                    recorder.log_scalar(path, step, value);
                }
            }
            Event::Spent(share) => {
                let report = self.report;
                let bar = || report.progress("training, thousandths", Some(1000));
                self.progress.get_or_insert_with(bar).set((share * 1000.0) as usize);
            }
        }
        match STOP.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
