//! How the pictures of a camera lie in what it sends: the table `[camera]` of
//! a profile.

use serde::{Deserialize, Serialize};

use crate::sensor::Packing;

/// How to ask a camera for pictures, and how to read them.
///
/// The stored value of a pixel is what the pixel format or `samples` says; it
/// becomes physical by the band's scale and offset, unless the camera's
/// telemetry says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// Pixel formats to ask for, best first, by Video4Linux's four letters,
    /// as `"Y16 "` or `"YUYV"`; `-BE` behind them: big-endian.
    pub formats: Vec<String>,
    /// Sizes to ask for as `[columns, rows]`, best first, telemetry included;
    /// none: whatever the camera is set to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<[u32; 2]>,
    /// The first row of the picture and how many rows it has; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<[usize; 2]>,
    /// How the bytes of a picture are to be read whatever the pixel format's
    /// name says: a name of [`Packing`], such as `"gray16le"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<String>,
    /// Where no telemetry says it: frames without any value above this one
    /// are bare counts, and the band's scale and unit do not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_up_to: Option<u16>,
    /// What lies in the rows behind the picture, where the camera sends any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
}

/// Where a camera writes what about itself. Places are words of 16 bits, from
/// 0 at the first one behind the picture; words have the byte order of pixels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// A counter of frames, of two words, the low one first: equal counters
    /// are the same picture, once it has moved at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter: Option<usize>,
    /// A word that is 1 while values are proportional to temperature, and 0
    /// while they are bare counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear: Option<usize>,
    /// A word that says which of `scales` holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<usize>,
    /// The band's scale for each value of `resolution`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scales: Vec<f64>,
    /// A sign that the picture stands still because the camera calibrates;
    /// without a counter that moves it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibrating: Option<Sign>,
}

/// Bits of a word that have a meaning at one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// Which word.
    pub word: usize,
    /// Which of its bits.
    pub mask: u16,
    /// The value of those bits, in their place, that is the sign.
    pub value: u16,
}

impl Sign {
    /// Whether `words` carry the sign.
    pub fn is_in(&self, words: &[u16]) -> bool {
        words.get(self.word).is_some_and(|word| word & self.mask == self.value)
    }
}

impl Camera {
    /// What is wrong with it, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        if self.formats.is_empty() {
            return Some("the camera has no formats".into());
        }
        if let Some(format) = self.formats.iter().find(|name| FourCc::parse(name).is_none()) {
            return Some(format!("{format:?} is no pixel format: four letters are"));
        }
        if let Some(name) = self.samples.as_ref().filter(|name| Packing::parse(name).is_none()) {
            return Some(format!("{name:?} is no way in which samples lie in bytes"));
        }
        if matches!(self.picture, Some([_, 0])) {
            return Some("the picture has 0 rows".into());
        }
        None
    }
}

/// A pixel format by Video4Linux's four letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    /// The bit that marks the big-endian sibling of a format
    /// (Linux, `include/uapi/linux/videodev2.h`, `v4l2_fourcc_be`).
    const BIG_ENDIAN: u8 = 0x80;

    /// Reads `"Y16 "` or `"Y16 -BE"`.
    pub fn parse(name: &str) -> Option<Self> {
        let (letters, big_endian) = match name.strip_suffix("-BE") {
            Some(letters) => (letters, true),
            None => (name, false),
        };
        let mut code: [u8; 4] = letters.as_bytes().try_into().ok()?;
        if !code.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
            return None;
        }
        code[3] |= if big_endian { Self::BIG_ENDIAN } else { 0 };
        Some(Self(code))
    }

    /// The four letters.
    pub fn letters(self) -> [u8; 4] {
        let [a, b, c, d] = self.0;
        [a, b, c, d & !Self::BIG_ENDIAN]
    }

    /// Whether samples have their most significant byte first.
    pub fn is_big_endian(self) -> bool {
        self.0[3] & Self::BIG_ENDIAN != 0
    }
}

impl std::fmt::Display for FourCc {
    /// What could steer a terminal becomes a question mark.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = |byte: u8| if byte.is_ascii_graphic() { char::from(byte) } else { '?' };
        let letters = self.letters();
        let name: String =
            letters.iter().map(|&b| if b == b' ' { ' ' } else { plain(b) }).collect();
        write!(f, "{}{}", name.trim_end(), if self.is_big_endian() { "-BE" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named_as_the_kernel_names_them() {
        let y16 = FourCc::parse("Y16 ").unwrap();
        assert_eq!((y16.0, y16.is_big_endian(), y16.to_string()), (*b"Y16 ", false, "Y16".into()));
        let swapped = FourCc::parse("Y16 -BE").unwrap();
        // v4l2_fourcc_be('Y', '1', '6', ' ') is that of Y16 with bit 31 set.
        assert_eq!(u32::from_le_bytes(swapped.0), u32::from_le_bytes(y16.0) | 1 << 31);
        assert_eq!((swapped.letters(), swapped.to_string()), (*b"Y16 ", "Y16-BE".into()));
        assert_eq!(["Y16", "", "Y16  ", "Y\u{fc}V"].map(FourCc::parse), [None; 4]);
        assert_eq!(FourCc([b'A', 27, 10, b'B']).to_string(), "A??B");
    }

    #[test]
    fn a_sign_is_a_value_of_some_bits() {
        let sign = Sign { word: 1, mask: 0x30, value: 0x20 };
        assert!(sign.is_in(&[0, 0x2f]) && sign.is_in(&[0, 0xffef]));
        assert!(!sign.is_in(&[0x20, 0x30]) && !sign.is_in(&[0x20]));
    }
}
