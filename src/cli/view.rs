//! `view`: a session in the Rerun viewer.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wysiwyh::{Result, recorder};

use super::report::Report;

/// Opens a recorded session in the Rerun viewer, or says how to install the
/// one that matches.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    a .rrd file of `live --rrd`, `convert --rrd`, `train --rrd` or `demo`
Writes:   nothing
Units:    in the viewer: levels in dB, loudness in LUFS, time in seconds since the
          end of the sound's lead-in
Example:  wysiwyh view session.rrd")]
pub struct Arguments {
    /// The session
    #[arg(value_name = "SESSION")]
    session: PathBuf,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        recorder::view(&self.session, &mut |line| report.note(line))?;
        Ok(ExitCode::SUCCESS)
    }
}
