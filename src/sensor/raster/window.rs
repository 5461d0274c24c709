//! Windows of a raster, filled with readings block by block.

use std::ops::Range;
use std::path::Path;

use ndarray::{Array3, ArrayViewMut3, Axis, s};

use super::bands::Shared;
use super::layer::Layer;
use super::part::Window;
use super::{Quality, Raster, library};
use crate::error::{Error, Fault, Result};
use crate::frame;
use crate::profile::Sight;

/// How much of a window is decoded between two looks at the error list, in
/// bytes: a small part of the block cache, so that the blocks of files whose
/// bands are interleaved by pixel stay in it until the last band is read, and of
/// the processor's, so that numbers are still in it when they become readings.
const STEP: usize = 16 << 20;

impl Raster {
    /// Fills all of `data` (`[plane, row, column]`) with the readings of the
    /// window whose upper left pixel is at (`row`, `column`); it lies inside
    /// the raster.
    pub(super) fn read_into(
        &self,
        row: usize,
        column: usize,
        mut data: ArrayViewMut3<f32>,
    ) -> Result<()> {
        let (_, rows, columns) = data.dim();
        let (row_step, column_step) = self.steps(columns);
        for (top, height) in pieces(row, rows, row_step) {
            for (left, width) in pieces(column, columns, column_step) {
                let (r, c) = (top - row, left - column);
                let window = Window { row: top, column: left, rows: height, columns: width };
                let part = data.slice_mut(s![.., r..r + height, c..c + width]);
                let read = library::call(Fault::Input, &self.path, || self.fill(window, part));
                read.map_err(|error| self.blamed(error, window))?;
            }
        }
        Ok(())
    }

    /// `error`, met at `window`, about the file that cannot be read there, of several
    /// that make a product.
    fn blamed(&self, error: Error, window: Window) -> Error {
        let fails = |layer: &&Layer| {
            let part = &self.parts[layer.part];
            let read = || part.stored(layer.index, window).map(drop);
            library::call(Fault::Input, &part.path, read).is_err()
        };
        let broken = self.layers.iter().find(fails);
        let path = broken.map_or(&self.path, |layer| &self.parts[layer.part].path);
        library::advised(path, error.moved(Path::new(&self.path), Path::new(path)))
    }

    /// Rows and columns of the pieces in which a window of `columns` is read:
    /// whole blocks, as many as [`STEP`] bytes hold, or one.
    fn steps(&self, columns: usize) -> (usize, usize) {
        let (rows, columns) = self.fine_steps(columns.saturating_mul(self.factor));
        ((rows / self.factor).max(1), (columns / self.factor).max(1))
    }

    /// Likewise, in pixels of the grid.
    fn fine_steps(&self, columns: usize) -> (usize, usize) {
        let (block_rows, block_columns) = self.block();
        let readings = if self.factor > 1 { self.planes() * size_of::<f32>() } else { 0 };
        let pixels = STEP / (self.stored_bytes + size_of::<f64>() + readings);
        let whole = |limit: usize, block: usize| (limit / block).max(1) * block;
        let column_step = whole((pixels / block_rows).min(columns + block_columns), block_columns);
        (whole(pixels / column_step, block_rows), column_step)
    }

    /// Has the blocks of these `bands` that row `row` lies in decoded, so that they
    /// are in GDAL's cache when they are read. A block that is damaged tells when
    /// it is.
    pub(super) fn decode(&self, row: usize, bands: Range<usize>) {
        let row = row * self.factor;
        let line = Window { row, column: 0, rows: 1, columns: self.parts[0].columns };
        for layer in &self.layers[bands] {
            let _ = library::call(Fault::Input, &self.path, || {
                self.parts[layer.part].stored(layer.index, line)
            });
        }
    }

    /// Fills `data` (`[plane, row, column]`) with the readings of `window`.
    fn fill(&self, window: Window, mut data: ArrayViewMut3<f32>) -> gdal::errors::Result<()> {
        if self.factor == 1 {
            return self.fill_fine(window, data);
        }
        if self.averaged_by_gdal {
            for (layer, mut plane) in self.layers.iter().zip(data.outer_iter_mut()) {
                let mut means = self.parts[0].means(layer.index, window, self.factor)?;
                self.parts[0].tell_apart(
                    layer.index,
                    &layer.missing,
                    window,
                    self.factor,
                    &mut means,
                )?;
                plane.zip_mut_with(&means, |cell, &stored| *cell = layer.reading(stored));
            }
            return Ok(());
        }
        let fine = self.parts[0].fine(window, self.factor);
        let mut readings = Array3::from_elem((self.planes(), fine.rows, fine.columns), f32::NAN);
        self.fill_fine(fine, readings.view_mut())?;
        frame::average(readings.view(), self.factor, data);
        Ok(())
    }

    /// Likewise, in pixels of the grid.
    fn fill_fine(&self, window: Window, data: ArrayViewMut3<f32>) -> gdal::errors::Result<()> {
        if let Some(quality) = &self.quality {
            let (mut readings, clouds) = data.split_at(Axis(0), self.layers.len());
            self.fill_readings(window, readings.view_mut())?;
            return self.fill_clouds(quality, window, readings, clouds);
        }
        self.fill_readings(window, data)
    }

    /// Likewise, the bands alone.
    fn fill_readings(
        &self,
        window: Window,
        mut data: ArrayViewMut3<f32>,
    ) -> gdal::errors::Result<()> {
        let shared = self.shared(window)?;
        let cubes: Vec<Option<(Vec<f32>, usize)>> =
            self.parts.iter().map(|part| part.cube(window)).collect::<gdal::errors::Result<_>>()?;
        for (layer, mut plane) in self.layers.iter().zip(data.outer_iter_mut()) {
            let part = &self.parts[layer.part];
            if let Some((numbers, bands)) = &cubes[layer.part] {
                for (cell, pixel) in plane.iter_mut().zip(numbers.chunks_exact(*bands)) {
                    *cell = layer.reading(f64::from(pixel[layer.index - 1]));
                }
                continue;
            }
            let own = if layer.own_mask { Some(part.mask(layer.index, window)?) } else { None };
            let stored = part.stored(layer.index, window)?;
            for (mut line, stored) in
                plane.outer_iter_mut().zip(stored.chunks_exact(window.columns))
            {
                match line.as_slice_mut() {
                    Some(line) => layer.readings(stored, line),
                    None => line.iter_mut().zip(stored).for_each(|(r, &s)| *r = layer.reading(s)),
                }
            }
            for mask in [&shared, &own].into_iter().flatten() {
                for (cell, _) in plane.iter_mut().zip(mask).filter(|&(_, &mask)| mask == 0.0) {
                    *cell = f32::NAN;
                }
            }
        }
        Ok(())
    }

    /// Fills the plane of `clouds` by the mask of `quality`, and takes away the
    /// `readings` that they hide, unless they are kept.
    fn fill_clouds(
        &self,
        quality: &Quality,
        window: Window,
        mut readings: ArrayViewMut3<f32>,
        mut clouds: ArrayViewMut3<f32>,
    ) -> gdal::errors::Result<()> {
        let stored = self.parts[quality.part].stored(quality.index, window)?;
        let pixels = readings.lanes_mut(Axis(0)).into_iter();
        for ((mut pixel, cloud), stored) in pixels.zip(&mut clouds).zip(stored) {
            let sight = quality.mask.sight(stored);
            // Beyond the mask's own file nothing is known of clouds.
            let hidden = match sight {
                Sight::Missing => !stored.is_nan(),
                Sight::Cloud => !quality.kept,
                Sight::Clear => false,
            };
            if hidden {
                pixel.fill(f32::NAN);
            }
            *cloud = match sight {
                Sight::Missing => f32::NAN,
                Sight::Cloud => 1.0,
                Sight::Clear => 0.0,
            };
        }
        Ok(())
    }

    /// The mask of all bands in `window`: 0 where there is no reading.
    fn shared(&self, window: Window) -> gdal::errors::Result<Option<Vec<f64>>> {
        let Some(shared) = self.shared_mask else { return Ok(None) };
        Ok(Some(match shared {
            Shared::Alpha(index) => self.parts[0].stored(index, window)?,
            Shared::MaskOf(index) => self.parts[0].mask(index, window)?,
            Shared::Bits(part, bits) => {
                let mut stored = self.parts[part].stored(1, window)?;
                for value in &mut stored {
                    // Beyond the mask's own file nothing is known.
                    *value = f64::from(!value.is_nan() && *value as u32 & bits == 0);
                }
                stored
            }
        }))
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
