//! Where frames begin in a recording that does not say so.

use crate::stereo::fold_slot;
use crate::synth::{CYCLE, JOIN, SLOT};

/// The clock of a recorder may drift; frames are looked for anew in each run
/// of so many slots. At 200 ppm that is a drift of a thirtieth of the guard.
const RUN: usize = 16;

/// Within a slot, this many samples are like those one cycle later.
const ALIKE: usize = SLOT - JOIN - CYCLE;

/// Less than this share of a slot's differences is none: a 16-bit file leaves
/// some hundred millionths.
const LEAST: f64 = 1e-12;

/// A slot counts as one of ours if its start and its end differ by less than
/// this share of what they would if they had nothing in common.
const OURS: f64 = 0.5;

/// A recording whose frames were found.
#[derive(Clone, Debug)]
pub struct Aligned {
    /// The sound as our files have it: a slot of silence, the frames, one slot
    /// each, and a slot of silence.
    pub samples: Vec<f32>,
    /// Number of frames, the first and the last whole ones included.
    pub frames: usize,
    /// How alike the start and the end of the frames are, as a share of 1:
    /// near 1 for a clean recording, 0 for anything else.
    pub sureness: f64,
}

/// Finds the frames in `channels`, one or two, recorded at 48 kHz with an unknown start and
/// gain, and a clock that may be off by 200 ppm. `None` if there are none.
///
/// The sound of a frame repeats after a cycle, but not across its joins. So
/// what a sample and the one a cycle later differ by, summed over many slots,
/// is smallest in the part of the slot that is clear of joins. A picture that
/// stands still has no joins, and may be cut anywhere.
pub fn align<const N: usize>(channels: [&[f32]; N]) -> Option<Aligned> {
    let starts = starts(&channels);
    let likeness = |&start: &usize| likeness(&mean(&channels, start, SLOT), 0);
    let alike: Vec<f64> = starts.iter().map(likeness).collect();
    let ours = |&likeness: &f64| likeness > OURS;
    let (first, last) = (alike.iter().position(ours)?, alike.iter().rposition(ours)?);
    let mut aligned = vec![0.0; SLOT];
    for &start in &starts[first..=last] {
        match channels.map(|channel| &channel[start..start + SLOT])[..] {
            [left, right] => fold_slot([left, right], &mut aligned),
            _ => aligned.extend(mean(&channels, start, SLOT)),
        }
    }
    aligned.resize(aligned.len() + SLOT, 0.0);
    let frames = last + 1 - first;
    let sureness = alike[first..=last].iter().sum::<f64>() / frames as f64;
    Some(Aligned { samples: aligned, frames, sureness })
}

/// Finds frames in a sound while it plays.
///
/// They are looked for in a run of slots, so the first comes as late as that,
/// and later ones as soon as they have been heard. After a run that is mostly
/// not of ours, frames are looked for anew.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// What was heard last.
    heard: Vec<f32>,
    /// Where the next slot begins, once one was found.
    next: Option<usize>,
    /// Slots since their beginnings were looked for.
    since: usize,
    /// How many of these were ours.
    ours: usize,
}

impl Follower {
    /// Takes the next samples, as [`align`] does.
    pub fn push(&mut self, samples: &[f32]) {
        self.heard.extend_from_slice(samples);
    }

    /// The next slot, if it has been heard to its end.
    pub fn slot(&mut self) -> Option<Vec<f32>> {
        loop {
            let Some(start) = self.next else {
                self.find()?;
                continue;
            };
            if self.since == RUN {
                // A run of another sound, or begun in one, says nothing.
                self.next = None;
                if 2 * self.ours < RUN {
                    self.heard.drain(..start);
                } else {
                    let run = &self.heard[start.saturating_sub(RUN * SLOT)..];
                    let late = lateness(run, true).unwrap_or(0);
                    self.next = Some(start.saturating_add_signed(late));
                }
                (self.since, self.ours) = (0, 0);
                continue;
            }
            let slot = self.heard.get(start..start + SLOT)?.to_vec();
            self.ours += usize::from(likeness(&self.heard, start) > OURS);
            self.since += 1;
            // What is needed to look for beginnings again.
            let past = (start + SLOT).saturating_sub(RUN * SLOT);
            self.heard.drain(..past);
            self.next = Some(start + SLOT - past);
            return Some(slot);
        }
    }

    /// Looks for frames; `None` while too little was heard.
    fn find(&mut self) -> Option<()> {
        if self.heard.len() < (RUN + 1) * SLOT {
            return None;
        }
        match lateness(&self.heard, false) {
            Some(late) => {
                (self.since, self.ours) = (0, 0);
                self.next = Some(late.unsigned_abs());
            }
            None => drop(self.heard.drain(..SLOT)),
        }
        Some(())
    }
}

/// The mean of `channels` over at most `count` samples from `start` on.
fn mean(channels: &[&[f32]], start: usize, count: usize) -> Vec<f32> {
    let (first, others) = match channels {
        [first, others @ ..] => (first, others),
        [] => return vec![],
    };
    let end = (start + count).min(first.len());
    let mut mean = first.get(start..end).unwrap_or_default().to_vec();
    for other in others {
        mean.iter_mut()
            .zip(other.get(start..).unwrap_or_default())
            .for_each(|(sum, sample)| *sum += sample);
    }
    mean.iter_mut().for_each(|sum| *sum /= channels.len() as f32);
    mean
}

/// The first sample of every whole slot.
fn starts(channels: &[&[f32]]) -> Vec<usize> {
    let length = channels.iter().map(|channel| channel.len()).min().unwrap_or_default();
    let mut starts = Vec::new();
    let (mut start, mut found) = (0usize, false);
    while start + SLOT <= length {
        if let Some(late) = lateness(&mean(channels, start, RUN * SLOT + CYCLE), found) {
            start = start.saturating_add_signed(late);
            found = true;
        }
        for _ in 0..RUN {
            if start + SLOT <= length {
                starts.push(start);
            }
            start += SLOT;
        }
    }
    starts
}

/// By how many samples the slots at the start of `samples` begin late: less
/// than a slot, or, where they were `found` before, a little late or early.
/// `None` where nothing tells.
fn lateness(samples: &[f32], found: bool) -> Option<isize> {
    let pairs: Vec<f64> = samples
        .iter()
        .zip(samples.get(CYCLE..)?)
        .take(RUN * SLOT)
        .map(|(a, b)| f64::from(a - b).powi(2))
        .collect();
    let slots: Vec<Vec<f64>> = pairs.chunks_exact(SLOT).filter_map(shares).collect();
    // The clear part begins half a join after the slot. Every slot has a noise
    // of its own, so that the product of what is left in their clear parts
    // counts and not the sum: where the sound fades in or a scene is cut, the
    // differences are so large that they would decide alone.
    let clear = |late: isize| -> f64 {
        let begin = (late.rem_euclid(SLOT as isize) as usize + JOIN / 2) % SLOT;
        slots.iter().map(|before| (before[begin + ALIKE] - before[begin]).max(LEAST).ln()).sum()
    };
    let near = (JOIN / 4) as isize;
    let candidates = if found { -near..near } else { 0..SLOT as isize };
    let (least, late) =
        candidates.map(|late| (clear(late), late)).min_by(|a, b| a.0.total_cmp(&b.0))?;
    // Where no part of the slot is clearer than another, nothing is told.
    let even = (ALIKE as f64 / SLOT as f64).ln();
    (least < slots.len() as f64 * (0.9f64.ln() + even)).then_some(late)
}

/// Sums of the `differences` of a slot before each sample, over two slots, as
/// shares of their total; `None` where there are none.
fn shares(differences: &[f64]) -> Option<Vec<f64>> {
    let total: f64 = differences.iter().sum();
    let mut before = vec![0.0];
    for difference in differences.iter().chain(differences) {
        before.push(before[before.len() - 1] + difference / total);
    }
    (total > 0.0).then_some(before)
}

/// How alike the start and the end of the slot at `start` are: 1 if they are
/// the same, about 0 if they have nothing in common; 0 for silence.
fn likeness(samples: &[f32], start: usize) -> f64 {
    let begin = start + JOIN / 2;
    let (mut apart, mut power) = (0.0f64, 0.0f64);
    for n in begin..begin + ALIKE {
        let (Some(&a), Some(&b)) = (samples.get(n), samples.get(n + CYCLE)) else { return 0.0 };
        let (a, b) = (f64::from(a), f64::from(b));
        apart += (a - b).powi(2);
        power += a * a + b * b;
    }
    if power > 0.0 { 1.0 - apart / power } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::receiver::Receiver;
    use crate::spectrum::{Layout, Mapping, Preset};
    use crate::synth::Synth;

    const FRAMES: usize = 60;

    /// The sound of so many random codes, and the codes.
    fn sound(frames: usize) -> (Layout, Vec<Vec<f32>>, Vec<f32>) {
        let layout = Layout::new(&Mapping::preset(Preset::Data, [60.0, 5000.0])).unwrap();
        let (mut random, mut synth, mut samples) =
            (Random::new(4), Synth::new(1, &layout), Vec::new());
        let codes: Vec<Vec<f32>> = (0..frames)
            .map(|_| (0..256).map(|_| random.between(0.2, 0.8) as f32).collect())
            .collect();
        for code in &codes {
            synth.push(&layout.spectrum(code), &mut samples);
        }
        synth.finish(&mut samples);
        (layout, codes, samples)
    }

    /// Largest error of the codes read from `aligned`.
    fn error(layout: &Layout, codes: &[Vec<f32>], aligned: &Aligned) -> f32 {
        let mut receiver = Receiver::new();
        let mut worst = 0.0f32;
        for (slot, code) in codes.iter().enumerate() {
            let heard = layout.code(&receiver.spectrum(&aligned.samples, slot).unwrap());
            worst = heard.iter().zip(code).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
        }
        worst
    }

    #[test]
    fn frames_are_found_from_any_start_and_at_any_gain() {
        let (layout, codes, samples) = sound(FRAMES);
        for late in [0usize, 1, 1234, 4799, 7000] {
            let mut recording = vec![0.0; 30_000];
            recording.extend(samples.iter().map(|s| s * 0.2));
            let aligned = align([&recording[late..]]).unwrap();
            assert_eq!(aligned.frames, FRAMES, "{late}");
            assert!(aligned.sureness > 0.999, "{late}: {}", aligned.sureness);
            assert!(error(&layout, &codes, &aligned) < 1e-3, "{late}");
        }
    }

    #[test]
    fn a_start_in_the_middle_and_noise_do_no_harm() {
        let (layout, codes, samples) = sound(FRAMES);
        let mut random = Random::new(5);
        // The tenth frame is cut in two.
        let recording: Vec<f32> =
            samples[11 * SLOT + 999..].iter().map(|s| s + 1e-4 * random.normal() as f32).collect();
        let aligned = align([&recording]).unwrap();
        assert_eq!(aligned.frames, FRAMES - 11);
        assert!(error(&layout, &codes[11..], &aligned) < 0.1);
    }

    /// `samples` as a clock takes them that is fast by `ppm`: Lagrange's polynomial
    /// through the eight nearest, which errs by -89 dB at 5 kHz.
    fn drifted(samples: &[f32], ppm: f64) -> Vec<f32> {
        let sample = |n: usize| {
            let at = 3.0 + n as f64 * (1.0 - 1e-6 * ppm);
            let near = samples.get(at as usize - 3..at as usize + 5)?;
            let place = |other: usize| at.fract() + 3.0 - other as f64;
            let weight = |own: usize| -> f64 {
                let others = (0..8).filter(|&other| other != own);
                others.map(|other| place(other) / (own as f64 - other as f64)).product()
            };
            Some((0..8).zip(near).map(|(own, &s)| weight(own) * f64::from(s)).sum::<f64>() as f32)
        };
        (0..).map_while(sample).collect()
    }

    /// The largest error of the codes read from `slots`, each the root of a mean
    /// square. The lead-in may have counted as a frame.
    fn largest_error(layout: &Layout, codes: &[Vec<f32>], slots: &[Vec<f32>]) -> f32 {
        let mut receiver = Receiver::new();
        let mut error = |(slot, code): (&Vec<f32>, &Vec<f32>)| {
            let heard = layout.code(&receiver.window(slot, JOIN).unwrap());
            let square: f32 = heard.iter().zip(code).map(|(a, b)| (a - b).powi(2)).sum();
            (square / code.len() as f32).sqrt()
        };
        let largest =
            |first: usize| slots[first..].iter().zip(codes).map(&mut error).fold(0.0, f32::max);
        (0..2).map(largest).fold(f32::MAX, f32::min)
    }

    #[test]
    fn a_drifting_clock_is_followed_for_a_minute() {
        // By its end 200 ppm are 12 ms, of which the guard forgives 5. A tone of
        // 5 kHz is then off by a twelfth of a bin, which is what remains.
        let (layout, codes, samples) = sound(600);
        for ppm in [200.0, -200.0] {
            let recording = drifted(&samples, ppm);
            let aligned = align([&recording]).unwrap();
            assert_eq!(aligned.frames, codes.len(), "{ppm} ppm");
            let found: Vec<Vec<f32>> =
                aligned.samples.chunks(SLOT).skip(1).map(<[f32]>::to_vec).collect();
            let mut follower = Follower::default();
            let mut followed = Vec::new();
            for part in recording.chunks(4801) {
                follower.push(part);
                followed.extend(std::iter::from_fn(|| follower.slot()));
            }
            for (way, slots) in [("found", found), ("followed", followed)] {
                assert!(slots.len() > codes.len(), "{way} at {ppm} ppm: {}", slots.len());
                let error = largest_error(&layout, &codes, &slots);
                eprintln!("{way} at {ppm} ppm: {error}");
                assert!(error < 0.03, "{way} at {ppm} ppm: {error}");
            }
        }
    }

    #[test]
    fn a_sound_is_followed_while_it_plays_and_found_again_after_another() {
        let (layout, codes, samples) = sound(FRAMES);
        let mut random = Random::new(9);
        let noise: Vec<f32> = (0..40 * SLOT + 777).map(|_| 0.1 * random.normal() as f32).collect();
        let mut follower = Follower::default();
        let (mut receiver, mut exact, mut waiting) = (Receiver::new(), 0, 0);
        for part in [noise.clone(), samples.clone(), noise, samples].concat().chunks(911) {
            follower.push(part);
            while let Some(slot) = follower.slot() {
                let heard = layout.code(&receiver.window(&slot, JOIN).unwrap());
                exact += usize::from(
                    codes
                        .iter()
                        .any(|code| heard.iter().zip(code).all(|(a, b)| (a - b).abs() < 1e-3)),
                );
            }
            waiting = waiting.max(follower.heard.len());
        }
        // Each time frames may be found late, but not by more than a run.
        assert!(exact >= 2 * (FRAMES - RUN), "{exact}");
        assert!(waiting < 3 * RUN * SLOT, "{waiting}");
        follower.push(&vec![0.0; 50 * SLOT]);
        while follower.slot().is_some() {}
        assert!(follower.next.is_none() && follower.heard.len() < 2 * RUN * SLOT);
    }

    #[test]
    fn other_sounds_are_not_ours() {
        let mut random = Random::new(6);
        let noise: Vec<f32> = (0..20 * SLOT).map(|_| random.normal() as f32).collect();
        for other in [vec![], vec![0.0; 20 * SLOT], noise] {
            assert!(align([&other]).is_none());
        }
    }
}
