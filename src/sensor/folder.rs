//! Ordinary pictures: a folder of them as one sequence, or a single one.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use image::codecs::pnm::PnmDecoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use ndarray::{Array3, Axis};

use super::jpeg::{self, Thermal};
use super::{
    Content, Cptv, Flir, LIMIT, Object, Options, Sensor, Source, check_size, colours, count, heat,
    reconcile, stack, tiff,
};
use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Frame, Unit};
use crate::profile::Profile;
use crate::synth::SLOT_S;

/// Endings of the files in a folder that are taken for pictures.
const PICTURES: [&str; 9] = ["jpg", "jpeg", "png", "bmp", "webp", "pnm", "pgm", "ppm", "pbm"];

/// Endings of the files in a folder that are taken for TIFF files.
pub(super) const TIFFS: [&str; 2] = ["tif", "tiff"];

/// Endings of the files in a folder that are taken for FLIR's.
const FLIRS: [&str; 3] = ["fff", "seq", "csq"];

/// Endings of the files in a folder that are taken for CPTV's.
const CPTVS: [&str; 1] = ["cptv"];

/// Pictures of any size, one after another.
///
/// Greyscale is one band; colour is three, at nominal wavelengths; values are
/// the stored counts, and pixels that are wholly transparent have no reading.
/// Where the profile lists one band, a colour picture in shades of grey is
/// that band. TIFF files, FLIR's and CPTV's in a folder are opened as they are
/// on their own, and deliver each of their frames.
#[derive(Debug)]
pub struct Folder {
    files: VecDeque<PathBuf>,
    profile: Option<Profile>,
    object: Object,
    source: Source,
    /// The file that decided the number of bands.
    first: PathBuf,
    /// The file of the latest frame, and the rest of its pages if it has any.
    current: PathBuf,
    pages: Option<Box<dyn Sensor>>,
    /// A frame that was read when the folder was opened.
    ready: Option<Frame>,
    delivered: usize,
}

impl Folder {
    /// Opens the pictures in the folder at `path`, but not in folders inside
    /// it, in natural order of their names: frame9 comes before frame10. What
    /// `object` knows takes the place of what FLIR's files state.
    ///
    /// # Errors
    ///
    /// If the folder holds no picture, or its first one cannot be read, has
    /// another number of bands than `profile`, or is not FLIR's where `object`
    /// knows something.
    pub fn open(path: impl AsRef<Path>, profile: Option<&Profile>, object: Object) -> Result<Self> {
        let path = path.as_ref();
        let (mut files, folders) = pictures_in(path)?;
        if files.is_empty() {
            let what = match folders {
                0 => "holds no pictures".to_string(),
                _ => format!("holds no pictures of its own, only {}", count(folders, "folder")),
            };
            return Err(Error::input(path, what).hint(format!(
                "pictures end in {} or tif; name the folder that holds them, and rasters of other \
                 endings one by one or by a pattern",
                PICTURES.join(", ")
            )));
        }
        files.sort_by_cached_key(|file| natural(file));
        Self::of_files(path, files.into(), profile, object)
    }

    /// Opens the single picture at `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has another number of bands than `profile`.
    pub fn of_one(path: impl AsRef<Path>, profile: Option<&Profile>) -> Result<Self> {
        let path = path.as_ref();
        Self::of_files(path, VecDeque::from([path.to_path_buf()]), profile, Object::default())
    }

    fn of_files(
        path: &Path,
        files: VecDeque<PathBuf>,
        profile: Option<&Profile>,
        object: Object,
    ) -> Result<Self> {
        let frames: Option<usize> = files.iter().map(|file| frames_in(file)).sum();
        let pictures = match frames {
            Some(frames) => count(frames, "picture"),
            None => count(files.len(), "recording"),
        };
        let mut folder = Self {
            first: files.front().cloned().unwrap_or_default(),
            files,
            profile: profile.cloned(),
            object,
            source: Source { frames, ..Source::of("") },
            current: PathBuf::new(),
            pages: None,
            ready: None,
            delivered: 0,
        };
        let frame = folder.read().unwrap_or_else(|| Err(Error::input(path, "holds no frame")))?;
        folder.source = Source {
            description: format!(
                "{}: {} of {}, {} x {} pixels",
                path.display(),
                pictures,
                count(frame.bands.len(), "band"),
                frame.columns(),
                frame.rows()
            ),
            driver: folder.pages.as_ref().and_then(|pages| pages.source().driver.clone()),
            model: folder.pages.as_ref().and_then(|pages| pages.source().model.clone()),
            bands: frame.bands.clone(),
            rows: frame.rows(),
            columns: frame.columns(),
            ..folder.source
        };
        folder.ready = Some(frame);
        Ok(folder)
    }

    /// The next frame, whatever its bands.
    fn read(&mut self) -> Option<Result<Frame>> {
        loop {
            if let Some(frame) = self.pages.as_mut().and_then(Iterator::next) {
                return Some(frame);
            }
            self.pages = None;
            self.current = self.files.pop_front()?;
            let profile = self.profile.as_ref();
            let content = Content::of(&self.current);
            if !matches!(content, Ok(Content::Flir))
                && let Err(error) = self.object.refuse(&self.current.to_string_lossy())
            {
                return Some(Err(error));
            }
            match content {
                Err(error) => return Some(Err(error)),
                Ok(Content::Tiff) => match tiff(&self.current, profile, &Options::default()) {
                    Ok(pages) => self.pages = Some(pages),
                    Err(error) => return Some(Err(error)),
                },
                Ok(Content::Cptv) => match Cptv::open(&self.current, profile) {
                    Ok(pages) => self.pages = Some(Box::new(pages)),
                    Err(error) => return Some(Err(error)),
                },
                Ok(Content::Flir) => match Flir::open(&self.current, profile, self.object) {
                    Ok(pages) => self.pages = Some(Box::new(pages)),
                    Err(error) => return Some(Err(error)),
                },
                Ok(Content::Picture) => return Some(picture(&self.current, profile)),
                Ok(_) => {
                    let what = "is no picture, in spite of its name";
                    return Some(Err(
                        Error::input(&self.current, what).hint("move it out of the folder")
                    ));
                }
            }
        }
    }

    /// Refuses a frame with another number of bands than the first one.
    fn check(&self, frame: Frame) -> Result<Frame> {
        let (expected, found) = (self.source.bands.len(), frame.bands.len());
        if found == expected {
            return Ok(frame);
        }
        let first = self.first.display();
        let what = format!("has {}, but {first} has {expected}", count(found, "band"));
        Err(Error::input(&self.current, what)
            .hint("a sequence needs pictures of one kind; move the others out"))
    }
}

impl Iterator for Folder {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.ready.take().map(Ok).or_else(|| self.read())?;
        let mut frame = frame.and_then(|frame| self.check(frame));
        match &mut frame {
            Ok(frame) => frame.time_s = self.delivered as f64 * SLOT_S,
            Err(_) => {
                self.files.clear();
                self.pages = None;
            }
        }
        self.delivered += 1;
        Some(frame)
    }
}

impl Sensor for Folder {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// The pictures in the folder at `path`, in no order, and how many folders are
/// in it.
pub(super) fn pictures_in(path: &Path) -> Result<(Vec<PathBuf>, usize)> {
    let (mut files, mut folders) = (Vec::new(), 0);
    for entry in std::fs::read_dir(path).map_err(|e| Error::input(path, e))? {
        let file = entry.map_err(|e| Error::input(path, e))?.path();
        let hidden = file.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if file.is_dir() {
            folders += 1;
        } else if !hidden
            && [&PICTURES[..], &TIFFS, &FLIRS, &CPTVS].iter().any(|e| ends_in(&file, e))
        {
            files.push(file);
        }
    }
    Ok((files, folders))
}

/// How many frames the file will deliver; 1 where it is unreadable, which
/// will come to light in its turn, and none where only reading all of it tells.
fn frames_in(file: &Path) -> Option<usize> {
    if ends_in(file, &CPTVS) {
        return None;
    }
    if ends_in(file, &FLIRS) {
        return Some(Flir::frames_in(file).unwrap_or(1));
    }
    if !ends_in(file, &TIFFS) {
        return Some(1);
    }
    let pages = stack::Outline::of(file)
        .map_or(1, |outline| if outline.is_sequence() { outline.pages.len() } else { 1 });
    Some(pages)
}

pub(super) fn ends_in(file: &Path, endings: &[&str]) -> bool {
    file.extension().is_some_and(|e| endings.iter().any(|ending| e.eq_ignore_ascii_case(ending)))
}

/// A key that sorts names as people do: runs of digits by their number.
pub(super) fn natural(file: &Path) -> Vec<(usize, String)> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut runs: Vec<String> = Vec::new();
    for letter in name.chars() {
        match runs.last_mut() {
            Some(run) if run.ends_with(|c: char| c.is_ascii_digit() == letter.is_ascii_digit()) => {
                run.push(letter);
            }
            _ => runs.push(letter.to_string()),
        }
    }
    let key = |run: String| match run.trim_start_matches('0') {
        // Longer numbers are larger; text comes after all numbers.
        number if run.starts_with(|c: char| c.is_ascii_digit()) => {
            (number.len(), number.to_string())
        }
        _ => (usize::MAX, run),
    };
    let mut keys: Vec<_> = runs.into_iter().map(key).collect();
    // Where only leading zeros differ, the names themselves decide.
    keys.push((0, name.into_owned()));
    keys
}

/// Reads the picture at `path`.
fn picture(path: &Path, profile: Option<&Profile>) -> Result<Frame> {
    refuse_misleading(path)?;
    let (image, maximum) = decode(path)?;
    let (data, full_scale) = planes(path, &image, maximum)?;
    let data = if wants_one(profile) { single(data, full_scale) } else { data };
    settle(&path.to_string_lossy(), data, Some(full_scale), profile)
}

/// A frame of the counts in `data` from 0 to `full_scale`, one grey band or three
/// colours, with bands, scale and offset of `profile`; floats have no full scale, and are
/// the temperatures that a profile lists.
pub(super) fn settle(
    subject: &str,
    mut data: Array3<f32>,
    full_scale: Option<f32>,
    profile: Option<&Profile>,
) -> Result<Frame> {
    let size = [data.len_of(Axis(1)), data.len_of(Axis(2))];
    let highest = || data.iter().copied().fold(0.0, f32::max);
    if let Some(full_scale) = full_scale {
        heat::check(subject, size, full_scale.into(), highest, profile)?;
    }
    let found = match data.len_of(Axis(0)) {
        1 => vec![Band::new("grey", Unit::Counts)],
        _ => colours(),
    };
    let bands = reconcile(subject, found, profile).map_err(|error| {
        if wants_one(profile) {
            error.hint(
                "it is in colour: where it shows no heat, move it out; else export it in shades of \
                 grey",
            )
        } else {
            error
        }
    })?;
    let bands = if full_scale.is_none() { heat::floats(&bands) } else { bands };
    for (band, mut plane) in bands.iter().zip(data.outer_iter_mut()) {
        if (band.scale, band.offset) != (1.0, 0.0) {
            plane.mapv_inplace(|value| (f64::from(value) * band.scale + band.offset) as f32);
        }
    }
    Ok(Frame::new(data, bands, 0.0))
}

/// Whether `profile` lists exactly one band.
pub(super) fn wants_one(profile: Option<&Profile>) -> bool {
    profile.and_then(Profile::listed_bands).is_some_and(|bands| bands.len() == 1)
}

/// The one band of a picture whose three colours are equal, or the picture
/// itself where they are not.
///
/// Lossy files round each colour for itself, so the colours may differ by 4
/// of 255 counts, and in one pixel of a thousand by more. The band is their
/// mean.
pub(super) fn single(data: Array3<f32>, full_scale: f32) -> Array3<f32> {
    if data.len_of(Axis(0)) != 3 {
        return data;
    }
    let tolerance = full_scale * 4.0 / 255.0;
    let (red, green, blue) =
        (data.index_axis(Axis(0), 0), data.index_axis(Axis(0), 1), data.index_axis(Axis(0), 2));
    let coloured =
        ndarray::Zip::from(red).and(green).and(blue).fold(0usize, |count, &r, &g, &b| {
            count + usize::from(r.max(g).max(b) - r.min(g).min(b) > tolerance)
        });
    if coloured * 1000 > red.len() {
        return data;
    }
    let mean = (&red + &green + blue) / 3.0;
    mean.insert_axis(Axis(0))
}

/// Decodes the file at `path`, upright, with the highest count that it says
/// it may hold, if it does.
fn decode(path: &Path) -> Result<(DynamicImage, Option<f32>)> {
    let mut reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|e| Error::input(path, e))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(LIMIT as u64);
    reader.limits(limits);
    let format = reader.format();
    let mut decoder = reader.into_decoder().map_err(|e| damaged(path, &e))?;
    let (columns, rows) = decoder.dimensions();
    let channels = usize::from(decoder.color_type().channel_count());
    let pixels = (columns as usize).saturating_mul(rows as usize);
    let bytes = pixels.saturating_mul(channels * size_of::<f32>());
    check_size(path, bytes, format_args!("its {columns} x {rows} pixels take"))?;
    let orientation = decoder.orientation().map_err(|e| damaged(path, &e))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| damaged(path, &e))?;
    image.apply_orientation(orientation);
    let maximum = if format == Some(ImageFormat::Pnm) { maximal_sample(path) } else { None };
    Ok((image, maximum))
}

/// What a picture of the PNM family states as its highest count.
fn maximal_sample(path: &Path) -> Option<f32> {
    let decoder = PnmDecoder::new(BufReader::new(File::open(path).ok()?)).ok()?;
    let (_, header) = decoder.into_inner();
    Some(header.maximal_sample().max(1) as f32)
}

fn damaged(path: &Path, error: &image::ImageError) -> Error {
    match error {
        image::ImageError::Unsupported(_) => {
            Error::new(Fault::Unsupported, path.display(), error).hint("convert it to PNG")
        }
        _ => Error::input(path, format!("cannot be decoded: {error}"))
            .hint("fetch it again if it is damaged; `gdal_translate` turns other kinds into TIFF"),
    }
}

/// The counts of `image` as stored, `[band, row, column]`, and the full scale
/// of its type. Pixels of alpha 0 have no reading.
///
/// The decoder stretches counts up to `maximum` to the full scale. This is
/// undone: programs of thermal cameras state the maximum of each picture, and
/// stretched counts would not compare.
fn planes(path: &Path, image: &DynamicImage, maximum: Option<f32>) -> Result<(Array3<f32>, f32)> {
    let (rows, columns) = (image.height() as usize, image.width() as usize);
    let split = |samples: &dyn Fn(usize) -> f32, channels: usize, full_scale: f32| {
        let alpha = channels.is_multiple_of(2);
        let bands = channels - usize::from(alpha);
        let data = Array3::from_shape_fn((bands, rows, columns), |(band, row, column)| {
            let pixel = (row * columns + column) * channels;
            let count = samples(pixel + band);
            match maximum {
                _ if alpha && samples(pixel + bands) == 0.0 => f32::NAN,
                Some(maximum) => (count * maximum / full_scale).round(),
                None => count,
            }
        });
        (data, full_scale)
    };
    use DynamicImage as D;
    Ok(match image {
        D::ImageLuma8(i) => split(&|at| f32::from(i.as_raw()[at]), 1, 255.0),
        D::ImageLumaA8(i) => split(&|at| f32::from(i.as_raw()[at]), 2, 255.0),
        D::ImageRgb8(i) => split(&|at| f32::from(i.as_raw()[at]), 3, 255.0),
        D::ImageRgba8(i) => split(&|at| f32::from(i.as_raw()[at]), 4, 255.0),
        D::ImageLuma16(i) => split(&|at| f32::from(i.as_raw()[at]), 1, 65535.0),
        D::ImageLumaA16(i) => split(&|at| f32::from(i.as_raw()[at]), 2, 65535.0),
        D::ImageRgb16(i) => split(&|at| f32::from(i.as_raw()[at]), 3, 65535.0),
        D::ImageRgba16(i) => split(&|at| f32::from(i.as_raw()[at]), 4, 65535.0),
        other => {
            let what = format!("holds pixels of the kind {:?}", other.color());
            return Err(Error::new(Fault::Unsupported, path.display(), what)
                .hint("convert it to PNG or TIFF"));
        }
    })
}

/// Refuses JPEG files that the decoder would take and should not: those cut
/// short, of which it makes up the rest, and those with temperatures inside,
/// whose visible picture is a false-colour rendering and would be taken for
/// what the camera measured.
fn refuse_misleading(path: &Path) -> Result<()> {
    let unread = |maker: &str| {
        let what = format!("holds temperatures in a format of {maker}'s that is not read here");
        Error::new(Fault::Unsupported, path.display(), what)
    };
    match Thermal::of(path) {
        Some(Thermal::Dji) => Err(unread("DJI")
            .hint("export its temperatures as a TIFF file, as DJI's Thermal SDK measures them")),
        Some(Thermal::InfiRay) => Err(unread("InfiRay")
            .hint("export its temperatures as a 16-bit TIFF, or the picture as PNG")),
        _ if jpeg::is_cut_short(path)? => {
            Err(Error::input(path, "is cut short: its end is missing")
                .hint("fetch it again, or move it out of the folder"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayAlphaImage, ImageBuffer, Luma, RgbImage};

    use super::*;

    #[test]
    fn names_sort_as_people_sort_them() {
        let mut names =
            ["b2.png", "frame10.png", "frame9.png", "frame1.png", "frame09.png", "a.png"];
        names.sort_by_cached_key(|name| natural(Path::new(name)));
        assert_eq!(
            names,
            ["a.png", "b2.png", "frame1.png", "frame09.png", "frame9.png", "frame10.png"]
        );
    }

    #[test]
    fn sixteen_bits_stay_sixteen_bits_and_alpha_is_no_reading() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("1.png");
        ImageBuffer::<Luma<u16>, _>::from_fn(5, 3, |x, y| Luma([(y * 10_000 + x) as u16]))
            .save(&deep)
            .unwrap();
        let frame = Folder::of_one(&deep, None).unwrap().next().unwrap().unwrap();
        assert_eq!(frame.data.shape(), [1, 3, 5]);
        assert_eq!(frame.data[(0, 2, 4)], 20_004.0);
        let alpha = folder.path().join("2.png");
        GrayAlphaImage::from_fn(2, 1, |x, _| image::LumaA([7, x as u8])).save(&alpha).unwrap();
        let frame = Folder::of_one(&alpha, None).unwrap().next().unwrap().unwrap();
        assert!(frame.data[(0, 0, 0)].is_nan());
        assert_eq!(frame.data[(0, 0, 1)], 7.0);
    }

    #[test]
    fn counts_below_a_stated_maximum_are_not_stretched() {
        let folder = tempfile::tempdir().unwrap();
        for maximum in [9_000u16, 16_383, 40_000, 65_535] {
            let path = folder.path().join("a.pgm");
            let counts: Vec<u16> = (0..maximum).step_by(7).collect();
            let mut bytes = format!("P5\n{} 1\n{maximum}\n", counts.len()).into_bytes();
            bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
            std::fs::write(&path, bytes).unwrap();
            let frame = Folder::of_one(&path, None).unwrap().next().unwrap().unwrap();
            let counts: Vec<f32> = counts.into_iter().map(f32::from).collect();
            assert_eq!(frame.data.into_raw_vec_and_offset().0, counts);
        }
    }

    #[test]
    fn one_band_wants_shades_of_grey() {
        let profile = Profile::find("hituav-lwir").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grey.png");
        RgbImage::from_fn(8, 8, |x, y| {
            let grey = (x * 20 + y) as u8;
            image::Rgb([grey, grey + 1, grey])
        })
        .save(&path)
        .unwrap();
        let frame = Folder::of_one(&path, Some(&profile)).unwrap().next().unwrap().unwrap();
        assert_eq!(frame.bands[0].name, "LWIR");
        assert!((frame.data[(0, 3, 2)] - 43.0).abs() < 0.5);
        RgbImage::from_fn(8, 8, |x, _| image::Rgb([x as u8 * 30, 0, 0])).save(&path).unwrap();
        let error = Folder::of_one(&path, Some(&profile)).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("has 3 bands"), "{error}");
        assert!(error.to_string().contains("lists 1"), "{error}");
    }

    #[test]
    fn a_jpeg_cut_anywhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        image::GrayImage::from_fn(64, 48, |x, y| Luma([(x * y) as u8])).save(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert!(Folder::of_one(&path, None).is_ok());
        for length in (1..whole.len()).step_by(53).chain([whole.len() - 1]) {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(Folder::of_one(&path, None).is_err(), "{length} of {} bytes", whole.len());
        }
        // Cameras append more pictures and data of their own.
        std::fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
        assert!(Folder::of_one(&path, None).is_ok());
    }

    #[test]
    fn another_number_of_bands_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["1.png", "2.png"] {
            image::GrayImage::new(4, 4).save(folder.path().join(name)).unwrap();
        }
        RgbImage::new(4, 4).save(folder.path().join("10.png")).unwrap();
        let mut frames: Vec<_> =
            Folder::open(folder.path(), None, Object::default()).unwrap().collect();
        let error = frames.pop().unwrap().unwrap_err().to_string();
        assert_eq!(frames.len(), 2);
        assert!(error.contains("10.png: has 3 bands, but"), "{error}");
        assert!(error.ends_with("1.png has 1"), "{error}");
    }
}
