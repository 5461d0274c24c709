//! Pictures of one thing at several times, kept as bands of one raster: a
//! variable of a NetCDF file along an axis of time, or a field of a GRIB file
//! for several times.

use std::fs::File;
use std::io::Read;

use gdal::raster::RasterBand;
use gdal::{Dataset, Metadata};

use super::{Raster, bands, library};
use crate::error::{Fault, Result};
use crate::frame::{Band, Frame};
use crate::profile::Profile;
use crate::sensor::{Sensor, Source, count};
use crate::synth::SLOT_S;

/// What programs call an axis of time.
const TIMES: [&str; 8] =
    ["time", "t", "date", "valid_time", "time_counter", "frame", "frames", "step"];

/// The frames of a raster whose bands are the same at several times, in their
/// order.
#[derive(Debug)]
pub struct Series {
    /// The raster of one band, which is the next one in turn.
    raster: Raster,
    source: Source,
    delivered: usize,
}

impl Series {
    /// Opens the raster at `path` as pictures at several times, if it is that.
    ///
    /// # Errors
    ///
    /// If it is, and cannot be opened, or `profile` lists several bands.
    pub fn open(path: &str, profile: Option<&Profile>) -> Result<Option<Self>> {
        if !may_be_one(path) {
            return Ok(None);
        }
        // What cannot be opened says so when its picture is wanted.
        let found = library::call(Fault::Input, path, || {
            let found = times(&Dataset::open(path)?);
            library::forgive();
            Ok(found)
        });
        let Some((name, times)) = found.ok().flatten().filter(|found| found.1 > 1) else {
            return Ok(None);
        };
        let raster = Raster::of_file(path.to_owned(), Some(1), profile)?;
        let mut source = raster.source.clone();
        if let ([band], None) = (&source.bands[..], profile.and_then(Profile::listed_bands)) {
            source.bands = [Band { name, ..band.clone() }].into();
        }
        source.description.push_str(&format!(", at {}", count(times, "time")));
        source.frames = Some(times);
        Ok(Some(Self { raster, source, delivered: 0 }))
    }
}

/// Whether the file at `path` is of a kind that has axes of time.
fn may_be_one(path: &str) -> bool {
    let mut head = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok();
    let named = |kind: &str| path.get(..kind.len()).is_some_and(|p| p.eq_ignore_ascii_case(kind));
    let known = head.starts_with(b"CDF") || head == *b"\x89HDF" || head == *b"GRIB";
    (read && known) || named("NETCDF:")
}

/// What the bands of `dataset` show, and at how many times, if they differ in nothing
/// else.
fn times(dataset: &Dataset) -> Option<(String, usize)> {
    let all = dataset.raster_count();
    let mut found = Vec::with_capacity(all);
    for index in 1..=all {
        found.push(moment(&dataset.rasterband(index).ok()?)?);
    }
    let same = found.windows(2).all(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1);
    same.then(|| found.pop()).flatten().map(|(shown, _)| (shown, all))
}

/// What `band` shows, and when; `None` where it has no time, or lies on other axes
/// too.
fn moment(band: &RasterBand) -> Option<(String, String)> {
    let item = |key: &str| band.metadata_item(key, "");
    if let Some(time) = item("GRIB_VALID_TIME") {
        let shown = item("GRIB_ELEMENT")? + " " + &item("GRIB_SHORT_NAME")?;
        return Some((shown, time));
    }
    match &bands::axes(band)[..] {
        [(axis, value)] if TIMES.contains(&axis.to_ascii_lowercase().as_str()) => {
            Some((item("NETCDF_VARNAME").unwrap_or_default(), value.clone()))
        }
        _ => None,
    }
}

impl Iterator for Series {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.delivered >= self.source.frames? {
            return None;
        }
        self.delivered += 1;
        for layer in &mut self.raster.layers {
            layer.index = self.delivered;
        }
        let frame = self.raster.read(0, 0, self.source.rows, self.source.columns);
        if frame.is_err() {
            self.source.frames = None;
        }
        let time_s = (self.delivered - 1) as f64 * SLOT_S;
        let bands = self.source.bands.clone();
        Some(frame.map(|frame| Frame { time_s, bands, ..frame }))
    }
}

impl Sensor for Series {
    fn source(&self) -> &Source {
        &self.source
    }
}
