//! `collect`: the catalogue of an archive.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wysiwyh::catalogue::Catalogue;
use wysiwyh::plan::Manifest;
use wysiwyh::sensor;
use wysiwyh::{Result, check_place};

use super::convert::exit_code;
use super::replaceable;
use super::report::Report;

/// Collects the records that `convert` leaves beside its sounds into one
/// table of scenes, and counts those that are done, failed and missing.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    the .record.json files in the folders and all below them
Writes:   GeoParquet, a row for each scene, sorted by `id`: id, source, sound (path),
          start_time, sound_s, slots, loudness_lufs, psnr_db (mean of its pictures,
          from their codes), model_psnr_db (of the model on unseen pictures), model,
          model_sha256, version, error, geometry (footprint in longitude and
          latitude), bbox. The same records give the same bytes
Units:    seconds of sound without the lead-in, LUFS, decibels, degrees
Example:  wysiwyh collect sounds --manifest archive.jsonl -o catalogue.parquet
Exit status 0 if all is well, 1 if all scenes failed, 3 if some failed or are
missing.")]
pub struct Arguments {
    /// Folders of sounds
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The table
    #[arg(short, long, value_name = "FILE.parquet", value_parser = replaceable("parquet"))]
    output: PathBuf,
    /// Count what is missing of this manifest, and leave out what is not of it
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        check_place(&self.output)?;
        let manifest = self.manifest.as_deref().map(Manifest::read).transpose()?;
        let catalogue = Catalogue::read(&self.folders, manifest.as_ref())?;
        catalogue.write(&self.output)?;
        let counts = catalogue.counts(manifest.as_ref());
        let path = self.output.display();
        let done = sensor::count(counts.done, "scene");
        let mut said = format!("{path}: {done} done, {} failed", counts.failed);
        if manifest.is_some() {
            said.push_str(&format!(", {} missing", counts.missing));
        }
        report.print(said + ".")?;
        Ok(exit_code(counts.done, counts.failed + counts.missing))
    }
}
