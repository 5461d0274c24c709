//! `evaluate`: what survives the trip.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use wysiwyh::model::Model;
use wysiwyh::profile::Profile;
use wysiwyh::spectrum::Preset;
use wysiwyh::voice::{Ready, Voice};
use wysiwyh::{Result, dataset, evaluate};

use super::ReadingArguments;
use super::report::Report;

/// Measures what a model's sound still holds: pictures are sent through
/// 16-bit sound and back, on groups that the model was not trained on.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    a model file, or the name of a sensor; pictures or rasters of that
          sensor
Writes:   a table, or JSON with --json
Units:    fidelity as PSNR in dB and as RMSE in the unit of the bands, loudness
          in LU
Example:  wysiwyh evaluate hituav-lwir frames/")]
pub struct Arguments {
    /// Model file; or a sensor, by name or .toml file, for which the model
    /// speaks that ships for it, or a general one
    #[arg(value_name = "MODEL")]
    model: String,
    /// Pictures or rasters
    #[arg(required = true, value_name = "DATA")]
    data: Vec<String>,
    /// Length of the code that is sent, a power of two [default: the model's]
    #[arg(long, value_name = "K")]
    values: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: ReadingArguments,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        // Names of sensors have neither a folder nor an ending.
        let path = Path::new(&self.model);
        let is_file = path.is_file() || path.extension().is_some() || path.components().count() > 1;
        let model = match is_file && path.extension().is_none_or(|ending| ending != "toml") {
            true => Model::load(path)?,
            false => self.speaker()?,
        };
        let (frames, trained_on) = dataset::unseen(&self.data, &model, &self.reading.options()?)?;
        if trained_on > 0 {
            report
                .note(format_args!("{trained_on} groups skipped: the model was trained on them."));
        }
        let scores = evaluate::scores(&model, &frames, self.values.unwrap_or(model.values()))?;
        match self.json {
            true => report.json(&scores)?,
            false => report.print(&scores)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The model that speaks for the sensor.
    fn speaker(&self) -> Result<Model> {
        if Profile::shipped_model(&self.model).is_some() {
            return Model::shipped(&self.model);
        }
        let voice = Voice {
            model: None,
            sensor: Some(self.model.clone()),
            preset: Preset::Data,
            values: None,
            span: None,
            polarity: None,
            seed: 0,
            reading: self.reading.options()?,
        };
        let sources = dataset::expand(&self.data)?;
        let first = sources.first().unwrap_or(&self.data[0]);
        let Ready { sonifier, .. } = voice.ready(first, None)?;
        Ok(sonifier.model().clone())
    }
}
