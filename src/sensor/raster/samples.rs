//! A large raster by some of its pixels, spread evenly over it.

use super::Raster;
use crate::error::Result;
use crate::frame::Frame;
use crate::sensor::{Route, Sensor, Source};

/// Pieces are no smaller than this each way, unless few of them could be read.
const SIDE: usize = 64;

/// So many pieces are wanted before they grow beyond a block.
const WANTED: usize = 256;

/// More pieces than these take longer by their number than by their size.
const MOST: usize = 1024;

/// Windows of a raster that lie in a grid over it, each a frame.
///
/// They are whole blocks of its file where those are not too large, since a part
/// of a block takes as long as all of it.
#[derive(Debug)]
pub struct Samples {
    raster: Raster,
    source: Source,
    /// Rows and columns of a window.
    size: [usize; 2],
    /// How many windows would lie below and beside each other without gaps.
    cells: [usize; 2],
    /// How many of them are read, each way.
    taken: [usize; 2],
    /// The number of the next one.
    next: usize,
}

impl Samples {
    /// The windows of `raster` that hold about `values` readings together, one
    /// at least.
    pub(super) fn new(raster: Raster, values: usize) -> Self {
        let whole = [raster.rows(), raster.columns()];
        let bands = raster.planes().max(1);
        let size = piece(raster.block().into(), whole, values / bands);
        let cells = [0, 1].map(|axis| whole[axis].div_ceil(size[axis]));
        let most = values / bands / (size[0] * size[1]).max(1);
        let taken = spread(cells, most.clamp(1, MOST));
        let all = whole[0] as f64 * whole[1] as f64;
        let pixels = (taken[0] * taken[1]) as f64 * (size[0] * size[1]) as f64;
        let share = (pixels / all).min(1.0);
        let mut source = raster.source.clone();
        source.description.push_str(&format!(
            "; {} % of its pixels looked at, spread evenly over it",
            percent(share)
        ));
        source.frames = Some(taken[0] * taken[1]);
        source.scene = Some(raster.scene(size[0], Route::default()));
        source.sampled = Some(share);
        Self { raster, source, size, cells, taken, next: 0 }
    }
}

impl Iterator for Samples {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let [down, across] = self.taken;
        let place = [self.next.checked_div(across)?, self.next % across];
        if place[0] >= down {
            return None;
        }
        self.next += 1;
        let whole = [self.raster.rows(), self.raster.columns()];
        let [(row, rows), (column, columns)] = [0, 1].map(|axis| {
            // In the middle of its share.
            let cell = (2 * place[axis] + 1) * self.cells[axis] / (2 * self.taken[axis]);
            let start = cell * self.size[axis];
            (start, self.size[axis].min(whole[axis] - start))
        });
        let frame = self.raster.read(row, column, rows, columns);
        if frame.is_err() {
            self.taken = [0, 0];
        }
        Some(frame)
    }
}

impl Sensor for Samples {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// Rows and columns of a piece of a raster of size `whole`, which is stored in
/// blocks of size `block`, if `pixels` may be read in all.
fn piece(block: [usize; 2], whole: [usize; 2], pixels: usize) -> [usize; 2] {
    let mut size = [block[0].min(whole[0]), block[1].min(whole[1])];
    // What no budget holds is cut.
    size[1] = size[1].min((pixels / size[0]).max(1));
    for axis in [1, 0] {
        while size[axis] < SIDE.min(whole[axis]) && 2 * WANTED * size[0] * size[1] <= pixels {
            size[axis] = (2 * size[axis]).min(whole[axis]);
        }
    }
    size
}

/// How many of `cells` to take each way, at most `most` in all, and one at least.
fn spread(cells: [usize; 2], most: usize) -> [usize; 2] {
    let [down, across] = cells.map(|count| count as f64);
    let rows = (most as f64 * down / across).sqrt().round().clamp(1.0, down.min(most as f64));
    let columns = (most as f64 / rows).floor().clamp(1.0, across);
    // Where all columns are taken, more rows may be.
    let rows = (most as f64 / columns).floor().clamp(1.0, down);
    [rows as usize, columns as usize]
}

/// A share in percent, to two digits.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let digits = (1.0 - percent.log10().floor()).clamp(0.0, 12.0) as usize;
    format!("{percent:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_blocks_and_as_many_as_may_be_read() {
        assert_eq!(piece([256, 256], [100_000, 100_000], 1 << 27), [256, 256]);
        assert_eq!(piece([1, 100_000], [100_000, 100_000], 1 << 27), [4, 100_000]);
        assert_eq!(piece([1, 1], [3000, 3000], 1 << 20), [64, 64]);
        assert_eq!(piece([9, 5000], [9, 5000], 4500), [9, 500]);
        assert_eq!(spread([391, 391], 2000), [45, 44]);
        assert_eq!(spread([50_000, 1], 600), [600, 1]);
        assert_eq!(spread([2, 3], 100), [2, 3]);
        assert_eq!(spread([1, 1_000_000], 1), [1, 1]);
    }

    #[test]
    fn shares_keep_two_digits() {
        let said = [1.0, 0.25, 0.0123, 1e-7].map(percent);
        assert_eq!(said, ["100", "25", "1.2", "0.000010"]);
    }
}
