//! Every command of the README and of the guides in docs/ does what it is there
//! for, and their links lead somewhere.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use gdal::DriverManager;
use gdal::raster::Buffer;
use image::{GrayImage, Luma};
use ndarray::Axis;
use wysiwyh::profile::{Profile, Tested};

use crate::cli::{names_in, program, text};
use crate::scene::psnr_db;
use crate::skipped::skipped;
use crate::speaker::Pulse;
use crate::trip::{array, convert};

/// Commands that are not run here, and where they are.
const ELSEWHERE: [(&str, &str); 11] = [
    ("make demo", "builds, and the demo is in trip.rs"),
    ("make install", "builds, and writes into the user's own folder"),
    ("wysiwyh sensors probe", "looks for cameras, see uvc.rs and gige.rs"),
    ("wysiwyh live lepton3", "waits for a camera, see uvc.rs"),
    ("wysiwyh live gige:", "likewise, see gige.rs"),
    ("make test", "runs this"),
    ("wysiwyh view", "opens a window, see watch.rs"),
    ("wysiwyh listen --live", "waits for a sound, see speaker.rs"),
    ("--resume", "goes on from what was broken off, see train.rs"),
    ("wysiwyh practice", "asks, see practice.rs"),
    ("wysiwyh hearing", "asks for two minutes, see hearing.rs"),
];

/// The README and the guides in docs/, by their place in the repository, and their
/// texts.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guides = names_in(&root.join("docs")).into_iter().filter(|name| name.ends_with(".md"));
    let names = std::iter::once("README.md".to_owned()).chain(guides.map(|n| format!("docs/{n}")));
    let with_text = |name: String| {
        let text = fs::read_to_string(root.join(&name)).unwrap();
        (name, text)
    };
    names.map(with_text).collect()
}

/// The lines of the shell blocks, in order, each once.
fn commands() -> Vec<String> {
    let mut commands: Vec<String> = vec![];
    for (_, text) in pages() {
        let blocks = text.split("```sh\n").skip(1);
        for line in blocks.flat_map(|rest| rest.split_once("```").unwrap().0.lines()) {
            if !commands.iter().any(|known| known == line) {
                commands.push(line.to_owned());
            }
        }
    }
    commands
}

/// What a heading is called in links to it.
fn anchor(heading: &str) -> String {
    let letters = heading.trim_start_matches('#').trim().to_lowercase();
    letters
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_leads_to_a_file_or_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut followed = 0;
    for (name, text) in pages() {
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        let targets = links.map(|(target, _)| target);
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => root.join(&name),
                file => root.join(&name).parent().unwrap().join(file),
            };
            assert!(path.exists(), "{name} leads to {target}");
            if !heading.is_empty() {
                let there = fs::read_to_string(&path).unwrap();
                let mut headings = there.lines().filter(|line| line.starts_with('#'));
                assert!(headings.any(|line| anchor(line) == heading), "{name} leads to {target}");
            }
            followed += 1;
        }
    }
    assert!(followed > 20, "only {followed} links were found");
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
    fs::create_dir(folder.join("docs")).unwrap();
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/demo.mp3");
    fs::copy(demo, folder.join("docs/demo.mp3")).unwrap();
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
fn every_command_of_the_readme_and_the_guides_works() {
    if Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status().is_err() {
        return skipped("ffmpeg is not installed");
    }
    let Some(pulse) = Pulse::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let built = Path::new(env!("CARGO_BIN_EXE_wysiwyh")).parent().unwrap();
    let path = format!("{}:{}", built.display(), std::env::var("PATH").unwrap());
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

#[test]
fn the_sound_that_anybody_can_hear_holds_the_pictures_that_were_sent() {
    if Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status().is_err() {
        return skipped("ffmpeg is not installed");
    }
    let demo = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/demo.mp3"));
    assert!(fs::metadata(demo).unwrap().len() <= 300_000);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // As docs/screenshots.sh makes it.
    let how = ["--preset", "listen", "--frames", "180", "--npy"];
    convert("simulated".as_ref(), folder.path(), &how);
    let listen = ["listen", "--sensor", "simulated-lwir", "--preset", "listen", "-o"];
    program().args(listen).args([&path("back"), demo]).assert().success();
    let (sent, back) = (array(&path("simulated.npy")), array(&path("back/frames.npy")));
    let count = sent.len_of(Axis(0));
    // The lead-in and the lead-out may count as frames.
    let extra = back.len_of(Axis(0)).checked_sub(count).expect("all frames");
    assert!(extra <= 2, "{extra} frames more than were sent");
    let fidelity_db = |first: usize| {
        let pairs = sent.outer_iter().zip(back.outer_iter().skip(first));
        pairs.map(|(a, b)| psnr_db(a, b, [10.0, 45.0])).sum::<f64>() / count as f64
    };
    let best_db = (0..=extra).map(fidelity_db).fold(0.0, f64::max);
    eprintln!("{best_db:.2} dB");
    assert!(best_db > 28.0, "{best_db} dB");
}

/// The cells of each line of the table that begins with `heading`.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, readme) = pages().swap_remove(0);
    let (_, rest) = readme.split_once(heading).expect(heading);
    let rows = rest.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[test]
fn the_sensors_are_those_of_the_shelf_as_far_as_they_were_tried() {
    let mut named = vec![];
    for row in table("| Name | Bands | Values | Tried on | A model ships |\n") {
        let [names, _, _, tried, ships] = row.try_into().unwrap();
        for name in names.split(", ").map(|name| name.trim_matches('`')) {
            let profile = Profile::find(name).unwrap();
            let told = match profile.tested {
                Tested::Hardware => "camera",
                Tested::File => "real file",
                Tested::Simulator => "simulator",
                Tested::Never => "never",
            };
            assert!(tried.contains(told), "{name}: {tried}, and its profile says {told}");
            assert_eq!(ships == "yes", Profile::shipped_model(name).is_some(), "{name}");
            named.push(name.to_owned());
        }
    }
    let mut shelf: Vec<String> =
        Profile::shelf().unwrap().into_iter().map(|profile| profile.name).collect();
    named.sort();
    shelf.sort();
    assert_eq!(named, shelf);
}
