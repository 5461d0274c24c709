//! What is put where there is no reading, before a picture is encoded.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::sum_of;

/// What a pixel further from the readings keeps of their difference from the
/// mean: a share of 1/e every 8 pixels.
///
/// An edge at a gap costs the code as much as one in the scene: see ARCHITECTURE.md for
/// what this keeps. Without fading a large gap would be as loud as its rim.
const FADING: f32 = 0.882_496_9;

/// Fills the gaps of one band `[row, column]`, whatever is not finite: what lies
/// beside them goes on into them, and fades towards the mean of all readings.
/// A band without readings becomes `empty`.
pub(crate) fn fill(mut band: ArrayViewMut2<f32>, empty: f32) {
    let (sum, count) = sum_of(band.view(), f64::from);
    if count == 0 {
        return band.fill(empty);
    }
    let mean = (sum / count as f64) as f32;
    // The gaps beside readings, then those beside them, and so on.
    let gaps = band.indexed_iter().filter(|(_, value)| !value.is_finite());
    let mut front: Vec<[usize; 2]> = gaps.map(|((y, x), _)| [y, x]).collect();
    front.retain(|&at| readings_beside(band.view(), at).next().is_some());
    while !front.is_empty() {
        let fading = |&at: &[usize; 2]| {
            let (sum, count) = readings_beside(band.view(), at)
                .fold((0.0, 0.0), |(sum, count), reading| (sum + reading, count + 1.0f32));
            mean + FADING * (sum / count - mean)
        };
        let values: Vec<f32> = front.iter().map(fading).collect();
        for (&at, value) in front.iter().zip(values) {
            band[at] = value;
        }
        let mut next: Vec<[usize; 2]> =
            front.iter().flat_map(|&at| beside(at, band.dim())).collect();
        next.retain(|&at| !band[at].is_finite());
        next.sort_unstable();
        next.dedup();
        front = next;
    }
}

/// The pixels above, to the left, below and to the right of `at`, as far as
/// there are.
fn beside([y, x]: [usize; 2], (rows, columns): (usize, usize)) -> impl Iterator<Item = [usize; 2]> {
    let places = [
        y.checked_sub(1).map(|y| [y, x]),
        x.checked_sub(1).map(|x| [y, x]),
        (y + 1 < rows).then_some([y + 1, x]),
        (x + 1 < columns).then_some([y, x + 1]),
    ];
    places.into_iter().flatten()
}

/// The readings beside `at`.
fn readings_beside(band: ArrayView2<f32>, at: [usize; 2]) -> impl Iterator<Item = f32> {
    beside(at, band.dim()).map(move |at| band[at]).filter(|reading| reading.is_finite())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, s};

    use super::*;
    use crate::random::Random;

    #[test]
    fn readings_go_on_into_a_bar_and_fade() {
        let mut band = Array2::from_shape_fn((6, 4), |(_, x)| x as f32);
        band.slice_mut(s![3.., ..]).fill(f32::NAN);
        fill(band.view_mut(), 0.5);
        for ((y, x), &value) in band.indexed_iter() {
            let away = (y as i32 - 2).max(0);
            let expected = 1.5 + (x as f32 - 1.5) * (-away as f32 / 8.0).exp();
            assert!((value - expected).abs() < 1e-5, "({y}, {x}): {value} {expected}");
        }
    }

    #[test]
    fn readings_stay_and_gaps_lie_between_them() {
        let mut random = Random::new(4);
        for share in [0.02, 0.5, 0.98] {
            let mut reading = || match random.uniform() {
                v if v < share => [f32::NAN, f32::INFINITY][random.below(2)],
                _ => random.between(3.0, 4.0) as f32,
            };
            let sent = Array2::from_shape_simple_fn((20, 30), &mut reading);
            let mut filled = sent.clone();
            fill(filled.view_mut(), 0.5);
            for (&sent, &filled) in sent.iter().zip(&filled) {
                assert!((3.0..=4.0).contains(&filled) && (filled == sent || !sent.is_finite()));
            }
        }
    }

    #[test]
    fn a_band_without_readings_becomes_what_is_asked() {
        let mut band = Array2::from_elem((3, 2), f32::NAN);
        fill(band.view_mut(), 0.5);
        assert_eq!(band, Array2::from_elem((3, 2), 0.5));
    }
}
