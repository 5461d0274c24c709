//! `datasets`: which public data models are made from or worth training on, and
//! how to get them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use wysiwyh::Result;
use wysiwyh::dataset::shelf::Listed;

use super::STOP;
use super::report::Report;

/// Lists public data: those that models are made from, and others worth
/// training on; and fetches them where that can be done.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    the manifests that come with the program, or one in a folder of yours
Writes:   a table; with fetch, the files, each once its SHA-256 is right
Units:    sizes in MB of 10^6 bytes
Example:  wysiwyh datasets list")]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Which there are
    #[command(after_help = "\
Reads:    nothing
Writes:   a table, or JSON with --json
Units:    sizes in MB of 10^6 bytes
Example:  wysiwyh datasets list --json")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Gets the files of one; the same command goes on where it was stopped
    #[command(after_help = "\
Reads:    the files from their address, by the program curl
Writes:   into DIR the files, each once its SHA-256 is the listed one
Units:    none
Example:  wysiwyh datasets fetch hituav -o hituav --from https://example.org/hituav")]
    Fetch {
        /// Its name, or a folder with manifest.toml and the list of checksums
        #[arg(value_name = "NAME")]
        name: String,
        /// Folder for the files; made if it is missing
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Address of a folder that holds the files [default: the manifest's]
        #[arg(long, value_name = "URL")]
        from: Option<String>,
    },
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        match self.what {
            What::List { json } => list(json, report)?,
            What::Fetch { name, output, from } => {
                let set = Listed::find(&name)?;
                let count = set.manifest.files;
                let total = Some(megabytes(set.manifest.bytes)).filter(|&total| total > 0);
                let mut progress = report.progress("fetching, in MB", total);
                let tell = &mut |bytes| progress.set(megabytes(bytes));
                let fetched = set.fetch(from.as_deref(), &output, &STOP, tell);
                drop(progress);
                fetched?;
                let licence = &set.manifest.licence;
                report.print(format_args!(
                    "{count} files are in {}, as listed. Their licence is {licence}.",
                    output.display()
                ))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whole ones of 10^6 bytes.
fn megabytes(bytes: u64) -> usize {
    (bytes / 1_000_000) as usize
}

fn list(json: bool, report: &Report) -> Result<()> {
    let shelf = Listed::shelf()?;
    let manifests: Vec<_> = shelf.into_iter().map(|set| set.manifest).collect();
    if json {
        return report.json(&manifests);
    }
    let heading = ["name", "sensor", "licence", "files", "MB", "address", "title"];
    let mut rows = vec![heading.map(String::from).to_vec()];
    rows.extend(manifests.iter().map(|set| {
        let address = set.urls.first().or(set.homepage.as_ref()).cloned().unwrap_or_default();
        let listed = |figure: String| if set.files > 0 { figure } else { "not listed".into() };
        vec![
            set.name.clone(),
            set.sensor.clone().unwrap_or_else(|| "none yet".to_owned()),
            set.licence.clone(),
            listed(set.files.to_string()),
            listed(format!("{:.1}", set.bytes as f64 / 1e6)),
            address,
            set.title.clone(),
        ]
    }));
    report.table(&rows)
}
