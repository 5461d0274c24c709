//! Cameras that are not there: the real program against a preloaded library
//! that answers for the kernel, `tests/fake/camera.c`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use ndarray::{Array3, Array4, Axis, s};
use tempfile::TempDir;
use wysiwyh::frame::{Band, Frame, Unit};
use wysiwyh::model::Model;

use crate::cli::{program, refused, text};
use crate::skipped::skipped;
use crate::trip::{array, listen, whole};

/// Attached cameras of a test.
struct Fake(TempDir);

/// What a camera is and sends.
struct Camera<'a> {
    usb: &'a str,
    name: &'a str,
    /// `FOUR columns rows stride`, a line each.
    modes: &'a str,
    frames: Vec<u8>,
    script: &'a str,
}

impl Fake {
    /// No camera yet; `None`, and a line, where there is no C compiler.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/camera.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("camera.so"));
        match cc.arg(source).arg("-ldl").output() {
            Ok(made) => assert!(made.status.success(), "{}", text(&made.stderr)),
            Err(_) => {
                skipped("there is no cc");
                return None;
            }
        }
        fs::create_dir(folder.path().join("sys")).unwrap();
        Some(Self(folder))
    }

    fn plug(&self, number: usize, camera: &Camera) {
        let place = |name: &str| self.0.path().join(name);
        let (device, class) = (place(&format!("video{number}")), place("sys"));
        let class = class.join(format!("video{number}"));
        let (usb, interface) = (place(&format!("usb{number}")), place(&format!("usb{number}/1.0")));
        for folder in [&device, &class, &interface] {
            fs::create_dir_all(folder).unwrap();
        }
        symlink(&interface, class.join("device")).unwrap();
        fs::write(class.join("name"), format!("{}\n", camera.name)).unwrap();
        let (vendor, product) = camera.usb.split_once(':').unwrap();
        fs::write(usb.join("idVendor"), format!("{vendor}\n")).unwrap();
        fs::write(usb.join("idProduct"), format!("{product}\n")).unwrap();
        fs::write(device.join("mode"), camera.modes).unwrap();
        fs::write(device.join("frames"), &camera.frames).unwrap();
        fs::write(device.join("script"), camera.script).unwrap();
    }

    fn program(&self) -> assert_cmd::Command {
        let mut command = program();
        command
            .env("FAKE_CAMERA", self.0.path())
            .env("LD_PRELOAD", self.0.path().join("camera.so"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.program().args(arguments).output().unwrap()
    }

    /// A call that must succeed, and what it says on both streams.
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// What `inspect` reads, `[frame, band, row, column]`, and what it says.
    fn inspect(&self, arguments: &[&str]) -> (Array4<f32>, String) {
        let npy = self.path("frames.npy");
        let said = self.said(&[&["inspect", "--npy", &npy], arguments].concat());
        (array(Path::new(&npy)), said)
    }
}

/// Where a Lepton's telemetry says what: whether values are temperatures, of
/// which resolution, and how the flat-field correction stands.
const LINEAR: usize = 208;
const RESOLUTION: usize = 209;
const STATUS: usize = 3;
const COUNTER: usize = 20;

const PICTURES: usize = 40;

/// Temperature in degC at a place of picture `n`: a warm spot that wanders.
fn celsius(n: usize, row: usize, column: usize) -> f64 {
    let (dr, dc) = (row as f64 - 60.0, column as f64 - (30.0 + 2.5 * n as f64));
    20.0 + 15.0 * (-(dr * dr + dc * dc) / 600.0).exp()
}

/// Pictures of a Lepton 3 with telemetry, in hundredths of a kelvin.
fn lepton(script: &str) -> Camera<'_> {
    lepton_with(script, |n, telemetry| {
        telemetry[COUNTER] = n as u16 + 1;
        (telemetry[LINEAR], telemetry[RESOLUTION], telemetry[STATUS]) = (1, 1, 0x30);
    })
}

fn lepton_with<'a>(script: &'a str, telemetry: impl Fn(usize, &mut [u16])) -> Camera<'a> {
    let mut frames = Vec::new();
    for n in 0..PICTURES {
        // Whatever else stands in the telemetry must not be seen.
        let mut words = vec![58_744; 122 * 160];
        for (at, word) in words[..120 * 160].iter_mut().enumerate() {
            *word = ((celsius(n, at / 160, at % 160) + 273.15) * 100.0).round() as u16;
        }
        telemetry(n, &mut words[120 * 160..]);
        frames.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    Camera {
        usb: "1e4e:0100",
        name: "PureThermal (fw:v1.3.0)",
        modes: "Y16_ 160 120 320\nY16_ 160 122 320\n",
        frames,
        script,
    }
}

/// Which picture of the Lepton `frame` is, `[row, column]` in degC, and the
/// largest error.
fn which(frame: ndarray::ArrayView2<f32>) -> (usize, f64) {
    let error = |n: usize| {
        frame.indexed_iter().fold(0.0, |most: f64, ((row, column), &value)| {
            most.max((f64::from(value) - celsius(n, row, column)).abs())
        })
    };
    let errors = (0..PICTURES).map(|n| (n, error(n)));
    errors.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

#[test]
fn a_lepton_is_read_in_degrees_without_its_telemetry() {
    let Some(fake) = Fake::new() else { return };
    fake.plug(0, &lepton("rate 30\n"));
    for source in ["0", "/dev/video0", "lepton3"] {
        let (frames, said) = fake.inspect(&[source, "--frames", "10"]);
        assert!(said.contains("lepton3") && said.contains("PureThermal"), "{said}");
        assert_eq!(frames.shape(), [10, 1, 120, 160]);
        let found: Vec<(usize, f64)> =
            frames.axis_iter(Axis(0)).map(|frame| which(frame.index_axis(Axis(0), 0))).collect();
        assert!(found.iter().all(|(_, error)| *error < 0.006), "{found:?}");
        // In order, and none twice.
        let steps = found.windows(2).map(|pair| (pair[1].0 + PICTURES - pair[0].0) % PICTURES);
        assert!(steps.clone().all(|step| (1..PICTURES / 2).contains(&step)), "{found:?}");
    }
}

#[test]
fn a_lepton_is_heard_and_what_comes_back_is_as_warm() {
    let Some(fake) = Fake::new() else { return };
    fake.plug(0, &lepton("rate 9\n"));
    let (wav, out) = (fake.path("a.wav"), fake.path("out"));
    let live = ["live", "lepton3", "--sensor", "simulated-lwir", "--preset", "data"];
    fake.said(&[&live[..], &["--no-speaker", "--frames", "25", "-o", &wav]].concat());
    assert_eq!(whole(Path::new(&wav)), 25);
    listen(Path::new(&wav), Path::new(&out));
    let back = array(&Path::new(&out).join("frames.npy"));
    let grid = Model::shipped("simulated-lwir").unwrap().grid();
    // What the code itself loses of such a spot is below this.
    let likest = |frame: ndarray::ArrayView2<f32>| {
        let error = |n: usize| {
            let sent = Array3::from_shape_fn((1, 120, 160), |(_, r, c)| celsius(n, r, c) as f32);
            let sent = Frame::new(sent, [Band::new("LWIR", Unit::Celsius)].into(), 0.0);
            let sent = sent.letterbox(grid[0], grid[1]);
            let off = &sent.data.index_axis(Axis(0), 0) - &frame;
            off.mapv(|v| v * v).mean().unwrap().sqrt()
        };
        (0..PICTURES).map(|n| (n, error(n))).min_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
    };
    let mut before = 0;
    for frame in back.axis_iter(Axis(0)) {
        let (n, rmse) = likest(frame.index_axis(Axis(0), 0));
        assert!(rmse < 1.0, "picture {n}: {rmse} degC");
        assert!(n + 1 >= before, "picture {n} after {before}");
        before = n;
    }
    assert!(before > 10, "the spot stood still at {before}");
}

#[test]
fn a_model_made_for_another_camera_speaks_where_the_bands_agree() {
    let Some(fake) = Fake::new() else { return };
    fake.plug(0, &lepton("rate 30\n"));
    fake.plug(1, &Camera { usb: "09cb:4007", name: "Boson", ..boson() });
    let (model, wav) = (fake.path("p2pro.safetensors"), fake.path("a.wav"));
    let rooms: Vec<String> = (1..=5).map(|seed| format!("simulated:{seed}")).collect();
    let train = ["train", "--sensor", "p2pro", "--values", "8", "-o", &model];
    program().args(train).args(&rooms).assert().success();
    let live = |source| ["live", source, "--model", &model, "--no-speaker", "--frames", "5", "-o"];
    fake.said(&[&live("0")[..], &[&wav]].concat());
    assert_eq!(whole(Path::new(&wav)), 5);
    refused(&fake.run(&[&live("1")[..], &[&wav]].concat()), 2, "counts");
}

/// A Boson that looks at something of one temperature.
fn boson() -> Camera<'static> {
    let frames = (0..2 * 256 * 320u32).flat_map(|at| (at as u16 / 7).to_le_bytes()).collect();
    Camera { usb: "", name: "", modes: "Y16_ 320 256 640\n", frames, script: "" }
}

#[test]
fn an_unplugged_camera_is_waited_for() {
    let Some(fake) = Fake::new() else { return };
    fake.plug(0, &lepton("rate 20\ngone 1500 3000\n"));
    let (wav, out) = (fake.path("a.wav"), fake.path("out"));
    let live = ["live", "0", "--sensor", "simulated-lwir", "--no-speaker", "--frames", "80"];
    let said = fake.said(&[&live[..], &["-o", &wav]].concat());
    for sentence in ["/dev/video0: the camera is gone", "The camera is back after"] {
        assert_eq!(said.matches(sentence).count(), 1, "{said}");
    }
    assert_eq!(whole(Path::new(&wav)), 80);
    listen(Path::new(&wav), Path::new(&out));
    let summary = fs::read_to_string(Path::new(&out).join("summary.txt")).unwrap();
    assert!(summary.contains("frames are silent"), "{summary}");
    let back = array(&Path::new(&out).join("frames.npy"));
    let heard: Vec<bool> =
        back.axis_iter(Axis(0)).map(|frame| frame.iter().any(|v| !v.is_nan())).collect();
    // Heard, silent, heard again, without a break in between.
    let changes = heard.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(heard[0] && heard[79] && changes == 2, "{heard:?}");
    // Pictures that fade are read like any other.
    for (frame, _) in back.axis_iter(Axis(0)).zip(&heard).filter(|(_, heard)| **heard) {
        let hottest = frame.iter().copied().filter(|v| !v.is_nan()).fold(0.0, f32::max);
        assert!((28.0..38.0).contains(&hottest), "{hottest} degC");
    }
}

#[test]
fn another_camera_of_its_kind_is_not_taken_for_it() {
    let Some(fake) = Fake::new() else { return };
    fake.plug(0, &lepton("rate 20\ngone 500 1000000\n"));
    fake.plug(1, &lepton("rate 20\n"));
    let wav = fake.path("a.wav");
    let live = ["live", "0", "--sensor", "simulated-lwir", "--no-speaker", "--frames", "20"];
    let said = fake.said(&[&live[..], &["-o", &wav]].concat());
    assert!(said.contains("is gone") && !said.contains("is back"), "{said}");
}

#[test]
fn inspect_fails_when_the_camera_is_unplugged() {
    let Some(fake) = Fake::new() else { return };
    fake.plug(0, &lepton("rate 30\ngone 500 1000000\n"));
    refused(&fake.run(&["inspect", "0", "--frames", "50"]), 1, "the camera is gone");
    refused(&fake.run(&["inspect", "0"]), 1, "no camera is attached there");
    refused(&fake.run(&["inspect", "lepton3"]), 1, "no camera of this kind is attached");
}

#[test]
fn a_picture_that_stands_still_fades() {
    let Some(fake) = Fake::new() else { return };
    fake.plug(0, &lepton("rate 20\nstill 500 4000\n"));
    let wav = fake.path("a.wav");
    let live = ["live", "0", "--sensor", "simulated-lwir", "--no-speaker", "--frames", "60"];
    let said = fake.said(&[&live[..], &["-o", &wav]].concat());
    assert_eq!(said.matches("picture stands still").count(), 1, "{said}");
    assert_eq!(said.matches("is back").count(), 1, "{said}");
    assert!(said.contains("came twice"), "{said}");
}

#[test]
fn pictures_of_a_closed_shutter_are_left_out() {
    let Some(fake) = Fake::new() else { return };
    let camera = lepton_with("rate 30\n", |n, telemetry| {
        telemetry[COUNTER] = n as u16;
        telemetry[LINEAR..=RESOLUTION].fill(1);
        telemetry[STATUS] = if n % 4 == 3 { 0x20 } else { 0x30 };
    });
    fake.plug(0, &camera);
    let (frames, _) = fake.inspect(&["0", "--frames", "12"]);
    // The telemetry is believed once its counter has moved.
    let found = frames.axis_iter(Axis(0)).skip(1);
    let found = found.map(|frame| which(frame.index_axis(Axis(0), 0)).0);
    assert!(found.clone().all(|n| n % 4 != 3), "{:?}", found.collect::<Vec<_>>());
}

#[test]
fn short_pictures_are_dropped_and_counted() {
    let Some(fake) = Fake::new() else { return };
    fake.plug(0, &lepton("rate 30\nshort 300 900 20000\n"));
    let (frames, _) = fake.inspect(&["0", "--frames", "20"]);
    let worst = frames.axis_iter(Axis(0)).map(|frame| which(frame.index_axis(Axis(0), 0)).1);
    assert!(worst.clone().all(|error| error < 0.006), "{:?}", worst.collect::<Vec<_>>());
    fs::remove_file(fake.path("video0/epoch")).unwrap();
    let wav = fake.path("a.wav");
    let live = ["live", "0", "--sensor", "simulated-lwir", "--no-speaker", "--frames", "15"];
    let said = fake.said(&[&live[..], &["-o", &wav]].concat());
    assert!(said.contains("were damaged, and were left out"), "{said}");
}

#[test]
fn a_camera_that_will_not_is_refused_with_both_numbers() {
    let Some(fake) = Fake::new() else { return };
    for (number, (script, what)) in [
        ("size 80 60\n", "asked for Y16 of 160 x 122 pixels, and sends Y16 of 80 x 60"),
        ("busy\n", "is in use by another program"),
        ("silent 0 1000000\n", "sends no picture within 6 s"),
        ("short 0 1000000 100\n", "(100 of 39040 bytes)"),
    ]
    .into_iter()
    .enumerate()
    {
        fake.plug(number, &lepton(script));
        let live = ["live", &number.to_string(), "--sensor", "simulated-lwir", "--no-speaker"];
        let wav = fake.path("a.wav");
        let output = fake.run(&[&live[..], &["-o", &wav]].concat());
        refused(&output, 1, what);
        assert!(!Path::new(&wav).exists());
    }
}

#[test]
fn counts_are_not_called_temperatures() {
    let Some(fake) = Fake::new() else { return };
    let camera = lepton_with("rate 30\n", |n, telemetry| {
        telemetry[COUNTER] = n as u16;
        telemetry[LINEAR..=RESOLUTION].fill(0);
    });
    fake.plug(0, &camera);
    let (frames, said) = fake.inspect(&["0", "--frames", "2"]);
    assert!(said.contains("counts") && said.contains("no radiometric camera"), "{said}");
    assert!(frames.iter().all(|&count| count > 29_000.0));
    let wav = fake.path("a.wav");
    let live = ["live", "0", "--sensor", "simulated-lwir", "--no-speaker", "-o", &wav];
    refused(&fake.run(&live), 2, "counts");
}

#[test]
fn probe_lists_cameras_and_the_profiles_that_fit() {
    let Some(fake) = Fake::new() else { return };
    let _network = crate::network::network();
    assert!(fake.said(&["sensors", "probe"]).contains("No camera is attached"));
    assert_eq!(fake.said(&["sensors", "probe", "--json"]).trim(), "[]");
    let realtek = ("0bda:5830", "USB Camera: USB Camera");
    for (number, (usb, name), modes) in [
        (10, ("1e4e:0100", "PureThermal"), "UYVY 80 60 160\nY16_ 80 60 160\nY16_ 80 63 160\n"),
        (0, ("1e4e:0100", "PureThermal"), "UYVY 160 120 320\nY16_ 160 120 320\n"),
        // What a camera says of itself besides its pictures.
        (1, ("1e4e:0100", "PureThermal"), ""),
        (2, realtek, "YUYV 256 384 512\nYUYV 256 192 512\n"),
        // The same chip in a webcam.
        (3, realtek, "MJPG 1280 720 0\nYUYV 640 480 1280\n"),
        (4, ("04f2:b6dd", "IR \u{1b}[2J camera"), "GREY 640 360 640\n"),
        (5, ("09cb:4007", "Boson"), "I420 640 512 640\nY16_ 640 512 1280\n"),
        (6, ("0000:0001", "odd"), "H264 640 480 0\n"),
    ] {
        fake.plug(number, &Camera { usb, name, modes, frames: vec![], script: "" });
    }
    let said = fake.said(&["sensors", "probe", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    let found: Vec<(&str, Option<&str>)> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|camera| (camera["address"].as_str().unwrap(), camera["profile"].as_str()))
        .collect();
    let expected = [
        ("/dev/video0", Some("lepton3")),
        ("/dev/video2", Some("p2pro")),
        ("/dev/video3", Some("rgb")),
        ("/dev/video4", Some("nir-webcam")),
        ("/dev/video5", Some("boson")),
        ("/dev/video6", None),
        ("/dev/video10", Some("lepton2")),
    ];
    assert_eq!(found, expected);
    let table = fake.said(&["sensors", "probe"]);
    assert!(table.contains("none fits") && !table.contains('\u{1b}'), "{table}");
    // By its profile's name, the camera that fits it best is found.
    for (profile, device) in
        [("lepton2", "video10"), ("tc001", "video2"), ("nir-webcam", "video4"), ("rgb", "video3")]
    {
        let said = fake.said(&["inspect", profile, "--frames", "1"]);
        assert!(said.starts_with(&format!("/dev/{device}: ")), "{profile}: {said}");
    }
    refused(&fake.run(&["inspect", "1"]), 1, "captures no pictures");
    refused(&fake.run(&["live", "6", "--no-speaker"]), 1, "H264");
}

#[test]
fn a_dongle_shows_the_lower_half_as_temperatures() {
    let Some(fake) = Fake::new() else { return };
    let mut words = vec![0x8010u16; 2 * 192 * 256];
    for (at, word) in words[192 * 256..].iter_mut().enumerate() {
        *word = ((20.0 + 0.1 * (at % 256) as f64 + 273.15) * 64.0).round() as u16;
    }
    let frames = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let (usb, modes) = ("0bda:5830", "YUYV 256 192 512\nYUYV 256 384 512\n");
    fake.plug(0, &Camera { usb, name: "USB Camera", modes, frames, script: "rate 25\n" });
    let (frames, _) = fake.inspect(&["0", "--frames", "1"]);
    assert_eq!(frames.shape(), [1, 1, 192, 256]);
    for column in [0, 100, 255] {
        let (got, expected) = (frames[(0, 0, 7, column)], 20.0 + 0.1 * column as f32);
        assert!((got - expected).abs() < 0.5 / 64.0 + 1e-4, "{got}, not {expected}");
    }
}

#[test]
fn a_webcam_is_red_green_and_blue() {
    let Some(fake) = Fake::new() else { return };
    // Full red in its left half, full blue in its right one (ITU-R BT.601),
    // and a padded row.
    let pair = |column: usize| if column < 320 { [81, 90, 81, 240] } else { [41, 240, 41, 110] };
    let row: Vec<u8> = (0..640).step_by(2).flat_map(pair).chain([7; 32]).collect();
    let frames = row.repeat(480);
    let (usb, modes) = ("046d:0825", "YUYV 640 480 1312\n");
    fake.plug(0, &Camera { usb, name: "Webcam", modes, frames, script: "" });
    let (frames, said) = fake.inspect(&["0", "--frames", "3"]);
    assert!(said.contains("red") && said.contains("blue"), "{said}");
    let left = frames.slice(s![2, .., 400, 100]).to_vec();
    let right = frames.slice(s![2, .., 400, 600]).to_vec();
    for (got, expected) in [(left, [255.0, 0.0, 0.0]), (right, [0.0, 0.0, 255.0])] {
        assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2.0), "{got:?}");
    }
    // One band, where the profile has one.
    let (frames, _) = fake.inspect(&["0", "--frames", "1", "--sensor", "nir-webcam"]);
    assert_eq!([frames[(0, 0, 0, 0)], frames[(0, 0, 0, 639)]], [81.0, 41.0]);
}

#[test]
fn another_camera_is_another_toml_file() {
    let Some(fake) = Fake::new() else { return };
    let profile = r#"
        name = "mine"
        title = "Two pictures beside a line of text, big-endian, in tenths of a degree"
        source = "frames"
        tested = "never"
        [camera]
        formats = ["Y16 -BE", "Y12 "]
        sizes = [[4, 5]]
        picture = [1, 3]
        [camera.telemetry]
        counter = 0
        [[bands]]
        name = "SWIR"
        unit = "celsius"
        scale = 0.1
        offset = -100.0
    "#;
    let path = fake.path("mine.toml");
    fs::write(&path, profile).unwrap();
    let frames = (0..20u16).flat_map(|word| (1000 + word).to_be_bytes()).collect();
    let (usb, modes) = ("1234:5678", "Y16_-BE 4 5 8\n");
    fake.plug(0, &Camera { usb, name: "Mine", modes, frames, script: "" });
    let (frames, _) = fake.inspect(&["0", "--frames", "1", "--sensor", &path]);
    assert_eq!(frames.shape(), [1, 1, 3, 4]);
    for ((.., row, column), value) in frames.indexed_iter() {
        let expected = 0.1 * (1000 + 4 * (row + 1) + column) as f32 - 100.0;
        assert!((value - expected).abs() < 1e-4, "{value}, not {expected}");
    }
}
