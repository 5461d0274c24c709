//! What survives the trip, as a page for a browser: one HTML file that asks
//! nothing of the network.
//!
//! Whatever a chart shows stands in a table beside it, every picture has a
//! sentence, and lines differ in dashes and marks as well as in colour.

mod chart;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use image::RgbImage;
use ndarray::Array3;

use super::channel::Channel;
use super::peers::Peer;
use super::trip::Trip;
use super::{Comparison, Scores, Survival, compare, listening};
use crate::dataset::Unseen;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::picture::{enlarge, legend, png, preview};
use crate::sensor::Source;
use crate::sink::{self, Format};
use crate::sonifier::Sonifier;
use crate::staging::StagedFile;
use chart::Line;

/// So many frames are shown and heard.
const EXAMPLES: usize = 6;
/// Slots of sound of each.
const HEARD_SLOTS: usize = 10;
/// Side of a picture in pixels, at least.
const SIDE: u32 = 192;
/// Bars of a histogram of the code.
const BARS: usize = 20;

const STYLE: &str = include_str!("report/style.css");

/// The codes that a model's is compared with.
#[derive(Clone, Debug)]
pub struct Peers {
    /// How they do, by their names.
    pub curves: BTreeMap<String, Comparison>,
    /// Whether they, too, were scored on the frames of the report; else on
    /// those that the model was first reported on.
    pub same_frames: bool,
}

/// PCA and KLT x DCT of as many values as were sent, fitted to `seen` (see
/// [`dataset::seen`](crate::dataset::seen)) and compared with `scores` on the
/// `unseen` frames; where nothing was seen, what the model's record says.
///
/// # Errors
///
/// If there are no principal components.
pub fn peers(
    model: &Model,
    scores: &Scores,
    unseen: &Unseen,
    seen: &[Array3<f32>],
) -> Result<Peers> {
    if seen.is_empty() {
        return Ok(Peers { curves: model.record().peers.clone(), same_frames: false });
    }
    let values = scores.psnr_sound_db.keys().next_back().copied().unwrap_or_default();
    let groups: Vec<&str> = unseen.groups.iter().map(String::as_str).collect();
    let curves = [Peer::pca(seen, values)?, Peer::klt_dct(seen, values)].map(|peer| {
        let compared = compare(scores, &peer, &unseen.frames, &groups, model.range());
        (peer.name.to_owned(), compared)
    });
    Ok(Peers { curves: curves.into(), same_frames: true })
}

/// All that a page tells.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The command that was given.
    pub command: &'a str,
    /// The model that was measured.
    pub model: &'a Model,
    /// What was measured.
    pub scores: &'a Scores,
    /// Each frame's part in it.
    pub trips: &'a [Trip],
    /// What it is compared with.
    pub peers: &'a Peers,
}

impl Report<'_> {
    /// Writes the page to `path`; it appears whole or not at all.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or a sound of it not be made.
    pub fn save(&self, path: &Path) -> Result<()> {
        let page = self.page()?;
        let mut file = StagedFile::create(path)?;
        file.file().write_all(page.as_bytes()).map_err(|e| Error::output(path, e))?;
        file.finish()
    }

    fn page(&self) -> Result<String> {
        let name = escaped(self.model.name());
        let parts = [
            self.summary(),
            self.curve(),
            self.channels(),
            self.codes(),
            self.examples()?,
            self.origin(),
        ];
        Ok(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{name}: what survives the trip</title>\n<style>\n{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<h1>{name}: what survives the trip</h1>\n{}</main>\n</body>\n</html>\n",
            parts.concat()
        ))
    }

    /// The figures in sentences, as `evaluate` prints them.
    fn summary(&self) -> String {
        let lead = format!(
            "{} pictures of {} groups that the model was not trained on were sent as sound and \
             decoded again. PSNR is in decibels, peak 1, mean over pictures: more is better, and \
             6 dB halve the error.",
            self.scores.frames,
            self.trips.iter().map(|trip| &trip.group).collect::<BTreeSet<_>>().len(),
        );
        let Scores { psnr_sound_db, psnr_heard_db, energy_loudness_r, .. } = self.scores;
        let most: String = psnr_sound_db
            .last_key_value()
            .map(|(values, psnr_db)| {
                format!(
                    "A 16-bit file of {values} values gives them back at {psnr_db:.2} dB, what an \
                     ear can hear of it at {psnr_heard_db:.2} dB. Loudness follows band energy at \
                     a correlation of {energy_loudness_r:.3}."
                )
            })
            .unwrap_or_default();
        let told = self.scores.to_string();
        let rows: Vec<Vec<String>> = told
            .lines()
            .filter_map(|line| line.rsplit_once(": "))
            .map(|(figure, value)| vec![figure.to_owned(), value.to_owned()])
            .collect();
        let table = table("Figures", &["figure", "value"], &rows);
        section(
            "In figures",
            &format!(
                "<p>{lead}</p>\n<p>{most}</p>\n<details><summary>All figures</summary>\n{table}</details>\n"
            ),
        )
    }

    /// Fidelity over the number of values that are sent.
    fn curve(&self) -> String {
        let ours = "this model, as sound";
        let mut lines = vec![Line::new(ours, &self.scores.psnr_sound_db)];
        let recorded = &self.model.record().scores.psnr_sound_db;
        let told = match self.peers {
            Peers { curves, .. } if curves.is_empty() => {
                "The model's record compares it with no other code."
            }
            Peers { same_frames: true, .. } => {
                "PCA and KLT x DCT were fitted to the groups in the data that the model was \
                 trained on, and are shown as they are: not rounded and never sounded."
            }
            _ => {
                lines.push(Line::new("this model, when it was trained", recorded));
                "No group in the data was trained on, so PCA and KLT x DCT are those of the \
                 model's record: scored on other frames than these. Compare them with the curve \
                 of the model when it was trained."
            }
        };
        lines.extend(self.peers.curves.iter().map(|(name, peer)| Line::new(name, &peer.psnr_db)));
        let gains: String = self
            .peers
            .curves
            .iter()
            .filter_map(|(name, peer)| Some((name, peer.to_string().lines().next()?.to_owned())))
            .map(|(name, gain)| format!("<p>Against {name}: {}.</p>\n", escaped(&gain)))
            .collect();
        let mut headings = vec!["values"];
        headings.extend(lines.iter().map(|line| line.name.as_str()));
        let counts = lines.iter().flat_map(|line| line.points.iter().map(|(values, _)| *values));
        let counts: BTreeSet<usize> = counts.collect();
        let cell = |line: &Line, values: usize| {
            let point = line.points.iter().find(|(x, _)| *x == values);
            point.map_or("not measured".to_owned(), |(_, psnr)| format!("{psnr:.2}"))
        };
        let rows: Vec<Vec<String>> = counts
            .iter()
            .map(|&values| {
                let cells = lines.iter().map(|line| cell(line, values));
                std::iter::once(values.to_string()).chain(cells).collect()
            })
            .collect();
        let chart = chart::curves(&lines);
        let table = table("PSNR in dB by number of values", &headings, &rows);
        section(
            "Fidelity and the number of values",
            &format!("<p>{told}</p>\n{gains}<div class=\"beside\">{chart}{table}</div>\n"),
        )
    }

    fn channels(&self) -> String {
        let rows: Vec<Vec<String>> = Channel::ALL
            .into_iter()
            .filter_map(|channel| {
                let Survival { psnr_db, bits } = self.scores.channels.get(channel.name())?;
                Some(vec![channel.told().into(), format!("{psnr_db:.2}"), format!("{bits:.0}")])
            })
            .collect();
        let headings = ["way of the sound", "PSNR in dB", "bits a picture"];
        section("What each channel leaves", &table("Channels", &headings, &rows))
    }

    /// How the values of the code are spread: all, and the oddest position.
    fn codes(&self) -> String {
        let codes = || self.trips.iter().map(|trip| &trip.sound.code);
        let positions = codes().next().map_or(0, Vec::len);
        let at = |position: usize| codes().filter_map(move |code| code.get(position).copied());
        let distance = |position: &usize| super::uniformity(at(*position));
        let oddest = (0..positions).max_by(|a, b| distance(a).total_cmp(&distance(b)));
        let mut shown =
            vec![("All values".to_owned(), chart::Histogram::of(codes().flatten().copied(), BARS))];
        if let Some(position) = oddest {
            let title = format!("Value {} of {positions}, the least even one", position + 1);
            shown.push((title, chart::Histogram::of(at(position), BARS)));
        }
        let figures: String = shown
            .iter()
            .map(|(title, histogram)| {
                let rows = histogram.rows();
                let chart = chart::bars(title, histogram);
                let table = table(title, &["code", "share in %"], &rows);
                format!(
                    "<h3>{title}</h3>\n<div class=\"beside\">{chart}<details>\
                     <summary>The same as a table</summary>\n{table}</details></div>\n"
                )
            })
            .collect();
        let told = "A code whose values are evenly spread over 0 to 1 spends the whole range of \
                    loudness. The dashed line is an even spread.";
        section("How the code is spread", &format!("<p>{told}</p>\n{figures}"))
    }

    /// A few frames from the worst to the best, for eyes and ears.
    fn examples(&self) -> Result<String> {
        let mut order: Vec<&Trip> = self.trips.iter().collect();
        order.sort_by(|a, b| a.psnr_db.total_cmp(&b.psnr_db));
        let last = order.len().saturating_sub(1);
        let count = EXAMPLES.min(order.len());
        let places = (0..count).map(|number| number * last / count.saturating_sub(1).max(1));
        let places: Vec<usize> = places.collect();
        // One scale for all, so that louder sounds have higher bars.
        let scale_db = chart::ends(places.iter().flat_map(|at| &order[*at].sound.levels_db));
        let mut figures = String::new();
        for at in places {
            let title = format!("Picture {} of {}, from worst to best", at + 1, order.len());
            figures += &self.example(&title, order[at], scale_db)?;
        }
        let (model, range) = (self.model, self.model.range());
        let told = format!(
            "Colours: {}. Grey chequers: no reading. Each sound is one second of the picture held \
             still, as people hear it (preset listen); the pictures were decoded from 16-bit \
             sound of the preset data.",
            escaped(&legend(range, model.bands()))
        );
        Ok(section("Pictures, sent and decoded", &format!("<p>{told}</p>\n{figures}")))
    }

    /// A frame; `scale_db` are the ends of the scale of levels.
    fn example(&self, title: &str, trip: &Trip, scale_db: [f64; 2]) -> Result<String> {
        let Trip { group, sound, back, psnr_db, .. } = trip;
        let bands = self.model.bands();
        let picture = |data: &Array3<f32>, what: &str| {
            let picture = preview(data.view(), self.model.range(), bands);
            let alt = format!("{what}: {}", means(data, self.model));
            image(&picture, &alt)
        };
        let [low, high] = self.model.profile().frequencies_hz;
        let chart = chart::levels(&sound.levels_db, [low, high], scale_db);
        let sent = picture(&sound.sent.data, "The picture as sent")?;
        let decoded = picture(back, "The picture decoded from the sound")?;
        let wav = BASE64_STANDARD.encode(self.heard(trip)?);
        let name = escaped(title);
        let group = escaped(group);
        let loudness = sound.loudness_lufs;
        Ok(format!(
            "<section class=\"example\">\n<h3>{name}</h3>\n\
             <p>Group {group}: {psnr_db:.2} dB PSNR, {loudness:.1} LUFS.</p>\n<div class=\"row\">\n\
             <figure>{sent}<figcaption>sent</figcaption></figure>\n\
             <figure>{chart}<figcaption>levels of its sound</figcaption></figure>\n\
             <figure>{decoded}<figcaption>decoded</figcaption></figure>\n</div>\n\
             <p><audio controls preload=\"metadata\" aria-label=\"Sound of {name}\" \
             src=\"data:audio/wav;base64,{wav}\"></audio></p>\n</section>\n"
        ))
    }

    /// The still picture as a sound file, as people hear it.
    fn heard(&self, trip: &Trip) -> Result<Vec<u8>> {
        let mut sonifier = Sonifier::new(self.model.clone(), listening(self.model), 0)?;
        let folder = tempfile::tempdir().map_err(|e| Error::output(std::env::temp_dir(), e))?;
        let path = folder.path().join("still.wav");
        let source = Source::like(&trip.sound.sent, trip.group.clone());
        let header =
            sink::Header { frames: Some(HEARD_SLOTS), ..sonifier.header(&source, &trip.group) };
        let mut file = sink::create(&path, Format::Wav, &header)?;
        for _ in 0..HEARD_SLOTS {
            file.write(&sonifier.sonify(&trip.sound.sent)?.samples)?;
        }
        file.write(&sonifier.finish())?;
        file.finish()?;
        std::fs::read(&path).map_err(|e| Error::input(&path, e))
    }

    /// Where the figures come from.
    fn origin(&self) -> String {
        let model = self.model;
        let rows = [
            ("command", self.command),
            ("version", concat!("wysiwyh ", env!("CARGO_PKG_VERSION"))),
            ("model", model.name()),
            ("model SHA-256", model.hash()),
            ("sensor", &model.profile().name),
        ];
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|(name, value)| vec![(*name).to_owned(), (*value).to_owned()])
            .collect();
        section("Where this comes from", &table("Origin", &["what", "which"], &rows))
    }
}

/// A picture in words: the mean of each of its first bands.
fn means(data: &Array3<f32>, model: &Model) -> String {
    let told = model.bands().iter().zip(data.outer_iter()).take(3).map(|(band, values)| {
        let readings = values.iter().filter(|v| v.is_finite());
        let (sum, count) = readings.fold((0.0, 0u32), |(s, n), v| (s + f64::from(*v), n + 1));
        match count {
            0 => format!("{} without a reading", band.name),
            _ => format!("{} {:.2} {} on average", band.name, sum / f64::from(count), band.unit),
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

/// `picture` with `alt` in its place for those who do not see it.
fn image(picture: &RgbImage, alt: &str) -> Result<String> {
    let side = picture.width().max(picture.height()).max(1);
    let picture = enlarge(picture, SIDE.div_ceil(side));
    let png = png(&picture).map_err(|e| Error::usage("picture", e))?;
    let (width, height, alt) = (picture.width(), picture.height(), escaped(alt));
    let data = BASE64_STANDARD.encode(png);
    Ok(format!(
        "<img width=\"{width}\" height=\"{height}\" alt=\"{alt}\" \
         src=\"data:image/png;base64,{data}\">"
    ))
}

fn section(title: &str, content: &str) -> String {
    format!("<section>\n<h2>{}</h2>\n{content}</section>\n", escaped(title))
}

/// A table whose first column names its rows.
fn table(caption: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = format!("<table>\n<caption>{}</caption>\n<thead><tr>", escaped(caption));
    for heading in headings {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escaped(heading));
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in rows {
        html += "<tr>";
        for (column, cell) in row.iter().map(|cell| escaped(cell)).enumerate() {
            let _ = match column {
                0 => write!(html, "<th scope=\"row\">{cell}</th>"),
                _ => write!(html, "<td>{cell}</td>"),
            };
        }
        html += "</tr>\n";
    }
    html + "</tbody>\n</table>\n"
}

/// `text` inside HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        let html = table("a<b", &["\"x\""], &[vec!["</table>".to_owned(), "&".to_owned()]]);
        assert_eq!(html.matches("</table>").count(), 1);
        assert!(
            html.contains("a&lt;b") && html.contains("&quot;x&quot;") && html.contains("&amp;")
        );
    }
}
