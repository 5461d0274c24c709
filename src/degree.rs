//! Temperatures as people write them.

use std::fmt;

use crate::frame::CELSIUS_ZERO_K;

/// What a temperature was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Degree {
    Celsius,
    Fahrenheit,
    Kelvin,
}

impl Degree {
    /// Reads a number and what it was written in, if that stands behind it:
    /// `20`, `20C`, `68 °F`, `68degF` or `293K`. The error is a sentence.
    pub fn read(text: &str) -> Result<(f64, Option<Self>), String> {
        let text = text.trim();
        let (number, degree) = match text.char_indices().next_back() {
            Some((end, 'C')) => (&text[..end], Some(Self::Celsius)),
            Some((end, 'F')) => (&text[..end], Some(Self::Fahrenheit)),
            Some((end, 'K')) => (&text[..end], Some(Self::Kelvin)),
            _ => (text, None),
        };
        let bare = match degree {
            Some(_) => number.strip_suffix('°').or(number.strip_suffix("deg")).unwrap_or(number),
            None => number,
        };
        let value = bare.trim().parse().map_err(|_| {
            format!("{text:?} is neither a number nor a temperature such as 20C, 68F or 293K")
        })?;
        Ok((value, degree))
    }

    /// `value` in degrees Celsius.
    pub fn celsius(self, value: f64) -> f64 {
        match self {
            Self::Celsius => value,
            Self::Fahrenheit => (value - 32.0) / 1.8,
            Self::Kelvin => value - CELSIUS_ZERO_K,
        }
    }
}

impl fmt::Display for Degree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Celsius => "degC",
            Self::Fahrenheit => "degF",
            Self::Kelvin => "K",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_are_read_with_and_without_a_degree_sign() {
        let signs = [("C", Degree::Celsius), ("F", Degree::Fahrenheit), ("K", Degree::Kelvin)];
        for (letter, degree) in signs {
            for sign in ["", " ", "°", " °", "deg", " deg"] {
                let text = format!(" -4.5{sign}{letter} ");
                assert_eq!(Degree::read(&text), Ok((-4.5, Some(degree))), "{text:?}");
            }
        }
        assert_eq!(Degree::read("1e3"), Ok((1000.0, None)));
        for wrong in ["", "C", "°C", "20°", "20deg", "20CC", "20 X", "20C F", "20°°C", "é"] {
            assert!(Degree::read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn water_freezes_at_the_same_temperature_in_all() {
        assert_eq!(Degree::Celsius.celsius(0.0), 0.0);
        assert_eq!(Degree::Fahrenheit.celsius(32.0), 0.0);
        assert_eq!(Degree::Kelvin.celsius(273.15), 0.0);
        assert_eq!(Degree::Fahrenheit.celsius(212.0), 100.0);
    }
}
