//! A device for sound, from its opening to its callback.

use std::f32::consts::FRAC_1_SQRT_2;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{
    BufferSize, Device, ErrorKind, FromSample, OutputCallbackInfo, SampleFormat, SizedSample,
    Stream, StreamConfig,
};
use rtrb::{Producer, RingBuffer};

use super::device::{self, Way};
use super::playout::{Playout, Shared, Supply};
use super::rate::{self, Converter};
use crate::error::{Error, Fault, Result};
use crate::synth::SAMPLE_RATE;

/// Samples that may wait: two slots, and a lead-in.
pub(super) const RING: usize = 19_200;
/// Samples that the device is asked to take at a time, the first that it can, and how
/// often it may then run dry within 20 s. It holds two of these.
///
/// The first [`EVEN`] are 7 ms, 10 ms and 33 ms at 48 kHz, and take as long at any other
/// rate. Whole numbers of them are a slot; the longest is a third of one, so that its
/// parts are chosen evenly, as pictures come. With 5 ms a sound server on a machine that
/// is busy with other things runs dry every other second. The others are for devices
/// that take powers of two alone, as JACK does; what such a device takes by its own
/// choice can be longer than all that waits for it.
pub(super) const PERIODS: [(u32, u64); 7] =
    [(320, 2), (480, 10), (1600, u64::MAX), (256, 2), (512, 2), (1024, 10), (2048, u64::MAX)];
/// See [`PERIODS`].
const EVEN: usize = 3;
/// The most samples that are guarded at a time.
const CHUNK: usize = 1024;

/// A device that plays.
pub(super) struct Line {
    pub ring: Producer<[f32; 2]>,
    /// Samples that were put into the ring.
    pub written: u64,
    /// Channels of the device.
    pub channels: u16,
    /// Which of [`PERIODS`] the device took; their number where it took none.
    pub period: usize,
    /// Plays until it is dropped.
    _stream: Stream,
}

impl Line {
    /// Opens the output called `device`, or the default one; its name, and
    /// what plays to it. Times are told since `origin`; the device takes the first
    /// of [`PERIODS`] that it can, from number `first` on.
    pub fn open(
        device: Option<&str>,
        shared: &Arc<Shared>,
        origin: Instant,
        first: usize,
    ) -> Result<(String, Self)> {
        let none = || {
            Error::new(Fault::Device, "speaker", "this system has no output for sound")
                .hint(WITHOUT)
        };
        let (device, name) = device::open(Way::Output, device)?.ok_or_else(none)?;
        let (config, format) = choose(&device, &name)?;
        let failed =
            |e: cpal::Error| Error::new(Fault::Device, format!("speaker {name}"), e).hint(WITHOUT);
        let mut attempts = (first..=PERIODS.len()).map(|period| {
            let config = StreamConfig { buffer_size: size(period, config.sample_rate), ..config };
            Self::start(&device, config, period, format, (shared, origin))
        });
        let refused = |attempt: &std::result::Result<Self, cpal::Error>| {
            attempt.as_ref().is_err_and(|e| e.kind() == ErrorKind::UnsupportedConfig)
        };
        let line = attempts.find(|attempt| !refused(attempt));
        let line = line.unwrap_or_else(|| Err(ErrorKind::UnsupportedConfig.into()));
        let line = line.map_err(failed)?;
        Ok((rate::named(name, config.sample_rate), line))
    }

    fn start(
        device: &Device,
        config: StreamConfig,
        period: usize,
        format: SampleFormat,
        (shared, origin): (&Arc<Shared>, Instant),
    ) -> std::result::Result<Self, cpal::Error> {
        let (ring, consumer) = RingBuffer::new(RING);
        let converter = Converter::new([SAMPLE_RATE as u32, config.sample_rate], CHUNK)
            .map_err(|e| cpal::Error::with_message(ErrorKind::UnsupportedConfig, e.to_string()))?;
        shared.forget();
        let playout = (Playout::new(consumer, shared.clone()), converter);
        let told = (shared.clone(), origin);
        let stream = match format {
            SampleFormat::I8 => stream::<i8>(device, config, playout, told),
            SampleFormat::I16 => stream::<i16>(device, config, playout, told),
            SampleFormat::I24 => stream::<cpal::I24>(device, config, playout, told),
            SampleFormat::I32 => stream::<i32>(device, config, playout, told),
            SampleFormat::I64 => stream::<i64>(device, config, playout, told),
            SampleFormat::U8 => stream::<u8>(device, config, playout, told),
            SampleFormat::U16 => stream::<u16>(device, config, playout, told),
            SampleFormat::U24 => stream::<cpal::U24>(device, config, playout, told),
            SampleFormat::U32 => stream::<u32>(device, config, playout, told),
            SampleFormat::U64 => stream::<u64>(device, config, playout, told),
            SampleFormat::F32 => stream::<f32>(device, config, playout, told),
            SampleFormat::F64 => stream::<f64>(device, config, playout, told),
            _ => Err(ErrorKind::UnsupportedConfig.into()),
        }?;
        // The backend asks for a buffer of two periods.
        let samples = 2 * u64::from(stream.buffer_size().unwrap_or(0));
        let capacity = time(samples, config.sample_rate);
        shared.capacity_us.store(capacity.as_micros() as u64, Relaxed);
        stream.play()?;
        Ok(Self { ring, written: 0, channels: config.channels, period, _stream: stream })
    }
}

/// What to ask a device of so many samples a second for, by its number in [`PERIODS`].
fn size(period: usize, rate: u32) -> BufferSize {
    match PERIODS.get(period) {
        Some(&(samples, _)) if period < EVEN => {
            BufferSize::Fixed(samples * rate / SAMPLE_RATE as u32)
        }
        Some(&(samples, _)) => BufferSize::Fixed(samples),
        None => BufferSize::Default,
    }
}

/// Whether there can be sound at all: a card, a sound server, or
/// somebody's own configuration. Where there is none, ALSA's library says so in
/// a dozen lines of its own on standard error, which nobody can turn off, and
/// which a screen reader reads out.
pub(crate) fn plausible() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let card = std::fs::read_to_string("/proc/asound/cards")
        .is_ok_and(|cards| !cards.contains("no soundcards"));
    let named = ["PULSE_SERVER", "PIPEWIRE_REMOTE", "ALSA_CONFIG_PATH"];
    let runtime = ["pulse/native", "pipewire-0"]
        .map(|socket| folder("XDG_RUNTIME_DIR").map(|folder| folder.join(socket)));
    let configured =
        [folder("HOME").map(|home| home.join(".asoundrc")), Some("/etc/asound.conf".into())];
    card || named.iter().any(|variable| std::env::var_os(variable).is_some())
        || runtime.iter().chain(&configured).flatten().any(|path| path.exists())
}

/// What to do where there is no speaker.
const WITHOUT: &str = "connect one, or go on without: --no-speaker";

/// The formats that are preferred, best first; others come after them.
const FORMATS: [SampleFormat; 4] =
    [SampleFormat::F32, SampleFormat::I32, SampleFormat::I24, SampleFormat::I16];

/// How the device plays: at 48 kHz rather than at another rate, on two channels rather
/// than on others, and as finely as it can.
fn choose(device: &Device, name: &str) -> Result<(StreamConfig, SampleFormat)> {
    let subject = format!("speaker {name}");
    let configs: Vec<_> = device
        .supported_output_configs()
        .map_err(|e| Error::new(Fault::Device, &subject, e).hint(WITHOUT))?
        .filter(|c| {
            !matches!(
                c.sample_format(),
                SampleFormat::DsdU8 | SampleFormat::DsdU16 | SampleFormat::DsdU32
            )
        })
        .collect();
    let usable = configs.iter().filter_map(|c| {
        let rate = rate::nearest(c.min_sample_rate()..=c.max_sample_rate())?;
        Some((rate, c.channels(), c.sample_format()))
    });
    let best = usable.min_by_key(|&(rate, channels, format)| {
        let format = FORMATS.iter().position(|&f| f == format);
        (rate::distance(rate), channels.abs_diff(2), format.unwrap_or(FORMATS.len()))
    });
    let Some((sample_rate, channels, format)) = best else {
        let highest = configs.iter().map(|c| c.max_sample_rate()).max().unwrap_or(0);
        let lowest = rate::LOWEST;
        let what =
            format!("it plays at most {highest} samples a second, at least {lowest} are due");
        return Err(Error::new(Fault::Unsupported, subject, what).hint(WITHOUT));
    };
    Ok((StreamConfig { channels, sample_rate, buffer_size: BufferSize::Default }, format))
}

/// Puts left and right on the first two of the device's channels, and nothing on
/// the others; a single one gets both, as loud as both together where they are
/// alike, and never louder.
fn spread<T: SizedSample + FromSample<f32>>([left, right]: [f32; 2], channels: &mut [T]) {
    channels.fill(T::EQUILIBRIUM);
    match channels {
        [one] => *one = T::from_sample((left + right) * FRAC_1_SQRT_2),
        [first, second, ..] => {
            (*first, *second) = (T::from_sample(left), T::from_sample(right));
        }
        [] => {}
    }
}

/// The microseconds that `samples` take.
pub(super) fn micros(samples: u64) -> u64 {
    samples * 1_000_000 / SAMPLE_RATE as u64
}

/// The time that `samples` take at `rate` samples a second.
fn time(samples: u64, rate: u32) -> Duration {
    Duration::from_secs_f64(samples as f64 / f64::from(rate))
}

/// A stream of samples of type `T` from `playout`, brought to the device's rate.
fn stream<T: SizedSample + FromSample<f32>>(
    device: &Device,
    config: StreamConfig,
    (mut playout, mut converter): (Playout, Converter<2>),
    (shared, origin): (Arc<Shared>, Instant),
) -> std::result::Result<Stream, cpal::Error> {
    let channels = usize::from(config.channels);
    let watched = shared.clone();
    let converted = Duration::from_secs_f64(converter.delay_s);
    let (mut both, mut supply, mut most) = ([[0.0; 2]; CHUNK], Supply::default(), Duration::ZERO);
    let play = move |output: &mut [T], info: &OutputCallbackInfo| {
        let times = info.timestamp();
        let delay = times.playback.saturating_duration_since(times.callback);
        shared.device_us.store((delay + converted).as_micros() as u64, Relaxed);
        let given = time((output.len() / channels) as u64, config.sample_rate);
        // Some take more than they were asked to, and show it.
        most = most.max(delay + given);
        let capacity = shared.capacity().max(most);
        if supply.take(Instant::now(), given, delay, capacity) {
            shared.interrupted.store(true, Relaxed);
        }
        let mut asked = 0;
        for part in output.chunks_mut(CHUNK * channels) {
            let both = &mut both[..part.len() / channels];
            match converter.fill(both, |next| playout.fill(next)) {
                Some(count) => asked += count as u64,
                // It never is longer than agreed; if it were, the device would be
                // of no use.
                None => {
                    both.fill([0.0; 2]);
                    shared.lost.store(true, Relaxed);
                }
            }
            for (frame, &sample) in part.chunks_exact_mut(channels).zip(both.iter()) {
                spread(sample, frame);
            }
        }
        let next = origin.elapsed() + given;
        shared.tell(asked, next, next + delay + converted);
    };
    let tell = move |error: cpal::Error| match error.kind() {
        ErrorKind::Xrun => watched.interrupted.store(true, Relaxed),
        ErrorKind::DeviceChanged => watched.restart.store(true, Relaxed),
        ErrorKind::RealtimeDenied => {}
        ErrorKind::DeviceNotAvailable => watched.lost.store(true, Relaxed),
        _ => watched.fail(origin.elapsed()),
    };
    device.build_output_stream(config, play, tell, None)
}

#[cfg(test)]
mod tests {
    use crate::stereo::centred;

    #[test]
    fn sides_lie_on_the_first_two_channels_and_a_single_one_has_both() {
        let spread = |sides, count| {
            let mut channels = vec![9.0f32; count];
            super::spread(sides, &mut channels);
            channels
        };
        assert_eq!(spread([0.5, -0.25], 2), [0.5, -0.25]);
        assert_eq!(spread([0.5, -0.25], 6), [0.5, -0.25, 0.0, 0.0, 0.0, 0.0]);
        let middle = centred(&[0.8])[0];
        assert!((spread(middle, 1)[0] - 0.8).abs() < 1e-6);
        for sides in [[0.8, 0.0], [0.6, -0.5], [0.3, 0.7]] {
            let [left, right] = sides;
            assert!(spread(sides, 1)[0].abs() <= f32::hypot(left, right), "{sides:?}");
        }
        let mut bytes = [7u8; 3];
        super::spread([0.0; 2], &mut bytes);
        assert_eq!(bytes, [128; 3]);
    }
}
