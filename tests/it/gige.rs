//! GigE Vision cameras: the real program against the fake camera of Aravis.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ndarray::{Array3, Array4, ArrayView2, Axis};
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray16;
use wysiwyh::frame::{Band, Frame, Unit};

use crate::cli::{program, refused, text};
use crate::network::{Fake, network, profile, trail};
use crate::pulse::interrupt;
use crate::trip::{array, listen, whole};

const CAMERA: &str = "gige:127.0.0.1";
/// A program that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn pictures(frames: &Array4<f32>) -> impl Iterator<Item = ArrayView2<'_, f32>> {
    frames.outer_iter().map(|frame| frame.index_axis_move(Axis(0), 0))
}

/// What `inspect` reads of the camera, `[frame, band, row, column]`, and what
/// it says for programs.
fn inspect(folder: &Path, arguments: &[&str]) -> (Array4<f32>, serde_json::Value) {
    let npy = folder.join("frames.npy");
    let mut call = program();
    call.args(["inspect", CAMERA, "--json", "--npy"]).arg(&npy).args(arguments);
    let output = call.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (array(&npy), serde_json::from_slice(&output.stdout).unwrap())
}

fn losses(said: &serde_json::Value) -> [usize; 3] {
    ["broken", "missed", "packets"].map(|key| said["losses"][key].as_u64().unwrap() as usize)
}

#[test]
fn every_pixel_of_every_picture_is_the_cameras() {
    let Some(_fake) = Fake::new(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let profile = profile(folder.path(), 160, 128);
    let (frames, said) =
        inspect(folder.path(), &["--frames", "60", "--sensor", profile.to_str().unwrap()]);
    assert_eq!(frames.dim(), (60, 1, 128, 160));
    let (numbers, between) = trail(pictures(&frames));
    let [broken, missed, _] = losses(&said);
    assert!(between.contains(&(broken + missed)), "{said} {numbers:?}");
    assert_eq!(said["exposure"]["time_us"], 10_000.0);
    assert_eq!(said["exposure"]["gain"], 0.0);
    assert_eq!((&said["period_s"], &said["bands"][0]["name"]), (&0.04.into(), &"UV".into()));
}

#[test]
fn cameras_are_listed_and_found_by_name() {
    let Some(fake) = Fake::new(&["-s", "UV42"]) else { return };
    let output = program().args(["sensors", "probe", "--json"]).output().unwrap();
    let cameras: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let camera = cameras.as_array().unwrap().iter().find(|c| c["address"] == CAMERA).unwrap();
    assert_eq!((&camera["name"], &camera["problem"]), (&"Aravis-Fake-UV42".into(), &().into()));
    let formats: Vec<&str> =
        camera["formats"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    assert!(formats.contains(&"Mono16") && !formats.contains(&"RGB8"), "{formats:?}");
    let call = |arguments: &[&str]| program().args(arguments).output().unwrap();
    for name in ["gige:UV42", "gige:Aravis-Fake-UV42"] {
        let output = call(&["inspect", name, "--frames", "2"]);
        assert!(text(&output.stdout).contains("Aravis Fake, Mono16, 512 x 512"), "{output:?}");
    }
    let output = call(&["inspect", "gige:UV43"]);
    refused(&output, 1, "no camera is called UV43");
    assert!(text(&output.stderr).contains("Aravis-Fake-UV42"), "{output:?}");
    refused(&call(&["live", CAMERA, "--no-speaker"]), 1, "no sensor on the shelf is known as");
    drop(fake);
    let _network = network();
    refused(&call(&["inspect", CAMERA]), 1, CAMERA);
}

#[test]
fn a_camera_that_another_program_has_is_refused() {
    let Some(_fake) = Fake::new(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let mut live = Live::start(folder.path(), &model, &[]);
    live.wait("the first sound", || live_bytes(folder.path()) > 100_000);
    refused(&program().args(["inspect", CAMERA]).output().unwrap(), 1, CAMERA);
    live.interrupt();
    assert_eq!(live.end(), Some(0));
}

/// Trains a model of the fake camera's pictures in `folder`, where it lies
/// beside their profile.
fn model(folder: &Path) -> [String; 2] {
    let (profile, model) = (profile(folder, 160, 128), folder.join("fake-uv.safetensors"));
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    for group in 0..8 {
        let file = File::create(data.join(format!("{group}.tif"))).unwrap();
        let mut file = TiffEncoder::new(file).unwrap();
        for id in (group..256).step_by(8) {
            let counts: Vec<u16> = scene(id).iter().map(|&count| count as u16).collect();
            file.write_image::<Gray16>(160, 128, &counts).unwrap();
        }
    }
    let mut call = program();
    call.arg("train").arg(&data).arg("--sensor").arg(&profile).arg("-o").arg(&model);
    call.args(["--seed", "1"]).assert().success();
    [profile, model].map(|path| path.to_str().unwrap().to_owned())
}

/// The fake camera's picture, as its source has it.
fn scene(id: usize) -> Array3<f32> {
    Array3::from_shape_fn((1, 128, 160), |(_, row, column)| {
        (256 * (row + column + id) % 65535) as f32
    })
}

#[test]
fn pictures_go_to_sound_and_back() {
    let Some(_fake) = Fake::new(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let mut live = Live::start(folder.path(), &model, &["--preset", "data", "--frames", "30"]);
    assert_eq!(live.end(), Some(0), "{}", live.said());
    let sound = folder.path().join("live.wav");
    assert_eq!(whole(&sound), 30);
    let back = folder.path().join("back");
    listen(&sound, &back);
    let frames = array(&back.join("frames.npy"));
    let (rows, columns) = (frames.dim().2, frames.dim().3);
    let known: Vec<_> = (0..256)
        .map(|id| {
            let bands = vec![Band::new("UV", Unit::Counts)];
            Frame::new(scene(id), bands.into(), 0.0).letterbox(rows, columns).data
        })
        .collect();
    let mut seen = Vec::new();
    for frame in frames.outer_iter() {
        let error = |known: &Array3<f32>| {
            let squares = known.iter().zip(&frame).filter(|(k, _)| !k.is_nan());
            let (sum, count) =
                squares.fold((0.0, 0), |(s, n), (k, f)| (s + f64::from(k - f).powi(2), n + 1));
            (sum / f64::from(count)).sqrt()
        };
        let errors: Vec<f64> = known.iter().map(error).collect();
        let best = (0..256).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap();
        // Of 65535; the pictures are sawteeth, whose edges wander.
        assert!(errors[best] < 8000.0, "{} for {best}", errors[best]);
        seen.push(best);
    }
    // What is heard moves on as the camera does.
    seen.dedup();
    assert!(seen.len() > 10, "{seen:?}");
}

#[test]
fn pictures_with_missing_packets_are_counted_and_never_shown() {
    // Of a thousand packets, so many get lost. A busy machine loses more, but of
    // small pictures, of few packets, some are whole all the same.
    let Some(_fake) = Fake::new(&["-r", "8"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let profile = profile(folder.path(), 160, 128);
    let (frames, said) =
        inspect(folder.path(), &["--frames", "40", "--sensor", profile.to_str().unwrap()]);
    let (numbers, between) = trail(pictures(&frames));
    let [broken, missed, packets] = losses(&said);
    assert!(broken > 0 && packets > 0, "{said}");
    assert!(between.contains(&(broken + missed)), "{said} {numbers:?}");
}

#[test]
fn a_camera_from_which_nothing_comes_is_reported() {
    let Some(_fake) = Fake::new(&["-r", "1000"]) else { return };
    let output = program().args(["inspect", CAMERA]).output().unwrap();
    refused(&output, 1, "the camera sends no picture");
    assert!(text(&output.stderr).contains("trigger"), "{output:?}");
}

/// A running `live`, to a file.
struct Live {
    child: Child,
    said: std::path::PathBuf,
}

fn live_bytes(folder: &Path) -> u64 {
    fs::metadata(folder.join("live.wav")).map_or(0, |found| found.len())
}

impl Live {
    fn start(folder: &Path, [profile, model]: &[String; 2], arguments: &[&str]) -> Self {
        let said = folder.join("said.txt");
        let child = Command::new(env!("CARGO_BIN_EXE_wysiwyh"))
            .args(["live", CAMERA, "--no-speaker", "--sensor", profile, "--model", model, "-o"])
            .arg(folder.join("live.wav"))
            .args(arguments)
            .env("WYSIWYH_PLAIN", "1")
            .env("HOME", "/nonexistent")
            .stdout(File::create(folder.join("end.txt")).unwrap())
            .stderr(File::create(&said).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// Waits until `happened`.
    fn wait(&self, what: &str, mut happened: impl FnMut() -> bool) {
        let began = Instant::now();
        while !happened() {
            assert!(began.elapsed() < PATIENCE, "{what} did not come: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn interrupt(&self) {
        interrupt(&self.child);
    }

    /// The exit status, when it comes.
    fn end(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "it hangs: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_camera_that_is_unplugged_is_waited_for() {
    let Some(mut fake) = Fake::new(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let mut live = Live::start(folder.path(), &model, &[]);
    live.wait("the first sound", || live_bytes(folder.path()) > 100_000);
    fake.unplug();
    live.wait("word of its absence", || live.said().contains("waits for it"));
    fake.plug();
    live.wait("word of its return", || live.said().contains("The camera is back"));
    let before = live_bytes(folder.path());
    live.wait("more sound", || live_bytes(folder.path()) > before + 100_000);
    fake.unplug();
    live.wait("word of its absence", || live.said().matches("waits for it").count() > 1);
    // Also while it is away, the user can end it.
    live.interrupt();
    assert_eq!(live.end(), Some(0), "{}", live.said());
    let end = fs::read_to_string(folder.path().join("end.txt")).unwrap();
    assert!(end.contains("silent while the camera was away"), "{end}");
    whole(&folder.path().join("live.wav"));
}

/// The description of a thermal camera in GenICam's terms: what the fake has,
/// and `more`, in registers that the fake does not use.
fn description(model: &str, format: (&str, u32), sensor_rows: usize, more: &str) -> String {
    let register = |name: &str, address: u32| {
        format!(
            "<IntReg Name=\"{name}\"><Address>{address}</Address><Length>4</Length>\
             <AccessMode>RW</AccessMode><pPort>Device</pPort><Sign>Unsigned</Sign>\
             <Endianess>BigEndian</Endianess></IntReg>"
        )
    };
    let registers: String = [
        ("Width", 0x100),
        ("Height", 0x104),
        ("OffsetX", 0x130),
        ("OffsetY", 0x134),
        ("PixelFormatReg", 0x128),
        ("AcquisitionReg", 0x124),
        ("ModeReg", 0x12c),
        ("IRFormatReg", 0x800),
        ("LinearReg", 0x804),
        ("ResolutionReg", 0x808),
    ]
    .iter()
    .map(|(name, address)| register(name, *address))
    .collect();
    let (format, code) = format;
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <RegisterDescription ModelName=\"Fake\" VendorName=\"Aravis\" \
         xmlns=\"http://www.genicam.org/GenApi/Version_1_0\">\
         <Category Name=\"Root\"><pFeature>Width</pFeature></Category>\
         <String Name=\"DeviceVendorName\"><Value>FLIR Systems</Value></String>\
         <String Name=\"DeviceModelName\"><Value>{model}</Value></String>\
         <Integer Name=\"SensorWidth\"><Value>512</Value></Integer>\
         <Integer Name=\"SensorHeight\"><Value>{sensor_rows}</Value></Integer>\
         {registers}{more}\
         <Enumeration Name=\"PixelFormat\"><EnumEntry Name=\"{format}\"><Value>{code}</Value>\
         </EnumEntry><pValue>PixelFormatReg</pValue></Enumeration>\
         <Enumeration Name=\"AcquisitionMode\"><EnumEntry Name=\"Continuous\"><Value>1</Value>\
         </EnumEntry><pValue>ModeReg</pValue></Enumeration>\
         <Command Name=\"AcquisitionStart\"><pValue>AcquisitionReg</pValue>\
         <CommandValue>1</CommandValue></Command>\
         <Command Name=\"AcquisitionStop\"><pValue>AcquisitionReg</pValue>\
         <CommandValue>0</CommandValue></Command>\
         <IntSwissKnife Name=\"PayloadSize\"><pVariable Name=\"W\">Width</pVariable>\
         <pVariable Name=\"H\">Height</pVariable><Formula>W * H * 2</Formula></IntSwissKnife>\
         <Port Name=\"Device\"/></RegisterDescription>"
    )
}

fn choice(name: &str, register: &str, entries: &[&str]) -> String {
    let entry =
        |(value, name)| format!("<EnumEntry Name=\"{name}\"><Value>{value}</Value></EnumEntry>");
    let entries: String = entries.iter().enumerate().map(entry).collect();
    format!("<Enumeration Name=\"{name}\">{entries}<pValue>{register}</pValue></Enumeration>")
}

#[test]
fn a_thermal_camera_is_set_to_send_temperatures() {
    let folder = tempfile::tempdir().unwrap();
    let xml = folder.path().join("camera.xml");
    let formats = ["Radiometric", "TemperatureLinear100mK", "TemperatureLinear10mK"];
    let ir_format = choice("IRFormat", "IRFormatReg", &formats);
    fs::write(&xml, description("FLIR A50", ("Mono16", 0x0110_0007), 512, &ir_format)).unwrap();
    let Some(_fake) = Fake::new(&["-g", xml.to_str().unwrap()]) else { return };
    let (frames, said) = inspect(folder.path(), &["--frames", "3"]);
    assert_eq!((&said["profile"], &said["rows"]), (&"flir-a-series".into(), &512.into()));
    assert_eq!(said["bands"][0]["unit"], "celsius");
    let counts = frames.mapv(|celsius| ((f64::from(celsius) + 273.15) / 0.01).round() as f32);
    trail(pictures(&counts));

    // So it is for the model of another thermal sensor.
    let (_, said) = inspect(folder.path(), &["--frames", "2", "--sensor", "simulated-lwir"]);
    assert_eq!(said["bands"][0]["unit"], "celsius");

    // A profile that wants temperatures and does not ask for them.
    let radiometric = folder.path().join("radiometric.toml");
    let shelf = Path::new(env!("CARGO_MANIFEST_DIR")).join("sensors/flir-a-series.toml");
    let text = fs::read_to_string(shelf).unwrap().replace("flir-a-series", "radiometric");
    fs::write(&radiometric, text.replace("TemperatureLinear10mK\"", "Radiometric\"")).unwrap();
    let call = ["inspect", CAMERA, "--sensor", radiometric.to_str().unwrap()];
    refused(&program().args(call).output().unwrap(), 2, "IRFormat is Radiometric");
}

#[test]
fn a_header_above_the_picture_is_no_reading() {
    let folder = tempfile::tempdir().unwrap();
    let xml = folder.path().join("camera.xml");
    let more = choice("TemperatureLinearMode", "LinearReg", &["Off", "On"])
        + &choice("TemperatureLinearResolution", "ResolutionReg", &["Low", "High"]);
    fs::write(&xml, description("FLIR AX5", ("Mono14", 0x0110_0025), 511, &more)).unwrap();
    let Some(_fake) = Fake::new(&["-g", xml.to_str().unwrap()]) else { return };
    let (frames, said) = inspect(folder.path(), &["--frames", "3"]);
    assert_eq!((&said["profile"], &said["rows"]), (&"flir-ax5".into(), &511.into()));
    assert_eq!(frames.dim(), (3, 1, 511, 512));
    // Steps of 0.04 K of 14 bits.
    for celsius in &frames {
        let steps = (f64::from(*celsius) + 273.15) / 0.04;
        assert!((-0.01..16383.01).contains(&steps) && (steps - steps.round()).abs() < 0.01);
    }
}
