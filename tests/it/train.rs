//! Models fitted on real and simulated frames, scored on groups not seen.

use std::ops::ControlFlow;

use burn::tensor::Device;
use wysiwyh::autoencoder::Part;
use wysiwyh::dataset::Dataset;
use wysiwyh::model::Model;
use wysiwyh::sensor::Options;
use wysiwyh::train::{Budget, Channel, Event, Settings, analytic, train};
use wysiwyh::{Profile, evaluate};

use crate::skipped::skipped;

fn watch(event: Event<'_>) -> ControlFlow<()> {
    if let Event::Said(line) = event {
        println!("{line}");
    }
    ControlFlow::Continue(())
}

fn fit(paths: &[String], sensor: &str, values: usize) -> (Dataset, Model) {
    let profile = Profile::find(sensor).unwrap();
    let dataset = Dataset::read(paths, &profile, 1, &Options::default()).unwrap();
    let settings = Settings { values, seed: 1, ..Settings::default() };
    let model = analytic(&dataset, &profile, &settings, &mut watch).unwrap();
    println!("{:#?}", model.record().scores);
    (dataset, model)
}

#[test]
fn a_model_of_the_simulated_camera_survives_its_file_and_its_sound() {
    let paths: Vec<String> = (1..=6).map(|seed| format!("simulated:{seed}")).collect();
    let (dataset, model) = fit(&paths, "simulated-lwir", 32);
    let scores = &model.record().scores;
    assert!(scores.psnr_code_db - scores.psnr_sound_db[&32] <= 0.05, "{scores:?}");
    assert!(scores.psnr_sound_db[&32] > scores.psnr_sound_db[&1] + 2.0, "{scores:?}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    let loaded = Model::load(&path).unwrap();
    assert_eq!(loaded.hash(), model.hash());
    let frames: Vec<_> =
        dataset.frames(wysiwyh::dataset::Part::Report).map(|(_, frame)| frame.clone()).collect();
    let again = evaluate::scores(&loaded, &frames, loaded.values()).unwrap();
    assert!((again.psnr_code_db - scores.psnr_code_db).abs() < 0.02, "{again}");
}

#[test]
fn a_model_to_start_from_helps_where_there_are_few_pictures() {
    let profile = Profile::find("simulated-lwir").unwrap();
    let shipped = Model::shipped("simulated-lwir").unwrap();
    let settings = Settings { values: 64, seed: 1, ..Settings::default() };
    let trained = |paths: [&str; 3], from: Option<&Model>| {
        let paths = paths.map(String::from);
        let mut dataset = Dataset::read(&paths, &profile, 1, &Options::default()).unwrap();
        if let Some(model) = from {
            dataset.start_from(model, &profile)?;
        }
        analytic(&dataset, &profile, &settings, &mut watch)
    };
    let paths = ["simulated:501", "simulated:502", "simulated:503"];
    let alone = trained(paths, None).unwrap();
    let begun = trained(paths, Some(&shipped)).unwrap();
    let gain_db = begun.record().scores.psnr_code_db - alone.record().scores.psnr_code_db;
    println!("{gain_db:.2} dB gained");
    assert!(gain_db > 0.3, "{gain_db}");
    assert!(begun.record().prior_examples > 0.0 && alone.record().prior.is_none());
    assert!(begun.record().prior.as_ref().is_some_and(|prior| prior.ends_with(shipped.hash())));
    // What it knows of these counts as trained on, and may not be held out.
    let known = &shipped.record().trained_groups;
    assert!(known.iter().all(|group| begun.record().trained_groups.contains(group)));
    let paths = [known[0].as_str(), known[1].as_str(), known[2].as_str()];
    let error = trained(paths, Some(&shipped)).unwrap_err().to_string();
    assert!(error.contains("2 of the 2 groups that are held out"), "{error}");
}

#[test]
fn damaged_model_files_are_refused() {
    let bytes = Profile::shipped_model("simulated-lwir").unwrap();
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = Model::from_bytes(&bytes[..length], "cut.safetensors").unwrap_err();
        assert!(error.to_string().starts_with("cut.safetensors"), "{error}");
    }
}

#[test]
fn unseen_flights_come_back_from_the_sound() {
    let Some(data) = crate::data() else { return };
    let paths = [data.join("hituav").display().to_string()];
    let (_, model) = fit(&paths, "hituav-lwir", 256);
    let scores = &model.record().scores;
    assert!(scores.psnr_code_db - scores.psnr_sound_db[&256] <= 0.05, "{scores:?}");
    // More values than another linear code of the same training pictures, at
    // every level, and through noise.
    for (name, peer) in &model.record().peers {
        for (groups, psnr) in &peer.psnr_db {
            let own = scores.psnr_sound_db[groups];
            assert!(own >= *psnr, "{groups} groups: {own} dB, {name} {psnr} dB");
        }
        assert!(peer.gain_db.is_some_and(|gain_db| gain_db >= 1.5), "{name}: {peer}");
    }
    // The second digits are a gain that only clean sound keeps.
    assert!(scores.psnr_code_db >= scores.psnr_heard_db + 1.5, "{scores}");
    assert!(scores.channels["noise 20 dB"].psnr_db >= scores.psnr_heard_db - 1.2, "{scores}");
    assert!(scores.channels["1 % late"].psnr_db >= scores.psnr_heard_db + 1.0, "{scores}");
    if let Some(mp3) = scores.channels.get("MP3 128k") {
        assert!(mp3.psnr_db >= scores.psnr_heard_db - 0.1, "{scores}");
    }
    assert!(scores.energy_code_r >= 0.95, "{scores:?}");
    assert!(scores.energy_loudness_r >= 0.75, "{scores:?}");
    assert!(scores.loudness_span_lu >= 5.5, "{scores:?}");
    assert!(scores.uniformity_pooled <= 0.05, "{scores:?}");
}

/// Nothing between code and decoder.
const FILE: [Channel; 1] = [Channel::File];

/// Points of the curves in bits: name, step, value.
type Curves = Vec<(String, u64, u64)>;

/// Pictures of a bright bar at many places. A place is one number, but no
/// linear path tells it with few values.
fn bars() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..40u32 {
        let place = f64::from(index * 17 % 40) / 39.0 * 52.0 + 6.0;
        let picture = image::GrayImage::from_fn(64, 32, |x, _| {
            let distance = (f64::from(x) - place) / 5.0;
            image::Luma([(20.0 + 200.0 * (-distance * distance / 2.0).exp()) as u8])
        });
        picture.save(folder.path().join(format!("f{index:02}_1_1_1_0.png"))).unwrap();
    }
    folder
}

/// Trains a network of `part` on bars for 200 steps, through `channels`,
/// resumed if told to, and breaks it off after `stop` steps of this run. What
/// came of it, and the curves.
fn train_on_bars(
    part: Part,
    channels: &[Channel],
    checkpoint: &std::path::Path,
    resume: bool,
    stop: Option<usize>,
) -> (wysiwyh::Result<Model>, Curves) {
    let folder = bars();
    let profile = Profile::find("hituav-lwir").unwrap();
    let paths = [folder.path().display().to_string()];
    let dataset = Dataset::read(&paths, &profile, 1, &Options::default()).unwrap();
    let smallest_crop = if part == Part::Both { 0.8 } else { 1.0 };
    let (budget, interval) = (Budget::Steps(200), 50);
    let (values, width, batch, seed) = (4, 32, 32, 1);
    let (learning_rate, weight_decay) = (1e-3, 0.1);
    let sizes = Settings { values, width, batch, seed, ..Settings::default() };
    let pace = Settings { learning_rate, weight_decay, budget, interval, ..sizes };
    let settings = Settings { part, channels: channels.to_vec(), smallest_crop, ..pace };
    let (mut curves, mut steps) = (Curves::new(), 0);
    let mut observer = |event: Event<'_>| {
        match event {
            Event::Point { path, step, value } => {
                curves.push((path.to_owned(), step, value.to_bits()));
            }
            Event::Spent(_) => steps += 1,
            Event::Said(line) => println!("{line}"),
        }
        match stop.is_some_and(|stop| steps > stop) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let (device, checkpoint) = (Device::flex(), Some(checkpoint));
    let model = train(&dataset, &profile, &settings, &device, checkpoint, resume, &mut observer);
    (model, curves)
}

fn file(model: &Model) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_network_is_kept_where_it_does_better_than_the_linear_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.checkpoint");
    let (model, curves) = train_on_bars(Part::Decoder, &FILE, &path, false, None);
    let model = model.unwrap();
    assert!(model.record().network_steps > 0);
    assert!(model.autoencoder().network.is_some());
    let (again, same_curves) = train_on_bars(Part::Decoder, &FILE, &path, false, None);
    assert_eq!(curves, same_curves);
    assert!(file(&model) == file(&again.unwrap()), "the same seed gave another model");
    // What was chosen is in the file: it decodes as it did before.
    let loaded = Model::from_bytes(&file(&model), "bars").unwrap();
    let code = [0.3, 0.6, 0.4, 0.7];
    let decode = |model: &Model| model.autoencoder().decode(&code, 4).unwrap();
    assert_eq!(decode(&loaded), decode(&model));
}

#[test]
fn a_network_is_trained_and_chosen_for_its_channel_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.checkpoint");
    let channels = [Channel::File, Channel::Noise(20.0)];
    let (model, curves) = train_on_bars(Part::Decoder, &channels, &path, false, None);
    let model = model.unwrap();
    assert!(model.record().network_steps > 0);
    assert_eq!(model.record().channels, ["file", "noise=20"]);
    let (again, same_curves) = train_on_bars(Part::Decoder, &channels, &path, false, None);
    assert_eq!(curves, same_curves);
    assert!(file(&model) == file(&again.unwrap()), "the same seed gave another model");
    let last = |path: &str| {
        let own = curves.iter().filter(|(name, ..)| name == path);
        own.map(|&(_, _, value)| f64::from_bits(value)).next_back().unwrap()
    };
    let [clean, noisy] = ["choose/psnr_4_db", "choose/noise_20/psnr_4_db"].map(last);
    assert!(clean > noisy + 0.5, "{clean} dB in a file, {noisy} dB in noise");
    // A network for files alone is another one.
    let (other, _) = train_on_bars(Part::Decoder, &FILE, &path, false, None);
    assert!(file(&model) != file(&other.unwrap()));
}

#[test]
fn the_command_trains_for_channels_and_tells_how_it_goes_in_each() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.safetensors");
    let mut command = assert_cmd::Command::cargo_bin("wysiwyh").unwrap();
    command.args(["train", "simulated:1", "simulated:2", "simulated:3", "--plain"]);
    command.args(["--sensor", "simulated-lwir", "--values", "8", "--steps", "3"]);
    command.args(["--channel", "noise=12,codec", "--channel", "late=8", "--ends", "both"]);
    let output = command.arg("-o").arg(&model).assert().success().get_output().clone();
    let told = String::from_utf8(output.stderr).unwrap();
    for channel in ["step 3: noise=12: ", ", codec=64: ", ", late=8: "] {
        assert!(told.contains(channel), "{channel} is not in {told}");
    }
    Model::load(&model).unwrap();
}

#[cfg(feature = "rerun")]
#[test]
fn a_model_is_kept_where_its_curves_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let (model, curves) = (folder.path().join("m.safetensors"), folder.path().join("curves.rrd"));
    std::fs::create_dir(&curves).unwrap();
    let mut command = assert_cmd::Command::cargo_bin("wysiwyh").unwrap();
    command.args(["train", "simulated:1", "simulated:2", "simulated:3", "--plain"]);
    command.args(["--sensor", "simulated-lwir", "--values", "8", "--steps", "3", "--rrd"]);
    let output = command.arg(&curves).arg("-o").arg(&model).output().unwrap();
    crate::cli::refused(&output, 1, "curves.rrd");
    Model::load(&model).unwrap();
    assert_eq!(crate::cli::names_in(folder.path()), ["curves.rrd", "m.safetensors"]);
}

#[test]
fn training_that_is_broken_off_and_resumed_is_the_same_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.checkpoint");
    let every = [Channel::Noise(10.0), Channel::Codec(32.0), Channel::Late(8.0)];
    for (part, channels) in [(Part::Decoder, &FILE[..]), (Part::Both, &every)] {
        let (whole, curves) = train_on_bars(part, channels, &path, false, None);
        assert!(path.exists(), "a model that cannot be stored is not lost");
        let (broken, begun) = train_on_bars(part, channels, &path, false, Some(87));
        let error = broken.unwrap_err();
        assert_eq!(error.fault, wysiwyh::Fault::Interrupted);
        assert!(error.to_string().contains("step 87"), "{error}");
        let (resumed, rest) = train_on_bars(part, channels, &path, true, None);
        assert!(begun.len() > 8 && rest.len() > 8);
        assert_eq!(begun.into_iter().chain(rest).collect::<Curves>(), curves);
        assert!(file(&resumed.unwrap()) == file(&whole.unwrap()), "the files differ");
    }
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.checkpoint");
    let missing = train_on_bars(Part::Decoder, &FILE, &path, true, None).0.unwrap_err();
    assert_eq!(missing.fault, wysiwyh::Fault::Input, "{missing}");
    train_on_bars(Part::Decoder, &FILE, &path, false, Some(5)).0.unwrap_err();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let damaged = train_on_bars(Part::Decoder, &FILE, &path, true, None).0.unwrap_err();
    assert_eq!(damaged.fault, wysiwyh::Fault::Input, "{damaged}");
}

#[test]
fn training_flags_that_contradict_each_other_are_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.safetensors").display().to_string();
    let run = |flags: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("wysiwyh").unwrap();
        command.args(["train", "simulated:1", "--sensor", "simulated-lwir", "-o", &model]);
        command.args(flags).assert().code(2);
    };
    run(&["--steps", "5", "--minutes", "1"]);
    run(&["--minutes", "-1"]);
    run(&["--resume"]);
    run(&["--device", "wgpu"]);
    run(&["--channel", "noise"]);
    run(&["--ends", "both"]);
    run(&["--steps", "5", "--channel", "fog"]);
    run(&["--steps", "5", "--channel", "codec=0"]);
    run(&["--steps", "5", "--values", "100"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A network without zeros, so that every parameter has a gradient, on
/// `device`, and the loss and its gradients there.
#[cfg(feature = "gpu")]
fn loss_and_gradients(device: &Device) -> (f32, Vec<(String, ndarray::Array2<f32>)>) {
    use ndarray::{Array2, Array3};
    use wysiwyh::autoencoder::linear::Moments;
    use wysiwyh::autoencoder::{Autoencoder, Network, read};
    use wysiwyh::random::Random;
    use wysiwyh::train::{Batch, objective};

    let mut random = Random::new(3);
    let pictures: Vec<Array3<f32>> = (0..24)
        .map(|_| {
            let (a, b, c) = (random.uniform(), random.uniform(), random.uniform());
            Array3::from_shape_fn((2, 12, 16), |(band, y, x)| {
                let wave = (a * 0.7 * y as f64 + b * 0.9 * x as f64 + band as f64).sin();
                (0.3 + 0.4 * c + 0.2 * wave + 0.02 * random.normal()) as f32
            })
        })
        .collect();
    let linear = Moments::gather(&pictures, &[1.0, 0.5]).unwrap().solve(16, 0.5).unwrap();
    let shape = [linear.selected.len(), linear.components(), 24];
    let mut autoencoder = Autoencoder::new(linear, 1.0, device);
    let parameter = |name: &str| {
        let [coefficients, components, width] = shape;
        let (inputs, outputs) = match name.starts_with("encoder") {
            true => (coefficients, components),
            false => (components, coefficients),
        };
        let rows = if name.contains("first") { inputs } else { width };
        let columns = if name.contains("last") { outputs } else { width };
        let rows = if name.ends_with("bias") { 1 } else { rows };
        let mut random = Random::named(1, name);
        Ok(Array2::from_shape_simple_fn((rows, columns), || 0.1 * random.normal() as f32))
    };
    let tracked = device.clone().autodiff();
    autoencoder.network = Some(Network::from_parameters(Part::Both, &parameter, &tracked).unwrap());
    let energy: Vec<f32> = pictures.iter().map(|p| p.mean().unwrap()).collect();
    let groups: Vec<usize> = (0..24).map(|item| 1 << (item % 5)).collect();
    let batch = Batch::new(&autoencoder, &pictures, &energy, &groups).unwrap();
    let loss = objective(&autoencoder, &batch, &Settings::default());
    let network = autoencoder.network.as_ref().unwrap();
    let gradients = network.gradients(&loss.backward()).unwrap();
    (read(loss.without_autodiff()).unwrap()[0], gradients)
}

#[cfg(feature = "gpu")]
#[test]
fn a_graphics_adapter_agrees_with_the_cpu_on_the_loss_and_every_gradient() {
    let adapter = match wysiwyh::train::device::wgpu() {
        Ok(adapter) => adapter,
        Err(error) => return skipped(format_args!("there is no graphics adapter: {error}")),
    };
    let (loss, gradients) = loss_and_gradients(&Device::flex());
    let (other_loss, other_gradients) = loss_and_gradients(&adapter);
    assert!((loss - other_loss).abs() <= 1e-3 * loss.abs(), "{loss} {other_loss}");
    assert_eq!((gradients.len(), other_gradients.len()), (12, 12));
    for ((name, gradient), (_, other)) in gradients.iter().zip(&other_gradients) {
        let norm = |array: &ndarray::Array2<f32>| array.mapv(|v| v * v).sum().sqrt();
        let (size, distance) = (norm(gradient), norm(&(gradient - other)));
        assert!(size > 0.0 && distance <= 1e-3 * size, "{name}: {distance} of {size}");
    }
}
