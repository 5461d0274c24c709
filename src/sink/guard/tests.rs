use ebur128::{EbuR128, Mode};

use super::*;
use crate::random::Random;
use crate::spectrum::hearing::{K_HIGH_PASS, K_SHELF};
use crate::spectrum::{Layout, Mapping, Preset};
use crate::stereo::{Panner, centred};
use crate::synth::{SLOT, Synth};

const SECOND: usize = SAMPLE_RATE;
/// Samples of the windows that the limits are about.
const WINDOW: usize = SECOND / 10;

/// One channel of sound, or both in one.
fn side(frames: &[[f32; 2]], side: usize) -> Vec<f32> {
    frames.iter().map(|frame| frame[side]).collect()
}

fn folded(frames: &[[f32; 2]]) -> Vec<f32> {
    frames.iter().map(|[left, right]| (left + right) * 0.5f32.sqrt()).collect()
}

/// K-weighted energies summed up: a window's is a difference of two.
fn energies(samples: &[f32]) -> Vec<f64> {
    let mut wave: Vec<f64> = samples.iter().map(|&s| f64::from(s)).collect();
    for [b, a] in [K_SHELF, K_HIGH_PASS] {
        let input = wave.clone();
        for n in 0..wave.len() {
            let at = |wave: &[f64], back: usize| n.checked_sub(back).map_or(0.0, |n| wave[n]);
            wave[n] = b[0] * input[n] + b[1] * at(&input, 1) + b[2] * at(&input, 2)
                - a[1] * at(&wave, 1)
                - a[2] * at(&wave, 2);
        }
    }
    let mut sum = 0.0;
    std::iter::once(0.0)
        .chain(wave.iter().map(|w| {
            sum += w * w;
            sum
        }))
        .collect()
}

/// The loudest 100 ms and the steepest rise from `floor_lufs` on, at every
/// sample of `energies` that are summed up.
fn worst(energies: &[f64], floor_lufs: f64) -> (f64, f64) {
    let lufs = |end: usize| {
        let energy = (energies[end] - energies[end - WINDOW]).max(1e-12);
        -0.691 + 10.0 * (energy / WINDOW as f64).log10()
    };
    (2 * WINDOW..energies.len()).fold((f64::MIN, f64::MIN), |(loudest, steepest), end| {
        let (now, before) = (lufs(end), lufs(end - WINDOW));
        (loudest.max(now), steepest.max(now - before.max(floor_lufs)))
    })
}

/// The highest momentary loudness of both channels on another meter, and its
/// steepest rise in 100 ms.
fn metered(frames: &[[f32; 2]]) -> (f64, f64) {
    let mut meter = EbuR128::new(2, SECOND as u32, Mode::M).unwrap();
    let mut momentary = vec![];
    for part in frames.chunks(WINDOW / 50) {
        meter.add_frames_f32(part.as_flattened()).unwrap();
        momentary.push(meter.loudness_momentary().unwrap().max(FLOOR_LUFS));
    }
    let loudest = momentary.iter().copied().fold(f64::MIN, f64::max);
    (loudest, momentary.windows(51).map(|w| w[50] - w[0]).fold(0.0, f64::max))
}

/// The highest true peak in dB on that meter.
fn peak_dbtp(samples: &[f32]) -> f64 {
    let mut meter = EbuR128::new(1, SECOND as u32, Mode::TRUE_PEAK).unwrap();
    meter.add_frames_f32(samples).unwrap();
    20.0 * meter.true_peak(0).unwrap().log10()
}

/// What leaves a guard at `volume_db`, in parts of any size.
fn guarded(frames: &[[f32; 2]], volume_db: f32) -> (Vec<[f32; 2]>, Guard) {
    let mut guard = Guard::new(volume_db);
    let mut output = frames.to_vec();
    output.extend([[0.0; 2]; DELAY]);
    for part in output.chunks_mut(331) {
        guard.process(part);
    }
    (output, guard)
}

/// Checks every promise of loudness on `frames`.
fn check(name: &str, frames: &[[f32; 2]]) {
    assert!(frames.as_flattened().iter().all(|s| s.is_finite()), "{name}");
    let silence = [[0.0; 2]; 2 * WINDOW];
    let padded = [&silence, frames].concat();
    let [left, right] = [0, 1].map(|n| energies(&side(&padded, n)));
    let both: Vec<f64> = left.iter().zip(&right).map(|(left, right)| left + right).collect();
    let ear_lufs = FLOOR_LUFS - 10.0 * 2f64.log10();
    let heard =
        [("both", &both, FLOOR_LUFS), ("left", &left, ear_lufs), ("right", &right, ear_lufs)];
    for (ear, energies, floor_lufs) in heard {
        let (loudest, steepest) = worst(energies, floor_lufs);
        assert!(loudest <= CAP_LUFS + 0.001, "{name}, {ear}: 100 ms at {loudest} LUFS");
        assert!(steepest <= RISE_DB + 0.001, "{name}, {ear}: 100 ms rise by {steepest} dB");
    }
    let (loudest, steepest) = metered(frames);
    assert!(loudest <= CAP_LUFS, "{name}: {loudest} LUFS");
    assert!(steepest <= RISE_DB, "{name}: {steepest} LU in 100 ms");
    for channel in [side(frames, 0), side(frames, 1), folded(frames)] {
        let peak = peak_dbtp(&channel);
        assert!(peak <= CEILING_DBTP, "{name}: {peak} dBTP");
    }
}

fn noise(seconds: f64) -> Vec<f32> {
    let mut random = Random::new(1);
    let count = (seconds * SECOND as f64) as usize;
    (0..count).map(|_| random.between(-1.0, 1.0) as f32).collect()
}

fn sine(hz: f64, seconds: f64) -> Vec<f32> {
    let count = (seconds * SECOND as f64) as usize;
    let step = std::f64::consts::TAU * hz / SECOND as f64;
    (0..count).map(|n| (n as f64 * step).sin() as f32).collect()
}

/// The sound of codes that are all one value each, 100 ms a code.
fn scene(values: &[f32]) -> Vec<f32> {
    let mapping = Mapping::preset(Preset::Listen, [60.0, 5000.0]);
    let layout = Layout::new(&mapping).unwrap();
    let (mut synth, mut samples) = (Synth::new(1, &layout), vec![]);
    for &value in values {
        synth.push(&layout.spectrum(&vec![value; mapping.values]), &mut samples);
    }
    synth.finish(&mut samples);
    samples
}

#[test]
fn a_stove_after_the_volume_went_up_does_not_hurt() {
    let values = [[0.0; 30], [1.0; 30], [0.0; 30], [1.0; 30]].concat();
    for volume_db in [-20.0, 0.0, 10.0, 20.0] {
        let (output, guard) = guarded(&centred(&scene(&values)), volume_db);
        check(&format!("at {volume_db} dB"), &output);
        assert!(guard.acted_s() > 0.1);
    }
}

#[test]
fn what_leaps_from_ear_to_ear_startles_neither_and_keeps_its_direction() {
    let sound = scene(&[0.7; 60]);
    // To and fro every second, and from one side to the middle.
    let places = [[-1.0, 1.0], [-0.5, 0.0], [-0.2, 0.2], [0.9, 0.9]];
    for (volume_db, [one, other]) in
        [-3.0, 20.0].into_iter().flat_map(|db| places.map(|places| (db, places)))
    {
        let name = format!("{one} and {other} at {volume_db} dB");
        let mut panner = Panner::default();
        let slots = sound.chunks(SLOT).enumerate();
        let sent: Vec<[f32; 2]> = slots
            .flat_map(|(n, slot)| {
                panner.push(slot, Some(if n / 10 % 2 == 0 { one } else { other }))
            })
            .collect();
        let (output, guard) = guarded(&sent, volume_db);
        check(&name, &output);
        // A leap through and through is held back, and what stays is not.
        let (leaps, acted_s) = (other - one > 1.0, guard.acted_s());
        assert!(volume_db > 0.0 || leaps == (acted_s > 0.1), "{name}: {acted_s} s");
        // What a place sends in half a second comes out in the same shares.
        for start in (SECOND / 2..5 * SECOND).step_by(SECOND) {
            let ratio = |frames: &[[f32; 2]], start: usize| {
                let square = |n| -> f64 {
                    let part = side(&frames[start..start + SECOND / 4], n);
                    part.iter().map(|&s| f64::from(s).powi(2)).sum()
                };
                (square(0) / (square(0) + square(1))).sqrt()
            };
            let apart = ratio(&sent, start) - ratio(&output, start + DELAY);
            assert!(apart.abs() < 0.01, "{name}: {apart}");
        }
    }
}

#[test]
fn ears_that_hear_different_sounds_are_protected_together() {
    let mut random = Random::new(8);
    let mut on = [false; 2];
    let frames: Vec<[f32; 2]> = (0..6 * SECOND)
        .map(|n| {
            if n % 2400 == 0 {
                on = on.map(|on| if random.uniform() < 0.3 { !on } else { on });
            }
            on.map(|on| if on { random.between(-1.0, 1.0) as f32 } else { 0.0 })
        })
        .collect();
    for volume_db in [0.0, 20.0] {
        let (output, _) = guarded(&frames, volume_db);
        check(&format!("noise on and off at {volume_db} dB"), &output);
        // Each ear waits for the other one, but is heard.
        let (loudest, _) = metered(&output);
        assert!(loudest > -40.0, "{loudest} LUFS");
    }
}

#[test]
fn muting_fades_and_coming_back_is_like_the_start() {
    for (volume_db, period) in [(0.0, 3 * SECOND), (20.0, 3 * SECOND), (20.0, SECOND / 5)] {
        let mut output = centred(&noise(12.0));
        let mut guard = Guard::new(volume_db);
        for (n, part) in output.chunks_mut(480).enumerate() {
            guard.set_muted((480 * n / period) % 2 == 1);
            guard.process(part);
        }
        check(&format!("muted at {volume_db} dB, every {period} samples"), &output);
        if period == 3 * SECOND {
            let fade = period + SECOND / 5 + DELAY + BLOCK;
            assert!(output[fade..2 * period].iter().all(|&s| s == [0.0; 2]), "not silent");
            let peak = |part: &[[f32; 2]]| {
                part.as_flattened().iter().fold(0f32, |most, s| most.max(s.abs()))
            };
            for at in (period - BLOCK..fade - 2 * BLOCK).step_by(BLOCK) {
                let (now, next) =
                    (peak(&output[at..at + BLOCK]), peak(&output[at + BLOCK..at + 2 * BLOCK]));
                assert!(next > 0.5 * now || now < 0.002, "{now}, then {next}");
            }
        }
    }
    // A device that comes while it is muted hears nothing.
    let (mut output, mut guard) = (centred(&noise(1.0)), Guard::new(0.0));
    guard.set_muted(true);
    guard.process(&mut output);
    guard.restart();
    guard.process(&mut output);
    assert!(output.as_flattened().iter().all(|&s| s.abs() < 1e-6));
}

#[test]
fn nothing_passes_that_is_too_loud_or_too_sudden() {
    let silence = vec![0.0; 2 * SECOND];
    let after = |sound: Vec<f32>| [silence.clone(), sound].concat();
    let square = |hz| sine(hz, 2.0).iter().map(|s| s.signum()).collect::<Vec<f32>>();
    let mut gated = noise(4.0);
    for (n, sample) in gated.iter_mut().enumerate() {
        // On for 3 ms every 97 ms.
        *sample *= f32::from(u8::from(n % 4656 < 144));
    }
    let clicks: Vec<f32> = (0..4 * SECOND).map(|n| if n % 4801 == 0 { 1.0 } else { 0.0 }).collect();
    let step = after(vec![1.0; SECOND]);
    let sounds = [
        ("noise", noise(3.0)),
        ("noise after silence", after(noise(2.0))),
        ("a low sine", after(sine(25.0, 2.0))),
        ("a sine", after(sine(997.0, 2.0))),
        ("a high sine", after(sine(15_000.0, 2.0))),
        ("a sine near Nyquist", after(sine(11_999.0, 2.0))),
        ("a square wave", after(square(100.0))),
        ("bursts", gated),
        ("clicks", clicks),
        ("a step", step),
    ];
    for (name, sound) in sounds {
        for volume_db in [0.0, 20.0] {
            let (output, _) = guarded(&centred(&sound), volume_db);
            check(&format!("{name} at {volume_db} dB"), &output);
        }
    }
}

#[test]
fn jumps_of_the_volume_are_steps() {
    let sound = [scene(&[0.5; 60]), sine(997.0, 2.0)].concat();
    let (mut guard, mut output) = (Guard::new(-60.0), centred(&sound));
    let last = output.len() / 4800;
    for (n, part) in output.chunks_mut(4800).enumerate() {
        guard.set_volume(if n % 14 < 7 || n > last - 10 { 20.0 } else { -60.0 });
        guard.process(part);
    }
    check("volume jumps", &output);
    // Without an ear to protect, the volume alone: from 40 dB below, in
    // 100 ms 3 dB of volume and 4 dB of fade.
    let (quiet, _) =
        guarded(&centred(&sine(997.0, 1.0).iter().map(|s| s * 1e-3).collect::<Vec<_>>()), 0.0);
    let quiet = folded(&quiet);
    let rms = |from: usize| quiet[from..from + 4800].iter().map(|s| s * s).sum::<f32>();
    assert!((10.0 * (rms(28_800) / rms(24_000)).log10() - 4.0).abs() < 0.1);
}

#[test]
fn what_is_no_number_is_silence() {
    let mut sound = centred(&noise(2.0));
    for (n, sample) in sound.as_flattened_mut().iter_mut().enumerate() {
        match n % 97 {
            0 => *sample = f32::NAN,
            1 => *sample = f32::INFINITY,
            2 => *sample = f32::NEG_INFINITY,
            3 => *sample = f32::MAX,
            _ => {}
        }
    }
    let (output, mut guard) = guarded(&sound, f32::NAN);
    check("no numbers", &output);
    guard.set_volume(f32::NAN);
    guard.set_volume(f32::INFINITY);
    let mut output = sound;
    guard.process(&mut output);
    check("no numbers, louder", &output);
}

#[test]
fn ordinary_sound_passes_untouched_but_for_the_volume_and_the_delay() {
    let mut random = Random::new(3);
    let slow: Vec<f32> = (0..80).map(|n| 0.5 + 0.3 * (n as f32 / 9.0).sin()).collect();
    let mapping = Mapping::preset(Preset::Listen, [60.0, 5000.0]);
    let layout = Layout::new(&mapping).unwrap();
    let (mut synth, mut sound) = (Synth::new(1, &layout), vec![]);
    for &mean in &slow {
        let code: Vec<f32> =
            (0..mapping.values).map(|_| mean + random.between(-0.2, 0.2) as f32).collect();
        synth.push(&layout.spectrum(&code), &mut sound);
    }
    let (output, guard) = guarded(&centred(&sound), DEFAULT_VOLUME_DB);
    assert_eq!(guard.acted_s(), 0.0);
    let output = folded(&output);
    // After the fade; what is left of the difference is the high-pass.
    let scale = from_db(f64::from(DEFAULT_VOLUME_DB)) as f32;
    let (mut error, mut power) = (0.0, 0.0);
    for (heard, sent) in output[DELAY..].iter().zip(&sound).skip(SECOND + SECOND / 10) {
        error += (heard - sent * scale).powi(2);
        power += (sent * scale).powi(2);
    }
    assert!(error < power * 0.25, "{error} of {power}");
}

#[test]
fn the_loudest_scene_stays_below_the_ceiling_at_default_volume() {
    for preset in [Preset::Listen, Preset::Data] {
        let mapping = Mapping::preset(preset, [60.0, 5000.0]);
        let layout = Layout::new(&mapping).unwrap();
        let (mut synth, mut sound) = (Synth::new(7, &layout), vec![]);
        for _ in 0..30 {
            synth.push(&layout.spectrum(&vec![1.0; mapping.values]), &mut sound);
        }
        let peak = peak_dbtp(&sound);
        assert!(peak + f64::from(DEFAULT_VOLUME_DB) < CEILING_DBTP - 1.0, "{peak}");
        let (_, guard) = guarded(&centred(&sound), DEFAULT_VOLUME_DB);
        assert_eq!(guard.acted_s(), 0.0, "{preset:?}");
    }
}

#[test]
fn after_an_interruption_the_sound_rises_from_silence() {
    let sound = [sine(300.0, 5.0), noise(1.0)].concat();
    for volume_db in [0.0, 20.0] {
        let (mut guard, mut output) = (Guard::new(volume_db), centred(&sound));
        let (first, second) = output.split_at_mut(2 * SECOND + 100);
        guard.process(first);
        guard.interrupt();
        guard.process(second);
        let gap = vec![[0.0; 2]; 12_000];
        check("an interruption", &[&*first, &gap, &*second].concat());
        let last = &second[SECOND..2 * SECOND];
        assert!(folded(last).iter().any(|s| s.abs() > 0.2), "it comes back");
    }
}

#[test]
fn it_starts_quietly_and_again_after_a_restart() {
    let sound: Vec<f32> = sine(997.0, 4.0).iter().map(|s| s * 0.1).collect();
    let mut guard = Guard::new(0.0);
    let mut output = centred(&sound);
    let (first, second) = output.split_at_mut(2 * SECOND);
    guard.process(first);
    guard.restart();
    guard.process(second);
    for half in [first, second] {
        let half = folded(half);
        let level = |from: usize| {
            let part = &half[from..from + 960];
            10.0 * (part.iter().map(|s| s * s).sum::<f32>() / 960.0).log10()
        };
        let full = level(SECOND + 4800);
        assert!((level(DELAY + 240) - full + 40.0).abs() < 1.5, "{}", level(720) - full);
        assert!((level(DELAY + SECOND / 2) - full + 20.0).abs() < 1.5);
        assert!((level(DELAY + SECOND) - full).abs() < 0.1);
    }
    check("restart", &output);
}
