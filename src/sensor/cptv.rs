//! CPTV files: recordings of thermal cameras that wait for animals, by the
//! Cacophony Project.
//!
//! The format is that of version 2 of github.com/TheCacophonyProject/go-cptv:
//! a gzip stream of sections, each of them a letter, the number of its fields,
//! and fields of length, key and data. A frame is stored as its change since
//! the frame before, and that change as steps from pixel to pixel along rows
//! that turn at their ends.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ndarray::Array3;

use super::folder::settle;
use super::{Sensor, Source};
use crate::error::{Error, Fault, Result};
use crate::frame::Frame;
use crate::profile::Profile;

const VERSION: u8 = 2;
/// Frames a second where the file does not say: those of a FLIR Lepton 3.
const RATE: u8 = 9;
/// The largest picture; a few bytes of gzip could ask for any.
const PIXELS: u64 = 1 << 24;

type Stream = MultiGzDecoder<BufReader<File>>;

/// The frames of a CPTV file, as counts, at the times of the camera's clock.
/// Pictures of the mere background, which newer recordings begin with, are
/// left out.
#[derive(Debug)]
pub struct Cptv {
    path: PathBuf,
    profile: Option<Profile>,
    source: Source,
    stream: Stream,
    /// The counts of the latest frame, row after row.
    counts: Vec<i32>,
    /// A frame that was read when the file was opened.
    ready: Option<Frame>,
    first_ms: Option<u32>,
    delivered: usize,
    ended: bool,
}

impl Cptv {
    /// Opens the file at `path` and reads its first frame.
    ///
    /// # Errors
    ///
    /// If it is no CPTV file of version 2, damaged, without a frame, or
    /// `profile` lists another number of bands than one.
    pub fn open(path: impl AsRef<Path>, profile: Option<&Profile>) -> Result<Self> {
        let path = path.as_ref();
        let damaged = |error: io::Error| Error::input(path, format!("has a damaged head: {error}"));
        let mut stream = stream(path).map_err(|e| Error::input(path, e))?;
        let [_, _, _, _, version, section] = array(&mut stream).map_err(damaged)?;
        if version != VERSION {
            let what = format!("is of version {version}, and only {VERSION} is read");
            return Err(Error::new(Fault::Unsupported, path.display(), what));
        }
        let head = Fields::read(&mut stream).map_err(damaged)?;
        let (columns, rows) = (head.number(b'X').unwrap_or(0), head.number(b'Y').unwrap_or(0));
        let pixels = u64::from(columns) * u64::from(rows);
        if section != b'H' || !(1..=PIXELS).contains(&pixels) {
            let what = format!("has a damaged head: {columns} x {rows} pixels");
            return Err(Error::input(path, what));
        }
        if head.number(b'C').is_some_and(|compression| compression != 1) {
            let what = "is compressed in a way that is not read here";
            return Err(Error::new(Fault::Unsupported, path.display(), what));
        }
        let rate = head.number(b'Z').filter(|&rate| rate > 0).unwrap_or(RATE.into());
        let mut cptv = Self {
            path: path.to_owned(),
            profile: profile.cloned(),
            source: Source {
                driver: Some("CPTV".to_owned()),
                model: head.text(b'E'),
                rows: rows as usize,
                columns: columns as usize,
                period_s: Some(1.0 / f64::from(rate)),
                ..Source::of(format!(
                    "{}: CPTV, {}, {columns} x {rows} pixels, {rate} frames a second",
                    path.display(),
                    head.text(b'E').unwrap_or("camera unnamed".to_owned()),
                ))
            },
            stream,
            counts: Vec::new(),
            ready: None,
            first_ms: None,
            delivered: 0,
            ended: false,
        };
        let frame = cptv.read().unwrap_or_else(|| Err(Error::input(path, "holds no frame")))?;
        cptv.source.bands = frame.bands.clone();
        cptv.ready = Some(frame);
        Ok(cptv)
    }

    /// The next frame; none at the end.
    fn read(&mut self) -> Option<Result<Frame>> {
        let fields = match self.step() {
            Ok(fields) => fields?,
            Err(error) => {
                let what = format!(
                    "ended after {}: the next one is cut short or damaged ({error})",
                    super::count(self.delivered, "frame")
                );
                return Some(Err(Error::input(&self.path, what)));
            }
        };
        let (rows, columns) = (self.source.rows, self.source.columns);
        let data = Array3::from_shape_fn((1, rows, columns), |(_, row, column)| {
            self.counts[row * columns + column] as f32
        });
        let path = self.path.to_string_lossy();
        let frame = settle(&path, data, Some(u16::MAX.into()), self.profile.as_ref());
        Some(frame.map(|mut frame| {
            let period_s = self.source.period_s.unwrap_or(0.0);
            frame.time_s = match (fields.number(b't'), self.first_ms) {
                (Some(now), Some(first)) => f64::from(now.saturating_sub(first)) / 1000.0,
                (now, _) => {
                    self.first_ms = self.first_ms.or(now);
                    self.delivered as f64 * period_s
                }
            };
            frame
        }))
    }

    /// Brings the counts to the next frame that is no background; the fields
    /// of that frame, or none at the end.
    fn step(&mut self) -> io::Result<Option<Fields>> {
        loop {
            let mut section = [0];
            if self.stream.read(&mut section)? == 0 {
                return Ok(None);
            }
            let fields = Fields::read(&mut self.stream)?;
            let (Some(bytes), Some(width @ 1..=32), b'F') =
                (fields.number(b'f'), fields.number(b'w'), section[0])
            else {
                return Err(damage("no frame"));
            };
            let (rows, columns) = (self.source.rows, self.source.columns);
            // The first pixel takes 32 bits, each of the others `width`.
            let needed = 4 + ((rows * columns - 1) * width as usize).div_ceil(8);
            if (bytes as usize) < needed {
                return Err(damage(&format!("{bytes} of {needed} bytes")));
            }
            let mut packed = vec![0; needed];
            self.stream.read_exact(&mut packed)?;
            io::copy(
                &mut (&mut self.stream).take(u64::from(bytes) - needed as u64),
                &mut io::sink(),
            )?;
            self.counts.resize(rows * columns, 0);
            add(&mut self.counts, columns, &packed, width)
                .ok_or_else(|| damage("counts outside 0..65535"))?;
            if fields.number(b'g').is_none_or(|background| background == 0) {
                return Ok(Some(fields));
            }
        }
    }
}

impl Iterator for Cptv {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let frame = self.ready.take().map(Ok).or_else(|| self.read());
        self.delivered += 1;
        self.ended = !matches!(frame, Some(Ok(_)));
        frame
    }
}

impl Sensor for Cptv {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// Adds the change in `packed` to `counts`: the first pixel's as 32 bits, then
/// steps of `width` bits from pixel to pixel, every second row backwards. None
/// where a count leaves 16 bits, or `packed` ends early.
fn add(counts: &mut [i32], columns: usize, packed: &[u8], width: u32) -> Option<()> {
    let (first, steps) = packed.split_first_chunk::<4>()?;
    let mut change = i32::from_le_bytes(*first);
    let mut steps = steps.iter();
    let (mut bits, mut held) = (0u64, 0);
    for pixel in 0..counts.len() {
        if pixel > 0 {
            while held < width {
                bits = bits << 8 | u64::from(*steps.next()?);
                held += 8;
            }
            held -= width;
            // Two's complement: the highest of the bits is the sign.
            let step = (bits >> held << (64 - width)).cast_signed() >> (64 - width);
            change = change.wrapping_add(step as i32);
        }
        let (row, column) = (pixel / columns, pixel % columns);
        let column = if row % 2 == 1 { columns - 1 - column } else { column };
        let count = counts.get_mut(row * columns + column)?;
        *count = count.checked_add(change).filter(|count| (0..=0xffff).contains(count))?;
    }
    Some(())
}

fn damage(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Whether the file at `path` is a CPTV file.
pub(super) fn is_one(path: &Path) -> bool {
    let magic = stream(path).and_then(|mut stream| array(&mut stream));
    magic.is_ok_and(|magic| &magic == b"CPTV")
}

fn stream(path: &Path) -> io::Result<Stream> {
    Ok(MultiGzDecoder::new(BufReader::new(File::open(path)?)))
}

fn array<const N: usize>(stream: &mut Stream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The fields of a section, each with its key.
#[derive(Debug)]
struct Fields(Vec<(u8, Vec<u8>)>);

impl Fields {
    fn read(stream: &mut Stream) -> io::Result<Self> {
        let [fields] = array(stream)?;
        let field = |_| {
            let [length, key] = array(stream)?;
            let mut data = vec![0; length.into()];
            stream.read_exact(&mut data)?;
            Ok((key, data))
        };
        (0..fields).map(field).collect::<io::Result<_>>().map(Self)
    }

    fn get(&self, key: u8) -> Option<&[u8]> {
        self.0.iter().find(|field| field.0 == key).map(|field| &field.1[..])
    }

    /// A number of 1 or 4 bytes.
    fn number(&self, key: u8) -> Option<u32> {
        match *self.get(key)? {
            [byte] => Some(byte.into()),
            [a, b, c, d] => Some(u32::from_le_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// Text; what could steer a terminal is left out.
    fn text(&self, key: u8) -> Option<String> {
        let letters = self.get(key)?.iter().map(|&byte| char::from(byte));
        Some(letters.filter(|c| c.is_ascii_graphic() || *c == ' ').collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_turn_at_the_ends_of_rows() {
        // 10, then steps of 3 bits: +1 +2, -1 -4 +3, padded to two bytes.
        let packed = [10, 0, 0, 0, 0b0010_1011, 0b1100_0110];
        let mut counts = vec![100; 6];
        add(&mut counts, 3, &packed, 3).unwrap();
        assert_eq!(counts, [110, 111, 113, 111, 108, 112]);
        assert_eq!(add(&mut counts, 3, &packed[..5], 3), None);
        assert_eq!(add(&mut [65_530; 6], 3, &packed, 3), None);
    }
}
