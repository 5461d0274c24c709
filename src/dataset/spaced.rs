//! Few frames of a long source.

use crate::frame::Frame;

/// So many frames of a source are kept, evenly spaced.
const KEPT: usize = 40;

/// Frames whose longer side has more pixels are shrunk by a whole factor at
/// once: the smallest windows of them are still several times as fine as the
/// grid.
const FINEST: usize = 1024;

/// Frames with a reading in them, evenly spaced: all of them as long as there is
/// room, then every second one, every fourth and so on.
pub(super) struct Spaced {
    /// So many bytes may the frames take where they are more than [`KEPT`].
    room: usize,
    /// Each with its number in the source.
    kept: Vec<(usize, Frame)>,
    /// Each so many-th frame is kept.
    every: usize,
    /// How many frames there were.
    seen: usize,
}

impl Spaced {
    pub fn within(room: usize) -> Self {
        Self { room, kept: Vec::new(), every: 1, seen: 0 }
    }

    /// Keeps `frame`, whose number in the source is `number`, if it has readings enough
    /// and its turn has come.
    pub fn add(&mut self, number: usize, frame: Frame) {
        if frame.valid_fraction() <= 0.5 {
            return;
        }
        if self.seen.is_multiple_of(self.every) {
            let factor = frame.rows().max(frame.columns()).div_ceil(FINEST);
            self.kept.push((number, if factor > 1 { frame.coarser(factor) } else { frame }));
        }
        self.seen += 1;
        while self.kept.len() > KEPT && self.bytes() > self.room {
            let mut stays = false;
            self.kept.retain(|_| {
                stays = !stays;
                stays
            });
            self.every *= 2;
        }
    }

    fn bytes(&self) -> usize {
        self.kept.iter().map(|(_, frame)| frame.data.len() * size_of::<f32>()).sum()
    }

    /// Not more than [`KEPT`] of them.
    pub fn frames(self) -> Vec<(usize, Frame)> {
        let step = self.kept.len().div_ceil(KEPT).max(1);
        self.kept.into_iter().step_by(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::frame::{Band, Unit};

    /// A frame of one band, all of it `number`.
    fn frame(number: usize, rows: usize, columns: usize) -> Frame {
        let data = Array3::from_elem((1, rows, columns), number as f32);
        Frame::new(data, [Band::new("LWIR", Unit::Celsius)].into(), 0.0)
    }

    #[test]
    fn frames_of_a_long_source_are_evenly_spaced_and_few_at_a_time() {
        let numbers = |room: usize, count: usize| {
            let mut spaced = Spaced::within(room);
            for number in 0..count {
                spaced.add(2 * number, frame(number, 4, 4));
                assert!(spaced.kept.len() <= KEPT || spaced.bytes() <= room);
                spaced.add(2 * number + 1, frame(0, 0, 4));
            }
            let kept = spaced.frames();
            let shown = kept.iter().map(|(_, frame)| frame.data[(0, 0, 0)] as usize);
            let shown: Vec<usize> = shown.collect();
            // Those without a reading have numbers, too.
            assert!(kept.iter().zip(&shown).all(|((number, _), shown)| *number == 2 * shown));
            shown
        };
        // With room for all of them, every so many-th of the whole.
        for count in [1usize, 40, 41, 80, 81, 600] {
            let due: Vec<usize> = (0..count).step_by(count.div_ceil(KEPT)).collect();
            assert_eq!(numbers(usize::MAX, count), due, "{count}");
            // Without any, the next power of two.
            let due: Vec<usize> =
                (0..count).step_by(count.div_ceil(KEPT).next_power_of_two()).collect();
            assert_eq!(numbers(0, count), due, "{count}");
        }
    }

    #[test]
    fn frames_finer_than_any_window_needs_are_shrunk() {
        let mut spaced = Spaced::within(0);
        for (rows, columns) in [(512, 1024), (1080, 1920), (2160, 3840)] {
            spaced.add(0, frame(7, rows, columns));
        }
        let sizes: Vec<_> = spaced.frames().iter().map(|(_, f)| (f.rows(), f.columns())).collect();
        assert_eq!(sizes, [(512, 1024), (540, 960), (540, 960)]);
    }
}
