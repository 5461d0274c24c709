//! Damage as disks, networks and enemies do it, and thermal recordings to do
//! it to.

use std::fs;
use std::path::Path;

use wysiwyh::random::Random;
use wysiwyh::sensor::{Options, open};

/// Recordings of each kind, by their place below the data; of long ones the
/// first frames, up to this many bytes.
const RECORDINGS: [(&str, usize); 8] = [
    ("formats/thermal_parser/FLIR.jpg", usize::MAX),
    ("formats/thermal_parser/FLIR_AX8.jpg", usize::MAX),
    ("formats/thermal_parser/FLIR_E40.jpg", usize::MAX),
    ("formats/thermal_parser/DJI_XT2.jpg", usize::MAX),
    ("formats/flirpy/frame_000000.fff", usize::MAX),
    ("formats/thermimage/SampleSEQ.seq", 1_234_232),
    ("formats/thermimage/SampleCSQ.csq", 639_448),
    ("formats/cacophony-cptv/v2.cptv", 60_000),
];

/// Damages `bytes` in a few places.
pub fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    const NUMBERS: [u32; 6] = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x0001_0000];
    for _ in 0..1 + random.below(8) {
        let length = bytes.len();
        // Heads hold the numbers that matter.
        let reach = if random.uniform() < 0.7 { length.min(1024) } else { length };
        let at = random.below(reach);
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => {
                let number = NUMBERS[random.below(NUMBERS.len())];
                let number = if random.uniform() < 0.5 {
                    number.to_le_bytes()
                } else {
                    number.to_be_bytes()
                };
                bytes.iter_mut().skip(at).zip(number).for_each(|(byte, new)| *byte = new);
            }
            3 => bytes.truncate(1 + random.below(length)),
            4 => {
                let end = (at + random.below(4096)).min(length);
                bytes[at..end].fill(0);
            }
            _ => {
                let end = (at + random.below(512)).min(length);
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}

/// Damages the recordings below `data` in turn, as often as `rounds` has
/// numbers, and reads them to their end; calls `done` with what was read.
/// Returns how many frames came out.
pub fn recordings(
    data: &Path,
    rounds: std::ops::Range<u64>,
    mut done: impl FnMut(u64, &str),
) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let originals = RECORDINGS.map(|(name, length)| {
        let mut bytes = fs::read(data.join(name)).unwrap();
        bytes.truncate(length);
        (name, bytes)
    });
    let mut frames = 0;
    for round in rounds {
        let (name, original) = &originals[round as usize % originals.len()];
        let mut random = Random::named(round, "damaged recordings");
        let mut bytes = original.clone();
        // What lies before the records of a JPEG file says little of them.
        if random.uniform() < 0.5 {
            let start = random.below(bytes.len());
            let mut rest = bytes.split_off(start);
            damage(&mut rest, &mut random);
            bytes.extend(rest);
        } else {
            damage(&mut bytes, &mut random);
        }
        let ending = Path::new(name).extension().unwrap();
        let path = folder.path().join("a").with_extension(ending);
        fs::write(&path, &bytes).unwrap();
        if let Ok(sensor) = open(&path.to_string_lossy(), None, &Options::default()) {
            let mut read: Vec<bool> = sensor.map(|frame| frame.is_ok()).collect();
            read.pop_if(|fine| !*fine);
            assert!(read.iter().all(|fine| *fine), "round {round}: an error ends {name}");
            frames += read.len();
        }
        done(round, name);
    }
    frames
}
