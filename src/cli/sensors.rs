//! `sensors`: which instruments are known.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use wysiwyh::model::Model;
use wysiwyh::profile::{Kind, Profile, Tested};
use wysiwyh::sensor::camera::attached;
use wysiwyh::{Error, Fault, Result};

use super::report::Report;

/// Characters of a line of a list.
const WIDTH: usize = 90;

/// Shows which instruments are known: their bands, ranges, and the model that
/// ships for each; and which cameras are attached.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    the profiles in this program and in $XDG_CONFIG_HOME/wysiwyh/sensors
Writes:   nothing but text
Units:    wavelengths in micrometres, ranges in the unit named beside them
Example:  wysiwyh sensors show sentinel2-l2a")]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// One line for every instrument, yours first.
    #[command(after_help = "\
Reads:    the profiles in this program and in $XDG_CONFIG_HOME/wysiwyh/sensors
Writes:   a table, or JSON with --json
Units:    ranges in the unit named beside them
Example:  wysiwyh sensors list")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The cameras that are attached now, and the profile that fits each.
    #[command(after_help = "\
Reads:    what the system says of its cameras; no picture is taken
Writes:   a table, or JSON with --json
Units:    sizes in columns x rows, as the camera sends them
Example:  wysiwyh sensors probe")]
    Probe {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Everything about one instrument: its profile as TOML, and how its model
    /// was trained and scored.
    #[command(after_help = "\
Reads:    the profile of that name, or a .toml file
Writes:   the profile as TOML, ready to be copied and changed
Units:    wavelengths in micrometres, ranges in the bands' unit
Example:  wysiwyh sensors show hituav-lwir")]
    Show {
        /// Name of the profile, or a .toml file
        name: String,
    },
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        match self.action {
            Action::List { json } => list(json, report)?,
            Action::Probe { json } => probe(json, report)?,
            Action::Show { name } => show(&name, report)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A sensor as `list` tells it.
#[derive(Serialize)]
struct Entry {
    name: String,
    title: String,
    source: Kind,
    bands: Option<usize>,
    range: Option<[f64; 2]>,
    unit: String,
    tested: Tested,
    model: bool,
}

impl Entry {
    /// The sensor of `profile`, which is found by `name`.
    fn new(name: String, profile: Profile) -> Self {
        Self {
            bands: profile.listed_bands().map(<[_]>::len),
            unit: profile.unit().to_string(),
            model: Profile::shipped_model(&profile.name).is_some(),
            name,
            title: profile.title,
            source: profile.source,
            range: profile.range,
            tested: profile.tested,
        }
    }
}

/// The user's own instruments and then those of the shelf which none of them hides.
/// Files that are broken are told.
fn entries(report: &Report) -> Result<Vec<Entry>> {
    let (own, mut hidden) = (Profile::own(), vec![]);
    let mut entries = vec![];
    for (name, profile) in own {
        hidden.push(name.clone());
        match profile {
            Ok(profile) => entries.push(Entry::new(name, profile)),
            Err(error) => report.note(format_args!("This profile of yours is broken: {error}")),
        }
    }
    let shelf = Profile::shelf()?.into_iter().filter(|profile| !hidden.contains(&profile.name));
    entries.extend(shelf.map(|profile| Entry::new(profile.name.clone(), profile)));
    Ok(entries)
}

fn list(json: bool, report: &Report) -> Result<()> {
    let entries = entries(report)?;
    if json {
        return report.json(&entries);
    }
    let heading = ["name", "bands", "range", "tested", "model", "title"].map(String::from);
    let mut rows = vec![heading.to_vec()];
    rows.extend(entries.iter().map(|entry| {
        vec![
            entry.name.clone(),
            entry.bands.map_or_else(|| "any".into(), |count| count.to_string()),
            entry.range.map_or_else(
                || "by its pictures".into(),
                |[low, high]| format!("{low} to {high} {}", entry.unit),
            ),
            word(entry.tested).to_owned(),
            if entry.model { "ships" } else { "general" }.to_owned(),
            entry.title.clone(),
        ]
    }));
    report.table(&rows)
}

fn probe(json: bool, report: &Report) -> Result<()> {
    let cameras = attached();
    if json {
        return report.json(&cameras);
    }
    if cameras.is_empty() {
        return report.print("No camera is attached that this program can read.");
    }
    let heading = ["device", "name", "USB", "profile", "formats"].map(String::from);
    let mut rows = vec![heading.to_vec()];
    rows.extend(cameras.into_iter().map(|camera| {
        let none = || "none fits".to_owned();
        let formats = camera.problem.unwrap_or_else(|| camera.formats.join(", "));
        let usb = camera.usb.unwrap_or_else(|| "-".into());
        vec![camera.address, camera.name, usb, camera.profile.unwrap_or_else(none), formats]
    }));
    report.table(&rows)
}

fn word(tested: Tested) -> &'static str {
    match tested {
        Tested::Hardware => "hardware",
        Tested::File => "file",
        Tested::Simulator => "simulator",
        Tested::Never => "never",
    }
}

fn show(name: &str, report: &Report) -> Result<()> {
    let profile = Profile::find(name)?;
    let text = toml::to_string(&profile).map_err(|e| Error::new(Fault::Input, name, e))?;
    report.print(text)?;
    if Profile::shipped_model(&profile.name).is_none() {
        return report.print("# no model ships for this sensor: a general one speaks for it");
    }
    let model = Model::shipped(&profile.name)?;
    let record = toml::to_string(model.record()).map_err(|e| Error::new(Fault::Input, name, e))?;
    let commented: Vec<String> = record.lines().map(comment).collect();
    let (name, hash) = (model.name(), model.hash());
    report.print(format!("# model {name}, sha256 {hash}\n{}", commented.join("\n")))
}

/// `line` of TOML as a comment; long lists go on in lines of their own.
fn comment(line: &str) -> String {
    let (mut text, mut width) = ("# ".to_owned(), 0);
    for item in line.split_inclusive(", ") {
        if width > 0 && width + item.len() > WIDTH {
            text.truncate(text.trim_end().len());
            text += "\n#     ";
            width = 0;
        }
        text += item;
        width += item.len();
    }
    text
}
