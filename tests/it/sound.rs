//! Code to sound and back, and what the sound is like.

use std::f64::consts::PI;
use std::path::{Path, PathBuf};
use std::process::Command;

use ebur128::{EbuR128, Mode};
use wysiwyh::random::Random;
use wysiwyh::receiver::Receiver;
use wysiwyh::sink;
use wysiwyh::spectrum::{Law, Layout, Mapping, Preset, Spectrum};
use wysiwyh::synth::{CYCLE, JOIN, SAMPLE_RATE, SLOT, Synth};

use crate::cli::text;
use crate::data;
use crate::skipped::skipped;
use crate::trip::convert;

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

fn play(layout: &Layout, frames: &[Spectrum]) -> Vec<f32> {
    let (mut synth, mut samples) = (Synth::new(1, layout), Vec::new());
    frames.iter().for_each(|frame| synth.push(frame, &mut samples));
    synth.finish(&mut samples);
    assert_eq!(samples.len(), (frames.len() + 2) * SLOT);
    samples
}

fn play_codes(layout: &Layout, codes: &[Vec<f32>]) -> Vec<f32> {
    play(layout, &codes.iter().map(|code| layout.spectrum(code)).collect::<Vec<_>>())
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

/// The steepest step from one of `samples` to the next, as a share of the
/// steepest that is possible in a sound up to `high_hz` with joins and fades of
/// ours.
///
/// By Bernstein's inequality a sound up to f that is nowhere beyond M is nowhere
/// steeper than 2 pi f M. In a slot that is clear of joins, f holds and M is
/// that of the period. A join (1 - r) u + r v, r being half a raised cosine, has
/// the slope (1 - r) u' + r v' + r' (v - u), and r' is at most pi / 2 over its
/// duration; a fade is a join with silence. M is at most the largest sample by
/// the cosine of pi f over the sampling rate (Ehlich and Zeller, 1964), and
/// rounding to 16 bits is another step.
fn steepest(samples: &[f32], high_hz: f64) -> f64 {
    let turn = PI * high_hz / SAMPLE_RATE as f64;
    let slots = samples.len() / SLOT;
    let samples = &samples[..slots * SLOT];
    let peak = |slot: usize| {
        let frame = slot.clamp(1, slots - 2) * SLOT;
        let clear = &samples[frame + JOIN / 2..frame + SLOT - JOIN / 2];
        f64::from(clear.iter().fold(0.0f32, |peak, s| peak.max(s.abs()))) / turn.cos()
    };
    let peaks: Vec<f64> = (0..slots).map(peak).collect();
    let most = |n: usize| {
        let boundary = (n + SLOT / 2) / SLOT;
        let [old, new] = [boundary.max(1) - 1, boundary.min(slots - 1)].map(|slot| peaks[slot]);
        let joins = n + 1 + JOIN / 2 > boundary * SLOT && n < boundary * SLOT + JOIN / 2;
        let slope = match joins {
            _ if n / SLOT == 0 || n / SLOT == slots - 1 => new * PI / 2.0 / CYCLE as f64,
            true => (old + new) * PI / 2.0 / JOIN as f64,
            false => 0.0,
        };
        let loudest = if joins { old.max(new) } else { peaks[n / SLOT] };
        2.0 * turn * loudest + slope + 1.0 / 32_768.0
    };
    let step = |n: usize| f64::from(samples[n + 1] - samples[n]).abs() / most(n);
    (0..samples.len() - 1).map(step).fold(0.0, f64::max)
}

#[test]
fn joins_do_not_click() {
    for (preset, hz) in
        [Preset::Listen, Preset::Data].into_iter().flat_map(|p| [(p, HZ), (p, [1000.0, 5000.0])])
    {
        let mapping = Mapping::preset(preset, hz);
        let layout = Layout::new(&mapping).unwrap();
        // Everything from off to on and back, as no two pictures are, and
        // pictures that have nothing in common. Real sessions are at -74 dB.
        let extremes: Vec<Vec<f32>> =
            (0..20).map(|frame| vec![(frame % 2) as f32; mapping.values]).collect();
        let random = random_codes(3, 20, mapping.values);
        for (name, codes, most_db) in [("extremes", extremes, -59.0), ("random", random, -60.0)] {
            for seed in 0..6 {
                let (mut synth, mut samples) = (Synth::new(seed, &layout), Vec::new());
                codes.iter().for_each(|code| synth.push(&layout.spectrum(code), &mut samples));
                synth.finish(&mut samples);
                let db = outside_db(&samples, hz[0] - 100.0, hz[1] + 100.0);
                let share = steepest(&samples, hz[1]);
                eprintln!("{preset:?} {hz:?} {name} seed {seed}: {db:.1} dB outside, {share:.3}");
                assert!(db < most_db, "{preset:?}, {hz:?}, seed {seed}: {db} dB outside the band");
                assert!(share < 1.0, "{preset:?}, {hz:?}, seed {seed}: {share} of the steepest");
            }
        }
    }
}

#[test]
fn a_sound_without_joins_would_click() {
    // The measures above have to see what they are there to rule out. A sound up
    // to 5 kHz may be so steep that hardly a click is steeper, one up to 1 kHz not.
    let whole_and_cut = |hz: [f64; 2], values: usize| {
        let mapping = Mapping { values, ..Mapping::preset(Preset::Data, hz) };
        let layout = Layout::new(&mapping).unwrap();
        let whole = play_codes(&layout, &random_codes(3, 20, values));
        let cut = whole.chunks(SLOT).flat_map(|slot| &slot[JOIN..]).copied().collect();
        [whole, cut]
    };
    let [_, cut] = whole_and_cut([1000.0, 5000.0], 256);
    assert!(outside_db(&cut, 900.0, 5100.0) > -50.0);
    let [whole, cut] = whole_and_cut([60.0, 1000.0], 64);
    let shares = [&whole, &cut].map(|samples| steepest(samples, 1000.0));
    assert!(shares[0] < 1.0 && shares[1] > 1.0, "{shares:?}");
}

/// Sound files of typical sessions: twenty seconds in each of four rooms of the
/// simulated camera and, where there are data, all drone pictures.
fn sessions(folder: &Path, preset: &str) -> [Vec<PathBuf>; 2] {
    let how = ["--preset", preset, "--no-scores"];
    let room = |seed: usize| {
        let source = format!("simulated:{seed}");
        convert(source.as_ref(), folder, &[&how[..], &["--frames", "200"]].concat());
        folder.join(format!("simulated-{seed}.wav"))
    };
    let flown = data().map(|data| {
        let pictures = data.join("hituav");
        convert(&pictures, folder, &[&how[..], &["--sensor", "hituav-lwir"]].concat());
        folder.join("hituav.wav")
    });
    [(1..=4).map(room).collect(), flown.into_iter().collect()]
}

/// Integrated loudness in LUFS and true peak in dB of full scale of the sound at
/// `path`, by the meter of ffmpeg; `None`, and a line, where it is not installed.
fn metered_by_ffmpeg(path: &Path) -> Option<[f64; 2]> {
    let mut meter = Command::new("ffmpeg");
    meter.args(["-nostdin", "-nostats", "-i"]).arg(path);
    let Ok(output) = meter.args(["-af", "ebur128=peak=true", "-f", "null", "-"]).output() else {
        skipped("ffmpeg is not installed: loudness and true peak of sessions");
        return None;
    };
    let said = text(&output.stderr);
    let (_, summary) = said.rsplit_once("Summary:").expect("a summary");
    let number = |name: &str| {
        let (_, rest) = summary.split_once(name).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    Some([number("I:"), number("Peak:")])
}

#[test]
fn typical_sessions_are_as_loud_as_broadcasts_and_stay_in_their_band() {
    let folder = tempfile::tempdir().unwrap();
    for preset in ["listen", "data"] {
        for paths in sessions(folder.path(), preset) {
            let metered: Vec<[f64; 2]> = paths
                .iter()
                .filter_map(|path| {
                    let name = format!("{preset}, {}", path.file_name().unwrap().display());
                    let sink::Recording { samples, header, .. } = sink::read(path).unwrap();
                    let Mapping { low_hz, high_hz, .. } = header.unwrap().mapping;
                    let outside_db = outside_db(&samples, low_hz - 100.0, high_hz + 100.0);
                    let share = steepest(&samples, high_hz);
                    eprintln!(
                        "{name}: {outside_db:.1} dB outside, {share:.2} of the steepest step"
                    );
                    assert!(outside_db < -60.0, "{name}: {outside_db} dB outside the band");
                    assert!(share < 1.0, "{name}: {share} of the steepest step");
                    let [lufs, dbtp] = metered_by_ffmpeg(path)?;
                    eprintln!("{name}: {lufs:.1} LUFS, {dbtp:.1} dBTP");
                    assert!(dbtp <= -1.0, "{name}: {dbtp} dBTP");
                    Some([lufs, dbtp])
                })
                .collect();
            // Loud is hot: one room is warmer than another, so the mean counts.
            let power = metered.iter().map(|[lufs, _]| 10f64.powf(lufs / 10.0)).sum::<f64>();
            let lufs = 10.0 * (power / metered.len() as f64).log10();
            assert!(metered.is_empty() || (lufs + 23.0).abs() <= 1.0, "{preset}: {lufs} LUFS");
        }
    }
}

/// Loudness of steady `spectrum`, a sound of `layout`, in LUFS on a meter other than ours.
fn metered_lufs(spectrum: &Spectrum, layout: &Layout) -> f64 {
    let samples = play(layout, &vec![spectrum.clone(); 34]);
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
            let whole = metered_lufs(&spectrum, &layout);
            assert!((whole - layout.loudness_lufs(&spectrum)).abs() < 0.1, "{values}: {whole}");
            layout.pilots().for_each(|bin| spectrum.amplitudes[bin] = 0.0);
            let lufs = metered_lufs(&spectrum, &layout);
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
        let layout = layout(Preset::Data);
        let codes = random_codes(7, 10, layout.mapping().values);
        let samples = play_codes(&layout, &codes);
        samples.iter().flat_map(|s| s.to_le_bytes()).collect()
    };
    assert!(bytes() == bytes());
}

#[test]
fn making_sound_allocates_nothing_after_the_first_frame() {
    let layout = layout(Preset::Data);
    let codes = random_codes(8, 6, layout.mapping().values);
    let frames: Vec<Spectrum> = codes.iter().map(|code| layout.spectrum(code)).collect();
    let (mut synth, mut samples) = (Synth::new(1, &layout), Vec::with_capacity(8 * SLOT));
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
