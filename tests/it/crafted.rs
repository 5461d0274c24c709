//! Files that claim what nobody made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest, Sha256};
use wysiwyh::frame::GeoReference;
use wysiwyh::model::Model;
use wysiwyh::sensor::{Route, Scene, Sensor, Simulated};
use wysiwyh::sink::{self, Format, Header};
use wysiwyh::sonifier::Sonifier;
use wysiwyh::spectrum::{Mapping, Preset};

use crate::cli::{program, refused, text};

/// Three frames of the simulated camera in `folder`, made by `model`, in a file
/// that says of itself what `header` makes of the truth.
fn sound(folder: &Path, model: &Model, header: impl Fn(Header) -> Header) -> PathBuf {
    let path = folder.join("sound.wav");
    let mapping = Mapping::preset(Preset::Data, model.profile().frequencies_hz);
    let mapping = Mapping { values: mapping.values.min(model.values()), ..mapping };
    let mut sonifier = Sonifier::new(model.clone(), mapping, 1).unwrap();
    let mut camera = Simulated::new(1, None).unwrap();
    let own = Header { frames: Some(3), ..sonifier.header(camera.source(), "simulated:1") };
    let mut file = sink::create(&path, Format::Wav, &header(own)).unwrap();
    for _ in 0..3 {
        let frame = camera.next().unwrap().unwrap();
        file.write(&sonifier.sonify(&frame).unwrap().samples).unwrap();
    }
    file.write(&sonifier.finish()).unwrap();
    file.finish().unwrap();
    path
}

fn listen(sound: &Path) -> Output {
    let folder = sound.parent().unwrap();
    let mut listen = program();
    listen.arg("listen").arg(sound).arg("-o").arg(folder.join("heard"));
    // Nobody's own models.
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"] {
        listen.env(name, folder.join("home"));
    }
    listen.output().unwrap()
}

fn simulated() -> Model {
    Model::shipped("simulated-lwir").unwrap()
}

#[test]
fn a_range_without_an_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for range in [[0.0, 0.0], [40.0, 20.0]] {
        let sound = sound(folder.path(), &simulated(), |own| Header { range: vec![range], ..own });
        let what = format!("a range that starts at {} and ends at {}", range[0], range[1]);
        refused(&listen(&sound), 1, &what);
    }
    assert!(!folder.path().join("heard").exists());
}

#[cfg(feature = "gdal")]
#[test]
fn a_scene_larger_than_its_chips_can_cover_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let crs_wkt = gdal::spatial_ref::SpatialRef::from_epsg(32633).unwrap().to_wkt().unwrap();
    let transform = [4e5, 10.0, 0.0, 5e6, 0.0, -10.0];
    let scene = |size: usize| Scene {
        georeference: Some(GeoReference { transform, crs_wkt: crs_wkt.clone() }),
        ..Scene::new([size, size], 64, Route::Winding)
    };
    let told =
        |size| sound(folder.path(), &simulated(), |own| Header { scene: Some(scene(size)), ..own });
    refused(&listen(&told(1_000_000)), 1, "a scene of 1000000 x 1000000 pixels and 1 bands");
    assert!(!folder.path().join("heard").exists());
    // Where somebody stopped early, the rest is missing.
    let heard = listen(&told(11_000));
    assert!(heard.status.success(), "{}", text(&heard.stderr));
    let mosaic = folder.path().join("heard/mosaic.tif");
    assert!(fs::metadata(&mosaic).unwrap().len() < 1 << 20);
    assert_eq!(gdal::Dataset::open(&mosaic).unwrap().raster_size(), (11_000, 11_000));
}

#[test]
fn a_model_beside_a_sound_is_found_among_files_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = simulated();
    let mut record = shipped.record().clone();
    record.seed = 7;
    let (profile, bands) = (shipped.profile().clone(), shipped.bands().to_vec());
    let range = shipped.range().to_vec();
    let model = Model::new(shipped.autoencoder().clone(), profile, bands, range, record).unwrap();
    assert_ne!(model.hash(), shipped.hash());
    let sound = sound(folder.path(), &model, |own| own);
    let place = |name: &str| folder.path().join(name);
    fs::write(place("a.safetensors"), "no model").unwrap();
    assert!(Command::new("mkfifo").arg(place("b.safetensors")).status().unwrap().success());
    fs::create_dir(place("c.safetensors")).unwrap();
    refused(&listen(&sound), 1, "which is not here");
    model.save(&place("d.safetensors")).unwrap();
    let heard = listen(&sound);
    assert!(heard.status.success(), "{}", text(&heard.stderr));

    // What is the model that it names, and damaged, is told.
    let hash: String = Sha256::digest("no model").iter().map(|b| format!("{b:02x}")).collect();
    let sound =
        self::sound(folder.path(), &model, |own| Header { model_hash: hash.clone(), ..own });
    refused(&listen(&sound), 1, "a.safetensors: no model file");
}
