//! What came back from a sound, in sentences.

use std::fmt;
use std::path::PathBuf;

use super::{PREVIEWS, SUMMARY};
use crate::frame::Band;
use crate::inspect::Statistics;
use crate::inspect::many::{self, FEW};
use crate::sensor::{count, rounded};
use crate::sink::Header;
use crate::synth::SLOT_S;

/// What came back from a sound.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Everything the sound file said about itself.
    pub header: Header,
    /// Whether it did, or was heard as the caller said.
    pub said: bool,
    /// The bands of the pictures.
    pub bands: Vec<Band>,
    /// Per band, the physical values that mean 0 and 1.
    pub range: Vec<[f64; 2]>,
    /// Whether the bands are others than those that were sent.
    pub estimated: bool,
    /// Number of frames.
    pub frames: usize,
    /// How many of them were silent, and so hold no picture.
    pub silent: usize,
    /// For a sound whose frames had to be found: how sure that is, up to 1.
    pub sureness: Option<f64>,
    /// The values of each band over all frames, in the band's unit.
    pub statistics: Vec<Statistics>,
    /// The files written, `frames.npy` first.
    pub files: Vec<PathBuf>,
}

impl Heard {
    /// A sentence on each line, with one for each band, however many there are.
    pub(super) fn in_full(&self) -> String {
        let mut lines = self.opening();
        lines.extend(self.one_by_one());
        lines.extend(self.closing());
        lines.join("\n") + "\n"
    }

    /// What the sound says of itself.
    fn opening(&self) -> Vec<String> {
        let (header, frames) = (&self.header, self.frames);
        let (source, seconds) = (&header.source, frames as f64 * SLOT_S);
        let mut lines = vec![
            format!("{source}: {}, {seconds:.1} s of sound.", count(frames, "frame")),
            format!("The model is {} ({:.12}).", header.model, header.model_hash),
        ];
        let mut say = |line: String| lines.push(line);
        if header.original {
            say("It is the original's sound, made for comparison.".to_owned());
        }
        if header.stereo {
            say("It is stereo: each frame is heard from a place between left and right.".to_owned());
        }
        if !header.speed.is_own() {
            say(format!("The source was heard at {} times its speed.", header.speed.factor()));
        }
        if let Some(start) = &header.start_time {
            say(format!("It started at {start}."));
        }
        if let Some(command) = &header.command {
            say(format!("The command that made it: {command}"));
        }
        if let Some(scene) = &header.scene {
            let [rows, columns, chip] = [scene.rows, scene.columns, scene.chip];
            say(format!("The scene has {rows} x {columns} pixels, in chips of {chip} x {chip}."));
        }
        lines
    }

    /// A sentence on each band.
    fn one_by_one(&self) -> Vec<String> {
        let bands = self.bands.iter().zip(&self.statistics).zip(&self.range);
        let told = |((band, statistics), [low, high]): ((&Band, &Statistics), &[f64; 2])| {
            let Statistics { min, mean, max, .. } = statistics;
            let (name, unit) = (&band.name, band.unit);
            let [low, high] = [*low, *high].map(rounded);
            format!(
                "{name}: {min:.3} to {max:.3} {unit}, {mean:.3} on average; the span is {low} to \
                 {high}."
            )
        };
        bands.map(told).collect()
    }

    /// More bands than anybody wants to hear one by one, in groups.
    fn together(&self) -> Vec<String> {
        let mut lines = many::sentences(&self.bands, &self.statistics);
        lines.extend(self.range.first().map(|&[low, high]| {
            match self.range.iter().all(|&range| range == [low, high]) {
                true => {
                    let [low, high] = [low, high].map(rounded);
                    format!("The span of each is {low} to {high}.")
                }
                false => {
                    let ends = self.range.iter().fold([low, high], |[low, high], range| {
                        [low.min(range[0]), high.max(range[1])]
                    });
                    let [low, high] = ends.map(rounded);
                    format!("Each has a span of its own, within {low} to {high}.")
                }
            }
        }));
        lines.push(format!("{SUMMARY} tells each band by itself."));
        lines
    }

    /// How sure it is, what is missing, and what was written.
    fn closing(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.estimated {
            lines.push(
                "These bands were asked for, and are estimated from those that were sent."
                    .to_owned(),
            );
        }
        if let Some(sureness) = self.sureness {
            let percent = 100.0 * sureness;
            lines.push(format!("The frames were found by their sound, sure to {percent:.0} %."));
        }
        if self.silent > 0 {
            lines.push(match self.silent {
                1 => "1 frame is silent, and holds no picture.".to_owned(),
                silent => format!("{silent} frames are silent, and hold no picture."),
            });
        }
        if self.header.frames.is_none() {
            lines.push("The sound was cut short: what there is was decoded.".to_owned());
        }
        if self.frames > PREVIEWS {
            lines.push(format!(
                "There are pictures of the first {PREVIEWS} frames; frames.npy has all."
            ));
        }
        lines
    }
}

/// A sentence on each line; many bands are told in groups.
impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bands = match self.bands.len() {
            0..=FEW => self.one_by_one(),
            _ => self.together(),
        };
        for line in self.opening().into_iter().chain(bands).chain(self.closing()) {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
