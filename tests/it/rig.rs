//! Cameras of several lenses: radiance against an independent decoder, and
//! alignment against shifts put into a real picture.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{ArrayView2, Axis, s};
use wysiwyh::sensor::{Options, Sensor, open};
use wysiwyh::{Frame, Profile, Unit};

use crate::cli::text;
use crate::data;

fn camera() -> Option<PathBuf> {
    Some(data()?.join("formats/micasense"))
}

fn all(path: &Path) -> (Box<dyn Sensor>, Vec<Frame>) {
    let mut sensor = open(&path.to_string_lossy(), None, &Options::default()).unwrap();
    let frames = sensor.by_ref().map(Result::unwrap).collect();
    (sensor, frames)
}

fn error(path: &Path) -> wysiwyh::Error {
    open(&path.to_string_lossy(), None, &Options::default()).map(|_| ()).unwrap_err()
}

/// Correlation of two pictures where both have readings.
fn correlation(a: ArrayView2<f32>, b: ArrayView2<f32>) -> f64 {
    let pairs: Vec<(f64, f64)> = a
        .iter()
        .zip(b)
        .filter(|(a, b)| a.is_finite() && b.is_finite())
        .map(|(&a, &b)| (f64::from(a), f64::from(b)))
        .collect();
    let count = pairs.len() as f64;
    let mean = pairs.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / count, m.1 + p.1 / count));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        ab += (a - mean.0) * (b - mean.1);
        aa += (a - mean.0).powi(2);
        bb += (b - mean.1).powi(2);
    }
    ab / (aa * bb).sqrt()
}

/// One lens alone, as it is stored, in the radiance of its own calibration.
fn alone(file: &Path) -> Frame {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(file.file_name().unwrap());
    fs::copy(file, &copy).unwrap();
    all(&copy).1.remove(0)
}

#[test]
fn radiance_is_that_of_an_independent_decoder() {
    let Some(camera) = camera() else { return };
    let table = fs::read(camera.join("../EXPECTED.json")).unwrap();
    let table: serde_json::Value = serde_json::from_slice(&table).unwrap();
    for (name, entry) in table["micasense_rededge_radiance_W_m2_sr_nm"].as_object().unwrap() {
        let frame = alone(&camera.join("..").join(name));
        let figure = |key: &str| entry[key].as_f64().unwrap();
        let band = &frame.bands[0];
        assert_eq!(
            (band.name.as_str(), band.unit),
            (entry["band"].as_str().unwrap(), Unit::Radiance)
        );
        let nanometres = |um: Option<f32>| f64::from(um.unwrap() * 1000.0);
        assert!((nanometres(band.wavelength_um) - figure("wl")).abs() < 1e-3);
        assert!((nanometres(band.fwhm_um) - figure("fwhm")).abs() < 1e-3);
        let mean = frame.data.iter().map(|&v| f64::from(v)).sum::<f64>() / frame.data.len() as f64;
        for (found, key) in [
            (f64::from(frame.data[(0, 480, 640)]), "radiance_centre"),
            (f64::from(frame.data[(0, 0, 0)]), "radiance_corner00"),
            (mean, "radiance_mean"),
        ] {
            let expected = figure(key);
            assert!((found - expected).abs() < 1e-5 * expected, "{name} {key}: {found}");
        }
    }
}

#[test]
fn a_capture_is_one_frame_in_order_of_wavelength() {
    let Some(camera) = camera() else { return };
    let (sensor, frames) = all(&camera);
    let source = sensor.source();
    assert_eq!(source.model.as_deref(), Some("MicaSense RedEdge"));
    assert_eq!((source.frames, frames.len()), (Some(1), 1));
    assert_eq!(frames[0].data.dim(), (5, 960, 1280));
    let names: Vec<&str> = source.bands.iter().map(|band| band.name.as_str()).collect();
    assert_eq!(names, ["Blue", "Green", "Red", "Red edge", "NIR"]);
    let said = &source.description;
    assert!(said.contains("radiance by the camera's calibration"), "{said}");
    assert!(said.contains("aligned to Green by (rows, columns): Blue"), "{said}");
    let (_, one) = all(&camera.join("IMG_0001_4.tif"));
    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
    assert!(one[0].data.iter().zip(&frames[0].data).all(same));
}

#[test]
fn aligned_bands_resemble_the_reference_more() {
    let Some(camera) = camera() else { return };
    let (_, frames) = all(&camera);
    let green = frames[0].data.index_axis(Axis(0), 1);
    for (band, file) in [(0, 1), (2, 3), (3, 5), (4, 4)] {
        let before = alone(&camera.join(format!("IMG_0001_{file}.tif")));
        let before = correlation(green, before.data.index_axis(Axis(0), 0));
        let after = correlation(green, frames[0].data.index_axis(Axis(0), band));
        println!("{}: {before:.3} before, {after:.3} after", frames[0].bands[band].name);
        // All that is left out of place is lost resemblance.
        assert!(1.0 - after < 0.85 * (1.0 - before), "{band}: {before:.3} {after:.3}");
    }
}

/// Copies the capture into `folder` under the name `capture`, without the files of the
/// lenses `without`.
fn copied(camera: &Path, folder: &Path, capture: &str, without: &[usize]) {
    fs::create_dir_all(folder).unwrap();
    for band in (1..=5).filter(|band| !without.contains(band)) {
        let copy = folder.join(format!("{capture}_{band}.tif"));
        fs::copy(camera.join(format!("IMG_0001_{band}.tif")), copy).unwrap();
    }
}

/// Copies the capture, with the green picture in place of the blue one, moved
/// by whole rows and columns; its pixels lie uncompressed from byte 8 on.
fn moved(camera: &Path, folder: &Path, rows: isize, columns: isize) {
    let green = fs::read(camera.join("IMG_0001_2.tif")).unwrap();
    let mut blue = fs::read(camera.join("IMG_0001_1.tif")).unwrap();
    for row in 0..960isize {
        for column in 0..1280isize {
            let (from_row, from_column) =
                ((row - rows).clamp(0, 959), (column - columns).clamp(0, 1279));
            let to = 8 + 2 * (row * 1280 + column) as usize;
            let from = 8 + 2 * (from_row * 1280 + from_column) as usize;
            blue[to..to + 2].copy_from_slice(&green[from..from + 2]);
        }
    }
    fs::write(folder.join("IMG_0007_1.tif"), blue).unwrap();
    fs::copy(camera.join("IMG_0001_2.tif"), folder.join("IMG_0007_2.tif")).unwrap();
}

#[test]
fn shifts_put_into_a_real_picture_are_taken_out() {
    let Some(camera) = camera() else { return };
    for (rows, columns) in [(0, 0), (7, -13), (-31, 22), (64, 3)] {
        let folder = tempfile::tempdir().unwrap();
        moved(&camera, folder.path(), rows, columns);
        let (sensor, frames) = all(folder.path());
        let said = &sensor.source().description;
        let found = said.rsplit("Blue ").next().unwrap().split(", ").map(|n| n.parse::<f64>());
        let found: Vec<f64> = found.map(Result::unwrap).collect();
        let off = (found[0] - rows as f64).hypot(found[1] - columns as f64);
        assert!(off < 0.3, "{rows}, {columns}: {said}");
        // Away from the edges, the two bands show one picture again; what
        // differs is the calibration of the two lenses.
        let inside = s![.., 80..880, 80..1200];
        let view = frames[0].data.slice(inside);
        let alike = correlation(view.index_axis(Axis(0), 0), view.index_axis(Axis(0), 1));
        assert!(alike > 0.99, "{rows}, {columns}: {alike}");
    }
}

#[test]
fn captures_follow_each_other_and_others_are_told_apart() {
    let Some(camera) = camera() else { return };
    let folder = tempfile::tempdir().unwrap();
    for capture in ["IMG_0002", "IMG_0010"] {
        copied(&camera, folder.path(), capture, &[]);
    }
    let (sensor, frames) = all(folder.path());
    assert_eq!((sensor.source().frames, frames.len()), (Some(2), 2));
    assert!(frames[0].time_s < frames[1].time_s);
    let (sensor, _) = all(&folder.path().join("IMG_0010_3.tif"));
    assert_eq!(sensor.source().frames, Some(1));
    // A file that another program has stripped of its calibration.
    let path = folder.path().join("IMG_0002_1.tif");
    let mut bytes = fs::read(&path).unwrap();
    let tag = b"MicaSense:RadiometricCalibration";
    let at = bytes.windows(tag.len()).position(|window| window == tag).unwrap();
    bytes[at + 1] = b'x';
    fs::write(&path, &bytes).unwrap();
    let refused = error(&path).to_string();
    assert!(refused.contains("states no MicaSense:RadiometricCalibration"), "{refused}");
    fs::write(&path, &bytes[..bytes.len() - 5000]).unwrap();
    error(&path);
}

#[test]
fn captures_that_lack_a_file_are_left_out_and_named() {
    let Some(camera) = camera() else { return };
    let folder = tempfile::tempdir().unwrap();
    let flight = folder.path().join("flight");
    copied(&camera, &flight, "IMG_0001", &[3, 5]);
    copied(&camera, &flight, "IMG_0002", &[]);
    copied(&camera, &flight, "IMG_0003", &[2]);
    copied(&camera, &flight, "IMG_0004", &[]);
    assert_eq!(all(&flight).1.len(), 2);
    let inspected = crate::cli::program().arg("inspect").arg(&flight).output().unwrap();
    let told = text(&inspected.stderr);
    let left_out = "flight: 2 of 4 captures are left out, without all files: IMG_0001 has no Red \
                    (IMG_0001_3.tif) and no Red edge (IMG_0001_5.tif); IMG_0003 has no Green \
                    (IMG_0003_2.tif).";
    assert!(inspected.status.success() && told.contains(left_out), "{told}");
    assert_eq!(told.matches("left out").count(), 1, "{told}");
    assert!(text(&inspected.stdout).contains("sensor: micasense-rededge"));
}

#[test]
fn a_lone_capture_that_lacks_a_file_says_of_which_lens() {
    let Some(camera) = camera() else { return };
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("capture");
    copied(&camera, &capture, "IMG_0001", &[2]);
    let lack = "has 4 bands, but the sensor profile micasense-rededge lists 5: the file of Green \
                is missing";
    let call = |arguments: &[&str]| {
        let mut command = crate::cli::program();
        command.args(arguments).arg(&capture).args(["-o", "out"]).current_dir(folder.path());
        command.output().unwrap()
    };
    for more in [&["convert"][..], &["convert", "--sensor", "micasense-rededge"]] {
        let output = call(more);
        let told = text(&output.stderr);
        assert!(!output.status.success() && told.contains(lack), "{more:?}: {told}");
        assert!(told.contains("hint: put it beside the others"), "{told}");
    }
    assert!(!folder.path().join("out").exists());
    let inspected = crate::cli::program().arg("inspect").arg(&capture).output().unwrap();
    assert!(inspected.status.success() && text(&inspected.stdout).contains(lack));
    let heard = call(&["convert", "--sensor", "generic-picture"]);
    assert!(heard.status.success(), "{}", text(&heard.stderr));
}

#[test]
fn a_thermal_lens_gives_degrees() {
    let Some(camera) = camera() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(camera.join("IMG_0001_5.tif")).unwrap();
    let name = b"<Camera:BandName>Red edge";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at + name.len() - 8..at + name.len()].copy_from_slice(b"LWIR    ");
    let path = folder.path().join("IMG_0001_6.tif");
    fs::write(&path, bytes).unwrap();
    let (sensor, frames) = all(&path);
    assert!(sensor.source().description.contains("temperature as stored"));
    let band = &frames[0].bands[0];
    assert_eq!((band.name.as_str(), band.unit), ("LWIR", Unit::Celsius));
    // 32112 hundredths of a kelvin, the number in the middle.
    assert!((frames[0].data[(0, 480, 640)] - 47.97).abs() < 1e-4);
}

#[test]
fn a_sequoia_gives_counts_at_its_wavelength() {
    let Some(data) = data() else { return };
    let path = data.join("formats/parrot-sequoia/IMG_180413_080658_0000_NIR.TIF");
    let (sensor, frames) = all(&path);
    let source = sensor.source();
    assert_eq!(source.model.as_deref(), Some("Parrot Sequoia"));
    assert!(source.description.contains("counts as stored"), "{}", source.description);
    let band = &frames[0].bands[0];
    assert_eq!((band.name.as_str(), band.unit), ("NIR", Unit::Counts));
    assert_eq!((band.wavelength_um, band.fwhm_um), (Some(0.79), Some(0.04)));
    let profile = Profile::find("micasense-rededge").ok();
    if let Some(profile) = profile {
        let opened = open(&path.to_string_lossy(), Some(&profile), &Options::default());
        assert!(opened.map(|_| ()).unwrap_err().to_string().contains("lists 5"));
    }
}

#[test]
fn captures_are_trained_on_and_heard() {
    let Some(camera) = camera() else { return };
    let folder = tempfile::tempdir().unwrap();
    let captures = folder.path().join("flight");
    fs::create_dir(&captures).unwrap();
    for capture in 1..=3 {
        copied(&camera, &captures, &format!("IMG_000{capture}"), &[]);
    }
    copied(&camera, &captures, "IMG_0004", &[1]);
    let model = folder.path().join("rededge.safetensors");
    let mut train = crate::cli::program();
    train.arg("train").arg(&captures).args(["--sensor", "micasense-rededge", "-o"]).arg(&model);
    // Each capture is one example, though it has five files.
    let said = String::from_utf8(train.assert().success().get_output().stdout.clone()).unwrap();
    assert!(!said.contains("15 "), "{said}");
    let sounds = folder.path().join("sounds");
    let mut convert = crate::cli::program();
    convert.arg("convert").arg(&captures).arg("-o").arg(&sounds).arg("--model").arg(&model);
    convert.assert().success();
    let seconds = seconds_of(&sounds.join("flight.wav"));
    assert!((0.3..0.6).contains(&seconds), "{seconds} s");
    // The files of a capture are one scene, whichever of them are named.
    let scenes = folder.path().join("scenes");
    let mut convert = crate::cli::program();
    convert
        .arg("convert")
        .arg(captures.join("IMG_000[12]_*.tif"))
        .arg(captures.join("IMG_0001_5.tif"));
    convert.arg("-o").arg(&scenes).arg("--model").arg(&model).assert().success();
    let made = fs::read_dir(&scenes).unwrap().flatten().map(|entry| entry.path());
    assert_eq!(made.filter(|path| path.extension().is_some_and(|own| own == "wav")).count(), 2);
}

/// Length of a WAV file of 16-bit samples in one channel at 48 kHz.
fn seconds_of(path: &Path) -> f64 {
    fs::metadata(path).unwrap().len() as f64 / 2.0 / 48_000.0
}

#[test]
fn captures_with_damaged_tags_are_errors_or_pictures() {
    let Some(camera) = camera() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("IMG_0001_1.tif");
    let whole = fs::read(camera.join("IMG_0001_1.tif")).unwrap();
    // Tags, EXIF and XMP lie behind the picture.
    let tags = 8 + 2 * 960 * 1280;
    for step in 0..40 {
        let at = tags + (whole.len() - tags) * step / 40;
        let mut garbled = whole.clone();
        for (offset, byte) in garbled[at..].iter_mut().take(60).enumerate() {
            *byte = byte.wrapping_mul(31).wrapping_add(offset as u8);
        }
        for bytes in [&whole[..at], &garbled] {
            fs::write(&path, bytes).unwrap();
            let opened = open(&path.to_string_lossy(), None, &Options::default());
            if let Ok(Some(Ok(frame))) = opened.map(|mut sensor| sensor.next()) {
                assert!(frame.data.iter().all(|value| !value.is_infinite()), "{at}");
            }
        }
    }
}
