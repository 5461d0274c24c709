//! The real program from outside: what it says, how it ends, what it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use image::{GrayImage, Luma};
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray16;

/// So long may a single call take; a hang ends here.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program, untouched by the user's own profiles, models and settings.
pub fn program() -> assert_cmd::Command {
    settled(assert_cmd::Command::new(env!("CARGO_BIN_EXE_wysiwyh")))
}

fn settled(mut command: assert_cmd::Command) -> assert_cmd::Command {
    for folder in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"] {
        command.env(folder, "/nonexistent");
    }
    command.env("WYSIWYH_PLAIN", "1").env_remove("RUST_BACKTRACE").timeout(PATIENCE);
    command
}

/// The program under limits of a shell: `ulimit`, without the signal that
/// would end it when a file grows too large, so that writing fails as it does
/// on a full disk.
#[cfg(unix)]
pub fn limited(limits: &str) -> assert_cmd::Command {
    let mut shell = assert_cmd::Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit {limits}; exec \"$@\"");
    shell.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_wysiwyh")]);
    settled(shell)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A TIFF file of so many pages of 16 bits, a little warmer each.
pub fn pages(path: &Path, count: u16) {
    let mut file = TiffEncoder::new(fs::File::create(path).unwrap()).unwrap();
    for page in 0..count {
        let counts: Vec<u16> = (0..64 * 51).map(|pixel| page + pixel % 200).collect();
        file.write_image::<Gray16>(64, 51, &counts).unwrap();
    }
}

/// Everything in `folder`, hidden files too; nothing where it is missing.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Asserts that a call failed with `code` and one error line about `subject`.
pub fn refused(output: &Output, code: i32, subject: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{subject}: {said}");
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    let [error] = errors[..] else { panic!("{subject}: {said}") };
    assert!(error.contains(subject), "{subject}: {said}");
    assert!(error.len() > "error: : ".len() + subject.len(), "says nothing: {said}");
    assert!(!said.contains("panicked") && !said.contains(".wysiwyh-"), "{said}");
}

/// A picture with warm and cold parts.
pub fn picture(path: &Path) {
    GrayImage::from_fn(64, 51, |x, y| Luma([(40 + 2 * x + y) as u8])).save(path).unwrap();
}

/// The verbs that `--help` lists, `help` among them.
pub fn verbs() -> Vec<String> {
    let help = text(&program().arg("--help").output().unwrap().stdout);
    let (_, verbs) = help.split_once("Commands:\n").unwrap();
    let (verbs, _) = verbs.split_once("\n\n").unwrap();
    let name = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
    let names: Vec<String> = verbs.lines().filter_map(name).filter(|n| !n.is_empty()).collect();
    assert!(names.len() >= 9 && names.contains(&"convert".to_owned()), "{names:?}");
    names
}

#[test]
fn every_verb_explains_itself() {
    let names = verbs();
    let mut calls: Vec<Vec<&str>> =
        names.iter().filter(|name| *name != "help").map(|name| vec![name.as_str()]).collect();
    calls.extend([vec!["sensors", "list"], vec!["sensors", "show"]]);
    calls.extend([vec!["datasets", "list"], vec!["datasets", "fetch"]]);
    for call in calls {
        let output = program().args(&call).arg("--help").output().unwrap();
        let help = text(&output.stdout);
        assert!(output.status.success(), "{call:?}");
        for part in ["Usage: ", "Reads: ", "Writes: ", "Units: ", "Example:  wysiwyh "] {
            assert!(help.contains(part), "{call:?} does not say {part:?}");
        }
    }
}

#[test]
fn the_version_says_what_this_build_can_do() {
    let short = text(&program().arg("-V").output().unwrap().stdout);
    assert_eq!(short, concat!("wysiwyh ", env!("CARGO_PKG_VERSION"), "\n"));
    let long = text(&program().arg("--version").output().unwrap().stdout);
    assert!(long.starts_with(short.trim_end()), "{long}");
    let line = |start: &str| long.lines().find_map(|l| l.strip_prefix(start)).unwrap().to_owned();
    let (there, left_out) = (line("features: "), line("left out: "));
    let built = [
        ("gdal", cfg!(feature = "gdal")),
        ("rerun", cfg!(feature = "rerun")),
        ("gige", cfg!(feature = "gige")),
    ];
    for (feature, built) in built {
        let named = |line: &str| line.split(", ").any(|name| name == feature);
        assert_eq!((named(&there), named(&left_out)), (built, !built), "{feature}: {long}");
    }
}

#[test]
fn the_command_line_is_at_fault_with_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    picture(&path);
    let (scene, out) = (path.to_str().unwrap(), folder.path().join("out"));
    let out = out.to_str().unwrap();
    for call in [
        &[][..],
        &["conjure"],
        &["convert", scene],
        &["convert", "-o", out],
        &["convert", scene, "-o", out, "--loud"],
        &["convert", scene, "-o", out, "--seed", "-1"],
        &["convert", scene, "-o", out, "--sensor", "hituav-lwir", "--span", "40..20"],
        &["convert", scene, "-o", out, "--sensor", "hituav-lwir", "--span", "20C..40C"],
        &["convert", scene, "-o", out, "--sensor", "of-dreams"],
        &["convert", scene, "-o", out, "--sensor", "sentinel2-l2a"],
        &["listen", scene, "-o", out, "--serve"],
        &["listen", scene, "-o", out, "--device", "list"],
        &["listen", "--live", "--sensor", "simulated-lwir"],
        &["inspect", "simulated:x"],
        &["evaluate", "of-dreams", scene],
        &["train", scene, "--sensor", "hituav-lwir", "-o", out],
    ] {
        let output = program().args(call).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{call:?}: {}", text(&output.stderr));
        assert!(!output.stderr.is_empty());
    }
    assert_eq!(names_in(folder.path()), ["a.png"]);
}

/// Files that are not what they should be, by name.
fn broken_files(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let place = |name: &str| folder.join(name);
    let half = |name: &str| {
        let whole = fs::read(place(name)).unwrap();
        fs::write(place(name), &whole[..whole.len() / 2]).unwrap();
    };
    for name in ["empty.tif", "empty.png", "empty.wav"] {
        fs::write(place(name), "").unwrap();
    }
    picture(&place("half.png"));
    picture(&place("half.jpg"));
    pages(&place("half.tif"), 1);
    ["half.png", "half.jpg", "half.tif"].iter().for_each(|name| half(name));
    fs::write(place("text.tif"), "It is warm here, but this is no picture.\n".repeat(9)).unwrap();
    fs::write(place("huge.tif"), huge_tiff(200)).unwrap();
    fs::write(place("no-bands.tif"), huge_tiff(0)).unwrap();
    fs::write(place("sound.tif"), b"RIFF\x24\0\0\0WAVEfmt ").unwrap();
    fs::create_dir(place("nothing")).unwrap();
    let names = [
        "missing.tif",
        "empty.tif",
        "empty.png",
        "half.png",
        "half.jpg",
        "half.tif",
        "text.tif",
        "huge.tif",
        "no-bands.tif",
        "nothing",
        "sound.tif",
    ];
    names.map(|name| (name, place(name))).into()
}

/// The head of a TIFF file that claims 100 000 x 100 000 pixels of `bands`
/// bands, 16 bits each, and holds none of them.
fn huge_tiff(bands: u32) -> Vec<u8> {
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    let tags = [
        (256, LONG, 100_000),
        (257, LONG, 100_000),
        (258, SHORT, 16),
        (259, SHORT, 1),
        (262, SHORT, 1),
        (273, LONG, 8),
        (277, SHORT, bands),
        (278, LONG, 100_000),
        (279, LONG, 1000),
        (284, SHORT, 1),
    ];
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, value) in tags {
        bytes.extend([u16::to_le_bytes(tag), u16::to_le_bytes(kind)].concat());
        bytes.extend([1u32.to_le_bytes(), u32::to_le_bytes(value)].concat());
    }
    bytes.extend([0; 4]);
    bytes
}

/// Enough for the program and the largest piece it reads at once; a file that
/// claims more must not get it.
#[cfg(unix)]
const MEMORY_KIB: &str = "-v 4000000";

#[cfg(unix)]
#[test]
fn what_cannot_be_seen_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (name, path) in broken_files(folder.path()) {
        let outputs = [
            limited(MEMORY_KIB).arg("inspect").arg(&path).output(),
            limited(MEMORY_KIB)
                .args(["convert", "--sensor", "hituav-lwir", "--npy", "-o"])
                .args([&out, &path])
                .output(),
            limited(MEMORY_KIB)
                .args(["train", "--sensor", "hituav-lwir", "-o"])
                .args([&out, &path])
                .output(),
            limited(MEMORY_KIB).args(["evaluate", "hituav-lwir"]).arg(&path).output(),
        ];
        for (verb, output) in ["inspect", "convert", "train", "evaluate"].iter().zip(outputs) {
            let output = output.unwrap();
            // A folder is nothing to train on or to report on.
            let folder_of_data = name == "nothing" && ["train", "evaluate"].contains(verb);
            let other_bands = name == "huge.tif" && *verb != "inspect";
            match folder_of_data || other_bands {
                true => assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr)),
                false => refused(&output, 1, name),
            }
            assert!(output.stdout.is_empty(), "{verb} {name}: {}", text(&output.stdout));
        }
        assert!(!out.exists(), "{name} left {:?}", names_in(&out));
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_endless_devices_are_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, out) = (folder.path().join("pipe.png"), folder.path().join("out"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [&pipe, Path::new("/dev/zero")] {
        let name = path.to_str().unwrap();
        let out = out.to_str().unwrap();
        for call in [
            &["inspect", name][..],
            &["convert", name, "--sensor", "hituav-lwir", "-o", out],
            &["convert", "simulated", "--model", name, "-o", out],
            &["listen", name, "-o", out],
            &["evaluate", "hituav-lwir", name],
        ] {
            refused(&program().args(call).output().unwrap(), 1, name);
        }
    }
    // Beside other pictures, too.
    let beside = folder.path().join("a.png");
    picture(&beside);
    let output = program().arg("inspect").arg(folder.path()).output().unwrap();
    refused(&output, 1, "pipe.png");
    assert!(!out.exists());
}

#[cfg(feature = "gdal")]
#[test]
fn a_scene_without_a_single_reading_makes_no_sound() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, out) = (folder.path().join("clouds.asc"), folder.path().join("out"));
    let head = "ncols 40\nnrows 30\nxllcorner 0\nyllcorner 0\ncellsize 1\nNODATA_value -9\n";
    fs::write(&scene, head.to_owned() + &"-9 ".repeat(40 * 30)).unwrap();
    let convert = ["convert", "--sensor", "hituav-lwir", "--npy", "-o"];
    let output = program().args(convert).args([&out, &scene]).output().unwrap();
    refused(&output, 1, "clouds.asc");
    assert!(!out.exists());
    let output = program().arg("inspect").arg(&scene).output().unwrap();
    assert!(output.status.success());
    assert!(text(&output.stdout).contains(": no reading."), "{}", text(&output.stdout));
}

#[test]
fn what_cannot_be_heard_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, sounds) = (folder.path().join("a.png"), folder.path().join("sounds"));
    picture(&scene);
    let convert = ["convert", "--sensor", "hituav-lwir", "-o"];
    program().args(convert).args([&sounds, &scene]).assert().success();
    let whole = fs::read(sounds.join("a.wav")).unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("empty.wav"), "").unwrap();
    fs::write(place("head.wav"), &whole[..40]).unwrap();
    fs::write(place("text.wav"), "RIFF and raff").unwrap();
    let bare = [&whole[..36], &whole[whole.len() - 9600..]].concat();
    fs::write(place("bare.wav"), bare).unwrap();
    let out = place("out");
    for name in ["missing.wav", "empty.wav", "head.wav", "text.wav", "bare.wav", "a.png"] {
        let output = program().args(["listen", "-o"]).args([&out, &place(name)]).output().unwrap();
        refused(&output, 1, name);
        assert!(!out.exists(), "{name}");
    }
    // A picture is no sound, whichever model is named.
    let output = program().args(["listen", "-o"]).args([&out, &scene]).output().unwrap();
    assert!(!text(&output.stderr).contains("--sensor"), "{}", text(&output.stderr));
}

#[test]
fn what_a_sound_says_itself_is_not_taken_from_options_and_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, sounds) = (folder.path().join("a.png"), folder.path().join("sounds"));
    picture(&scene);
    let convert = ["convert", "--sensor", "hituav-lwir", "-o"];
    program().args(convert).args([&sounds, &scene]).assert().success();
    let heard = |more: &[&str]| {
        let mut listen = program();
        listen.arg("listen").arg(sounds.join("a.wav")).arg("-o").arg(folder.path().join("out"));
        listen.args(more).output().unwrap()
    };
    let output = heard(&[]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains(": 1 frame, 0.1 s of sound.\n"), "{told}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [other, own] =
        ["simulated-lwir", "hituav-lwir"].map(|n| root.join(format!("sensors/{n}.safetensors")));
    let others = ["--sensor", "lepton3", "--span", "0..40", "--preset", "listen", "--model"];
    let output = heard(&[&others[..], &[other.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let expected = "says itself how it was made, so --sensor, --span, --preset, --model are not \
                    used.\n";
    assert!(text(&output.stderr).ends_with(expected), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), told);
    let output = heard(&["--model", own.to_str().unwrap()]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    let output = heard(&["--model", "nowhere.safetensors"]);
    refused(&output, 1, "nowhere.safetensors");
}

#[test]
fn listening_again_leaves_nothing_of_the_sound_before() {
    let folder = tempfile::tempdir().unwrap();
    let (sounds, out) = (folder.path().join("sounds"), folder.path().join("pictures"));
    fs::create_dir(&out).unwrap();
    let place = |name: &str| out.join(name);
    let own =
        ["frame-00009.png", "frame-00900.png", "frame-9.png", "frame-of-mine.png", "mosaic.tif"];
    own.iter().for_each(|name| fs::write(place(name), "mine").unwrap());
    // How many frames there are, and how many pictures then.
    let listen = |seed: &str, frames: &str| {
        let mut convert = program();
        convert.args(["convert", &format!("simulated:{seed}"), "--frames", frames, "-o"]);
        convert.arg(&sounds).assert().success();
        let sound = sounds.join(format!("simulated-{seed}.wav"));
        program().arg("listen").arg(&sound).arg("-o").arg(&out).assert().success();
        let mut names = names_in(&out);
        names.retain(|name| name.starts_with("frame-000"));
        (crate::trip::whole(&sound), names.len())
    };
    // What no earlier sound left there is not touched.
    let (frames, pictures) = listen("1", "5");
    assert_eq!(pictures, frames + 1);
    assert!(own.iter().all(|name| fs::read(place(name)).unwrap() == b"mine"));
    let (frames, pictures) = listen("2", "12");
    assert_eq!(pictures, frames);
    assert!(frames > 9 && !place("mosaic.tif").exists());
    let (frames, pictures) = listen("3", "3");
    assert_eq!(pictures, frames);
    let left = ["frame-00900.png", "frame-9.png", "frame-of-mine.png"];
    assert!(left.iter().all(|name| fs::read(place(name)).unwrap() == b"mine"));
    let files = ["frames.npy", "summary.txt"];
    assert_eq!(names_in(&out).len(), frames + left.len() + files.len());
}

#[test]
fn models_that_are_none_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, out) = (folder.path().join("a.png"), folder.path().join("out"));
    picture(&scene);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("sensors/hituav-lwir.safetensors");
    let whole = fs::read(shipped).unwrap();
    let half = whole[..whole.len() / 2].to_vec();
    // A count of header bytes that no memory holds.
    let lying = [&u64::MAX.to_le_bytes()[..], &whole[8..]].concat();
    let files =
        [("empty", vec![]), ("half", half), ("lying", lying), ("text", b"a model, surely".into())];
    for (name, bytes) in files {
        fs::write(folder.path().join(name).with_extension("safetensors"), bytes).unwrap();
    }
    for name in ["missing", "empty", "half", "lying", "text"] {
        let model = folder.path().join(name).with_extension("safetensors");
        let convert = program()
            .args(["convert", "-o"])
            .args([&out, &scene])
            .arg("--model")
            .arg(&model)
            .output()
            .unwrap();
        let evaluate = program().arg("evaluate").args([&model, &scene]).output().unwrap();
        refused(&convert, 1, &format!("{name}.safetensors"));
        refused(&evaluate, 1, &format!("{name}.safetensors"));
        assert!(!out.exists());
    }
}

#[test]
fn a_batch_goes_on_without_the_scenes_that_fail() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for name in ["a.png", "b.png"] {
        picture(&folder.path().join(name));
    }
    fs::write(folder.path().join("c.png"), "no picture").unwrap();
    let convert = |names: &[&str]| {
        let paths = names.iter().map(|name| folder.path().join(name));
        let sensor = ["convert", "--sensor", "hituav-lwir", "-o"];
        program().args(sensor).arg(&out).args(paths).output().unwrap()
    };
    let output = convert(&["a.png", "c.png", "missing.png", "b.png"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).starts_with("2 of 4 scenes converted, 2 failed"));
    let said = text(&output.stderr);
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 2, "{said}");
    let recorded = ["a", "b", "c", "missing"].map(|name| format!("{name}.record.json"));
    let mut expected: Vec<String> =
        ["a.parquet", "a.wav", "b.parquet", "b.wav"].map(String::from).into();
    expected.extend(recorded);
    expected.sort();
    assert_eq!(names_in(&out), expected);
    let output = convert(&["c.png", "missing.png"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("0 of 2 scenes converted, 2 failed."));
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let convert = ["convert", "simulated", "--frames", "50", "-o"];
    let with_array = ["convert", "simulated", "--frames", "50", "--npy", "--format", "flac", "-o"];
    let sounds = folder.path().join("sounds");
    program().args(convert).arg(&sounds).assert().success();
    let sound = sounds.join("simulated.wav");
    let mut calls: Vec<(Vec<&str>, Vec<&Path>, u64, &str)> = vec![
        (convert.into(), vec![&out], 4, "simulated.wav"),
        (with_array.into(), vec![&out], 790, "simulated.npy"),
        (
            ["convert", "simulated", "--format", "flac", "-o"].into(),
            vec![&out],
            4,
            "simulated.flac",
        ),
        (["listen", "-o"].into(), vec![&out, &sound], 100, "frames.npy"),
        (["demo", "-o"].into(), vec![&out], 100, "sound.wav"),
        (["inspect", "simulated", "--npy"].into(), vec![&out], 100, "out"),
    ];
    if cfg!(feature = "rerun") {
        let with_session = ["convert", "simulated", "--frames", "20", "--rrd", "-o"];
        calls.push((with_session.into(), vec![&out], 550, "simulated.rrd"));
    }
    for (arguments, paths, blocks, name) in calls {
        // The unit is 512 bytes or 1024, as the shell likes.
        let output =
            limited(&format!("-f {blocks}")).args(&arguments).args(paths).output().unwrap();
        refused(&output, 1, out.join(name).to_str().unwrap().trim_end_matches("/out"));
        assert_eq!(names_in(folder.path()), ["sounds"], "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn places_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let scene = folder.path().join("a.png");
    picture(&scene);
    let scene = scene.to_str().unwrap();
    // Even the administrator makes no folder here.
    for place in ["/proc/out", scene] {
        for call in [
            &["convert", scene, "--sensor", "hituav-lwir", "-o", place][..],
            &["demo", "-o", place],
        ] {
            let output = program().args(call).output().unwrap();
            refused(&output, 1, place);
            assert!(text(&output.stderr).contains("\nhint: "));
        }
    }
    for place in ["/proc/out.npy", "/dev/full", "/proc/self/fd"] {
        refused(&program().args(["inspect", scene, "--npy", place]).output().unwrap(), 1, place);
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_wysiwyh")).args(["sensors", "list"]).stdout(full).output();
    refused(&output.unwrap(), 1, "standard output");
}

#[cfg(unix)]
#[test]
fn outputs_have_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut convert = limited("-c 0; umask 027");
    convert.args(["convert", "simulated", "--frames", "5", "--npy", "-o"]).arg(&out);
    convert.assert().success();
    let mut listen = limited("-c 0; umask 027");
    listen.args(["listen", "-o"]).args([&out, &out.join("simulated.wav")]).assert().success();
    let npy = out.join("inspected.npy");
    let mut inspect = limited("-c 0; umask 027");
    inspect.args(["inspect", "simulated", "--npy"]).arg(&npy).assert().success();
    for name in names_in(&out) {
        let mode = fs::metadata(out.join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{name}");
    }
}

#[test]
fn profiles_of_ones_own_are_listed_and_broken_ones_told() {
    let home = tempfile::tempdir().unwrap();
    let shelf = home.path().join("wysiwyh/sensors");
    fs::create_dir_all(&shelf).unwrap();
    let shown = program().args(["sensors", "show", "lepton3"]).output().unwrap();
    let profile = text(&shown.stdout).replace("name = \"lepton3\"", "name = \"mine\"");
    fs::write(shelf.join("mine.toml"), &profile).unwrap();
    let broken = profile.replace("unit = \"celsius\"", "unit = \"furlong\"");
    fs::write(shelf.join("broken.toml"), broken).unwrap();
    let list = |plain: &str| {
        let mut command = program();
        command.env("XDG_CONFIG_HOME", home.path()).env("WYSIWYH_PLAIN", plain);
        let output = command.args(["sensors", "list"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let (listed, said) = list("1");
    assert!(listed.starts_with("mine: bands 1; ") && listed.contains("\nlepton3: "), "{listed}");
    assert!(said.starts_with("This profile of yours is broken: "), "{said}");
    assert!(said.contains("broken.toml: line ") && said.contains("`furlong`"), "{said}");
    // A table is asked for by a 0, too.
    assert!(list("0").0.starts_with("name  "), "{}", list("0").0);
}

#[test]
fn addresses_in_a_network_are_refused_with_what_to_do() {
    for address in ["rtsp://127.0.0.1:1/stream", "http://127.0.0.1:1/a.mjpg", "https://h/b.tif"] {
        for verb in [&["live", "--no-speaker"][..], &["inspect"]] {
            let output = program().args(verb).arg(address).output().unwrap();
            refused(&output, 1, "network addresses are not read");
            let said = text(&output.stderr);
            assert!(said.contains(&format!("ffmpeg -i {address} ")), "{said}");
            assert_eq!(said.contains("/vsicurl/"), address.starts_with("http"), "{said}");
        }
    }
}
