//! What the segments of a JPEG file say before its pixels begin.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::error::{Error, Result};

const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];
const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP3: u8 = 0xe3;

/// FLIR's records have no more pieces than their numbers, of a byte, can tell
/// apart.
const MOST_PIECES: usize = 256;

/// What to do where pieces are missing, or too many.
const DAMAGED: &str = "the file is cut short or damaged: fetch it again from the camera";

/// How a piece of FLIR's records begins.
const FLIR: &[u8] = b"FLIR\0";

/// Whose temperatures lie beside the pixels of a JPEG file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thermal {
    /// FLIR's records, in segments APP1; DJI's cameras with a FLIR core, such
    /// as the XT2, write them too.
    Flir,
    /// DJI's own format, in APP3 to APP5: H20T, M30T, M3T and others.
    Dji,
    /// InfiRay's format, in APP2 to APP9.
    InfiRay,
}

impl Thermal {
    /// Looks into the file at `path`; none where it is no JPEG file, or holds
    /// no temperatures that are known here. What lies in front of damage
    /// counts.
    pub fn of(path: &Path) -> Option<Self> {
        let mut file = BufReader::new(File::open(path).ok()?);
        let (mut found, mut made_by_dji, mut app3) = (None, false, false);
        let walked = segments(&mut file, |marker, payload| match marker {
            APP1 if payload.starts_with(FLIR) => found = Some(Self::Flir),
            APP1 if payload.starts_with(b"Exif") => {
                made_by_dji |= payload.windows(4).any(|text| text == b"DJI\0");
            }
            APP2 if payload.get(4..9) == Some(b"IJPEG") => {
                found = found.or(Some(Self::InfiRay));
            }
            APP3 => app3 = true,
            _ => {}
        });
        drop(walked);
        found.or((made_by_dji && app3).then_some(Self::Dji))
    }
}

/// Whether the JPEG file at `path` ends before its pixels do; false where it
/// is no JPEG file, or cannot be followed. Within pixels, the byte FF is never
/// followed by D9.
pub fn is_cut_short(path: &Path) -> Result<bool> {
    let mut file = BufReader::new(File::open(path).map_err(|e| Error::input(path, e))?);
    if !segments(&mut file, |_, _| {}).unwrap_or(false) {
        return Ok(false);
    }
    let mut before = 0;
    for byte in file.bytes() {
        let byte = byte.map_err(|e| Error::input(path, e))?;
        if [before, byte] == [0xff, END_OF_IMAGE] {
            return Ok(false);
        }
        before = byte;
    }
    Ok(true)
}

/// FLIR's records in the JPEG file at `path`, put together from their pieces.
///
/// A piece is `FLIR`, two bytes that are 0 and 1, its number from 0, the last
/// number, and up to 64 KiB of data (ExifTool, lib/Image/ExifTool.pm). Some
/// programs leave the numbers 0; then the order in the file counts.
///
/// # Errors
///
/// If the file cannot be read, pieces are missing or come twice, or there are
/// more than 256.
pub fn flir_records(path: &Path) -> Result<Vec<u8>> {
    let mut file = BufReader::new(File::open(path).map_err(|e| Error::input(path, e))?);
    let mut pieces: Vec<(u8, u8, Vec<u8>)> = Vec::new();
    let walked = segments(&mut file, |marker, payload| {
        if marker == APP1
            && payload.starts_with(FLIR)
            && pieces.len() <= MOST_PIECES
            && let [_, _, _, _, _, _, number, last, data @ ..] = payload
        {
            pieces.push((*number, *last, data.to_vec()));
        }
    });
    if pieces.len() > MOST_PIECES {
        let what = format!("its temperatures are in more than {MOST_PIECES} pieces");
        return Err(Error::input(path, what).hint(DAMAGED));
    }
    let last = pieces.first().map_or(0, |piece| piece.1);
    let unnumbered = pieces.iter().all(|&(number, last, _)| number == 0 && last == 0);
    if !unnumbered {
        pieces.sort_by_key(|piece| piece.0);
        let expected = usize::from(last) + 1;
        let whole = pieces.len() == expected
            && pieces.iter().enumerate().all(|(at, piece)| usize::from(piece.0) == at);
        if !whole {
            let what = format!("its temperatures are in {} of {expected} pieces", pieces.len());
            return Err(Error::input(path, what).hint(DAMAGED));
        }
    } else if pieces.is_empty()
        && let Err(error) = walked
    {
        return Err(Error::input(path, error));
    }
    Ok(pieces.into_iter().flat_map(|piece| piece.2).collect())
}

/// Shows each segment in front of the pixels to `visit`, by its marker and
/// what it holds; true once the pixels begin, false where the file is no
/// JPEG file or departs from its form.
fn segments(file: &mut impl BufRead, mut visit: impl FnMut(u8, &[u8])) -> io::Result<bool> {
    let mut start = [0; 2];
    file.read_exact(&mut start)?;
    if start != START_OF_IMAGE {
        return Ok(false);
    }
    loop {
        let mut head = [0; 4];
        file.read_exact(&mut head)?;
        let [0xff, marker, high, low] = head else { return Ok(false) };
        if marker == START_OF_SCAN {
            return Ok(true);
        }
        let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low])).saturating_sub(2)];
        file.read_exact(&mut payload)?;
        visit(marker, &payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG file of FLIR's `pieces`: number, last number and data.
    fn file(pieces: impl Iterator<Item = (u8, u8, Vec<u8>)>) -> Vec<u8> {
        let mut bytes = START_OF_IMAGE.to_vec();
        for (number, last, data) in pieces {
            let payload = [FLIR, &[1, number, last], &data].concat();
            bytes.extend([0xff, APP1]);
            bytes.extend((payload.len() as u16 + 2).to_be_bytes());
            bytes.extend(payload);
        }
        bytes.extend([0xff, START_OF_SCAN, 0, 2]);
        bytes
    }

    #[test]
    fn pieces_are_put_together_and_there_are_no_more_than_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let read = |pieces: &mut dyn Iterator<Item = (u8, u8, Vec<u8>)>| {
            std::fs::write(&path, file(pieces)).unwrap();
            flir_records(&path)
        };
        let ordered: Vec<u8> = (0..=255).collect();
        let numbered = read(&mut (0..=255).rev().map(|number| (number, 255, vec![number])));
        assert_eq!(numbered.unwrap(), ordered);
        let unnumbered = read(&mut (0..=255).map(|data| (0, 0, vec![data])));
        assert_eq!(unnumbered.unwrap(), ordered);
        for last in [0, 255] {
            let error = read(&mut (0..300u16).map(|n| (n as u8, last, vec![0; 9]))).unwrap_err();
            assert!(error.to_string().ends_with("in more than 256 pieces"), "{error}");
        }
        let error = read(&mut [(0, 2, vec![1]), (2, 2, vec![3])].into_iter()).unwrap_err();
        assert!(error.to_string().ends_with("in 2 of 3 pieces"), "{error}");
        assert!(error.advice().is_some());
    }
}
