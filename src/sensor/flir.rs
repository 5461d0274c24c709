//! Temperatures from FLIR's cameras: radiometric JPEG files, and the files
//! FFF, SEQ and CSQ that its programs and cameras write.

mod jpegls;
mod radiometry;
mod records;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::Array3;

use self::records::{HEADER, Recording};
use super::jpeg::{self, Thermal};
use super::{Object, Sensor, Source, check_size, count, reconcile};
use crate::error::{Error, Result};
use crate::frame::{Band, CELSIUS_ZERO_K, Frame, Unit};
use crate::profile::Profile;
use crate::synth::SLOT_S;

/// What [`Source::driver`] says of files read here.
const DRIVER: &str = "FLIR";

/// The temperatures in a file of FLIR's: one picture, or a sequence at the
/// times of the camera's clock.
///
/// Each count becomes a temperature by the camera's own calibration, and by
/// the emissivity, distance, air and surroundings that the file states, with
/// the formulas of Thermimage (R/raw2temp.R). The visible picture in such a
/// file is not looked at.
#[derive(Debug)]
pub struct Flir {
    path: PathBuf,
    object: Object,
    source: Source,
    /// The first frame, which was read when the file was opened.
    ready: Option<Frame>,
    /// Where the other frames lie in the file.
    rest: VecDeque<Range<u64>>,
    /// What is wrong behind the last of them.
    end: Option<Error>,
    /// By the camera's clock.
    first_s: f64,
    delivered: usize,
}

impl Flir {
    /// Opens the file at `path` and reads its first picture. What `object`
    /// knows takes the place of what the file states.
    ///
    /// # Errors
    ///
    /// If it is no file of FLIR's, damaged, stored in a way that is not read
    /// here, or `profile` lists other bands than one of temperatures.
    pub fn open(path: impl AsRef<Path>, profile: Option<&Profile>, object: Object) -> Result<Self> {
        let path = path.as_ref();
        let bands = bands(path, profile)?;
        let (first, places, end) = match Thermal::of(path) {
            Some(Thermal::Flir) => {
                (Recording::read(&jpeg::flir_records(path)?, path, object)?, VecDeque::new(), None)
            }
            _ => {
                let mut file = File::open(path).map_err(|e| Error::input(path, e))?;
                let (mut places, mut end) = places(&mut file, path)?;
                let Some(place) = places.pop_front() else {
                    return Err(end.take().unwrap_or_else(|| Error::input(path, "holds no frame")));
                };
                (Recording::read(&bytes(&mut file, place, path)?, path, object)?, places, end)
            }
        };
        let mut flir = Self {
            source: Source {
                driver: Some(DRIVER.to_owned()),
                model: first.model.clone(),
                bands,
                rows: first.rows,
                columns: first.columns,
                frames: end.is_none().then_some(places.len() + 1),
                ..Source::of(describe(path, &first, places.len() + 1, object))
            },
            path: path.to_owned(),
            object,
            ready: None,
            first_s: first.time_s,
            rest: places,
            end,
            delivered: 0,
        };
        flir.source.period_s = flir.period_s();
        flir.ready = Some(flir.frame(first)?);
        Ok(flir)
    }

    /// How many frames the file at `path` holds; none where that cannot be
    /// told.
    pub(super) fn frames_in(path: &Path) -> Option<usize> {
        let (places, end) = places(&mut File::open(path).ok()?, path).ok()?;
        end.is_none().then_some(places.len())
    }

    /// Mean seconds between the frames of a sequence, where the clock ran.
    fn period_s(&self) -> Option<f64> {
        // Where the last frame is damaged, those before it are read all the same.
        let last = self.recording(self.rest.back()?.clone()).ok()?;
        let elapsed_s = last.time_s - self.first_s;
        (elapsed_s > 0.0).then(|| elapsed_s / self.rest.len() as f64)
    }

    /// Reads the records at `place`.
    fn recording(&self, place: Range<u64>) -> Result<Recording> {
        let mut file = File::open(&self.path).map_err(|e| Error::input(&self.path, e))?;
        Recording::read(&bytes(&mut file, place, &self.path)?, &self.path, self.object)
    }

    /// The temperatures of `recording`, in the unit of the band.
    fn frame(&self, recording: Recording) -> Result<Frame> {
        let Recording { rows, columns, counts, radiometry, time_s, .. } = recording;
        if (rows, columns) != (self.source.rows, self.source.columns) {
            let what = format!(
                "frame {} is {columns} x {rows} pixels, but the first is {} x {}",
                self.delivered + 1,
                self.source.columns,
                self.source.rows
            );
            return Err(Error::input(&self.path, what));
        }
        let (lowest, highest) = counts
            .iter()
            .fold((u16::MAX, 0), |(low, high), &count| (count.min(low), count.max(high)));
        let table: Vec<f32> = radiometry.celsius(lowest..=highest).collect();
        let zero = match self.source.bands[0].unit {
            Unit::Kelvin => CELSIUS_ZERO_K as f32,
            _ => 0.0,
        };
        let values = counts.iter().map(|&count| table[usize::from(count - lowest)] + zero);
        let data = Array3::from_shape_vec((1, rows, columns), values.collect())
            .map_err(|e| Error::input(&self.path, e))?;
        if data.iter().all(|value| value.is_nan()) {
            let what = format!("its counts {lowest}..{highest} have no temperature");
            return Err(
                Error::input(&self.path, what).hint("its calibration or its settings are damaged")
            );
        }
        let time_s = match self.source.period_s {
            Some(_) => time_s - self.first_s,
            None => self.delivered as f64 * SLOT_S,
        };
        Ok(Frame::new(data, self.source.bands.clone(), time_s))
    }
}

impl Iterator for Flir {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = match self.ready.take() {
            Some(frame) => Ok(frame),
            None => match self.rest.pop_front() {
                Some(place) => self.recording(place).and_then(|found| self.frame(found)),
                None => return self.end.take().map(Err),
            },
        };
        self.delivered += 1;
        if frame.is_err() {
            self.rest.clear();
            self.end = None;
        }
        Some(frame)
    }
}

impl Sensor for Flir {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// The one band of such a file, in degrees Celsius or as `profile` has it.
fn bands(path: &Path, profile: Option<&Profile>) -> Result<Arc<[Band]>> {
    let found = vec![Band::new("thermal", Unit::Celsius)];
    let bands = reconcile(&path.to_string_lossy(), found, profile)?;
    let unit = bands[0].unit;
    if !matches!(unit, Unit::Celsius | Unit::Kelvin) {
        let name = profile.map_or("", |profile| &profile.name);
        let what = format!("holds temperatures, but the sensor profile {name} lists {unit}");
        return Err(Error::usage(path.display(), what)
            .hint("choose a profile of temperatures with --sensor, such as generic-rjpeg"));
    }
    // The counts are turned by the file's own calibration, whatever scale the
    // profile has for other files.
    Ok(bands.iter().map(|band| Band { scale: 1.0, offset: 0.0, ..band.clone() }).collect())
}

/// What the file says of itself and of what it was set to; what the user says
/// in its place is marked so.
fn describe(path: &Path, first: &Recording, frames: usize, object: Object) -> String {
    let given = |value: Option<f64>| if value.is_some() { " (given)" } else { "" };
    let Recording { rows, columns, radiometry, .. } = first;
    let camera = first.model.as_deref().unwrap_or("camera unnamed");
    format!(
        "{}: {}, {camera}, {columns} x {rows} pixels, emissivity {:.2}{}, distance {:.1} m{}, air \
         {:.1} degC, humidity {:.0} %, reflected {:.1} degC{}",
        path.display(),
        count(frames, "radiometric picture"),
        radiometry.emissivity,
        given(object.emissivity),
        radiometry.distance_m,
        given(object.distance_m),
        radiometry.air_k - CELSIUS_ZERO_K,
        100.0 * radiometry.humidity,
        radiometry.reflected_k - CELSIUS_ZERO_K,
        given(object.reflected_c),
    )
}

/// Where each picture of a sequence lies, which follow each other without a
/// gap, and what is wrong behind the last.
fn places(file: &mut File, path: &Path) -> Result<(VecDeque<Range<u64>>, Option<Error>)> {
    let end = file.metadata().map_err(|e| Error::input(path, e))?.len();
    let (mut places, mut start) = (VecDeque::new(), 0);
    while start < end {
        match extent(file, start, end) {
            Ok(Some(next)) if next <= end || is_whole(file, start..end, path) => {
                places.push_back(start..next.min(end));
            }
            Ok(_) => {
                let what = format!(
                    "ended after {}: the next one, from byte {start} on, is cut short or damaged",
                    count(places.len(), "frame")
                );
                return Ok((places, Some(Error::input(path, what))));
            }
            Err(error) => return Err(Error::input(path, error)),
        }
        start = places.back().map_or(end, |place| place.end);
    }
    Ok((places, None))
}

/// Whether the picture at `place` can be read though its records claim more
/// bytes: some programs leave out the filling behind the last one.
fn is_whole(file: &mut File, place: Range<u64>, path: &Path) -> bool {
    bytes(file, place, path)
        .is_ok_and(|bytes| Recording::read(&bytes, path, Object::default()).is_ok())
}

/// Where the file of records that begins at `start` ends, by its directory;
/// none where there is no such file. `end` is that of the whole file.
fn extent(file: &mut File, start: u64, end: u64) -> std::io::Result<Option<u64>> {
    let mut read = |from: usize, length: usize| {
        let from = start + from as u64;
        let mut bytes = Vec::new();
        if from + length as u64 <= end {
            file.seek(SeekFrom::Start(from))?;
            file.take(length as u64).read_to_end(&mut bytes)?;
        }
        Ok::<_, std::io::Error>(bytes)
    };
    let header = read(0, HEADER)?;
    let Some((place, order)) = records::directory(&header) else { return Ok(None) };
    let directory = read(place.start, place.len())?;
    if directory.len() < place.len() {
        return Ok(None);
    }
    let last = records::entries(&directory, order).map(|entry| entry.1.end).max();
    Ok(Some(start + place.end.max(last.unwrap_or(0)) as u64))
}

/// The bytes of `file` at `place`.
fn bytes(file: &mut File, place: Range<u64>, path: &Path) -> Result<Vec<u8>> {
    let length = place.end - place.start;
    check_size(path, length as usize, "a frame takes")?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(place.start))
        .and_then(|_| file.take(length).read_to_end(&mut bytes))
        .map_err(|e| Error::input(path, e))?;
    Ok(bytes)
}
