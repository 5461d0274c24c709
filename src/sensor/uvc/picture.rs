//! The bytes that a camera sends, as counts and as physical values.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};
use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use image::{ImageFormat, ImageReader, Limits};
use ndarray::{Array3, Axis, aview1};

use super::device::Agreed;
use crate::frame::{Band, Unit};
use crate::profile::{Camera, Telemetry};
use crate::sensor::Packing;

/// How samples lie in the bytes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// One band.
    Grey(Packing),
    /// Two pixels in four bytes; `luma` and `chroma` are the places of the
    /// first of their two bytes.
    Yuv { luma: usize, chroma: usize },
    /// Red, green and blue, or the other way round.
    Rgb { reversed: bool },
    /// A JPEG file.
    Jpeg,
}

impl Layout {
    fn of(agreed: &Agreed, samples: Option<&str>) -> Option<Self> {
        if let Some(samples) = samples {
            return Packing::parse(samples).map(Self::Grey);
        }
        Some(match (&agreed.format.letters(), agreed.format.is_big_endian()) {
            (b"Y16 ", true) => Self::Grey(Packing::Gray16Be),
            (_, true) => return None,
            (b"Y16 ", _) => Self::Grey(Packing::Gray16Le),
            (b"Y14 ", _) => Self::Grey(Packing::Y14),
            (b"Y12 ", _) => Self::Grey(Packing::Y12),
            (b"Y10 ", _) => Self::Grey(Packing::Y10),
            (b"GREY", _) => Self::Grey(Packing::Gray8),
            (b"YUYV", _) => Self::Yuv { luma: 0, chroma: 1 },
            (b"UYVY", _) => Self::Yuv { luma: 1, chroma: 0 },
            (b"RGB3", _) => Self::Rgb { reversed: false },
            (b"BGR3", _) => Self::Rgb { reversed: true },
            (b"MJPG" | b"JPEG", _) => Self::Jpeg,
            _ => return None,
        })
    }

    /// Bytes of a row of `columns` pixels; 0 where rows are compressed.
    fn row_bytes(self, columns: usize) -> usize {
        match self {
            Self::Grey(packing) => packing.bytes(1, columns),
            Self::Yuv { .. } => 4 * columns.div_ceil(2),
            Self::Rgb { .. } => 3 * columns,
            Self::Jpeg => 0,
        }
    }

    /// How words of 16 bits become numbers, where samples are such words.
    fn word(self) -> Option<fn([u8; 2]) -> u16> {
        match self {
            Self::Grey(Packing::Gray16Be) => Some(u16::from_be_bytes),
            Self::Grey(packing) if packing.bits() == 16 => Some(u16::from_le_bytes),
            _ => None,
        }
    }
}

/// What a camera sent.
#[derive(Debug, PartialEq)]
pub(super) enum Reading {
    /// A picture, `[band, row, column]` in the unit of [`Reader::bands`].
    Picture(Array3<f32>),
    /// The same picture as before.
    Repeat,
    /// A picture of the time in which the camera calibrates itself.
    Calibrating,
    /// No picture, and why.
    Broken(String),
}

/// Reads the pictures of one camera.
#[derive(Debug)]
pub(super) struct Reader {
    agreed: Agreed,
    layout: Layout,
    stride: usize,
    /// First row and number of rows of the picture.
    picture: [usize; 2],
    camera: Camera,
    /// The bands as the profile has them.
    listed: Vec<Band>,
    /// The bands as the first picture decided.
    bands: Option<Arc<[Band]>>,
    before: Option<Mark>,
    /// Whether the telemetry is alive: its counter has moved.
    counts: bool,
}

/// What tells a picture from the one before.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// A hash of its bytes, where no two pictures are alike to the last bit:
    /// those of thermal cameras are not, a webcam's of the dark may be.
    bytes: Option<u64>,
    /// The camera's own count.
    counter: Option<u32>,
}

impl Reader {
    /// A reader of pictures that come as `agreed`, of a camera with the bands
    /// `listed`, one or three; what does not fit is said.
    pub fn new(
        agreed: Agreed,
        camera: &Camera,
        listed: &[Band],
    ) -> std::result::Result<Self, String> {
        let layout = Layout::of(&agreed, camera.samples.as_deref())
            .ok_or_else(|| format!("sends {}, which is not read here", agreed.format))?;
        let grey = matches!(layout, Layout::Grey(_));
        if listed.len() != 1 && (grey || listed.len() != 3) {
            let sent = if grey { 1 } else { 3 };
            let bands = listed.len();
            return Err(format!("sends {sent} bands, and its profile lists {bands}"));
        }
        let Agreed { rows, columns, .. } = agreed;
        let picture = camera.picture.unwrap_or([0, rows]);
        let [first, count] = picture;
        let inside = first.checked_add(count).is_some_and(|end| end <= rows);
        if columns == 0 || count == 0 || !inside {
            return Err(format!(
                "sends {columns} x {rows} pixels, and its picture takes {count} rows from row \
                 {first}"
            ));
        }
        let stride = agreed.stride.max(layout.row_bytes(columns));
        let (camera, listed) = (camera.clone(), listed.to_vec());
        Ok(Self {
            agreed,
            layout,
            stride,
            picture,
            camera,
            listed,
            bands: None,
            before: None,
            counts: false,
        })
    }

    /// How the pictures come.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Rows of the picture, without the telemetry.
    pub fn rows(&self) -> usize {
        self.picture[1]
    }

    /// The bands; known once a picture was read.
    pub fn bands(&self) -> Option<&Arc<[Band]>> {
        self.bands.as_ref()
    }

    /// Forgets the picture before: the camera was away.
    pub fn forget(&mut self) {
        self.before = None;
    }

    /// Reads a picture from `bytes`.
    pub fn read(&mut self, bytes: &[u8]) -> Reading {
        let Agreed { rows, columns, .. } = self.agreed;
        if self.layout != Layout::Jpeg {
            let needed = self.stride * (rows - 1) + self.layout.row_bytes(columns);
            if bytes.len() < needed {
                return Reading::Broken(format!("{} of {needed} bytes", bytes.len()));
            }
        }
        let words = self.telemetry_words(bytes);
        let telemetry = self.camera.telemetry.as_ref().filter(|_| !words.is_empty());
        let counter = telemetry.and_then(|telemetry| telemetry.counter);
        let stated = telemetry.and_then(|telemetry| stated(telemetry, &words));
        let sign = telemetry.and_then(|telemetry| telemetry.calibrating);
        let calibrating = sign.is_some_and(|sign| sign.is_in(&words));
        if self.is_known(Mark { bytes: self.hash(bytes), counter: counter_in(&words, counter) }) {
            return Reading::Repeat;
        }
        if self.counts && calibrating {
            return Reading::Calibrating;
        }
        let mut planes = match self.planes(bytes) {
            Ok(planes) => planes,
            Err(what) => return Reading::Broken(what),
        };
        let bands = match &self.bands {
            Some(bands) => bands.clone(),
            None => self.bands.insert(self.decide(stated, &planes)).clone(),
        };
        for (band, mut plane) in bands.iter().zip(planes.outer_iter_mut()) {
            let (scale, offset) = match stated {
                Some(Values::Linear(scale)) if band.unit != Unit::Counts => {
                    (scale.unwrap_or(band.scale), band.offset)
                }
                Some(Values::Counts) if band.unit != Unit::Counts => {
                    return Reading::Broken("counts where there were temperatures".into());
                }
                _ => (band.scale, band.offset),
            };
            if (scale, offset) != (1.0, 0.0) {
                plane.mapv_inplace(|value| (f64::from(value) * scale + offset) as f32);
            }
        }
        Reading::Picture(planes)
    }

    /// The bands of a camera whose first picture has the counts `planes`, and
    /// whose telemetry has `stated` what they are.
    fn decide(&self, stated: Option<Values>, planes: &Array3<f32>) -> Arc<[Band]> {
        let small = |most: u16| planes.iter().all(|&value| value <= f32::from(most));
        let scale = match stated {
            Some(Values::Linear(scale)) => scale,
            Some(Values::Counts) => return self.bare(),
            None if self.camera.counts_up_to.is_some_and(small) => return self.bare(),
            None => None,
        };
        let scaled = |band: &Band| Band { scale: scale.unwrap_or(band.scale), ..band.clone() };
        self.listed.iter().map(scaled).collect()
    }

    /// The bands, as bare counts.
    fn bare(&self) -> Arc<[Band]> {
        let bare =
            |band: &Band| Band { unit: Unit::Counts, scale: 1.0, offset: 0.0, ..band.clone() };
        self.listed.iter().map(bare).collect()
    }

    /// The words behind the picture; none where there is nothing behind it.
    fn telemetry_words(&self, bytes: &[u8]) -> Vec<u16> {
        let Some(word) = self.layout.word() else { return vec![] };
        let rows = self.picture[0] + self.picture[1]..self.agreed.rows;
        let pairs = rows.flat_map(|row| self.row(bytes, row).chunks_exact(2));
        pairs.map(|pair| word([pair[0], pair[1]])).collect()
    }

    /// Whether the picture of `mark` is the one before. A counter counts once
    /// it has moved: some firmware may leave it alone.
    fn is_known(&mut self, mark: Mark) -> bool {
        let Some(before) = self.before.replace(mark) else { return false };
        self.counts |= mark.counter != before.counter;
        let same_bytes = mark.bytes.is_some() && mark.bytes == before.bytes;
        same_bytes || (self.counts && mark.counter == before.counter)
    }

    /// See [`Mark::bytes`].
    fn hash(&self, bytes: &[u8]) -> Option<u64> {
        self.layout.word()?;
        let mut hasher = DefaultHasher::new();
        let [first, rows] = self.picture;
        (first..first + rows).for_each(|row| hasher.write(self.row(bytes, row)));
        Some(hasher.finish())
    }

    /// The bytes of a row, without what pads it.
    fn row<'a>(&self, bytes: &'a [u8], row: usize) -> &'a [u8] {
        let (start, length) = (row * self.stride, self.layout.row_bytes(self.agreed.columns));
        bytes.get(start..start + length).unwrap_or_default()
    }

    /// The counts, `[band, row, column]`.
    fn planes(&self, bytes: &[u8]) -> std::result::Result<Array3<f32>, String> {
        let (bands, columns) = (self.listed.len(), self.agreed.columns);
        let [first, rows] = self.picture;
        let jpeg = match self.layout {
            Layout::Jpeg => Some(jpeg(bytes, &self.agreed)?.into_raw()),
            _ => None,
        };
        let mut planes = Array3::zeros((bands, rows, columns));
        let mut counts = Vec::new();
        for (row, mut line) in (first..).zip(planes.axis_iter_mut(Axis(1))) {
            let bytes = match &jpeg {
                Some(pixels) => &pixels[3 * columns * row..][..3 * columns],
                None => self.row(bytes, row),
            };
            if let Layout::Grey(packing) = self.layout {
                packing.unpack(bytes, columns, &mut counts);
                line.row_mut(0).iter_mut().zip(&counts).for_each(|(to, from)| *to = *from);
                continue;
            }
            for (column, mut pixel) in line.axis_iter_mut(Axis(1)).enumerate() {
                match (self.layout, bands) {
                    (Layout::Yuv { luma, .. }, 1) => {
                        pixel[0] = f32::from(bytes[2 * column + luma]);
                    }
                    (_, 1) => pixel[0] = luma_of(self.colours(bytes, column)),
                    _ => pixel.assign(&aview1(&self.colours(bytes, column))),
                }
            }
        }
        Ok(planes)
    }

    /// Red, green and blue of a pixel, 0..255, in the bytes of its row.
    fn colours(&self, bytes: &[u8], column: usize) -> [f32; 3] {
        match self.layout {
            Layout::Yuv { luma, chroma } => {
                let pair = &bytes[column / 2 * 4..][..4];
                colours_of(pair[luma + 2 * (column % 2)], pair[chroma], pair[chroma + 2])
            }
            layout => {
                let [a, b, c] = [0, 1, 2].map(|place| f32::from(bytes[3 * column + place]));
                if layout == (Layout::Rgb { reversed: true }) { [c, b, a] } else { [a, b, c] }
            }
        }
    }
}

/// What a camera says of its values.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Values {
    /// Proportional to temperature; with this scale, if it says so.
    Linear(Option<f64>),
    /// Of no unit.
    Counts,
}

/// The counter of two words at `place`, the low one first.
fn counter_in(words: &[u16], place: Option<usize>) -> Option<u32> {
    let (low, high) = (words.get(place?)?, words.get(place? + 1)?);
    Some(u32::from(*high) << 16 | u32::from(*low))
}

/// What `words` say, if they make sense.
fn stated(telemetry: &Telemetry, words: &[u16]) -> Option<Values> {
    match words.get(telemetry.linear?)? {
        0 => Some(Values::Counts),
        1 => {
            let index = telemetry.resolution.and_then(|word| words.get(word));
            let scale = index.and_then(|&index| telemetry.scales.get(usize::from(index)));
            Some(Values::Linear(scale.copied()))
        }
        _ => None,
    }
}

/// Red, green and blue, 0..255, of what a camera sends as Y, Cb and Cr:
/// ITU-R BT.601 with Y in 16..235, as UVC cameras have it unless they say
/// otherwise (USB Device Class Definition for Video Devices 1.5, colour
/// matching descriptor).
fn colours_of(y: u8, cb: u8, cr: u8) -> [f32; 3] {
    let y = 255.0 / 219.0 * (f32::from(y) - 16.0);
    // The factors are 2 (1 - Kr) and 2 (1 - Kb) with Kr = 0.299, Kb = 0.114,
    // over the 224 steps of a colour difference.
    let [cb, cr] = [cb, cr].map(|c| 255.0 / 224.0 * (f32::from(c) - 128.0));
    let red = y + 1.402 * cr;
    let blue = y + 1.772 * cb;
    let green = y - (0.299 * 1.402 * cr + 0.114 * 1.772 * cb) / 0.587;
    [red, green, blue].map(|value| value.clamp(0.0, 255.0))
}

/// The luma of red, green and blue (ITU-R BT.601).
fn luma_of([red, green, blue]: [f32; 3]) -> f32 {
    0.299 * red + 0.587 * green + 0.114 * blue
}

/// The picture in a JPEG file that must have the size `agreed` on.
fn jpeg(bytes: &[u8], agreed: &Agreed) -> std::result::Result<image::RgbImage, String> {
    let file = with_tables(bytes);
    let mut reader = ImageReader::with_format(Cursor::new(file.as_ref()), ImageFormat::Jpeg);
    let (columns, rows) = (agreed.columns as u32, agreed.rows as u32);
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(columns), Some(rows));
    reader.limits(limits);
    let picture = reader.decode().map_err(|e| format!("no JPEG picture: {e}"))?.into_rgb8();
    if picture.dimensions() != (columns, rows) {
        let (width, height) = picture.dimensions();
        return Err(format!("a JPEG picture of {width} x {height}, not {columns} x {rows}"));
    }
    Ok(picture)
}

/// A JPEG file with its Huffman tables: cameras leave out the usual ones (USB
/// Device Class Definition for Video Devices 1.5, Motion-JPEG payload), which
/// are those of ITU-T T.81, annex K.
fn with_tables(file: &[u8]) -> Cow<'_, [u8]> {
    let mut segments = segments(file);
    match (file.split_at_checked(2), segments.any(|(marker, _)| marker == DHT)) {
        (Some((start, rest)), false) => [start, &TABLES, rest].concat().into(),
        _ => file.into(),
    }
}

/// The marker of a segment of Huffman tables, and of the start of a scan.
const DHT: u8 = 0xc4;
const SOS: u8 = 0xda;

/// The segments of usual Huffman tables: our own encoder's, which writes no
/// others. Empty if it cannot encode.
static TABLES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut file = Cursor::new(Vec::new());
    let written = image::RgbImage::new(8, 8).write_to(&mut file, ImageFormat::Jpeg);
    let file = file.into_inner();
    let tables = segments(&file).filter(|(marker, _)| *marker == DHT);
    written.map(|()| tables.flat_map(|(_, bytes)| bytes).copied().collect()).unwrap_or_default()
});

/// The segments of a JPEG file up to its first scan: marker, and all bytes.
fn segments(file: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = file.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let &[0xff, marker, high, low, ..] = rest else { return None };
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        let (segment, after) = rest.split_at_checked(length).filter(|_| marker != SOS)?;
        rest = after;
        Some((marker, segment))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{FourCc, Profile};

    fn agreed(format: &str, columns: usize, rows: usize, stride: usize) -> Agreed {
        Agreed { format: FourCc::parse(format).unwrap(), columns, rows, stride }
    }

    fn reader(profile: &str, agreed: Agreed) -> Reader {
        let profile = Profile::find(profile).unwrap();
        Reader::new(agreed, profile.camera.as_ref().unwrap(), profile.listed_bands().unwrap())
            .unwrap()
    }

    fn bytes(words: impl IntoIterator<Item = u16>) -> Vec<u8> {
        words.into_iter().flat_map(u16::to_le_bytes).collect()
    }

    fn picture(reading: Reading) -> Array3<f32> {
        match reading {
            Reading::Picture(planes) => planes,
            other => panic!("{other:?}"),
        }
    }

    /// A Lepton's frame of `rows` rows of 30 degC, with telemetry behind the
    /// 120th.
    fn lepton(rows: usize, telemetry: &[(usize, u16)]) -> Vec<u8> {
        let mut words = vec![30_315; 160 * rows];
        words[160 * 120..].fill(58_744);
        for &(word, value) in telemetry {
            words[160 * 120 + word] = value;
        }
        bytes(words)
    }

    #[test]
    fn telemetry_decides_the_scale_and_is_no_picture() {
        let shape = agreed("Y16 ", 160, 122, 320);
        for (linear, resolution, celsius) in [(1, 1, 30.0), (1, 0, 2758.35)] {
            let mut reader = reader("lepton3", shape);
            let frame = lepton(122, &[(20, 1), (3, 0), (208, linear), (209, resolution)]);
            let planes = picture(reader.read(&frame));
            assert_eq!(planes.dim(), (1, 120, 160));
            assert!(planes.iter().all(|v| (v - celsius).abs() < 1e-3), "{}", planes[(0, 0, 0)]);
            assert_eq!(reader.bands().unwrap()[0].unit, Unit::Celsius);
        }
        let mut reader = reader("lepton3", shape);
        let frame = lepton(122, &[(20, 1), (3, 0), (208, 0)]);
        assert_eq!(picture(reader.read(&frame))[(0, 5, 5)], 30_315.0);
        assert_eq!(reader.bands().unwrap()[0].unit, Unit::Counts);
    }

    #[test]
    fn without_telemetry_the_height_and_the_values_decide() {
        let shape = agreed("Y16 ", 160, 120, 320);
        let mut radiometric = reader("lepton3", shape);
        let planes = picture(radiometric.read(&lepton(120, &[])));
        assert!((planes[(0, 119, 159)] - 30.0).abs() < 1e-3);
        // 14 bits hold no temperature above -109 degC in hundredths of a kelvin.
        let mut counts = reader("lepton3", shape);
        let planes = picture(counts.read(&bytes(vec![8000; 160 * 120])));
        assert_eq!((planes[(0, 0, 0)], counts.bands().unwrap()[0].unit), (8000.0, Unit::Counts));
    }

    #[test]
    fn the_same_counter_is_the_same_picture_and_a_shutter_is_none() {
        let mut reader = reader("lepton3", agreed("Y16 ", 160, 122, 320));
        let linear = [(208, 1), (209, 1), (3, 0)];
        let frame = |counter: u16, status: u16, pixel: u8| {
            let mut words = linear.to_vec();
            words.extend([(20, counter), (21, 7), (3, status)]);
            let mut frame = lepton(122, &words);
            frame[0] = pixel;
            frame
        };
        // As long as the counter has not moved, nothing is believed of it.
        picture(reader.read(&frame(1, 0x20, 1)));
        picture(reader.read(&frame(1, 0x20, 2)));
        assert_eq!(reader.read(&frame(1, 0x30, 2)), Reading::Repeat);
        assert_eq!(reader.read(&frame(2, 0x30, 2)), Reading::Repeat);
        assert_eq!(reader.read(&frame(2, 0x30, 3)), Reading::Repeat);
        assert_eq!(reader.read(&frame(3, 0x20, 4)), Reading::Calibrating);
        picture(reader.read(&frame(4, 0x30, 5)));
        assert!(matches!(reader.read(&frame(5, 0x30, 6)[..1000]), Reading::Broken(_)));
        reader.forget();
        picture(reader.read(&frame(4, 0x30, 5)));
    }

    #[test]
    fn the_lower_half_of_a_dongle_is_temperatures() {
        let mut words = vec![0x8010; 256 * 384];
        words[256 * 192..].fill(19_402);
        words[256 * 192 + 3] = 64 * 300;
        let planes = picture(reader("p2pro", agreed("YUYV", 256, 384, 512)).read(&bytes(words)));
        assert_eq!(planes.dim(), (1, 192, 256));
        // 19402 / 64 K.
        assert!((planes[(0, 9, 9)] - 30.006_25).abs() < 1e-3, "{}", planes[(0, 9, 9)]);
        assert!((planes[(0, 0, 3)] - 26.85).abs() < 1e-3);
    }

    #[test]
    fn rows_may_be_padded_and_words_swapped() {
        let camera = Camera {
            formats: vec!["Y16 -BE".into()],
            sizes: vec![],
            picture: None,
            samples: None,
            counts_up_to: None,
            telemetry: None,
        };
        let band = [Band::new("LWIR", Unit::Counts)];
        let mut reader = Reader::new(agreed("Y16 -BE", 2, 2, 6), &camera, &band).unwrap();
        let planes = picture(reader.read(&[1, 2, 3, 4, 99, 99, 5, 6, 7, 8]));
        assert_eq!(planes.into_raw_vec_and_offset().0, [258.0, 772.0, 1286.0, 1800.0]);
        assert!(matches!(reader.read(&[0; 9]), Reading::Broken(_)));
        let three = [band[0].clone(), band[0].clone(), band[0].clone()];
        assert!(Reader::new(agreed("Y16 ", 2, 2, 4), &camera, &three).is_err());
        assert!(Reader::new(agreed("H264", 2, 2, 4), &camera, &band).is_err());
        for (columns, rows) in [(2, 0), (0, 2), (0, 0)] {
            let error = Reader::new(agreed("Y16 ", columns, rows, 4), &camera, &band).unwrap_err();
            assert!(error.starts_with(&format!("sends {columns} x {rows} pixels")), "{error}");
        }
    }

    #[test]
    fn colours_are_those_of_bt_601() {
        // The primaries at full saturation (ITU-R BT.601, 8 bits).
        for (sent, expected) in [
            ((235, 128, 128), [255.0, 255.0, 255.0]),
            ((16, 128, 128), [0.0, 0.0, 0.0]),
            ((81, 90, 240), [255.0, 0.0, 0.0]),
            ((145, 54, 34), [0.0, 255.0, 0.0]),
            ((41, 240, 110), [0.0, 0.0, 255.0]),
        ] {
            let (y, cb, cr) = sent;
            for (got, expected) in colours_of(y, cb, cr).iter().zip(expected) {
                assert!((got - expected).abs() < 2.0, "{sent:?}: {got}, not {expected}");
            }
        }
        let mut colour = reader("rgb", agreed("YUYV", 2, 1, 4));
        let planes = picture(colour.read(&[81, 90, 145, 240]));
        assert!(planes[(0, 0, 0)] > 250.0 && planes[(1, 0, 0)] < 5.0);
        let mut grey = reader("nir-webcam", agreed("YUYV", 2, 1, 4));
        let planes = picture(grey.read(&[81, 90, 145, 240]));
        assert_eq!(planes.into_raw_vec_and_offset().0, [81.0, 145.0]);
    }

    #[test]
    fn motion_jpeg_without_its_huffman_tables_is_read() {
        let mut file = Vec::new();
        let image = image::RgbImage::from_pixel(16, 8, image::Rgb([200, 100, 50]));
        image.write_to(&mut Cursor::new(&mut file), ImageFormat::Jpeg).unwrap();
        let tables = segments(&file).filter(|(marker, _)| *marker == DHT);
        let tables: Vec<Vec<u8>> = tables.map(|(_, bytes)| bytes.to_vec()).collect();
        assert_eq!(tables.len(), 4);
        // The first one is that of the DC coefficients of luma: table K.3.
        let lengths = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!((tables[0][4], &tables[0][5..21]), (0, &lengths[..]));
        for table in &tables {
            let at = file.windows(table.len()).position(|bytes| bytes == table).unwrap();
            file.drain(at..at + table.len());
        }
        let mut reader = reader("rgb", agreed("MJPG", 16, 8, 0));
        let planes = picture(reader.read(&file));
        for (band, expected) in [200.0, 100.0, 50.0].iter().enumerate() {
            assert!((planes[(band, 4, 8)] - expected).abs() < 4.0, "{}", planes[(band, 4, 8)]);
        }
        assert!(matches!(reader.read(b"no picture"), Reading::Broken(_)));
        let mut other = self::reader("rgb", agreed("MJPG", 16, 16, 0));
        assert!(matches!(other.read(&file), Reading::Broken(_)));
    }
}
