//! The order in which the chips of a scene are heard.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A way through the chips of a scene that meets each of them once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// Rows of chips from the top, the first from left to right, the next from
    /// right to left, so that every chip touches the one before it.
    #[default]
    Winding,
    /// A Hilbert curve: every chip touches the one before it, by a corner at
    /// most once where the longer side is odd and the shorter even, and
    /// what is near in time is near in both directions of the scene.
    Hilbert,
    /// Rows of chips from the top, each from left to right, as text is read.
    Sweep,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Winding => "winding",
            Self::Hilbert => "hilbert",
            Self::Sweep => "sweep",
        })
    }
}

impl Route {
    /// Row and column of each of `down` by `across` chips, in order; of no more
    /// than 2^32 - 1 each way.
    pub fn walk(self, down: usize, across: usize) -> Walk {
        let (down, across) = (down.min(u32::MAX as usize), across.min(u32::MAX as usize));
        let whole = match (down, across) {
            (0, _) | (_, 0) => return Walk::Curve(Vec::new()),
            _ if down > across => {
                Area { at: (0, 0), long: (down as isize, 0), short: (0, across as isize) }
            }
            _ => Area { at: (0, 0), long: (0, across as isize), short: (down as isize, 0) },
        };
        match self {
            Self::Hilbert => Walk::Curve(vec![whole]),
            _ => Walk::Lines { down, across, next: (0, 0), winding: self == Self::Winding },
        }
    }
}

/// The chips along a route. It takes next to no memory, however large the
/// scene is.
#[derive(Clone, Debug)]
pub enum Walk {
    /// Row by row.
    #[doc(hidden)]
    Lines { down: usize, across: usize, next: (usize, usize), winding: bool },
    /// What is left of a curve, the next area last.
    #[doc(hidden)]
    Curve(Vec<Area>),
}

impl Iterator for Walk {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Lines { down, across, next: (row, step), winding } => {
                let (line, place) = (*row, *step);
                if line >= *down {
                    return None;
                }
                (*row, *step) = if place + 1 < *across { (line, place + 1) } else { (line + 1, 0) };
                let back = *winding && line % 2 == 1;
                Some((line, if back { *across - 1 - place } else { place }))
            }
            Self::Curve(areas) => loop {
                let area = areas.pop()?;
                if area.lengths().1 == 1 {
                    let (here, rest) = area.first();
                    areas.extend(rest);
                    return Some(here);
                }
                areas.extend(area.parts().into_iter().flatten().rev());
            },
        }
    }
}

/// Rows and columns from one place to another.
type Step = (isize, isize);

/// An area that a curve enters at the corner `at` and leaves at the other end
/// of its side `long`; `short` is the side across.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Area {
    at: Step,
    long: Step,
    short: Step,
}

impl Area {
    fn lengths(&self) -> (isize, isize) {
        (length(self.long), length(self.short))
    }

    /// The first chip of an area one chip wide, and what comes after it.
    fn first(self) -> ((usize, usize), Option<Self>) {
        let step = unit(self.long);
        let rest = Self { at: plus(self.at, step), long: minus(self.long, step), ..self };
        let here = (self.at.0.unsigned_abs(), self.at.1.unsigned_abs());
        (here, (length(rest.long) > 0).then_some(rest))
    }

    /// The areas that an area is crossed by, in order: two halves of a long
    /// one; of others an ascent, a crossing and a descent, as in Hilbert's
    /// curve. Cuts fall on even lengths where they can, so that curves end
    /// beside the beginning of the next (J. Cerveny's generalisation of the
    /// Hilbert curve to rectangles of any size).
    fn parts(self) -> [Option<Self>; 3] {
        let Self { at, long, short } = self;
        let (long_length, short_length) = self.lengths();
        if long_length == 1 {
            return [Some(Self { at, long: short, short: long }), None, None];
        }
        let (half_long, half_short) = (half(long), half(short));
        if 2 * long_length > 3 * short_length {
            let cut = even(half_long, long);
            let rest = Self { at: plus(at, cut), long: minus(long, cut), short };
            return [Some(Self { at, long: cut, short }), Some(rest), None];
        }
        let cut = even(half_short, short);
        let up = Self { at, long: cut, short: half_long };
        let over = Self { at: plus(at, cut), long, short: minus(short, cut) };
        let end = plus(plus(at, minus(long, unit(long))), minus(cut, unit(cut)));
        let down = Self { at: end, long: minus((0, 0), cut), short: minus(half_long, long) };
        [Some(up), Some(over), Some(down)]
    }
}

/// The length of a side; sides are upright.
fn length(side: Step) -> isize {
    (side.0 + side.1).abs()
}

fn unit(side: Step) -> Step {
    (side.0.signum(), side.1.signum())
}

fn plus(a: Step, b: Step) -> Step {
    (a.0 + b.0, a.1 + b.1)
}

fn minus(a: Step, b: Step) -> Step {
    (a.0 - b.0, a.1 - b.1)
}

fn half(side: Step) -> Step {
    (side.0 / 2, side.1 / 2)
}

/// `cut` of `side`, one longer where it is odd and the side longer than two.
fn even(cut: Step, side: Step) -> Step {
    if length(cut) % 2 == 1 && length(side) > 2 { plus(cut, unit(side)) } else { cut }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_route_meets_every_chip_once() {
        for route in [Route::Winding, Route::Hilbert, Route::Sweep] {
            for (down, across) in (0..=24).flat_map(|d| (0..=24).map(move |a| (d, a))) {
                let walk: Vec<_> = route.walk(down, across).collect();
                let met: HashSet<_> = walk.iter().copied().collect();
                assert_eq!((walk.len(), met.len()), (down * across, down * across), "{route}");
                assert!(met.iter().all(|&(row, column)| row < down && column < across));
            }
        }
    }

    #[test]
    fn neighbours_in_time_touch() {
        for (down, across) in (1..=40).flat_map(|d| (1..=40).map(move |a| (d, a))) {
            for route in [Route::Winding, Route::Hilbert] {
                let walk: Vec<_> = route.walk(down, across).collect();
                let mut corners = 0;
                for pair in walk.windows(2) {
                    let (rows, columns) =
                        (pair[0].0.abs_diff(pair[1].0), pair[0].1.abs_diff(pair[1].1));
                    assert!(rows.max(columns) == 1, "{route} {down} x {across}: {pair:?}");
                    corners += rows + columns - 1;
                }
                let (long, short) = (down.max(across), down.min(across));
                let odd = route == Route::Hilbert && long % 2 == 1 && short % 2 == 0;
                assert!(corners <= usize::from(odd), "{route} {down} x {across}: {corners}");
            }
        }
    }

    #[test]
    fn a_square_of_four_is_hilberts_own_curve() {
        let walk: Vec<_> = Route::Hilbert.walk(4, 4).collect();
        let curve = [
            (0, 0),
            (0, 1),
            (1, 1),
            (1, 0),
            (2, 0),
            (3, 0),
            (3, 1),
            (2, 1),
            (2, 2),
            (3, 2),
            (3, 3),
            (2, 3),
            (1, 3),
            (1, 2),
            (0, 2),
            (0, 3),
        ];
        assert_eq!(walk, curve);
        let rows: Vec<_> = Route::Sweep.walk(2, 2).collect();
        assert_eq!(rows, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    }

    /// The mean distance of what lies 16 chips apart in time.
    #[test]
    fn the_curve_keeps_near_what_is_near() {
        let apart = |route: Route| {
            let walk: Vec<_> = route.walk(50, 70).collect();
            let pairs = walk.iter().zip(&walk[16..]);
            pairs.map(|(a, b)| a.0.abs_diff(b.0) + a.1.abs_diff(b.1)).sum::<usize>()
        };
        assert!(2 * apart(Route::Hilbert) < apart(Route::Winding));
    }

    #[test]
    fn a_scene_without_end_is_walked_without_memory() {
        for route in [Route::Winding, Route::Hilbert, Route::Sweep] {
            assert_eq!(route.walk(1 << 30, 1 << 29).take(1000).count(), 1000);
        }
    }
}
