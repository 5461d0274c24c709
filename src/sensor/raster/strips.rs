//! Windows of a raster, cut from strips where the route follows its rows.

use ndarray::{Array3, Axis, s};

use super::{Raster, library};
use crate::error::Result;
use crate::frame::{self, Frame};
use crate::sensor::Source;
use crate::sensor::route::Route;
use crate::sensor::tiles::{Canvas, Tiles};

/// How much of a scene is held as readings at a time, in bytes.
const STRIP: usize = 256 << 20;

/// The chips of a raster.
pub type Chips = Tiles<Strips>;

/// A raster whose windows are read by strips.
///
/// Blocks of the file stay decoded in GDAL's cache while the route needs them.
/// Where two rows of them fit, the next one is decoded bit by bit while this one
/// is read, so that those who work on the chips need not wait for all of it at
/// once. Where they do not, as many rows of chips are held as a row of blocks
/// touches, so that few blocks are decoded twice.
#[derive(Debug)]
pub struct Strips {
    raster: Raster,
    /// Rows of a strip; 0: windows are read one by one.
    height: usize,
    /// So many strips lie in a row of blocks that is decoded beforehand; 0: none
    /// is.
    share: usize,
    /// The first row of the strip at hand, and its readings.
    strip: Option<(usize, Array3<f32>)>,
}

impl Strips {
    /// The strips of `raster` for chips of `chip` pixels along `route`.
    pub(super) fn new(raster: Raster, chip: usize, route: Route) -> Self {
        let row_bytes = raster.bytes(chip, raster.columns()).max(1);
        // Rows of blocks that touch a row of chips: one, and those it shares.
        let cached = 2 * raster.block_row_bytes() <= library::CACHE;
        let wanted = if cached { 1 } else { raster.block().0.div_ceil(chip) };
        let height = if route == Route::Hilbert { 0 } else { wanted.min(STRIP / row_bytes) };
        let share = match (cached, height) {
            (true, 1) if !raster.averaged_by_gdal => raster.block().0 / raster.factor / chip,
            _ => 0,
        };
        Self { raster, height: height * chip, share, strip: None }
    }
}

impl Strips {
    /// Decodes its share of the blocks below those of the strip at row `first`,
    /// and before the first strip all of its own.
    fn decode_ahead(&self, first: usize) {
        let Some(number) = (first / self.height).checked_rem(self.share) else { return };
        let bands = self.raster.layers.len();
        if first == 0 {
            self.raster.decode(0, 0..bands);
        }
        let below = (first / self.height - number + self.share) * self.height;
        if below < self.raster.rows() {
            let last = (below + self.height).min(self.raster.rows()) - 1;
            let part = |number: usize| number * bands / self.share;
            self.raster.decode(last, part(number)..part(number + 1));
        }
    }
}

impl Canvas for Strips {
    fn source(&self) -> &Source {
        &self.raster.source
    }

    fn window(&mut self, row: usize, column: usize, rows: usize, columns: usize) -> Result<Frame> {
        if self.height == 0 {
            return self.raster.read(row, column, rows, columns);
        }
        let first = row / self.height * self.height;
        let height = self.height.min(self.raster.rows() - first);
        let mut strip = self.strip.take().unwrap_or_default();
        if strip.0 != first || strip.1.len_of(Axis(1)) != height {
            let size = (self.raster.planes(), height, self.raster.columns());
            if strip.1.dim() != size {
                strip.1 = Array3::from_elem(size, f32::NAN);
            }
            self.decode_ahead(first);
            strip.0 = first;
            self.raster.read_into(first, 0, strip.1.view_mut())?;
        }
        let top = row - first;
        let inside = s![.., top..top + rows, column..column + columns];
        let frame = self.raster.frame(frame::cut(strip.1.slice(inside)), row, column);
        self.strip = Some(strip);
        Ok(frame)
    }
}
