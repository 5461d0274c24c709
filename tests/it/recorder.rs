//! Sessions, read back with Rerun's own query engine and its viewer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::Array3;
use rerun::Loggable as _;
use rerun::dataframe::{QueryEngine, QueryExpression, StorageEngine};
use rerun::external::arrow::array::{Array as _, ArrayRef, Int64Array, ListArray, RecordBatch};
use rerun::external::arrow::compute::cast;
use rerun::external::arrow::datatypes::DataType;
use rerun::{ChunkStoreConfig, TensorBuffer, TensorData, components};
use wysiwyh::random::Random;
use wysiwyh::recorder::{Drops, Moment, Origin, Pace, Recorder, Session, Target, view};
use wysiwyh::{Band, Fault, Unit};

use crate::skipped::skipped;

const VALUES: usize = 16;

pub fn session() -> Session {
    Session {
        command_line: "wysiwyh live simulated | tee".into(),
        seed: 7,
        model: "test".into(),
        source: "synthetic".into(),
        wav: Some("synthetic.wav".into()),
        lead_in_s: 0.1,
        bands: [Band::new("LWIR", Unit::Celsius)].into(),
        range: vec![[0.0, 40.0]],
        frequencies_hz: (1..=VALUES).map(|k| 100.0 * k as f64).collect(),
        levels_db: [-72.0, -48.0],
        ..Session::default()
    }
}

/// Slot `slot` of the synthetic session; the same on every call.
pub fn moment(slot: u64) -> Moment {
    let mut random = Random::new(slot);
    let mut picture = |shift: f32| {
        let mut data =
            Array3::from_shape_simple_fn((1, 64, 64), || shift + 30.0 * random.uniform() as f32);
        data.slice_mut(ndarray::s![.., ..6, ..]).fill(f32::NAN);
        data
    };
    let (input, back) = (picture(0.0), picture(5.0));
    let code: Vec<f32> = (0..VALUES).map(|_| random.uniform() as f32).collect();
    Moment {
        slot,
        time_s: slot as f64 * 0.1,
        input,
        levels_db: code.iter().map(|value| -72.0 + 24.0 * value).collect(),
        code,
        reconstruction: Some((back, Origin::FromSound)),
        loudness_lufs: -23.0 - 0.1 * slot as f64,
        band_energy: slot as f64 / 100.0,
        psnr_db: slot.is_multiple_of(2).then_some(25.0 + slot as f64),
        latency_s: None,
        sample: Some(4800 * slot),
        left_out: Some(slot / 3),
        extremes: [Some(30.5), Some(-4.0), (slot > 2).then_some(slot as f64)],
    }
}

pub fn save(path: &Path, pace: Pace) -> Target {
    Target { save: Some(path.to_owned()), pace, ..Target::default() }
}

/// The one recording of a session file.
pub fn recording(path: &Path) -> QueryEngine<StorageEngine> {
    let engines = QueryEngine::from_rrd_filepath(&ChunkStoreConfig::DEFAULT, path).unwrap();
    let mut recordings = engines.into_iter().filter(|(id, _)| id.is_recording());
    let (id, engine) = recordings.next().expect("a recording");
    assert_eq!(id.application_id().as_str(), "wysiwyh");
    assert!(recordings.next().is_none());
    engine
}

/// The cells of a component on a timeline: index to content. Cells that were
/// not logged are left out.
fn cells(
    engine: &QueryEngine<StorageEngine>,
    timeline: &'static str,
    entity: &str,
    component: &str,
) -> BTreeMap<i64, ArrayRef> {
    let query = QueryExpression {
        filtered_index: Some(timeline.into()),
        view_contents: Some([(entity.into(), None)].into_iter().collect()),
        ..Default::default()
    };
    let column = |batch: &RecordBatch, name: &str| batch.column_by_name(name).cloned();
    let mut cells = BTreeMap::new();
    for batch in engine.query(query).into_batch_iter() {
        let index = cast(&column(&batch, timeline).expect("the timeline"), &DataType::Int64);
        let index = index.unwrap().as_any().downcast_ref::<Int64Array>().unwrap().clone();
        let Some(list) = column(&batch, &format!("{entity}:{component}")) else { continue };
        let list = list.as_any().downcast_ref::<ListArray>().unwrap().clone();
        for row in (0..list.len()).filter(|row| !list.is_null(*row)) {
            assert!(cells.insert(index.value(row), list.value(row)).is_none());
        }
    }
    cells
}

pub fn scalars(
    engine: &QueryEngine<StorageEngine>,
    timeline: &'static str,
    entity: &str,
) -> Vec<(i64, f64)> {
    let cells = cells(engine, timeline, entity, "Scalars:scalars");
    let one = |cell: &ArrayRef| components::Scalar::from_arrow(cell).unwrap()[0].0.0;
    cells.iter().map(|(index, cell)| (*index, one(cell))).collect()
}

fn tensors(
    engine: &QueryEngine<StorageEngine>,
    entity: &str,
    component: &str,
) -> BTreeMap<i64, TensorData> {
    let one = |cell: &ArrayRef| components::TensorData::from_arrow(cell).unwrap().remove(0).0;
    let cells = cells(engine, "slot", entity, component);
    cells.iter().map(|(index, cell)| (*index, one(cell))).collect()
}

fn floats(tensor: &TensorData) -> Vec<f32> {
    match &tensor.buffer {
        TensorBuffer::F32(values) => values.to_vec(),
        TensorBuffer::F16(values) => values.iter().map(|value| value.to_f32()).collect(),
        other => panic!("{other:?}"),
    }
}

pub fn codes(engine: &QueryEngine<StorageEngine>) -> BTreeMap<i64, Vec<f32>> {
    let tensors = tensors(engine, "/code", "BarChart:values");
    tensors.iter().map(|(slot, tensor)| (*slot, floats(tensor))).collect()
}

/// The marks with the slots at which they stand.
pub fn marks(engine: &QueryEngine<StorageEngine>) -> Vec<(i64, String)> {
    let cells = cells(engine, "slot", "/marks", "TextLog:text");
    let one = |cell: &ArrayRef| components::Text::from_arrow(cell).unwrap()[0].to_string();
    cells.iter().map(|(slot, cell)| (*slot, one(cell))).collect()
}

#[test]
fn every_value_of_every_slot_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    for pace in [Pace::Live, Pace::Batch] {
        let path = folder.path().join(format!("{pace:?}.rrd"));
        let mut recorder = Recorder::new(&save(&path, pace), &session()).unwrap();
        (0..20).for_each(|slot| recorder.log(moment(slot)));
        assert_eq!(recorder.tell(&mut |said| panic!("{said}")), []);
        // A complete file or none, unless it is live.
        assert_eq!(path.exists(), pace == Pace::Live);
        assert_eq!(recorder.finish().unwrap(), Drops { pictures: 0 });

        let engine = recording(&path);
        let slots: Vec<Moment> = (0..20).map(moment).collect();
        let expected = slots.iter().map(|m| (m.slot as i64, m.code.clone())).collect();
        assert_eq!(codes(&engine), expected);
        let score = |path: &str| scalars(&engine, "slot", path);
        let each = |value: &dyn Fn(&Moment) -> Option<f64>| -> Vec<(i64, f64)> {
            slots.iter().filter_map(|m| Some((m.slot as i64, value(m)?))).collect()
        };
        assert_eq!(score("/scores/loudness_lufs"), each(&|m| Some(m.loudness_lufs)));
        assert_eq!(score("/scores/band_energy"), each(&|m| Some(m.band_energy)));
        assert_eq!(score("/scores/psnr_db"), each(&|m| m.psnr_db));
        assert_eq!(score("/scores/latency_s"), []);
        assert_eq!(score("/scores/drops"), each(&|_| Some(0.0)));
        assert_eq!(score("/scores/left_out"), each(&|m| m.left_out.map(|count| count as f64)));
        for (at, name) in ["highest", "lowest", "centre"].into_iter().enumerate() {
            assert_eq!(score(&format!("/scene/{name}")), each(&|m| m.extremes[at]));
        }
        let times: Vec<i64> = (0..20).map(|slot| slot * 100_000_000).collect();
        let logged = scalars(&engine, "time", "/scores/band_energy");
        assert!(logged.iter().map(|(nanoseconds, _)| *nanoseconds).eq(times));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn long_sessions_go_on_in_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    // This one is somebody else's.
    std::fs::write(place("a-3.rrd"), "mine").unwrap();
    let target = Target { longest: 8, ..save(&place("a.rrd"), Pace::Live) };
    let mut recorder = Recorder::new(&target, &session()).unwrap();
    (0..20).for_each(|slot| recorder.log(moment(slot)));
    recorder.mark(20, 2.0, "the end");
    let mut begun = vec![];
    super::speaker::wait_for("two more files", || {
        assert_eq!(recorder.tell(&mut |said| begun.push(said.to_owned())), []);
        begun.len() == 2
    });
    let goes_on = |name| format!("The session goes on in {}.", place(name).display());
    assert_eq!(begun, ["a-2.rrd", "a-4.rrd"].map(goes_on));
    recorder.finish().unwrap();
    for (name, slots) in [("a.rrd", 0..8), ("a-2.rrd", 8..16), ("a-4.rrd", 16..20)] {
        let engine = recording(&place(name));
        let expected = slots.clone().map(|slot| (slot as i64, moment(slot).code)).collect();
        assert_eq!(codes(&engine), expected, "{name}");
        assert_eq!(marks(&engine).len(), usize::from(name == "a-4.rrd"));
        let replay = wysiwyh::recorder::Replay::read(&place(name)).unwrap();
        assert_eq!((replay.dropped, replay.about["seed"].as_str()), (Some(0), "7"));
        accepted_by_the_viewer(&place(name), &["/input/picture"]);
    }
    assert_eq!(std::fs::read(place("a-3.rrd")).unwrap(), b"mine");
}

#[test]
fn pictures_carry_values_and_colours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let recorder = Recorder::new(&save(&path, Pace::Batch), &session()).unwrap();
    (0..3).for_each(|slot| recorder.log(moment(slot)));
    drop(recorder);

    let engine = recording(&path);
    let at = |entity: &str| tensors(&engine, entity, "Tensor:data").remove(&2).unwrap();
    let Moment { input, reconstruction, levels_db, .. } = moment(2);
    for (entity, data) in
        [("/input", input), ("/reconstruction/from_sound", reconstruction.unwrap().0)]
    {
        let tensor = at(&format!("{entity}/values"));
        assert_eq!(&tensor.shape[..], [1, 64, 64]);
        let names = tensor.names.as_ref().unwrap();
        assert!(names.iter().map(|name| name.as_str()).eq(["band", "row", "column"]));
        for (logged, value) in floats(&tensor).into_iter().zip(&data) {
            // Half precision: steps of 1/32 from 32 degC on.
            assert!((logged - value).abs() <= 1.0 / 64.0 || logged.is_nan() && value.is_nan());
        }
        let files = cells(&engine, "slot", &format!("{entity}/picture"), "EncodedImage:blob");
        let file = &components::Blob::from_arrow(&files[&2]).unwrap()[0];
        let picture = image::load_from_memory(&file.0).unwrap().into_rgb8();
        let expected = wysiwyh::picture::preview(data.view(), &[[0.0, 40.0]], &session().bands);
        assert_eq!(picture, expected);
    }
    let heights = floats(&tensors(&engine, "/spectrum", "BarChart:values")[&2]);
    assert!(heights.iter().zip(&levels_db).all(|(height, level)| *height == level + 72.0));
    assert!(!cells(&engine, "slot", "/spectrogram", "EncodedImage:blob").is_empty());
}

#[test]
fn kelvin_needs_single_precision() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.rrd");
    let about = Session { range: vec![[273.0, 313.0]], ..session() };
    let recorder = Recorder::new(&save(&path, Pace::Batch), &about).unwrap();
    recorder.log(moment(0));
    recorder.finish().unwrap();
    let tensor = tensors(&recording(&path), "/input/values", "Tensor:data").remove(&0).unwrap();
    let values = floats(&tensor);
    assert!(values.iter().zip(&moment(0).input).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn curves_of_training_lie_on_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.rrd");
    let recorder = Recorder::new(&save(&path, Pace::Live), &Session::default()).unwrap();
    (0..1000).for_each(|step| recorder.log_scalar("loss/choose", step, 1.0 / (step + 1) as f64));
    recorder.finish().unwrap();
    let curve = scalars(&recording(&path), "step", "/loss/choose");
    assert!(curve.into_iter().eq((0..1000).map(|step| (step, 1.0 / (step + 1) as f64))));
}

/// A named pipe: a file as slow as its reader.
#[cfg(unix)]
fn pipe(folder: &Path) -> PathBuf {
    let path = folder.join("pipe.rrd");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[cfg(unix)]
#[test]
fn a_slow_target_loses_pictures_but_no_codes() {
    let folder = tempfile::tempdir().unwrap();
    let path = pipe(folder.path());
    let (read_on, wait) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn({
        let path = path.clone();
        move || {
            let mut pipe = std::fs::File::open(path).unwrap();
            wait.recv().unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut pipe, &mut bytes).unwrap();
            bytes
        }
    });
    // The file in memory stays complete beside it: targets do not wait for
    // each other.
    let recorder = Recorder::new(&save(&path, Pace::Live), &session()).unwrap();
    (0..500).for_each(|slot| recorder.log(moment(slot)));
    read_on.send(()).unwrap();
    let drops = recorder.finish().unwrap();
    let received = folder.path().join("received.rrd");
    std::fs::write(&received, reader.join().unwrap()).unwrap();

    let engine = recording(&received);
    let codes = codes(&engine);
    assert_eq!(codes.len(), 500);
    assert!(codes.iter().all(|(slot, code)| *code == moment(*slot as u64).code));
    assert_eq!(scalars(&engine, "slot", "/scores/loudness_lufs").len(), 500);
    let pictures = cells(&engine, "slot", "/input/picture", "EncodedImage:blob");
    assert!(drops.pictures > 0);
    assert_eq!(pictures.len() as u64 + drops.pictures, 500);
    let values = tensors(&engine, "/input/values", "Tensor:data");
    assert!(values.keys().eq(pictures.keys()));
    let back = tensors(&engine, "/reconstruction/from_sound/values", "Tensor:data");
    assert!(back.keys().eq(pictures.keys().filter(|slot| *slot % 10 == 0)));
    let counted = scalars(&engine, "slot", "/scores/drops").last().unwrap().1;
    assert_eq!(counted, drops.pictures as f64);
}

#[cfg(unix)]
#[test]
fn a_target_that_takes_nothing_ends_in_an_error_not_in_a_hang() {
    let folder = tempfile::tempdir().unwrap();
    let path = pipe(folder.path());
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn({
        let path = path.clone();
        move || {
            let _pipe = std::fs::File::open(path).unwrap();
            wait.recv().unwrap();
        }
    });
    let patience = std::time::Duration::from_millis(300);
    let target = Target { patience, ..save(&path, Pace::Live) };
    let recorder = Recorder::new(&target, &session()).unwrap();
    (0..50).for_each(|slot| recorder.log(moment(slot)));
    let error = recorder.finish().unwrap_err();
    assert!(error.to_string().contains("took nothing for 0.3 s"), "{error}");
    done.send(()).unwrap();
    reader.join().unwrap();
}

#[test]
fn targets_that_cannot_be_opened_are_refused_by_name() {
    let refused = |target: Target| Recorder::new(&target, &session()).unwrap_err();
    let folder = tempfile::tempdir().unwrap();
    for pace in [Pace::Live, Pace::Batch] {
        let error = refused(save(&folder.path().join("no/a.rrd"), pace));
        assert!(error.to_string().contains("no/a.rrd"), "{error}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = refused(Target { serve: Some(port), ..Target::default() });
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    drop(taken);
    let address = format!("rerun+http://127.0.0.1:{port}/proxy");
    let error = refused(Target { connect: Some(address.clone()), ..Target::default() });
    assert!(error.to_string().contains(&address), "{error}");
    let error = refused(Target { connect: Some("localhost".into()), ..Target::default() });
    assert_eq!(error.fault, Fault::Usage);
    assert!(error.advice().is_some());
}

#[test]
fn no_target_records_nothing() {
    let recorder = Recorder::new(&Target::default(), &session()).unwrap();
    (0..100).for_each(|slot| recorder.log(moment(slot)));
    assert_eq!(recorder.finish().unwrap(), Drops::default());
}

#[test]
fn only_sessions_can_be_viewed() {
    let folder = tempfile::tempdir().unwrap();
    let error = view(&folder.path().join("missing.rrd"), &mut |_| ()).unwrap_err();
    assert_eq!(error.fault, Fault::Input);
    let path = folder.path().join("text.rrd");
    std::fs::write(&path, "RRF").unwrap();
    let error = view(&path, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("not a Rerun session"), "{error}");
}

/// The viewer's program, where it is installed.
pub fn viewer() -> Option<PathBuf> {
    let oracles = std::env::var_os("WYSIWYH_ORACLES").map(|o| PathBuf::from(o).join("bin"));
    let path = std::env::var_os("PATH")?;
    let mut folders = oracles.into_iter().chain(std::env::split_paths(&path));
    folders.find_map(|folder| Some(folder.join("rerun")).filter(|file| file.is_file()))
}

/// Asserts that the viewer's own tools read the session at `path`, and find
/// `entities` in it; says so where they are not installed.
pub fn accepted_by_the_viewer(path: &Path, entities: &[&str]) {
    let Some(viewer) = viewer() else {
        skipped("no `rerun` is on the PATH or in WYSIWYH_ORACLES");
        return;
    };
    for tool in ["verify", "print"] {
        let output = Command::new(&viewer).args(["rrd", tool]).arg(path).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        for entity in entities.iter().filter(|_| tool == "print") {
            assert!(text.contains(entity), "{entity} is missing: {text}");
        }
    }
}

#[test]
fn the_viewers_own_tools_accept_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let recorder = Recorder::new(&save(&path, Pace::Live), &session()).unwrap();
    (0..20).for_each(|slot| recorder.log(moment(slot)));
    recorder.log_scalar("loss/train", 3, 0.5);
    recorder.finish().unwrap();
    let entities = ["/input/picture", "/reconstruction/from_sound/values", "/loss/train"];
    accepted_by_the_viewer(&path, &entities);
}
