//! Where samples go: the speaker, files, and files read back.
//!
//! A file carries everything that a receiver needs in its [`Header`], so that
//! a renamed file still decodes. Samples have 48 kHz, full scale 1.0; they are
//! mono unless the header says [`stereo`](Header::stereo).
//! In files they have 16 bits, plainly rounded: dither would be noise in the
//! code, and rounding is 96 dB below full scale already.

pub mod device;
mod flac;
mod foreign;
pub mod guard;
#[cfg(feature = "sound")]
mod line;
pub(crate) mod meter;
#[cfg_attr(not(feature = "sound"), allow(dead_code, reason = "played by the speaker only"))]
mod playout;
#[cfg(feature = "sound")]
pub(crate) mod rate;
#[cfg_attr(not(feature = "sound"), path = "absent.rs")]
mod speaker;
mod wav;

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::error::{Error, Fault, Result};
use crate::frame::Area;
use crate::model::View;
use crate::profile::Polarity;
use crate::sensor::{Scene, Speed};
use crate::spectrum::Mapping;
use crate::staging::{self, part_of};
use crate::synth::SAMPLE_RATE;

pub use flac::FlacSink;
pub use foreign::decode;
#[cfg(feature = "sound")]
use line::plausible;
pub use speaker::Speaker;
pub use wav::WavSink;

/// The version of [`Header`] that this build writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// So many chips without any reading are followed: those of a scene of a
/// million pixels each way.
const MOST_LEFT_OUT: usize = 1 << 28;

/// What a sound says about itself. It travels in the file as JSON.
///
/// A reader ignores fields it does not know, so that fields can be added
/// without a new [`FORMAT`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of this header: [`FORMAT`].
    pub format: u32,
    /// Version of the program that wrote it.
    #[serde(default)]
    pub version: String,
    /// The command that made it, see [`crate::session::command_line`], where
    /// that was `live`, `demo` or `practice`. A sound of `convert` does not
    /// say: it is the same, byte for byte, whichever command made it, alone or
    /// in a shard of an archive; the record beside it says what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Name of the model that made the code.
    pub model: String,
    /// SHA-256 of the model file, hexadecimal.
    pub model_hash: String,
    /// Name of the instrument's profile.
    pub profile: String,
    /// The instrument itself, where the model was trained for another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
    /// How the code became frequencies and levels.
    pub mapping: Mapping,
    /// Whether the sound is not ours but [`crate::original`]'s; `mapping` then
    /// is what comes nearest to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub original: bool,
    /// Whether each frame is heard from a place of its own, by two channels:
    /// see [`crate::stereo`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stereo: bool,
    /// Which end of the range is loud.
    #[serde(default)]
    pub polarity: Polarity,
    /// For every band the physical values that meant 0 and 1.
    pub range: Vec<[f64; 2]>,
    /// Seed of the phases.
    pub seed: u64,
    /// Seconds of sound before the first frame.
    pub lead_in_s: f64,
    /// How many times as fast as by itself the source is heard.
    #[serde(default, skip_serializing_if = "Speed::is_own")]
    pub speed: Speed,
    /// Number of frames, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<usize>,
    /// The part of the model's grid that carries the picture.
    pub area: Area,
    /// What was heard: a path, a device.
    #[serde(default)]
    pub source: String,
    /// When the first frame was taken, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// The scene that was tiled into frames, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<Scene>,
    /// Row and column in the scene of every frame's upper left pixel; empty
    /// for whole pictures. Where the scene's route and `left_out` say the same,
    /// the file holds those instead: see [`Header::places`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<[u32; 2]>,
    /// Runs of chips that are not in the sound, because nothing was read
    /// there: the number of the first along the scene's route, from 0, and how
    /// many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<[u64; 2]>,
}

/// The fields by which a comment is known to be a header of ours.
#[derive(Deserialize)]
#[allow(dead_code, reason = "the fields only have to be there")]
struct Recognition {
    format: u32,
    model_hash: serde::de::IgnoredAny,
}

impl Header {
    /// Number of channels of the sound.
    pub fn channels(&self) -> usize {
        if self.stereo { 2 } else { 1 }
    }

    /// The header as one line of ASCII: taggers disagree on the encoding of
    /// anything else, and JSON can escape it.
    ///
    /// # Errors
    ///
    /// If a number of the header is not finite: JSON has no word for it.
    pub fn to_json(&self) -> Result<String> {
        let ranges = self.range.iter().chain(self.view.iter().flat_map(|view| &view.range));
        let finite = ranges.flatten().all(|value| value.is_finite());
        if !finite || !self.lead_in_s.is_finite() {
            let what =
                format!("range {:?} or lead-in {} is not finite", self.range, self.lead_in_s);
            return Err(Error::usage("header", what));
        }
        let short =
            self.left_out().map(|left_out| Self { positions: vec![], left_out, ..self.clone() });
        let json = serde_json::to_string(short.as_ref().unwrap_or(self))
            .map_err(|e| Error::usage("header", e))?;
        let mut ascii = String::with_capacity(json.len());
        for character in json.chars() {
            if character.is_ascii() {
                ascii.push(character);
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    ascii.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        Ok(ascii)
    }

    /// Which chips of the route `positions` leave out, where they follow it.
    fn left_out(&self) -> Option<Vec<[u64; 2]>> {
        let scene = self.scene.as_ref().filter(|_| self.frames == Some(self.positions.len()))?;
        let mut left_out: Vec<[u64; 2]> = Vec::new();
        let mut positions = self.positions.iter().copied().peekable();
        for (number, chip) in (0..).zip(scene.walk()) {
            match (positions.next_if_eq(&chip), left_out.last_mut()) {
                (Some(_), _) if positions.peek().is_none() => return Some(left_out),
                (Some(_), _) => {}
                (None, Some([first, count])) if *first + *count == number => *count += 1,
                (None, _) => left_out.push([number, 1]),
            }
        }
        None
    }

    /// Row and column in the scene of the upper left pixel of each of `frames`
    /// frames, as the header states them or as the route of its scene runs;
    /// fewer where the scene ends before.
    pub fn places(&self, frames: usize) -> Vec<[u32; 2]> {
        let Some(scene) = self.scene.as_ref().filter(|_| self.positions.is_empty()) else {
            return self.positions.clone();
        };
        let mut walk = scene.walk();
        let mut left_out = self.left_out.iter().copied().peekable();
        let (mut places, mut number, mut followed) = (Vec::new(), 0u64, 0usize);
        while places.len() < frames {
            if let Some([_, count]) = left_out.next_if(|run| run[0] == number) {
                // A damaged header may claim runs longer than anybody can walk.
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                followed = followed.saturating_add(count);
                if followed > MOST_LEFT_OUT || (count > 0 && walk.nth(count - 1).is_none()) {
                    break;
                }
                number += count as u64;
                continue;
            }
            let Some(place) = walk.next() else { break };
            places.push(place);
            number += 1;
        }
        places
    }

    /// Reads a comment of the file at `path`; `None` if it is somebody else's.
    ///
    /// # Errors
    ///
    /// If it is ours, but damaged or of a newer format.
    pub fn parse(comment: &str, path: &Path) -> Result<Option<Self>> {
        let comment = comment.trim_end_matches('\0').trim();
        let Ok(Recognition { format, .. }) = serde_json::from_str(comment) else {
            return Ok(None);
        };
        if format > FORMAT {
            let what = format!("its header has format {format}, this build reads up to {FORMAT}");
            return Err(Error::new(Fault::Unsupported, path.display(), what)
                .hint("a newer wysiwyh reads it"));
        }
        let header = serde_json::from_str(comment)
            .map_err(|e| Error::input(path, format!("its header is damaged: {e}")))?;
        Ok(Some(header))
    }
}

/// Where samples go.
pub trait Sink: Send {
    /// Takes the next samples, full scale 1.0; of two channels, left and right
    /// in turn.
    ///
    /// # Errors
    ///
    /// If they could not be written or played.
    fn write(&mut self, samples: &[f32]) -> Result<()>;

    /// Writes or plays what is still pending.
    ///
    /// # Errors
    ///
    /// As for [`Sink::write`].
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A file that samples go to.
pub trait FileSink: Sink {
    /// Replaces the header by one that also says what is only known at the
    /// end: the number of frames, the positions of the chips.
    ///
    /// # Errors
    ///
    /// If the header does not fit the format.
    fn replace_header(&mut self, header: &Header) -> Result<()>;
}

/// The formats of audio files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RIFF WAVE, or RF64 past 4 GiB.
    Wav,
    /// FLAC.
    Flac,
}

impl Format {
    /// The format that the name of `path` ends in, if it is one of these.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "wav" | "wave" => Some(Self::Wav),
            "flac" => Some(Self::Flac),
            _ => None,
        }
    }

    /// The extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
        }
    }
}

/// A file that grows in place: what a killed process leaves can be played.
///
/// # Errors
///
/// If the file cannot be created, or another program writes it.
pub fn create(path: &Path, format: Format, header: &Header) -> Result<Box<dyn FileSink>> {
    Ok(match format {
        Format::Wav => Box::new(WavSink::create(path, header)?),
        Format::Flac => Box::new(FlacSink::create(path, header)?),
    })
}

/// Checks that a file could be written at `path`, and leaves one that is there as it
/// is.
///
/// # Errors
///
/// If it could not, or another program writes it.
pub fn check_place(path: &Path) -> Result<()> {
    let unwritable = |e| Error::output(path, e).hint("give a place that can be written");
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let file = File::options().write(true).open(path).map_err(unwritable)?;
            staging::is_ours(&file, path).map(drop)
        }
        Ok(_) => Ok(()),
        Err(_) => staging::check_place(path),
    }
}

/// A file that appears under its name when it is finished, and not before.
///
/// # Errors
///
/// If no temporary file can be created in the folder of `path`.
pub fn create_atomic(path: &Path, format: Format, header: &Header) -> Result<Box<dyn FileSink>> {
    Ok(match format {
        Format::Wav => Box::new(WavSink::create_atomic(path, header)?),
        Format::Flac => Box::new(FlacSink::create_atomic(path, header)?),
    })
}

/// An audio file that was read.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The mean over the channels, full scale 1.0. All are finite.
    pub samples: Vec<f32>,
    /// Left and right, where there are two channels.
    pub sides: Option<[Vec<f32>; 2]>,
    /// Samples per second.
    pub sample_rate: u32,
    /// Number of channels in the file.
    pub channels: usize,
    /// What the file says about itself, if we wrote it.
    pub header: Option<Header>,
}

impl Recording {
    /// Left and right at our rate, equal where there are not two channels; `None` where it is
    /// of another rate, or longer than [`decode`] has it.
    pub(crate) fn into_sides(self) -> Option<[Vec<f32>; 2]> {
        let ours = self.sample_rate as usize == SAMPLE_RATE;
        let taken = ours && self.samples.len() <= foreign::LONGEST_S * SAMPLE_RATE;
        taken.then(|| self.sides.unwrap_or_else(|| [self.samples.clone(), self.samples]))
    }
}

/// Reads the WAV or FLAC file at `path`, whatever its name.
///
/// A file that ends early, as a killed process leaves it, gives what it has.
/// Memory is bounded by a multiple of the file's true length, whatever the
/// file claims; a short FLAC file may be up to three hours of silence. WAV: PCM of
/// 16, 24 or 32 bits or 32-bit float; FLAC: any.
///
/// # Errors
///
/// If the file cannot be read, is empty, damaged or of another format, holds a
/// header of a newer version, or is long FLAC of hardly anything but silence.
pub fn read(path: &Path) -> Result<Recording> {
    let failed = |e| Error::input(path, e);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut magic = Vec::with_capacity(4);
    (&mut file).take(4).read_to_end(&mut magic).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    match magic.as_slice() {
        b"RIFF" | b"RF64" | b"BW64" => wav::read(file, length, path),
        b"fLaC" => flac::read(file, length, path),
        [] => Err(Error::input(path, "the file is empty")),
        _ => Err(Error::new(Fault::Unsupported, path.display(), "this is neither WAV nor FLAC")
            .hint("`ffmpeg -i FILE out.wav` turns most audio files into WAV")),
    }
}

/// Rounds to 16 bits, saturating.
fn quantise(sample: f32) -> i16 {
    // The cast saturates, and makes 0 of NaN.
    (f64::from(sample) * 32768.0).round() as i16
}

/// A file being written.
enum Output {
    InPlace { file: File, path: PathBuf },
    Atomic { file: NamedTempFile, path: PathBuf },
}

impl Output {
    fn in_place(path: &Path) -> Result<Self> {
        Ok(Self::InPlace { file: staging::claim(path)?, path: path.into() })
    }

    fn atomic(path: &Path) -> Result<Self> {
        let file = part_of(path, ".part").map_err(|e| Error::output(path, e))?;
        Ok(Self::Atomic { file, path: path.into() })
    }

    fn path(&self) -> &Path {
        match self {
            Self::InPlace { path, .. } | Self::Atomic { path, .. } => path,
        }
    }

    fn file(&mut self) -> &mut File {
        match self {
            Self::InPlace { file, .. } => file,
            Self::Atomic { file, .. } => file.as_file_mut(),
        }
    }

    fn error(&self, what: impl fmt::Display) -> Error {
        Error::output(self.path(), what)
    }

    /// Writes `bytes` at `offset`. A failed write can be repeated.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let file = self.file();
        let written = file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(bytes));
        written.map_err(|e| self.error(e))
    }

    /// Gives the file its name.
    fn finish(self) -> Result<()> {
        match self {
            Self::InPlace { .. } => Ok(()),
            Self::Atomic { file, path } => match file.persist(&path) {
                Ok(_) => Ok(()),
                Err(e) => Err(Error::output(path, e.error)),
            },
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.path()).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sensor::Route;
    use crate::spectrum::Preset;

    pub(crate) fn header() -> Header {
        Header {
            format: FORMAT,
            version: "0.1.0".into(),
            command: Some("wysiwyh live simulated:1 -o 'a b.wav'".into()),
            model: "test".into(),
            model_hash: "00ff".into(),
            view: None,
            profile: "simulated-lwir".into(),
            mapping: Mapping::preset(Preset::Data, [60.0, 5000.0]),
            original: false,
            stereo: false,
            polarity: Polarity::HotLoud,
            range: vec![[18.1, 36.3]],
            seed: 7,
            lead_in_s: 0.1,
            speed: Speed::default(),
            frames: None,
            area: Area { row: 1, column: 0, rows: 62, columns: 64 },
            source: "Wärme \u{1f525} \"quoted\"\nroom.tif".into(),
            start_time: None,
            scene: None,
            positions: Vec::new(),
            left_out: vec![],
        }
    }

    #[test]
    fn a_header_survives_ascii() {
        let json = header().to_json().unwrap();
        assert!(json.is_ascii() && !json.contains('\n'), "{json}");
        assert_eq!(Header::parse(&json, Path::new("x")).unwrap(), Some(header()));
    }

    #[test]
    fn unknown_fields_are_ignored_and_optional_ones_may_miss() {
        let json = header().to_json().unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let fields = value.as_object_mut().unwrap();
        fields.insert("of_the_future".into(), 1.into());
        for optional in ["version", "command", "polarity", "source"] {
            assert!(fields.remove(optional).is_some());
        }
        let read = Header::parse(&value.to_string(), Path::new("x")).unwrap().unwrap();
        let (version, source) = (String::new(), String::new());
        let expected = Header { version, command: None, source, ..header() };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_newer_format_is_refused_by_number() {
        let newer = Header { format: FORMAT + 1, ..header() }.to_json().unwrap();
        let error = Header::parse(&newer, Path::new("x.wav")).unwrap_err();
        assert_eq!(error.fault, Fault::Unsupported);
        assert!(error.to_string().contains("format 2"), "{error}");
    }

    #[test]
    fn comments_of_others_are_no_headers() {
        for comment in ["", "recorded on a hill", "{}", "{\"format\": 3}", "[1]"] {
            assert_eq!(Header::parse(comment, Path::new("x")).unwrap(), None, "{comment}");
        }
    }

    #[test]
    fn rounding_is_plain_and_saturates() {
        let quantised = [0.0, 0.6, -0.6, 32767.4, 32767.6, -32768.4, -40000.0, f32::NAN]
            .map(|value| quantise(value / 32768.0));
        assert_eq!(quantised, [0, 1, -1, 32767, 32767, -32768, -32768, 0]);
    }

    #[test]
    fn chips_are_found_along_the_route() {
        for route in [Route::Winding, Route::Hilbert, Route::Sweep] {
            let scene = Scene::new([10980, 9000], 64, route);
            let gap = |number: &usize| matches!(number, 0..=2 | 70 | 1000..=4000 | 20_000..);
            let walk = scene.walk().enumerate().filter(|(number, _)| !gap(number));
            let positions: Vec<[u32; 2]> = walk.map(|(_, place)| place).collect();
            let frames = Some(positions.len());
            let long = Header { scene: Some(scene), frames, positions, ..header() };
            let json = long.to_json().unwrap();
            assert!(json.len() < 3000, "{route}: {} bytes", json.len());
            let short = Header::parse(&json, Path::new("a.wav")).unwrap().unwrap();
            assert_eq!(short.left_out, [[0, 3], [70, 1], [1000, 3001]]);
            assert_eq!(short.places(long.positions.len()), long.positions);
            // As written by versions that knew no route.
            let stated = Header { left_out: vec![], ..long.clone() };
            assert_eq!(stated.places(7), long.positions);
        }
    }

    #[test]
    fn places_that_nobody_can_walk_to_are_not_found() {
        let route = Route::Hilbert;
        let side = usize::MAX;
        let scene = Scene::new([side, side], 1, route);
        let left_out = vec![[1, u64::MAX]];
        let hostile = Header { scene: Some(scene), left_out, ..header() };
        assert_eq!(hostile.places(5).len(), 1);
        assert_eq!(Header { left_out: vec![], ..hostile }.places(5).len(), 5);
        let small = Scene::new([2, 2], 1, route);
        let scattered = vec![[9, 9]];
        let header = Header { scene: Some(small), positions: scattered.clone(), ..header() };
        assert_eq!(header.left_out(), None);
        let header = Header { frames: Some(1), ..header };
        assert!(header.to_json().unwrap().contains("[[9,9]]"));
        assert_eq!(header.places(1), scattered);
    }
}
