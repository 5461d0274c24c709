//! How counts lie in bytes: the layouts in which cameras, frame grabbers and
//! pipes deliver grey pixels.
//!
//! Names are those of ffmpeg (`gray16le`), of Video4Linux (`y10`), and of the
//! Pixel Format Naming Convention of GigE Vision and USB3 Vision (`mono12p`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the pixels of a grey picture lie in bytes, row after row without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// One byte each.
    Gray8,
    /// Two bytes each, the least significant first.
    Gray16Le,
    /// Two bytes each, the most significant first.
    Gray16Be,
    /// Like [`Packing::Gray16Le`], in the lowest 10 bits; the others do not
    /// count.
    Y10,
    /// The same with 12 bits.
    Y12,
    /// The same with 14 bits.
    Y14,
    /// 10 bits each in one row of bits, the least significant first: four
    /// pixels in five bytes.
    Mono10p,
    /// 12 bits each in one row of bits, the least significant first: two
    /// pixels in three bytes.
    Mono12p,
    /// GigE Vision's older form: the upper 8 bits of two pixels, and between
    /// them a byte with the lower 2 of both, the first pixel's lowest.
    Mono10Packed,
    /// The same with the lower 4 bits of both between.
    Mono12Packed,
    /// Four bytes each, IEEE 754, the least significant first; what is not
    /// finite is no reading.
    F32Le,
}

/// Every name that is understood; the first one of a packing is its own.
const NAMES: [(&str, Packing); 21] = [
    ("gray8", Packing::Gray8),
    ("gray16le", Packing::Gray16Le),
    ("gray16be", Packing::Gray16Be),
    ("y10", Packing::Y10),
    ("y12", Packing::Y12),
    ("y14", Packing::Y14),
    ("mono10p", Packing::Mono10p),
    ("mono12p", Packing::Mono12p),
    ("mono10packed", Packing::Mono10Packed),
    ("mono12packed", Packing::Mono12Packed),
    ("f32le", Packing::F32Le),
    ("gray", Packing::Gray8),
    ("grey", Packing::Gray8),
    ("mono8", Packing::Gray8),
    ("y16", Packing::Gray16Le),
    ("mono16", Packing::Gray16Le),
    ("mono10", Packing::Y10),
    ("mono12", Packing::Y12),
    ("mono14", Packing::Y14),
    ("gray10le", Packing::Y10),
    ("gray12le", Packing::Y12),
];

impl Packing {
    /// The packing of this name, whatever the case of its letters.
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|known| known.0.eq_ignore_ascii_case(name)).map(|known| known.1)
    }

    /// Bits from one pixel to the next.
    pub fn bits(self) -> usize {
        match self {
            Self::Gray8 => 8,
            Self::Gray16Le | Self::Gray16Be | Self::Y10 | Self::Y12 | Self::Y14 => 16,
            Self::Mono10p => 10,
            Self::Mono12p | Self::Mono10Packed | Self::Mono12Packed => 12,
            Self::F32Le => 32,
        }
    }

    /// Bytes of a picture of `rows` by `columns`: pixels go on across the ends
    /// of rows, and only the last byte is filled up. Saturates.
    pub fn bytes(self, rows: usize, columns: usize) -> usize {
        rows.saturating_mul(columns).saturating_mul(self.bits()).div_ceil(8)
    }

    /// Replaces what is in `counts` by the first `pixels` pixels of `bytes`,
    /// as far as those reach. Counts of up to 16 bits are exact in f32.
    pub fn unpack(self, bytes: &[u8], pixels: usize, counts: &mut Vec<f32>) {
        counts.clear();
        let words = || bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let low = |bits: u32| words().map(move |word| f32::from(word & ((1 << bits) - 1)));
        match self {
            Self::Gray8 => counts.extend(bytes.iter().take(pixels).map(|&byte| f32::from(byte))),
            Self::Gray16Le => counts.extend(words().take(pixels).map(f32::from)),
            Self::Gray16Be => {
                counts.extend(words().take(pixels).map(|word| f32::from(word.swap_bytes())));
            }
            Self::Y10 => counts.extend(low(10).take(pixels)),
            Self::Y12 => counts.extend(low(12).take(pixels)),
            Self::Y14 => counts.extend(low(14).take(pixels)),
            Self::Mono10p => counts.extend(stream(bytes, 10).take(pixels)),
            Self::Mono12p => counts.extend(stream(bytes, 12).take(pixels)),
            Self::Mono10Packed => counts.extend(pairs(bytes, 2).take(pixels)),
            Self::Mono12Packed => counts.extend(pairs(bytes, 4).take(pixels)),
            Self::F32Le => counts.extend(bytes.chunks_exact(4).take(pixels).map(|four| {
                let value = f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
                if value.is_finite() { value } else { f32::NAN }
            })),
        }
    }
}

/// Pixels of `bits` in one row of bits, the least significant first.
fn stream(bytes: &[u8], bits: usize) -> impl Iterator<Item = f32> {
    let pixels = bytes.len() * 8 / bits;
    (0..pixels).map(move |pixel| {
        let start = pixel * bits;
        // With up to 16 bits from any bit on, three bytes hold a pixel.
        let held = (0..3).fold(0u32, |held, at| {
            let byte = bytes.get(start / 8 + at).copied().unwrap_or(0);
            held | u32::from(byte) << (8 * at)
        });
        (held >> (start % 8) & ((1 << bits) - 1)) as f32
    })
}

/// Pixels in pairs of three bytes, with the lower `low` bits of both in the
/// middle one. A last pixel without a partner has two bytes.
fn pairs(bytes: &[u8], low: u32) -> impl Iterator<Item = f32> {
    bytes.chunks(3).flat_map(move |three| {
        let pixel = |upper: usize, shift: u32| {
            let (upper, middle) = (*three.get(upper)?, *three.get(1)?);
            let lower = middle >> shift & ((1 << low) - 1);
            Some(f32::from(u16::from(upper) << low | u16::from(lower)))
        };
        [pixel(0, 0), pixel(2, 4)].into_iter().flatten()
    })
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|known| known.1 == *self).map_or("", |known| known.0))
    }
}

impl FromStr for Packing {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::parse(name).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|known| known.0).collect();
            format!("{name} is no packing of pixels: it is one of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packings with bytes and what they mean, by the manuals: PFNC 2.1 for
    /// mono10p and mono12p, and Basler's racer manual for the GigE packings.
    const KNOWN: [(Packing, &[u8], &[f32]); 11] = [
        (Packing::Gray8, &[0, 7, 255], &[0.0, 7.0, 255.0]),
        (Packing::Gray16Le, &[0x34, 0x12, 0xff, 0xff], &[4660.0, 65535.0]),
        (Packing::Gray16Be, &[0x12, 0x34, 0, 1], &[4660.0, 1.0]),
        (Packing::Y10, &[0xff, 0x03, 0x01, 0xfc], &[1023.0, 1.0]),
        (Packing::Y12, &[0xff, 0x0f, 0x01, 0xf0], &[4095.0, 1.0]),
        (Packing::Y14, &[0xff, 0x3f, 0x01, 0xc0], &[16383.0, 1.0]),
        // 0x155, 0x2aa, 0x001, 0x200, each with the next one's bits above it.
        (Packing::Mono10p, &[0x55, 0xa9, 0x1a, 0x00, 0x80], &[341.0, 682.0, 1.0, 512.0]),
        (Packing::Mono12p, &[0x23, 0x61, 0x45], &[0x123 as f32, 0x456 as f32]),
        (Packing::Mono10Packed, &[0x55, 0x21, 0xaa], &[0x155 as f32, 0x2aa as f32]),
        (Packing::Mono12Packed, &[0x12, 0x63, 0x45], &[0x123 as f32, 0x456 as f32]),
        (Packing::F32Le, &[0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc1], &[1.0, -10.0]),
    ];

    #[test]
    fn bytes_mean_what_the_manuals_say() {
        for (packing, bytes, expected) in KNOWN {
            let mut counts = vec![9.0];
            packing.unpack(bytes, expected.len(), &mut counts);
            assert_eq!(counts, expected, "{packing}");
            assert_eq!(packing.bytes(1, expected.len()), bytes.len(), "{packing}");
        }
    }

    #[test]
    fn a_pixel_without_a_partner_takes_two_bytes() {
        for (packing, bytes) in
            [(Packing::Mono12p, [0x23, 0x01]), (Packing::Mono12Packed, [0x12, 0x03])]
        {
            assert_eq!(packing.bytes(1, 1), 2);
            let mut counts = Vec::new();
            packing.unpack(&bytes, 1, &mut counts);
            assert_eq!(counts, [0x123 as f32]);
        }
        assert_eq!(Packing::Mono10p.bytes(3, 5), 19);
        assert_eq!(Packing::F32Le.bytes(usize::MAX, 2), usize::MAX / 8 + 1);
    }

    #[test]
    fn too_few_bytes_give_too_few_pixels() {
        for (packing, bytes, expected) in KNOWN {
            let mut counts = Vec::new();
            packing.unpack(&bytes[..bytes.len() - 1], expected.len(), &mut counts);
            assert!(counts.len() < expected.len(), "{packing}: {counts:?}");
        }
        let mut counts = Vec::new();
        Packing::F32Le.unpack(&f32::INFINITY.to_le_bytes(), 1, &mut counts);
        assert!(counts[0].is_nan());
    }

    #[test]
    fn each_name_is_understood() {
        for (name, packing) in NAMES {
            assert_eq!(name.to_uppercase().parse(), Ok(packing));
            assert_eq!(Packing::parse(&packing.to_string()), Some(packing));
        }
        assert!("gray32".parse::<Packing>().unwrap_err().contains("mono12packed"));
    }
}
