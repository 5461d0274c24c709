//! `train`: a model for a sensor.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wysiwyh::dataset::Dataset;
use wysiwyh::train::{Settings, analytic};
use wysiwyh::{Profile, Result};

use super::report::Report;

/// Computes a model for a sensor in seconds, and scores it on groups
/// (flights, places, clips) that it has not seen.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    folders, pictures and rasters of one sensor, or simulated:SEED; groups
          follow from file names as its profile says and are never split
Writes:   MODEL, one .safetensors file with its training record and held-out
          scores
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
    #[arg(short, long, value_name = "MODEL")]
    output: PathBuf,
    /// Length of the code, a power of two
    #[arg(long, value_name = "K", default_value_t = 128)]
    values: usize,
    /// Seed of the split
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The pictures are seen from above, so that upside-down is as good
    #[arg(long)]
    from_above: bool,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let profile = Profile::find(&self.sensor)?;
        let dataset = Dataset::read(&self.data, &profile, self.seed)?;
        let settings = Settings {
            values: self.values,
            seed: self.seed,
            from_above: self.from_above,
            ..Settings::default()
        };
        let model = analytic(&dataset, &profile, &settings, &mut |event| {
            if let wysiwyh::train::Event::Said(line) = event {
                report.note(line)
            }
            std::ops::ControlFlow::Continue(())
        })?;
        model.save(&self.output)?;
        for (name, score) in &model.record().scores {
            report.print(format_args!("{name}: {score:.3}"))?;
        }
        report.print(self.output.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
