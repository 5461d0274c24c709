//! Numbers as people are told them.

use std::fmt;

/// `84.1 seconds`, `49 minutes`, `3 hours`.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 120.0 => format!("{seconds:.1} seconds"),
        _ if seconds < 7200.0 => format!("{:.0} minutes", seconds / 60.0),
        _ => format!("{:.0} hours", seconds / 3600.0),
    }
}

/// `1 band`, `2 bands`.
pub fn count(number: impl fmt::Display, noun: &str) -> String {
    match number.to_string() {
        one if one == "1" => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// `value` as it is told: to six digits, as more of them are heard, and mean nothing.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_to_six_digits_and_one_is_singular() {
        let told = [19.280672073364258, 23.16746711730957, -0.000123456789, 1e7 / 3.0, 20.0, 0.0];
        let expected = [19.2807, 23.1675, -0.000123457, 3_333_330.0, 20.0, 0.0];
        assert_eq!(told.map(rounded), expected);
        assert!(rounded(f64::NAN).is_nan() && rounded(f64::INFINITY).is_infinite());
        assert_eq!([0, 1, 2].map(|n| count(n, "band")), ["0 bands", "1 band", "2 bands"]);
    }
}
