//! An input for sound: a microphone, or what another program plays.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{
    Device, ErrorKind, FromSample, InputCallbackInfo, Sample, SampleFormat, SizedSample, Stream,
    StreamConfig,
};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::error::{Error, Fault, Result};
use crate::sink::device::{self, Way};
use crate::synth::SAMPLE_RATE;

/// Samples that may wait to be read: two seconds.
const RING: usize = 96_000;
/// How long to rest while there is nothing.
const REST: Duration = Duration::from_millis(5);

/// An input for sound at 48 kHz, shared with other programs.
pub struct Microphone {
    name: String,
    ring: Consumer<f32>,
    lost: Arc<AtomicBool>,
    /// Brings samples until it is dropped.
    _stream: Stream,
}

impl fmt::Debug for Microphone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Microphone").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Microphone {
    /// Opens the input called `name`, or the one that the system has chosen.
    ///
    /// # Errors
    ///
    /// If there is none, or it does not bring 48 kHz.
    pub fn open(name: Option<&str>) -> Result<Self> {
        let none = || {
            Error::new(Fault::Device, "microphone", "this system has no input for sound")
                .hint("connect one, or give a recording as a file")
        };
        let (device, name) = device::open(Way::Input, name)?.ok_or_else(none)?;
        let failed = |e: cpal::Error| Error::new(Fault::Device, format!("microphone {name}"), e);
        let rate = SAMPLE_RATE as u32;
        let configs = device.supported_input_configs().map_err(failed)?;
        let best = configs
            .filter(|c| (c.min_sample_rate()..=c.max_sample_rate()).contains(&rate))
            .filter(|c| FORMATS.contains(&c.sample_format()))
            .min_by_key(|c| (FORMATS.iter().position(|&f| f == c.sample_format()), c.channels()))
            .ok_or_else(|| {
                let what = format!("it does not bring {rate} samples a second");
                Error::new(Fault::Unsupported, format!("microphone {name}"), what)
                    .hint("let PulseAudio or PipeWire read it: they convert")
            })?;
        let config = StreamConfig {
            channels: best.channels(),
            sample_rate: rate,
            buffer_size: cpal::BufferSize::Default,
        };
        let (producer, ring) = RingBuffer::new(RING);
        let lost = Arc::new(AtomicBool::new(false));
        let told = lost.clone();
        let stream = match best.sample_format() {
            SampleFormat::I16 => stream::<i16>(&device, config, producer, told),
            SampleFormat::I32 => stream::<i32>(&device, config, producer, told),
            _ => stream::<f32>(&device, config, producer, told),
        };
        let stream = stream.map_err(failed)?;
        stream.play().map_err(failed)?;
        Ok(Self { name, ring, lost, _stream: stream })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends what has come to `samples`, the mean over all channels; where
    /// there is nothing, waits for a moment.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    pub fn read(&mut self, samples: &mut Vec<f32>) -> Result<()> {
        if self.ring.is_empty() {
            if self.lost.load(Relaxed) {
                let what = "it brings no sound any more";
                return Err(Error::new(Fault::Device, format!("microphone {}", self.name), what));
            }
            std::thread::sleep(REST);
        }
        while let Ok(sample) = self.ring.pop() {
            samples.push(if sample.is_finite() { sample } else { 0.0 });
        }
        Ok(())
    }
}

/// The formats that are taken, best first.
const FORMATS: [SampleFormat; 3] = [SampleFormat::F32, SampleFormat::I32, SampleFormat::I16];

/// A stream of samples of type `T` into `ring`; what has no room there is lost.
fn stream<T: SizedSample>(
    device: &Device,
    config: StreamConfig,
    mut ring: Producer<f32>,
    lost: Arc<AtomicBool>,
) -> std::result::Result<Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels);
    let take = move |input: &[T], _: &InputCallbackInfo| {
        for frame in input.chunks_exact(channels) {
            let sum: f32 = frame.iter().map(|&v| f32::from_sample(v)).sum();
            let _full = ring.push(sum / channels as f32);
        }
    };
    let tell = move |error: cpal::Error| match error.kind() {
        ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => {}
        _ => lost.store(true, Relaxed),
    };
    device.build_input_stream(config, take, tell, None)
}
