//! `inspect` of sessions, against what was recorded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wysiwyh::random::Random;
use wysiwyh::recorder::{Moment, Pace, Recorder, Replay, Session, Target};
use wysiwyh::table::Table;

use crate::cli::{program, refused, text};
use crate::damage::damage;
use crate::recorder::{moment, save, session};

const SLOTS: u64 = 60;

/// A session of [`SLOTS`] slots with a mark.
fn recorded(folder: &Path, pace: Pace) -> PathBuf {
    let path = folder.join("a.rrd");
    let (profile, model_hash) = ("camera".into(), "0123456789abcdef".into());
    let about = Session { profile, model_hash, ..session() };
    let recorder = Recorder::new(&save(&path, pace), &about).unwrap();
    (0..SLOTS).for_each(|slot| recorder.log(moment(slot)));
    recorder.mark(12, 1.2, "a cat, \"maybe\"");
    recorder.finish().unwrap();
    path
}

fn inspect(path: &Path, more: &[&str]) -> String {
    let output = program().arg("inspect").arg(path).args(more).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_session_tells_what_was_recorded_and_where_to_look() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path(), Pace::Batch);
    let told = inspect(&path, &[]);
    for sentence in [
        "a session of synthetic, 60 sound frames, 6.0 s.",
        "wysiwyh live simulated | tee",
        "The sensor is camera, the model test (0123456789ab), the seed 7.",
        "second 0 here is second 0.1 there.",
        "PSNR of what comes back: 54.0 dB on average, from 25.0 at 0.0 s to 83.0 at 5.8 s.",
        "Loudness: -25.9 LUFS on average, from -28.9 at 5.9 s to -23.0 at 0.0 s.",
        "Pictures of the source that came too fast: 19.",
        "Pictures that the recorder dropped: 0.",
        "The worst moments: 25.0 dB at 0.0 s, 35.0 dB at 1.0 s, 45.0 dB at 2.0 s",
        "Mark at 1.2 s: a cat, \"maybe\"",
    ] {
        assert!(told.contains(sentence), "{sentence} is not in {told}");
    }
    assert!(!told.contains("not ended"), "{told}");
    assert_eq!(inspect(&path, &["--say"]), told);
    let json: serde_json::Value = serde_json::from_str(&inspect(&path, &["--json"])).unwrap();
    assert_eq!((&json["sound_frames"], &json["ended"]), (&60.into(), &true.into()));
    assert_eq!(json["worst"][1]["psnr_db"], 35.0);
    assert_eq!(json["marks"][0]["slot"], 12);
}

#[test]
fn tables_of_a_session_hold_every_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path(), Pace::Live);
    let [csv, parquet] = ["a.csv", "a.parquet"].map(|name| folder.path().join(name));
    for table in [&csv, &parquet] {
        inspect(&path, &["--table", table.to_str().unwrap()]);
    }
    let mut reader = csv::Reader::from_path(&csv).unwrap();
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), SLOTS as usize);
    for (slot, row) in (0..SLOTS).zip(&rows) {
        let Moment { code, psnr_db, loudness_lufs, extremes, time_s, .. } = moment(slot);
        let number = |name: &str| row[name].parse::<f64>().ok();
        assert_eq!(row["slot"], slot.to_string());
        assert!((number("time_s").unwrap() - time_s).abs() < 1e-6);
        assert_eq!((number("psnr_db"), number("loudness_lufs")), (psnr_db, Some(loudness_lufs)));
        assert_eq!(["highest", "lowest", "centre"].map(number), extremes);
        assert_eq!(row["latency_s"], "");
        assert_eq!(row["mark"], if slot == 12 { "a cat, \"maybe\"" } else { "" });
        let bytes: Vec<u8> = code.iter().map(|value| (255.0 * value).round() as u8).collect();
        assert_eq!(serde_json::from_str::<Vec<u8>>(&row["code"]).unwrap(), bytes);
    }
    let table = Table::open(&parquet).unwrap();
    assert_eq!((table.rows(), table.about("seed")), (SLOTS as usize, Some("7")));
    let batch = table.read(&["loudness_lufs"]).unwrap().next().unwrap().unwrap();
    let loudness = batch.numbers("loudness_lufs").unwrap();
    assert!(loudness.iter().zip(0..).all(|(l, slot)| l == Some(moment(slot).loudness_lufs)));
    second_reader(&parquet, &csv);
}

/// Asserts that pyarrow reads the same from both tables, where it is there.
fn second_reader(parquet: &Path, csv: &Path) {
    let Some(python) = crate::python("pyarrow.csv") else { return };
    let script = "import sys, pyarrow.parquet as p, pyarrow.csv as c\n\
                  a, b = p.read_table(sys.argv[1]), c.read_csv(sys.argv[2])\n\
                  assert a.column_names == b.column_names, (a.column_names, b.column_names)\n\
                  for n in ('slot', 'psnr_db', 'loudness_lufs', 'highest'):\n\
                  \x20   assert a[n].to_pylist() == b[n].to_pylist(), n\n";
    let output = Command::new(python).args(["-c", script]).arg(parquet).arg(csv).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_session_that_was_cut_off_before_its_first_sound_frame_is_not_played() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, cut, wav] = ["a.rrd", "cut.rrd", "a.wav"].map(|name| folder.path().join(name));
    let live = |source: &str, more: &[&Path]| {
        let mut live = program();
        live.args(["live", source, "--no-speaker", "--frames", "3", "-o"]).arg(&wav).args(more);
        live.output().unwrap()
    };
    assert!(live("simulated:1", &[Path::new("--rrd"), &whole]).status.success());
    let bytes = fs::read(&whole).unwrap();
    let mut refused = 0;
    for length in (5_000..40_000).step_by(5_000) {
        fs::write(&cut, &bytes[..length]).unwrap();
        let output = live(cut.to_str().unwrap(), &[]);
        let said = text(&output.stdout);
        assert!(!said.contains("0 sound frames sent"), "{length}: {said}");
        refused += usize::from(text(&output.stderr).contains("before its first sound frame"));
    }
    assert!(refused > 0);
}

#[test]
fn a_session_that_is_cut_off_or_damaged_is_read_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path(), Pace::Batch);
    let whole = fs::read(&path).unwrap();
    let cut = folder.path().join("cut.rrd");
    let mut partly = 0;
    for twentieths in 1..20 {
        fs::write(&cut, &whole[..whole.len() * twentieths / 20]).unwrap();
        let output = program().arg("inspect").arg(&cut).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)));
        partly += usize::from(text(&output.stdout).contains("It was not ended"));
    }
    assert!(partly > 0);
    let mut random = Random::new(8);
    for _ in 0..40 {
        let mut bytes = whole.clone();
        damage(&mut bytes, &mut random);
        fs::write(&cut, bytes).unwrap();
        // Any answer will do but a crash.
        let _ = Replay::read(&cut);
    }
    fs::write(&cut, &whole[..100]).unwrap();
    refused(&program().arg("inspect").arg(&cut).output().unwrap(), 1, "cut.rrd");
    let table = folder.path().join("no/a.csv");
    let output = program().arg("inspect").arg(&path).arg("--table").arg(&table).output();
    refused(&output.unwrap(), 1, "no/a.csv");
    let source = program().args(["inspect", "simulated", "--table", "a.csv"]).output().unwrap();
    refused(&source, 2, "simulated is no session");
    for option in [&["--npy", "a.npy"][..], &["--frames", "3"], &["--emissivity", "0.9"]] {
        let output = program().arg("inspect").arg(&path).args(option).output().unwrap();
        refused(&output, 2, option[0]);
    }

    let training = folder.path().join("t.rrd");
    let target = Target { save: Some(training.clone()), ..Target::default() };
    let recorder = Recorder::new(&target, &Session::default()).unwrap();
    recorder.log_scalar("loss/choose", 1, 0.5);
    recorder.finish().unwrap();
    refused(&program().arg("inspect").arg(&training).output().unwrap(), 1, "no sound frames");
}
