//! `probe`: what this program asks of itself; see [`wysiwyh::sensor::answer`].

use std::process::ExitCode;

use clap::Args;
use wysiwyh::{Result, sensor};

use super::report::Report;

/// The name of this verb.
pub const VERB: &str = "probe";

/// Opens a raster and reads its first window.
#[derive(Args, Debug)]
#[command(hide = true)]
pub struct Arguments {
    /// The raster
    #[arg(allow_hyphen_values = true)]
    source: String,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        Ok(match sensor::answer(&self.source) {
            Ok(()) => ExitCode::SUCCESS,
            Err(said) => {
                report.print(said)?;
                ExitCode::FAILURE
            }
        })
    }
}
