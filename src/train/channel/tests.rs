//! Gradients, and what the true sound, channel and receiver do.

use faer::linalg::solvers::Solve;
use ndarray::Array3;

use super::*;
use crate::autoencoder::linear::Moments;
use crate::autoencoder::{haar, read};
use crate::evaluate::channel::Channel as True;
use crate::spectrum::Spectrum;
use crate::synth::Synth;

#[path = "../../../tests/fake/skipped.rs"]
mod skipped;

fn autoencoder(values: usize) -> Autoencoder {
    let mut random = Random::new(1);
    let pictures: Vec<Array3<f32>> = (0..40)
        .map(|_| Array3::from_shape_simple_fn((1, 24, 24), || random.uniform() as f32))
        .collect();
    let moments = Moments::gather(&pictures, &[1.0]).unwrap();
    Autoencoder::new(moments.solve(values, 0.9).unwrap(), 1.2, &Device::flex())
}

fn link(channel: Channel, autoencoder: &Autoencoder) -> Link {
    let profile = Profile::find("hituav-lwir").unwrap();
    Link::new(channel, autoencoder.values(), autoencoder, &profile).unwrap()
}

fn tensor(values: &[f32], columns: usize, device: &Device) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn normal(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..count).map(|_| random.normal() as f32).collect()
}

#[test]
fn gradients_are_those_of_differences() {
    let (values, items) = (8, 3);
    let autoencoder = autoencoder(values);
    let count = autoencoder.linear().components();
    let point = normal(items * count, 2);
    // The latter of each pair leaves nothing of second digits.
    for (channel, digits) in [
        (Channel::Noise(70.0), 2),
        (Channel::Noise(10.0), 1),
        (Channel::Late(5.5), 2),
        (Channel::Late(12.0), 1),
        (Channel::Codec(500.0), 2),
        (Channel::Codec(24.0), 1),
    ] {
        let link = link(channel, &autoencoder);
        let draws = link.draw(items, &Device::flex(), &mut Random::new(3));
        let loss = |components: Tensor<2>| -> Tensor<1> {
            let weights = tensor(&normal(items * count, 4), count, &Device::flex());
            let heard = (link.carry(components, &draws) * weights).narrow(1, 0, digits * values);
            heard.sum()
        };
        let tracked = tensor(&point, count, &Device::flex().autodiff()).require_grad();
        let gradients = loss(tracked.clone()).backward();
        let gradient = read(tracked.grad(&gradients).unwrap()).unwrap();
        for seed in 0..5 {
            let direction = normal(point.len(), 100 + seed);
            let step = 1e-3f32;
            let at = |sign: f32| {
                let moved: Vec<f32> =
                    point.iter().zip(&direction).map(|(p, d)| p + sign * step * d).collect();
                f64::from(read(loss(tensor(&moved, count, &Device::flex()))).unwrap()[0])
            };
            let difference = (at(1.0) - at(-1.0)) / f64::from(2.0 * step);
            let slope: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
            let size = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
            println!("{channel}: {difference} {slope}, size {size}");
            assert!((difference - slope).abs() < 0.03 * size, "{channel}: {difference} {slope}");
            assert!(size > 0.3, "{channel} says something only where there is a slope: {size}");
        }
    }
}

#[test]
fn conjugate_gradients_solve_the_equations() {
    let autoencoder = autoencoder(64);
    let link = link(Channel::Noise(20.0), &autoencoder);
    let estimator = Estimator::new(&autoencoder, 64);
    let rows = estimator.logits();
    let mut random = Random::new(8);
    let precision: Vec<f32> =
        (0..64).map(|_| 10f64.powf(random.between(-2.0, 4.0)) as f32).collect();
    let logits = normal(64, 9);
    let [logit, precision_of] =
        [&logits, &precision].map(|values| tensor(values, 64, &Device::flex()));
    let known = Known { logit, precision: precision_of };
    let found = read(link.receiver.components(&known)).unwrap();
    let found = ndarray::Array1::from_iter(found.into_iter().map(f64::from));
    let precision = ndarray::Array1::from_iter(precision.into_iter().map(f64::from));
    let logits = ndarray::Array1::from_iter(logits.into_iter().map(f64::from));
    let weighted = &rows.t() * &precision;
    let (right, known) = (weighted.dot(&logits), weighted.dot(rows));
    let matrix = faer::Mat::from_fn(64, 64, |r, c| known[(r, c)] + f64::from(u8::from(r == c)));
    let right = faer::Mat::from_fn(64, 1, |row, _| right[row]);
    let exact = matrix.llt(faer::Side::Lower).unwrap().solve(&right);
    for (row, found) in found.iter().enumerate() {
        let exact = exact[(row, 0)];
        assert!((found - exact).abs() < 0.01, "{row}: {found}, exactly {exact}");
    }
}

/// Frames of random components on their way: what was sent, and as the true
/// receiver heard it after `carry`.
struct Journey {
    components: Vec<Vec<f32>>,
    codes: Vec<Vec<f32>>,
    layout: Layout,
    sent: Vec<Spectrum>,
    heard: Vec<Spectrum>,
    noise: Vec<Vec<f64>>,
}

fn journey(
    autoencoder: &Autoencoder,
    carry: impl Fn(&[f32]) -> Option<Vec<f32>>,
) -> Option<Journey> {
    const FRAMES: usize = 60;
    let (values, count) = (autoencoder.values(), autoencoder.linear().components());
    let mapping = Mapping::preset(Preset::Data, [60.0, 5000.0]);
    let layout = Layout::new(&Mapping { values, ..mapping }).unwrap();
    let components: Vec<Vec<f32>> = (0..FRAMES).map(|k| normal(count, 20 + k as u64)).collect();
    let codes: Vec<Vec<f32>> = components.iter().map(|c| autoencoder.code(c, values)).collect();
    let sent: Vec<Spectrum> = codes.iter().map(|code| layout.spectrum(code)).collect();
    let (mut synth, mut samples) = (Synth::new(0, &layout), Vec::new());
    sent.iter().for_each(|spectrum| synth.push(spectrum, &mut samples));
    synth.finish(&mut samples);
    let carried = carry(&samples)?;
    let mut receiver = crate::receiver::Receiver::new();
    let heard = (0..FRAMES).map(|slot| receiver.spectrum(&carried, slot).unwrap()).collect();
    let noise = (0..FRAMES).map(|slot| receiver.noise(&carried, slot).unwrap().around).collect();
    Some(Journey { components, codes, layout, sent, heard, noise })
}

/// RMS errors of levels in dB of soft, middle and loud values: `errors_db` of
/// the values of `codes`, less the mean of each value, which a receiver takes
/// for the response of the way.
fn by_level(codes: &[Vec<f32>], errors_db: &[Vec<f32>]) -> [f64; 3] {
    let mut classes = [(0.0, 0.0); 3];
    // The last frame has no other one after it.
    let frames = codes.len() - 1;
    let mean = |value: usize| {
        errors_db.iter().take(frames).map(|errors_db| errors_db[value]).sum::<f32>() / frames as f32
    };
    let means: Vec<f32> = (0..codes[0].len()).map(mean).collect();
    for (code, errors_db) in codes.iter().zip(errors_db).take(frames) {
        for ((&value, &error_db), mean) in code.iter().zip(errors_db).zip(&means) {
            let (sum, count) = &mut classes[((value * 3.0) as usize).min(2)];
            *sum += f64::from(error_db - mean).powi(2);
            *count += 1.0;
        }
    }
    classes.map(|(sum, count)| (sum / count).sqrt())
}

/// By which share of the truth, at most, levels of codes of `values` values err
/// otherwise through `channel` than they do in truth, by `carry`.
fn misfit(
    channel: Channel,
    values: usize,
    carry: impl Fn(&[f32]) -> Option<Vec<f32>>,
) -> Option<f64> {
    let autoencoder = autoencoder(values);
    let journey = journey(&autoencoder, carry)?;
    let levels_db = |spectrum: &Spectrum| journey.layout.levels_db(spectrum);
    let pairs = journey.sent.iter().zip(&journey.heard);
    let errors_db = pairs.map(|(sent, heard)| {
        levels_db(heard).iter().zip(levels_db(sent)).map(|(a, b)| a - b).collect()
    });
    let truth = by_level(&journey.codes, &errors_db.collect::<Vec<Vec<f32>>>());

    let link = link(channel, &autoencoder);
    let logits: Vec<f32> = journey
        .codes
        .iter()
        .flatten()
        .map(|&value| haar::unsquash(f64::from(value)) as f32)
        .collect();
    let sent = tensor(&logits, values, &Device::flex());
    let draws = link.draw(journey.codes.len(), &Device::flex(), &mut Random::new(5));
    let [heard, _] = link.hear(sent.clone(), &draws);
    let errors_db = (heard / link.receiver.power(sent)).log() * DB_PER_PART;
    let errors_db = read(errors_db).unwrap();
    let errors_db: Vec<Vec<f32>> = errors_db.chunks(values).map(<[f32]>::to_vec).collect();
    let modelled = by_level(&journey.codes, &errors_db);
    println!("{channel}, {values} values: in truth {truth:.2?} dB, modelled {modelled:.2?} dB");
    truth
        .iter()
        .zip(modelled)
        .map(|(truth, modelled)| (modelled / truth - 1.0).abs())
        .reduce(f64::max)
}

#[test]
fn levels_err_as_the_true_receiver_finds_them() {
    for values in [16, 128] {
        let noise =
            misfit(Channel::Noise(20.0), values, |samples| True::Noise.carry(samples).unwrap());
        assert!(noise.unwrap() < 0.3, "{noise:?}");
        for ms in [7.0, 10.0, 20.0] {
            let late = misfit(Channel::Late(ms), values, |samples| {
                let mut late = samples.to_vec();
                late.rotate_left((48.0 * ms) as usize);
                Some(late)
            });
            // The modelled neighbours have random phases, the true ones glide.
            assert!(late.unwrap() < 0.6, "{ms} ms: {late:?}");
        }
    }
}

#[test]
fn levels_err_as_behind_a_true_codec() {
    for (kbit_s, codec, values, most) in [
        (64.0, True::Opus, 16, 0.35),
        (64.0, True::Opus, 128, 0.35),
        (24.0, True::SmallOpus, 128, 0.4),
    ] {
        let misfit =
            misfit(Channel::Codec(kbit_s), values, |samples| codec.carry(samples).unwrap());
        match misfit {
            Some(misfit) => assert!(misfit < most, "{kbit_s} kbit/s, {values} values: {misfit}"),
            None => skipped::skipped("there is no ffmpeg with Opus"),
        }
    }
}

#[test]
fn within_the_guard_all_of_a_code_comes_back() {
    let autoencoder = autoencoder(16);
    let link = link(Channel::Late(5.0), &autoencoder);
    let count = autoencoder.linear().components();
    let sent = normal(4 * count, 6);
    let draws = link.draw(4, &Device::flex(), &mut Random::new(7));
    let back = read(link.carry(tensor(&sent, count, &Device::flex()), &draws)).unwrap();
    let (mut fine, mut fine_count) = (0.0, 0);
    for (index, (sent, back)) in sent.iter().zip(&back).enumerate() {
        if index % count < 16 {
            assert!((sent - back).abs() < 0.01, "{index}: {sent} {back}");
        } else {
            (fine, fine_count) = (fine + (sent - back).powi(2), fine_count + 1);
        }
    }
    // Second digits are less sure near the ends of a step.
    let fine = (fine / fine_count as f32).sqrt();
    assert!(fine < 0.1, "{fine}");
}

#[test]
fn components_err_as_those_of_the_true_receiver() {
    let autoencoder = autoencoder(128);
    let estimator = Estimator::new(&autoencoder, 128);
    let journey = journey(&autoencoder, |samples| True::Noise.carry(samples).unwrap()).unwrap();
    let link = link(Channel::Noise(20.0), &autoencoder);
    let count = autoencoder.linear().components();
    let sent: Vec<f32> = journey.components.concat();
    let truth = journey.heard.iter().zip(&journey.noise).flat_map(|(heard, noise)| {
        let levels = journey.layout.levels(heard, noise, Some(1.0)).unwrap();
        let code = estimator.estimate(&levels.observations(levels.anchor_db())).unwrap();
        let code: Vec<f32> = code.into_iter().map(|value| value as f32).collect();
        autoencoder.components_of_code(&code, 128)
    });
    let truth: Vec<f32> = truth.collect();
    let draws = link.draw(journey.components.len(), &Device::flex(), &mut Random::new(7));
    let modelled = read(link.carry(tensor(&sent, count, &Device::flex()), &draws)).unwrap();
    // Coarse, finer and finest first digits, and second digits.
    for part in [0..8, 8..32, 32..128, 128..256] {
        let error = |back: &[f32]| {
            let pairs = sent.iter().zip(back).enumerate();
            let own = pairs.filter(|(index, _)| part.contains(&(index % count)));
            let squares = own.map(|(_, (a, b))| f64::from(a - b).powi(2));
            (squares.sum::<f64>() / (part.len() * journey.components.len()) as f64).sqrt()
        };
        let (truth, modelled) = (error(&truth), error(&modelled));
        println!("{part:?}: in truth {truth:.3}, modelled {modelled:.3}");
        assert!((modelled / truth - 1.0).abs() < 0.25, "{part:?}: {truth} {modelled}");
    }
}

#[test]
fn channels_are_told_by_name_and_strength() {
    for text in ["file", "noise=20", "late=7.5", "codec=24"] {
        assert_eq!(text.parse::<Channel>().unwrap().to_string(), text);
    }
    assert_eq!("codec".parse(), Ok(Channel::Codec(64.0)));
    for wrong in ["", "noisy", "file=3", "noise=", "noise=NaN", "codec=0", "late=-1", "late=900"] {
        assert!(wrong.parse::<Channel>().is_err(), "{wrong}");
    }
}
