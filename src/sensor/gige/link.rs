//! A connection to a camera, through which its pictures flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aravis::glib;
use aravis::glib::object::Cast;
use aravis::prelude::*;
use aravis::{Buffer, BufferPayloadType, BufferStatus, Camera, GvStream, Stream};
use aravis::{GvStreamOption, GvStreamSocketBuffer};

use super::setup::{self, Picture};
use super::{device, search};
use crate::error::Result;
use crate::frame::{Band, Exposure};
use crate::profile::Profile;
use crate::sensor::LIMIT;

/// Pictures that Aravis holds for us at most, empty or full: a third of a
/// second at 25 a second. The frames that find no room are missed.
const BUFFERS: usize = 8;

/// How long to wait for a picture before looking after the connection.
const LOOK: Duration = Duration::from_millis(50);

/// Exposure and gain are asked for anew after so long: they drift where they
/// are automatic, and every question is a round trip to the camera.
const ASK: Duration = Duration::from_secs(1);

/// Seconds between pictures where the camera does not tell its rate.
const PERIOD_S: f64 = 0.1;

/// A camera that we control, and that sends pictures.
#[derive(Debug)]
pub(super) struct Link {
    // Fields are dropped in this order: the stream goes before its camera.
    stream: Stream,
    camera: Camera,
    picture: Picture,
    band: Band,
    model: String,
    /// Whether the camera stopped answering.
    lost: Arc<AtomicBool>,
    exposure: Option<Exposure>,
    asked: Instant,
}

/// What came from a camera.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The camera's number of it, which counts where it is whole.
    pub id: u64,
    /// The counts of a whole picture, row after row, header included; nothing
    /// where a part of it is missing or it is no picture as announced.
    pub counts: Option<Vec<f32>>,
}

impl Link {
    /// Takes control of the camera that Aravis calls `id`, sets it up as
    /// `profile` asks, and lets its pictures flow.
    pub fn open(name: &str, id: &str, profile: Option<&Profile>) -> Result<Self> {
        let failed = |error: glib::Error| device(name, error.message());
        let camera = search::connect(name, id)?;
        setup::apply(name, &camera, profile)?;
        let picture = Picture::of(name, &camera)?;
        let band = setup::band(name, &camera, profile)?;
        let payload = camera.payload().map_err(failed)? as usize;
        if payload > LIMIT {
            let what = format!("announces {} MiB a picture, above {}", payload >> 20, LIMIT >> 20);
            return Err(device(name, what));
        }
        let lost = Arc::new(AtomicBool::new(false));
        if let Some(device) = camera.device() {
            let lost = lost.clone();
            device.connect_control_lost(move |_| lost.store(true, Ordering::Relaxed));
        }
        let stream = stream(&camera).map_err(failed)?;
        (0..BUFFERS).for_each(|_| stream.push_buffer(Buffer::new_allocate(payload)));
        camera.start_acquisition().map_err(failed)?;
        let (model, exposure) = (search::model(&camera), exposure(&camera));
        let asked = Instant::now();
        Ok(Self { stream, camera, picture, band, model, lost, exposure, asked })
    }

    /// What comes next; `None` if nothing does in a twentieth of a second.
    pub fn next(&mut self) -> Option<Arrival> {
        let buffer = self.stream.timeout_pop_buffer(LOOK.as_micros() as u64)?;
        let arrival = Arrival { id: buffer.frame_id(), counts: self.counts(&buffer) };
        self.stream.push_buffer(buffer);
        Some(arrival)
    }

    /// Forgets what came and was not taken.
    pub fn flush(&mut self) {
        while let Some(buffer) = self.stream.try_pop_buffer() {
            self.stream.push_buffer(buffer);
        }
    }

    /// The counts in `buffer`, if it holds a whole picture as announced.
    fn counts(&self, buffer: &Buffer) -> Option<Vec<f32>> {
        let Picture { code, rows, columns, .. } = self.picture;
        let is_picture = matches!(
            buffer.payload_type(),
            BufferPayloadType::Image | BufferPayloadType::ExtendedChunkData
        );
        // The order matters: Aravis tells sizes of whole pictures only.
        let whole = buffer.status() == BufferStatus::Success
            && is_picture
            && buffer.image_pixel_format() == code
            && (buffer.image_width() as usize, buffer.image_height() as usize) == (columns, rows)
            && buffer.image_padding().0 == 0;
        if !whole {
            return None;
        }
        let mut counts = Vec::with_capacity(rows * columns);
        self.picture.packing.unpack(&buffer.image_data(), rows * columns, &mut counts);
        (counts.len() == rows * columns).then_some(counts)
    }

    /// Whether the camera stopped answering; then this link is of no use any
    /// more.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// How the camera exposes its pictures, as it said within the last second.
    pub fn exposure(&mut self) -> Option<Exposure> {
        if self.asked.elapsed() > ASK {
            self.exposure = exposure(&self.camera);
            self.asked = Instant::now();
        }
        self.exposure
    }

    /// The exposure time in seconds, 0 where the camera does not say.
    pub fn exposure_s(&self) -> f64 {
        self.exposure.and_then(|exposure| exposure.time_us).unwrap_or(0.0) / 1e6
    }

    /// Packets that never came, on a network.
    pub fn packets(&self) -> u64 {
        self.stream.downcast_ref::<GvStream>().map_or(0, |stream| stream.statistics().1)
    }

    /// What a whole picture looks like.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// The band that it sends.
    pub fn band(&self) -> &Band {
        &self.band
    }

    /// The camera's vendor and model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Seconds between pictures, as the camera states.
    pub fn period_s(&self) -> f64 {
        let rate = self.camera.frame_rate().ok().filter(|rate| *rate > 0.0 && rate.is_finite());
        rate.map_or(PERIOD_S, |rate| 1.0 / rate)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A camera that nobody stops goes on sending; one that is gone cannot
        // be stopped, and needs not.
        if !self.is_lost() {
            let _ = self.camera.stop_acquisition();
        }
    }
}

/// The stream of `camera`, through which no picture flows yet.
fn stream(camera: &Camera) -> std::result::Result<Stream, glib::Error> {
    if camera.is_gv_device() {
        // Where a packet socket may be opened (by root), Aravis does so, and
        // on the loopback interface it receives nothing. An ordinary socket
        // works everywhere, and alike for everybody.
        camera.gv_set_stream_options(GvStreamOption::PACKET_SOCKET_DISABLED);
        // The largest packets that get through; where the camera cannot try
        // them out, those it has.
        let _ = camera.gv_auto_packet_size();
    }
    let stream = camera.create_stream()?;
    if let Some(stream) = stream.downcast_ref::<GvStream>() {
        // Room for a whole picture, or a busy computer loses packets.
        stream.set_socket_buffer(GvStreamSocketBuffer::Auto);
        stream.set_socket_buffer_size(0);
    }
    Ok(stream)
}

/// How `camera` exposes its pictures, as far as it says.
fn exposure(camera: &Camera) -> Option<Exposure> {
    let time_us = camera.exposure_time().ok().filter(|time_us| *time_us > 0.0);
    let gain = camera.gain().ok();
    (time_us.is_some() || gain.is_some()).then_some(Exposure { time_us, gain })
}
