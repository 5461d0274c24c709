//! A picture in a sentence: what is hottest and coldest in it, and where.

use std::fmt;

use ndarray::{Array2, Axis};

use crate::frame::{Frame, Unit};

/// The highest and the lowest value of a picture, with their places, and the
/// value at its centre. All are means over 3 x 3 pixels, so that no single
/// pixel decides.
///
/// A frame with a band of temperatures is told by that one; any other by the
/// mean of those bands that have the unit of the first, its brightness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Glance {
    pub unit: Unit,
    /// `None` where the picture has no reading.
    pub extremes: Option<[(f32, &'static str); 2]>,
    pub centre: Option<f32>,
}

impl Glance {
    pub fn at(frame: &Frame) -> Self {
        let (values, unit) = plane(frame);
        let smooth = smoothed(&values);
        let size @ (rows, columns) = smooth.dim();
        let readings = || smooth.indexed_iter().filter(|(_, value)| value.is_finite());
        let highest = readings().reduce(|best, next| if next.1 > best.1 { next } else { best });
        let lowest = readings().reduce(|best, next| if next.1 < best.1 { next } else { best });
        let told = |(at, &value): ((usize, usize), &f32)| (value, place(at, size));
        let extremes = highest.zip(lowest).map(|(high, low)| [told(high), told(low)]);
        let centre = smooth.get((rows / 2, columns / 2)).copied().filter(|value| value.is_finite());
        Self { unit, extremes, centre }
    }

    /// Highest, lowest and centre.
    pub fn values(&self) -> [Option<f64>; 3] {
        let [highest, lowest] = match self.extremes {
            Some(extremes) => extremes.map(|(value, _)| Some(value)),
            None => [None; 2],
        };
        [highest, lowest, self.centre].map(|value| value.map(f64::from))
    }
}

impl fmt::Display for Glance {
    /// One sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |value| quantity(value, self.unit);
        let Some([(high, high_place), (low, low_place)]) = self.extremes else {
            return f.write_str("The picture has no reading.");
        };
        if high == low {
            return write!(f, "{} everywhere.", told(high));
        }
        let (top, bottom) = match self.unit.is_temperature() {
            true => ("Hottest", "coldest"),
            false => ("Brightest", "darkest"),
        };
        let centre = self.centre.map_or("without a reading".to_owned(), told);
        let (high, low) = (told(high), told(low));
        write!(f, "{top} {high}, {high_place}; {bottom} {low}, {low_place}; centre {centre}.")
    }
}

/// The values that are told, `[row, column]`, and their unit.
fn plane(frame: &Frame) -> (Array2<f32>, Unit) {
    if let Some(index) = frame.bands.iter().position(|band| band.unit.is_temperature()) {
        return (frame.data.index_axis(Axis(0), index).to_owned(), frame.bands[index].unit);
    }
    let unit = frame.bands.first().map_or(Unit::Counts, |band| band.unit);
    let mut sum = Array2::zeros((frame.rows(), frame.columns()));
    let mut count = 0.0;
    for (band, values) in frame.bands.iter().zip(frame.data.outer_iter()) {
        if band.unit == unit {
            sum += &values;
            count += 1.0;
        }
    }
    (sum / count, unit)
}

/// Means over 3 x 3 pixels, fewer at the edges; what has no reading does not
/// count, and stays without one.
fn smoothed(values: &Array2<f32>) -> Array2<f32> {
    let sums = |along: &Array2<[f64; 2]>, axis: usize| {
        let mut sums = along.clone();
        let length = along.len_of(Axis(axis));
        for at in 0..length {
            let mut sum = sums.index_axis_mut(Axis(axis), at);
            let neighbours = [at.checked_sub(1), Some(at + 1).filter(|&next| next < length)];
            for neighbour in neighbours.into_iter().flatten() {
                let beside = along.index_axis(Axis(axis), neighbour);
                sum.zip_mut_with(&beside, |a, b| *a = [a[0] + b[0], a[1] + b[1]]);
            }
        }
        sums
    };
    // Sum and count of readings, along one axis after the other.
    let readings = values.mapv(|value| match value.is_finite() {
        true => [f64::from(value), 1.0],
        false => [0.0; 2],
    });
    let sums = sums(&sums(&readings, 0), 1);
    let mut smooth = values.clone();
    smooth.zip_mut_with(&sums, |value, [sum, count]| {
        *value = if value.is_finite() { (sum / count) as f32 } else { f32::NAN };
    });
    smooth
}

/// Where (`row`, `column`) is in a picture of `rows` by `columns`, of nine
/// parts.
fn place((row, column): (usize, usize), (rows, columns): (usize, usize)) -> &'static str {
    const NAMES: [[&str; 3]; 3] = [
        ["upper left", "upper middle", "upper right"],
        ["middle left", "middle", "middle right"],
        ["lower left", "lower middle", "lower right"],
    ];
    let third = |at: usize, size: usize| (3 * at / size.max(1)).min(2);
    NAMES[third(row, rows)][third(column, columns)]
}

/// A value with its unit, as fine as it means something.
pub(super) fn quantity(value: f32, unit: Unit) -> String {
    let decimals = match unit {
        Unit::Celsius | Unit::Kelvin => 1,
        Unit::Reflectance => 2,
        Unit::Radiance => 3,
        Unit::Counts => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, s};

    use super::*;
    use crate::frame::Band;

    fn told(frame: &Frame) -> String {
        Glance::at(frame).to_string()
    }

    fn frame(units: &[Unit], data: Array3<f32>) -> Frame {
        let bands = units.iter().map(|&unit| Band::new("band", unit));
        Frame::new(data, bands.collect(), 0.0)
    }

    /// A picture of 30 x 30 pixels at 20, with squares of 5 x 5 pixels.
    fn squares(squares: &[(usize, usize, f32)]) -> Array3<f32> {
        let mut data = Array3::from_elem((1, 30, 30), 20.0);
        for &(row, column, value) in squares {
            data.slice_mut(s![.., row..row + 5, column..column + 5]).fill(value);
        }
        data
    }

    #[test]
    fn a_stove_is_told_with_its_place() {
        let data = squares(&[(2, 3, 61.25), (22, 12, 4.0)]);
        let said = told(&frame(&[Unit::Celsius], data));
        assert_eq!(
            said,
            "Hottest 61.2 degC, upper left; coldest 4.0 degC, lower middle; centre 20.0 degC."
        );
        let said = told(&frame(&[Unit::Counts], squares(&[(12, 22, 900.0), (12, 2, 7.0)])));
        assert_eq!(
            said,
            "Brightest 900 counts, middle right; darkest 7 counts, middle left; centre 20 counts."
        );
    }

    #[test]
    fn every_part_has_its_name() {
        let names: Vec<_> =
            (0..9).map(|part| place((10 * (part / 3), 10 * (part % 3)), (30, 30))).collect();
        assert_eq!(names[..3], ["upper left", "upper middle", "upper right"]);
        assert_eq!(names[3..6], ["middle left", "middle", "middle right"]);
        assert_eq!(names[6..], ["lower left", "lower middle", "lower right"]);
        assert_eq!(place((0, 0), (1, 1)), "upper left");
        assert_eq!(place((1, 1), (2, 2)), "middle");
    }

    #[test]
    fn one_pixel_does_not_outdo_a_square_and_gaps_do_not_count() {
        let mut data = squares(&[(22, 22, 60.0)]);
        data[(0, 4, 4)] = 100.0;
        data.slice_mut(s![.., 12..18, 12..18]).fill(f32::NAN);
        let said = told(&frame(&[Unit::Kelvin], data));
        assert!(said.starts_with("Hottest 60.0 K, lower right; coldest 20.0 K,"), "{said}");
        assert!(said.ends_with("centre without a reading."), "{said}");
        let empty = Array3::from_elem((1, 3, 3), f32::NAN);
        assert_eq!(told(&frame(&[Unit::Kelvin], empty)), "The picture has no reading.");
        let flat = Array3::from_elem((1, 3, 3), 7.0);
        assert_eq!(told(&frame(&[Unit::Celsius], flat)), "7.0 degC everywhere.");
    }

    #[test]
    fn temperatures_come_before_light_and_light_is_a_mean() {
        let units = [Unit::Reflectance, Unit::Reflectance, Unit::Celsius];
        let mut data = Array3::from_elem((3, 9, 9), 0.2);
        data.slice_mut(s![1, 6.., 6..]).fill(0.6);
        data.slice_mut(s![2, ..3, ..3]).fill(50.0);
        assert!(told(&frame(&units, data.clone())).starts_with("Hottest 50.0 degC, upper left"));
        let light = data.slice(s![..2, .., ..]).to_owned();
        let said = told(&frame(&units[..2], light));
        assert!(said.starts_with("Brightest 0.40 reflectance, lower right"), "{said}");
    }
}
