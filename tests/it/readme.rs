//! Every command of the README does what it is there for.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use gdal::DriverManager;
use gdal::raster::Buffer;
use image::{GrayImage, Luma};

use crate::cli::text;
use crate::speaker::Pulse;

/// Commands that are not run here, and where they are.
const ELSEWHERE: [(&str, &str); 7] = [
    ("make demo", "builds, and the demo is in cli.rs"),
    ("make test", "runs this"),
    ("wysiwyh view", "opens a window, see watch.rs"),
    ("wysiwyh listen --live", "waits for a sound, see speaker.rs"),
    ("--resume", "goes on from what was broken off, see train.rs"),
    ("wysiwyh practice", "asks, see practice.rs"),
    ("wysiwyh hearing", "asks for two minutes, see hearing.rs"),
];

/// The lines of the README's shell blocks, in order.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split_once("```").unwrap().0.to_owned());
    blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// A scene of 128 x 128 pixels in the 12 bands of Sentinel-2, which differ.
fn scene(path: &Path) {
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let mut scene = driver.create_with_band_type::<u16, _>(path, 128, 128, 12).unwrap();
    scene.set_geo_transform(&[300_000.0, 10.0, 0.0, 6_100_020.0, 0.0, -10.0]).unwrap();
    for band in 1..=12 {
        let value = |at: usize| (500 + 150 * band + 10 * (at % 128) + 7 * (at / 128)) as u16;
        let mut numbers = Buffer::new((128, 128), (0..128 * 128).map(value).collect());
        scene.rasterband(band).unwrap().write((0, 0), (128, 128), &mut numbers).unwrap();
    }
}

/// Pictures of eight flights, named as HIT-UAV's are.
fn flights(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for index in 0..32u32 {
        let (flight, shift) = (index / 4, index % 4);
        let warmth = |x: u32, y: u32| (30 + 3 * flight + 2 * x + (y * (shift + 1)) % 60) as u8;
        let picture = GrayImage::from_fn(64, 51, |x, y| Luma([warmth(x, y)]));
        picture.save(folder.join(format!("0_{flight}_30_0_{shift:05}.png"))).unwrap();
    }
}

/// Everything that the README's commands are given, in `folder`.
fn files(folder: &Path) {
    for (name, colours) in [("film.mp4", "yuv420p"), ("flight.mp4", "gray")] {
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=10", "-t", "1"])
            .args(["-pix_fmt", colours])
            .arg(folder.join(name))
            .status();
        assert!(made.unwrap().success());
    }
    for name in ["scenes/scene.tif", "archive/a/one.tif", "archive/b/two.tif"] {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        scene(&path);
    }
    flights(&folder.join("frames"));
    flights(&folder.join("hituav"));
}

/// `line` as it is run here: what never ends is asked to once it has said how,
/// and ten minutes of training become ten steps.
fn shortened(line: &str) -> String {
    if line == "wysiwyh live simulated:1" {
        // Without job control a shell has its background jobs ignore Ctrl-C.
        return format!(
            "set -m; {line} 2> said & until grep -q Ctrl-C said; do sleep 0.1; \
             kill -0 $! || break; done; kill -INT $!; wait $!; code=$?; cat said >&2; exit $code"
        );
    }
    line.replace("--minutes 10", "--steps 10")
}

#[test]
fn every_command_of_the_readme_works() {
    if Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status().is_err() {
        return eprintln!("skipped, ffmpeg is not installed");
    }
    let Some(pulse) = Pulse::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let program = Path::new(env!("CARGO_BIN_EXE_wysiwyh")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let shell = |line: &str| {
        let mut shell = pulse.command("bash");
        shell.env("PATH", &path).current_dir(folder.path()).args(["-c", line]);
        shell.stdin(Stdio::null()).output().unwrap()
    };
    let mut run = 0;
    for line in commands() {
        if ELSEWHERE.iter().any(|(part, _)| line.contains(part)) {
            continue;
        }
        if line.contains("copy.mp3") {
            shell("ffmpeg -v error -i sounds/scene.wav copy.mp3");
        }
        let output = shell(&shortened(&line));
        assert!(output.status.success(), "{line}\n{}", text(&output.stderr));
        run += 1;
    }
    assert!(run >= 15, "only {run} commands were found");
}
