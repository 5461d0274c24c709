//! Raw pixels from standard input, named pipes and files, with the real
//! program.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use wysiwyh::sink;

use crate::cli::{names_in, program, refused, text};
use crate::pulse::interrupt;

/// A camera that streams hundredths of a kelvin.
const TLINEAR: &str = r#"
name = "tlinear"
title = "Lepton in its linear mode"
source = "frames"
tested = "never"
range = [0.0, 60.0]
[[bands]]
name = "LWIR"
wavelength_um = 11.0
fwhm_um = 6.0
unit = "celsius"
scale = 0.01
offset = -273.15
"#;

/// So many pictures of 64 x 48 pixels around 20 degC, `gray16le`.
fn pictures(count: u16) -> Vec<u8> {
    let pixels = (0..count).flat_map(|n| (0..64 * 48).map(move |at| 29_315 + n + at % 64));
    pixels.flat_map(u16::to_le_bytes).collect()
}

fn profile(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("tlinear.toml");
    fs::write(&path, TLINEAR).unwrap();
    path
}

#[test]
fn brightness_on_a_screen_is_no_temperature() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, png) = (folder.path().join("a.raw"), folder.path().join("a.png"));
    fs::write(&raw, [200; 64 * 48]).unwrap();
    image::GrayImage::from_pixel(64, 48, image::Luma([200])).save(&png).unwrap();
    let sensor = profile(folder.path());
    let inspect = |arguments: &[&str], path: &Path| {
        let mut inspect = program();
        inspect.arg("inspect").args(arguments).arg("--sensor").arg(&sensor).arg(path);
        inspect.output().unwrap()
    };
    let what = "stores numbers up to 255, which are brightness on a screen";
    refused(&inspect(&["--raw", "gray8", "64x48@9"], &raw), 2, what);
    refused(&inspect(&[], &png), 2, what);
}

#[test]
fn floats_are_the_temperatures_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("a.raw");
    fs::write(&raw, [31.25f32.to_le_bytes(); 64 * 48].concat()).unwrap();
    let mut inspect = program();
    inspect.args(["inspect", "--raw", "f32le", "64x48@9", "--say", "--sensor"]);
    let output = inspect.arg(profile(folder.path())).arg(&raw).output().unwrap();
    assert!(text(&output.stdout).contains("31.25"), "{}", text(&output.stdout));
}

#[test]
fn temperatures_come_through_a_pipe_and_a_short_end_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = pictures(3);
    bytes.truncate(2 * 6144 + 100);
    let npy = folder.path().join("a.npy");
    let mut inspect = program();
    inspect.args(["inspect", "--raw", "gray16le", "64x48@9", "--sensor"]);
    inspect.arg(profile(folder.path())).arg("--npy").arg(&npy);
    let output = inspect.write_stdin(bytes.clone()).output().unwrap();
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{told}");
    for part in ["raw gray16le", "2 frames of 48 rows x 64 columns", "9.000 frames", "20.0000"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(told.contains("ended after 2 pictures and 100 of 6144 bytes"), "{told}");
    let array = fs::read(&npy).unwrap();
    let last = f32::from_le_bytes(array[array.len() - 4..].try_into().unwrap());
    assert!((last - 20.64).abs() < 1e-4, "{last}");

    // The same bytes in a file, by name.
    let file = folder.path().join("a.raw");
    fs::write(&file, &bytes).unwrap();
    let output = program().args(["inspect", "--raw", "y16", "64x48"]).arg(&file).output().unwrap();
    let said = text(&output.stdout);
    assert!(said.contains("2 frames of 48 rows") && said.contains("29315.0"), "{said}");
}

#[test]
fn a_pipe_is_converted_and_heard() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let raw = ["--raw", "gray16le", "64x48@9", "--sensor", "simulated-lwir"];
    let mut convert = program();
    convert.arg("convert").args(raw).arg("-o").arg(&out).write_stdin(pictures(9));
    let output = convert.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(names_in(&out), ["stdin.parquet", "stdin.record.json", "stdin.wav"]);
    // Nine pictures at nine a second are ten slots.
    let frames = |path: &Path| sink::read(path).unwrap().header.unwrap().frames;
    assert_eq!(frames(&out.join("stdin.wav")), Some(10));
    // What comes through it next is something else, and takes no place of this.
    let mut convert = program();
    convert.arg("convert").args(raw).arg("-o").arg(&out).write_stdin(pictures(4));
    assert!(convert.output().unwrap().status.success());
    let lengths = ["stdin.wav", "stdin-2.wav"].map(|name| frames(&out.join(name)));
    assert_eq!(lengths, [Some(10), Some(5)]);

    let wav = folder.path().join("live.wav");
    let mut live = program();
    live.args(["live", "-", "--no-speaker", "-o"]).arg(&wav).args(raw);
    let output = live.write_stdin(pictures(9)).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let heard = frames(&wav).unwrap();
    assert!((9..=12).contains(&heard), "{heard}");
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let raw = |format: &str, size: &str| {
        let mut inspect = program();
        inspect.args(["inspect", "--raw", format, size]).write_stdin(vec![0; 100]);
        inspect.output().unwrap()
    };
    refused(&raw("gray7", "8x8@9"), 2, "gray7");
    refused(&raw("gray8", "8:8"), 2, "8:8 is no size");
    refused(&raw("gray8", "99999x99999"), 2, "read at once");
    refused(&raw("gray8", "64x48@9"), 1, "ended after 100 bytes, and a picture takes 3072");
    let mut live = program();
    let output = live.args(["live", "--raw", "gray8", "8x8@9", "--no-speaker"]).output().unwrap();
    refused(&output, 2, "which instrument");
    let output = program().args(["inspect", "-"]).output().unwrap();
    refused(&output, 1, "not found");
    assert!(text(&output.stderr).contains("--raw FORMAT SIZE@RATE"));
}

#[cfg(unix)]
#[test]
fn a_writer_that_stops_keeps_nobody_from_ending() {
    for seconds in [Some("0.5"), None] {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, wav) = (folder.path().join("pipe"), folder.path().join("a.wav"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut live = Command::new(env!("CARGO_BIN_EXE_wysiwyh"));
        live.args(["live", "--raw", "gray16le", "64x48@9", "--sensor", "simulated-lwir"]);
        live.args(["--plain", "--no-speaker", "-o"]).arg(&wav).arg(&pipe);
        live.args(seconds.into_iter().flat_map(|seconds| ["--seconds", seconds]));
        let mut live = live.stderr(Stdio::piped()).spawn().unwrap();
        let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        writer.write_all(&pictures(1)).unwrap();
        let mut lines = BufReader::new(live.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("You will hear")));
        if seconds.is_none() {
            interrupt(&live);
        }
        // It ends while the pipe is still open.
        assert!(live.wait().unwrap().success());
        assert!(sink::read(&wav).unwrap().header.is_some());
        drop(writer);
    }
}

/// What a pipe showed comes no second time.
#[cfg(unix)]
#[test]
fn a_pipe_that_is_stopped_keeps_what_was_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, out) = (folder.path().join("pipe"), folder.path().join("out"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut convert = Command::new(env!("CARGO_BIN_EXE_wysiwyh"));
    convert.args(["convert", "--raw", "gray16le", "64x48", "--sensor", "simulated-lwir"]);
    convert.args(["--plain", "-o"]).args([&out, &pipe]).stderr(Stdio::piped());
    let convert = convert.spawn().unwrap();
    let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    // Far more than fit into the pipe and its reader.
    for _ in 0..300 {
        writer.write_all(&pictures(1)).unwrap();
    }
    interrupt(&convert);
    while writer.write_all(&pictures(1)).is_ok() {}
    let output = convert.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("stopped before its end; what came before that is kept"), "{said}");
    assert_eq!(names_in(&out), ["pipe.parquet", "pipe.record.json", "pipe.wav"]);
    let frames = sink::read(&out.join("pipe.wav")).unwrap().header.unwrap().frames;
    assert!(frames.unwrap() >= 250, "{frames:?}");
}
