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
    /// The newest whole frame, and how many broken ones came since.
    last: Option<u64>,
    since: u64,
}

impl Tally {
    /// Counts a frame that came, by its number where it is `whole`, and those that
    /// lie between it and the newest whole one before and did not come. One that
    /// comes behind newer ones was counted as missed, and is not.
    ///
    /// The number of a broken one tells nothing: where its first packet is missing,
    /// Aravis says that of an earlier frame, or 0.
    pub fn count(&mut self, whole: Option<u64>) {
        let Some(id) = whole else {
            (self.broken, self.since) = (self.broken + 1, self.since + 1);
            return;
        };
        match self.last.map_or(1, |last| step(last, id)) {
            0 => {}
            ahead if ahead > 0 => {
                self.missed += (ahead.unsigned_abs() - 1).saturating_sub(self.since);
                (self.last, self.since) = (Some(id), 0);
            }
            behind if behind > -LATEST => self.missed = self.missed.saturating_sub(1),
            // The camera began to count anew.
            _ => (self.last, self.since) = (Some(id), 0),
        }
    }

    /// Whatever lies before the next frame is not missed.
    pub fn forget(&mut self) {
        (self.last, self.since) = (None, 0);
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
            ids.iter().for_each(|&id| tally.count(Some(id)));
            assert_eq!((tally.broken, tally.missed), (0, missed), "{ids:?}");
        }
        let mut tally = Tally::default();
        // Of 2 to 5, two came broken.
        for whole in [Some(1), None, None, Some(6), Some(7), None, Some(9), None] {
            tally.count(whole);
        }
        tally.forget();
        tally.count(Some(20));
        assert_eq!((tally.broken, tally.missed), (4, 2));
    }
}
