//! Models fitted on real and simulated frames, scored on groups not seen.

use std::ops::ControlFlow;

use wysiwyh::dataset::Dataset;
use wysiwyh::model::Model;
use wysiwyh::train::{Event, Settings, analytic};
use wysiwyh::{Profile, evaluate};

fn watch(event: Event<'_>) -> ControlFlow<()> {
    if let Event::Said(line) = event {
        println!("{line}");
    }
    ControlFlow::Continue(())
}

fn fit(paths: &[String], sensor: &str, values: usize) -> (Dataset, Model) {
    let profile = Profile::find(sensor).unwrap();
    let dataset = Dataset::read(paths, &profile, 1).unwrap();
    let from_above = sensor != "simulated-lwir";
    let settings = Settings { values, seed: 1, from_above, ..Settings::default() };
    let model = analytic(&dataset, &profile, &settings, &mut watch).unwrap();
    println!("{:#?}", model.record().scores);
    (dataset, model)
}

#[test]
fn a_model_of_the_simulated_camera_survives_its_file_and_its_sound() {
    let paths: Vec<String> = (1..=6).map(|seed| format!("simulated:{seed}")).collect();
    let (dataset, model) = fit(&paths, "simulated-lwir", 32);
    let scores = &model.record().scores;
    assert!(scores["psnr_code_db"] - scores["psnr_sound_32_db"] <= 0.05, "{scores:?}");
    assert!(scores["psnr_sound_32_db"] > scores["psnr_sound_1_db"] + 2.0, "{scores:?}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    let loaded = Model::load(&path).unwrap();
    assert_eq!(loaded.hash(), model.hash());
    let frames: Vec<_> =
        dataset.frames(wysiwyh::dataset::Part::Report).map(|(_, frame)| frame.clone()).collect();
    let again = evaluate::scores(&loaded, &frames).unwrap();
    assert!((again.psnr_code_db - scores["psnr_code_db"]).abs() < 0.02, "{again}");
}

#[test]
fn damaged_model_files_are_refused() {
    let paths: Vec<String> = (1..=3).map(|seed| format!("simulated:{seed}")).collect();
    let (_, model) = fit(&paths, "simulated-lwir", 8);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = Model::from_bytes(&bytes[..length], "cut.safetensors").unwrap_err();
        assert!(error.to_string().starts_with("cut.safetensors"), "{error}");
    }
}

#[test]
fn unseen_flights_come_back_from_the_sound() {
    let Some(data) = crate::data() else { return };
    let paths = [data.join("hituav").display().to_string()];
    let (_, model) = fit(&paths, "hituav-lwir", 128);
    let scores = &model.record().scores;
    assert!(scores["psnr_code_db"] - scores["psnr_sound_128_db"] <= 0.05, "{scores:?}");
    assert!(scores["energy_code_r"] >= 0.95, "{scores:?}");
    assert!(scores["energy_loudness_r"] >= 0.75, "{scores:?}");
    assert!(scores["loudness_span_lu"] >= 6.0, "{scores:?}");
    assert!(scores["uniformity_pooled"] <= 0.05, "{scores:?}");
}
