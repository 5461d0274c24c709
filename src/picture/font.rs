//! A bitmap font for captions.

use image::{Rgb, RgbImage};

/// Width of a character in pixels, with its gap.
pub(super) const WIDTH: u32 = 6;
/// Height of a character in pixels, two rows of descent among them.
pub(super) const HEIGHT: u32 = 10;

/// Printable ASCII, space to tilde: 6 x 10 pixels from the top left, row by
/// row, the first in bit 59. The shapes are those of "misc-fixed 6x10", the
/// terminal font of the X Window System, which is in the public domain.
#[rustfmt::skip]
const GLYPHS: [u64; 95] = [
    0x000000000000000, 0x008208208008000, 0x014514000000000, 0x01453e53e514000,
    0x00872870a708000, 0x012a94214aa4000, 0x010a2842a91a000, 0x008208000000000,
    0x004210410204000, 0x010204104210000, 0x000894f94880000, 0x000208f88200000,
    0x000000000308400, 0x000000f80000000, 0x00000000021c200, 0x002084210820000,
    0x0085228a2508000, 0x00862820823e000, 0x01c88231083e000, 0x03e08430289c000,
    0x00431493e104000, 0x03e82cc8289c000, 0x00c420b3289c000, 0x03e084108410000,
    0x01c8a272289c000, 0x01c8a6682118000, 0x00021c20021c200, 0x00021c200308400,
    0x002108408102000, 0x00003e03e000000, 0x010204084210000, 0x01c884208008000,
    0x01c8a6aac81c000, 0x0085228be8a2000, 0x03c4927124bc000, 0x01c8a082089c000,
    0x03c4924924bc000, 0x03e820f2083e000, 0x03e820f20820000, 0x01c8a082689c000,
    0x0228a2fa28a2000, 0x01c20820821c000, 0x00e104104918000, 0x022928c28922000,
    0x02082082083e000, 0x0228b6aa28a2000, 0x0228b2aa68a2000, 0x01c8a28a289c000,
    0x03c8a2f20820000, 0x01c8a28a2a9c080, 0x03c8a2f28922000, 0x01c8a070289c000,
    0x03e208208208000, 0x0228a28a289c000, 0x0228a2514508000, 0x0228a2aaada2000,
    0x0228942148a2000, 0x022894208208000, 0x03e08421083e000, 0x01c41041041c000,
    0x020810204082000, 0x01c10410411c000, 0x008522000000000, 0x000000000000f80,
    0x204000000000000, 0x00001c09e89e000, 0x02082cca2cac000, 0x00001c8a089c000,
    0x00209a9a299a000, 0x00001c8be81c000, 0x00c490f10410000, 0x00001e8a278289c,
    0x02082cca28a2000, 0x00801820821c000, 0x00200608209248c, 0x020822938922000,
    0x01820820821c000, 0x000034aaaaa2000, 0x00002cca28a2000, 0x00001c8a289c000,
    0x00002cca2cac820, 0x00001a9a299a082, 0x00002cca0820000, 0x00001c81c0bc000,
    0x01043c41048c000, 0x0000228a299a000, 0x000022894508000, 0x0000228aaa94000,
    0x000022508522000, 0x0000228a668289c, 0x00003e10843e000, 0x006204604206000,
    0x008208208208000, 0x018108188118000, 0x012aa4000000000,
];

/// Writes `text` into `picture` with its upper left corner at (`x`, `y`),
/// every font pixel `scale` pixels wide. What would pass the right or lower
/// border is cut off; characters outside ASCII become question marks.
pub(super) fn write(
    picture: &mut RgbImage,
    (x, y): (u32, u32),
    scale: u32,
    colour: Rgb<u8>,
    text: &str,
) {
    for (index, character) in text.chars().enumerate() {
        let glyph = glyph(character);
        let left = x + index as u32 * WIDTH * scale;
        if left >= picture.width() {
            return;
        }
        for dot in (0..WIDTH * HEIGHT).filter(|dot| glyph >> (59 - dot) & 1 == 1) {
            let (column, row) = (left + dot % WIDTH * scale, y + dot / WIDTH * scale);
            fill(picture, (column, row), (scale, scale), colour);
        }
    }
}

/// Fills a rectangle, as far as it lies in the picture.
pub(super) fn fill(
    picture: &mut RgbImage,
    (x, y): (u32, u32),
    (width, height): (u32, u32),
    colour: Rgb<u8>,
) {
    for row in y..(y + height).min(picture.height()) {
        for column in x..(x + width).min(picture.width()) {
            picture.put_pixel(column, row, colour);
        }
    }
}

fn glyph(character: char) -> u64 {
    let index = (character as usize).wrapping_sub(' ' as usize);
    GLYPHS.get(index).copied().unwrap_or(GLYPHS['?' as usize - ' ' as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_its_shape() {
        let mut picture = RgbImage::new(6, 10);
        write(&mut picture, (0, 0), 1, Rgb([1; 3]), "A");
        let shape: Vec<String> = (0..10)
            .map(|y| (0..6).map(|x| if picture[(x, y)].0[0] == 1 { '#' } else { '.' }).collect())
            .collect();
        let expected = [
            "......", "..#...", ".#.#..", "#...#.", "#...#.", "#####.", "#...#.", "#...#.",
            "......", "......",
        ];
        assert_eq!(shape, expected);
    }

    #[test]
    fn text_is_cut_at_the_border_and_unknown_characters_are_marked() {
        let (mut long, mut marked) = (RgbImage::new(20, 7), RgbImage::new(20, 7));
        write(&mut long, (0, 0), 2, Rgb([9; 3]), "?????????");
        write(&mut marked, (0, 0), 2, Rgb([9; 3]), "\u{e9}\u{4e2d}\n");
        assert_eq!(long, marked);
    }
}
