//! An input for sound: a microphone, or what another program plays.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{
    BufferSize, Device, ErrorKind, FromSample, InputCallbackInfo, Sample, SampleFormat,
    SizedSample, Stream, StreamConfig, SupportedStreamConfigRange,
};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::error::{Error, Fault, Result};
use crate::sink::device::{self, Way};
use crate::sink::rate::{self, Converter};
use crate::synth::SAMPLE_RATE;

/// Samples that may wait to be read: two seconds at 48 kHz.
const RING: usize = 96_000;
/// Samples that are brought to 48 kHz at a time: 5 ms.
const PART: usize = 240;
/// How long to rest while there is nothing.
const REST: Duration = Duration::from_millis(5);

/// An input for sound, shared with other programs; what it brings is brought to 48 kHz.
pub struct Microphone {
    name: String,
    ring: Consumer<f32>,
    lost: Arc<AtomicBool>,
    converter: Converter<1>,
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
    /// If there is none, or it brings fewer than 16,000 samples a second.
    pub fn open(name: Option<&str>) -> Result<Self> {
        let none = || {
            Error::new(Fault::Device, "microphone", "this system has no input for sound")
                .hint("connect one, or give a recording as a file")
        };
        let (device, name) = device::open(Way::Input, name)?.ok_or_else(none)?;
        let failed = |e: cpal::Error| Error::new(Fault::Device, format!("microphone {name}"), e);
        let configs = device.supported_input_configs().map_err(failed)?;
        let (config, format) = choose(configs).ok_or_else(|| {
            let what = format!("it does not bring {} samples a second", rate::LOWEST);
            Error::new(Fault::Unsupported, format!("microphone {name}"), what)
                .hint("let PulseAudio or PipeWire read it: they convert")
        })?;
        let converter = Converter::new([config.sample_rate, SAMPLE_RATE as u32], PART)
            .map_err(|e| Error::new(Fault::Unsupported, format!("microphone {name}"), e))?;
        let (producer, ring) = RingBuffer::new(RING);
        let lost = Arc::new(AtomicBool::new(false));
        let told = lost.clone();
        let stream = match format {
            SampleFormat::I16 => stream::<i16>(&device, config, producer, told),
            SampleFormat::I32 => stream::<i32>(&device, config, producer, told),
            _ => stream::<f32>(&device, config, producer, told),
        };
        let stream = stream.map_err(failed)?;
        stream.play().map_err(failed)?;
        Ok(Self {
            name: rate::named(name, config.sample_rate),
            ring,
            lost,
            converter,
            _stream: stream,
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends what has come to `samples`, the mean over all channels, 5 ms at a time;
    /// where there is nothing, waits for a moment.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    pub fn read(&mut self, samples: &mut Vec<f32>) -> Result<()> {
        let needed = self.converter.needed(PART);
        if self.ring.slots() < needed {
            if self.lost.load(Relaxed) {
                let what = "it brings no sound any more";
                return Err(Error::new(Fault::Device, format!("microphone {}", self.name), what));
            }
            std::thread::sleep(REST);
        }
        let mut part = [[0.0]; PART];
        while self.ring.slots() >= self.converter.needed(PART) {
            let ring = &mut self.ring;
            let next = |input: &mut [[f32; 1]]| {
                for ([sample], heard) in
                    input.iter_mut().zip(std::iter::from_fn(|| ring.pop().ok()))
                {
                    *sample = if heard.is_finite() { heard } else { 0.0 };
                }
            };
            if self.converter.fill(&mut part, next).is_none() {
                break;
            }
            samples.extend_from_slice(part.as_flattened());
        }
        Ok(())
    }
}

/// The formats that are taken, best first.
const FORMATS: [SampleFormat; 3] = [SampleFormat::F32, SampleFormat::I32, SampleFormat::I16];

/// How the device brings sound: at 48 kHz rather than at another rate, then as finely,
/// and on as few channels, as it can.
fn choose(
    configs: impl Iterator<Item = SupportedStreamConfigRange>,
) -> Option<(StreamConfig, SampleFormat)> {
    let usable = configs.filter_map(|c| {
        let format = FORMATS.iter().position(|&f| f == c.sample_format())?;
        let rate = rate::nearest(c.min_sample_rate()..=c.max_sample_rate())?;
        Some((rate::distance(rate), format, c.channels(), rate))
    });
    let (_, format, channels, sample_rate) = usable.min()?;
    let config = StreamConfig { channels, sample_rate, buffer_size: BufferSize::Default };
    Some((config, FORMATS[format]))
}

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
