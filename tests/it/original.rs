//! The original's sound, against the original's own way to make it.

use std::fs;
use std::path::Path;
use std::process::Command;

use ebur128::{EbuR128, Mode};
use wysiwyh::original::{Original, VALUES};
use wysiwyh::random::Random;
use wysiwyh::sink::{self, Header};
use wysiwyh::synth::SAMPLE_RATE;

use crate::cli::{pages, program, refused, text};
use crate::trip::{array, convert, listen};

/// NumPy's way from codes to sound: the loop of the original that stretches
/// 128 values over 500 magnitudes, one off as it is, and `irfft` at 10 kHz.
/// The phases are those found in the samples at 48 kHz, of which every 24th
/// is every 5th at 10 kHz.
const IN_NUMPY: &str = r#"
import sys, numpy as np
codes = np.fromfile(sys.argv[1], "<f4").reshape(-1, 128)
slots = np.fromfile(sys.argv[2], "<f4").reshape(-1, 4800).astype(float)
assert len(codes) == len(slots) > 5
limits, phases = [(k + 1) * 500 / 128 for k in range(128)], []
for code, slot in zip(codes, slots):
    magnitudes, k = np.zeros(501), 0
    for i in range(500):
        magnitudes[i + 1] = code[k]
        if i > limits[k]:
            k += 1
    bins = np.fft.rfft(slot)
    assert np.abs(bins[501:]).max() < 1e-5 * np.abs(bins).max(), "beyond 5 kHz"
    gain = np.abs(bins[1:500]).sum() / magnitudes[1:500].sum() * 1000 / 4800
    phase = np.angle(bins[:501])
    # Of the highest bin only the real part is left.
    real = bins[500].real * 2 / (gain * 4800 / 1000) / magnitudes[500]
    assert abs(real) <= 1 + 1e-4, "the Nyquist bin"
    phase[500] = np.arccos(np.clip(real, -1, 1))
    own = gain * np.fft.irfft(magnitudes * np.exp(1j * phase), 1000)
    assert np.abs(own[::5] - slot[::24]).max() < 1e-5, np.abs(own[::5] - slot[::24]).max()
    phases.append(phase[1:500])
# Drawn anew, and uniform.
turn = np.sort(np.ravel(phases)) / (2 * np.pi) + 0.5
assert np.abs(turn - np.linspace(0, 1, len(turn))).max() < 1.63 / len(turn) ** 0.5
assert np.abs(np.corrcoef(np.cos(phases)) - np.eye(len(phases))).max() < 0.25
print(20 * np.log10(gain))
"#;

#[test]
fn numpy_makes_the_same_sound_the_original_way() {
    let Some(python) = crate::python("numpy") else { return };
    let (mut random, mut original) = (Random::new(3), Original::new(VALUES, 1));
    let (mut codes, mut samples): (Vec<f32>, Vec<f32>) = (vec![], vec![]);
    for _ in 0..20 {
        let code: Vec<f32> = (0..VALUES).map(|_| random.uniform() as f32).collect();
        original.push(&code, &mut samples);
        codes.extend(code);
    }
    let folder = tempfile::tempdir().unwrap();
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let files = [("codes", &codes), ("samples", &samples)].map(|(name, values)| {
        let path = folder.path().join(name);
        fs::write(&path, bytes(values)).unwrap();
        path
    });
    let done = Command::new(python).args(["-c", IN_NUMPY]).args(&files).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let gain_db: f64 = String::from_utf8_lossy(&done.stdout).trim().parse().unwrap();
    assert!((gain_db - original.gain_db()).abs() < 0.01, "{gain_db} dB");
}

#[test]
fn the_original_sound_is_made_on_request_and_turned_back() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sounds");
    convert("simulated:2".as_ref(), &out, &["--original", "--npy", "--frames", "12"]);
    let sound = out.join("simulated-2.wav");
    let read = sink::read(&sound).unwrap();
    let header = read.header.unwrap();
    assert!(header.original && Some(read.samples.len() / 4800) == header.frames);
    let back = folder.path().join("back");
    listen(&sound, &back);
    let summary = fs::read_to_string(back.join("summary.txt")).unwrap();
    assert!(summary.contains("the original's sound"), "{summary}");
    let (sent, back) = (array(&out.join("simulated-2.npy")), array(&back.join("frames.npy")));
    assert_eq!(sent.dim(), back.dim());
    // 35 degrees are the range; the pictures lose what 128 values do not hold.
    let square: f64 = sent.iter().zip(&back).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let psnr_db = 20.0 * 35f64.log10() - 10.0 * (square / sent.len() as f64).log10();
    assert!(psnr_db > 27.0, "{psnr_db} dB");
    let more = ["convert", "simulated", "--original", "--values", "256", "--frames", "2", "-o"];
    refused(&program().args(more).arg(&out).output().unwrap(), 2, "--original");
    for more in ["--preset=listen", "--stereo", "--rrd"] {
        let call = ["convert", "simulated", "--original", more, "--frames", "2", "-o"];
        refused(&program().args(call).arg(&out).output().unwrap(), 2, "--original");
    }
}

#[test]
fn live_makes_the_same_sound_of_the_same_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    pages(&place("a.tif"), 12);
    let how = ["--sensor", "hituav-lwir", "--original", "--seed", "3"];
    convert(&place("a.tif"), folder.path(), &how);
    let live = |more: &[&str]| {
        let mut call = program();
        call.args(["live", "--no-speaker", "-o"]).args([place("live.wav"), place("a.tif")]);
        call.args(how).args(more).output().unwrap()
    };
    let output = live(&[]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("from 10 to 5000 Hz") && said.contains("sound of the original"),
        "{said}"
    );
    let [live_sound, converted] =
        ["live.wav", "a.wav"].map(|name| sink::read(&place(name)).unwrap());
    assert!(converted.samples.len() == 12 * 4800 && live_sound.samples == converted.samples);
    let header = Header { start_time: None, command: None, ..live_sound.header.unwrap() };
    assert_eq!(Some(header), converted.header);
    // The first half of the pictures sounds like the first half of all.
    assert!(live(&["--frames", "6", "--speed", "1"]).status.success());
    let half = sink::read(&place("live.wav")).unwrap().samples;
    assert!(half == converted.samples[..6 * 4800]);

    let more = ["--preset=listen", "--stereo", "--rrd=a.rrd", "--connect", "--serve", "--view"];
    for more in more {
        let output = live(&[more]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{more}: {said}");
        assert!(said.contains("--original"), "{more}: {said}");
    }
    refused(&live(&["--values", "256"]), 2, "--original");
}

/// K-weighted power of the sound at `path` on a meter other than ours: its
/// integrated loudness (ITU-R BS.1770-4), but as a power.
fn power(path: &Path) -> f64 {
    let mut meter = EbuR128::new(1, SAMPLE_RATE as u32, Mode::I).unwrap();
    meter.add_frames_f32(&sink::read(path).unwrap().samples).unwrap();
    10f64.powf(meter.loudness_global().unwrap() / 10.0)
}

#[test]
fn the_original_is_as_loud_as_our_sound_of_the_same_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let sounds = [&["--original"][..], &["--values", "128"], &["--preset", "listen"]];
    let powers = [1, 2, 3, 4].map(|seed| {
        sounds.map(|how| {
            let (source, out) = (format!("simulated:{seed}"), folder.path().join(how.concat()));
            convert(source.as_ref(), &out, &[how, &["--frames", "200", "--no-scores"]].concat());
            power(&out.join(format!("simulated-{seed}.wav")))
        })
    });
    // One scene is brighter than others, which ours makes more of.
    let apart_lu = |[original, ours]: [f64; 2]| 10.0 * (original / ours).log10();
    for (ours, name) in [(1, "data"), (2, "listen")] {
        let each = powers.map(|sounds| apart_lu([sounds[0], sounds[ours]]));
        let all = [0, ours].map(|sound| powers.iter().map(|sounds| sounds[sound]).sum());
        eprintln!("{name}: {:.2} LU louder than ours, one by one {each:.2?}", apart_lu(all));
        assert!(apart_lu(all).abs() < 1.0 && each.iter().all(|lu| lu.abs() < 1.5), "{name}");
    }
}
