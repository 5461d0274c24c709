//! Plain TIFF files, read without GDAL: pages as a sequence of frames, or one
//! picture of any number of bands.
//!
//! The crate that decodes them drops bands of some files without a word and
//! panics on others; both kinds are recognised by their tags and refused.

mod page;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use ndarray::Array3;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{TiffError, TiffResult};

use self::page::{Page, Pages, Role, role};
use super::{BEYOND, LIMIT, Sensor, Source, count, heat, reconcile};
use crate::error::{Error, Fault, Result, caught};
use crate::frame::{Band, Frame};
use crate::profile::Profile;
use crate::synth::SLOT_S;

/// The tag in which GDAL keeps scale, offset and description of each band.
const GDAL_METADATA: Tag = Tag::Unknown(42112);

/// A TIFF file as a sequence of frames, one per page, decoded one by one.
///
/// Reduced copies of a page are skipped. Scale, offset and the number that
/// marks missing readings are those of the first page.
#[derive(Debug)]
pub struct Stack {
    decoder: Decoder<BufReader<File>>,
    path: String,
    source: Source,
    nodata: Option<f64>,
    /// Whose temperatures whole numbers are taken for, as the file does not say what they
    /// are.
    heat: Option<Profile>,
    /// The pages, alike in size, and where they stand among the directories of the
    /// file.
    pages: Pages,
    delivered: usize,
    /// What follows the last readable page of a damaged file.
    damage: Option<Error>,
}

impl Stack {
    /// Opens the TIFF at `path` and looks at every page without decoding it.
    ///
    /// # Errors
    ///
    /// If the file is missing, damaged before the end of its first page, of a
    /// kind that cannot be read here (a mask page included), above 1 GiB per
    /// decoded page, or has pages that differ in size or number of bands, or
    /// another number of bands than `profile`.
    pub fn open(path: impl AsRef<Path>, profile: Option<&Profile>) -> Result<Self> {
        let path = path.as_ref().to_string_lossy().into_owned();
        let mut decoder = decoder(&path)?;
        let page = Page::read(&mut decoder, &path, 0)?;
        let stated = guard(&path, 0, || {
            let metadata = decoder.find_tag(GDAL_METADATA)?;
            let nodata = decoder.find_tag(Tag::GdalNodata)?;
            let text = |value: Option<tiff::decoder::ifd::Value>| {
                value.and_then(|v| v.into_string().ok()).unwrap_or_default()
            };
            Ok((text(metadata), text(nodata)))
        })?;
        let found = page.bands(&stated.0);
        let silent = found.iter().all(|band| (band.scale, band.offset) == (1.0, 0.0));
        let mut bands = reconcile(&path, found, profile)?;
        if silent && page.full_scale.is_none() {
            bands = heat::floats(&bands);
        }
        let (pages, damage) = page.alike(&mut decoder, &path)?;
        let what = match pages.len() {
            1 => count(bands.len(), "band"),
            pages => format!("{pages} pages of {}", count(bands.len(), "band")),
        };
        let source = Source {
            bands,
            rows: page.rows,
            columns: page.columns,
            frames: damage.is_none().then_some(pages.len()),
            ..Source::of(format!("{path}: TIFF, {what}, {} x {} pixels", page.columns, page.rows))
        };
        let nodata = stated.1.trim_matches([' ', '\0']).parse().ok();
        let heat = profile.filter(|_| silent).cloned();
        Ok(Self { decoder, path, source, nodata, heat, pages, delivered: 0, damage })
    }

    /// Decodes `page`, which stands in `directory` of the file.
    fn read(&mut self, directory: usize, page: Page) -> Result<Frame> {
        let buffer = guard(&self.path, directory, || {
            self.decoder.seek_to_image(directory)?;
            let mut buffer = DecodingResult::U8(Vec::new());
            self.decoder.read_image_to_buffer(&mut buffer)?;
            Ok(buffer)
        })?;
        let Page { rows, columns, samples, .. } = page;
        let (stored, length) = numbers(&buffer);
        if length != rows * columns * samples {
            let what = format!(
                "page {} holds {length} numbers instead of {}",
                directory + 1,
                rows * columns * samples
            );
            return Err(Error::input(&self.path, what));
        }
        if let (Some(profile), Some(full_scale)) = (self.heat.take(), page.full_scale) {
            let highest = || (0..length).map(&stored).fold(0.0, f64::max) as f32;
            heat::check(&self.path, [rows, columns], full_scale, highest, Some(&profile))?;
        }
        let bands = &self.source.bands;
        let data = Array3::from_shape_fn((bands.len(), rows, columns), |(band, row, column)| {
            let hidden = |alpha| stored(page.position(alpha, row, column)) == 0.0;
            if page.alpha.is_some_and(hidden) {
                return f32::NAN;
            }
            let number = stored(page.position(page.sample(band), row, column));
            self.reading(number, &bands[band])
        });
        Ok(Frame::new(data, bands.clone(), self.delivered as f64 * SLOT_S))
    }

    /// The reading that the stored `number` stands for.
    fn reading(&self, number: f64, band: &Band) -> f32 {
        // Headers state the mark of missing readings in decimal.
        let missing =
            self.nodata.is_some_and(|mark| number == mark || number as f32 == mark as f32);
        let value = (number * band.scale + band.offset) as f32;
        let there = number.abs() < BEYOND && value.is_finite() && !missing;
        if there { value } else { f32::NAN }
    }
}

impl Iterator for Stack {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(&(directory, page)) = self.pages.get(self.delivered) else {
            return self.damage.take().map(Err);
        };
        let frame = self.read(directory, page);
        if frame.is_err() {
            self.pages.clear();
            self.damage = None;
        }
        self.delivered += 1;
        Some(frame)
    }
}

impl Sensor for Stack {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// What decides which reader suits a TIFF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outline {
    /// Where pages that are no reduced copies stand among the directories of
    /// the file, from 0; at least one. It is the first directory unless a preview
    /// stands there.
    pub pages: Vec<usize>,
    /// How many of them are smaller than the first or have other bands: reduced
    /// copies that are not marked as such, or pictures for the eye.
    pub others: usize,
    /// Whether the first page is placed on the Earth.
    pub placed: bool,
    /// Whether a page says where others have readings.
    pub masked: bool,
}

impl Outline {
    /// Finds the pages of the TIFF at `path`; `None` where the first is
    /// unreadable here.
    pub fn of(path: &Path) -> Option<Self> {
        let path = path.to_string_lossy();
        let mut decoder = decoder(&path).ok()?;
        let placed = [Tag::ModelPixelScaleTag, Tag::ModelTransformationTag]
            .iter()
            .any(|&tag| matches!(decoder.find_tag(tag), Ok(Some(_))));
        let size = |decoder: &mut Decoder<BufReader<File>>| {
            let samples = decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel);
            Some((decoder.dimensions().ok()?, samples.ok()?.unwrap_or(1)))
        };
        let mut first = size(&mut decoder)?;
        let (mut pages, mut others, mut masked) = (vec![0], 0, false);
        let mut preview = matches!(role(&mut decoder), Ok(Role::Reduced));
        for directory in 1.. {
            if !decoder.more_images() || guard(&path, directory, || decoder.next_image()).is_err() {
                break;
            }
            match role(&mut decoder) {
                Ok(Role::Picture) if preview => {
                    first = size(&mut decoder)?;
                    (pages, preview) = (vec![directory], false);
                }
                Ok(Role::Picture) => {
                    let (own, (most, _)) = (size(&mut decoder).unwrap_or(first), first);
                    pages.push(directory);
                    others += usize::from(own != first && own.0.0 <= most.0 && own.0.1 <= most.1);
                }
                Ok(Role::Mask) => masked = true,
                Ok(Role::Reduced) | Err(_) => {}
            }
        }
        Some(Self { pages, others, placed, masked })
    }

    /// Whether the pages are frames of a sequence, and not a picture with
    /// others behind it.
    pub fn is_sequence(&self) -> bool {
        self.others + 1 < self.pages.len() && !self.placed
    }
}

/// A decoder that allows what the memory budget allows, instead of less.
pub(super) fn decoder(path: &str) -> Result<Decoder<BufReader<File>>> {
    let file = File::open(path).map_err(|e| Error::input(path, e))?;
    let mut limits = Limits::default();
    // 64-bit numbers become 32-bit readings.
    limits.decoding_buffer_size = 2 * LIMIT;
    limits.intermediate_buffer_size = LIMIT;
    limits.ifd_value_size = 64 << 20;
    Ok(guard(path, 0, || Decoder::new(BufReader::new(file)))?.with_limits(limits))
}

/// Runs `work` on the page in `directory` of the file at `path`; a panic of
/// the decoder is one more way in which the file is damaged.
pub(super) fn guard<T>(
    path: &str,
    directory: usize,
    work: impl FnOnce() -> TiffResult<T>,
) -> Result<T> {
    let page = directory + 1;
    // Some messages list the tag of every band.
    let short =
        |error: &dyn std::fmt::Display| error.to_string().chars().take(160).collect::<String>();
    match caught(work) {
        Some(Ok(value)) => Ok(value),
        Some(Err(TiffError::UnsupportedError(error))) => {
            let what = format!("page {page}: {}", short(&error));
            Err(Error::new(Fault::Unsupported, path, what)
                .hint("`gdal_translate` turns it into a plain TIFF file"))
        }
        Some(Err(TiffError::LimitsExceeded)) => {
            Err(Error::input(path, format!("page {page} asks for more memory than is allowed")))
        }
        Some(Err(error)) => {
            Err(Error::input(path, format!("page {page} is damaged: {}", short(&error))))
        }
        None => Err(Error::input(path, format!("page {page} is damaged"))),
    }
}

/// Access to the stored numbers, whatever their type, and how many there are.
fn numbers(buffer: &DecodingResult) -> (Box<dyn Fn(usize) -> f64 + '_>, usize) {
    match buffer {
        DecodingResult::U8(v) => (Box::new(|at| f64::from(v[at])), v.len()),
        DecodingResult::U16(v) => (Box::new(|at| f64::from(v[at])), v.len()),
        DecodingResult::U32(v) => (Box::new(|at| f64::from(v[at])), v.len()),
        DecodingResult::U64(v) => (Box::new(|at| v[at] as f64), v.len()),
        DecodingResult::I8(v) => (Box::new(|at| f64::from(v[at])), v.len()),
        DecodingResult::I16(v) => (Box::new(|at| f64::from(v[at])), v.len()),
        DecodingResult::I32(v) => (Box::new(|at| f64::from(v[at])), v.len()),
        DecodingResult::I64(v) => (Box::new(|at| v[at] as f64), v.len()),
        DecodingResult::F16(v) => (Box::new(|at| v[at].to_f64()), v.len()),
        DecodingResult::F32(v) => (Box::new(|at| f64::from(v[at])), v.len()),
        DecodingResult::F64(v) => (Box::new(|at| v[at]), v.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tiff::encoder::{TiffEncoder, colortype};

    use super::*;

    /// A file of `pages` pages of `columns` x 3 pixels; number = page * 100 +
    /// position.
    fn sequence(folder: &Path, columns: &[u32]) -> PathBuf {
        let path = folder.join("sequence.tif");
        let mut encoder = TiffEncoder::new(File::create(&path).unwrap()).unwrap();
        for (page, &columns) in columns.iter().enumerate() {
            let numbers: Vec<u16> =
                (0..columns * 3).map(|at| (page as u32 * 100 + at) as u16).collect();
            let mut image = encoder.new_image::<colortype::Gray16>(columns, 3).unwrap();
            let metadata = "<GDALMetadata><Item name=\"OFFSET\" sample=\"0\" role=\"offset\">-2\
                            </Item><Item name=\"SCALE\" sample=\"0\" role=\"scale\">0.5</Item>\
                            <Item name=\"D\" sample=\"0\" role=\"description\">a &amp; b</Item>\
                            </GDALMetadata>";
            image.encoder().write_tag(GDAL_METADATA, metadata).unwrap();
            image.encoder().write_tag(Tag::GdalNodata, "3").unwrap();
            image.write_data(&numbers).unwrap();
        }
        path
    }

    #[test]
    fn pages_are_frames_with_scale_and_missing_readings() {
        let folder = tempfile::tempdir().unwrap();
        let stack = Stack::open(sequence(folder.path(), &[4, 4, 4]), None).unwrap();
        let source = stack.source().clone();
        assert_eq!((source.frames, source.rows, source.columns), (Some(3), 3, 4));
        assert_eq!(source.bands[0].name, "a & b");
        let frames: Vec<Frame> = stack.collect::<Result<_>>().unwrap();
        assert_eq!(frames[0].data[(0, 1, 2)], 6.0 * 0.5 - 2.0);
        assert_eq!(frames[2].data[(0, 2, 3)], 211.0 * 0.5 - 2.0);
        assert!(frames[0].data[(0, 0, 3)].is_nan());
        assert_eq!(frames[2].time_s, 2.0 * SLOT_S);
    }

    #[test]
    fn pages_of_another_size_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Stack::open(sequence(folder.path(), &[4, 4, 5]), None).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("page 3 is 5 x 3") && error.contains("page 1 is 4 x 3"), "{error}");
    }

    #[test]
    fn a_single_sample_is_a_band_even_if_it_is_called_alpha() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alpha.tif");
        let mut encoder = TiffEncoder::new(File::create(&path).unwrap()).unwrap();
        let mut image = encoder.new_image::<colortype::Gray8>(4, 3).unwrap();
        image.encoder().write_tag(Tag::ExtraSamples, &[2u16][..]).unwrap();
        image.write_data(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).unwrap();
        let mut stack = Stack::open(&path, None).unwrap();
        assert_eq!(stack.source().bands.len(), 1);
        let frame = stack.next().unwrap().unwrap();
        assert_eq!(frame.data, Array3::from_shape_fn((1, 3, 4), |(_, y, x)| (4 * y + x) as f32));
    }

    /// A page of 2 x 1 pixels in red, green and blue, which begins at byte `start` of a
    /// file; the number of each is 10 times its column more than its band.
    fn two_pixels(start: u32, planar: bool, last: bool) -> Vec<u8> {
        const ENTRIES: u32 = 10;
        let strips: u32 = if planar { 3 } else { 1 };
        let after = start + 2 + 12 * ENTRIES + 4;
        let (bits, offsets, counts) = (after, after + 6, after + 18);
        let pixels = after + 30;
        let list = |at: u32, single: u32| if planar { at } else { single };
        let entries: [[u32; 4]; ENTRIES as usize] = [
            [256, 3, 1, 2],
            [257, 3, 1, 1],
            [258, 3, 3, bits],
            [259, 3, 1, 1],
            [262, 3, 1, 2],
            [273, 4, strips, list(offsets, pixels)],
            [277, 3, 1, 3],
            [278, 3, 1, 1],
            [279, 4, strips, list(counts, 6)],
            [284, 3, 1, 1 + u32::from(planar)],
        ];
        let mut page = (ENTRIES as u16).to_le_bytes().to_vec();
        for [tag, kind, count, value] in entries {
            page.extend((tag as u16).to_le_bytes());
            page.extend((kind as u16).to_le_bytes());
            page.extend([count, value].map(u32::to_le_bytes).as_flattened());
        }
        page.extend((if last { 0 } else { pixels + 6 }).to_le_bytes());
        page.extend([8u16; 3].map(u16::to_le_bytes).as_flattened());
        page.extend([pixels, pixels + 2, pixels + 4].map(u32::to_le_bytes).as_flattened());
        page.extend([2u32; 3].map(u32::to_le_bytes).as_flattened());
        page.extend(if planar { [0, 10, 1, 11, 2, 12] } else { [0, 1, 2, 10, 11, 12] });
        page
    }

    #[test]
    fn each_page_is_read_by_its_own_order_of_bands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.tif");
        for orders in [[false, true], [true, false]] {
            let mut file = b"II*\0\x08\0\0\0".to_vec();
            for (page, planar) in orders.into_iter().enumerate() {
                file.extend(two_pixels(file.len() as u32, planar, page == 1));
            }
            std::fs::write(&path, file).unwrap();
            let frames: Vec<Frame> =
                Stack::open(&path, None).unwrap().collect::<Result<_>>().unwrap();
            let expected = Array3::from_shape_fn((3, 1, 2), |(band, _, x)| (band + 10 * x) as f32);
            assert!(frames.len() == 2 && frames.iter().all(|frame| frame.data == expected));
        }
    }

    #[test]
    fn a_truncated_sequence_delivers_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = sequence(folder.path(), &[4; 8]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 3 / 4]).unwrap();
        let stack = Stack::open(&path, None).unwrap();
        assert_eq!(stack.source().frames, None);
        let mut frames: Vec<Result<Frame>> = stack.collect();
        let error = frames.pop().unwrap().unwrap_err().to_string();
        assert!(error.contains(&format!("page {} is damaged", frames.len() + 1)), "{error}");
        assert!(frames.len() > 3 && frames.iter().all(Result::is_ok));
    }

    #[test]
    fn an_outline_counts_pages() {
        let folder = tempfile::tempdir().unwrap();
        let path = sequence(folder.path(), &[4, 4]);
        let outline = Outline::of(&path).unwrap();
        assert!(outline.is_sequence());
        assert_eq!(outline, Outline { pages: vec![0, 1], others: 0, placed: false, masked: false });
        let path = sequence(folder.path(), &[8, 4, 2]);
        let outline = Outline::of(&path).unwrap();
        assert!(!outline.is_sequence());
        assert_eq!((outline.pages, outline.others), (vec![0, 1, 2], 2));
        std::fs::write(&path, b"II*\0").unwrap();
        assert_eq!(Outline::of(&path), None);
    }
}
