//! Raw pixels without any header: from a pipe, a device or a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::folder::settle;
use super::pixels::Packing;
use super::{LIMIT, Options, Sensor, Source, count, reconcile};
use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Frame, Unit};
use crate::profile::Profile;
use crate::synth::SLOT_S;

/// The name of standard input among sources.
pub const STDIN: &str = "-";

/// How often a reader that waits looks whether it shall stop.
const REST: Duration = Duration::from_millis(50);

/// How many pictures may wait between the pipe and who hears them: few, for
/// each of them is late.
const WAITING: usize = 1;

/// Pictures a second that a source may have.
const RATES_HZ: std::ops::RangeInclusive<f64> = 1e-3..=1e5;

/// What raw pixels do not say of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RawFormat {
    /// How the pixels of a picture lie in bytes.
    pub packing: Packing,
    /// Rows of a picture.
    pub rows: usize,
    /// Columns of a picture.
    pub columns: usize,
    /// Pictures a second; none where each gets one slot of sound.
    pub rate_hz: Option<f64>,
}

impl RawFormat {
    /// Pixels of the packing called `packing`, and pictures of a `size` as in
    /// `160x120@9`: columns, rows, pictures a second. The rate may be missing.
    ///
    /// # Errors
    ///
    /// With a phrase on which of them cannot be followed.
    pub fn new(packing: &str, size: &str) -> std::result::Result<Self, String> {
        let packing: Packing = packing.parse()?;
        let parsed = || {
            let (size, rate) = size.split_once('@').map_or((size, None), |(s, r)| (s, Some(r)));
            let (columns, rows) = size.split_once('x')?;
            let side = |text: &str| text.parse().ok().filter(|&side: &usize| side > 0);
            let rate_hz = match rate {
                Some(text) => Some(text.parse().ok().filter(|hz| RATES_HZ.contains(hz))?),
                None => None,
            };
            Some((side(rows)?, side(columns)?, rate_hz))
        };
        let (rows, columns, rate_hz) =
            parsed().ok_or_else(|| format!("{size} is no size such as 160x120 or 160x120@9"))?;
        Ok(Self { packing, rows, columns, rate_hz })
    }
}

/// Refuses `source` if it is an address in a network.
pub(super) fn refuse_address(source: &str) -> Result<()> {
    let is_scheme = |scheme: &str| {
        scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    match source.split_once("://") {
        Some((scheme, _)) if is_scheme(scheme) && !Path::new(source).exists() => {
            let what = "network addresses are not read";
            let mut hint = format!(
                "pipe a stream: ffmpeg -i {source} -f rawvideo -pix_fmt gray - | wysiwyh live - \
                 --raw gray8 WIDTHxHEIGHT@RATE"
            );
            if scheme.starts_with("http") {
                hint += &format!("; a raster is read as GDAL calls it: /vsicurl/{source}");
            }
            Err(Error::new(Fault::Unsupported, source, what).hint(hint))
        }
        _ => Ok(()),
    }
}

/// Grey pictures whose pixels follow each other without a header, from
/// standard input (`-`), a named pipe or a file.
///
/// They are counts, with scale and offset of the profile, or floats, which are the
/// temperatures that a profile lists, if it does; they come at the stated rate. A thread of its own waits for them, so that a writer who
/// neither writes nor closes keeps nobody from stopping.
#[derive(Debug)]
pub struct Raw {
    name: String,
    profile: Option<Profile>,
    layout: RawFormat,
    source: Source,
    options: Options,
    pictures: Receiver<io::Result<Vec<u8>>>,
    delivered: usize,
    ended: bool,
}

impl Raw {
    /// Opens `source` and waits for nothing yet.
    ///
    /// A picture cut short at the end is left out, and `options.tell` says so.
    /// Where `options.stop` becomes true, the pictures end.
    ///
    /// # Errors
    ///
    /// If `options` do not say how the pixels lie, there is no such file, its
    /// pictures are above 1 GiB, or `profile` lists another number of bands
    /// than one.
    pub fn open(source: &str, profile: Option<&Profile>, options: &Options) -> Result<Self> {
        let layout = options.raw.ok_or_else(|| Error::usage("--raw", "is missing"))?;
        let RawFormat { packing, rows, columns, rate_hz } = layout;
        let name = if source == STDIN { "standard input" } else { source };
        // A manifest can say what the command line cannot.
        if rows == 0 || columns == 0 || rate_hz.is_some_and(|hz| !RATES_HZ.contains(&hz)) {
            let rate = rate_hz.map_or(String::new(), |hz| format!(" at {hz} pictures a second"));
            let what = format!("{columns} x {rows} pixels{rate} are no pictures");
            return Err(Error::usage("--raw", what));
        }
        if packing.bytes(rows, columns).max(rows.saturating_mul(columns).saturating_mul(4)) > LIMIT
        {
            let what = format!("{columns} x {rows} pixels are more than are read at once");
            return Err(Error::usage("--raw", what));
        }
        let bands: Arc<[Band]> = reconcile(name, vec![Band::new("grey", Unit::Counts)], profile)?;
        let size = packing.bytes(rows, columns);
        let mut frames = None;
        if source != STDIN {
            let metadata = std::fs::metadata(source).map_err(|e| Error::input(source, e))?;
            if metadata.is_dir() {
                return Err(Error::input(source, "is a folder, and no file of raw pixels"));
            }
            frames = metadata.is_file().then_some((metadata.len() / size as u64) as usize);
        }
        let rate = rate_hz.map_or(String::new(), |hz| format!(", {hz} pictures a second"));
        let (sender, pictures) = sync_channel(WAITING);
        let path = (source != STDIN).then(|| Path::new(source).to_owned());
        std::thread::spawn(move || match path {
            None => pump(&mut io::stdin().lock(), size, &sender),
            // Opening a named pipe waits for its writer.
            Some(path) => match File::open(path) {
                Ok(mut file) => pump(&mut file, size, &sender),
                Err(error) => drop(sender.send(Err(error))),
            },
        });
        Ok(Self {
            name: name.to_owned(),
            profile: profile.cloned(),
            layout,
            source: Source {
                driver: Some("raw".to_owned()),
                bands,
                rows,
                columns,
                frames,
                period_s: rate_hz.map(|hz| 1.0 / hz),
                ..Source::of(format!("{name}: raw {packing}, {columns} x {rows} pixels{rate}"))
            },
            options: options.clone(),
            pictures,
            delivered: 0,
            ended: false,
        })
    }

    /// The next picture's bytes; none at the end.
    fn bytes(&mut self) -> Option<Result<Vec<u8>>> {
        let stopped = || self.options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
        let found = loop {
            match self.pictures.recv_timeout(REST) {
                Err(RecvTimeoutError::Timeout) if !stopped() => {}
                found => break found.ok(),
            }
        };
        let size = self.layout.packing.bytes(self.layout.rows, self.layout.columns);
        let short = match found {
            Some(Err(error)) => return Some(Err(Error::input(&self.name, error))),
            Some(Ok(bytes)) if bytes.len() == size => return Some(Ok(bytes)),
            Some(Ok(bytes)) => bytes.len(),
            None => 0,
        };
        if self.delivered == 0 && !stopped() {
            let what = format!("ended after {short} bytes, and a picture takes {size}");
            return Some(Err(Error::input(&self.name, what)));
        }
        if let (1.., Some(tell)) = (short, self.options.tell) {
            tell(&format!(
                "{}: ended after {} and {short} of {size} bytes of another, which is left out",
                self.name,
                count(self.delivered, "picture")
            ));
        }
        None
    }

    fn frame(&self, bytes: &[u8]) -> Result<Frame> {
        let RawFormat { packing, rows, columns, .. } = self.layout;
        let mut counts = Vec::with_capacity(rows * columns);
        packing.unpack(bytes, rows * columns, &mut counts);
        let data = Array3::from_shape_vec((1, rows, columns), counts)
            .map_err(|e| Error::input(&self.name, e))?;
        let full_scale = (packing != Packing::F32Le).then(|| full_scale(packing));
        let mut frame = settle(&self.name, data, full_scale, self.profile.as_ref())?;
        frame.time_s = self.delivered as f64 * self.source.period_s.unwrap_or(SLOT_S);
        Ok(frame)
    }
}

/// The largest number that a pixel of `packing` could hold, of which cameras may use less.
fn full_scale(packing: Packing) -> f32 {
    2f32.powi(packing.bits() as i32) - 1.0
}

impl Iterator for Raw {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let frame = self.bytes().map(|bytes| bytes.and_then(|bytes| self.frame(&bytes)));
        self.ended = !matches!(frame, Some(Ok(_)));
        self.delivered += 1;
        frame
    }
}

impl Sensor for Raw {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// Sends pieces of `size` bytes, the last one as long as it is, until nobody
/// takes them.
fn pump(from: &mut impl Read, size: usize, to: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut picture = Vec::with_capacity(size);
        let read = from.by_ref().take(size as u64).read_to_end(&mut picture);
        let whole = picture.len() == size;
        let sent = match read {
            Ok(0) => return,
            Ok(_) => to.send(Ok(picture)),
            Err(error) => to.send(Err(error)),
        };
        if sent.is_err() || !whole {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_rate() {
        let layout = RawFormat::new("gray16le", "160x120@8.7").unwrap();
        assert_eq!((layout.rows, layout.columns, layout.rate_hz), (120, 160, Some(8.7)));
        assert_eq!(RawFormat::new("y14", "2x3").unwrap().rate_hz, None);
        for size in ["", "160", "0x1", "1x-1", "1x1@", "1x1@0", "1x1@nan", "1x1@-9", "axb@9"] {
            assert!(RawFormat::new("gray8", size).unwrap_err().contains("no size"), "{size:?}");
        }
        assert!(RawFormat::new("rgb", "1x1").unwrap_err().contains("mono12p"));
    }
}
