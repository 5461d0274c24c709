//! Outlines in longitude and latitude, where the Earth has neither seam nor
//! end: cut at the antimeridian, and led along a pole that they hold.

use super::Ring;

/// An edge that spans more degrees of longitude than this is no straight line
/// between its ends, as near a pole; or it crosses the antimeridian.
const STRAIGHT: f64 = 5.0;

/// A point this close to a pole, in degrees, is the pole: a centimetre.
const AT_POLE: f64 = 1e-7;

/// Whether the points of `ring` lie too far apart to follow its edges.
pub(super) fn is_coarse(ring: &[(f64, f64)]) -> bool {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).any(|(a, b)| (a.0 - b.0).abs() > STRAIGHT)
}

/// The area inside `ring`, (longitude, latitude) in order round it, as one
/// ring, or as several that end at the antimeridian. Neighbours in `ring` lie
/// less than half the globe apart. A ring that holds a pole becomes one from
/// west to east that is closed along that pole.
pub(super) fn parts(ring: &[(f64, f64)]) -> Vec<Ring> {
    if let Some(at) = lone_pole(ring) {
        // It has every longitude: the area ends there at those of its neighbours.
        let mut rest = ring.to_vec();
        rest.rotate_left(at);
        let (_, pole) = rest.remove(0);
        return split(capped(unrolled(rest), pole));
    }
    let mut around = unrolled(ring.iter().chain(ring.first()).copied().collect());
    match around[..] {
        [(start, _), .., (end, _)] if (end - start).abs() > 180.0 => {
            let sum: f64 = ring.iter().map(|&(_, latitude)| latitude).sum();
            vec![capped(from_west(around), 90f64.copysign(sum))]
        }
        _ => {
            around.pop();
            split(around)
        }
    }
}

/// Which point of `ring` is a pole. A map of longitude and latitude has many in
/// a row, which are where it says.
fn lone_pole(ring: &[(f64, f64)]) -> Option<usize> {
    let pole = |at: usize| 90.0 - ring[at % ring.len()].1.abs() < AT_POLE;
    let count = ring.len();
    (0..count).find(|&at| pole(at) && !pole(at + 1) && !pole(at + count - 1))
}

/// `points` with longitudes that go on beyond 180 degrees instead of leaping
/// to the other end.
fn unrolled(mut points: Ring) -> Ring {
    let mut before = points.first().map_or(0.0, |point| point.0);
    for (longitude, _) in &mut points {
        *longitude -= ((*longitude - before) / 360.0).round() * 360.0;
        before = *longitude;
    }
    points
}

/// `line` as a ring that is closed along the pole at the latitude `pole`.
fn capped(mut line: Ring, pole: f64) -> Ring {
    let ends = line.last().into_iter().chain(line.first()).map(|&(x, _)| (x, pole));
    line.extend(ends.collect::<Ring>());
    line
}

/// `line`, which runs once round the Earth, from -180 to 180 degrees.
fn from_west(mut line: Ring) -> Ring {
    if let [(start, _), .., (end, _)] = line[..]
        && end < start
    {
        line.reverse();
    }
    let start = line.first().map_or(0.0, |point| point.0);
    let border = ((start + 180.0) / 360.0).floor() * 360.0 + 180.0;
    let Some(at) = line.windows(2).position(|pair| pair[0].0 < border && border <= pair[1].0)
    else {
        return line;
    };
    let (a, b) = (line[at], line[at + 1]);
    let latitude = a.1 + (border - a.0) / (b.0 - a.0) * (b.1 - a.1);
    // The last point is the first one again.
    let east = line[at + 1..line.len() - 1].iter().map(|&(x, y)| (x - border - 180.0, y));
    let west = line[..=at].iter().map(|&(x, y)| (x - border + 180.0, y));
    let within = east.chain(west).skip_while(|&(x, _)| x == -180.0);
    std::iter::once((-180.0, latitude)).chain(within).chain([(180.0, latitude)]).collect()
}

/// The parts of `ring` between one antimeridian and the next, each where
/// longitudes count from -180 to 180.
fn split(ring: Ring) -> Vec<Ring> {
    if ring.iter().all(|&(x, _)| x.abs() <= 180.0) {
        return vec![ring];
    }
    let part = |turn: f64| {
        let turned: Ring = ring.iter().map(|&(x, y)| (x + turn, y)).collect();
        clip(&clip(&turned, |x| x + 180.0), |x| 180.0 - x)
    };
    let parts = [0.0, -360.0, 360.0].map(part);
    parts.into_iter().filter(|part| twice_area(part) != 0.0).collect()
}

/// The part of `ring` where `inside` is not negative, by the algorithm of
/// Sutherland and Hodgman (Communications of the ACM 17, 1974).
fn clip(ring: &[(f64, f64)], inside: impl Fn(f64) -> f64) -> Ring {
    let mut clipped = Ring::new();
    for (&a, &b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        let (from, to) = (inside(a.0), inside(b.0));
        if from >= 0.0 {
            clipped.push(a);
        }
        if from * to < 0.0 {
            let share = from / (from - to);
            clipped.push((a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1)));
        }
    }
    clipped
}

/// `ring` running counter-clockwise, as GeoParquet can promise of outer
/// rings, and ending where it begins.
pub(super) fn closed(mut ring: Ring) -> Ring {
    if twice_area(&ring) < 0.0 {
        ring.reverse();
    }
    ring.extend(ring.first().copied());
    ring
}

/// Twice the area of `ring` in square degrees, negative if it runs clockwise.
fn twice_area(ring: &[(f64, f64)]) -> f64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_run_counter_clockwise_and_close() {
        let clockwise = vec![(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)];
        let ring = closed(clockwise);
        assert_eq!(ring, [(1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0), (1.0, 0.0)]);
        assert_eq!(closed(ring[..4].to_vec()), ring);
    }

    #[test]
    fn a_ring_round_a_pole_is_closed_along_it() {
        let ring = [(-90.0, 88.0), (0.0, 87.0), (90.0, 88.0), (180.0, 89.0)];
        let around: Ring =
            [(-180.0, 89.0), (-90.0, 88.0), (0.0, 87.0), (90.0, 88.0), (180.0, 89.0)].into();
        let expected = capped(around, 90.0);
        assert_eq!(expected[5..], [(180.0, 90.0), (-180.0, 90.0)]);
        let mut other = ring;
        other.reverse();
        assert_eq!((parts(&ring), parts(&other)), (vec![expected.clone()], vec![expected]));
        let south = parts(&ring.map(|(x, y)| (x, -y)));
        assert_eq!(south[0][6], (-180.0, -90.0));
    }

    #[test]
    fn a_pole_on_the_ring_has_the_longitudes_of_its_neighbours() {
        let ring = [(-30.0, 90.0), (0.0, 89.0), (45.0, 88.6), (90.0, 89.0)];
        let expected: Ring =
            [(0.0, 89.0), (45.0, 88.6), (90.0, 89.0), (90.0, 90.0), (0.0, 90.0)].into();
        assert_eq!(parts(&ring), [expected]);
        // On a map of longitude and latitude a pole is an edge.
        let globe = [(-180.0, 90.0), (-180.0, 0.0), (-60.0, 0.0), (-60.0, 90.0)];
        assert_eq!(parts(&globe), [globe.to_vec()]);
    }
}
