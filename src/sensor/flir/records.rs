//! FLIR's file format FFF: a directory of records, each in a byte order of
//! its own.
//!
//! Layouts are those of ExifTool (lib/Image/ExifTool/FLIR.pm).

use std::ops::Range;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::jpegls;
use super::radiometry::{Air, Planck, Radiometry};
use crate::error::{Error, Fault, Result};
use crate::sensor::{LIMIT, Object, check_size};

/// Length of the header in front of the directory.
pub const HEADER: usize = 0x40;
/// Length of one entry of the directory.
const ENTRY: usize = 32;
/// The most entries that are followed; cameras write 2 to 14.
const ENTRIES: usize = 4096;

const RAW_DATA: u16 = 0x01;
const CAMERA_INFO: u16 = 0x20;
/// Where the pixels begin in the record of raw data.
const PIXELS: usize = 0x20;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG_LS: &[u8] = b"\xff\xd8\xff\xf7";
/// Deflate makes at most 1032 bytes of one (zlib, "Technical details").
const DEFLATE: usize = 1032;

/// The counts of one picture and what they mean.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Rows of the picture.
    pub rows: usize,
    /// Columns of the picture.
    pub columns: usize,
    /// One count per pixel, row after row.
    pub counts: Vec<u16>,
    /// From counts to temperatures.
    pub radiometry: Radiometry,
    /// What the camera calls itself.
    pub model: Option<String>,
    /// Seconds since 1970, by the camera's clock.
    pub time_s: f64,
}

/// Whether `bytes` begin as a file of records does; old sequences begin with
/// AFF.
pub fn is_head(bytes: &[u8]) -> bool {
    bytes.starts_with(b"FFF\0") || bytes.starts_with(b"AFF\0")
}

/// Where the directory of the file with this `header` lies, and in which byte
/// order; none where it is no header. The version, 100 to 199, tells the
/// order.
pub fn directory(header: &[u8]) -> Option<(Range<usize>, Order)> {
    if !is_head(header) {
        return None;
    }
    let order = [Order::Big, Order::Little]
        .into_iter()
        .find(|order| order.u32(header, 0x14).is_some_and(|version| version / 100 == 1))?;
    let start = usize::try_from(order.u32(header, 0x18)?).ok()?;
    let entries = usize::try_from(order.u32(header, 0x1c)?).ok()?;
    let plausible = start >= HEADER && (1..=ENTRIES).contains(&entries);
    plausible.then(|| (start..start + entries * ENTRY, order))
}

/// Kind and place of each record in `directory`; entries of kind 0 are empty.
pub fn entries(directory: &[u8], order: Order) -> impl Iterator<Item = (u16, Range<usize>)> {
    directory.chunks_exact(ENTRY).filter_map(move |entry| {
        let kind = order.u16(entry, 0).filter(|&kind| kind != 0)?;
        let start = usize::try_from(order.u32(entry, 0x0c)?).ok()?;
        let length = usize::try_from(order.u32(entry, 0x10)?).ok()?;
        Some((kind, start..start.saturating_add(length)))
    })
}

/// The byte order of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Most significant byte first.
    Big,
    /// Least significant byte first.
    Little,
}

impl Order {
    /// The order of a record, which begins with the number 2.
    fn of(record: &[u8]) -> Option<Self> {
        match record {
            [0, 2, ..] => Some(Self::Big),
            [2, 0, ..] => Some(Self::Little),
            _ => None,
        }
    }

    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let number = bytes.get(at..)?.first_chunk().copied()?;
        Some(if self == Self::Big {
            u16::from_be_bytes(number)
        } else {
            u16::from_le_bytes(number)
        })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let number = bytes.get(at..)?.first_chunk().copied()?;
        Some(if self == Self::Big {
            u32::from_be_bytes(number)
        } else {
            u32::from_le_bytes(number)
        })
    }

    fn f64(self, bytes: &[u8], at: usize) -> Option<f64> {
        self.u32(bytes, at).map(|bits| f64::from(f32::from_bits(bits)))
    }
}

impl Recording {
    /// Reads the picture in `file`, which begins with its header, with what
    /// `object` knows in place of what is stated there; `path` is for errors.
    ///
    /// # Errors
    ///
    /// If the records are damaged, incomplete, contradict each other, or are
    /// of a kind that is not read here.
    pub fn read(file: &[u8], path: &Path, object: Object) -> Result<Self> {
        let damaged = |what: &str| Error::input(path, what);
        let (place, order) =
            directory(file).ok_or_else(|| damaged("its temperatures have a damaged header"))?;
        let listed = file.get(place.clone()).ok_or_else(|| {
            let what = format!(
                "the list of its records ends at byte {}, but they end at {}",
                place.end,
                file.len()
            );
            damaged(&what)
        })?;
        let record = |kind: u16, name: &str| {
            let (_, place) = entries(listed, order)
                .find(|entry| entry.0 == kind)
                .ok_or_else(|| damaged(&format!("has no record of its {name}")))?;
            // What is missing of the pixels shows when they are decoded.
            let end = if kind == RAW_DATA { place.end.min(file.len()) } else { place.end };
            let bytes = file.get(place.start..end).ok_or_else(|| {
                let end = file.len();
                let what =
                    format!("the record of its {name} is {place:?}, but the last ends at {end}");
                damaged(&what).hint("the file is cut short or damaged")
            })?;
            let order = Order::of(bytes)
                .ok_or_else(|| damaged(&format!("the record of its {name} is damaged")))?;
            Ok((bytes, order))
        };
        let (camera, camera_order) = record(CAMERA_INFO, "camera")?;
        let (raw, raw_order) = record(RAW_DATA, "pixels")?;
        let mut radiometry = radiometry(camera, camera_order).ok_or_else(|| {
            damaged(&format!("the record of its camera has only {} bytes", camera.len()))
        })?;
        radiometry.set(object);
        check(&radiometry, path)?;
        let (rows, columns, counts) = pixels(raw, raw_order, path)?;
        let seconds = camera_order.u32(camera, 0x384).unwrap_or(0);
        let milliseconds = camera_order.u32(camera, 0x388).unwrap_or(0) & 0xffff;
        Ok(Self {
            rows,
            columns,
            counts,
            radiometry,
            model: camera.get(0xd4..0xf4).and_then(text),
            time_s: f64::from(seconds) + f64::from(milliseconds) / 1000.0,
        })
    }
}

/// The constants in the record of a `camera`; none where it is too short.
fn radiometry(camera: &[u8], order: Order) -> Option<Radiometry> {
    let number = |at: usize| order.f64(camera, at);
    let humidity = number(0x3c)?;
    Some(Radiometry {
        planck: Planck {
            r1: number(0x58)?,
            r2: number(0x30c)?,
            b: number(0x5c)?,
            f: number(0x60)?,
            o: f64::from(order.u32(camera, 0x308)?.cast_signed()),
        },
        emissivity: number(0x20)?,
        distance_m: number(0x24)?,
        reflected_k: number(0x28)?,
        air_k: number(0x2c)?,
        window_k: number(0x30)?,
        window_transmission: number(0x34)?,
        // Some cameras write percent.
        humidity: if humidity > 2.0 { humidity / 100.0 } else { humidity },
        air: Air {
            alpha: [number(0x70)?, number(0x74)?],
            beta: [number(0x78)?, number(0x7c)?],
            x: number(0x80)?,
        },
    })
}

/// Refuses constants from which no temperature follows.
fn check(radiometry: &Radiometry, path: &Path) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::input(path, what)
            .hint("set it in the camera, or in FLIR's own program, and save the file again"))
    };
    let share = |value: f64| value > 0.0 && value <= 1.0;
    let Radiometry { emissivity, window_transmission, distance_m, planck, .. } = radiometry;
    if !share(*emissivity) {
        let what = format!("its emissivity is {emissivity}, not above 0 and at most 1");
        return Err(Error::input(path, what).hint("state that of what it shows: --emissivity 0.95"));
    }
    if !share(*window_transmission) {
        return refuse(format!(
            "the transmission of its window is {window_transmission}, not above 0 and at most 1"
        ));
    }
    if !(0.0..1e6).contains(distance_m) {
        return refuse(format!("the distance of its object is {distance_m} m"));
    }
    let Planck { r1, r2, b, .. } = planck;
    if ![r1, r2, b].iter().all(|&&constant| constant > 0.0 && constant.is_finite()) {
        let what = format!("its calibration is empty: R1 is {r1}, R2 is {r2}, B is {b}");
        return Err(Error::input(path, what)
            .hint("the camera measures no temperatures, or the file is damaged"));
    }
    Ok(())
}

/// Rows, columns and counts of a record of raw data.
fn pixels(record: &[u8], order: Order, path: &Path) -> Result<(usize, usize, Vec<u16>)> {
    let damaged = |what: String| Error::input(path, what);
    let size = |at: usize| order.u16(record, at).map(usize::from);
    let (Some(columns @ 1..), Some(rows @ 1..), Some(data)) =
        (size(2), size(4), record.get(PIXELS..))
    else {
        return Err(damaged("the record of its pixels is empty".to_string()));
    };
    let pixels = rows * columns;
    let what = format_args!("its {columns} x {rows} pixels take");
    check_size(path, pixels * size_of::<f32>(), what)?;
    let counts = if data.starts_with(PNG) {
        png(data, rows, columns, path)?
    } else if data.starts_with(JPEG_LS) {
        jpegls::decode(data, rows, columns)
            .map_err(|what| damaged(format!("its JPEG-LS pixels are damaged: {what}")))?
    } else {
        let bytes = data.get(..pixels * 2).ok_or_else(|| {
            damaged(format!(
                "its {columns} x {rows} pixels take {} bytes, but it holds {}",
                pixels * 2,
                data.len()
            ))
        })?;
        bytes
            .chunks_exact(2)
            .map(|pair| match order {
                Order::Big => u16::from_be_bytes([pair[0], pair[1]]),
                Order::Little => u16::from_le_bytes([pair[0], pair[1]]),
            })
            .collect()
    };
    Ok((rows, columns, counts))
}

/// The counts in the embedded PNG file `data`.
///
/// PNG stores the most significant byte first, and most cameras write the
/// other one first all the same. Nothing tells the order but the picture: in
/// the wrong one it is rougher by a factor of 100 or more.
fn png(data: &[u8], rows: usize, columns: usize, path: &Path) -> Result<Vec<u16>> {
    let damaged = |error: &dyn std::fmt::Display| {
        Error::input(path, format!("its pixels are damaged: {error}"))
    };
    let mut reader = ImageReader::with_format(std::io::Cursor::new(data), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_alloc = Some(LIMIT as u64);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| damaged(&e))?;
    let (width, height) = decoder.dimensions();
    if (width as usize, height as usize) != (columns, rows) {
        let what =
            format!("its camera says {columns} x {rows} pixels, but stored are {width} x {height}");
        return Err(Error::input(path, what).hint("the file was changed, or is only a sample"));
    }
    let bytes = rows * columns * 2;
    if bytes / DEFLATE > data.len() {
        let what = format!("its {columns} x {rows} pixels cannot lie in {} bytes", data.len());
        return Err(Error::input(path, what));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(|e| damaged(&e))?;
    let DynamicImage::ImageLuma16(image) = image else {
        let what = format!("stores pixels of the kind {:?}, not 16 bits of grey", image.color());
        return Err(Error::new(Fault::Unsupported, path.display(), what)
            .hint("export the temperatures as a 16-bit TIFF"));
    };
    let stored = image.into_raw();
    let swapped: Vec<u16> = stored.iter().map(|count| count.swap_bytes()).collect();
    let as_stored = roughness(&stored, columns) < roughness(&swapped, columns);
    Ok(if as_stored { stored } else { swapped })
}

/// The sum of all steps between neighbours in a row.
fn roughness(counts: &[u16], columns: usize) -> u64 {
    let row =
        |row: &[u16]| row.windows(2).map(|pair| u64::from(pair[0].abs_diff(pair[1]))).sum::<u64>();
    counts.chunks_exact(columns).map(row).sum()
}

/// The text in a field that NUL ends; none where it says nothing. What could
/// steer a terminal is left out.
fn text(field: &[u8]) -> Option<String> {
    let letters = field.iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte));
    let text: String = letters.filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    let text = text.trim();
    (!matches!(text, "" | "*")).then(|| text.to_owned())
}
