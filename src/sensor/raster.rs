//! Rasters of any number of bands, in any format that GDAL reads.
//!
//! GDAL counts bands from 1 and sizes as (columns, rows); neither leaves this
//! module. Scale and offset, missing readings (nodata, masks, alpha) and the
//! wavelengths are resolved here: a [`Frame`] holds physical values and NaN.

mod bands;
mod chips;
pub(crate) mod library;

use std::path::Path;

use gdal::raster::{GdalDataType, RasterBand};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags, Metadata};
use ndarray::{Array3, ArrayViewMut3, s};

use crate::error::{Error, Fault, Result};
use crate::frame::{Frame, GeoReference};
use crate::profile::Profile;
use crate::sensor::{LIMIT, Sensor, Source, count};
use bands::{Layer, Layers, Shared};
pub use chips::Chips;

/// How much of a window is decoded between two looks at the error list, in
/// bytes: a part of the block cache, so that the blocks of files whose bands
/// are interleaved by pixel stay in it until the last band is read.
const STEP: usize = library::CACHE / 4;

/// A raster file, opened and checked.
///
/// As a [`Sensor`] it is one picture, the whole raster; [`Raster::chips`]
/// tiles it instead, and [`Raster::read`] reads any window.
#[derive(Debug)]
pub struct Raster {
    dataset: Dataset,
    path: String,
    source: Source,
    georeference: Option<GeoReference>,
    layers: Vec<Layer>,
    shared_mask: Option<Shared>,
    /// Rows and columns of the blocks that the file is stored in.
    block: (usize, usize),
    /// Bytes of a pixel as stored, over all bands of the frame.
    stored_bytes: usize,
    /// Whether the sensor has delivered its picture.
    delivered: bool,
}

impl Raster {
    /// Opens the raster at `path`, a file or anything else that GDAL opens by
    /// name (`/vsizip/scenes.zip/a.tif`, `NETCDF:"a.nc":reflectance`).
    ///
    /// Bands are named and measured by the file, and by `profile` where the
    /// file is silent; `stored * scale + offset` is applied, by the file's
    /// numbers or else by the profile's. Bands that the file marks bad are
    /// left out, and so are those that a profile which names the others does
    /// not list; the source's description counts them. An alpha band is a
    /// mask, not a band.
    ///
    /// # Errors
    ///
    /// If the file is missing, damaged, without bands (a container of other
    /// rasters, whose names the hint gives), of complex numbers, stored in
    /// blocks above 1 GiB, or has another number of bands than `profile`.
    pub fn open(path: impl AsRef<Path>, profile: Option<&Profile>) -> Result<Self> {
        let path = path.as_ref().to_string_lossy().into_owned();
        let dataset = library::call(Fault::Input, &path, || {
            let dataset = Dataset::open_ex(
                &path,
                DatasetOptions {
                    open_flags: GdalOpenFlags::GDAL_OF_RASTER
                        | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
                    ..DatasetOptions::default()
                },
            )?;
            // Tags that cannot be read are no harm if the pixels can.
            library::forgive();
            Ok(dataset)
        })?;
        check(&dataset, &path)?;
        let Layers { shown, shared_mask, left_out } = bands::layers(&dataset, &path, profile)?;
        let (columns, rows) = dataset.raster_size();
        let driver = dataset.driver().short_name();
        let mut what = format!("{path}: {driver}, {}", count(shown.len(), "band"));
        if left_out > 0 {
            what.push_str(&format!(" and {left_out} left out"));
        }
        let source = Source {
            description: format!("{what}, {columns} x {rows} pixels"),
            driver: Some(driver),
            model: None,
            bands: shown.iter().map(|layer| layer.band.clone()).collect(),
            rows,
            columns,
            frames: Some(1),
            period_s: None,
            scene: None,
        };
        let (block, stored_bytes) = library::call(Fault::Input, &path, || {
            let stored = shown.iter().map(|layer| dataset.rasterband(layer.index));
            let bytes = stored.map(|band| Ok(usize::from(band?.band_type().bytes())));
            let block = dataset.rasterband(1)?.block_size();
            Ok((block, bytes.sum::<gdal::errors::Result<usize>>()?))
        })?;
        let block = (block.1.max(1), block.0.max(1));
        let georeference = georeference(&dataset, &path);
        let raster = Self {
            dataset,
            path,
            source,
            georeference,
            layers: shown,
            shared_mask,
            block,
            stored_bytes,
            delivered: false,
        };
        raster.check_blocks()?;
        Ok(raster)
    }

    /// Rows of the whole raster.
    pub fn rows(&self) -> usize {
        self.source.rows
    }

    /// Columns of the whole raster.
    pub fn columns(&self) -> usize {
        self.source.columns
    }

    /// Where the whole raster lies, if it has both a transform and a
    /// coordinate reference system.
    pub fn georeference(&self) -> Option<&GeoReference> {
        self.georeference.as_ref()
    }

    /// The window of `rows` by `columns` whose upper left pixel is at (`row`,
    /// `column`), with its position and geo-reference.
    ///
    /// # Errors
    ///
    /// If the window is empty or reaches beyond the raster, takes more than
    /// 1 GiB, or cannot be decoded: a failure that GDAL reports while it reads
    /// is an error even where it delivers pixels.
    pub fn read(&self, row: usize, column: usize, rows: usize, columns: usize) -> Result<Frame> {
        let inside = |start: usize, length: usize, size: usize| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= size)
        };
        if !(inside(row, rows, self.rows()) && inside(column, columns, self.columns())) {
            let what = format!(
                "the window of {rows} x {columns} pixels at row {row}, column {column} \
                 is not inside {} x {}",
                self.rows(),
                self.columns()
            );
            return Err(Error::usage(&self.path, what));
        }
        let bytes = self.bytes(rows, columns);
        if bytes > LIMIT {
            let what = format!(
                "{} of {rows} x {columns} pixels take {} MiB, more than the {} MiB read at once",
                count(self.layers.len(), "band"),
                bytes >> 20,
                LIMIT >> 20
            );
            return Err(Error::input(&self.path, what).hint(
                "read it as a scene, chip by chip: choose a profile whose source is `scene`",
            ));
        }
        let mut data = Array3::from_elem((self.layers.len(), rows, columns), f32::NAN);
        let (row_step, column_step) = self.steps(columns);
        for (top, height) in pieces(row, rows, row_step) {
            for (left, width) in pieces(column, columns, column_step) {
                let (r, c) = (top - row, left - column);
                let window = Window { row: top, column: left, rows: height, columns: width };
                let part = data.slice_mut(s![.., r..r + height, c..c + width]);
                library::call(Fault::Input, &self.path, || self.fill(window, part))
                    .map_err(|e| e.hint("the file is damaged or incomplete: fetch it again"))?;
            }
        }
        let mut frame = Frame::new(data, self.source.bands.clone(), 0.0);
        frame.position = (row, column);
        frame.georeference = self.georeference_at(row, column);
        Ok(frame)
    }

    /// The raster as a scene of square chips of `chip` pixels; see [`Chips`].
    pub fn chips(self, chip: usize) -> Chips {
        Chips::new(self, chip)
    }

    /// Bytes of a frame of `rows` by `columns`.
    fn bytes(&self, rows: usize, columns: usize) -> usize {
        let pixels = rows.saturating_mul(columns);
        pixels.saturating_mul(self.layers.len()).saturating_mul(size_of::<f32>())
    }

    /// The geo-reference of a window at (`row`, `column`).
    fn georeference_at(&self, row: usize, column: usize) -> Option<GeoReference> {
        Some(self.georeference.as_ref()?.window(row as f64, column as f64))
    }

    /// Refuses files whose smallest readable piece does not fit in memory.
    fn check_blocks(&self) -> Result<()> {
        let (rows, columns) = self.block;
        let bytes = rows.saturating_mul(columns).saturating_mul(self.stored_bytes);
        let by_pixel = self.dataset.metadata_item("INTERLEAVE", "IMAGE_STRUCTURE");
        let together = by_pixel.is_some_and(|interleave| interleave == "PIXEL");
        let bytes = if together { bytes } else { bytes / self.layers.len().max(1) };
        if bytes <= LIMIT {
            return Ok(());
        }
        let what = format!(
            "is stored in blocks of {rows} x {columns} pixels, {} MiB each, more than {} MiB",
            bytes >> 20,
            LIMIT >> 20
        );
        Err(Error::input(&self.path, what)
            .hint("`gdal_translate -co TILED=YES` makes them smaller"))
    }

    /// Rows and columns of the pieces in which a window of `columns` is read:
    /// whole blocks, as many as [`STEP`] bytes hold, or one.
    fn steps(&self, columns: usize) -> (usize, usize) {
        let (block_rows, block_columns) = self.block;
        let pixels = STEP / (self.stored_bytes + size_of::<f64>());
        let whole = |limit: usize, block: usize| (limit / block).max(1) * block;
        let column_step = whole((pixels / block_rows).min(columns + block_columns), block_columns);
        (whole(pixels / column_step, block_rows), column_step)
    }

    /// Fills `data` (`[band, row, column]`) with the readings of `window`.
    fn fill(&self, window: Window, mut data: ArrayViewMut3<f32>) -> gdal::errors::Result<()> {
        let shared = match self.shared_mask {
            None => None,
            Some(Shared::Alpha(index)) => Some(window.stored(&self.dataset.rasterband(index)?)?),
            Some(Shared::MaskOf(index)) => {
                Some(window.stored(&self.dataset.rasterband(index)?.open_mask_band()?)?)
            }
        };
        for (layer, mut plane) in self.layers.iter().zip(data.outer_iter_mut()) {
            let band = self.dataset.rasterband(layer.index)?;
            let own =
                if layer.own_mask { Some(window.stored(&band.open_mask_band()?)?) } else { None };
            for (cell, stored) in plane.iter_mut().zip(window.stored(&band)?) {
                *cell = layer.reading(stored);
            }
            for mask in [&shared, &own].into_iter().flatten() {
                for (cell, _) in plane.iter_mut().zip(mask).filter(|&(_, &mask)| mask == 0.0) {
                    *cell = f32::NAN;
                }
            }
        }
        Ok(())
    }
}

impl Iterator for Raster {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::replace(&mut self.delivered, true) {
            return None;
        }
        Some(self.read(0, 0, self.rows(), self.columns()))
    }
}

impl Sensor for Raster {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// A part of a raster.
#[derive(Clone, Copy)]
struct Window {
    row: usize,
    column: usize,
    rows: usize,
    columns: usize,
}

impl Window {
    /// The stored numbers of `band` here, row by row.
    fn stored(self, band: &RasterBand) -> gdal::errors::Result<Vec<f64>> {
        let corner = (self.column.try_into()?, self.row.try_into()?);
        let size = (self.columns, self.rows);
        let mut stored = vec![0.0; self.rows * self.columns];
        band.read_into_slice(corner, size, size, &mut stored, None)?;
        Ok(stored)
    }
}

/// Cuts `start..start + length` at the multiples of `step`: (start, length)
/// of each piece.
fn pieces(start: usize, length: usize, step: usize) -> impl Iterator<Item = (usize, usize)> {
    let end = start + length;
    let cut = move |from: usize| ((from / step + 1) * step).min(end);
    std::iter::successors(Some(start), move |&from| Some(cut(from)))
        .take_while(move |&from| from < end)
        .map(move |from| (from, cut(from) - from))
}

/// Refuses what opens, but is no picture.
fn check(dataset: &Dataset, path: &str) -> Result<()> {
    let bands = dataset.raster_count();
    if bands == 0 {
        let parts = dataset.metadata_domain("SUBDATASETS").unwrap_or_default();
        let names: Vec<&str> = parts
            .iter()
            .filter_map(|part| part.split_once("_NAME=").map(|(_, name)| name))
            .collect();
        let error = Error::input(path, "has no bands of its own");
        return Err(match names[..] {
            [] => error.hint("it is no picture: choose another file"),
            _ => error.hint(format!("name one of the rasters inside it: {}", names.join(", "))),
        });
    }
    // Files of the EMIT instrument are stored by scan line; GDAL learned in
    // 3.8 to show their spectral axis as bands.
    let extra = dataset.metadata_item("NETCDF_DIM_EXTRA", "").unwrap_or_default();
    if extra.contains("downtrack") {
        let what = "its bands would be scan lines with this version of GDAL";
        return Err(Error::new(Fault::Unsupported, path, what)
            .hint("use GDAL 3.8 or later, or convert the file with it"));
    }
    let complex = library::call(Fault::Input, path, || {
        let mut types = (1..=bands).map(|index| Ok(dataset.rasterband(index)?.band_type()));
        let known =
            |kind: &gdal::errors::Result<GdalDataType>| !matches!(kind, Ok(GdalDataType::Unknown));
        Ok(types.position(|kind| !known(&kind)))
    })?;
    match complex {
        None => Ok(()),
        Some(position) => {
            let what = format!("band {} holds complex numbers", position + 1);
            Err(Error::new(Fault::Unsupported, path, what)
                .hint("convert it to its magnitude first: `gdal_calc.py --calc=\"abs(A)\"`"))
        }
    }
}

/// Where `dataset` lies: its transform and coordinate reference system, if it
/// has both. A transform that folds the plane is none.
fn georeference(dataset: &Dataset, path: &str) -> Option<GeoReference> {
    let read = || Ok((dataset.geo_transform()?, dataset.projection()));
    let (transform, crs_wkt) = library::call(Fault::Input, path, read).ok()?;
    let area = transform[1] * transform[5] - transform[2] * transform[4];
    let sound = transform.iter().all(|t| t.is_finite()) && area.is_finite() && area != 0.0;
    (sound && !crs_wkt.is_empty()).then_some(GeoReference { transform, crs_wkt })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_at_block_borders_and_cover_everything() {
        let cut: Vec<_> = pieces(5, 20, 8).collect();
        assert_eq!(cut, [(5, 3), (8, 8), (16, 8), (24, 1)]);
        assert_eq!(pieces(8, 8, 8).collect::<Vec<_>>(), [(8, 8)]);
        assert_eq!(pieces(0, 3, 100).collect::<Vec<_>>(), [(0, 3)]);
    }
}
