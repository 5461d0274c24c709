//! Pages of a TIFF file that only GDAL can decode: compressed by Zstandard or
//! LERC, numbers of 12 bits, colours as JPEG stores them.

use super::Raster;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::profile::Profile;
use crate::sensor::{Sensor, Source, count};
use crate::synth::SLOT_S;

/// A TIFF file as a sequence of frames, one for each page, opened one by one.
#[derive(Debug)]
pub struct Pages {
    path: String,
    profile: Option<Profile>,
    source: Source,
    /// Where the pages stand among the directories of the file, from 0.
    directories: Vec<usize>,
    delivered: usize,
}

impl Pages {
    /// Opens the pages in these `directories`, counted from 0, of the TIFF file
    /// at `path`.
    ///
    /// # Errors
    ///
    /// If there is none, or GDAL cannot open the first one, or it has another
    /// number of bands than `profile`.
    pub fn open(path: &str, directories: Vec<usize>, profile: Option<&Profile>) -> Result<Self> {
        let first = *directories.first().ok_or_else(|| Error::input(path, "holds no page"))?;
        let source = page(path, first, profile)?.source().clone();
        let Source { bands, rows, columns, .. } = &source;
        let (pages, each) = (directories.len(), count(bands.len(), "band"));
        let source = Source {
            description: format!(
                "{path}: TIFF, {pages} pages of {each}, {columns} x {rows} pixels"
            ),
            frames: Some(pages),
            driver: None,
            ..source
        };
        let (path, profile) = (path.to_owned(), profile.cloned());
        Ok(Self { path, profile, source, directories, delivered: 0 })
    }

    fn read(&self, directory: usize) -> Result<Frame> {
        let raster = page(&self.path, directory, self.profile.as_ref())?;
        let (found, first) = (raster.source(), &self.source);
        let same = (found.rows, found.columns, found.bands.len())
            == (first.rows, first.columns, first.bands.len());
        if !same {
            let size = |source: &Source| {
                let bands = count(source.bands.len(), "band");
                format!("{} x {} pixels of {bands}", source.columns, source.rows)
            };
            let what =
                format!("page {} is {}, but page 1 is {}", directory + 1, size(found), size(first));
            return Err(Error::input(&self.path, what)
                .hint("all pages of a sequence need the same size and bands"));
        }
        let frame = raster
            .read(0, 0, first.rows, first.columns)
            .map_err(|error| named(&self.path, directory, &error))?;
        Ok(Frame { time_s: self.delivered as f64 * SLOT_S, bands: first.bands.clone(), ..frame })
    }
}

impl Iterator for Pages {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.read(*self.directories.get(self.delivered)?);
        self.delivered += 1;
        if frame.is_err() {
            self.directories.clear();
        }
        Some(frame)
    }
}

impl Sensor for Pages {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// The page in `directory` of the TIFF file at `path`, which GDAL counts from 1.
fn page(path: &str, directory: usize, profile: Option<&Profile>) -> Result<Raster> {
    let name = format!("GTIFF_DIR:{}:{path}", directory + 1);
    Raster::open(&name, profile).map_err(|error| named(path, directory, &error))
}

/// `error` about a page, with the name of its file instead of GDAL's.
fn named(path: &str, directory: usize, error: &Error) -> Error {
    let said = error.to_string();
    let what = said.split_once(&format!("{path}: ")).map_or(said.as_str(), |(_, what)| what);
    Error::new(error.fault, path, format!("page {}: {what}", directory + 1))
        .hint("it is damaged, or stored in a way that GDAL does not decode here")
}
