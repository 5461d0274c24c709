//! One file of a raster, and how its pixels lie under the raster's grid.

use gdal::cpl::CslStringList;
use gdal::raster::{RasterBand, ResampleAlg};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags, Metadata};
use ndarray::{Array2, s};

use super::arrays::{self, ArrayName, Axes, Order};
use super::{length, library};
use crate::error::{Error, Fault, Result};
use crate::frame::GeoReference;
use crate::sensor::{LIMIT, check_size};

/// So many pixels of an overview are looked at each way, and so many of the raster.
const PROBE: usize = 32;
const PROBED: usize = 1024;
/// Means are at least such a share of them where it holds means.
const TRUE_SHARE: f64 = 0.95;

/// A file, opened.
#[derive(Debug)]
pub(super) struct Part {
    pub dataset: Dataset,
    pub path: String,
    pub rows: usize,
    pub columns: usize,
    /// Rows and columns of the blocks that the file is stored in.
    pub block: (usize, usize),
    pub georeference: Option<GeoReference>,
    /// Where the file's pixels lie under the grid; `None`: they are its own.
    fit: Option<Fit>,
    /// The array that is read, and its axes, where it is no raster.
    array: Option<(ArrayName, Axes)>,
}

/// The file's line under line `n` of the grid, for rows and for columns.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fit {
    rows: Lines,
    columns: Lines,
}

/// The middle of line `n` of the grid lies at `start + (n + 0.5) * step` in
/// lines of the file.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Lines {
    start: f64,
    step: f64,
}

impl Part {
    /// Opens the file at `path`, which is its own grid for now.
    ///
    /// # Errors
    ///
    /// If it is missing, damaged, or stored in blocks above 1 GiB.
    pub fn open(path: &str) -> Result<Self> {
        Self::open_with(path, &[])
    }

    /// The same file with pixels `step` times as large, if it has such an overview
    /// of all its pixels.
    pub fn reduced(&self, step: usize) -> Option<Self> {
        let size = (self.columns.div_ceil(step), self.rows.div_ceil(step));
        let band = self.dataset.rasterband(1).ok().filter(|_| self.array.is_none())?;
        let overviews = 0..usize::try_from(band.overview_count().ok()?).ok()?;
        let fits = |&index: &usize| band.overview(index).is_ok_and(|found| found.size() == size);
        let level = format!("OVERVIEW_LEVEL={}", overviews.into_iter().find(fits)?);
        let mut part = Self::open_with(&self.path, &[&level]).ok()?;
        let scale = step as f64;
        part.georeference = self.georeference.as_ref().map(|own| own.scaled(scale, scale));
        Some(part)
    }

    /// Opens the file at `path` with these options of its driver.
    fn open_with(path: &str, options: &[&str]) -> Result<Self> {
        let dataset = library::call(Fault::Input, path, || {
            let dataset = Dataset::open_ex(
                path,
                DatasetOptions {
                    open_flags: GdalOpenFlags::GDAL_OF_RASTER
                        | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
                    open_options: Some(options),
                    ..DatasetOptions::default()
                },
            )?;
            // Tags that cannot be read are no harm if the pixels can.
            library::forgive();
            Ok(dataset)
        })?;
        let (columns, rows) = dataset.raster_size();
        let mut part = Self {
            georeference: georeference(&dataset, path),
            path: path.to_owned(),
            block: (1, 1),
            fit: None,
            array: None,
            dataset,
            rows,
            columns,
        };
        if part.dataset.raster_count() > 0 {
            part.check_blocks()?;
            length::check(&part.dataset, path)?;
        }
        Ok(part)
    }

    /// Opens the array called `array` in the file at `path`.
    ///
    /// # Errors
    ///
    /// If the file is damaged, or has no such array.
    pub fn open_array(path: &str, array: &ArrayName) -> Result<Self> {
        let axes = arrays::axes(path, array)?.ok_or_else(|| {
            Error::input(path, format!("has no array {} of three axes", array.path))
        })?;
        let bytes = 2 * size_of::<f32>().saturating_mul(axes.bands);
        if bytes > LIMIT {
            let what = format!("has {} bands of {} MiB a pixel", axes.bands, bytes >> 20);
            return Err(Error::input(path, what).hint("the file is damaged: fetch it again"));
        }
        Ok(Self {
            dataset: arrays::open(path)?,
            path: path.to_owned(),
            rows: axes.rows,
            columns: axes.columns,
            block: (1, 1),
            georeference: None,
            fit: None,
            array: Some((array.clone(), axes)),
        })
    }

    /// Whether this is the file at `path`, and that array of it.
    pub fn is(&self, path: &str, array: Option<&ArrayName>) -> bool {
        self.path == path && self.array.as_ref().map(|(own, _)| own) == array
    }

    /// Bytes of a number of band `index` as stored; none for an array, whose
    /// bands are read together: see [`Part::cube_bytes`].
    ///
    /// # Errors
    ///
    /// If there is no such band.
    pub fn stored_bytes(&self, index: usize) -> gdal::errors::Result<usize> {
        match self.array {
            Some(_) => Ok(0),
            None => Ok(usize::from(self.dataset.rasterband(index)?.band_type().bytes())),
        }
    }

    /// Bytes that a pixel of an array takes while it is read, over all bands:
    /// as stored, and in order.
    pub fn cube_bytes(&self) -> usize {
        self.array.as_ref().map_or(0, |(_, axes)| 2 * size_of::<f32>() * axes.bands)
    }

    /// All numbers of an array in `window`, bands last, and their number;
    /// `None` for rasters. Read at once, because the bands of a pixel lie
    /// together in its file.
    pub fn cube(&self, window: Window) -> gdal::errors::Result<Option<(Vec<f32>, usize)>> {
        let Some((name, axes)) = &self.array else { return Ok(None) };
        let (rows, columns, bands) = (window.rows, window.columns, axes.bands);
        let mut numbers = vec![0.0f32; rows * columns * bands];
        let Some((group, array)) = arrays::group(&self.dataset, &name.path)? else {
            return Ok(None);
        };
        let array = group.open_md_array(array, CslStringList::new())?;
        let (row, column) = (window.row as u64, window.column as u64);
        if name.order == Order::BandsLast {
            array.read_into_slice(
                &mut numbers,
                vec![row, column, 0],
                vec![rows, columns, bands],
            )?;
            return Ok(Some((numbers, bands)));
        }
        array.read_into_slice(&mut numbers, vec![row, 0, column], vec![rows, bands, columns])?;
        let at = |pixel: usize, band: usize| {
            ((pixel / columns) * bands + band) * columns + pixel % columns
        };
        let turned = (0..rows * columns).flat_map(|p| (0..bands).map(move |b| (p, b)));
        Ok(Some((turned.map(|(pixel, band)| numbers[at(pixel, band)]).collect(), bands)))
    }

    /// Refuses files whose smallest readable piece does not fit in memory.
    fn check_blocks(&mut self) -> Result<()> {
        let count = self.dataset.raster_count();
        let (block, stored) = library::call(Fault::Input, &self.path, || {
            let band = self.dataset.rasterband(1)?;
            Ok((band.block_size(), band.band_type().bytes() as usize))
        })?;
        self.block = (block.1.max(1), block.0.max(1));
        let (rows, columns) = self.block;
        let by_pixel = self.dataset.metadata_item("INTERLEAVE", "IMAGE_STRUCTURE");
        let together = by_pixel.is_some_and(|interleave| interleave == "PIXEL");
        let bands = if together { count } else { 1 };
        let bytes = rows.saturating_mul(columns).saturating_mul(stored.saturating_mul(bands));
        let what =
            format_args!("is stored in blocks of {rows} x {columns} pixels, each of which takes");
        check_size(&self.path, bytes, what)
            .map_err(|error| error.hint("`gdal_translate -co TILED=YES` makes them smaller"))
    }

    /// The width of a pixel in units of the map, or the inverse of the number
    /// of columns where there is no map: the smaller, the finer.
    pub fn pixel(&self) -> f64 {
        match &self.georeference {
            Some(georeference) => georeference.transform[1].abs(),
            None => 1.0 / self.columns.max(1) as f64,
        }
    }

    /// Lays this file under the grid of `other`, by the map where both have
    /// one, else by their sizes: both then show the same area.
    ///
    /// Returns whether the two grids differ.
    ///
    /// # Errors
    ///
    /// If the maps are not of one projection, or turned against each other.
    pub fn lay_under(&mut self, other: &Part) -> Result<bool> {
        let lines =
            |own: usize, other: usize| Lines { start: 0.0, step: own as f64 / other as f64 };
        let fit = match (&self.georeference, &other.georeference) {
            (Some(own), Some(grid)) => fit(own, grid).ok_or_else(|| {
                let what = format!("is of another map projection than {}", other.path);
                Error::input(&self.path, what).hint("`gdalwarp` brings both to one projection")
            })?,
            _ => Fit {
                rows: lines(self.rows, other.rows),
                columns: lines(self.columns, other.columns),
            },
        };
        let own = Lines { start: 0.0, step: 1.0 };
        let same_size = (self.rows, self.columns) == (other.rows, other.columns);
        let same = same_size && fit == Fit { rows: own, columns: own };
        self.fit = (!same).then_some(fit);
        Ok(!same)
    }

    /// The stored numbers of band `index` in `window` of the grid, row by row:
    /// of the pixel that lies under the middle of each, NaN where there is
    /// none.
    pub fn stored(&self, index: usize, window: Window) -> gdal::errors::Result<Vec<f64>> {
        self.under(&self.dataset.rasterband(index)?, window)
    }

    /// The mask of band `index` there, likewise: 0 where there is no reading.
    pub fn mask(&self, index: usize, window: Window) -> gdal::errors::Result<Vec<f64>> {
        self.under(&self.dataset.rasterband(index)?.open_mask_band()?, window)
    }

    /// Whether the overviews of band `index`, if it has any, hold means, as far as
    /// the middle of the first one tells: GDAL's own tools take the nearest pixels
    /// unless they are asked otherwise, and files do not tell which they did.
    fn has_true_overviews(&self, index: usize, missing: &[f64]) -> gdal::errors::Result<bool> {
        let band = self.dataset.rasterband(index)?;
        if band.overview_count()? == 0 {
            return Ok(true);
        }
        let overview = band.overview(0)?;
        let factor = self.columns.div_ceil(overview.x_size().max(1)).max(1);
        let most = PROBE.min(PROBED / factor);
        let middle = |size: usize, own: usize| {
            let whole = size.min(own / factor);
            (whole.saturating_sub(most) / 2, whole.min(most))
        };
        let (row, rows) = middle(overview.y_size(), self.rows);
        let (column, columns) = middle(overview.x_size(), self.columns);
        let window = Window { row, column, rows, columns };
        let (told, fine) = (window.stored(&overview)?, self.fine(window, factor));
        let pixels = self.stored(index, fine)?;
        let rounding = if band.band_type().is_integer() { 0.51 } else { 0.0 };
        let (mut varied, mut means) = (0, 0);
        for (at, told) in told.into_iter().enumerate() {
            let (top, left) = (at / columns * factor, at % columns * factor);
            let lines = (top..top + factor).map(|row| row * fine.columns + left);
            let cell: Vec<f64> = lines.flat_map(|at| pixels[at..at + factor].to_vec()).collect();
            let low = cell.iter().copied().fold(f64::INFINITY, f64::min);
            let high = cell.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let whole = !cell.iter().any(|pixel| pixel.is_nan() || missing.contains(pixel));
            if whole && low < high {
                let mean = cell.iter().sum::<f64>() / cell.len() as f64;
                varied += 1;
                means += usize::from((told - mean).abs() <= rounding + 1e-3 * (high - low));
            }
        }
        Ok(varied > 0 && means as f64 >= TRUE_SHARE * varied as f64)
    }

    /// Whether GDAL itself knows that exactly the stored numbers `missing` of
    /// band `index` are no readings, so that it leaves them out of a mean that it
    /// computes well.
    pub fn knows(&self, index: usize, missing: &[f64]) -> bool {
        let (None, None, Ok(band)) = (&self.array, self.fit, self.dataset.rasterband(index)) else {
            return false;
        };
        if is_signed(&band) {
            return false;
        }
        // It rounds means to the stored type, of which a byte has few steps.
        let fine = band.band_type().bytes() > 1;
        let nodata = band.no_data_value();
        // Nothing that is no number but nodata may lie among floats.
        let numbers = band.band_type().is_integer() || nodata.is_some_and(f64::is_nan);
        let same = |(a, b): (&f64, f64)| *a == b || (a.is_nan() && b.is_nan());
        let known = missing.len() == nodata.iter().len() && missing.iter().zip(nodata).all(same);
        fine && numbers && known && self.has_true_overviews(index, missing).unwrap_or(false)
    }

    /// The means of `factor` by `factor` stored numbers of band `index`, as
    /// GDAL computes them, for a `window` that counts in such pixels.
    pub fn means(
        &self,
        index: usize,
        window: Window,
        factor: usize,
    ) -> gdal::errors::Result<Array2<f64>> {
        let band = self.dataset.rasterband(index)?;
        let mut means = Array2::zeros((window.rows, window.columns));
        for (top, rows) in cells(window.row, window.rows, self.rows / factor) {
            for (left, columns) in cells(window.column, window.columns, self.columns / factor) {
                let own = self.fine(Window { row: top, column: left, rows, columns }, factor);
                let corner = (own.column.try_into()?, own.row.try_into()?);
                let mut part = Array2::zeros((rows, columns));
                let Some(cells) = part.as_slice_mut() else { continue };
                let (from, to) = ((own.columns, own.rows), (columns, rows));
                band.read_into_slice(corner, from, to, cells, Some(ResampleAlg::Average))?;
                let (row, column) = (top - window.row, left - window.column);
                means.slice_mut(s![row..row + rows, column..column + columns]).assign(&part);
            }
        }
        Ok(means)
    }

    /// Computes those of `means` anew that are one of the numbers `missing`,
    /// because readings are, or because their mean happens to be.
    pub fn tell_apart(
        &self,
        index: usize,
        missing: &[f64],
        window: Window,
        factor: usize,
        means: &mut Array2<f64>,
    ) -> gdal::errors::Result<()> {
        if !means.iter().any(|mean| missing.contains(mean)) {
            return Ok(());
        }
        let fine = self.fine(window, factor);
        let stored = self.stored(index, fine)?;
        for ((row, column), mean) in means.indexed_iter_mut().filter(|c| missing.contains(c.1)) {
            let (top, left) = (row * factor, column * factor);
            let lines = top..(top + factor).min(fine.rows);
            let (mut sum, mut count) = (0.0, 0.0);
            for line in lines.map(|line| &stored[line * fine.columns..][..fine.columns]) {
                let cell = &line[left..(left + factor).min(fine.columns)];
                for number in cell.iter().filter(|number| !missing.contains(number)) {
                    (sum, count) = (sum + number, count + 1.0);
                }
            }
            // Without any, 0 / 0 is no number; a mean that happens to be one of
            // those that mean nothing moves out of its way.
            *mean = sum / count;
            if missing.contains(mean) {
                *mean = mean.next_up();
            }
        }
        Ok(())
    }

    /// The file's own pixels in a `window` that counts in pixels `factor`
    /// times as large.
    pub fn fine(&self, window: Window, factor: usize) -> Window {
        let (row, column) = (window.row * factor, window.column * factor);
        let rows = (window.rows * factor).min(self.rows - row);
        let columns = (window.columns * factor).min(self.columns - column);
        Window { row, column, rows, columns }
    }

    fn under(&self, band: &RasterBand, window: Window) -> gdal::errors::Result<Vec<f64>> {
        let Some(fit) = self.fit else { return window.stored(band) };
        let rows = fit.rows.under(window.row, window.rows, self.rows);
        let columns = fit.columns.under(window.column, window.columns, self.columns);
        let mut stored = vec![f64::NAN; window.rows * window.columns];
        let (Some((top, height)), Some((left, width))) = (span(&rows), span(&columns)) else {
            return Ok(stored);
        };
        let own = Window { row: top, column: left, rows: height, columns: width }.stored(band)?;
        for (line, row) in stored.chunks_exact_mut(window.columns).zip(&rows) {
            let Some(row) = row else { continue };
            let source = &own[(row - top) * width..][..width];
            for (cell, column) in line.iter_mut().zip(&columns) {
                if let Some(column) = column {
                    *cell = source[column - left];
                }
            }
        }
        Ok(stored)
    }
}

impl Lines {
    /// Lines of the file, which has `limit`, under `count` lines of the grid
    /// from `first`.
    fn under(self, first: usize, count: usize, limit: usize) -> Vec<Option<usize>> {
        (first..first + count)
            .map(|line| {
                // Borders that fall on a middle must not waver by rounding.
                let at = (self.start + (line as f64 + 0.5) * self.step + 1e-6).floor();
                (at >= 0.0 && at < limit as f64).then_some(at as usize)
            })
            .collect()
    }
}

/// Cuts `count` pixels from `first` after the first `whole` pixels of the
/// file, behind which lies one that is cut off by its edge: (first, count) of
/// both parts, if they have any.
fn cells(first: usize, count: usize, whole: usize) -> impl Iterator<Item = (usize, usize)> {
    let inside = count.min(whole.saturating_sub(first));
    [(first, inside), (first + inside, count - inside)].into_iter().filter(|&(_, count)| count > 0)
}

/// Whether the bytes of `band` are signed: versions of GDAL before 3.7 have no
/// such type, and say so beside it.
fn is_signed(band: &RasterBand) -> bool {
    let kind = band.metadata_item("PIXELTYPE", "IMAGE_STRUCTURE");
    kind.is_some_and(|kind| kind == "SIGNEDBYTE")
}

/// The first of `lines`, and how many lie from it to the last.
fn span(lines: &[Option<usize>]) -> Option<(usize, usize)> {
    let known = || lines.iter().flatten();
    let first = *known().min()?;
    Some((first, known().max()? - first + 1))
}

/// How the pixels of `own` lie under those of `grid`, if both are of one
/// projection and not turned.
fn fit(own: &GeoReference, grid: &GeoReference) -> Option<Fit> {
    let (a, b) = (&own.transform, &grid.transform);
    let upright = [a[2], a[4], b[2], b[4]].iter().all(|&turn| turn == 0.0);
    if !upright || own.crs_wkt != grid.crs_wkt {
        return None;
    }
    let lines = |at: usize, step: usize| Lines {
        start: (b[at] - a[at]) / a[step],
        step: b[step] / a[step],
    };
    Some(Fit { rows: lines(3, 5), columns: lines(0, 1) })
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

/// A part of a grid.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub row: usize,
    pub column: usize,
    pub rows: usize,
    pub columns: usize,
}

impl Window {
    /// The stored numbers of `band` here, row by row.
    fn stored(self, band: &RasterBand) -> gdal::errors::Result<Vec<f64>> {
        let corner = (self.column.try_into()?, self.row.try_into()?);
        let size = (self.columns, self.rows);
        let mut stored = vec![0.0; self.rows * self.columns];
        band.read_into_slice(corner, size, size, &mut stored, None)?;
        if is_signed(band) {
            for byte in stored.iter_mut().filter(|byte| **byte > 127.0) {
                *byte -= 256.0;
            }
        }
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(x: f64, y: f64, pixel: f64) -> GeoReference {
        GeoReference { transform: [x, pixel, 0.0, y, 0.0, -pixel], crs_wkt: "UTM".into() }
    }

    #[test]
    fn coarse_pixels_lie_under_several_fine_ones() {
        let fit = fit(&map(300.0, 600.0, 60.0), &map(300.0, 600.0, 10.0)).unwrap();
        let rows = fit.rows.under(4, 9, 2);
        let under = [0, 0, 1, 1, 1, 1, 1, 1].map(Some);
        assert_eq!((&rows[..8], rows[8]), (&under[..], None));
        assert_eq!(span(&rows), Some((0, 2)));
    }

    #[test]
    fn a_grid_that_begins_elsewhere_is_shifted() {
        let fit = fit(&map(20.0, 600.0, 10.0), &map(0.0, 605.0, 10.0)).unwrap();
        assert_eq!(fit.columns.under(0, 4, 9), [None, None, Some(0), Some(1)]);
        // Where borders meet middles, the later line counts.
        assert_eq!(fit.rows.under(0, 3, 9), [Some(0), Some(1), Some(2)]);
        assert_eq!(span(&[None, None]), None);
        let mut turned = map(0.0, 0.0, 10.0);
        turned.transform[2] = 1.0;
        assert_eq!(super::fit(&turned, &map(0.0, 0.0, 10.0)), None);
    }
}
