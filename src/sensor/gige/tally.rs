//! What came from a camera and what did not, by the numbers of its frames.

/// Counts frames by their numbers.
///
/// GigE Vision numbers frames from 1 to 65535 and begins anew, with 0 left
/// out; its extended numbers and those of USB3 Vision have 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Frames of which a part never came.
    pub broken: u64,
    /// Frames that never came.
    pub missed: u64,
    last: Option<u64>,
}

impl Tally {
    /// Counts the frame `id`, and those that lie between it and the newest one
    /// before. One that comes behind newer ones was counted as missed, and is
    /// not.
    pub fn count(&mut self, id: u64, whole: bool) {
        self.broken += u64::from(!whole);
        match self.last.map_or(1, |last| step(last, id)) {
            0 => {}
            ahead if ahead > 0 => {
                self.missed += ahead.unsigned_abs() - 1;
                self.last = Some(id);
            }
            behind if behind > -LATEST => self.missed = self.missed.saturating_sub(1),
            // The camera began to count anew.
            _ => self.last = Some(id),
        }
    }

    /// Whatever lies before the next frame is not missed.
    pub fn forget(&mut self) {
        self.last = None;
    }
}

/// How many frames late a frame comes at most.
const LATEST: i64 = 256;

/// How many frames later `id` is than `last`.
fn step(last: u64, id: u64) -> i64 {
    const AROUND: i64 = 0xffff;
    let step = id.wrapping_sub(last).cast_signed();
    let short = last <= 0xffff && id <= 0xffff;
    match step {
        ..=-0x8000 if short => step + AROUND,
        0x8000.. if short => step - AROUND,
        _ => step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_skipped_are_missed_also_around_the_end() {
        for (ids, missed) in [
            (&[1, 2, 3][..], 0),
            (&[1, 2, 5, 6], 2),
            (&[65534, 65535, 1, 2], 0),
            (&[65534, 65535, 0, 1], 0),
            (&[65533, 2], 3),
            (&[65535, 65536, 65538], 1),
            (&[1000, 1, 2], 0),
            (&[7, 7], 0),
            (&[5, 7, 6, 8], 0),
            (&[65535, 2, 1, 3], 0),
            (&[2, 65535, 3], 0),
            (&[1, 5, 3, 6], 2),
        ] {
            let mut tally = Tally::default();
            ids.iter().for_each(|&id| tally.count(id, true));
            assert_eq!((tally.broken, tally.missed), (0, missed), "{ids:?}");
        }
        let mut tally = Tally::default();
        for (id, whole) in [(1, true), (2, false), (4, false)] {
            tally.count(id, whole);
        }
        tally.forget();
        tally.count(9, true);
        assert_eq!((tally.broken, tally.missed), (2, 1));
    }
}
