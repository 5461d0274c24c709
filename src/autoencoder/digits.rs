//! Two numbers in one logit.
//!
//! A file keeps a level to a thousandth of a decibel, of which neither an ear
//! nor a noisy channel takes notice. So each logit has two digits. The coarse
//! one moves it in steps; the fine one says where within its step it lies, and
//! runs up in even steps and down in odd ones:
//!
//! ```text
//! fine   1 |  /\  /\  /
//!        0 | /  \/  \/        -> logit
//! ```
//!
//! So neighbouring logits have neighbouring digits everywhere, and a logit that
//! was heard just beyond its step is wrong by little in both. Where the noise
//! is as large as a step, the fine digit is lost and the coarse one hardly
//! suffers; where it is small, as many values carry twice as many components.
//! Such curves are a mapping of Shannon and Kotelnikov (C. E. Shannon,
//! "Communication in the presence of noise", Proc. IRE 37, 1949, fig. 4;
//! F. Hekland, P. A. Floor and T. A. Ramstad, "Shannon-Kotel'nikov mappings in
//! joint source-channel coding", IEEE Trans. Commun. 57, 2009).

use std::f64::consts::GOLDEN_RATIO;

use super::haar;

/// The width of a step, where logits have a spread of about 1. The middle of
/// the scale has steps of 0.42 dB in the preset `data`, and of 0.56 dB in
/// `listen`, half of what the ear just tells apart.
pub const STEP: f64 = 1.0 / 16.0;

/// The logit of value `index` whose digits are those of the logits `coarse`
/// and `fine`. A fine logit of 0 puts it into the middle of the step nearest to
/// `coarse`.
pub fn join(index: usize, coarse: f64, fine: f64) -> f64 {
    let step = (coarse / STEP - offset(index)).round();
    STEP * (offset(index) + step - 0.5 + turned(step, haar::squash(fine)))
}

/// The inverse of [`join`]: the middle of the step in which the logit of value
/// `index` lies, and the logit of the fine digit.
pub fn part(index: usize, logit: f64) -> [f64; 2] {
    let place = logit / STEP - offset(index);
    let step = place.round();
    [STEP * (offset(index) + step), haar::unsquash(turned(step, place - step + 0.5))]
}

/// Where the middle of the steps of value `index` lies, in steps: multiples of the
/// golden ratio, taken modulo 1, are spread evenly.
fn offset(index: usize) -> f64 {
    (index as f64 * GOLDEN_RATIO).fract() - 0.5
}

/// A place within `step` as a share of it, as seen from where the fine digit
/// is 0; its own inverse.
fn turned(step: f64, share: f64) -> f64 {
    if step.rem_euclid(2.0) == 0.0 { share } else { 1.0 - share }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn both_digits_come_back() {
        let mut random = Random::new(5);
        for index in 0..1000 {
            let (coarse, fine) = (2.0 * random.normal(), random.normal());
            let [coarse_back, fine_back] = part(index, join(index, coarse, fine));
            assert!((coarse_back - coarse).abs() < 0.501 * STEP, "{coarse}: {coarse_back}");
            assert!((fine_back - fine).abs() < 1e-6, "{fine}: {fine_back}");
        }
    }

    #[test]
    fn neighbouring_logits_have_neighbouring_digits() {
        let mut random = Random::new(6);
        for index in 0..1000 {
            let logit = 2.0 * random.normal();
            let ([a, fine_a], [b, fine_b]) = (part(index, logit), part(index, logit + 0.1 * STEP));
            assert!(b == a || (b - a - STEP).abs() < 1e-9, "{a}, {b}");
            let apart = haar::squash(fine_a) - haar::squash(fine_b);
            assert!(apart.abs() < 0.1001, "{fine_a}, {fine_b}");
        }
    }

    #[test]
    fn what_steps_lose_averages_out() {
        for coarse in [-1.3, 0.02, 0.7] {
            let lost = |index| part(index, join(index, coarse, 0.0))[0] - coarse;
            let mean = (0..64).map(lost).sum::<f64>() / 64.0;
            assert!(mean.abs() < 0.02 * STEP, "{coarse}: {mean}");
        }
    }
}
