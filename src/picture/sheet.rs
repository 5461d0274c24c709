//! Contact sheets: what went in, what was sent, what came back.

use image::{GenericImage, Rgb, RgbImage};

use super::font::{self, fill, write};
use super::{colour, enlarge};

/// One line of a contact sheet.
#[derive(Clone, Debug)]
pub struct SheetRow {
    /// What went in.
    pub input: RgbImage,
    /// Level of each value in dB, lowest frequency first.
    pub levels_db: Vec<f32>,
    /// What was decoded.
    pub reconstruction: RgbImage,
    /// One line of text below; ASCII.
    pub caption: String,
}

/// Pictures are enlarged to about so many pixels.
const CELL: u32 = 256;
const MARGIN: u32 = 16;
/// Captions are written in twice the font's size.
const SCALE: u32 = 2;
const LINE: u32 = font::HEIGHT * SCALE + 8;

const PAPER: Rgb<u8> = Rgb([24; 3]);
const PLOT: Rgb<u8> = Rgb([40; 3]);
const INK: Rgb<u8> = Rgb([232; 3]);

/// A sheet with one line per row: input, levels as bars, reconstruction, and
/// the caption below; `headings` stand above the three columns.
///
/// The bars of all rows share one axis in steps of 10 dB, written beside
/// them. Text that does not fit is cut off. The sheet holds about 0.9 MB a
/// row.
pub fn contact_sheet(headings: [&str; 3], rows: &[SheetRow]) -> RgbImage {
    let pictures = || rows.iter().flat_map(|row| [&row.input, &row.reconstruction]);
    let side = pictures().map(|p| p.width().max(p.height())).max().unwrap_or(1).max(1);
    let factor = (CELL / side).max(1);
    let width = pictures().map(|p| p.width()).max().unwrap_or(1) * factor;
    let height = pictures().map(|p| p.height()).max().unwrap_or(1) * factor;
    // Room for the headings: the plot is wider than the pictures.
    let plot = (2 * width).max(2 * CELL);
    let lefts = [MARGIN, 2 * MARGIN + width, 3 * MARGIN + width + plot];
    let step = height + LINE + MARGIN;
    let mut sheet = RgbImage::from_pixel(
        lefts[2] + width + MARGIN,
        MARGIN + LINE + rows.len() as u32 * step,
        PAPER,
    );
    for (left, heading) in lefts.into_iter().zip(headings) {
        write(&mut sheet, (left, MARGIN), SCALE, INK, heading);
    }
    let axis = Axis::around(rows.iter().flat_map(|row| &row.levels_db));
    for (index, row) in rows.iter().enumerate() {
        let top = MARGIN + LINE + index as u32 * step;
        place(&mut sheet, &row.input, (lefts[0], top), factor);
        draw_bars(&mut sheet, &row.levels_db, &axis, (lefts[1], top), (plot, height));
        place(&mut sheet, &row.reconstruction, (lefts[2], top), factor);
        write(&mut sheet, (MARGIN, top + height + 4), SCALE, INK, &row.caption);
    }
    sheet
}

/// Copies `picture`, enlarged; the sheet was made large enough.
fn place(sheet: &mut RgbImage, picture: &RgbImage, (x, y): (u32, u32), factor: u32) {
    let fits = sheet.copy_from(&enlarge(picture, factor), x, y);
    debug_assert!(fits.is_ok());
}

/// The levels at the bottom and the top of a plot, multiples of 10 dB.
struct Axis {
    low_db: f32,
    high_db: f32,
}

impl Axis {
    fn around<'a>(levels_db: impl Iterator<Item = &'a f32>) -> Self {
        let finite = levels_db.copied().filter(|level| level.is_finite());
        let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), level| {
            (low.min(level), high.max(level))
        });
        if low > high {
            return Self { low_db: -10.0, high_db: 0.0 };
        }
        // A bar at the bottom of the axis would not be seen.
        let low_db = ((low - 1.0) / 10.0).floor() * 10.0;
        Self { low_db, high_db: ((high / 10.0).ceil() * 10.0).max(low_db + 10.0) }
    }

    /// Where `level_db` lies on the axis, 0..1; silence lies at 0.
    fn share(&self, level_db: f32) -> f32 {
        let share = (level_db - self.low_db) / (self.high_db - self.low_db);
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }
}

fn draw_bars(
    sheet: &mut RgbImage,
    levels_db: &[f32],
    axis: &Axis,
    (left, top): (u32, u32),
    (width, height): (u32, u32),
) {
    fill(sheet, (left, top), (width, height), PLOT);
    let edge = |bar: usize| left + (bar as f32 / levels_db.len() as f32 * width as f32) as u32;
    for (bar, level) in levels_db.iter().enumerate() {
        let share = axis.share(*level);
        let bar_height = (share * height as f32).round() as u32;
        let bar_width = (edge(bar + 1) - edge(bar)).saturating_sub(1).max(1);
        let corner = (edge(bar), top + height - bar_height);
        fill(sheet, corner, (bar_width, bar_height), colour(0.35 + 0.6 * share));
    }
    write(sheet, (left + 4, top + 2), 1, INK, &format!("{} dB", axis.high_db));
    let bottom = top + height.saturating_sub(font::HEIGHT + 2);
    let label = format!("{} dB", axis.low_db);
    let label_width = label.len() as u32 * font::WIDTH;
    fill(sheet, (left + 2, bottom), (label_width + 4, font::HEIGHT + 2), PLOT);
    write(sheet, (left + 4, bottom), 1, INK, &label);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(levels_db: Vec<f32>) -> SheetRow {
        let picture = |grey| RgbImage::from_pixel(64, 51, Rgb([grey; 3]));
        SheetRow {
            input: picture(200),
            levels_db,
            reconstruction: picture(100),
            caption: "x".into(),
        }
    }

    #[test]
    fn pictures_stand_where_they_belong() {
        let sheet = contact_sheet(["in", "levels", "out"], &[row(vec![-50.0]), row(vec![-30.0])]);
        let (plot, width, height) = (512, 256, 204);
        let lefts = [16, 16 + width + 16, 16 + width + 16 + plot + 16];
        assert_eq!(sheet.dimensions(), (lefts[2] + width + 16, 44 + 2 * (height + 28 + 16)));
        for index in 0..2 {
            let top = 44 + index * (height + 44);
            for (left, grey) in [(lefts[0], 200), (lefts[2], 100)] {
                assert_eq!(sheet[(left, top)].0, [grey; 3]);
                assert_eq!(sheet[(left + width - 1, top + height - 1)].0, [grey; 3]);
                assert_eq!(sheet[(left + width, top)].0, PAPER.0);
                assert_ne!(sheet[(left, top + height)].0, [grey; 3]);
            }
        }
    }

    #[test]
    fn bars_are_as_high_as_their_levels_on_one_axis() {
        let levels = [vec![-60.0, -40.0], vec![-20.0, f32::NEG_INFINITY]];
        let sheet = contact_sheet(["", "", ""], &levels.map(row));
        // The axis runs from -70 to -20 dB over 204 pixels.
        let (left, height) = (16 + 256 + 16, 204);
        let count = |x: u32, top: u32| {
            (top..top + height).filter(|y| ![PLOT, INK].contains(&sheet[(x, *y)])).count()
        };
        let (first, second) = (44, 44 + height + 44);
        let columns = [left + 200, left + 400];
        assert_eq!(columns.map(|x| count(x, first)), [41, 122]);
        assert_eq!(columns.map(|x| count(x, second)), [204, 0]);
    }

    #[test]
    fn an_empty_sheet_has_headings_only() {
        let sheet = contact_sheet(["a", "b", "c"], &[]);
        assert!(sheet.pixels().any(|p| *p == INK));
        let silent = contact_sheet(["", "", ""], &[row(vec![f32::NAN; 3]), row(vec![])]);
        assert!(silent.height() > sheet.height());
    }
}
