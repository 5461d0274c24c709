//! What earlier versions wrote, `tests/golden/`, stays readable.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use ndarray::Array4;
use ndarray_npy::ReadNpyExt;
use serde_json::Value;
use wysiwyh::listen;
use wysiwyh::model::Model;
use wysiwyh::receiver::Receiver;
use wysiwyh::sensor::Options;
use wysiwyh::sink;
use wysiwyh::voice::Voice;

use crate::cli::{names_in, program, text};

/// Pictures may differ by this share of the range: another processor adds in
/// another order.
const TOLERANCE: f64 = 1e-3;

/// The sounds of each format; beside each are its pictures, as .npy.
const SOUNDS: [&str; 2] = ["simulated-111.wav", "simulated-112.flac"];

/// The folder of each format of model file; and of its session, the model's
/// hash and the mean PSNR in dB that `inspect` tells.
const FORMATS: [(&str, [&str; 2]); 2] =
    [("format-2", ["0845c2656798", "22.9"]), ("format-3", ["9288923db9b6", "24.0"])];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn folders() -> [PathBuf; FORMATS.len()] {
    FORMATS.map(|(folder, _)| golden().join(folder))
}

/// The format that the model file at `path` says it has.
fn format(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap();
    let (size, rest) = bytes.split_first_chunk().unwrap();
    let header: Value =
        serde_json::from_slice(&rest[..u64::from_le_bytes(*size) as usize]).unwrap();
    let about = header["__metadata__"]["wysiwyh"].as_str().unwrap();
    serde_json::from_str::<Value>(about).unwrap()["format"].as_u64().unwrap()
}

#[test]
fn every_format_is_kept_also_that_of_the_models_that_ship() {
    let kept: Vec<String> =
        names_in(&golden()).into_iter().filter(|name| name != "README.md").collect();
    assert!(FORMATS.iter().map(|(folder, _)| folder).eq(&kept), "{kept:?}");
    let formats = folders().map(|folder| format(&folder.join("model.safetensors")));
    assert!(formats.iter().map(|format| format!("format-{format}")).eq(kept), "{formats:?}");
    let sensors = golden().join("../../sensors");
    let models = names_in(&sensors).into_iter().filter(|name| name.ends_with(".safetensors"));
    for model in models {
        assert!(formats.contains(&format(&sensors.join(&model))), "{model} is of none of these");
    }
}

fn pictures(path: &Path) -> Array4<f32> {
    Array4::read_npy(File::open(path).unwrap()).unwrap()
}

/// Asserts that the pictures in `folder` are those that the version which made
/// `sound` decoded from it.
fn agrees(folder: &Path, sound: &Path, range: [f64; 2]) {
    let (found, kept) = (folder.join("frames.npy"), sound.with_extension("npy"));
    let (found, kept) = (pictures(&found), pictures(&kept));
    assert_eq!(found.shape(), kept.shape(), "{}", sound.display());
    let most = TOLERANCE * (range[1] - range[0]);
    for (a, b) in found.iter().zip(&kept) {
        assert!(f64::from((a - b).abs()) <= most, "{}: {a} and {b}", sound.display());
    }
}

#[test]
fn the_library_reads_models_and_sounds_of_earlier_formats() {
    let out = tempfile::tempdir().unwrap();
    for folder in folders() {
        let model = Model::load(&folder.join("model.safetensors")).unwrap();
        assert_eq!((model.values(), model.grid()), (16, [48, 64]));
        for sound in SOUNDS.map(|name| folder.join(name)) {
            let voice = Voice::of_sensor("simulated-lwir", Options::default());
            let stop = AtomicBool::new(false);
            let heard =
                listen::run(&sound, out.path(), &voice, &[], &stop, &mut |_, _| {}).unwrap();
            assert_eq!(heard.header.model_hash, model.hash());
            assert_eq!((heard.frames, heard.silent), (5, 0));
            agrees(out.path(), &sound, heard.range[0]);
        }
    }
}

#[test]
fn the_program_finds_the_model_beside_a_sound_without_a_folder_in_its_name() {
    let out = tempfile::tempdir().unwrap();
    for folder in folders() {
        for name in SOUNDS {
            let mut command = program();
            command.current_dir(&folder).args(["listen", name, "-o"]).arg(out.path());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            agrees(out.path(), &folder.join(name), [10.0, 45.0]);
        }
    }
}

#[cfg(feature = "rerun")]
#[test]
fn the_program_tells_of_sessions_of_earlier_versions() {
    for (folder, [hash, psnr_db]) in FORMATS {
        let session = golden().join(folder).join("simulated-113.rrd");
        let output = program().arg("inspect").arg(session).output().unwrap();
        let told = text(&output.stdout);
        for sentence in [
            "a session of simulated:113, 2 sound frames, 0.2 s.",
            &format!("the model simulated-lwir ({hash}), the seed 0."),
            &format!("PSNR of what comes back: {psnr_db} dB on average"),
            "Loudness: -22.4 LUFS on average",
        ] {
            assert!(told.contains(sentence), "{sentence} is not in {told}");
        }
    }
}

/// Format 2 was given up before sessions could be heard again.
#[cfg(feature = "rerun")]
#[test]
fn a_session_of_an_earlier_version_sounds_as_it_did() {
    let out = tempfile::tempdir().unwrap();
    let folder = golden().join("format-3");
    let mut command = program();
    command.arg("live").arg(folder.join("simulated-113.rrd")).arg("--no-speaker");
    command.arg("--model").arg(folder.join("model.safetensors"));
    let again = out.path().join("again.wav");
    command.arg("-o").arg(&again).assert().success();
    let [again, kept] =
        [again, folder.join("simulated-113.wav")].map(|path| sink::read(&path).unwrap());
    assert_eq!(again.samples.len(), kept.samples.len());
    // Tones are as loud as they were, but for what 16 bits leave out. When each is
    // heard within a slot is not part of the format.
    let mut receiver = Receiver::new();
    for slot in 0..2 {
        let [again, kept] =
            [&again, &kept].map(|sound| receiver.spectrum(&sound.samples, slot).unwrap());
        let apart = again.amplitudes.iter().zip(&kept.amplitudes).map(|(a, b)| (a - b).abs());
        let most = apart.fold(0.0, f32::max);
        assert!(most < 3e-6, "slot {slot}: {most}");
    }
}
