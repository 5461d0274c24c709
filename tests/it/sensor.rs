//! Where frames come from: real files, generated video, damaged input.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ndarray::{Array3, s};
use wysiwyh::sensor::{Options, Stack, open};
use wysiwyh::{Fault, Frame, Profile};

use crate::skipped::skipped;

/// Every frame of `source`, and the error that ended it.
fn read(source: &Path, profile: Option<&Profile>) -> (Vec<Frame>, Option<wysiwyh::Error>) {
    match open(&source.to_string_lossy(), profile, &Options::default()) {
        Ok(sensor) => all(sensor),
        Err(error) => (Vec::new(), Some(error)),
    }
}

fn all(
    sensor: impl Iterator<Item = wysiwyh::Result<Frame>>,
) -> (Vec<Frame>, Option<wysiwyh::Error>) {
    let (mut frames, mut end) = (Vec::new(), None);
    for frame in sensor {
        assert!(end.is_none(), "an error ends the iteration");
        match frame {
            Ok(frame) => frames.push(frame),
            Err(error) => end = Some(error),
        }
    }
    (frames, end)
}

/// Every frame of `source`, which must be sound.
fn frames(source: &Path, profile: Option<&Profile>) -> Vec<Frame> {
    let (frames, error) = read(source, profile);
    assert!(error.is_none(), "{}", error.unwrap());
    frames
}

/// The error with which `source` is refused or ends.
fn error(source: &Path) -> wysiwyh::Error {
    let (frames, error) = read(source, None);
    let file = source.display().to_string();
    let error = error.unwrap_or_else(|| panic!("{file} gave {} frames", frames.len()));
    let message = error.to_string();
    let name = source.file_name().unwrap().to_string_lossy();
    assert!(message.contains(&*name), "names its subject: {message}");
    assert!(!message.trim_end().contains('\n'), "is one line: {message}");
    error
}

fn expected(data: &Path) -> serde_json::Value {
    let text = fs::read_to_string(data.join("formats/EXPECTED.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn sum(frame: &Frame) -> f64 {
    frame.data.iter().map(|&v| f64::from(v)).sum()
}

/// Whether `ffmpeg` is installed; where it is not, a line says so.
fn ffmpeg_is_missing() -> bool {
    let missing = Command::new("ffmpeg").arg("-version").output().is_err();
    if missing {
        skipped("ffmpeg is not installed");
    }
    missing
}

/// Runs `ffmpeg` with `arguments`, its input from memory.
fn ffmpeg(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may stop listening as soon as it has what it wants.
    let feeder = std::thread::spawn(move || pipe.write_all(&input).is_ok());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success(), "ffmpeg {arguments:?}");
    output.stdout
}

/// A moving pattern of 16-bit counts below `limit`, frame after frame.
fn counts(frames: usize, pixels: usize, limit: usize) -> Vec<u16> {
    (0..frames * pixels).map(|at| ((at * 7919 + at / pixels * 31) % limit) as u16).collect()
}

fn bytes(counts: &[u16]) -> Vec<u8> {
    counts.iter().flat_map(|count| count.to_le_bytes()).collect()
}

/// Makes the video `name` in `folder` from raw frames.
fn video(folder: &Path, name: &str, input: &[&str], output: &[&str], raw: &[u8]) -> PathBuf {
    let path = folder.join(name);
    let mut arguments = vec!["-f", "rawvideo"];
    arguments.extend(input);
    arguments.extend(["-i", "pipe:0"]);
    arguments.extend(output);
    let target = format!("file:{}", path.display());
    arguments.push(&target);
    ffmpeg(&arguments, raw);
    path
}

#[test]
fn a_folder_is_one_sequence_in_natural_order() {
    let Some(data) = crate::data() else { return };
    let profile = Profile::find("hituav-lwir").unwrap();
    let sensor = open(
        &data.join("hituav").to_string_lossy(),
        Some(&profile),
        &Options { frames: Some(3), ..Options::default() },
    )
    .unwrap();
    let source = sensor.source().clone();
    assert_eq!((source.frames, source.rows, source.columns), (Some(3), 512, 640));
    assert_eq!((source.bands.len(), source.bands[0].name.as_str()), (1, "LWIR"));
    assert_eq!((source.period_s, all(sensor).0.len()), (None, 3));

    let folder = tempfile::tempdir().unwrap();
    let mut pictures: Vec<_> =
        fs::read_dir(data.join("hituav")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pictures.sort();
    for (picture, name) in pictures.iter().zip(["frame10.jpg", "frame9.jpg", "frame1.JPG"]) {
        fs::copy(picture, folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    let frames = frames(folder.path(), Some(&profile));
    assert_eq!(frames.len(), 3);
    assert!(frames[1].time_s > frames[0].time_s);
    if ffmpeg_is_missing() {
        return;
    }
    for (frame, picture) in frames.iter().zip([&pictures[2], &pictures[1], &pictures[0]]) {
        // A second decoder of JPEG; both round.
        let picture = picture.to_string_lossy();
        let grey = ["-i", &*picture, "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"];
        let other = ffmpeg(&grey, &[]);
        assert_eq!(frame.data.len(), other.len());
        for (&value, &other) in frame.data.iter().zip(&other) {
            assert!((value - f32::from(other)).abs() <= 2.0, "{picture}: {value}, {other}");
        }
    }
}

#[test]
fn pages_are_frames() {
    let Some(data) = crate::data() else { return };
    let expected = &expected(&data)["cptv"]["cacophony-cptv/derived_lepton3_40frames_u16.tif"];
    let path = data.join("formats/cacophony-cptv/derived_lepton3_40frames_u16.tif");
    let frames = frames(&path, None);
    assert_eq!(frames.len() as u64, expected["pages"].as_u64().unwrap());
    assert_eq!(frames[39].data.shape(), [1, 120, 160]);
    let total: f64 = frames.iter().map(sum).sum();
    assert_eq!(total, expected["sum_all"].as_f64().unwrap());
}

#[test]
fn every_plain_layout_of_tiff_gives_its_sum_and_the_others_an_error() {
    let Some(data) = crate::data() else { return };
    // These decode without complaint, but their pixels need more care than
    // the plain reader takes.
    let refused = ["u16_13b_photometric_rgb.tif", "u16_13b_internal_mask.tif"];
    let mut read = 0;
    let matrix = expected(&data);
    for (name, expected) in matrix["generated_tiff_matrix"].as_object().unwrap() {
        let path = data.join("formats").join(name);
        let outcome = expected["tiff_0_11_3"].as_str().unwrap();
        let plain = outcome.starts_with("ok") && !refused.iter().any(|r| name.ends_with(r));
        match Stack::open(&path, None).map(all) {
            Ok((frames, None)) => {
                assert!(plain, "{name} should have been refused: {outcome}");
                // The scaled one is compared with another reader below.
                if !name.ends_with("scale_offset_nodata.tif") {
                    let whole = expected["sum_all_samples"].as_f64().unwrap();
                    assert_eq!(sum(&frames[0]), whole, "{name}");
                }
                let samples = expected["samples"].as_u64().unwrap();
                assert_eq!(frames[0].bands.len() as u64, samples, "{name}");
                read += 1;
            }
            Ok((_, Some(error))) | Err(error) => {
                // Compression by Zstandard is not built in.
                assert!(!plain || name.contains("zstd"), "{name}: {error}");
                assert!(error.to_string().contains(".tif"), "{error}");
            }
        }
    }
    assert!(read >= 9, "{read} files were read");
}

#[cfg(feature = "gdal")]
#[test]
fn both_readers_of_tiff_agree() {
    use wysiwyh::sensor::raster::Raster;

    let Some(data) = crate::data() else { return };
    let formats = data.join("formats");
    for name in [
        "terramind/S2L2A/38D_378R_2_3.tif",
        "stars/L7_ETMs.tif",
        "flirpy/example_radiometric.tiff",
        "generated-tiff-matrix/u16_13b_scale_offset_nodata.tif",
        "generated-tiff-matrix/u16_300b_separate.tif",
        "georust-gdal/offset_scaled_tinymarble.tif",
        "enmap-potsdam/enmap_potsdam_tile_96_96.tif",
    ] {
        let path = formats.join(name);
        let raster = Raster::open(&path, None).unwrap().next().unwrap().unwrap();
        let stack = Stack::open(&path, None).unwrap().next().unwrap().unwrap();
        if raster.data.shape() != stack.data.shape() {
            // Only GDAL reads the list of bad bands.
            assert!(raster.bands.len() < stack.bands.len(), "{name}");
            continue;
        }
        for (at, (a, b)) in raster.data.iter().zip(&stack.data).enumerate() {
            let same = a == b || a.is_nan() && b.is_nan();
            assert!(same, "{name}: number {at} is {a} in one, {b} in the other");
        }
    }
}

#[test]
fn hostile_tiff_files_end_in_frames_or_in_an_error() {
    let Some(data) = crate::data() else { return };
    let mut files = Vec::new();
    let mut folders = vec![data.join("formats/image-tiff"), data.join("formats/gdal-autotest")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(ending) if ending == "tif" || ending == "tiff" => files.push(path),
                _ => {}
            }
        }
    }
    let (mut sound, mut refused) = (0, 0);
    for file in files {
        match Stack::open(&file, None).map(all) {
            Ok((_, None)) => sound += 1,
            Ok((_, Some(error))) | Err(error) => {
                assert!(error.to_string().contains(".tif"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(sound > 100 && refused > 50, "{sound} sound, {refused} refused");
}

#[test]
fn grey_video_keeps_every_count_at_its_own_rate_and_shape() {
    if ffmpeg_is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (rate, period_s, format, limit) in [
        ("30", 1.0 / 30.0, "gray16le", 65_536),
        ("9", 1.0 / 9.0, "gray16le", 65_536),
        ("30000/1001", 1001.0 / 30_000.0, "gray10le", 1024),
    ] {
        // 5:4, as many thermal cameras are.
        let raw = counts(31, 80 * 64, limit);
        let input = ["-pix_fmt", format, "-s", "80x64", "-r", rate];
        let name = "-30 fps.mkv";
        let path = video(folder.path(), name, &input, &["-c:v", "ffv1"], &bytes(&raw));
        let sensor = open(&path.to_string_lossy(), None, &Options::default()).unwrap();
        let source = sensor.source().clone();
        assert!((source.period_s.unwrap() - period_s).abs() < 1e-9, "{source:?}");
        assert_eq!((source.rows, source.columns, source.bands.len()), (64, 80, 1));
        let (frames, error) = all(sensor);
        assert!(error.is_none(), "{}", error.unwrap());
        assert_eq!(frames.len(), 31, "{rate}");
        let read: Vec<u16> = frames.iter().flat_map(|f| f.data.iter().map(|&v| v as u16)).collect();
        assert!(read == raw, "{format} at {rate}");
        assert!((frames[30].time_s - 30.0 * period_s).abs() < 1e-9);
    }
}

#[test]
fn colour_video_is_three_bands_and_one_for_a_profile_of_one() {
    if ffmpeg_is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw: Vec<u8> = (0..4 * 3 * 48 * 36).map(|at| (at * 31 % 251) as u8).collect();
    let input = ["-pix_fmt", "rgb24", "-s", "48x36", "-r", "25"];
    let path = video(folder.path(), "a.avi", &input, &["-c:v", "ffv1"], &raw);
    let exact = frames(&path, None);
    assert_eq!(exact.len(), 4);
    assert_eq!(exact[0].bands[2].common_name.as_deref(), Some("blue"));
    for ((band, row, column), &value) in exact[3].data.indexed_iter() {
        assert_eq!(value, f32::from(raw[((3 * 36 + row) * 48 + column) * 3 + band]));
    }

    let profile = Profile::find("hituav-lwir").unwrap();
    let (_, error) = read(&path, Some(&profile));
    let error = error.unwrap().to_string();
    assert!(error.contains("has 3 bands") && error.contains("lists 1"), "{error}");

    // Grey pictures that went through a lossy colour codec.
    let raw: Vec<u8> = (0..10 * 64 * 48).map(|at| (at % 64 * 3 + at / 64 % 48) as u8).collect();
    let input = ["-pix_fmt", "gray", "-s", "64x48", "-r", "25"];
    let codec = ["-c:v", "mpeg4", "-pix_fmt", "yuv420p", "-q:v", "2", "-bf", "2"];
    let path = video(folder.path(), "b.mp4", &input, &codec, &raw);
    let grey = frames(&path, Some(&profile));
    assert_eq!((grey.len(), grey[9].data.shape()), (10, &[1, 48, 64][..]));
    let difference: f32 =
        grey[0].data.iter().zip(&raw).map(|(&a, &b)| (a - f32::from(b)).abs()).sum();
    assert!(difference / (64.0 * 48.0) < 4.0, "{difference}");
}

#[test]
fn the_time_of_a_video_stays_true_when_its_rate_varies() {
    if ffmpeg_is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Picture n is filled with 5 n; from picture 20 on, six of seven are gone.
    let raw: Vec<u8> = (0..50u8).flat_map(|n| vec![5 * n; 16 * 16]).collect();
    let kept = |n: usize| n < 20 || n.is_multiple_of(7);
    let select = ["-vf", "select='not(mod(n,7))+lt(n,20)'", "-fps_mode", "vfr", "-c:v", "ffv1"];
    let input = ["-pix_fmt", "gray", "-s", "16x16", "-r", "25"];
    let path = video(folder.path(), "a.mkv", &input, &select, &raw);
    let frames = frames(&path, None);
    assert_eq!(frames.len(), 50);
    for frame in frames {
        let now = (frame.time_s * 25.0).round() as usize;
        let shown = (0..=now).rev().find(|&n| kept(n)).unwrap();
        assert_eq!(frame.data[(0, 8, 8)], 5.0 * shown as f32, "at {} s", frame.time_s);
    }
}

#[test]
fn a_video_filmed_sideways_is_upright() {
    if ffmpeg_is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw: Vec<u8> = (0..2 * 48 * 32).map(|at| (at % 48 * 4) as u8).collect();
    let input = ["-pix_fmt", "gray", "-s", "48x32", "-r", "25"];
    let level = video(folder.path(), "level.mp4", &input, &["-c:v", "mpeg4"], &raw);
    let sideways = folder.path().join("sideways.mp4");
    let names = [&level, &sideways].map(|path| path.to_string_lossy().into_owned());
    let rotate = ["-i", &names[0], "-c", "copy", "-metadata:s:v:0", "rotate=90", &names[1]];
    ffmpeg(&rotate, &[]);
    // What another program makes of the first picture.
    let picture = ["-i", &names[1], "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "pipe:1"];
    let other = image::load_from_memory(&ffmpeg(&picture, &[])).unwrap().to_rgb8();
    let frame = frames(&sideways, None).remove(0);
    assert_eq!(frame.data.shape(), [3, other.height() as usize, other.width() as usize]);
    for (x, y, pixel) in other.enumerate_pixels() {
        assert_eq!(frame.data[(1, y as usize, x as usize)], f32::from(pixel.0[1]));
    }
}

#[test]
fn an_incomplete_video_delivers_what_it_has_and_says_so() {
    if ffmpeg_is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = counts(60, 80 * 64, 65_536);
    let input = ["-pix_fmt", "gray16le", "-s", "80x64", "-r", "30"];
    let path = video(folder.path(), "a.mkv", &input, &["-c:v", "ffv1"], &bytes(&raw));
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let (frames, error) = read(&path, None);
    assert!((20..40).contains(&frames.len()), "{} frames", frames.len());
    let error = error.unwrap().to_string();
    let said = format!("ended after {} frames of about 60", frames.len());
    assert!(error.contains(&said), "{error}");
    fs::write(&path, &whole[..100]).unwrap();
    assert!(super::sensor::error(&path).to_string().contains("holds no"));
}

#[test]
fn a_video_that_is_not_watched_to_its_end_is_let_go() {
    if ffmpeg_is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Far more than fits into a pipe, so that the other end has to wait.
    let raw = counts(120, 320 * 240, 65_536);
    let input = ["-pix_fmt", "gray16le", "-s", "320x240", "-r", "30"];
    let path = video(folder.path(), "a.mkv", &input, &["-c:v", "ffv1"], &bytes(&raw));
    let mut sensor = open(&path.to_string_lossy(), None, &Options::default()).unwrap();
    assert!(sensor.next().unwrap().is_ok());
    let needle = path.to_string_lossy().into_owned();
    assert_eq!(running(&needle), 1);
    drop(sensor);
    assert_eq!(running(&needle), 0);
}

/// How many processes have `needle` in their command line.
fn running(needle: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok());
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(needle))
        .count()
}

#[test]
fn damaged_input_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let missing = error(&folder.path().join("missing.tif"));
    assert!(missing.to_string().ends_with("not found"), "{missing}");
    for name in ["a.tif", "a.png", "a.mp4", "a.nc"] {
        assert!(error(&file(name, b"")).to_string().ends_with("is empty (0 bytes)"));
        error(&file(name, b"This is no picture, but a letter to the editor.\n"));
        error(&file(name, b"II*\0"));
        error(&file(name, b"MM\0*\xff\xff\xff\xff"));
        error(&file(name, b"\x89PNG\r\n\x1a\n\0\0"));
        error(&file(name, b"\xff\xd8\xff\xe0\0\x10JFIF\0"));
    }
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(error(&empty).to_string().contains("holds no pictures"));

    let whole = folder.path().join("whole.png");
    image::GrayImage::from_fn(64, 64, |x, y| image::Luma([(x * y) as u8])).save(&whole).unwrap();
    let whole = fs::read(whole).unwrap();
    error(&file("half.png", &whole[..whole.len() / 2]));
}

#[test]
fn an_unreadable_picture_in_the_middle_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for number in [1, 2, 3, 10] {
        let path = folder.path().join(format!("{number}.png"));
        image::GrayImage::from_pixel(8, 8, image::Luma([number])).save(path).unwrap();
    }
    fs::write(folder.path().join("3.png"), b"\x89PNG\r\n\x1a\nnothing").unwrap();
    let (frames, error) = read(folder.path(), None);
    assert_eq!(frames.iter().map(|f| f.data[(0, 0, 0)]).collect::<Vec<_>>(), [1.0, 2.0]);
    assert!(error.unwrap().to_string().contains("3.png"));
}

#[test]
fn sizes_beyond_the_budget_are_refused_with_numbers() {
    let folder = tempfile::tempdir().unwrap();
    // A TIFF header of one grey page of 60000 x 60000 pixels.
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let tags: [(u16, u16, u32); 9] = [
        (256, 4, 60_000),
        (257, 4, 60_000),
        (258, 3, 16),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, 60_000),
        (279, 4, 7_200_000),
    ];
    tiff.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, value) in tags {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(1u32.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend([0; 4]);
    let path = folder.path().join("huge.tif");
    fs::write(&path, tiff).unwrap();
    let message = Stack::open(&path, None).unwrap_err().to_string();
    assert!(message.contains("60000 x 60000") && message.contains("1024 MiB"), "{message}");
    error(&path);

    // A bitmap that says it has 30000 x 30000 pixels of 24 bits.
    let mut bitmap = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bitmap.extend(30_000u32.to_le_bytes());
    bitmap.extend(30_000u32.to_le_bytes());
    bitmap.extend(b"\x01\0\x18\0".iter().chain(&[0; 24]));
    let path = folder.path().join("huge.bmp");
    fs::write(&path, bitmap).unwrap();
    let message = error(&path).to_string();
    assert!(message.contains("30000 x 30000") && message.contains("1024 MiB"), "{message}");
}

#[test]
fn a_picture_is_tiled_and_comes_together_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    image::GrayImage::from_fn(70, 50, |x, y| image::Luma([(x * 3 + y) as u8])).save(&path).unwrap();
    let options = Options { chip: Some(32), ..Options::default() };
    let sensor = open(&path.to_string_lossy(), None, &options).unwrap();
    let source = sensor.source().clone();
    assert_eq!((source.frames, source.rows, source.columns), (Some(6), 32, 32));
    assert_eq!(source.scene.as_ref().map(|scene| (scene.rows, scene.columns)), Some((50, 70)));
    let (chips, _) = all(sensor);
    let positions: Vec<_> = chips.iter().map(|chip| chip.position).collect();
    assert_eq!(positions, [(0, 0), (0, 32), (0, 64), (32, 64), (32, 32), (32, 0)]);
    let mut whole = Array3::from_elem((1, 64, 96), f32::NAN);
    for chip in chips {
        let (row, column) = chip.position;
        whole.slice_mut(s![.., row..row + 32, column..column + 32]).assign(&chip.data);
    }
    for ((_, row, column), &value) in whole.indexed_iter() {
        match row < 50 && column < 70 {
            true => assert_eq!(value, ((column * 3 + row) % 256) as f32),
            false => assert!(value.is_nan()),
        }
    }
}

#[test]
fn the_simulated_camera_follows_its_options() {
    let options = Options { seed: 5, frames: Some(4), ..Options::default() };
    let (a, _) = all(open("simulated", None, &options).unwrap());
    let other = Options { seed: 1, frames: Some(4), ..Options::default() };
    let (b, _) = all(open("simulated:5", None, &other).unwrap());
    assert_eq!(a.len(), 4);
    assert!(a.iter().zip(&b).all(|(a, b)| a.data == b.data && a.time_s == b.time_s));
    let endless = open("simulated", None, &Options::default()).unwrap();
    assert_eq!((endless.source().frames, endless.source().period_s), (None, Some(1.0 / 9.0)));
    let error = open("simulated:x", None, &options).map(|_| ()).unwrap_err();
    assert_eq!(error.fault, Fault::Usage);
    let many = Profile::find("sentinel2-l2a").unwrap();
    let error = open("simulated", Some(&many), &options).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("1 band") && error.contains("lists 12"), "{error}");
}
