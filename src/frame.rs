//! What was seen: one picture of any number of bands, in physical units.

pub(crate) mod gaps;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis, Zip, s};
use serde::{Deserialize, Serialize};

/// What is 0 degrees Celsius, in kelvin (BIPM, SI brochure).
pub const CELSIUS_ZERO_K: f64 = 273.15;

/// No reflectance is larger, and hardly any number before it is divided is
/// smaller.
pub(crate) const BRIGHTEST: f32 = 2.0;

/// The physical unit of a band's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Degrees Celsius.
    Celsius,
    /// Kelvin.
    Kelvin,
    /// Reflectance, 0..1 for a surface that returns all light.
    Reflectance,
    /// Spectral radiance in W m^-2 sr^-1 nm^-1.
    Radiance,
    /// Counts of the converter, without a physical scale.
    Counts,
}

impl Unit {
    /// Whether values are temperatures.
    pub fn is_temperature(self) -> bool {
        matches!(self, Unit::Celsius | Unit::Kelvin)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Celsius => "degC",
            Unit::Kelvin => "K",
            Unit::Reflectance => "reflectance",
            Unit::Radiance => "W m-2 sr-1 nm-1",
            Unit::Counts => "counts",
        })
    }
}

/// One spectral band of a sensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// The band's own name, e.g. `B8A` or `LWIR`.
    pub name: String,
    /// Its STAC common name, e.g. `nir08` or `lwir`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// Centre wavelength in micrometres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wavelength_um: Option<f32>,
    /// Full width at half maximum in micrometres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fwhm_um: Option<f32>,
    /// Unit of the values after scale and offset.
    pub unit: Unit,
    /// `value = stored * scale + offset`; the reader has already applied it.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale: f64,
    /// See [`Band::scale`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: f64,
}

fn one() -> f64 {
    1.0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Band {
    /// A band about which only its name and unit are known.
    pub fn new(name: impl Into<String>, unit: Unit) -> Self {
        Self {
            name: name.into(),
            common_name: None,
            wavelength_um: None,
            fwhm_um: None,
            unit,
            scale: 1.0,
            offset: 0.0,
        }
    }

    /// The band's weight in the band energy: its width in micrometres, or 1.
    pub fn weight(&self) -> f32 {
        self.fwhm_um.unwrap_or(1.0)
    }
}

/// Where a picture lies on the Earth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeoReference {
    /// Affine transform from (column, row) of a pixel's corner to map
    /// coordinates, in GDAL's order:
    /// `x = t[0] + column * t[1] + row * t[2]`,
    /// `y = t[3] + column * t[4] + row * t[5]`.
    pub transform: [f64; 6],
    /// The coordinate reference system as well-known text.
    pub crs_wkt: String,
}

impl GeoReference {
    /// Map coordinates of the pixel corner at (`row`, `column`).
    pub fn locate(&self, row: f64, column: f64) -> (f64, f64) {
        let t = &self.transform;
        (t[0] + column * t[1] + row * t[2], t[3] + column * t[4] + row * t[5])
    }

    /// The same reference for a window that starts at (`row`, `column`).
    #[must_use]
    pub fn window(&self, row: f64, column: f64) -> Self {
        let mut shifted = self.clone();
        (shifted.transform[0], shifted.transform[3]) = self.locate(row, column);
        shifted
    }

    /// The same reference with pixels `rows` times as high and `columns`
    /// times as wide.
    #[must_use]
    pub fn scaled(&self, rows: f64, columns: f64) -> Self {
        let mut scaled = self.clone();
        for index in [1, 4] {
            scaled.transform[index] *= columns;
        }
        for index in [2, 5] {
            scaled.transform[index] *= rows;
        }
        scaled
    }
}

/// How a camera exposed a picture, as far as it says. Counts grow with both,
/// so that only counts of equal exposure compare.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Exposure {
    /// How long light was gathered, in microseconds.
    pub time_us: Option<f64>,
    /// Amplification in the camera's own measure: decibels where it follows
    /// the convention of GenICam, else steps.
    pub gain: Option<f64>,
}

/// One picture: values in physical units, and what is known about them.
#[derive(Clone, Debug)]
pub struct Frame {
    /// `[band, row, column]`; NaN where there is no reading.
    pub data: Array3<f32>,
    /// One entry per band, in the order of `data`.
    pub bands: Arc<[Band]>,
    /// Seconds since the source's first frame (or its own epoch), as fast as it
    /// is heard.
    pub time_s: f64,
    /// Where the picture lies, if the source knows.
    pub georeference: Option<GeoReference>,
    /// Row and column of the picture's upper left pixel in the scene that it
    /// was cut from; (0, 0) for whole pictures.
    pub position: (usize, usize),
    /// How it was exposed, where a camera says so.
    pub exposure: Option<Exposure>,
    /// The share of its ground that clouds and their shadows hide, 0..1, where
    /// the source has a mask of them.
    pub cloud_fraction: Option<f32>,
    /// The code that it was sent as, 0..1, where it is to be heard again just as
    /// it was: in place of what an encoder would make of it.
    pub code: Option<Arc<[f32]>>,
}

/// The part of a letterboxed grid that carries the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// First row.
    pub row: usize,
    /// First column.
    pub column: usize,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
}

impl Area {
    /// The largest area of the given picture's aspect, centred in a grid of
    /// `grid_rows` by `grid_columns`; at least one pixel each way.
    pub fn letterbox(rows: usize, columns: usize, grid_rows: usize, grid_columns: usize) -> Self {
        let scale = (grid_rows as f64 / rows.max(1) as f64)
            .min(grid_columns as f64 / columns.max(1) as f64);
        let fit = |size: usize, limit: usize| {
            ((size as f64 * scale).round() as usize).clamp(1, limit.max(1))
        };
        let (rows, columns) = (fit(rows, grid_rows), fit(columns, grid_columns));
        Self { row: (grid_rows - rows) / 2, column: (grid_columns - columns) / 2, rows, columns }
    }

    /// Whether the grid cell (`row`, `column`) lies in the picture.
    pub fn contains(&self, row: usize, column: usize) -> bool {
        (self.row..self.row + self.rows).contains(&row)
            && (self.column..self.column + self.columns).contains(&column)
    }
}

impl Frame {
    /// A picture that is not placed on the Earth, taken at `time_s`.
    pub fn new(data: Array3<f32>, bands: Arc<[Band]>, time_s: f64) -> Self {
        debug_assert_eq!(data.len_of(Axis(0)), bands.len());
        Self {
            data,
            bands,
            time_s,
            georeference: None,
            position: (0, 0),
            exposure: None,
            cloud_fraction: None,
            code: None,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.data.len_of(Axis(1))
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.data.len_of(Axis(2))
    }

    /// The share of pixels that have a reading in every band, 0..1.
    pub fn valid_fraction(&self) -> f32 {
        // Most pictures are whole, which a pass without branches tells.
        if let Some(readings) = self.data.as_slice()
            && !readings.is_empty()
            && !readings.iter().fold(false, |gap, reading| gap | reading.is_nan())
        {
            return 1.0;
        }
        let mut valid = Array2::from_elem((self.rows(), self.columns()), 1u8);
        for plane in self.data.outer_iter() {
            let keep = |valid: &mut u8, value: &f32| *valid &= u8::from(!value.is_nan());
            Zip::from(&mut valid).and(&plane).for_each(keep);
        }
        let count = valid.iter().filter(|&&valid| valid == 1).count();
        count as f32 / valid.len().max(1) as f32
    }

    /// The same picture with its bands in the order of `bands`, where these are its own
    /// by their names, each once; else as it is.
    #[must_use]
    pub fn in_order_of(self, bands: &[Band]) -> Frame {
        let place = |band: &Band| self.bands.iter().position(|own| own.name == band.name);
        let Some(order) = bands.iter().map(place).collect::<Option<Vec<_>>>() else { return self };
        let distinct = order.iter().collect::<BTreeSet<_>>().len() == order.len();
        if !distinct || order.len() != self.bands.len() || order.is_sorted() {
            return self;
        }
        let bands = order.iter().map(|&own| self.bands[own].clone()).collect();
        Frame { data: self.data.select(Axis(0), &order), bands, ..self }
    }

    /// The same picture with pixels `factor` times as wide and as high, each
    /// the mean of the readings in it; missing ones do not count. The
    /// geo-reference follows.
    #[must_use]
    pub fn coarser(&self, factor: usize) -> Frame {
        let (rows, columns) = (self.rows().div_ceil(factor), self.columns().div_ceil(factor));
        let mut data = Array3::from_elem((self.bands.len(), rows, columns), f32::NAN);
        average(self.data.view(), factor, data.view_mut());
        let scale = factor as f64;
        let georeference = self.georeference.as_ref().map(|own| own.scaled(scale, scale));
        Frame { data, georeference, bands: self.bands.clone(), code: None, ..*self }
    }

    /// The whole picture on a grid of `rows` by `columns`, its aspect kept,
    /// with bars of NaN where it does not reach.
    ///
    /// Shrinking averages over each cell's footprint, enlarging repeats
    /// pixels; missing readings do not count, and a cell without any reading
    /// stays NaN. The geo-reference follows.
    #[must_use]
    pub fn letterbox(&self, rows: usize, columns: usize) -> Frame {
        if (self.rows(), self.columns()) == (rows, columns) {
            return self.clone();
        }
        let area = Area::letterbox(self.rows(), self.columns(), rows, columns);
        let mut data = Array3::from_elem((self.bands.len(), rows, columns), f32::NAN);
        for (source, mut grid) in self.data.outer_iter().zip(data.outer_iter_mut()) {
            let inner = grid.slice_mut(s![
                area.row..area.row + area.rows,
                area.column..area.column + area.columns
            ]);
            shrink(source, inner);
        }
        let (row_step, column_step) =
            (self.rows() as f64 / area.rows as f64, self.columns() as f64 / area.columns as f64);
        let georeference = self.georeference.as_ref().map(|g| {
            g.window(-(area.row as f64) * row_step, -(area.column as f64) * column_step)
                .scaled(row_step, column_step)
        });
        let (bands, code) = (self.bands.clone(), self.code.clone());
        Frame { data, georeference, bands, code, ..*self }
    }
}

/// The sum of `term` over those of `values` that are finite, and how many are.
/// Eight sums grow side by side, which processors do at once.
pub(crate) fn sum_of(values: ArrayView2<f32>, term: impl Fn(f32) -> f64) -> (f64, usize) {
    let values = values.as_standard_layout();
    let (chunks, rest) = values.as_slice().unwrap_or_default().as_chunks::<8>();
    let mut last = [f32::NAN; 8];
    last[..rest.len()].copy_from_slice(rest);
    let (mut sums, mut counts) = ([0.0; 8], [0u32; 8]);
    for chunk in chunks.iter().chain([&last]) {
        for (lane, &value) in chunk.iter().enumerate() {
            let there = value.is_finite();
            sums[lane] += if there { term(value) } else { 0.0 };
            counts[lane] += u32::from(there);
        }
    }
    (sums.iter().sum(), counts.iter().sum::<u32>() as usize)
}

/// A picture of its own, of what `window` shows of a larger one, both
/// `[band, row, column]`: line by line, as a line is in one piece.
pub(crate) fn cut(window: ArrayView3<f32>) -> Array3<f32> {
    let mut data = Vec::with_capacity(window.len());
    for line in window.rows() {
        match line.as_slice() {
            Some(line) => data.extend_from_slice(line),
            None => data.extend(line),
        }
    }
    // It has as many readings as it had.
    Array3::from_shape_vec(window.dim(), data).unwrap_or_default()
}

/// Fills `target` with the means of `factor` by `factor` pixels of `source`,
/// both `[band, row, column]`. Missing readings do not count; where all are
/// missing, and only there, the mean is. Cells at the lower and right edge may
/// have fewer pixels.
pub(crate) fn average(source: ArrayView3<f32>, factor: usize, mut target: ArrayViewMut3<f32>) {
    let mut sums = vec![(0.0f64, 0u32); target.len_of(Axis(2))];
    for (source, mut target) in source.outer_iter().zip(target.outer_iter_mut()) {
        let lines = source.axis_chunks_iter(Axis(0), factor);
        for (lines, mut cells) in lines.zip(target.outer_iter_mut()) {
            sums.fill((0.0, 0));
            for line in lines.outer_iter() {
                for (pixels, (sum, count)) in line.axis_chunks_iter(Axis(0), factor).zip(&mut sums)
                {
                    for &value in pixels.iter().filter(|value| !value.is_nan()) {
                        *sum += f64::from(value);
                        *count += 1;
                    }
                }
            }
            for (cell, &(sum, count)) in cells.iter_mut().zip(&sums) {
                *cell = if count > 0 { (sum / f64::from(count)) as f32 } else { f32::NAN };
            }
        }
    }
}

/// Fills `target` with the area averages of `source`, separably: first down the
/// columns, then along the rows, each with fractional weights at the borders.
fn shrink(source: ArrayView2<f32>, mut target: ArrayViewMut2<f32>) {
    let (rows, columns) = source.dim();
    let (row_spans, column_spans) = (spans(rows, target.nrows()), spans(columns, target.ncols()));
    let source = source.as_standard_layout();
    let pixels = source.as_slice().unwrap_or_default();
    let (mut sums, mut weights) = (vec![0.0f64; columns], vec![0.0f64; columns]);
    for (row_span, mut target_row) in row_spans.iter().zip(target.outer_iter_mut()) {
        sums.fill(0.0);
        weights.fill(0.0);
        for &(row, covered) in row_span {
            // Without branches, so that many pixels are done at once.
            for ((sum, weight), &value) in
                sums.iter_mut().zip(&mut weights).zip(&pixels[row * columns..])
            {
                let there = !value.is_nan();
                *sum += if there { covered * f64::from(value) } else { 0.0 };
                *weight += if there { covered } else { 0.0 };
            }
        }
        for (column_span, cell) in column_spans.iter().zip(target_row.iter_mut()) {
            let (mut sum, mut weight) = (0.0, 0.0);
            for &(column, covered) in column_span {
                sum += covered * sums[column];
                weight += covered * weights[column];
            }
            *cell = if weight > 0.0 { (sum / weight) as f32 } else { f32::NAN };
        }
    }
}

/// For each of `to` cells laid over `from` pixels: the pixels it covers, with
/// the covered length of each.
fn spans(from: usize, to: usize) -> Vec<Vec<(usize, f64)>> {
    let step = from as f64 / to as f64;
    (0..to)
        .map(|cell| {
            let (start, end) = (cell as f64 * step, (cell + 1) as f64 * step);
            let last = (end.ceil() as usize).clamp(1, from);
            ((start.floor() as usize).min(from - 1)..last)
                .map(|pixel| {
                    let covered = end.min(pixel as f64 + 1.0) - start.max(pixel as f64);
                    (pixel, covered)
                })
                .filter(|&(_, covered)| covered > 1e-9)
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(data: Array3<f32>) -> Frame {
        let bands = (0..data.len_of(Axis(0))).map(|b| Band::new(b.to_string(), Unit::Counts));
        let bands = bands.collect();
        Frame::new(data, bands, 0.0)
    }

    #[test]
    fn bands_come_into_the_order_of_their_names() {
        let bands = |names: [&str; 3]| names.map(|name| Band::new(name, Unit::Counts));
        let data = Array3::from_shape_fn((3, 2, 2), |(band, ..)| band as f32);
        let frame = |names| Frame::new(data.clone(), bands(names).into(), 0.0);
        let turned = frame(["c", "a", "b"]).in_order_of(&bands(["a", "b", "c"]));
        assert_eq!(turned.bands[..], bands(["a", "b", "c"]));
        assert_eq!([0, 1, 2].map(|band| turned.data[[band, 1, 1]]), [1.0, 2.0, 0.0]);
        for names in [["c", "a", "d"], ["a", "a", "b"], ["a", "b", "c"]] {
            let same = frame(names).in_order_of(&bands(["a", "b", "c"]));
            assert_eq!((&same.data, &same.bands[..]), (&data, &bands(names)[..]), "{names:?}");
        }
    }

    #[test]
    fn letterbox_keeps_the_mean_and_the_aspect() {
        let data = Array3::from_shape_fn((1, 51, 64), |(_, r, c)| (r * 7 + c * 3) as f32);
        let mean = data.mean().unwrap();
        let boxed = frame(data).letterbox(16, 16);
        let area = Area::letterbox(51, 64, 16, 16);
        assert_eq!(area, Area { row: 1, column: 0, rows: 13, columns: 16 });
        let inside: Vec<f32> = boxed.data.iter().copied().filter(|v| !v.is_nan()).collect();
        assert_eq!(inside.len(), 13 * 16);
        let boxed_mean = inside.iter().sum::<f32>() / inside.len() as f32;
        assert!((boxed_mean - mean).abs() < 1e-3, "{boxed_mean} against {mean}");
    }

    #[test]
    fn missing_readings_do_not_count() {
        let mut data = Array3::from_elem((1, 4, 4), 5.0);
        data[(0, 0, 0)] = f32::NAN;
        data.slice_mut(s![0, 2.., 2..]).fill(f32::NAN);
        let boxed = frame(data).letterbox(2, 2);
        assert_eq!(boxed.data[(0, 0, 0)], 5.0);
        assert!(boxed.data[(0, 1, 1)].is_nan());
        assert_eq!(boxed.valid_fraction(), 0.75);
    }

    #[test]
    fn the_map_follows_the_letterbox() {
        let mut wide = frame(Array3::zeros((1, 32, 64)));
        wide.georeference = Some(GeoReference {
            transform: [100.0, 10.0, 0.0, 900.0, 0.0, -10.0],
            crs_wkt: String::new(),
        });
        let boxed = wide.letterbox(16, 16);
        let map = boxed.georeference.unwrap();
        // The picture occupies rows 4..12; its upper left corner stays put.
        assert_eq!(map.locate(4.0, 0.0), (100.0, 900.0));
        assert_eq!(map.locate(12.0, 16.0), (740.0, 580.0));
    }
}
