//! Entries as Rerun rows, down one sink.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use half::f16;
use image::{Rgb, RgbImage};
use ndarray::{Array3, ArrayView3};
use rerun::external::re_grpc_server::MemoryLimit;
use rerun::external::re_uri::ProxyUri;
use rerun::log::ChunkBatcherConfig;
use rerun::sink::{FileSink, GrpcSink, LogSink, SinkFlushError};
use rerun::{
    AnyValues, BarChart, EncodedImage, RecordingStream, RecordingStreamBuilder, Scalars,
    SeriesLines, ServerOptions, StoreId, StoreKind, Tensor, TensorBuffer, TensorData, TextDocument,
    TextLog, components,
};
use tempfile::TempPath;

use super::outlet::Destination;
use super::queue::{Entry, Pictures, Slot};
use super::{Pace, SPECTROGRAM_SLOTS, Session, VALUES_STEP, blueprint, halves_suffice, viewer};
use crate::error::{Error, Fault, Result};
use crate::picture::{colour, legend, png, preview};
use crate::staging::{claim, part_of};

/// Identifies a recording: the same for every target of a session.
pub(super) type RecordingId = StoreId;

/// A new recording of our application.
pub(super) fn recording_id() -> RecordingId {
    StoreId::random(StoreKind::Recording, "wysiwyh")
}

/// So many bytes may wait inside Rerun before we wait for the sink; it would
/// take a hundred megabytes and a thousand messages.
const IN_FLIGHT: usize = 8 << 20;

/// A file of a live session is waited for about every five seconds, as often as
/// it is written, so that it is soon known when the disk is full.
const IN_FLIGHT_LIVE: usize = 2 << 20;

/// Viewers are waited for far more often, so that it is soon known when one
/// is gone: about once a second.
const IN_FLIGHT_TO_VIEWER: usize = 256 << 10;

/// A sink that has not answered for so long is asked anew.
const ANSWER: Duration = Duration::from_secs(1);

/// A file that has neither answered nor grown for so long is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A spectrogram is logged once in so many slots.
const SPECTROGRAM_STEP: u64 = 20;

/// What a server keeps for viewers that come later.
const SERVER_BYTES: u64 = 256 << 20;

/// An open sink, and what the rows so far leave behind.
pub(super) struct Stream {
    rec: RecordingStream,
    about: Arc<Session>,
    /// The file to be complete at the end.
    file: Option<File>,
    /// The last spectra, oldest first.
    history: VecDeque<Arc<[f32]>>,
    /// The views that the layout has so far.
    layout: Option<blueprint::Layout>,
    /// Bytes logged since the sink was last waited for.
    in_flight: usize,
    pace: Pace,
}

/// A file on its way.
struct File {
    path: PathBuf,
    /// Its name until it is complete, where it has another one.
    part: Option<TempPath>,
    /// Open beside Rerun's own, which locks nothing, so that it is nobody else's.
    _claim: Option<std::fs::File>,
}

impl Stream {
    pub fn open(
        destination: &Destination,
        pace: Pace,
        recording: &RecordingId,
        about: &Arc<Session>,
    ) -> Result<Self> {
        let (sink, file): (Box<dyn LogSink>, _) = match destination {
            Destination::File(path) => {
                let file = File::create(path, pace)?;
                let sink = FileSink::new(file.place()).map_err(|e| Error::output(path, e))?;
                (Box::new(sink), Some(file))
            }
            Destination::Viewer(address) => (Box::new(connect(address)?), None),
            Destination::Port(port) => (serve(*port)?, None),
            Destination::NewViewer => (Box::new(spawn()?), None),
        };
        let broken = |e: &dyn fmt::Display| Error::new(Fault::Output, destination, e);
        let rec = RecordingStreamBuilder::from_store_id(recording)
            // Whoever asks for a session gets one, whatever `RERUN` says.
            .enabled(true)
            .recording_name(about.source.clone())
            .batcher_config(batching(destination))
            .buffered()
            .map_err(|e| broken(&e))?;
        rec.set_sink(sink);
        // The slots have times of their own.
        rec.set_log_time_enabled(false);
        let (about, history) = (about.clone(), VecDeque::with_capacity(SPECTROGRAM_SLOTS));
        let stream = Self { rec, about, file, history, layout: None, in_flight: 0, pace };
        stream.introduce().map_err(|e| broken(&e))?;
        // So that it stands ahead of the slots, wherever the session is cut off.
        stream.rec.flush_async().map_err(|e| broken(&e))?;
        Ok(stream)
    }

    /// Logs what holds for the whole session.
    fn introduce(&self) -> rerun::RecordingStreamResult<()> {
        let (rec, about) = (&self.rec, &*self.about);
        let text = |text: &dyn fmt::Display| [components::Text::from(text.to_string())];
        let wav = about.wav.as_ref().map_or(String::new(), |path| path.display().to_string());
        let bands = match about.header.is_empty() {
            true => String::new(),
            false => serde_json::to_string(&about.bands).unwrap_or_default(),
        };
        let properties: [(&str, &dyn fmt::Display); 11] = [
            ("command_line", &about.command_line),
            ("version", &env!("CARGO_PKG_VERSION")),
            ("seed", &about.seed),
            ("model", &about.model),
            ("model_hash", &about.model_hash),
            ("profile", &about.profile),
            ("source", &about.source),
            ("wav", &wav),
            ("lead_in_s", &about.lead_in_s),
            ("header", &about.header),
            ("bands", &bands),
        ];
        let values = properties.into_iter().fold(AnyValues::default(), |values, (name, value)| {
            values.with_component::<components::Text>(name, text(value))
        });
        rec.send_property("session", &values)?;
        rec.log_static("about", &TextDocument::from_markdown(describe(about)))?;
        if !about.frequencies_hz.is_empty() {
            let axis = BarChart::update_fields()
                .with_abscissa(about.frequencies_hz.clone())
                .with_widths(widths(&about.frequencies_hz));
            rec.log_static("spectrum", &axis)?;
        }
        for (path, name) in blueprint::SCORES.into_iter().chain(blueprint::SCENE) {
            rec.log_static(path, &SeriesLines::new().with_names([name]))?;
        }
        Ok(())
    }

    /// Logs `entry`; waits for the sink now and then.
    ///
    /// # Errors
    ///
    /// If the sink has failed.
    pub fn write(&mut self, entry: &Entry) -> std::result::Result<(), String> {
        self.log(entry).map_err(|e| self.failed(&e))?;
        self.in_flight += bytes(entry);
        let most = match (&self.file, self.pace) {
            (None, _) => IN_FLIGHT_TO_VIEWER,
            (Some(_), Pace::Live) => IN_FLIGHT_LIVE,
            (Some(_), Pace::Batch) => IN_FLIGHT,
        };
        if self.in_flight >= most {
            self.in_flight = 0;
            self.settle()?;
        }
        Ok(())
    }

    /// Waits until the sink has taken everything. One that has failed does not
    /// always answer those who wait already, but refuses the next one. Where
    /// that was Rerun's own thread, it waits for ever: only a file that grows no
    /// more tells of it.
    fn settle(&self) -> std::result::Result<(), String> {
        let length = |file: &File| std::fs::metadata(file.place()).map_or(0, |found| found.len());
        let (mut before, mut since) = (None, Instant::now());
        loop {
            match self.rec.flush_with_timeout(ANSWER) {
                Err(SinkFlushError::Timeout) => {}
                settled => return settled.map_err(|e| self.failed(&e)),
            }
            let Some(now) = self.file.as_ref().map(length) else { continue };
            if before.replace(now) != Some(now) {
                since = Instant::now();
            } else if since.elapsed() > PATIENCE {
                // Whoever drops the last handle waits for that thread, too.
                std::mem::forget(self.rec.clone());
                let what = format!("no answer for {} s", PATIENCE.as_secs());
                return Err(self.failed(&what));
            }
        }
    }

    /// What `error` means; of a file Rerun only says that its thread is gone.
    fn failed(&self, error: &dyn fmt::Display) -> String {
        match self.file {
            Some(_) => format!("could not be written, the disk may be full ({error})"),
            None => error.to_string(),
        }
    }

    fn log(&mut self, entry: &Entry) -> rerun::RecordingStreamResult<()> {
        match entry {
            Entry::Slot(slot) => {
                self.lay_out(blueprint::Layout::of(slot))?;
                self.rec.reset_time();
                self.rec.set_time_sequence("slot", slot.slot.cast_signed());
                self.rec.set_duration_secs("time", slot.time_s);
                self.log_sound(slot)?;
                match &slot.pictures {
                    Some(pictures) => self.log_pictures(slot.slot, pictures),
                    None => Ok(()),
                }
            }
            Entry::Scalar { path, step, value } => {
                self.lay_out(blueprint::Layout::curves())?;
                self.rec.reset_time();
                self.rec.set_time_sequence("step", step.cast_signed());
                self.rec.log(path.as_str(), &Scalars::single(*value))
            }
            Entry::Mark { slot, time_s, text } => {
                self.lay_out(blueprint::Layout::marks())?;
                self.rec.reset_time();
                self.rec.set_time_sequence("slot", slot.cast_signed());
                self.rec.set_duration_secs("time", *time_s);
                self.rec.log("marks", &TextLog::new(text.as_str()))
            }
        }
    }

    /// Sends the layout whenever there is something new to show.
    fn lay_out(&mut self, shown: blueprint::Layout) -> rerun::RecordingStreamResult<()> {
        let layout = self.layout.unwrap_or_default().with(shown);
        if self.layout != Some(layout) {
            self.layout = Some(layout);
            layout.blueprint(&self.about).send(&self.rec, Default::default())?;
        }
        Ok(())
    }

    fn log_sound(&mut self, slot: &Slot) -> rerun::RecordingStreamResult<()> {
        let floor_db = self.about.levels_db[0];
        let heights: Vec<f32> = slot.levels_db.iter().map(|level| level - floor_db).collect();
        self.rec.log("code", &BarChart::new(&slot.code[..]))?;
        self.rec.log("spectrum", &BarChart::new(heights))?;
        let drops = Some(slot.dropped as f64);
        let scores = [Some(slot.loudness_lufs), Some(slot.band_energy), slot.psnr_db];
        let [sample, left_out] = [slot.sample, slot.left_out].map(|n| n.map(|n| n as f64));
        let scores = scores.into_iter().chain([slot.latency_s, sample, left_out, drops]);
        let paths = blueprint::SCORES.into_iter().chain(blueprint::SCENE);
        for ((path, _), score) in paths.zip(scores.chain(slot.extremes)) {
            if let Some(score) = score {
                self.rec.log(path, &Scalars::single(score))?;
            }
        }
        if self.history.len() == SPECTROGRAM_SLOTS {
            self.history.pop_front();
        }
        self.history.push_back(slot.levels_db.clone());
        if slot.slot.is_multiple_of(SPECTROGRAM_STEP) {
            self.log_spectrogram()?;
        }
        Ok(())
    }

    fn log_spectrogram(&self) -> rerun::RecordingStreamResult<()> {
        let picture = spectrogram(&self.history, self.about.levels_db);
        self.rec.log("spectrogram", &as_image(&picture))
    }

    fn log_pictures(&self, slot: u64, pictures: &Pictures) -> rerun::RecordingStreamResult<()> {
        let Session { bands, range, .. } = &*self.about;
        let picture = |entity: &str, data: &Array3<f32>| {
            let picture = preview(data.view(), range, bands);
            self.rec.log(format!("{entity}/picture"), &as_image(&picture))
        };
        let values = |entity: &str, data: &Array3<f32>| {
            self.rec.log(format!("{entity}/values"), &as_tensor(data.view(), range))
        };
        picture("input", &pictures.input)?;
        values("input", &pictures.input)?;
        let Some((data, origin)) = &pictures.reconstruction else { return Ok(()) };
        picture(blueprint::entity(*origin), data)?;
        match self.pace == Pace::Batch || slot.is_multiple_of(VALUES_STEP) {
            true => values(blueprint::entity(*origin), data),
            false => Ok(()),
        }
    }

    /// Writes what is left and closes the sink; `dropped` pictures are
    /// missing.
    ///
    /// # Errors
    ///
    /// If the sink has failed, or the file did not become complete.
    pub fn end(self, dropped: u64) -> std::result::Result<(), String> {
        let last = || -> rerun::RecordingStreamResult<()> {
            if !self.history.is_empty() {
                self.log_spectrogram()?;
            }
            let dropped = components::Text::from(dropped.to_string());
            let values = AnyValues::default()
                .with_component::<components::Text>("dropped_pictures", [dropped]);
            self.rec.send_property("end", &values)
        };
        last().map_err(|e| self.failed(&e))?;
        self.settle()?;
        // The footer is written when the last handle of the stream is gone.
        drop(self.rec);
        self.file.map_or(Ok(()), File::complete)
    }
}

impl File {
    fn create(path: &Path, pace: Pace) -> Result<Self> {
        let (part, claim) = match pace {
            Pace::Live => (None, Some(claim(path)?)),
            Pace::Batch => {
                let part = part_of(path, ".rrd.part").map_err(|e| Error::output(path, e))?;
                (Some(part.into_temp_path()), None)
            }
        };
        Ok(Self { path: path.to_owned(), part, _claim: claim })
    }

    fn place(&self) -> &Path {
        self.part.as_deref().unwrap_or(&self.path)
    }

    /// Checks that the footer was written and gives the file its name. Rerun
    /// only logs it when the last bytes do not fit on the disk.
    fn complete(self) -> std::result::Result<(), String> {
        let mut end = [0; 12];
        let place = self.place();
        let regular = std::fs::metadata(place).map_err(|e| e.to_string())?.is_file();
        if regular {
            let mut file = std::fs::File::open(place).map_err(|e| e.to_string())?;
            let read = file.seek(SeekFrom::End(-12)).and_then(|_| file.read_exact(&mut end));
            if read.is_err() || !end.starts_with(b"RRF2FOOT") {
                return Err("is incomplete: its end could not be written".to_owned());
            }
        }
        match self.part {
            Some(part) => part.persist(&self.path).map_err(|e| e.error.to_string()),
            None => Ok(()),
        }
    }
}

/// How Rerun gathers rows. Files keep an index of all their chunks in memory
/// until the end, so few large ones; viewers get theirs at once.
fn batching(destination: &Destination) -> ChunkBatcherConfig {
    let base = match destination {
        Destination::File(_) => ChunkBatcherConfig {
            flush_tick: Duration::from_secs(4),
            flush_num_bytes: IN_FLIGHT as u64,
            ..ChunkBatcherConfig::DEFAULT
        },
        _ => ChunkBatcherConfig::LOW_LATENCY,
    };
    ChunkBatcherConfig { max_bytes_in_flight: 2 * IN_FLIGHT as u64, ..base }
}

/// A client of the viewer at `address`.
fn connect(address: &str) -> Result<GrpcSink> {
    let uri: ProxyUri = address.parse().map_err(|e| {
        Error::usage(address, e).hint("an address reads rerun+http://127.0.0.1:9876/proxy")
    })?;
    let (host, port) = (uri.origin.host.to_string(), uri.origin.port);
    // Rerun itself would try for ever, and keep everything until then.
    std::net::ToSocketAddrs::to_socket_addrs(&(host.trim_matches(['[', ']']), port))
        .and_then(|mut found| found.next().ok_or(std::io::ErrorKind::NotFound.into()))
        .and_then(|found| TcpStream::connect_timeout(&found, Duration::from_secs(2)))
        .map_err(|e| {
            Error::new(Fault::Output, address, format!("no viewer listens there: {e}"))
                .hint("start the viewer first: `rerun --bind 127.0.0.1`")
        })?;
    Ok(GrpcSink::new(uri))
}

/// A server for viewers of this machine.
fn serve(port: u16) -> Result<Box<dyn LogSink>> {
    // Rerun's own thread would only log that the port is taken.
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|e| Error::new(Fault::Output, format!("port {port}"), e))?;
    let options =
        ServerOptions { memory_limit: MemoryLimit::from_bytes(SERVER_BYTES), ..Default::default() };
    let sink = rerun::grpc_server::GrpcServerSink::new("127.0.0.1", port, options)
        .map_err(|e| Error::new(Fault::Output, format!("port {port}"), e))?;
    Ok(Box::new(sink))
}

/// A client of a viewer that is started for it.
fn spawn() -> Result<GrpcSink> {
    let viewer = viewer::find()?;
    let options = rerun::SpawnOptions {
        executable_path: Some(viewer.display().to_string()),
        extra_args: vec!["--bind=127.0.0.1".to_owned()],
        hide_welcome_screen: true,
        // It shares our standard error, which is read out to some.
        extra_env: vec![("RUST_LOG".to_owned(), "error".to_owned())],
        ..Default::default()
    };
    let failed = |what: &dyn fmt::Display| Error::new(Fault::Device, viewer.display(), what);
    let port = rerun::spawn(&options).map_err(|e| failed(&e))?.port;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let since = Instant::now();
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        if since.elapsed() > Duration::from_secs(20) {
            return Err(failed(&format!("did not listen at {address} within 20 s")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let address = format!("rerun+http://{address}/proxy");
    Ok(GrpcSink::new(address.parse::<ProxyUri>().map_err(|e| failed(&e))?))
}

/// About how many bytes `entry` becomes.
fn bytes(entry: &Entry) -> usize {
    match entry {
        Entry::Scalar { .. } => 64,
        Entry::Mark { text, .. } => 64 + text.len(),
        Entry::Slot(slot) => {
            let values = slot.pictures.as_ref().map_or(0, |pictures| {
                let back = pictures.reconstruction.as_ref().map_or(0, |(data, _)| data.len());
                pictures.input.len() + back
            });
            // Single precision and three colours for one band at worst.
            512 + 4 * (slot.code.len() + slot.levels_db.len()) + 7 * values
        }
    }
}

/// An empty picture becomes one that viewers do not show.
fn as_image(picture: &RgbImage) -> EncodedImage {
    let png = png(picture).unwrap_or_default();
    EncodedImage::from_file_contents(png).with_media_type(components::MediaType::PNG)
}

/// `data` as a tensor `[band, row, column]` in physical units.
fn as_tensor(data: ArrayView3<f32>, range: &[[f64; 2]]) -> Tensor {
    let shape: Vec<u64> = data.shape().iter().map(|&size| size as u64).collect();
    let values = data.iter().copied();
    let buffer = if halves_suffice(range) {
        TensorBuffer::F16(values.map(f16::from_f32).collect::<Vec<_>>().into())
    } else {
        TensorBuffer::F32(values.collect::<Vec<_>>().into())
    };
    let low = range.iter().map(|span| span[0]).fold(f64::INFINITY, f64::min);
    let high = range.iter().map(|span| span[1]).fold(f64::NEG_INFINITY, f64::max);
    let names = ["band", "row", "column"];
    let tensor = Tensor::new(TensorData::new(shape, buffer).with_dim_names(names));
    if low < high { tensor.with_value_range([low, high]) } else { tensor }
}

/// Widths of bars at `centres`, ascending, so that each reaches half the way to
/// its nearer neighbour, and none covers another.
fn widths(centres: &[f64]) -> Vec<f32> {
    let apart: Vec<f64> = centres.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let width = |at: usize| {
        let below = at.checked_sub(1).and_then(|below| apart.get(below));
        let nearest = below.into_iter().chain(apart.get(at)).copied().reduce(f64::min);
        nearest.unwrap_or(1.0) as f32
    };
    (0..centres.len()).map(width).collect()
}

/// Spectra as a picture: time to the right, newest last, high frequencies on
/// top, loud is bright. It is about six times as wide as high, to fill a wide
/// panel; slots not yet heard are silent.
fn spectrogram(history: &VecDeque<Arc<[f32]>>, [low, high]: [f32; 2]) -> RgbImage {
    let values = history.back().map_or(0, |levels| levels.len());
    let repeat = (6 * values / SPECTROGRAM_SLOTS).max(1);
    let missing = SPECTROGRAM_SLOTS - history.len();
    RgbImage::from_fn((SPECTROGRAM_SLOTS * repeat) as u32, values as u32, |x, y| {
        let value = values - 1 - y as usize;
        let slot = (x as usize / repeat).checked_sub(missing);
        let level = slot.and_then(|slot| history[slot].get(value)).copied();
        level.map_or(Rgb([0; 3]), |level| colour((level - low) / (high - low)))
    })
}

/// The session in words (Markdown).
fn describe(about: &Session) -> String {
    let mut text = String::from("# Session\n\n| | |\n|---|---|\n");
    let wav = about.wav.as_ref().map(|path| {
        let offset = about.lead_in_s;
        format!("{}; time 0 here is {offset} s into it", path.display())
    });
    let rows = [
        ("command", about.command_line.clone()),
        ("version", format!("wysiwyh {}", env!("CARGO_PKG_VERSION"))),
        ("source", about.source.clone()),
        ("profile", about.profile.clone()),
        ("model", about.model.clone()),
        ("model SHA-256", about.model_hash.clone()),
        ("seed", about.seed.to_string()),
        ("began", about.start_time.clone().unwrap_or_default()),
        ("sound", wav.unwrap_or_default()),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        // A bar or a line break would end the table's cell.
        let value = value.replace('|', "\\|").replace(['\n', '\r'], " ");
        let _ = writeln!(text, "| {name} | {value} |");
    }
    if !about.bands.is_empty() {
        let precision = if halves_suffice(&about.range) { "half" } else { "single" };
        let _ = write!(
            text,
            "\n## Pictures\n\n{}. Grey chequers: no reading.\n\n\
             `values` hold the numbers behind the colours, in {precision} precision.\n",
            legend(&about.range, &about.bands),
        );
    }
    if !about.frequencies_hz.is_empty() {
        let [low, high] = about.levels_db;
        let _ = write!(
            text,
            "\n## Spectrum\n\nBars are dB above {low:.1} dB, the lowest level of a value; \
             the highest is {high:.1} dB.\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_touch_where_they_lie_evenly_and_never_overlap() {
        // Between 225 and 275 Hz lies a pilot.
        let centres = [75.0, 125.0, 175.0, 225.0, 300.0, 350.0, 450.0];
        let widths = widths(&centres);
        assert_eq!(widths, [50.0, 50.0, 50.0, 50.0, 50.0, 50.0, 100.0]);
        let ends = |at: usize| [-0.5, 0.5].map(|half| centres[at] + half * f64::from(widths[at]));
        assert!((1..centres.len()).all(|at| ends(at - 1)[1] <= ends(at)[0]));
        assert_eq!(super::widths(&[440.0]), [1.0]);
    }
}
