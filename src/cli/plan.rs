//! `plan`: which scenes of an archive are to be heard, and how.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wysiwyh::Result;
use wysiwyh::plan::{self, Manifest};
use wysiwyh::sensor;

use super::convert::How;
use super::replaceable;
use super::report::Report;

/// Writes down the scenes of an archive and how they are to be heard, so that
/// any part can be converted anywhere.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    names alone: no scene is opened
Writes:   a manifest, JSON lines: for each scene `id`, `source` and `settings`. The
          id is made of source and settings, so the same scenes give the same
          manifest, in whatever order they come; sources are kept as they are
          written, so carry it out in the same folder, or write whole paths
Units:    of the options as for `convert`; indices and shards count from 0
Then:     wysiwyh convert --manifest FILE -o DIR [--shard I/N | --index I], as often
          and on as many machines as it takes, then
          wysiwyh collect DIR --manifest FILE -o catalogue.parquet
Example:  wysiwyh plan 'archive/**/*.tif' -o archive.jsonl --sensor sentinel2-l2a")]
pub struct Arguments {
    /// Scenes, each one a sound; quoted patterns such as 'archive/**/*.tif'
    /// stand for all files that match
    #[arg(required = true, value_name = "SCENE")]
    scenes: Vec<String>,
    /// The manifest
    #[arg(short, long, value_name = "FILE", value_parser = replaceable("jsonl"))]
    output: PathBuf,
    #[command(flatten)]
    how: How,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let manifest = Manifest::new(&plan::sources(&self.scenes)?, self.how.settings()?)?;
        manifest.write(&self.output)?;
        let (count, path) = (manifest.units.len(), self.output.display());
        let (scenes, last) = (sensor::count(count, "scene"), count - 1);
        report.print(format_args!("{path}: {scenes}, index 0 to {last}."))?;
        Ok(ExitCode::SUCCESS)
    }
}
