//! `inspect` of a session: what was recorded, how it scored, and where to look.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use wysiwyh::Result;
use wysiwyh::recorder::{Replay, Replayed};
use wysiwyh::sensor::count;
use wysiwyh::table;

use super::Report;

/// So many of the worst moments are told.
const WORST: usize = 5;
/// They lie so many seconds apart, at least.
const APART_S: f64 = 1.0;

/// Tells what is in the session at `path`, and writes it to `table` where one
/// is asked for.
pub fn inspect(path: &Path, table: Option<&Path>, json: bool, report: &Report) -> Result<ExitCode> {
    table.map(table::is_csv).transpose()?;
    let replay = Replay::read(path)?;
    if let Some(table) = table {
        replay.save(table)?;
    }
    match json {
        true => report.json(&document(&replay))?,
        false => report.print(sentences(path, &replay).join("\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A score over the whole session.
#[derive(Serialize)]
struct Span {
    mean: f64,
    lowest: f64,
    lowest_s: f64,
    highest: f64,
    highest_s: f64,
}

impl Span {
    /// That of the score `name`; none where no slot has it.
    fn of(replay: &Replay, name: &str) -> Option<Self> {
        let values: Vec<(f64, f64)> = scored(replay, name).collect();
        let lowest = values.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let highest = values.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Self {
            mean: values.iter().map(|(_, value)| value).sum::<f64>() / values.len() as f64,
            lowest: lowest.1,
            lowest_s: lowest.0,
            highest: highest.1,
            highest_s: highest.0,
        })
    }
}

/// Seconds and values of the score `name`.
fn scored<'a>(replay: &'a Replay, name: &'a str) -> impl Iterator<Item = (f64, f64)> + 'a {
    let value = move |row: &Replayed| Some((row.time_s, *row.scores.get(name)?));
    replay.moments.values().filter_map(value)
}

/// A moment at which little came back.
#[derive(Serialize)]
struct Moment {
    time_s: f64,
    psnr_db: f64,
}

/// The moments of lowest PSNR, the worst first.
fn worst(replay: &Replay) -> Vec<Moment> {
    let mut moments: Vec<(f64, f64)> = scored(replay, "psnr_db").collect();
    moments.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut worst: Vec<Moment> = Vec::new();
    for (time_s, psnr_db) in moments {
        if worst.len() < WORST && worst.iter().all(|m| (m.time_s - time_s).abs() >= APART_S) {
            worst.push(Moment { time_s, psnr_db });
        }
    }
    worst
}

/// A session for programs.
#[derive(Serialize)]
struct Document<'a> {
    about: &'a std::collections::BTreeMap<String, String>,
    sound_frames: usize,
    seconds: f64,
    psnr_db: Option<Span>,
    loudness_lufs: Option<Span>,
    band_energy: Option<Span>,
    latency_s: Option<Span>,
    left_out: Option<f64>,
    pictures_dropped: Option<u64>,
    ended: bool,
    worst: Vec<Moment>,
    marks: Vec<Mark<'a>>,
}

#[derive(Serialize)]
struct Mark<'a> {
    slot: u64,
    time_s: f64,
    text: &'a str,
}

fn document(replay: &Replay) -> Document<'_> {
    let span = |name| Span::of(replay, name);
    Document {
        about: &replay.about,
        sound_frames: replay.moments.len(),
        seconds: seconds(replay),
        psnr_db: span("psnr_db"),
        loudness_lufs: span("loudness_lufs"),
        band_energy: span("band_energy"),
        latency_s: span("latency_s"),
        left_out: span("left_out").map(|span| span.highest),
        pictures_dropped: dropped(replay),
        ended: replay.dropped.is_some(),
        worst: worst(replay),
        marks: replay
            .marks
            .iter()
            .map(|(slot, time_s, text)| Mark { slot: *slot, time_s: *time_s, text })
            .collect(),
    }
}

/// Length of the session.
fn seconds(replay: &Replay) -> f64 {
    let times = replay.moments.values().map(|row| row.time_s);
    times.fold(0.0, f64::max) + wysiwyh::synth::SLOT_S
}

/// Pictures that the recorder left out.
fn dropped(replay: &Replay) -> Option<u64> {
    let counted = || Span::of(replay, "drops").map(|span| span.highest as u64);
    replay.dropped.or_else(counted)
}

/// The session in sentences, for eyes and ears alike.
fn sentences(path: &Path, replay: &Replay) -> Vec<String> {
    let mut lines = provenance(path, replay);
    lines.extend(scores(replay));
    if let Some(left_out) = Span::of(replay, "left_out") {
        lines.push(format!("Pictures of the source that came too fast: {}.", left_out.highest));
    }
    if let Some(dropped) = dropped(replay) {
        lines.push(format!("Pictures that the recorder dropped: {dropped}."));
    }
    if replay.dropped.is_none() {
        lines.push("It was not ended: what came last may be missing.".to_owned());
    }
    let worst: Vec<String> = worst(replay)
        .iter()
        .map(|moment| format!("{:.1} dB at {:.1} s", moment.psnr_db, moment.time_s))
        .collect();
    if !worst.is_empty() {
        lines.push(format!("The worst moments: {}.", worst.join(", ")));
    }
    for (_, time_s, text) in &replay.marks {
        lines.push(format!("Mark at {time_s:.1} s: {text}"));
    }
    lines
}

/// What was recorded, by whom, and where its sound is.
fn provenance(path: &Path, replay: &Replay) -> Vec<String> {
    let about = |name: &str| replay.about.get(name).map(String::as_str).filter(|v| !v.is_empty());
    let mut lines = vec![format!(
        "{}: a session of {}, {}, {:.1} s.",
        path.display(),
        about("source").unwrap_or("an unknown source"),
        count(replay.moments.len(), "sound frame"),
        seconds(replay)
    )];
    if let (Some(version), Some(command)) = (about("version"), about("command_line")) {
        lines.push(format!("It was recorded by wysiwyh {version}: {command}"));
    }
    if let (Some(profile), Some(model), Some(hash)) =
        (about("profile"), about("model"), about("model_hash"))
    {
        let seed = about("seed").unwrap_or("unknown");
        lines.push(format!(
            "The sensor is {profile}, the model {model} ({hash:.12}), the seed {seed}."
        ));
    }
    if about("header").is_some() {
        lines.push(format!("It can be heard again: wysiwyh live {}", path.display()));
    }
    if let (Some(wav), Some(lead_in)) = (about("wav"), about("lead_in_s")) {
        lines.push(format!("The sound is in {wav}; second 0 here is second {lead_in} there."));
    }
    lines
}

/// What its scores were on average, and when they were lowest and highest.
fn scores(replay: &Replay) -> Vec<String> {
    let told = [
        ("psnr_db", "PSNR of what comes back", "dB", 1.0, 1),
        ("loudness_lufs", "Loudness", "LUFS", 1.0, 1),
        ("latency_s", "Latency", "ms", 1e3, 0),
    ];
    let sentence = |(name, title, unit, scale, digits): (&str, &str, &str, f64, usize)| {
        let Span { mean, lowest, lowest_s, highest, highest_s } = Span::of(replay, name)?;
        let [mean, lowest, highest] = [mean, lowest, highest].map(|value| scale * value);
        Some(format!(
            "{title}: {mean:.digits$} {unit} on average, from {lowest:.digits$} at {lowest_s:.1} s \
             to {highest:.digits$} at {highest_s:.1} s."
        ))
    };
    told.into_iter().filter_map(sentence).collect()
}
