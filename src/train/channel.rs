//! What happens to sound on its way, as tensors: with gradients, so that a
//! network can be trained for it.
//!
//! A frame is known by the power of its values, each the sum over their bins.
//! Every channel gives each value another amplitude A, and puts complex normal
//! noise of the power n into each of its b bins, so that a receiver hears the
//! power
//!
//! ```text
//! |A + e_1|^2 + |e_2|^2 + .. |e_b|^2
//! ```
//!
//! which makes soft values err by more decibels than loud ones. With power p
//! and amplitude a in a bin of what was sent:
//!
//! - *Noise.* A^2 = p, and n = 4 v / N for white noise of the variance v on
//!   samples of which N are a cycle; v is the mean square of the sound, over
//!   all frames, less so many dB.
//! - *Late.* The receiver's window reaches beyond the guard into the next frame,
//!   into which the sound goes over as r(t), from 0 to 1. As all frames have the
//!   same phases, a' of the next frame adds in amplitude. But r is not cyclic,
//!   so that every bin also leaks into others, at phases that look random:
//!
//!   ```text
//!   A_k = (1 - R_0) a_k + R_0 a'_k,   n_k = sum_(j != k) |R_(k - j)|^2 (a'_j - a_j)^2
//!   R_m = 1/N sum_t r(t) exp(-2 pi i m t / N)
//!   ```
//!
//!   The next frame is another one of the batch, as after a cut; a scene that
//!   stands still loses nothing.
//! - *Codec.* In every auditory filter a codec leaves noise so many dB below
//!   what sounds in it. An auditory filter weighs a bin x ERBs off with (1 +
//!   4 x) exp(-4 x) (the rounded exponential of Patterson and others 1982, whose
//!   form Glasberg & Moore 1990 fitted). Of B bins to a filter each has, of
//!   their weighted mean power e, the share d = B 10^(-M / 10). A codec such as
//!   Opus keeps the power of its bands (Valin and others 2013, "High-quality,
//!   low-delay music coding in the Opus codec"), so it takes from what was sent
//!   what it adds:
//!
//!   ```text
//!   A^2 = (1 - d) p,   n = d e,   M = 30 dB + 6.6 dB log2(rate / 64 kbit/s)
//!   ```
//!
//!   M was measured with Opus at 16 to 128 kbit/s on this sound; for one bit
//!   more in each coefficient theory has 6.02 dB. An MP3 of 64 kbit/s errs about
//!   as Opus does at 128, one of 32 as Opus at 37.
//!
//! The receiver knows the noise, but not the anchor of the levels: it takes the
//! one at which the mean of the code that it estimates is that which the loudness
//! tells. It does so in one step, where the true one takes up to five.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::receiver::{Known, Receiver};
use crate::autoencoder::estimate::Estimator;
use crate::autoencoder::{Autoencoder, matrix, squash};
use crate::error::Result;
use crate::profile::{Polarity, Profile};
use crate::random::Random;
use crate::spectrum::noisy::{ADDED, DB_PER_PART};
use crate::spectrum::{BIN_HZ, Law, Layout, MEAN_LUFS, Mapping, Preset, SPAN_LU, hearing};
use crate::synth::{self, CYCLE, JOIN, SLOT};

/// Noise of a file in each bin, as a share of the power of a value: no channel
/// has less.
const FILE_NOISE: f64 = 1e-9;

/// A codec that errs by more than this share of what sounds sends silence.
const MOST_LOST: f64 = 0.95;

/// No frame is taken to sound with less than this share of its power.
const LEAST_LOUD: f64 = 0.01;

/// A way that sound takes while a network is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// A file, which keeps all of a code.
    File,
    /// White noise over the whole band, so many dB below the sound.
    Noise(f64),
    /// A receiver that is so many milliseconds late; the guard takes 5 of them.
    Late(f64),
    /// A codec such as Opus, of so many kbit/s.
    Codec(f64),
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Noise(snr_db) => write!(f, "noise={snr_db}"),
            Self::Late(ms) => write!(f, "late={ms}"),
            Self::Codec(kbit_s) => write!(f, "codec={kbit_s}"),
        }
    }
}

impl FromStr for Channel {
    type Err = String;

    /// The channel `NAME` of the usual strength, or `NAME=STRENGTH`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, strength) = match text.split_once('=') {
            Some((name, strength)) => (name, Some(strength)),
            None => (text, None),
        };
        let within = |usual: f64, [low, high]: [f64; 2], unit: &str| {
            let Some(strength) = strength else { return Ok(usual) };
            let strength = strength.parse().ok().filter(|s| (low..=high).contains(s));
            strength.ok_or_else(|| format!("{name} takes {low} to {high} {unit}"))
        };
        match (name, strength) {
            ("file", None) => Ok(Self::File),
            ("noise", _) => within(20.0, [-20.0, 100.0], "dB").map(Self::Noise),
            ("late", _) => within(10.0, [0.0, 80.0], "ms").map(Self::Late),
            ("codec", _) => within(64.0, [6.0, 510.0], "kbit/s").map(Self::Codec),
            _ => Err("must be file, noise, late or codec, the latter three also with a strength, \
                      such as noise=20"
                .to_owned()),
        }
    }
}

/// The channels of a training, each for codes of 1, 2, 4 .. K groups.
#[derive(Clone, Debug)]
pub struct Ways {
    /// `None` where there is nothing on the way.
    by_channel: Vec<Vec<Option<Link>>>,
}

impl Ways {
    /// `channels` for the sound, preset `data`, of codes of `autoencoder` that
    /// are played as `profile` has it.
    ///
    /// # Errors
    ///
    /// If the axis has too few bins for as many values.
    pub fn new(channels: &[Channel], autoencoder: &Autoencoder, profile: &Profile) -> Result<Self> {
        let levels = autoencoder.values().ilog2();
        let of = |&channel: &Channel| {
            let link = |level| match channel {
                Channel::File => Ok(None),
                _ => Link::new(channel, 1usize << level, autoencoder, profile).map(Some),
            };
            (0..=levels).map(link).collect::<Result<Vec<_>>>()
        };
        Ok(Self { by_channel: channels.iter().map(of).collect::<Result<Vec<_>>>()? })
    }

    /// The way of channel `channel` for codes of `groups` groups; `None` where
    /// there is nothing on it.
    pub fn link(&self, channel: usize, groups: usize) -> Option<&Link> {
        self.by_channel.get(channel)?.get(groups.ilog2() as usize)?.as_ref()
    }

    /// Any of the channels at any number of groups; `None` for a file.
    pub(super) fn draw(&self, random: &mut Random) -> Option<&Link> {
        let levels = match self.by_channel.len() {
            0 => return None,
            1 => self.by_channel.first()?,
            count => self.by_channel.get(random.below(count))?,
        };
        levels.first()?.as_ref()?;
        levels.get(random.below(levels.len()))?.as_ref()
    }
}

/// One channel for codes of one number of groups, from components to components.
#[derive(Clone, Debug)]
pub struct Link {
    channel: Channel,
    groups: usize,
    bins: Vec<usize>,
    sound: Sound,
    way: Way,
    receiver: Receiver,
}

/// What a channel does to frames; tensors are `[1, value]` or, from one value
/// to another, `[from, to]`.
#[derive(Clone, Debug)]
enum Way {
    Noise { share: f64 },
    Late { next: f64, leak: Tensor<2> },
    Codec { lost: Tensor<2>, near: Box<Tensor<2>> },
}

/// How loud codes are.
#[derive(Clone, Debug)]
struct Sound {
    /// Power of the correction of each value, `[1, value]`.
    gain: Tensor<2>,
    /// K-weighted mean square of each value of power 1, `[1, value]`.
    weight: Tensor<2>,
    /// Number of bins of each value, `[1, value]`.
    bins: Tensor<2>,
    /// Power of all pilots together.
    pilots: f64,
}

/// What is drawn at random for a batch that passes a channel, `[item, value]`:
/// the part of the noise that is in phase, and the power of the rest.
#[derive(Clone, Debug)]
pub struct Draws {
    along: Tensor<2>,
    across: Tensor<2>,
}

impl Link {
    fn new(
        channel: Channel,
        groups: usize,
        autoencoder: &Autoencoder,
        profile: &Profile,
    ) -> Result<Self> {
        let mapping = Mapping::preset(Preset::Data, profile.frequencies_hz);
        let mapping = Mapping { values: groups, ..mapping };
        let (layout, device) = (Layout::new(&mapping)?, autoencoder.device());
        let range_db = match mapping.law {
            Law::Decibel { range_db } => range_db,
            // The preset has none of this.
            Law::Linear => 0.0,
        };
        let cells: Vec<&[usize]> = layout.bins().collect();
        let bins: Vec<usize> = cells.iter().map(|cell| cell.len()).collect();
        let row = |values: Vec<f64>| row(&values, device);
        let count = row(bins.iter().map(|&bins| bins as f64).collect());
        let sound = Sound {
            gain: row(layout.gains().map(|[gain, _]| gain).collect()),
            weight: row(layout.gains().map(|[_, weight]| weight).collect()),
            bins: count.clone(),
            pilots: layout.pilot_power(),
        };
        let sign = if profile.polarity == Polarity::ColdLoud { -1.0 } else { 1.0 };
        let estimator = Estimator::new(autoencoder, groups);
        let receiver = Receiver::new(&estimator, count, range_db, sign, device);
        let way = Way::new(channel, &cells, device);
        Ok(Self { channel, groups, bins, sound, way, receiver })
    }

    /// The channel.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// Number of groups of the codes.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// What is random about the way of `items` frames.
    pub fn draw(&self, items: usize, device: &Device, random: &mut Random) -> Draws {
        let (mut along, mut across) = (Vec::new(), Vec::new());
        for bins in (0..items).flat_map(|_| &self.bins) {
            along.push(random.normal() as f32);
            let rest = (1..2 * bins).map(|_| random.normal().powi(2)).sum::<f64>();
            across.push((rest / 2.0) as f32);
        }
        let tensor = |flat| Tensor::from_data(TensorData::new(flat, [items, self.groups]), device);
        Draws { along: tensor(along), across: tensor(across) }
    }

    /// What a receiver makes of `components`, `[item, component]`, sent as codes
    /// of the groups of this link: as many components, zeros beyond those that
    /// such a code carries.
    pub fn carry(&self, components: Tensor<2>, draws: &Draws) -> Tensor<2> {
        let [items, count] = components.dims();
        let part = |number: usize| components.clone().narrow(1, number * self.groups, self.groups);
        let sent = self.receiver.logits(part(0));
        let heard = self.hear(sent.clone(), draws);
        let known = self.anchored(sent.clone(), heard);
        let mut received = vec![self.receiver.components(&known)];
        if self.receiver.digits {
            let fine = known.fine(sent, self.receiver.logits(part(1)));
            received.push(self.receiver.components(&fine));
        }
        let rest = count - received.len() * self.groups;
        if rest > 0 {
            let device = components.device().without_autodiff();
            received.push(Tensor::zeros([items, rest], &device));
        }
        Tensor::cat(received, 1)
    }

    /// What is known of the logits `sent` after the powers and the noise `heard`,
    /// see [`Link::hear`].
    fn anchored(&self, sent: Tensor<2>, heard: [Tensor<2>; 2]) -> Known {
        let mean = |logits: Tensor<2>| squash(logits).mean_dim(1);
        let told = mean(sent.clone()) + self.sound.louder(self.receiver.power(sent), &heard);
        let [heard, noise] = heard;
        let first = self.receiver.hear(heard.clone(), noise.clone());
        let estimate = mean(self.receiver.logits(self.receiver.components(&first)));
        let step = self.receiver.range_db / DB_PER_PART;
        let anchor = ((told - estimate) * step).exp();
        self.receiver.hear(heard * anchor.clone(), noise * anchor)
    }

    /// The powers that are heard of codes of the logits `sent`, and those of the
    /// noise in each bin, all `[item, value]`; 1 is that of the logit 0 in the
    /// same frame.
    fn hear(&self, sent: Tensor<2>, draws: &Draws) -> [Tensor<2>; 2] {
        let unit = self.sound.anchor(self.receiver.power(sent.clone()), sent.clone());
        let power = self.receiver.power(sent) * unit.clone();
        let [amplitude, noise] = self.way.pass(&self.sound, power.clone());
        let noise = noise + power * FILE_NOISE;
        let along = amplitude + (noise.clone() / 2.0).sqrt() * draws.along.clone();
        let heard = along.square() + noise.clone() * draws.across.clone();
        [heard / unit.clone(), noise / unit]
    }
}

impl Sound {
    /// The power, `[item, value]`, that a logit of 0 has in frames of the logits
    /// `logits`, whose `power` is in units of that: see [`crate::spectrum`].
    fn anchor(&self, power: Tensor<2>, logits: Tensor<2>) -> Tensor<2> {
        let mean = squash(logits).mean_dim(1) - 0.5;
        let loud = (mean * (SPAN_LU / DB_PER_PART)).exp() * hearing::power_of_lufs(MEAN_LUFS);
        let free = (power * self.gain.clone() * self.weight.clone()).sum_dim(1);
        loud / free * self.gain.clone()
    }

    /// How much larger the mean of the code sounds, `[item, 1]`, where values of
    /// the power `sent` are heard with power and noise as [`Link::hear`] has
    /// them.
    fn louder(&self, sent: Tensor<2>, [heard, noise]: &[Tensor<2>; 2]) -> Tensor<2> {
        let weight = self.gain.clone() * self.weight.clone();
        let all = (sent * weight.clone()).sum_dim(1);
        let signal = heard.clone() - noise.clone() * self.bins.clone() * ADDED;
        let ratio = (signal * weight).sum_dim(1) / all;
        ratio.clamp_min(LEAST_LOUD).log() * (DB_PER_PART / SPAN_LU)
    }
}

impl Way {
    /// What `channel` does to values in `cells`, the bins of each.
    fn new(channel: Channel, cells: &[&[usize]], device: &Device) -> Self {
        match channel {
            Channel::File => Self::Noise { share: 0.0 },
            Channel::Noise(snr_db) => {
                // The mean square of a sine is half of its squared amplitude.
                Self::Noise { share: 10f64.powf(-snr_db / 10.0) * 4.0 / CYCLE as f64 / 2.0 }
            }
            Channel::Late(ms) => {
                let response = response((ms * SLOT as f64 / 100.0).round() as usize, cells);
                let leak = |from: usize, to: usize| match from.abs_diff(to) {
                    0 => 0.0,
                    apart => response[apart],
                };
                let leak = matrix(&between(cells, |_| 1.0, leak), device);
                Self::Late { next: response[0].sqrt(), leak }
            }
            Channel::Codec(kbit_s) => {
                let below_db = 30.0 + 6.6 * (kbit_s / 64.0).log2();
                let filter = |centre: usize| -> f64 {
                    cells.iter().copied().flatten().map(|&bin| heard_with(bin, centre)).sum()
                };
                let lost = |&bin: &usize| 10f64.powf(-below_db / 10.0) * filter(bin);
                let lost = cells.iter().map(|cell| {
                    let lost: f64 = cell.iter().map(lost).sum();
                    (lost / cell.len() as f64).min(MOST_LOST)
                });
                let near = between(cells, |to| 1.0 / filter(to), heard_with);
                Self::Codec {
                    lost: row(&lost.collect::<Vec<_>>(), device),
                    near: Box::new(matrix(&near, device)),
                }
            }
        }
    }

    /// Amplitudes of values, and the power of noise in each of their bins, after
    /// values of the power `power` were sent; all `[item, value]`.
    fn pass(&self, sound: &Sound, power: Tensor<2>) -> [Tensor<2>; 2] {
        let amplitude = power.clone().sqrt();
        match self {
            Self::Noise { share } => {
                let all = power.clone().sum_dim(1).mean_dim(0) + sound.pilots;
                [amplitude, (all * *share).expand(power.dims())]
            }
            Self::Late { next, leak } => {
                let bins = sound.bins.clone().sqrt();
                let own = amplitude / bins.clone();
                let change = own.clone().roll_dim(-1, 0) - own.clone();
                let heard = (own + change.clone() * *next) * bins;
                [heard, change.square().matmul(leak.clone())]
            }
            Self::Codec { lost, near } => {
                let kept = (lost.clone() * -1.0 + 1.0).sqrt();
                let around = (power / sound.bins.clone()).matmul(near.as_ref().clone());
                [amplitude * kept, around * lost.clone()]
            }
        }
    }
}

/// `values` as a tensor `[1, value]`.
fn row(values: &[f64], device: &Device) -> Tensor<2> {
    let flat: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(flat, [1, values.len()]), device)
}

/// `weight` of each bin of one value for each bin of another, times `scale` of
/// the latter, summed over the former and averaged over the latter:
/// `[from, to]`.
fn between(
    cells: &[&[usize]],
    scale: impl Fn(usize) -> f64,
    weight: impl Fn(usize, usize) -> f64,
) -> Array2<f32> {
    let scales: Vec<Vec<f64>> =
        cells.iter().map(|cell| cell.iter().map(|&bin| scale(bin)).collect()).collect();
    Array2::from_shape_fn((cells.len(), cells.len()), |(from, to)| {
        let sum = |(&bin, scale): (&usize, &f64)| {
            scale * cells[from].iter().map(|&other| weight(other, bin)).sum::<f64>()
        };
        let sum: f64 = cells[to].iter().zip(&scales[to]).map(sum).sum();
        (sum / cells[to].len() as f64) as f32
    })
}

/// How much of the power of bin `bin` the auditory filter at bin `centre` takes.
fn heard_with(bin: usize, centre: usize) -> f64 {
    let place = |bin: usize| hearing::erb_rate(bin as f64 * BIN_HZ);
    let apart = 4.0 * (place(bin) - place(centre)).abs();
    (1.0 + apart) * (-apart).exp()
}

/// |R_m|^2 of a receiver that is `late` samples late, from m = 0 to where the
/// bins of `cells` are farthest apart; see the module's text.
fn response(late: usize, cells: &[&[usize]]) -> Vec<f64> {
    let bins = || cells.iter().copied().flatten();
    let most = bins().max().unwrap_or(&0) - bins().min().unwrap_or(&0);
    let next = |sample: usize| match (sample + JOIN + late + JOIN / 2).checked_sub(SLOT) {
        None => 0.0,
        Some(since) if since >= JOIN => 1.0,
        Some(since) => f64::from(synth::rise(since, JOIN)),
    };
    let rising: Vec<(usize, f64)> =
        (0..CYCLE).map(|sample| (sample, next(sample))).filter(|(_, rise)| *rise > 0.0).collect();
    let power = |apart: usize| {
        let turned = |&(sample, rise): &(usize, f64)| {
            let (sin, cos) = (TAU * (apart * sample % CYCLE) as f64 / CYCLE as f64).sin_cos();
            [rise * cos, rise * sin]
        };
        let [real, imaginary] =
            rising.iter().map(turned).fold([0.0, 0.0], |[a, b], [c, d]| [a + c, b + d]);
        (real * real + imaginary * imaginary) / (CYCLE * CYCLE) as f64
    };
    (0..=most).map(power).collect()
}

#[cfg(test)]
mod tests;
