//! Many bands in a few sentences, for ears.

use super::Statistics;
use crate::frame::{Band, Unit};
use crate::sensor::count;

/// So many bands at most are told one by one.
pub const FEW: usize = 16;

/// More of them are told in so many groups of neighbours.
const GROUPS: usize = 8;

/// A band, its number from 1, and what was found in it.
type Found<'a> = (usize, &'a Band, &'a Statistics);

/// What was found in `bands`, an entry of `statistics` for each, in sentences: how
/// many there are and where, the values of each of eight groups of neighbours, which
/// band is the lowest and the highest on average, and which have no reading.
pub fn sentences(bands: &[Band], statistics: &[Statistics]) -> Vec<String> {
    let found: Vec<Found> = (1..)
        .zip(bands.iter().zip(statistics))
        .map(|(number, (band, numbers))| (number, band, numbers))
        .collect();
    let groups = found.chunks(found.len().div_ceil(GROUPS).max(1));
    let many = count(found.len(), "band");
    let mut told = vec![format!("{many}{}, in {} groups.", place(&found), groups.len())];
    told.extend(
        groups.map(|group| format!("{}{}: {}.", numbers(group), place(group), values(group))),
    );
    told.extend(units(&found).into_iter().filter_map(|unit| extremes(&found, unit)));
    told.extend(silent(&found));
    told
}

/// The numbers of the bands `found`.
fn numbers(found: &[Found]) -> String {
    match found {
        [(only, ..)] => format!("Band {only}"),
        [(first, ..), .., (last, ..)] => format!("Bands {first} to {last}"),
        [] => "No band".to_owned(),
    }
}

/// The wavelengths of the bands `found`, as far as they have any.
fn place(found: &[Found]) -> String {
    let known = || found.iter().filter_map(|(_, band, _)| band.wavelength_um);
    let (low, high) = (known().reduce(f32::min), known().reduce(f32::max));
    match low.zip(high) {
        Some((low, high)) if low < high => format!(", {low:.4} to {high:.4} micrometres"),
        Some((at, _)) => format!(", at {at:.4} micrometres"),
        None => String::new(),
    }
}

/// The units of the bands `found` that have readings, each once.
fn units(found: &[Found]) -> Vec<Unit> {
    let mut units = Vec::new();
    for (_, band, numbers) in found {
        if numbers.count > 0 && !units.contains(&band.unit) {
            units.push(band.unit);
        }
    }
    units
}

/// Lowest, highest and mean value of the bands `found`, for each of their units.
fn values(found: &[Found]) -> String {
    let of_unit = |unit: Unit| {
        let mut all = Statistics::default();
        found.iter().filter(|(_, band, _)| band.unit == unit).for_each(|(.., own)| all.join(own));
        let Statistics { min, max, mean, .. } = all;
        format!("{min:.4} to {max:.4} {unit}, {mean:.4} on average")
    };
    match units(found) {
        units if units.is_empty() => "no reading".to_owned(),
        units => units.into_iter().map(of_unit).collect::<Vec<_>>().join("; "),
    }
}

/// Which of the bands in `unit` is the lowest on average, and which the highest; none
/// where there is only one.
fn extremes(found: &[Found], unit: Unit) -> Option<String> {
    let of_unit = || found.iter().filter(|(_, band, own)| band.unit == unit && own.count > 0);
    let mean = |band: &&Found| band.2.mean;
    let low = of_unit().min_by(|a, b| mean(a).total_cmp(&mean(b)))?;
    let high = of_unit().max_by(|a, b| mean(a).total_cmp(&mean(b)))?;
    let told = |band: &Found| format!("{}, {:.4} {unit}", named(band), band.2.mean);
    (low.0 != high.0)
        .then(|| format!("The lowest on average is {}; the highest is {}.", told(low), told(high)))
}

/// How many of the bands `found` have no reading, and the first of them.
fn silent(found: &[Found]) -> Option<String> {
    let silent: Vec<&Found> = found.iter().filter(|(.., own)| own.count == 0).collect();
    let first = named(silent.first()?);
    Some(match silent.len() {
        1 => format!("One band has no reading, {first}."),
        many => format!("{many} bands have no reading, the first is {first}."),
    })
}

/// A band by its number, unless its name says that it is a band, its name, and where
/// it is.
fn named(band: &Found) -> String {
    let (number, Band { name, .. }, _) = band;
    let place = place(&[*band]);
    match name.to_lowercase().starts_with("band") {
        true => format!("{name}{place}"),
        false => format!("band {number}, {name}{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_bands_are_told_in_groups() {
        let band = |number: usize| Band {
            wavelength_um: Some(0.4 + 0.01 * number as f32),
            ..Band::new(format!("B{number}"), Unit::Reflectance)
        };
        let bands: Vec<Band> = (1..=20).map(band).collect();
        let mut statistics = vec![Statistics::default(); 20];
        for (number, own) in statistics.iter_mut().enumerate().filter(|(number, _)| *number != 9) {
            own.add(&[0.01 * number as f32, 0.03 * number as f32]);
        }
        let told = sentences(&bands, &statistics);
        assert_eq!(told.len(), 1 + 7 + 2, "{told:#?}");
        assert_eq!(told[0], "20 bands, 0.4100 to 0.6000 micrometres, in 7 groups.");
        assert_eq!(
            told[1],
            "Bands 1 to 3, 0.4100 to 0.4300 micrometres: 0.0000 to 0.0600 reflectance, 0.0200 on \
             average."
        );
        assert_eq!(
            told[8],
            "The lowest on average is band 1, B1, at 0.4100 micrometres, 0.0000 reflectance; the \
             highest is band 20, B20, at 0.6000 micrometres, 0.3800 reflectance."
        );
        assert_eq!(told[9], "One band has no reading, band 10, B10, at 0.5000 micrometres.");
    }

    #[test]
    fn units_are_not_mixed() {
        let units = [Unit::Reflectance, Unit::Kelvin];
        let bands: Vec<Band> = (0..18).map(|at| Band::new("B", units[at % 2])).collect();
        let mut statistics = vec![Statistics::default(); 18];
        for (at, own) in statistics.iter_mut().enumerate() {
            own.add(&[[0.5, 300.0][at % 2] + at as f32 / 16.0]);
        }
        let told = sentences(&bands, &statistics);
        assert_eq!(
            told[1],
            "Bands 1 to 3: 0.5000 to 0.6250 reflectance, 0.5625 on average; 300.0625 to 300.0625 \
             K, 300.0625 on average."
        );
        assert!(told[told.len() - 1].ends_with(" K."), "{told:?}");
    }
}
