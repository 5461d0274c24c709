//! Code to sound and back, and what the sound is like.

use ebur128::{EbuR128, Mode};
use wysiwyh::random::Random;
use wysiwyh::receiver::Receiver;
use wysiwyh::spectrum::{Law, Layout, Mapping, Preset, Spectrum};
use wysiwyh::synth::{CYCLE, JOIN, SAMPLE_RATE, SLOT, Synth};

const HZ: [f64; 2] = [60.0, 5000.0];

fn layout(preset: Preset) -> Layout {
    Layout::new(&Mapping::preset(preset, HZ)).unwrap()
}

/// Every preset under either law with every number of values.
fn layouts() -> Vec<Layout> {
    let mut layouts = Vec::new();
    for preset in [Preset::Listen, Preset::Data] {
        for values in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
            let mapping = Mapping { values, ..Mapping::preset(preset, HZ) };
            let linear = Mapping { law: Law::Linear, ..mapping.clone() };
            layouts.extend([mapping, linear].map(|mapping| Layout::new(&mapping).unwrap()));
        }
    }
    layouts
}

fn random_codes(seed: u64, count: usize, values: usize) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed);
    (0..count).map(|_| (0..values).map(|_| random.uniform() as f32).collect()).collect()
}

fn play(frames: &[Spectrum]) -> Vec<f32> {
    let (mut synth, mut samples) = (Synth::new(1), Vec::new());
    frames.iter().for_each(|frame| synth.push(frame, &mut samples));
    synth.finish(&mut samples);
    assert_eq!(samples.len(), (frames.len() + 2) * SLOT);
    samples
}

fn play_codes(layout: &Layout, codes: &[Vec<f32>]) -> Vec<f32> {
    play(&codes.iter().map(|code| layout.spectrum(code)).collect::<Vec<_>>())
}

/// What a 16-bit file keeps of `samples`.
fn in_16_bit(samples: &[f32]) -> Vec<f32> {
    samples.iter().map(|s| (s * 32_767.0).round().clamp(-32_768.0, 32_767.0) / 32_767.0).collect()
}

fn hear(layout: &Layout, samples: &[f32], slot: usize) -> Vec<f32> {
    layout.code(&Receiver::new().spectrum(samples, slot).unwrap())
}

/// Largest difference of two codes.
fn error(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn codes_come_back_from_16_bit_samples() {
    for layout in layouts() {
        let mapping = layout.mapping();
        let codes = random_codes(1, 8, mapping.values);
        let samples = in_16_bit(&play_codes(&layout, &codes));
        let errors: Vec<f32> =
            (0..8).map(|slot| error(&codes[slot], &hear(&layout, &samples, slot))).collect();
        let most = errors.iter().fold(0.0, |a: f32, &b| a.max(b));
        // Rounding is noise 98 dB below full scale: 0.04 dB in the quietest
        // value of a quiet frame with the most values.
        assert!(most < 2e-3, "{mapping:?}: {most}");
    }
}

#[test]
fn a_start_that_is_off_by_5_ms_changes_nothing() {
    for preset in [Preset::Listen, Preset::Data] {
        let layout = layout(preset);
        let values = layout.mapping().values;
        let mut codes = random_codes(2, 3, values);
        codes.splice(1..1, [vec![0.0; values], vec![1.0; values]]);
        let samples = play_codes(&layout, &codes);
        let mut receiver = Receiver::new();
        let half = JOIN / 2;
        for off in (0..=JOIN).step_by(40).chain([1, half - 1, half + 1, JOIN - 1]) {
            for (slot, code) in codes.iter().enumerate() {
                let start = (slot + 1) * SLOT + JOIN + off - half;
                let heard = layout.code(&receiver.window(&samples, start).unwrap());
                assert!(error(code, &heard) < 1e-4, "{off}, {slot}: {}", error(code, &heard));
            }
        }
        // And that is all there is to spare.
        let late = receiver.window(&samples, 2 * SLOT + JOIN + half + 120).unwrap();
        assert!(error(&codes[1], &layout.code(&late)) > 1e-3);
    }
}

/// Share of the energy of `samples` outside `low_hz..high_hz`, in dB.
fn outside_db(samples: &[f32], low_hz: f64, high_hz: f64) -> f64 {
    let forward = realfft::RealFftPlanner::<f64>::new().plan_fft_forward(samples.len());
    let mut wave: Vec<f64> = samples.iter().map(|&s| f64::from(s)).collect();
    let mut bins = forward.make_output_vec();
    forward.process(&mut wave, &mut bins).unwrap();
    let bin_hz = SAMPLE_RATE as f64 / samples.len() as f64;
    let (mut outside, mut total) = (0.0, 0.0);
    for (bin, value) in bins.iter().enumerate() {
        let hz = bin as f64 * bin_hz;
        total += value.norm_sqr();
        if !(low_hz..=high_hz).contains(&hz) {
            outside += value.norm_sqr();
        }
    }
    10.0 * f64::log10(outside / total)
}

#[test]
fn joins_do_not_click() {
    for preset in [Preset::Listen, Preset::Data] {
        let mapping = Mapping::preset(preset, [1000.0, 5000.0]);
        let layout = Layout::new(&mapping).unwrap();
        // Everything from off to on and back, as no two pictures are, and
        // pictures that have nothing in common. Real sessions are at -74 dB.
        let extremes: Vec<Vec<f32>> =
            (0..20).map(|frame| vec![(frame % 2) as f32; mapping.values]).collect();
        let random = random_codes(3, 20, mapping.values);
        for (codes, most_db) in [(extremes, -59.0), (random, -60.0)] {
            for seed in 0..6 {
                let (mut synth, mut samples) = (Synth::new(seed), Vec::new());
                codes.iter().for_each(|code| synth.push(&layout.spectrum(code), &mut samples));
                synth.finish(&mut samples);
                let db = outside_db(&samples, 900.0, 5100.0);
                assert!(db < most_db, "{preset:?}, seed {seed}: {db} dB outside the band");
            }
        }
    }
}

#[test]
fn a_sound_without_joins_would_click() {
    // The measure above has to see what it is there to rule out.
    let layout = Layout::new(&Mapping::preset(Preset::Data, [1000.0, 5000.0])).unwrap();
    let codes = random_codes(3, 20, 128);
    let samples = play_codes(&layout, &codes);
    let cut: Vec<f32> = samples.chunks(SLOT).flat_map(|slot| &slot[JOIN..]).copied().collect();
    assert!(outside_db(&cut, 900.0, 5100.0) > -50.0);
}

/// Loudness of steady `spectrum` in LUFS on a meter other than ours.
fn metered_lufs(spectrum: &Spectrum) -> f64 {
    let samples = play(&vec![spectrum.clone(); 34]);
    let mut meter = EbuR128::new(1, SAMPLE_RATE as u32, Mode::S).unwrap();
    // The last three seconds before the lead-out.
    meter.add_frames_f32(&samples[..samples.len() - SLOT]).unwrap();
    meter.loudness_shortterm().unwrap()
}

#[test]
fn a_loudness_meter_shows_the_mean_of_the_code() {
    let mut random = Random::new(4);
    for preset in [Preset::Listen, Preset::Data] {
        for values in [1, 16, 64, 128, 256] {
            let mapping = Mapping { values, ..Mapping::preset(preset, HZ) };
            let layout = Layout::new(&mapping).unwrap();
            let skew = random.between(0.2, 4.0) as f32;
            let code: Vec<f32> =
                random_codes(5, 1, values).concat().iter().map(|c| c.powf(skew)).collect();
            let mean = code.iter().map(|&c| f64::from(c)).sum::<f64>() / values as f64;
            let mut spectrum = layout.spectrum(&code);
            let whole = metered_lufs(&spectrum);
            assert!((whole - layout.loudness_lufs(&spectrum)).abs() < 0.1, "{values}: {whole}");
            layout.pilots().for_each(|bin| spectrum.amplitudes[bin] = 0.0);
            let lufs = metered_lufs(&spectrum);
            let law = -23.0 + 24.0 * (mean - 0.5);
            assert!((lufs - law).abs() < 0.1, "{values}: {lufs} for a mean of {mean}");
            assert!(whole - lufs < 1.5, "{values}: pilots add {}", whole - lufs);
        }
    }
}

#[test]
fn no_code_of_a_thousand_clips() {
    for preset in [Preset::Listen, Preset::Data] {
        let layout = layout(preset);
        let values = layout.mapping().values;
        let uniform = random_codes(6, 1000, values);
        let bright: Vec<Vec<f32>> =
            uniform.iter().map(|code| code.iter().map(|c| 0.8 + 0.2 * c).collect()).collect();
        // Ones and zeros, nine to one: as loud as those, and more uneven.
        let uneven: Vec<Vec<f32>> = uniform
            .iter()
            .map(|code| code.iter().map(|&c| if c < 0.9 { 1.0 } else { 0.0 }).collect())
            .collect();
        for (codes, most) in [(uniform, 0.5), (bright, 0.9), (uneven, 1.0)] {
            let samples = play_codes(&layout, &codes);
            let peak = samples.iter().fold(0.0, |peak: f32, s| peak.max(s.abs()));
            assert!(peak < most, "{preset:?}: {peak}");
        }
    }
}

#[test]
fn the_same_codes_and_seed_are_the_same_bytes() {
    let bytes = || -> Vec<u8> {
        let samples = play_codes(&layout(Preset::Data), &random_codes(7, 10, 128));
        samples.iter().flat_map(|s| s.to_le_bytes()).collect()
    };
    assert!(bytes() == bytes());
}

#[test]
fn making_sound_allocates_nothing_after_the_first_frame() {
    let layout = layout(Preset::Data);
    let frames: Vec<Spectrum> =
        random_codes(8, 6, 128).iter().map(|code| layout.spectrum(code)).collect();
    let (mut synth, mut samples) = (Synth::new(1), Vec::with_capacity(8 * SLOT));
    synth.push(&frames[0], &mut samples);
    assert_no_alloc::assert_no_alloc(|| {
        frames[1..].iter().for_each(|frame| synth.push(frame, &mut samples));
        synth.finish(&mut samples);
    });
    assert_eq!(samples.len(), 8 * SLOT);
}

#[test]
fn a_code_is_heard_through_noise() {
    // White noise 20 dB below the sound, over all 24 kHz. Codes come back to
    // 0.03 and 0.07; guessing 1/2 would be off by 0.29.
    let mut random = Random::new(9);
    for (preset, most) in [(Preset::Listen, 0.05), (Preset::Data, 0.1)] {
        let layout = layout(preset);
        let codes = random_codes(10, 50, layout.mapping().values);
        let samples = play_codes(&layout, &codes);
        let power = samples.iter().map(|s| f64::from(s * s)).sum::<f64>() / samples.len() as f64;
        let noise = (power / 100.0).sqrt();
        let noisy: Vec<f32> =
            samples.iter().map(|s| s + (noise * random.normal()) as f32).collect();
        let heard: Vec<Vec<f32>> = (0..50).map(|slot| hear(&layout, &noisy, slot)).collect();
        let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        let (sent, heard) = (codes.concat(), heard.concat());
        let mse = sent.iter().zip(&heard).map(square).sum::<f64>() / sent.len() as f64;
        assert!(mse.sqrt() < most, "{preset:?}: {}", mse.sqrt());
    }
}

#[test]
fn one_period_of_a_frame_is_80_ms() {
    let samples = play_codes(&layout(Preset::Listen), &random_codes(11, 2, 64));
    let slot = &samples[SLOT + JOIN / 2..2 * SLOT - JOIN / 2];
    assert!(slot.iter().zip(&slot[CYCLE..]).all(|(a, b)| (a - b).abs() < 1e-6));
}
