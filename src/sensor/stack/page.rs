//! How the numbers of a page lie in its file.

use std::fs::File;
use std::io::BufReader;

use tiff::decoder::{ChunkType, Decoder};
use tiff::tags::Tag;
use tiff::{ColorType, TiffResult};

use super::guard;
use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Unit};
use crate::sensor::markup::{elements, plain};
use crate::sensor::{check_size, colours, count};

/// How pages may be compressed: not at all, as faxes, by LZW, JPEG, deflate
/// under its new and its old number, or PackBits.
const COMPRESSIONS: [u16; 7] = [1, 4, 5, 7, 8, 32946, 32773];

/// Pages, and where they stand among the directories of their file, from 0.
pub(super) type Pages = Vec<(usize, Page)>;

/// How the numbers of a page lie in its file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Page {
    pub rows: usize,
    pub columns: usize,
    /// Numbers per pixel, alpha included.
    pub samples: usize,
    /// Which of them says that a pixel is transparent.
    pub alpha: Option<usize>,
    /// Whether one band follows the other, instead of one pixel the other.
    planar: bool,
    /// Whether the first three samples are red, green and blue.
    colour: bool,
    /// The largest number of their type; `None` of floats.
    pub full_scale: Option<f64>,
}

impl Page {
    /// Describes the page that `decoder` stands at, in `directory` of the
    /// file, and refuses those that would decode wrongly.
    pub fn read(
        decoder: &mut Decoder<BufReader<File>>,
        path: &str,
        directory: usize,
    ) -> Result<Self> {
        let (page, colour_type, white_is_zero, compression) = guard(path, directory, || {
            let (columns, rows) = decoder.dimensions()?;
            let number = |tag: u32| usize::try_from(tag).unwrap_or(usize::MAX);
            let colour_type = decoder.colortype()?;
            let samples = decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel)?.unwrap_or(1);
            let samples = usize::from(samples);
            let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration)? == Some(2);
            let extra =
                decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?.unwrap_or_default();
            let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)?;
            // ExtraSamples describes the last samples; 1 and 2 are alpha. A single
            // one is what there is to see, whatever is said of it.
            let alpha = extra.iter().position(|&kind| kind == 1 || kind == 2);
            let alpha = alpha.filter(|_| samples > 1);
            let alpha = alpha.map(|at| (samples + at).saturating_sub(extra.len()));
            let colour = matches!(colour_type, ColorType::RGB(_) | ColorType::RGBA(_));
            let (rows, columns) = (number(rows), number(columns));
            let format = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?;
            let bits = i32::from(colour_type.bit_depth());
            let full_scale = match format.unwrap_or_default().first() {
                Some(3) => None,
                Some(2) => Some(2f64.powi(bits - 1) - 1.0),
                _ => Some(2f64.powi(bits) - 1.0),
            };
            let page = Self { rows, columns, samples, alpha, planar, colour, full_scale };
            let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression)?.unwrap_or(1);
            Ok((page, colour_type, photometric == Some(0), compression))
        })?;
        let refuse = |what: String| {
            let what = format!("page {} {what}", directory + 1);
            Err(Error::new(Fault::Unsupported, path, what)
                .hint("`gdal_translate` turns it into a plain TIFF file"))
        };
        let (given, taken) = (page.samples, usize::from(colour_type.num_samples()));
        match colour_type {
            ColorType::CMYK(_) | ColorType::CMYKA(_) | ColorType::YCbCr(_) | ColorType::Lab(_) => {
                return refuse(format!("holds colours of the kind {colour_type:?}"));
            }
            _ if !matches!(colour_type.bit_depth(), 8 | 16 | 32 | 64) => {
                return refuse(format!("stores {} bits per number", colour_type.bit_depth()));
            }
            _ if given != taken => {
                return refuse(format!("has {given} bands, but would decode to {taken} colours"));
            }
            _ if page.planar && decoder.get_chunk_type() == ChunkType::Tile => {
                return refuse("keeps its bands apart in tiles".to_string());
            }
            _ if !COMPRESSIONS.contains(&compression) => {
                return refuse(format!("is compressed by method {compression}")).map_err(|e| {
                    e.hint("another program has to decompress it first, such as tifffile")
                });
            }
            _ if white_is_zero => return refuse("is a negative: 0 is white".to_string()),
            _ => {}
        }
        let bytes = page.rows.saturating_mul(page.columns).saturating_mul(page.samples * 4);
        let (number, bands) = (directory + 1, count(page.samples, "band"));
        let size = format_args!("{} x {} pixels and {bands}", page.columns, page.rows);
        check_size(path, bytes, format_args!("page {number} of {size} takes"))?;
        Ok(page)
    }

    /// All pages of the size of this, the first one of the file, with their
    /// directories, and what is wrong with the first page that is unreadable.
    pub fn alike(
        self,
        decoder: &mut Decoder<BufReader<File>>,
        path: &str,
    ) -> Result<(Pages, Option<Error>)> {
        let mut pages = vec![(0, self)];
        for directory in 1.. {
            if !decoder.more_images() {
                break;
            }
            let role = guard(path, directory, || {
                decoder.next_image()?;
                role(decoder)
            });
            let page = match role {
                Ok(Role::Reduced) => continue,
                Ok(Role::Mask) => {
                    let what = format!("page {} masks another one", directory + 1);
                    return Err(Error::new(Fault::Unsupported, path, what)
                        .hint("a build with the feature `gdal` honours it"));
                }
                Ok(Role::Picture) => Page::read(decoder, path, directory),
                Err(error) => Err(error),
            };
            match page {
                Ok(page) if page.size() == self.size() => pages.push((directory, page)),
                Ok(page) => {
                    let (size, first) = (page.size(), self.size());
                    let what = format!("page {} is {size}, but page 1 is {first}", directory + 1);
                    return Err(Error::input(path, what)
                        .hint("all pages of a sequence need the same size and bands"));
                }
                Err(error) => return Ok((pages, Some(error))),
            }
        }
        Ok((pages, None))
    }

    fn size(&self) -> String {
        let bands = count(self.samples - usize::from(self.alpha.is_some()), "band");
        format!("{} x {} pixels of {bands}", self.columns, self.rows)
    }

    /// Where the number of `sample` at (`row`, `column`) lies.
    pub fn position(&self, sample: usize, row: usize, column: usize) -> usize {
        if self.planar {
            (sample * self.rows + row) * self.columns + column
        } else {
            (row * self.columns + column) * self.samples + sample
        }
    }

    /// The sample that holds `band`.
    pub fn sample(&self, band: usize) -> usize {
        band + usize::from(self.alpha.is_some_and(|alpha| alpha <= band))
    }

    /// The bands of the frame, as the metadata that GDAL wrote describes them.
    pub fn bands(&self, metadata: &str) -> Vec<Band> {
        let number = self.samples - usize::from(self.alpha.is_some());
        let mut bands: Vec<Band> = if self.colour {
            colours()
        } else {
            (1..=number).map(|band| Band::new(band.to_string(), Unit::Counts)).collect()
        };
        for item in elements(metadata, "Item") {
            let sample: Option<usize> =
                item.attribute("sample").and_then(|sample| sample.parse().ok());
            let (Some(sample), Some(role)) = (sample, item.attribute("role")) else { continue };
            let value = item.content;
            let at = |band: &usize| self.sample(*band) == sample;
            let Some(band) = (0..bands.len()).find(at).map(|band| &mut bands[band]) else {
                continue;
            };
            let number = value.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            match (role, number) {
                ("scale", Some(scale)) if scale != 0.0 => band.scale = scale,
                ("offset", Some(offset)) => band.offset = offset,
                ("description", _) if !value.is_empty() => band.name = plain(value),
                _ => {}
            }
        }
        bands
    }
}

/// What a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Picture,
    /// A reduced copy of another page, or of its mask.
    Reduced,
    /// It says which pixels of another page have a reading.
    Mask,
}

/// The role of the page that `decoder` stands at, by bits 0 and 2 of
/// NewSubfileType.
pub(super) fn role(decoder: &mut Decoder<BufReader<File>>) -> TiffResult<Role> {
    let bits = decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType)?.unwrap_or(0);
    Ok(match (bits & 1 != 0, bits & 4 != 0) {
        (true, _) => Role::Reduced,
        (false, true) => Role::Mask,
        (false, false) => Role::Picture,
    })
}
