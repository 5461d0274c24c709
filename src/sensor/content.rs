//! What a file is.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::cptv;
use super::jpeg::Thermal;
use crate::error::{Error, Result};
use crate::recorder::MAGIC as RRD;

/// How many bytes are looked at: one packet of a transport stream and the next one's
/// first byte, or as far as a tar file's name of its own format.
const HEAD: u64 = 262;

/// Whether `head` begins with `word`, in letters of either case.
fn begins(head: &[u8], word: &[u8]) -> bool {
    head.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Cptv,
    Flir,
    Picture,
    Tiff,
    Video,
    Sound,
    Session,
    Archive,
    Other,
}

impl Content {
    /// Looks into the file at `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is empty, or is a pipe or a device.
    pub fn of(path: &Path) -> Result<Self> {
        // Opening a pipe would wait for somebody to write.
        if !std::fs::metadata(path).map_err(|e| Error::input(path, e))?.is_file() {
            return Err(Error::input(path, "is neither a file nor a folder")
                .hint("raw pixels from a pipe are read with --raw FORMAT SIZE@RATE"));
        }
        let mut head = Vec::new();
        File::open(path)
            .and_then(|file| file.take(HEAD).read_to_end(&mut head))
            .map_err(|e| Error::input(path, e))?;
        if head.is_empty() {
            return Err(Error::input(path, "is empty (0 bytes)"));
        }
        if head.starts_with(b"version https://git-lfs") {
            return Err(Error::input(path, "is a pointer of Git LFS, not the file itself")
                .hint("`git lfs pull` fetches it"));
        }
        if [&b"<!doctype html"[..], b"<html"].iter().any(|page| begins(&head, page)) {
            return Err(Error::input(path, "is a web page, not a picture")
                .hint("the server answered with an error: fetch the file again"));
        }
        Ok(match Self::of_bytes(&head) {
            Self::Archive if cptv::is_one(path) => Self::Cptv,
            Self::Picture if Thermal::of(path) == Some(Thermal::Flir) => Self::Flir,
            content => content,
        })
    }

    /// What to do with a file of it that is no raster either.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Archive => {
                "unpack it, or name a file in it, as /vsizip/A.zip/FILE or /vsitar/A.tar.gz/FILE, \
                 or what gzip has packed as /vsigzip/A.tif.gz"
            }
            _ => {
                "pictures, rasters and videos are read, by what they are; pixels without a header \
                 with --raw FORMAT SIZE@RATE"
            }
        }
    }

    fn of_bytes(head: &[u8]) -> Self {
        const TIFFS: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
        const PICTURES: [&[u8]; 2] = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"];
        // Matroska and WebM, MPEG program and elementary streams, Ogg, FLV,
        // ASF, GIF, YUV4MPEG2, NUT, IVF, MXF.
        const VIDEOS: [&[u8]; 11] = [
            b"\x1a\x45\xdf\xa3",
            b"\0\0\x01\xba",
            b"\0\0\x01\xb3",
            b"OggS",
            b"FLV\x01",
            b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
            b"GIF8",
            b"YUV4MPEG2",
            b"nut/multimedia container",
            b"DKIF",
            b"\x06\x0e\x2b\x34\x02\x05\x01\x01",
        ];
        // ZIP, gzip, bzip2, XZ, Zstandard, 7z, RAR.
        const ARCHIVES: [&[u8]; 7] = [
            b"PK\x03\x04",
            b"\x1f\x8b",
            b"BZh",
            b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd",
            b"7z\xbc\xaf\x27\x1c",
            b"Rar!",
        ];
        // The first box of MP4 and QuickTime files.
        const BOXES: [&[u8]; 6] = [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"];
        let is = |magics: &[&[u8]]| magics.iter().any(|magic| head.starts_with(magic));
        let at = |start: usize, length: usize| head.get(start..start + length).unwrap_or_default();
        let pnm = matches!(head, [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace());
        // A bitmap's reserved bytes are 0, and its header has 12 to 124 bytes.
        let bmp = head.starts_with(b"BM")
            && at(6, 4) == [0; 4]
            && matches!(head.get(14), Some(12..=124))
            && at(15, 3) == [0; 3];
        // Files of ISO media that hold one still picture are left to GDAL.
        let still = [b"avif", b"heic", b"heix", b"mif1", b"jp2 "].iter().any(|b| at(8, 4) == *b);
        // Packets of 188 bytes begin alike; the letter G alone begins GRIB, too.
        let transport = head.first() == Some(&0x47) && head.get(188) == Some(&0x47);
        if is(&[b"FFF\0", b"AFF\0"]) {
            Self::Flir
        } else if is(&TIFFS) {
            Self::Tiff
        } else if is(&PICTURES) || pnm || bmp || (is(&[b"RIFF"]) && at(8, 4) == b"WEBP") {
            Self::Picture
        } else if is(&VIDEOS)
            || (BOXES.contains(&at(4, 4)) && !still)
            || (is(&[b"RIFF"]) && at(8, 4) == b"AVI ")
            || transport
        {
            Self::Video
        } else if is(&[&RRD]) {
            Self::Session
        } else if is(&[b"fLaC"]) || (is(&[b"RIFF", b"RF64"]) && at(8, 4) == b"WAVE") {
            Self::Sound
        } else if is(&ARCHIVES) || at(257, 5) == b"ustar" {
            Self::Archive
        } else {
            Self::Other
        }
    }
}
