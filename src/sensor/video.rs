//! Video files, decoded by the program `ffmpeg` at the other end of a pipe.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use ndarray::Array3;
use serde_json::Value;

use super::folder::{settle, single, wants_one};
use super::{Sensor, Source, check_size};
use crate::error::{Error, Fault, Result};
use crate::frame::Frame;
use crate::profile::Profile;
use crate::program;

/// The frames of a video file, at its own rate.
///
/// Grey video is one band of the counts that it stores, up to 16 bits; colour
/// is three bands of 8 or 16 bits. Where the profile lists one band, colour
/// video in shades of grey is that band. Video of a variable rate comes at
/// its mean rate, frames repeated or left out so that the time stays true.
#[derive(Debug)]
pub struct Video {
    path: String,
    profile: Option<Profile>,
    source: Source,
    layout: Layout,
    rate: f64,
    /// How many frames the file says it has, as near as it says.
    declared: Option<f64>,
    decoder: Decoder,
    /// A frame that was read when the video was opened.
    ready: Option<Frame>,
    delivered: usize,
    ended: bool,
}

impl Video {
    /// Opens the video at `path` and decodes its first frame.
    ///
    /// # Errors
    ///
    /// If `ffmpeg` and `ffprobe` are not installed, the file holds no video
    /// that they read, its pictures are above 1 GiB, or it has another number
    /// of bands than `profile`.
    pub fn open(path: impl AsRef<Path>, profile: Option<&Profile>) -> Result<Self> {
        let path = path.as_ref();
        let facts = Facts::of(path)?;
        let layout = facts.layout(path)?;
        let mut video = Self {
            path: path.to_string_lossy().into_owned(),
            profile: profile.cloned(),
            source: Source {
                driver: Some("video".to_owned()),
                rows: layout.rows,
                columns: layout.columns,
                frames: facts.frames,
                period_s: Some(1.0 / facts.rate()),
                ..Source::of("")
            },
            rate: facts.rate(),
            declared: facts.frames.map(|f| f as f64).or(facts.duration_s.map(|d| d * facts.rate())),
            decoder: Decoder::start(path, &layout, &facts)?,
            layout,
            ready: None,
            delivered: 0,
            ended: false,
        };
        let Some(frame) = video.read().transpose()? else {
            let end = video.decoder.end();
            return Err(Error::input(path, format!("holds no frame{}", end.reason())));
        };
        video.source.bands = frame.bands.clone();
        video.source.description = format!(
            "{}: video, {}, {} x {} pixels, {:.4} frames a second",
            path.display(),
            super::count(frame.bands.len(), "band"),
            video.source.columns,
            video.source.rows,
            video.rate
        );
        video.ready = Some(frame);
        Ok(video)
    }

    /// The next frame from the pipe; `None` at its end.
    fn read(&mut self) -> Option<Result<Frame>> {
        let mut bytes = vec![0; self.layout.bytes()];
        // A picture that is cut off in the middle is no frame.
        self.decoder.pictures.read_exact(&mut bytes).ok()?;
        let data = self.layout.planes(&bytes);
        let data = if wants_one(self.profile.as_ref()) {
            single(data, self.layout.full_scale())
        } else {
            data
        };
        let full_scale = Some(self.layout.full_scale());
        Some(settle(&self.path, data, full_scale, self.profile.as_ref()))
    }

    /// What is wrong with a video that ended: nothing, or a reason why it
    /// ended early.
    fn verdict(&mut self) -> Option<Error> {
        let end = self.decoder.end();
        let missing = self.declared.map_or(0.0, |declared| declared - self.delivered as f64);
        // Files state their duration to a frame or two, and some that of their
        // sound.
        let short = missing > if end.message.is_some() { 2.5 } else { self.rate.max(2.5) };
        if end.success && !short {
            return None;
        }
        let of = match (self.declared, short) {
            (Some(declared), true) => format!(" of about {declared:.0}"),
            _ => String::new(),
        };
        let what = format!("ended after {} frames{of}{}", self.delivered, end.reason());
        Some(Error::input(&self.path, what).hint("the file is damaged or incomplete"))
    }
}

impl Iterator for Video {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let Some(frame) = self.ready.take().map(Ok).or_else(|| self.read()) else {
            self.ended = true;
            return self.verdict().map(Err);
        };
        self.ended = frame.is_err();
        Some(frame.map(|mut frame| {
            frame.time_s = self.delivered as f64 / self.rate;
            self.delivered += 1;
            frame
        }))
    }
}

impl Sensor for Video {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// What `ffprobe` says of the first video stream of a file.
#[derive(Clone, Debug, PartialEq)]
struct Facts {
    rows: usize,
    columns: usize,
    pixel_format: String,
    /// Mean rate as `ffmpeg` writes it, a fraction.
    rate: (u32, u32),
    /// Whether every frame lasts equally long.
    steady: bool,
    frames: Option<usize>,
    duration_s: Option<f64>,
}

impl Facts {
    fn of(path: &Path) -> Result<Self> {
        let entries = "stream=width,height,pix_fmt,r_frame_rate,avg_frame_rate,nb_frames,duration:\
                       stream_tags=rotate:stream_side_data=rotation:format=duration";
        let output = command("ffprobe")
            .args(["-v", "error", "-of", "json", "-select_streams", "v:0"])
            .args(["-show_entries", entries])
            .arg(address(path))
            .stdin(Stdio::null())
            .output()
            .map_err(|e| program::missing("ffprobe", THROUGH, &e))?;
        let facts = serde_json::from_slice(&output.stdout).ok().and_then(|v| Self::parse(&v));
        facts.ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            let reason = match said.lines().rfind(|line| !line.trim().is_empty()) {
                Some(line) => format!(": {}", without_address(line, path)),
                None => String::new(),
            };
            Error::input(path, format!("holds no video that ffmpeg can read{reason}"))
        })
    }

    fn parse(value: &Value) -> Option<Self> {
        let stream = &value["streams"][0];
        let number = |v: &Value| v.as_str().and_then(|text| text.parse::<f64>().ok());
        let rates = (fraction(&stream["avg_frame_rate"]), fraction(&stream["r_frame_rate"]));
        let size = |key: &str| usize::try_from(stream[key].as_u64()?).ok().filter(|&n| n > 0);
        let (mut rows, mut columns) = (size("height")?, size("width")?);
        // `ffmpeg` turns pictures upright; where they lie on their side, this
        // exchanges rows and columns.
        let side_data = stream["side_data_list"].as_array().into_iter().flatten();
        let rotation = side_data
            .filter_map(|data| data["rotation"].as_f64())
            .next()
            .or_else(|| number(&stream["tags"]["rotate"]))
            .unwrap_or(0.0);
        if (rotation / 90.0).round() as i64 % 2 != 0 {
            std::mem::swap(&mut rows, &mut columns);
        }
        let duration = number(&stream["duration"]).or_else(|| number(&value["format"]["duration"]));
        let steady = rates.0 == rates.1;
        let frames = stream["nb_frames"].as_str().and_then(|text| text.parse().ok());
        Some(Self {
            rows,
            columns,
            pixel_format: stream["pix_fmt"].as_str()?.to_string(),
            rate: rates.0.or(rates.1)?,
            steady,
            frames: frames.filter(|_| steady),
            duration_s: duration.filter(|seconds| seconds.is_finite() && *seconds > 0.0),
        })
    }

    fn rate(&self) -> f64 {
        f64::from(self.rate.0) / f64::from(self.rate.1)
    }

    /// How pictures come through the pipe.
    fn layout(&self, path: &Path) -> Result<Layout> {
        let format = self.pixel_format.as_str();
        let grey = format.starts_with("gray") || format.starts_with("mono");
        // Formats of more than 8 bits name their byte order, and so do those that pack a
        // pixel of fewer into 16, as `rgb565le`.
        let bits = format.strip_prefix("rgb").or(format.strip_prefix("bgr")).unwrap_or_default();
        let packed = ["444", "555", "565"].iter().any(|packed| bits.starts_with(packed));
        let deep = (format.ends_with("le") || format.ends_with("be")) && !packed;
        // Grey of 9 to 16 bits keeps its own counts; floats become 16 bits.
        let native = format.trim_end_matches("be").trim_end_matches("le");
        let pipe_format = match (grey, deep) {
            (true, false) => "gray".to_string(),
            (true, true) if native.starts_with("grayf") => "gray16le".to_string(),
            (true, true) => format!("{native}le"),
            (false, false) => "rgb24".to_string(),
            (false, true) => "rgb48le".to_string(),
        };
        let channels = if grey { 1 } else { 3 };
        let layout = Layout { rows: self.rows, columns: self.columns, channels, deep, pipe_format };
        let bytes = self.rows.saturating_mul(self.columns).saturating_mul(channels * 4);
        let pixels = format_args!("its {} x {} pixels take", self.columns, self.rows);
        check_size(path, bytes, pixels)?;
        Ok(layout)
    }
}

/// How a picture lies in the pipe: row by row, pixel by pixel, the numbers of
/// a pixel in 8 bits or in 16 little-endian ones.
#[derive(Clone, Debug, PartialEq)]
struct Layout {
    rows: usize,
    columns: usize,
    channels: usize,
    deep: bool,
    /// What `ffmpeg` calls it.
    pipe_format: String,
}

impl Layout {
    /// Bytes of a picture.
    fn bytes(&self) -> usize {
        self.rows * self.columns * self.channels * if self.deep { 2 } else { 1 }
    }

    fn full_scale(&self) -> f32 {
        if self.deep { 65535.0 } else { 255.0 }
    }

    /// The counts in `bytes`, `[band, row, column]`.
    fn planes(&self, bytes: &[u8]) -> Array3<f32> {
        let shape = (self.channels, self.rows, self.columns);
        Array3::from_shape_fn(shape, |(band, row, column)| {
            let at = (row * self.columns + column) * self.channels + band;
            if self.deep {
                f32::from(u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]))
            } else {
                f32::from(bytes[at])
            }
        })
    }
}

/// A running `ffmpeg`, killed when it is no longer needed.
#[derive(Debug)]
struct Decoder {
    child: Child,
    pictures: BufReader<ChildStdout>,
    /// Drains what it complains about, and keeps the last line.
    messages: Option<JoinHandle<Option<String>>>,
}

/// How a [`Decoder`] ended.
struct End {
    success: bool,
    message: Option<String>,
}

impl End {
    /// The decoder's own words, to be appended.
    fn reason(&self) -> String {
        self.message.as_ref().map_or_else(String::new, |message| format!(": {message}"))
    }
}

impl Decoder {
    fn start(path: &Path, layout: &Layout, facts: &Facts) -> Result<Self> {
        let (frames, seconds) = facts.rate;
        let mut child = command("ffmpeg")
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(address(path))
            .args(["-map", "0:v:0", "-vf", &format!("fps={frames}/{seconds}")])
            .args(["-f", "rawvideo", "-pix_fmt", &layout.pipe_format, "pipe:1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| program::missing("ffmpeg", THROUGH, &e))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::new(Fault::Device, "ffmpeg", "runs without pipes"));
        };
        let path = path.to_path_buf();
        let messages = std::thread::spawn(move || {
            let lines = BufReader::new(stderr).split(b'\n').map_while(std::io::Result::ok);
            let last = lines.filter(|line| !line.trim_ascii().is_empty()).last()?;
            Some(without_address(&String::from_utf8_lossy(&last), &path))
        });
        let pictures = BufReader::with_capacity(1 << 20, stdout);
        Ok(Self { child, pictures, messages: Some(messages) })
    }

    /// Waits for the end of a decoder whose pipe is empty.
    fn end(&mut self) -> End {
        let success = self.child.wait().is_ok_and(|status| status.success());
        let message = self.messages.take().and_then(|thread| thread.join().ok()).flatten();
        End { success, message }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a video needs `ffmpeg` for.
const THROUGH: &str = "videos are read through it";

/// The program `name`, allowed to read files and nothing from the network:
/// some kinds of video are lists of addresses.
fn command(name: &str) -> Command {
    let mut command = program::command(name);
    command.args(["-hide_banner", "-protocol_whitelist", "file,pipe"]);
    command
}

/// The name by which `ffmpeg` takes `path` for a file, whatever it looks like.
fn address(path: &Path) -> OsString {
    let mut address = OsString::from("file:");
    address.push(path);
    address
}

/// A message of `ffmpeg` without the name of the file, which ours begin with.
fn without_address(message: &str, path: &Path) -> String {
    let address = address(path);
    message.trim().replace(&format!("{}: ", address.to_string_lossy()), "")
}

/// A rate like `30000/1001`; `None` for `0/0` and its kin.
fn fraction(value: &Value) -> Option<(u32, u32)> {
    let (above, below) = value.as_str()?.split_once('/')?;
    let fraction = (above.parse().ok()?, below.parse().ok()?);
    (fraction.0 > 0 && fraction.1 > 0).then_some(fraction)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_are_read_from_what_ffprobe_prints() {
        let value = json!({
            "streams": [{"width": 640, "height": 512, "pix_fmt": "gray12le",
                "r_frame_rate": "30/1", "avg_frame_rate": "30/1", "nb_frames": "45",
                "side_data_list": [{"rotation": -90}]}],
            "format": {"duration": "1.5"}
        });
        let facts = Facts::parse(&value).unwrap();
        assert_eq!((facts.rows, facts.columns, facts.frames), (640, 512, Some(45)));
        let layout = facts.layout(Path::new("a.mkv")).unwrap();
        assert_eq!((layout.pipe_format.as_str(), layout.bytes()), ("gray12le", 640 * 512 * 2));
        let piped = |format: &str| {
            let facts = Facts { pixel_format: format.to_owned(), ..facts.clone() };
            facts.layout(Path::new("a.mkv")).unwrap().pipe_format
        };
        for (format, through) in [
            ("rgb565le", "rgb24"),
            ("bgr444be", "rgb24"),
            ("yuv420p", "rgb24"),
            ("rgb48be", "rgb48le"),
            ("yuv444p10le", "rgb48le"),
        ] {
            assert_eq!(piped(format), through, "{format}");
        }
        assert_eq!(Facts::parse(&json!({"streams": []})), None);
    }

    #[test]
    fn pictures_above_the_budget_are_refused() {
        let value = json!({"streams": [{"width": 40000, "height": 40000, "pix_fmt": "yuv420p",
            "r_frame_rate": "30/1", "avg_frame_rate": "0/0"}]});
        let facts = Facts::parse(&value).unwrap();
        assert_eq!((facts.rate(), facts.steady), (30.0, false));
        let error = facts.layout(Path::new("a.mkv")).unwrap_err().to_string();
        assert!(error.contains("40000 x 40000") && error.contains("1024 MiB"), "{error}");
    }
}
