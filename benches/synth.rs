//! How long the synth takes for a second of sound of 128 values, beside NumPy
//! and STRAUSS doing the same in the same run, one core each: `make bench`.
//!
//! `WYSIWYH_ORACLES` names the Python environment with NumPy and, if it is to
//! be compared, STRAUSS. Nothing is asserted.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use wysiwyh::Result;
use wysiwyh::random::Random;
use wysiwyh::spectrum::{Layout, Mapping, Preset};
use wysiwyh::synth::Synth;

/// Length of a code.
const VALUES: usize = 128;
/// Sound frames in a second.
const FRAMES: usize = 10;
/// Seconds of sound; the median counts.
const SECONDS: usize = 200;

/// The same for NumPy: levels to amplitudes of bins, phases, one inverse
/// transform for each tenth of a second, and joins of 10 ms. STRAUSS plays a
/// spectrum that changes ten times a second; it lays one over the other.
const PEERS: &str = r#"
import os
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
import time, numpy as np
draw = np.random.default_rng(0)
phasors = np.exp(2j * np.pi * draw.uniform(size=1921)).astype(np.complex64)
bins = np.sort(draw.choice(np.arange(5, 401), 396, replace=False)); owner = np.arange(396) * 128 // 396
rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(480) + 0.5) / 480)).astype(np.float32)
def second(codes):
    sound, last, place = np.empty(48000, np.float32), None, 0
    for slot, code in enumerate(codes):
        spectrum = np.zeros(1921, np.complex64)
        spectrum[bins] = 10 ** (18 * (code[owner] - 0.5) / 20) * phasors[bins]
        cycle = np.fft.irfft(spectrum, 3840)
        wave = cycle[np.arange(place, place + 4800) % 3840]
        if last is not None:
            wave[:480] = last[:480] + (wave[:480] - last[:480]) * rise
        sound[slot * 4800:(slot + 1) * 4800] = wave
        last, place = cycle[np.arange(place + 4800, place + 5280) % 3840], place + 4800
    return sound
def median(make, count):
    times = []
    for _ in range(count):
        codes = draw.uniform(size=(10, 128)).astype(np.float32)
        start = time.perf_counter(); make(codes); times.append(time.perf_counter() - start)
    return f"{1e3 * np.median(times):.2f}"
print("NumPy", np.__version__, median(second, 200))
try:
    from importlib.metadata import version
    from strauss.generator import Spectralizer
except ImportError:
    raise SystemExit
strauss = Spectralizer(samprate=48000)
strauss.modify_preset({"min_freq": 60, "max_freq": 5000, "note_length": 1.0, "equal_loudness_normalisation": False})
def strauss_second(codes):
    # From each spectrum to the next is a tenth of a second, so that there is one more.
    strauss.play({"spectrum": np.vstack([codes, codes[-1:]]).astype(float), "note_length": 1.0})
try:
    print("STRAUSS", version("strauss"), median(strauss_second, 200))
except Exception as error:
    print("STRAUSS", version("strauss"), "failed:", repr(error)[:200])
"#;

fn main() -> Result<()> {
    let mapping = Mapping { values: VALUES, ..Mapping::preset(Preset::Data, [60.0, 5000.0]) };
    let layout = Layout::new(&mapping)?;
    let (mut random, mut synth) = (Random::new(0), Synth::new(0, &layout));
    let mut samples = Vec::with_capacity(60_000);
    let mut code = || (0..VALUES).map(|_| random.uniform() as f32).collect();
    let mut times_ms: Vec<f64> = (0..SECONDS)
        .map(|_| {
            let codes: Vec<Vec<f32>> = (0..FRAMES).map(|_| code()).collect();
            samples.clear();
            let start = Instant::now();
            for code in &codes {
                synth.push(&layout.spectrum(black_box(code)), &mut samples);
            }
            black_box(&samples);
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times_ms.sort_by(f64::total_cmp);
    println!("one second of sound of {VALUES} values, milliseconds on one core, median:");
    println!("wysiwyh {} {:.2}", env!("CARGO_PKG_VERSION"), times_ms[SECONDS / 2]);
    match std::env::var_os("WYSIWYH_ORACLES") {
        Some(oracles) => {
            let python = PathBuf::from(oracles).join("bin/python");
            // It says itself what it lacks.
            let _ = Command::new(python).args(["-c", PEERS]).status();
        }
        None => println!("WYSIWYH_ORACLES is unset: there is nothing to compare with"),
    }
    Ok(())
}
