//! `evaluate`: what survives the trip.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use wysiwyh::dataset::Unseen;
use wysiwyh::evaluate::Scores;
use wysiwyh::evaluate::report::{self, Report as Page};
use wysiwyh::evaluate::rivals::{Contender, rivals};
use wysiwyh::evaluate::trip::{self, trips};
use wysiwyh::model::Model;
use wysiwyh::profile::Profile;
use wysiwyh::voice::{Ready, Voice};
use wysiwyh::{Result, check_place, dataset, evaluate, session, table};

use super::report::Report;
use super::{ReadingArguments, replaceable};

/// Measures what a model's sound still holds: pictures are sent through
/// 16-bit sound and back, on groups that the model was not trained on.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    a model file, or the name of a sensor; pictures or rasters of that
          sensor
Writes:   a table, or JSON with --json; with --report a page for a browser, with
          --table a row for each picture
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
    /// Also say how well a modelled ear tells pictures apart by our sound, by
    /// that of the original WYSIWYH and by a scan from left to right
    #[arg(long)]
    compare: bool,
    /// Write a page for a browser to this file: curves beside those of PCA and
    /// KLT x DCT, channels, codes, pictures and sounds. It needs no network.
    /// Give the groups that the model was trained on, too: the others are
    /// fitted to them
    #[arg(long, value_name = "FILE.html", value_parser = replaceable("html"))]
    report: Option<PathBuf>,
    /// Write a table to this .csv or .parquet file: source, group, scores and
    /// code of each picture
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: ReadingArguments,
}

/// What was found, for programs.
#[derive(Serialize)]
struct Findings {
    #[serde(flatten)]
    scores: Scores,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sounds: Vec<Contender>,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        self.table.as_deref().map(table::check_place).transpose()?;
        self.report.as_deref().map(check_place).transpose()?;
        // Names of sensors have neither a folder nor an ending.
        let path = Path::new(&self.model);
        let is_file = path.is_file() || path.extension().is_some() || path.components().count() > 1;
        let model = match is_file && path.extension().is_none_or(|ending| ending != "toml") {
            true => Model::load(path)?,
            false => self.speaker()?,
        };
        let unseen = dataset::unseen(&self.data, &model, &self.reading.options()?)?;
        if unseen.skipped > 0 {
            let skipped = unseen.skipped;
            report.note(format_args!(
                "Groups that are skipped, as the model was trained on them: {skipped}."
            ));
        }
        let values = self.values.unwrap_or(model.values());
        let scores = evaluate::scores(&model, &unseen.frames, values)?;
        self.write(&model, &scores, &unseen, values)?;
        let sounds = match self.compare {
            true => rivals(&model, &unseen.frames, &unseen.groups)?,
            false => vec![],
        };
        if self.json {
            report.json(&Findings { scores, sounds })?;
            return Ok(ExitCode::SUCCESS);
        }
        report.print(&scores)?;
        for contender in &sounds {
            report.print(contender)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Writes the files that were asked for.
    fn write(&self, model: &Model, scores: &Scores, unseen: &Unseen, values: usize) -> Result<()> {
        if self.report.is_none() && self.table.is_none() {
            return Ok(());
        }
        let trips = trips(model, unseen, values)?;
        let command = session::command_line();
        if let Some(path) = &self.table {
            let about = [
                ("command", command.clone()),
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("model", model.name().to_owned()),
                ("model_hash", model.hash().to_owned()),
            ];
            trip::save(path, &trips, &about)?;
        }
        if let Some(path) = &self.report {
            let seen = dataset::seen(&self.data, model, &self.reading.options()?)?;
            let peers = &report::peers(model, scores, unseen, &seen)?;
            Page { command: &command, model, scores, trips: &trips, peers }.save(path)?;
        }
        Ok(())
    }

    /// The model that speaks for the sensor.
    fn speaker(&self) -> Result<Model> {
        if Profile::shipped_model(&self.model).is_some() {
            return Model::shipped(&self.model);
        }
        let voice = Voice::of_sensor(&self.model, self.reading.options()?);
        let sources = dataset::expand(&self.data, None)?;
        let first = sources.first().unwrap_or(&self.data[0]);
        let Ready { sonifier, .. } = voice.ready(first, None)?;
        Ok(sonifier.model().clone())
    }
}
