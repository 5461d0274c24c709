//! Devices that have another rate than the sound.

use std::ops::RangeInclusive;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler, ResamplerConstructionError, Resizable,
    SincInterpolationParameters, WindowFunction,
};

use crate::synth::SAMPLE_RATE;

/// The lowest rate at which a device is used, in samples a second: headphones
/// whose microphone is on have it. It carries the usual axis, which ends at 5 kHz.
pub(crate) const LOWEST: u32 = 16_000;
/// Samples that make one of another rate, counted at the lower of both rates. 128 of
/// them change what lies below 0.4 of that rate by less than a hundredth of a decibel.
const TAPS: f64 = 128.0;

/// The rate among `rates` at which a device is used: that of the sound, or the one
/// that is nearest to it; `None` where all are too low.
pub(crate) fn nearest(rates: RangeInclusive<u32>) -> Option<u32> {
    let rate = (SAMPLE_RATE as u32).clamp(*rates.start(), (*rates.start()).max(*rates.end()));
    (rate >= LOWEST).then_some(rate)
}

/// How far `rate` is from that of the sound.
pub(crate) fn distance(rate: u32) -> u32 {
    rate.abs_diff(SAMPLE_RATE as u32)
}

/// The device called `name`, and its rate where that is not the sound's.
pub(crate) fn named(name: String, rate: u32) -> String {
    match distance(rate) {
        0 => name,
        _ => format!("{name}, at {} kHz", f64::from(rate) / 1e3),
    }
}

/// Brings sound of `N` channels from one rate to another, without allocating;
/// sound that has the other rate already passes as it is.
pub(crate) struct Converter<const N: usize> {
    /// None where both rates are the same.
    resampler: Option<Async<f32>>,
    /// What becomes the next samples.
    input: Box<[[f32; N]]>,
    /// How much later sound leaves it than it came in, in seconds, to within two samples.
    pub delay_s: f64,
}

impl<const N: usize> Converter<N> {
    /// From one rate to another, in samples a second; at most `most` samples at a time
    /// come of it.
    ///
    /// # Errors
    ///
    /// If nothing leads from one to the other.
    pub fn new([from, to]: [u32; 2], most: usize) -> Result<Self, ResamplerConstructionError> {
        if from == to {
            return Ok(Self { resampler: None, input: Box::default(), delay_s: 0.0 });
        }
        let ratio = f64::from(to) / f64::from(from);
        let taps = (TAPS / ratio.min(1.0)).ceil() as usize;
        let filter = SincInterpolationParameters::new(taps, WindowFunction::BlackmanHarris2);
        let resampler = Async::new_sinc(ratio, 1.0, &filter, most, N, FixedAsync::Output)?;
        let input = vec![[0.0; N]; resampler.input_frames_max()].into();
        let delay_s = resampler.output_delay() as f64 / f64::from(to);
        Ok(Self { resampler: Some(resampler), input, delay_s })
    }

    /// How many samples the next `count` are made of.
    pub fn needed(&mut self, count: usize) -> usize {
        let Some(resampler) = &mut self.resampler else { return count };
        // More than were agreed on at the start leave its length as it is.
        let _ = resampler.set_chunk_size(count);
        resampler.input_frames_next()
    }

    /// Fills `output`, of at most as many samples as were agreed on, with the next of
    /// the sound, which `next` fills in; gives how many it was asked for. `None` if
    /// `output` is longer: nothing is asked for then.
    pub fn fill(
        &mut self,
        output: &mut [[f32; N]],
        next: impl FnOnce(&mut [[f32; N]]),
    ) -> Option<usize> {
        let (count, needed) = (output.len(), self.needed(output.len()));
        let Some(resampler) = self.resampler.as_mut().filter(|_| count > 0) else {
            next(output);
            return Some(count);
        };
        let input = self.input.get_mut(..needed)?;
        let mut output = InterleavedSlice::new_mut(output.as_flattened_mut(), N, count).ok()?;
        if resampler.output_frames_next() != count {
            return None;
        }
        next(input);
        let input = InterleavedSlice::new(input.as_flattened(), N, needed).ok()?;
        resampler.process_into_buffer(&input, &mut output, None).ok()?;
        Some(needed)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::random::Random;

    /// A sine of `hz` at `rate`, from sample `start` on, on the left, and half as loud
    /// on the right.
    fn sine(hz: f64, rate: u32, start: usize, samples: &mut [[f32; 2]]) {
        for (n, sample) in samples.iter_mut().enumerate() {
            let value = (TAU * hz * (start + n) as f64 / f64::from(rate)).sin() * 0.9;
            *sample = [value as f32, (value / 2.0) as f32];
        }
    }

    /// The amplitude and the delay in seconds of a sine of `hz` in `samples` at `rate`,
    /// and the most that is left without it.
    fn fit(hz: f64, rate: u32, samples: &[f32]) -> [f64; 3] {
        let turn = TAU * hz / f64::from(rate);
        let wave = || samples.iter().zip(0..).map(|(&y, n)| (f64::from(y), turn * f64::from(n)));
        let sum = |f: fn(f64, f64, f64) -> f64| -> f64 {
            wave().map(|(y, angle)| f(y, angle.sin(), angle.cos())).sum()
        };
        let (ss, cc, sc) = (sum(|_, s, _| s * s), sum(|_, _, c| c * c), sum(|_, s, c| s * c));
        let (ys, yc) = (sum(|y, s, _| y * s), sum(|y, _, c| y * c));
        let (a, b) =
            ((ys * cc - yc * sc) / (ss * cc - sc * sc), (yc * ss - ys * sc) / (ss * cc - sc * sc));
        let rest = wave().map(|(y, angle)| (y - a * angle.sin() - b * angle.cos()).abs());
        [a.hypot(b), -b.atan2(a) / (TAU * hz), rest.fold(0.0, f64::max)]
    }

    #[test]
    fn a_sine_is_the_same_sine_whatever_the_rate_and_the_size_of_its_parts() {
        let mut random = Random::new(5);
        for [from, to] in [[48_000, 44_100], [48_000, 16_000], [48_000, 96_000], [44_100, 48_000]] {
            for hz in [60.0, 997.0, 5000.0, 0.4 * f64::from(from.min(to))] {
                let mut converter = Converter::<2>::new([from, to], 512).unwrap();
                let (mut asked, mut output) = (0, vec![[0f32; 2]; 16_384]);
                let mut rest = &mut output[..];
                while !rest.is_empty() {
                    let count = (1 + random.below(512)).min(rest.len());
                    let (part, left) = rest.split_at_mut(count);
                    let needed = converter.needed(count);
                    assert_eq!(
                        converter.fill(part, |part| sine(hz, from, asked, part)),
                        Some(needed)
                    );
                    asked += needed;
                    rest = left;
                }
                let ahead_s = asked as f64 / f64::from(from) - 16_384.0 / f64::from(to);
                assert!((0.0..0.01).contains(&ahead_s), "{from} to {to}: {ahead_s} s ahead");
                for (side, loud) in [(0, 0.9), (1, 0.45)] {
                    // At first the sound begins, which no sine does.
                    let heard: Vec<f32> = output[4096..].iter().map(|both| both[side]).collect();
                    let [amplitude, _, left] = fit(hz, to, &heard);
                    let off_db = 20.0 * (amplitude / loud).log10();
                    assert!(off_db.abs() < 0.01, "{from} to {to}, {hz} Hz: {off_db} dB");
                    assert!(left < 1e-5, "{from} to {to}, {hz} Hz: {left} is left");
                }
                if hz == 60.0 {
                    let heard: Vec<f32> = output.iter().map(|both| both[0]).collect();
                    let off_s = fit(hz, to, &heard)[1] - converter.delay_s;
                    assert!(off_s.abs() < 2.0 / f64::from(to), "{from} to {to}: {off_s} s late");
                }
            }
        }
    }

    #[test]
    fn what_lies_above_the_other_rate_is_not_folded_down() {
        let mut converter = Converter::<2>::new([48_000, 16_000], 4096).unwrap();
        let mut output = vec![[0f32; 2]; 4096];
        converter.fill(&mut output, |input| sine(9000.0, 48_000, 0, input)).unwrap();
        let loudest = output[256..].iter().flatten().fold(0f32, |most, v| most.max(v.abs()));
        assert!(loudest < 1e-4, "{loudest}");
    }

    #[test]
    fn no_part_is_longer_than_agreed_and_none_allocates() {
        let mut converter = Converter::<1>::new([48_000, 44_100], 64).unwrap();
        let mut output = vec![[0f32; 1]; 65];
        assert_eq!(converter.fill(&mut output, |_| unreachable!()), None);
        assert_no_alloc::assert_no_alloc(|| {
            for count in 0..=64 {
                let asked = converter.fill(&mut output[..count], |input| input.fill([1.0]));
                assert!(asked.is_some_and(|asked| asked >= count));
            }
        });
        let mut same = Converter::<1>::new([48_000, 48_000], 64).unwrap();
        assert_eq!(same.fill(&mut output, |input| input.fill([0.25])), Some(65));
        assert_eq!(output, vec![[0.25]; 65]);
    }

    #[test]
    fn the_nearest_rate_is_taken_unless_all_are_too_low() {
        assert_eq!(nearest(8_000..=192_000), Some(48_000));
        assert_eq!(nearest(44_100..=44_100), Some(44_100));
        assert_eq!(nearest(88_200..=96_000), Some(88_200));
        assert_eq!(nearest(8_000..=16_000), Some(16_000));
        assert_eq!(nearest(8_000..=8_000), None);
    }
}
