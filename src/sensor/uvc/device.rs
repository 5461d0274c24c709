//! The video devices of Linux: which there are, and pictures out of one.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use linuxvideo::format::{FrameSizes, PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, BufTypes};

use crate::error::{Error, Fault, Result};
use crate::profile::{Camera, FourCc};

/// Where the kernel lists its video devices.
const CLASS: &str = "/sys/class/video4linux";

/// How often a camera is asked whether a picture has come.
const POLL: Duration = Duration::from_millis(1);

/// The longest name that is shown.
const NAME: usize = 64;

/// An attached video device that captures.
#[derive(Clone, Debug)]
pub(super) struct Device {
    /// `/dev/videoN`.
    pub path: PathBuf,
    /// What it calls itself.
    pub name: String,
    /// USB `vendor:product`.
    pub usb: Option<String>,
    /// What it offers.
    pub modes: Vec<Mode>,
    /// Why it could not be asked.
    pub problem: Option<String>,
}

/// A pixel format, and the sizes in which there is one.
#[derive(Clone, Debug)]
pub(super) struct Mode {
    pub format: FourCc,
    /// `[columns, rows]`; for a continuous range the smallest and the largest.
    pub sizes: Vec<[u32; 2]>,
    continuous: bool,
}

impl Mode {
    /// Whether it comes in `size`.
    pub fn has(&self, size: [u32; 2]) -> bool {
        match (self.continuous, self.sizes.as_slice()) {
            (true, [low, high]) => (0..2).all(|i| (low[i]..=high[i]).contains(&size[i])),
            _ => self.sizes.contains(&size),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.format)?;
        let join = if self.continuous { ".." } else { " " };
        let sizes: Vec<String> = self.sizes.iter().map(|[w, h]| format!("{w}x{h}")).collect();
        write!(f, " {}", sizes.join(join))
    }
}

impl Device {
    /// The device at `path` as the kernel's list has it; it is not asked.
    fn listed(path: PathBuf) -> Self {
        let class = Path::new(CLASS).join(path.file_name().unwrap_or_default());
        let read = |file: &str| std::fs::read_to_string(class.join(file)).ok();
        let name = read("name").unwrap_or_default();
        let name: String = name.trim().chars().filter(|c| !c.is_control()).take(NAME).collect();
        let id = |file: &str| Some(read(&format!("device/../{file}"))?.trim().to_lowercase());
        let usb = id("idVendor").zip(id("idProduct")).map(|(v, p)| format!("{v}:{p}"));
        Self { path, name, usb, modes: vec![], problem: None }
    }

    /// The device with what it offers, whether or not it can be asked; `None`
    /// if it is there and no camera.
    fn asked(mut self) -> Option<Self> {
        match self.ask() {
            Ok(Some(modes)) => self.modes = modes,
            Ok(None) => return None,
            Err(error) => self.problem = Some(reason(&error)),
        }
        Some(self)
    }

    /// Whether `other` is this camera, or one of the same kind.
    pub fn is_like(&self, other: &Self) -> bool {
        self.usb == other.usb && self.name == other.name
    }

    /// What the device offers; `None` if it captures no pictures.
    fn ask(&self) -> io::Result<Option<Vec<Mode>>> {
        let device = linuxvideo::Device::open(&self.path)?;
        if !device.supported_buf_types().contains(BufTypes::VIDEO_CAPTURE) {
            return Ok(None);
        }
        let mut modes = Vec::new();
        for format in device.formats(BufType::VIDEO_CAPTURE) {
            let format = format?.pixel_format();
            let (sizes, continuous) = match device.frame_sizes(format) {
                Ok(FrameSizes::Discrete(sizes)) => {
                    (sizes.iter().map(|size| [size.width(), size.height()]).collect(), false)
                }
                Ok(range) => {
                    let low = [range.min_width(), range.min_height()];
                    (vec![low, [range.max_width(), range.max_height()]], true)
                }
                Err(_) => (vec![], false),
            };
            modes.push(Mode { format: FourCc(format.as_fourcc()), sizes, continuous });
        }
        Ok(Some(modes))
    }

    /// The formats and sizes that `camera` asks for and this device offers,
    /// best first; without a size where the camera names none.
    pub fn offers(&self, camera: &Camera) -> Vec<(FourCc, Option<[u32; 2]>)> {
        let formats = camera.formats.iter().filter_map(|name| FourCc::parse(name));
        let offered =
            formats.filter_map(|format| self.modes.iter().find(|mode| mode.format == format));
        offered
            .flat_map(|mode| match camera.sizes.as_slice() {
                [] => vec![(mode.format, None)],
                sizes => {
                    let has = sizes.iter().filter(|size| mode.has(**size));
                    has.map(|size| (mode.format, Some(*size))).collect()
                }
            })
            .collect()
    }

    /// An error about this device.
    pub fn error(&self, fault: Fault, what: impl fmt::Display) -> Error {
        Error::new(fault, self.path.display(), what)
    }
}

/// Every video device in the order of their numbers, cameras and others; none
/// of them is asked.
pub(super) fn listed() -> Vec<Device> {
    let entries = std::fs::read_dir(CLASS).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix("video")?.parse::<u32>().ok();
    let mut numbers: Vec<u32> =
        entries.filter_map(|entry| number(&entry.file_name().to_string_lossy())).collect();
    numbers.sort_unstable();
    numbers.iter().map(|n| Device::listed(format!("/dev/video{n}").into())).collect()
}

/// Every camera that is attached, in the order of their numbers.
pub(super) fn list() -> Vec<Device> {
    listed().into_iter().filter_map(Device::asked).collect()
}

/// The camera at `path`.
///
/// # Errors
///
/// If there is none, or it cannot be asked.
pub(super) fn at(path: &Path) -> Result<Device> {
    // Names like those in /dev/v4l/by-id are links.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let device = Device::listed(path.clone()).asked().ok_or_else(|| {
        Error::new(Fault::Input, path.display(), "is a device that captures no pictures")
            .hint("cameras often have a second one beside it: `wysiwyh sensors probe`")
    })?;
    match &device.problem {
        None => Ok(device),
        Some(problem) => Err(device
            .error(Fault::Device, problem)
            .hint("`wysiwyh sensors probe` lists the cameras that are attached")),
    }
}

/// What `error` means, in words.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no camera is attached there".into(),
        ErrorKind::PermissionDenied => {
            "may not be opened; become a member of the group video".into()
        }
        ErrorKind::ResourceBusy => "is in use by another program".into(),
        _ => format!("cannot be opened: {error}"),
    }
}

/// How pictures come, as agreed on with the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub format: FourCc,
    pub columns: usize,
    pub rows: usize,
    /// Bytes from one row to the next; 0 for compressed pictures.
    pub stride: usize,
}

/// Pictures of a camera.
pub(super) struct Stream {
    stream: ReadStream,
    pub agreed: Agreed,
    /// Seconds between pictures, at least.
    pub period_s: Option<f64>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("agreed", &self.agreed).finish_non_exhaustive()
    }
}

/// What came within the time.
pub(super) enum Arrival {
    /// The bytes of a picture.
    Picture(Vec<u8>),
    /// One that the driver knows to be damaged.
    Damaged,
    /// None.
    Nothing,
}

impl Stream {
    /// Starts `device` in the first mode that `camera` asks for and that the
    /// driver agrees to.
    ///
    /// # Errors
    ///
    /// If there is none, or the device is in use.
    pub fn start(device: &Device, camera: &Camera) -> Result<Self> {
        let mut refused = None;
        for (format, size) in device.offers(camera) {
            let failed = |e: io::Error| device.error(Fault::Device, reason(&e));
            match Self::start_in(device, format, size).map_err(failed)? {
                Ok(stream) => return Ok(stream),
                Err(what) => refused = refused.or(Some(what)),
            }
        }
        let modes: Vec<String> = device.modes.iter().map(Mode::to_string).collect();
        let what = refused.unwrap_or_else(|| {
            format!("offers {}, and not what its profile asks for", modes.join(", "))
        });
        Err(device
            .error(Fault::Device, what)
            .hint("name another profile: --sensor NAME; `wysiwyh sensors probe` shows which fit"))
    }

    /// Starts `device` in one mode; or what the driver would rather do.
    fn start_in(
        device: &Device,
        format: FourCc,
        size: Option<[u32; 2]>,
    ) -> io::Result<std::result::Result<Self, String>> {
        let handle = linuxvideo::Device::open(&device.path)?;
        let pixel_format = PixelFormat::from_fourcc(format.0);
        let [columns, rows] = match size {
            Some(size) => size,
            None => match handle.format(BufType::VIDEO_CAPTURE)? {
                linuxvideo::format::Format::VideoCapture(now) => [now.width(), now.height()],
                _ => return Ok(Err("says nothing of its size".into())),
            },
        };
        let intervals = handle.frame_intervals(pixel_format, columns, rows).ok();
        let period_s = intervals.map(|intervals| f64::from(intervals.min().as_f32()));
        let capture = handle.video_capture(PixFormat::new(columns, rows, pixel_format))?;
        let got = capture.format();
        let agreed = Agreed {
            format: FourCc(got.pixel_format().as_fourcc()),
            columns: got.width() as usize,
            rows: got.height() as usize,
            stride: got.bytes_per_line() as usize,
        };
        let is_asked = agreed.format == format
            && (size.is_none() || [got.width(), got.height()] == [columns, rows]);
        if !is_asked {
            return Ok(Err(format!(
                "was asked for {format} of {columns} x {rows} pixels, and sends {} of {} x {}",
                agreed.format, agreed.columns, agreed.rows
            )));
        }
        let period_s = period_s.filter(|period_s| period_s.is_finite() && *period_s > 0.0);
        Ok(Ok(Self { stream: capture.into_stream()?, agreed, period_s }))
    }

    /// Waits for the next picture, until `until`.
    ///
    /// The driver is asked whether there is one before it is asked for it, so
    /// that a camera which falls silent holds nobody up.
    ///
    /// # Errors
    ///
    /// If the camera is gone.
    pub fn next(&mut self, until: Instant) -> io::Result<Arrival> {
        while self.stream.will_block()? {
            if Instant::now() >= until {
                return Ok(Arrival::Nothing);
            }
            std::thread::sleep(POLL);
        }
        self.stream.dequeue(|buffer| {
            Ok(match buffer.is_error() {
                true => Arrival::Damaged,
                false => Arrival::Picture(buffer.to_vec()),
            })
        })
    }
}
