//! FLIR's radiometric files: temperatures against an independent decoder, and
//! damage of every kind.

use std::fs;
use std::path::{Path, PathBuf};

use image::{ImageBuffer, Luma};
use wysiwyh::random::Random;
use wysiwyh::sensor::{Flir, Object, Options, Sensor, open};
use wysiwyh::voice::recognise;
use wysiwyh::{Fault, Frame, Profile, Result};

use crate::cli::{picture, program, refused, text};
use crate::trip::{array, listen};

/// Every frame of `source`, or what is wrong with it.
fn read(source: &Path) -> Result<Vec<Frame>> {
    open(&source.to_string_lossy(), None, &Options::default())?.collect()
}

/// Lowest, mean and highest value of `frame`.
fn span(frame: &Frame) -> [f64; 3] {
    let values = || frame.data.iter().map(|&value| f64::from(value));
    let mean = values().sum::<f64>() / frame.data.len() as f64;
    [values().fold(f64::INFINITY, f64::min), mean, values().fold(f64::NEG_INFINITY, f64::max)]
}

fn expected(data: &Path) -> serde_json::Value {
    let text = fs::read_to_string(data.join("formats/EXPECTED.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Asserts that `frame` spans what `known` says, within 0.05 degrees.
fn agrees(name: &str, frame: &Frame, known: &serde_json::Value) {
    for (found, key) in span(frame).iter().zip(["temp_min", "temp_mean", "temp_max"]) {
        let known = known[key].as_f64().unwrap();
        assert!((found - known).abs() < 0.05, "{name}: {key} is {found}, not {known}");
    }
}

#[test]
fn temperatures_are_those_of_an_independent_decoder() {
    let Some(data) = crate::data() else { return };
    let expected = expected(&data);
    for (name, known) in expected["flir_single"].as_object().unwrap() {
        let frames = read(&data.join("formats").join(name)).unwrap();
        let [frame] = &frames[..] else { panic!("{name}: {} frames", frames.len()) };
        let size = |key: &str| known[key].as_u64().unwrap() as usize;
        assert_eq!(frame.data.shape(), [1, size("height"), size("width")], "{name}");
        assert_eq!(frame.bands[0].unit.to_string(), "degC");
        agrees(name, frame, known);
        let centre = frame.data[(0, frame.rows() / 2, frame.columns() / 2)];
        assert!((f64::from(centre) - known["temp_centre"].as_f64().unwrap()).abs() < 0.05);
        for (column, first) in known["temp_first4"].as_array().unwrap().iter().enumerate() {
            let found = f64::from(frame.data[(0, 0, column)]);
            assert!((found - first.as_f64().unwrap()).abs() < 0.05, "{name}: {found}");
        }
    }
}

#[test]
fn a_sequence_keeps_its_frames_and_times() {
    let Some(data) = crate::data() else { return };
    let expected = expected(&data);
    for name in ["thermimage/SampleSEQ.seq", "thermimage/SampleCSQ.csq"] {
        sequence(&data.join("formats").join(name), &expected["flir_sequences"][name]);
    }
}

/// Asserts that the file at `path` holds what is `known` of it, whole and cut
/// short in its second frame.
fn sequence(path: &Path, known: &serde_json::Value) {
    let (model, known) = (known["model"].as_str().unwrap(), known["frames"].as_array().unwrap());
    let sensor = Flir::open(path, None, Object::default()).unwrap();
    let source = sensor.source().clone();
    assert_eq!(source.model.as_deref(), Some(model));
    assert!(source.description.contains(model), "{}", source.description);
    assert_eq!(source.frames, Some(known.len()));
    let frames: Vec<Frame> = sensor.collect::<Result<_>>().unwrap();
    let clock = |n: usize| {
        let number = |key: &str| known[n][key].as_f64().unwrap();
        number("unix") + number("ms") / 1000.0
    };
    assert_eq!(frames.len(), known.len());
    for (n, frame) in frames.iter().enumerate() {
        agrees(&path.to_string_lossy(), frame, &known[n]);
        assert!((frame.time_s - (clock(n) - clock(0))).abs() < 1e-4, "{}", frame.time_s);
    }

    // The first frame is whole when the second is cut short.
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.seq");
    let whole = fs::read(path).unwrap();
    let second = known[1]["offset"].as_u64().unwrap();
    fs::write(&cut, &whole[..second as usize + 200_000]).unwrap();
    let mut frames = Flir::open(&cut, None, Object::default()).unwrap();
    assert_eq!(frames.source().frames, None);
    assert!(frames.next().unwrap().is_ok());
    let error = frames.next().unwrap().unwrap_err().to_string();
    let place = format!("byte {second}");
    assert!(error.contains("after 1 frame") && error.contains(&place), "{error}");
    assert!(frames.next().is_none());
    let convert = |more: &[&str]| {
        program().arg("convert").arg(&cut).arg("-o").arg(folder.path()).args(more).output().unwrap()
    };
    let output = convert(&[]);
    refused(&output, 1, "cut.seq");
    assert!(text(&output.stderr).contains("--frames"), "{}", text(&output.stderr));
    assert!(convert(&["--frames", "1"]).status.success());
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason() {
    let Some(data) = crate::data() else { return };
    let formats = data.join("formats");
    for (name, fault, said) in [
        ("thermal_parser/DJI_H20T.jpg", Fault::Unsupported, "a format of DJI's"),
        ("exiftool/InfiRay.jpg", Fault::Unsupported, "a format of InfiRay's"),
        ("exiftool/FLIR.jpg", Fault::Input, "120 x 120 pixels, but stored are 8 x 8"),
    ] {
        let error = read(&formats.join(name)).unwrap_err();
        assert_eq!(error.fault, fault, "{error}");
        assert!(error.to_string().contains(name) && error.to_string().contains(said), "{error}");
        assert!(error.advice().is_some(), "{error}");
    }
}

#[test]
fn what_the_user_knows_of_the_object_takes_the_place_of_what_the_file_states() {
    let folder = tempfile::tempdir().unwrap();
    let stated = fff(false, false, Storage::Raw);
    let known = Object { emissivity: Some(0.7), distance_m: Some(30.0), reflected_c: Some(-40.0) };
    // The same, as a camera that was set so would have written it.
    let mut set = stated.clone();
    let camera = stated.windows(4).position(|four| four == 0.95f32.to_le_bytes()).unwrap();
    for (at, value) in [0.7f32, 30.0, 233.15].into_iter().enumerate() {
        set[camera + 4 * at..camera + 4 * at + 4].copy_from_slice(&value.to_le_bytes());
    }
    let path = file(folder.path(), "a.fff", &stated);
    let options = Options { object: known, ..Options::default() };
    let source = folder.path().to_string_lossy().into_owned();
    let [first, whole] = [&*path.to_string_lossy(), &source]
        .map(|source| open(source, None, &options).unwrap().next().unwrap().unwrap());
    let expected = read(&file(folder.path(), "b.fff", &set)).unwrap().remove(0);
    let plain = read(&path).unwrap().remove(0);
    assert_eq!(first.data, whole.data);
    for ((found, expected), plain) in first.data.iter().zip(&expected.data).zip(&plain.data) {
        assert!((found - expected).abs() < 1e-3, "{found}, not {expected}");
        assert!((found - plain).abs() > 1.0, "{found} is {plain}");
    }

    let mut inspect = program();
    inspect.arg("inspect").arg(&path).args(["--emissivity", "0.7", "--distance", "30"]);
    let said = text(&inspect.output().unwrap().stdout);
    assert!(said.contains("emissivity 0.70 (given), distance 30.0 m (given)"), "{said}");
    assert!(!said.contains("degC (given)"), "{said}");

    picture(&folder.path().join("c.png"));
    let png = folder.path().join("c.png").to_string_lossy().into_owned();
    for (source, flag, value) in [
        ("simulated", "--emissivity", "0.9"),
        (&png, "--distance", "2"),
        (&png, "--reflected", "-5"),
    ] {
        let output = program().args(["inspect", source, flag, value]).output().unwrap();
        refused(&output, 2, flag);
    }
    for wrong in ["0", "1.1", "x"] {
        let output = program().args(["inspect", source.as_str(), "--emissivity", wrong]).output();
        assert_eq!(output.unwrap().status.code(), Some(2));
    }
}

#[test]
fn a_folder_of_radiometric_pictures_is_a_sequence_of_temperatures() {
    let Some(data) = crate::data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let formats = data.join("formats");
    for (name, copy) in [
        ("thermal_parser/FLIR_E40.jpg", "1.jpg"),
        ("flirpy/frame_000000.fff", "2.fff"),
        ("thermimage/SampleSEQ.seq", "3.seq"),
    ] {
        fs::copy(formats.join(name), folder.path().join(copy)).unwrap();
    }
    let source = folder.path().to_string_lossy().into_owned();
    let sensor = open(&source, None, &Options::default()).unwrap();
    assert_eq!(sensor.source().frames, Some(4));
    let frames: Vec<Frame> = sensor.collect::<Result<_>>().unwrap();
    let means: Vec<f64> = frames.iter().map(|frame| span(frame)[1].round()).collect();
    assert_eq!(means, [21.0, 11.0, 22.0, 22.0]);
    assert_eq!(recognise(&source, &Options::default()).unwrap().name, "generic-rjpeg");
}

#[test]
fn the_program_tells_temperatures_and_how_to_hear_them() {
    let Some(data) = crate::data() else { return };
    let path = data.join("formats/thermal_parser/FLIR_E40.jpg");
    let output = program().arg("inspect").arg(&path).output().unwrap();
    let said = text(&output.stdout);
    for part in ["FLIR E40", "emissivity 0.95", "generic-rjpeg", "LWIR", "degC", "17.87", "24.70"] {
        assert!(said.contains(part), "{part}: {said}{}", text(&output.stderr));
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = program().arg("convert").arg(&path).arg("-o").arg(&out).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    // No model was trained for it, so another one speaks, and says so.
    for part in ["generic-rjpeg", "hituav-lwir speaks for it", "degC is quiet"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // And what it said comes back: the picture's coarse shape, in degrees.
    let back = folder.path().join("back");
    let sound = out.join("FLIR_E40.wav");
    listen(&sound, &back);
    let sent = open(&path.to_string_lossy(), None, &Options::default()).unwrap().next().unwrap();
    let sent = sent.unwrap().letterbox(48, 64);
    let heard = array(&back.join("frames.npy"));
    let errors = sent.data.iter().zip(&heard).map(|(a, b)| f64::from(a - b).powi(2));
    let rms = (errors.sum::<f64>() / sent.data.len() as f64).sqrt();
    let deviation = f64::from(sent.data.std(0.0));
    assert!(heard.len() == sent.data.len() && rms < 0.4 * deviation, "{rms} of {deviation} degC");
}

/// Columns and rows of the pictures made here.
const SIZE: [u16; 2] = [6, 4];

/// How the pixels of a picture made here are stored.
#[derive(Clone, Copy, PartialEq)]
enum Storage {
    Raw,
    Png,
    SwappedPng,
}

/// Counts around 20 degrees, smooth as pictures are.
fn counts() -> Vec<u16> {
    (0..SIZE[0] * SIZE[1]).map(|pixel| 17_300 + 37 * pixel).collect()
}

/// A file of records, header and records each in a byte order of its own.
fn fff(header_big: bool, record_big: bool, storage: Storage) -> Vec<u8> {
    let order2 = |big: bool, n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let order4 = |big: bool, n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut camera = vec![0; 0x470];
    let mut put = |at: usize, bytes: [u8; 4]| camera[at..at + 4].copy_from_slice(&bytes);
    for (at, value) in [
        (0x20, 0.95f32),
        (0x24, 1.0),
        (0x28, 293.15),
        (0x2c, 293.15),
        (0x30, 293.15),
        (0x34, 1.0),
        (0x3c, 0.5),
        (0x58, 21_106.77),
        (0x5c, 1501.0),
        (0x60, 1.0),
        (0x70, 0.006_569),
        (0x74, 0.012_62),
        (0x78, -0.002_276),
        (0x7c, -0.006_67),
        (0x80, 1.9),
        (0x30c, 0.012_545_258),
    ] {
        put(at, order4(record_big, value.to_bits()));
    }
    put(0x308, order4(record_big, (-7340i32).cast_unsigned()));
    camera[..2].copy_from_slice(&order2(record_big, 2));
    camera[0xd4..0xdd].copy_from_slice(b"Camera \x1b7");

    let mut raw = vec![0; 0x20];
    for (at, number) in [(0, 2), (2, SIZE[0]), (4, SIZE[1])] {
        raw[at..at + 2].copy_from_slice(&order2(record_big, number));
    }
    match storage {
        Storage::Raw => raw.extend(counts().into_iter().flat_map(|n| order2(record_big, n))),
        Storage::Png | Storage::SwappedPng => {
            let swap = |n: u16| if storage == Storage::SwappedPng { n.swap_bytes() } else { n };
            let [columns, rows] = SIZE.map(u32::from);
            let pixels = counts().into_iter().map(swap).collect();
            let image =
                ImageBuffer::<Luma<u16>, Vec<u16>>::from_raw(columns, rows, pixels).unwrap();
            let mut png = std::io::Cursor::new(Vec::new());
            image.write_to(&mut png, image::ImageFormat::Png).unwrap();
            raw.extend(png.into_inner());
        }
    }

    let mut file = b"FFF\0".to_vec();
    file.resize(0x40 + 3 * 32, 0);
    let mut put = |at: usize, number: usize| {
        file[at..at + 4].copy_from_slice(&order4(header_big, number as u32));
    };
    put(0x14, 101);
    put(0x18, 0x40);
    put(0x1c, 3);
    let start = 0x40 + 3 * 32;
    for (entry, offset, length) in [(0, start, camera.len()), (2, start + camera.len(), raw.len())]
    {
        put(0x40 + 32 * entry + 0x0c, offset);
        put(0x40 + 32 * entry + 0x10, length);
    }
    file[0x40..0x42].copy_from_slice(&order2(header_big, 0x20));
    file[0x80..0x82].copy_from_slice(&order2(header_big, 0x01));
    file.extend(camera);
    file.extend(raw);
    file
}

/// A JPEG file with `records` inside, in `pieces`, around a picture of it.
fn rjpeg(records: &[u8], pieces: usize, numbered: bool) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    picture(&path);
    let visible = fs::read(path).unwrap();
    let mut file = visible[..2].to_vec();
    for (number, piece) in records.chunks(records.len().div_ceil(pieces)).enumerate() {
        file.extend([0xff, 0xe1]);
        file.extend((piece.len() as u16 + 10).to_be_bytes());
        file.extend(b"FLIR\0\x01");
        file.extend(if numbered { [number as u8, pieces as u8 - 1] } else { [0, 0] });
        file.extend(piece);
        // Other segments lie in between.
        file.extend(b"\xff\xfe\0\x04ab");
    }
    file.extend(&visible[2..]);
    file
}

/// A file in `folder` that holds `bytes`.
fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn every_byte_order_and_storage_gives_the_same_temperatures() {
    let folder = tempfile::tempdir().unwrap();
    let mut pictures = Vec::new();
    for (header_big, record_big) in [(true, true), (true, false), (false, true), (false, false)] {
        for storage in [Storage::Raw, Storage::Png, Storage::SwappedPng] {
            let records = fff(header_big, record_big, storage);
            for bytes in [records.clone(), rjpeg(&records, 3, true), rjpeg(&records, 2, false)] {
                let path = file(folder.path(), "a.fff", &bytes);
                pictures.push(read(&path).unwrap().remove(0));
            }
        }
    }
    assert_eq!(pictures.len(), 36);
    for picture in &pictures {
        assert_eq!(picture.data, pictures[0].data);
    }
    // Thermimage's README gives 18.304, 22.101, 22.463 and 24.774 degrees for
    // 17171, 17808, 17870 and 18272 counts of this camera.
    let (first, last) = (pictures[0].data[(0, 0, 0)], pictures[0].data[(0, 3, 5)]);
    assert!(18.304 < first && first < 22.101, "{first} for 17300 counts");
    assert!(22.463 < last && last < 24.774, "{last} for 18151 counts");
}

#[test]
fn a_kelvin_profile_gets_kelvin_and_one_of_counts_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.fff", &fff(true, false, Storage::Raw));
    let celsius = read(&path).unwrap().remove(0);
    let mut profile = Profile::find("generic-rjpeg").unwrap();
    let mut bands = profile.listed_bands().unwrap().to_vec();
    bands[0].unit = wysiwyh::frame::Unit::Kelvin;
    (bands[0].scale, bands[0].offset) = (0.01, 100.0);
    profile.bands = wysiwyh::profile::Bands::Listed(bands);
    let kelvin =
        Flir::open(&path, Some(&profile), Object::default()).unwrap().next().unwrap().unwrap();
    let difference = kelvin.data[(0, 1, 1)] - celsius.data[(0, 1, 1)];
    assert!((difference - 273.15).abs() < 1e-3, "{difference}");
    let counts = Profile::find("hituav-lwir").unwrap();
    let error = Flir::open(&path, Some(&counts), Object::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.fault, Fault::Usage);
    assert!(error.to_string().contains("temperatures"), "{error}");
}

#[test]
fn what_the_camera_says_cannot_steer_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.fff", &fff(true, false, Storage::Raw));
    let description =
        Flir::open(&path, None, Object::default()).unwrap().source().description.clone();
    assert!(description.contains("Camera 7"), "{description:?}");
}

#[test]
fn a_file_cut_anywhere_is_refused_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    let records = fff(true, false, Storage::SwappedPng);
    let whole = read(&file(folder.path(), "a.fff", &records)).unwrap().remove(0);
    for length in 0..records.len() {
        let path = file(folder.path(), "a.fff", &records[..length]);
        match read(&path) {
            // Of the last bytes, some are no pixels.
            Ok(frames) => assert_eq!(frames[0].data, whole.data, "{length}"),
            Err(error) => assert!(error.to_string().contains("a.fff"), "{error}"),
        }
    }
    let jpeg = rjpeg(&records, 3, true);
    let (mut refused, mut sound) = (0, 0);
    for length in 0..jpeg.len() {
        match read(&file(folder.path(), "a.jpg", &jpeg[..length])) {
            // The temperatures lie in front of the visible picture.
            Ok(frames) => {
                assert_eq!(frames[0].data, whole.data, "{length} of {} bytes", jpeg.len());
                sound += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0 && sound > 0, "{refused} refused, {sound} sound");
}

#[test]
fn emptied_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let camera = 0x40 + 3 * 32;
    for (at, said) in [(0x20, "emissivity is 0"), (0x34, "window is 0"), (0x58, "R1 is 0")] {
        let mut records = fff(true, false, Storage::Raw);
        records[camera + at..camera + at + 4].fill(0);
        let error = read(&file(folder.path(), "a.fff", &records)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn damaged_files_end_in_frames_or_in_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::named(1, "damaged radiometric files");
    let originals = [
        fff(true, false, Storage::SwappedPng),
        fff(false, true, Storage::Raw),
        [fff(true, true, Storage::Raw), fff(true, true, Storage::Raw)].concat(),
        rjpeg(&fff(true, false, Storage::Png), 4, true),
    ];
    let (mut read_whole, mut refused) = (0, 0);
    for round in 0..600 {
        let mut bytes = originals[round % originals.len()].clone();
        for _ in 0..1 + random.below(4) {
            let reach = if random.uniform() < 0.7 { bytes.len().min(0x180) } else { bytes.len() };
            let at = random.below(reach);
            match random.below(4) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = random.below(256) as u8,
                2 => {
                    let end = (at + 4).min(bytes.len());
                    bytes[at..end].fill(0xff);
                }
                _ => bytes.truncate(1 + random.below(bytes.len())),
            }
        }
        match read(&file(folder.path(), "a.fff", &bytes)) {
            Ok(_) => read_whole += 1,
            Err(error) => {
                assert!(error.to_string().contains("a.fff"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(read_whole > 50 && refused > 100, "{read_whole} read, {refused} refused");
}
