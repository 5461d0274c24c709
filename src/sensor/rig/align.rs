//! Bringing the picture of one lens to the pixels of another.
//!
//! Lenses of one camera look at the same place from a hand's breadth apart,
//! and never in exactly the same direction. Their bands differ in brightness
//! but share their edges, so the pictures' gradients are compared, by phase
//! correlation (Kuglin and Hines, 1975): first as a whole at reduced size,
//! then in tiles, whose shifts an affine map is fitted to. The tiles are what
//! finds a turned lens and a different focal length.

use ndarray::{Array2, ArrayView2, s};
use rustfft::num_complex::Complex32;
use rustfft::{FftDirection, FftPlanner};

/// The longer side in pixels to which pictures are reduced at first.
const OVERVIEW: usize = 256;
/// The longer side to which they are reduced for the tiles.
const DETAIL: usize = 640;
/// Side of a tile, and of the frame around the overview, in pixels: powers of
/// two.
const TILE: usize = 128;
const FRAME: usize = 256;
/// How far the peak of a correlation has to stand out, in standard deviations
/// of the rest. The highest of 65536 numbers by chance is at 4.4, real bands
/// reach 20 to 200.
const CREDIBLE: f32 = 12.0;
/// Tiles further off the fitted map than so many reduced pixels are taken for
/// mistakes, such as near things seen in parallax.
const OUTLIER: f64 = 1.5;
/// How many tiles an affine map needs: twice its six numbers in shifts.
const ENOUGH: usize = 6;

/// Where the pixels of one picture lie in another: an affine map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placement {
    /// Row there: `row[0] + row[1] * row + row[2] * column`.
    row: [f64; 3],
    /// Column there, likewise.
    column: [f64; 3],
}

impl Placement {
    /// The map between two sizes `(rows, columns)` that joins their middles
    /// and makes a pixel `scale` pixels.
    pub fn centred(from: (usize, usize), to: (usize, usize), scale: f64) -> Self {
        let start =
            |from: usize, to: usize| (to as f64 - 1.0) / 2.0 - scale * (from as f64 - 1.0) / 2.0;
        Self { row: [start(from.0, to.0), scale, 0.0], column: [start(from.1, to.1), 0.0, scale] }
    }

    /// Where (`row`, `column`) lies.
    fn at(&self, row: f64, column: f64) -> (f64, f64) {
        let of = |c: &[f64; 3]| c[0] + c[1] * row + c[2] * column;
        (of(&self.row), of(&self.column))
    }

    /// This map after `shift`, which moves the places that it is asked for.
    fn after(&self, shift: &Placement) -> Self {
        let of = |c: &[f64; 3]| {
            let sum = |at: usize| c[1] * shift.row[at] + c[2] * shift.column[at];
            [c[0] + sum(0), sum(1), sum(2)]
        };
        Self { row: of(&self.row), column: of(&self.column) }
    }

    /// By how many rows and columns it differs from `other` in the middle of a
    /// picture of this size.
    pub fn moved(&self, other: Placement, rows: usize, columns: usize) -> (f64, f64) {
        let middle = ((rows as f64 - 1.0) / 2.0, (columns as f64 - 1.0) / 2.0);
        let (a, b) = (self.at(middle.0, middle.1), other.at(middle.0, middle.1));
        (a.0 - b.0, a.1 - b.1)
    }

    /// `picture` as seen at the places of a grid, between its pixels weighted
    /// by distance; NaN beyond its edge, and beside missing readings.
    pub fn resample(&self, picture: &Array2<f32>, rows: usize, columns: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(row, column)| {
            let (y, x) = self.at(row as f64, column as f64);
            between(picture, y, x)
        })
    }
}

/// The value of `picture` at a place between its pixels.
fn between(picture: &Array2<f32>, y: f64, x: f64) -> f32 {
    let (rows, columns) = picture.dim();
    if !(y >= 0.0 && x >= 0.0 && y <= rows as f64 - 1.0 && x <= columns as f64 - 1.0) {
        return f32::NAN;
    }
    let (top, left) = (y as usize, x as usize);
    let (down, right) = ((y - top as f64) as f32, (x - left as f64) as f32);
    let (bottom, far) = ((top + 1).min(rows - 1), (left + 1).min(columns - 1));
    let upper = picture[(top, left)] * (1.0 - right) + picture[(top, far)] * right;
    let lower = picture[(bottom, left)] * (1.0 - right) + picture[(bottom, far)] * right;
    upper * (1.0 - down) + lower * down
}

/// Where the pixels of `target` lie in `picture`, starting from `guess`;
/// `None` where the two are not alike enough to tell.
pub(super) fn align(
    target: &Array2<f32>,
    picture: &Array2<f32>,
    guess: Placement,
) -> Option<Placement> {
    let (rows, columns) = target.dim();
    let near = guess.resample(picture, rows, columns);
    let (down, right) = overview(target, &near)?;
    let shift = Placement { row: [down, 1.0, 0.0], column: [right, 0.0, 1.0] };
    let mut placed = guess.after(&shift);
    // Once the tiles are turned alike, they tell more.
    for _ in 0..2 {
        let near = placed.resample(picture, rows, columns);
        let Some(shift) = tiles(target, &near) else { break };
        placed = placed.after(&shift);
    }
    Some(placed)
}

/// How far `picture` is shifted against `target` as a whole: rows, columns.
fn overview(target: &Array2<f32>, picture: &Array2<f32>) -> Option<(f64, f64)> {
    let (rows, columns) = target.dim();
    let factor = rows.max(columns).div_ceil(OVERVIEW).max(1);
    let (a, b) = (edges(target, factor), edges(picture, factor));
    let (rows, columns) = shift(a.view(), b.view(), FRAME)?;
    Some((rows * factor as f64, columns * factor as f64))
}

/// The map that fits the shifts of tiles of `picture` against `target`.
fn tiles(target: &Array2<f32>, picture: &Array2<f32>) -> Option<Placement> {
    let factor = target.nrows().max(target.ncols()).div_ceil(DETAIL).max(1);
    let (a, b) = (edges(target, factor), edges(picture, factor));
    let mut shifts = Vec::new();
    for top in starts(a.nrows()) {
        for left in starts(a.ncols()) {
            let tile = s![top..top + TILE, left..left + TILE];
            if let Some((rows, columns)) = shift(a.slice(tile), b.slice(tile), TILE) {
                let middle = (TILE as f64 - 1.0) / 2.0;
                shifts.push([top as f64 + middle, left as f64 + middle, rows, columns]);
            }
        }
    }
    let mut fitted = fit(&shifts)?;
    for _ in 0..3 {
        let off = |s: &[f64; 4]| {
            let (row, column) = fitted.at(s[0], s[1]);
            (row - s[0] - s[2]).hypot(column - s[1] - s[3])
        };
        let kept: Vec<[f64; 4]> = shifts.iter().copied().filter(|s| off(s) < OUTLIER).collect();
        fitted = fit(&kept)?;
    }
    // From reduced pixels to whole ones: the middle of reduced pixel 0 lies
    // in the middle of `factor` pixels.
    let (factor, half) = (factor as f64, (factor as f64 - 1.0) / 2.0);
    let whole = |c: [f64; 3], own: f64| [c[0] * factor + half * (own - c[1] - c[2]), c[1], c[2]];
    Some(Placement { row: whole(fitted.row, 1.0), column: whole(fitted.column, 1.0) })
}

/// Where tiles begin along a side of `length`: evenly, overlapping by half at
/// most, from edge to edge.
fn starts(length: usize) -> Vec<usize> {
    let Some(room) = length.checked_sub(TILE) else { return Vec::new() };
    let count = room.div_ceil(TILE) + 1;
    (0..count).map(|at| room * at / (count - 1).max(1)).collect()
}

/// The affine map of least squares through shifts `[row, column, rows,
/// columns]`, if there are enough.
fn fit(shifts: &[[f64; 4]]) -> Option<Placement> {
    if shifts.len() < ENOUGH {
        return None;
    }
    let count = shifts.len() as f64;
    let mean = |at: usize| shifts.iter().map(|s| s[at]).sum::<f64>() / count;
    let (row, column) = (mean(0), mean(1));
    let sum = |of: &dyn Fn(&[f64; 4]) -> f64| shifts.iter().map(of).sum::<f64>();
    let rr = sum(&|s| (s[0] - row).powi(2));
    let cc = sum(&|s| (s[1] - column).powi(2));
    let rc = sum(&|s| (s[0] - row) * (s[1] - column));
    let det = rr * cc - rc * rc;
    if det <= 1e-6 * rr * cc || !det.is_finite() {
        return None;
    }
    let slope = |at: usize| {
        let level = mean(at);
        let r = sum(&|s| (s[0] - row) * (s[at] - level));
        let c = sum(&|s| (s[1] - column) * (s[at] - level));
        let (along, across) = ((r * cc - c * rc) / det, (c * rr - r * rc) / det);
        [level - along * row - across * column, along, across]
    };
    let (mut down, mut right) = (slope(2), slope(3));
    down[1] += 1.0;
    right[2] += 1.0;
    Some(Placement { row: down, column: right })
}

/// How strong the edges of `picture` are, reduced by `factor`; 0 beside
/// missing readings.
fn edges(picture: &Array2<f32>, factor: usize) -> Array2<f32> {
    let (rows, columns) = (picture.nrows() / factor, picture.ncols() / factor);
    let small = Array2::from_shape_fn((rows, columns), |(row, column)| {
        let (row, column) = (row * factor, column * factor);
        let block = picture.slice(s![row..row + factor, column..column + factor]);
        block.sum() / block.len() as f32
    });
    Array2::from_shape_fn((rows, columns), |(row, column)| {
        if row == 0 || column == 0 || row + 1 >= rows || column + 1 >= columns {
            return 0.0;
        }
        let down = small[(row + 1, column)] - small[(row - 1, column)];
        let right = small[(row, column + 1)] - small[(row, column - 1)];
        let strength = down.hypot(right);
        if strength.is_finite() { strength } else { 0.0 }
    })
}

/// By how many rows and columns `b` is shifted against `a`, by phase
/// correlation in a frame of `side`, a power of two that holds both; `None`
/// where no shift stands out.
fn shift(a: ArrayView2<f32>, b: ArrayView2<f32>, side: usize) -> Option<(f64, f64)> {
    let mut spectrum = transform(a, side);
    let other = transform(b, side);
    for (own, other) in spectrum.iter_mut().zip(&other) {
        let product = own.conj() * other;
        let strength = product.norm();
        *own = if strength > 0.0 { product / strength } else { Complex32::ZERO };
    }
    fourier(&mut spectrum, side, FftDirection::Inverse);
    let alike: Vec<f32> = spectrum.iter().map(|value| value.re).collect();
    let peak = (0..alike.len()).max_by(|&a, &b| alike[a].total_cmp(&alike[b]))?;
    let square = alike.iter().map(|value| value * value).sum::<f32>() / alike.len() as f32;
    if square.is_nan() || square == 0.0 || alike[peak] < CREDIBLE * square.sqrt() {
        return None;
    }
    let at = |row: usize, column: usize| alike[row % side * side + column % side];
    let (row, column) = (peak / side, peak % side);
    let signed =
        |line: usize| if line < side / 2 { line as f64 } else { line as f64 - side as f64 };
    let rows = vertex(at(row + side - 1, column), at(row, column), at(row + 1, column));
    let columns = vertex(at(row, column + side - 1), at(row, column), at(row, column + 1));
    Some((signed(row) + rows, signed(column) + columns))
}

/// How far from the middle of three neighbours the peak lies that they belong
/// to, which shrinks as the ratio of the larger neighbour does (Foroosh,
/// Zerubia and Berthod, 2002).
fn vertex(before: f32, peak: f32, after: f32) -> f64 {
    let (side, neighbour) = if after > before { (1.0, after) } else { (-1.0, before) };
    let share = f64::from(neighbour.max(0.0) / (neighbour.max(0.0) + peak));
    side * share.min(0.5)
}

/// The two-dimensional Fourier transform of `picture`, its mean taken off and
/// its edges faded out, in a frame of `side`.
fn transform(picture: ArrayView2<f32>, side: usize) -> Vec<Complex32> {
    let (rows, columns) = (picture.nrows().min(side), picture.ncols().min(side));
    let mean = picture.sum() / picture.len().max(1) as f32;
    let fade = |at: usize, length: usize| {
        let angle = std::f32::consts::TAU * (at as f32 + 0.5) / length as f32;
        0.5 - 0.5 * angle.cos()
    };
    let mut framed = vec![Complex32::ZERO; side * side];
    for row in 0..rows {
        for column in 0..columns {
            let value = (picture[(row, column)] - mean) * fade(row, rows) * fade(column, columns);
            framed[row * side + column].re = value;
        }
    }
    fourier(&mut framed, side, FftDirection::Forward);
    framed
}

/// Transforms a square of `side` by `side` in place, without scale.
fn fourier(square: &mut [Complex32], side: usize, direction: FftDirection) {
    let fft = FftPlanner::new().plan_fft(side, direction);
    // All of its lines, one after the other.
    fft.process(square);
    let mut line = vec![Complex32::ZERO; side];
    for column in 0..side {
        for (row, value) in line.iter_mut().enumerate() {
            *value = square[row * side + column];
        }
        fft.process(&mut line);
        for (row, value) in line.iter().enumerate() {
            square[row * side + column] = *value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// A landscape of soft patches, defined between the pixels, too.
    fn landscape(patches: &[[f64; 4]], row: f64, column: f64) -> f32 {
        let value = |p: &[f64; 4]| {
            let distance = (row - p[0]).hypot(column - p[1]) / p[2];
            p[3] / (1.0 + distance.powi(4))
        };
        patches.iter().map(value).sum::<f64>() as f32
    }

    fn patches(seed: u64) -> Vec<[f64; 4]> {
        let mut random = Random::new(seed);
        let mut draw = |low: f64, high: f64| random.between(low, high);
        (0..500)
            .map(|_| [draw(-40.0, 520.0), draw(-40.0, 680.0), draw(2.0, 9.0), draw(0.2, 1.0)])
            .collect()
    }

    #[test]
    fn a_known_map_is_found() {
        let scene = patches(1);
        let target =
            Array2::from_shape_fn((480, 640), |(r, c)| landscape(&scene, r as f64, c as f64));
        // Half a degree of turn, half a percent of zoom, and a shift.
        let known = Placement { row: [9.3, 1.005, -0.0087], column: [-12.6, 0.0087, 1.005] };
        // The picture in which `known` finds the target's pixels, darker.
        let det = known.row[1] * known.column[2] - known.row[2] * known.column[1];
        let picture = Array2::from_shape_fn((480, 640), |(r, c)| {
            let (y, x) = (r as f64 - known.row[0], c as f64 - known.column[0]);
            let row = (y * known.column[2] - x * known.row[2]) / det;
            let column = (x * known.row[1] - y * known.column[1]) / det;
            0.4 * landscape(&scene, row, column) + 3.0
        });
        let guess = Placement::centred((480, 640), (480, 640), 1.0);
        let found = align(&target, &picture, guess).unwrap();
        for (row, column) in [(40.0, 40.0), (240.0, 320.0), (440.0, 600.0), (40.0, 600.0)] {
            let (a, b) = (found.at(row, column), known.at(row, column));
            let off = (a.0 - b.0).hypot(a.1 - b.1);
            assert!(off < 0.5, "{off} pixels off at {row}, {column}: {found:?}");
        }
    }

    #[test]
    fn unlike_pictures_are_not_aligned() {
        let picture = |seed| {
            let scene = patches(seed);
            Array2::from_shape_fn((480, 640), |(r, c)| landscape(&scene, r as f64, c as f64))
        };
        let guess = Placement::centred((480, 640), (480, 640), 1.0);
        assert_eq!(align(&picture(2), &picture(3), guess), None);
        let flat = Array2::zeros((480, 640));
        assert_eq!(align(&flat, &flat, guess), None);
        let tiny = Array2::zeros((1, 1));
        assert_eq!(align(&tiny, &tiny, Placement::centred((1, 1), (1, 1), 1.0)), None);
    }

    #[test]
    fn sizes_and_focal_lengths_join_in_the_middle() {
        let map = Placement::centred((960, 1280), (120, 160), 0.125);
        assert_eq!(map.at(479.5, 639.5), (59.5, 79.5));
        let picture = Array2::from_shape_fn((120, 160), |(r, c)| (r * 1000 + c) as f32);
        let seen = map.resample(&picture, 960, 1280);
        assert!((seen[(480, 640)] - 59_642.06).abs() < 1.0, "{}", seen[(480, 640)]);
        assert!(seen[(0, 0)].is_nan() && seen[(4, 4)].is_finite());
    }
}
