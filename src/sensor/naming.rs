//! Which listed band a name stands for: `B4`, `T51SXX_B04_10m` and `red` are one.

use crate::frame::Band;

/// For each of `names` the place in `listed` of the band that it stands for, each another
/// one; `None` where not all names stand for a band. The order of a file is not always
/// that of its instrument: names that are sorted put `B8A` last, and `blue` first.
pub(crate) fn places(names: &[&str], listed: &[Band]) -> Option<Vec<usize>> {
    let by_number = |name: &&str| listed.iter().position(|band| has_word(name, &band.name));
    distinct(names.iter().map(by_number).collect())
        .or_else(|| distinct(names.iter().map(|name| by_colour(name, names, listed)).collect()))
}

/// Whether one of `names` stands for a band that is `listed` at another place than its own:
/// then their places say nothing. `B1` to `B12` or `band_1` to `band_12`, one after the
/// other, are numbers, though, and no names.
pub(crate) fn misplaced(names: &[&str], listed: &[Band]) -> bool {
    let numbered = |(at, name): (usize, &&str)| {
        let (word, number) = colour(name);
        ["", "b", "band"].contains(&word.as_str()) && number == (at + 1).to_string()
    };
    if names.iter().enumerate().all(numbered) {
        return false;
    }
    names.iter().enumerate().any(|(at, name)| {
        let is = |band: &Band| has_word(name, &band.name) || is_colour(name, band);
        listed.iter().any(is) && !listed.get(at).is_some_and(is)
    })
}

/// Whether two band names are one: `B4` is `B04`, and letter case is free.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    !a.is_empty() && split_number(a) == split_number(b)
}

/// The letters before the first digit of `word`, in lower case, and what follows,
/// without leading zeros.
pub(crate) fn split_number(word: &str) -> (String, String) {
    let digits = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
    let (letters, number) = word.split_at(digits);
    (letters.to_lowercase(), number.trim_start_matches('0').to_lowercase())
}

/// `places` where all are there, and each is another one.
fn distinct(places: Option<Vec<usize>>) -> Option<Vec<usize>> {
    places.filter(|places| {
        let mut sorted = places.clone();
        sorted.sort_unstable();
        sorted.windows(2).all(|pair| pair[0] != pair[1])
    })
}

/// Whether `name`, or a word in it, is the `own` name of a band.
fn has_word(name: &str, own: &str) -> bool {
    name.split(|c: char| !c.is_alphanumeric()).any(|word| same_name(word, own))
}

/// The colour of `name`, as in `rededge` and `2`.
fn colour(name: &str) -> (String, String) {
    split_number(&name.chars().filter(|c| c.is_alphanumeric()).collect::<String>())
}

/// Whether `name` is the colour of `band`, whatever its number.
fn is_colour(name: &str, band: &Band) -> bool {
    let own = colour(band.common_name.as_deref().unwrap_or_default()).0;
    !own.is_empty() && colour(name).0 == own
}

/// The place of the band of the colour that `name` is: where several are of it, the first
/// number among `names` is the first of those that are `listed`, whatever they are called.
fn by_colour(name: &str, names: &[&str], listed: &[Band]) -> Option<usize> {
    let mut ours: Vec<&str> = names.to_vec();
    ours.retain(|other| colour(other).0 == colour(name).0);
    ours.sort_by_key(|other| colour(other).1.parse::<u32>().unwrap_or(0));
    let theirs: Vec<usize> = (0..listed.len()).filter(|&at| is_colour(name, &listed[at])).collect();
    let rank = ours.iter().position(|other| *other == name)?;
    theirs.get(rank).copied().filter(|_| ours.len() == theirs.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Unit;
    use crate::profile::Profile;

    fn sentinel2() -> Vec<Band> {
        Profile::find("sentinel2-l2a").unwrap().listed_bands().unwrap().to_vec()
    }

    const NAMES: [&str; 12] =
        ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"];

    #[test]
    fn names_agree_without_leading_zeros() {
        assert!(same_name("B4", "B04") && same_name("b8a", "B8A"));
        assert!(!same_name("B1", "B10") && !same_name("", ""));
    }

    #[test]
    fn names_stand_for_bands_in_any_order_and_among_other_words() {
        let (listed, own) = (sentinel2(), (0..12).collect::<Vec<_>>());
        assert_eq!(places(&NAMES, &listed).unwrap(), own);
        let mut sorted = NAMES;
        sorted.sort_unstable();
        let expected = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 8];
        let long = sorted.map(|name| format!("T51SXX_20200101_{name}_10m"));
        assert_eq!(places(&long.each_ref().map(String::as_str), &listed).unwrap(), expected);
        let colours = ["blue", "coastal", "green", "nir", "nir08", "nir09", "red", "rededge1"];
        let colours = [&colours[..], &["rededge2", "rededge3", "swir16", "swir22"]].concat();
        let expected = [1, 0, 2, 7, 8, 9, 3, 4, 5, 6, 10, 11];
        assert_eq!(places(&colours, &listed).unwrap(), expected);
        assert!(misplaced(&colours, &listed) && misplaced(&sorted, &listed));
    }

    #[test]
    fn names_of_others_stand_for_none() {
        let listed = sentinel2();
        let modis: Vec<String> = (1..=12).map(|at| format!("sur_refl_b{at:02}")).collect();
        let modis: Vec<&str> = modis.iter().map(String::as_str).collect();
        assert!(places(&modis, &listed).is_none() && misplaced(&modis, &listed));
        let counted: Vec<String> = (1..=12).map(|at| format!("B{at}")).collect();
        let counted: Vec<&str> = counted.iter().map(String::as_str).collect();
        assert!(places(&counted, &listed).is_none() && !misplaced(&counted, &listed));
        let words = ["Coastal aerosol", "Blue", "Green", "Red", "Red edge 1", "Red edge 2"];
        assert!(places(&words, &listed).is_none() && !misplaced(&words, &listed));
        assert!(places(&["red", "red"], &[Band::new("red", Unit::Counts)]).is_none());
    }
}
