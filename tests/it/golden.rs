//! What earlier versions wrote, `tests/golden/`, stays readable.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use ndarray::Array4;
use ndarray_npy::ReadNpyExt;
use wysiwyh::listen;
use wysiwyh::model::Model;
use wysiwyh::sensor::Options;
use wysiwyh::voice::Voice;

use crate::cli::{program, text};

/// Pictures may differ by this share of the range: another processor adds in
/// another order.
const TOLERANCE: f64 = 1e-3;

/// The sounds of each format; beside each are its pictures, as .npy.
const SOUNDS: [&str; 2] = ["simulated-111.wav", "simulated-112.flac"];

/// One folder for each format of model file.
fn formats() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    assert!(!folders.is_empty());
    folders
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
    for folder in formats() {
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
    for folder in formats() {
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
    for folder in formats() {
        let session = folder.join("simulated-113.rrd");
        let output = program().arg("inspect").arg(session).output().unwrap();
        let told = text(&output.stdout);
        for sentence in [
            "a session of simulated:113, 2 sound frames, 0.2 s.",
            "the model simulated-lwir (0845c2656798), the seed 0.",
            "PSNR of what comes back: 22.9 dB on average",
            "Loudness: -22.4 LUFS on average",
        ] {
            assert!(told.contains(sentence), "{sentence} is not in {told}");
        }
    }
}
