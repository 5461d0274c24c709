//! Cameras on the network of this computer: Aravis' own fake of one.

#![allow(dead_code, reason = "not every binary of tests unplugs them")]

use std::fs::File;

/// Held by whoever puts a camera on the network or looks for all there are:
/// the port of such cameras is fixed, so there is one at a time on the whole
/// computer.
pub fn network() -> File {
    let lock = File::create(std::env::temp_dir().join("wysiwyh-network.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

#[cfg(feature = "gige")]
#[allow(unused_imports, reason = "by long or short runs alone")]
pub use gige::{Fake, profile, step, trail};

#[cfg(feature = "gige")]
mod gige {
    use std::fs::{self, File};
    use std::net::UdpSocket;
    use std::ops::RangeInclusive;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use ndarray::{Array2, ArrayView2};

    use crate::skipped::skipped;

    /// The running camera `gige:127.0.0.1`; gone when dropped.
    #[derive(Debug)]
    pub struct Fake {
        child: Child,
        arguments: Vec<String>,
        _network: File,
    }

    impl Fake {
        /// Starts the camera; `None`, and a line, where it is not installed.
        pub fn new(arguments: &[&str]) -> Option<Self> {
            let network = super::network();
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            match start(&arguments) {
                Some(child) => Some(Self { child, arguments, _network: network }),
                None => {
                    skipped("arv-fake-gv-camera-0.8 is not installed");
                    None
                }
            }
        }

        /// Pulls its plug.
        pub fn unplug(&mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }

        /// Plugs it in again.
        pub fn plug(&mut self) {
            self.child = start(&self.arguments).unwrap();
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            // It may be unplugged.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Starts the camera and waits until it answers.
    fn start(arguments: &[String]) -> Option<Child> {
        let mut camera = Command::new("arv-fake-gv-camera-0.8");
        camera.args(["-i", "127.0.0.1"]).args(arguments);
        let mut child = camera.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect("127.0.0.1:3956").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let began = Instant::now();
        // GigE Vision's discovery, to be acknowledged.
        while socket.send(&[0x42, 1, 0, 2, 0, 0, 0, 1]).is_err()
            || socket.recv(&mut [0; 512]).is_err()
        {
            assert!(child.try_wait().unwrap().is_none(), "the fake camera ended");
            assert!(began.elapsed() < Duration::from_secs(20), "the fake camera does not answer");
        }
        Some(child)
    }

    /// Writes the profile of the fake camera, so many pixels wide and high, as
    /// one for ultraviolet.
    pub fn profile(folder: &Path, columns: usize, rows: usize) -> PathBuf {
        let path = folder.join("fake-uv.toml");
        let text = format!(
            r#"
            name = "fake-uv"
            title = "The fake camera of Aravis, 0.2-0.4 um, counts 0..65535"
            source = "frames"
            tested = "never"
            range = [0.0, 65535.0]
            bands = [{{ name = "UV", wavelength_um = 0.3, fwhm_um = 0.2, unit = "counts" }}]

            [genicam]
            formats = ["Mono12", "Mono16"]
            features = ["Width={columns}", "Height={rows}", "AcquisitionFrameRate=25",
                "ExposureTimeAbs=10000", "NoSuchFeature=1"]
            "#
        );
        fs::write(&path, text).unwrap();
        path
    }

    /// The fake camera's picture `id`, at an exposure of 10 ms and no gain
    /// (`arv_fake_camera_diagonal_ramp` of Aravis 0.8).
    fn pattern(id: usize, rows: usize, columns: usize) -> Array2<f32> {
        let count = |(row, column)| (256 * (row + column + id) % 65535) as f32;
        Array2::from_shape_fn((rows, columns), count)
    }

    /// The number of the fake camera's picture, modulo 65535; panics where it
    /// is not such a picture in every pixel.
    fn number(picture: ArrayView2<f32>) -> usize {
        // 256 x 256 = 65536 leaves 1.
        let id = picture[(0, 0)] as usize * 256 % 65535;
        assert_eq!(picture, pattern(id, picture.nrows(), picture.ncols()), "picture {id}");
        id
    }

    /// How many pictures later `number` is than the picture `before`.
    fn forward(before: usize, number: usize) -> usize {
        let step = (number + 65535 - before) % 65535;
        assert!((1..1000).contains(&step), "picture {number} follows {before}");
        step
    }

    /// How many pictures later `picture` is than `before`, checked as by
    /// [`trail`].
    #[allow(dead_code, reason = "by long runs alone")]
    pub fn step(before: ArrayView2<f32>, picture: ArrayView2<f32>) -> usize {
        forward(number(before), number(picture))
    }

    /// The numbers of `pictures`, and how many may have been lost between them:
    /// nobody knows of those between the first and the second, since the first
    /// is read ahead. Panics where one is no picture of the fake camera's, or
    /// came twice.
    #[allow(dead_code, reason = "by short runs alone")]
    pub fn trail<'a>(
        pictures: impl IntoIterator<Item = ArrayView2<'a, f32>>,
    ) -> (Vec<usize>, RangeInclusive<usize>) {
        let numbers: Vec<usize> = pictures.into_iter().map(number).collect();
        let between = |pair: &[usize]| forward(pair[0], pair[1]) - 1;
        let first = numbers.windows(2).map(between).next().unwrap_or(0);
        let rest: usize = numbers.windows(2).map(between).skip(1).sum();
        // The camera goes from 65535 to 0, and shows both alike.
        let around = usize::from(numbers.windows(2).any(|pair| pair[1] < pair[0]));
        (numbers, rest..=rest + first + around)
    }
}
