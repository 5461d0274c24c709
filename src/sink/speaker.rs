//! The speaker.

use std::f32::consts::FRAC_1_SQRT_2;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{
    BufferSize, Device, ErrorKind, FromSample, OutputCallbackInfo, SampleFormat, SizedSample,
    Stream, StreamConfig,
};
use rtrb::{Producer, RingBuffer};

use super::Sink;
use super::device::{self, Way};
use super::guard::DELAY;
use super::playout::{Playout, Shared, Supply};
use crate::error::{Error, Fault, Result};
use crate::stereo::centred;
use crate::synth::SAMPLE_RATE;

/// Samples that may wait: two slots, and a lead-in.
const RING: usize = 19_200;
/// Samples that the device is asked to take at a time, the first that it can,
/// and how often it may then run dry within [`DRY_TIME`]: 7 ms, 10 ms, 25 ms. It
/// holds two of these, and whole numbers of them are a slot. With 5 ms a sound
/// server on a machine that is busy with other things runs dry every other
/// second.
const PERIODS: [(u32, u64); 3] = [(320, 2), (480, 10), (1200, u64::MAX)];
/// A device that runs dry too often within this time takes more at a time from
/// then on.
const DRY_TIME: Duration = Duration::from_secs(20);
/// The most samples that are guarded at a time.
const CHUNK: usize = 1024;
/// A device that takes nothing for so long is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a lost device is looked for.
const RETRY: Duration = Duration::from_secs(1);
/// How long to rest while there is nothing to do; a thirtieth of a slot.
const REST: Duration = Duration::from_millis(3);
/// How long to rest at least: what is due sooner is due.
const SHORTEST_REST: Duration = Duration::from_micros(200);

/// The loudspeaker or headphones that the system plays to, shared with other
/// programs. What is heard has passed the [guard](super::guard).
///
/// It plays left and right. As a [`Sink`] it takes sound of one channel, which
/// is heard in the middle.
///
/// Where the device is lost, samples go by in their time, unheard, and it is
/// looked for again every second; it then starts quietly, as at first.
pub struct Speaker {
    name: String,
    /// The device that was asked for; `None`: the system's choice.
    asked: Option<String>,
    /// What is left of amplitudes on the left and on the right.
    balance: [f32; 2],
    shared: Arc<Shared>,
    /// From when on the two ends of the ring count time.
    origin: Instant,
    /// None while the device is lost.
    line: Option<Line>,
    /// Which of [`PERIODS`] is the first to be tried.
    period: usize,
    /// How often the device had run dry at a moment.
    dry: (u64, Instant),
    /// When the device was looked for last, and until when lost samples play.
    tried: Instant,
    silent_until: Instant,
}

/// A device that plays.
struct Line {
    ring: Producer<[f32; 2]>,
    /// Samples that were put into the ring.
    written: u64,
    /// Channels of the device.
    channels: u16,
    /// Which of [`PERIODS`] the device took; their number where it took none.
    period: usize,
    /// Plays until it is dropped.
    _stream: Stream,
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speaker").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Speaker {
    /// Opens the output called `device`, see [`device::list`], or the one that
    /// the system has chosen, at `volume_db` within
    /// [`VOLUMES_DB`](super::guard::VOLUMES_DB). Amplitudes on the left and on
    /// the right are multiplied by `balance`, ahead of the guard.
    ///
    /// # Errors
    ///
    /// If there is no such device, or it does not play 48 kHz.
    pub fn open(volume_db: f32, device: Option<&str>, balance: [f32; 2]) -> Result<Self> {
        let (shared, now) = (Arc::new(Shared::new(volume_db)), Instant::now());
        let (name, line) = Line::open(device, &shared, now, 0)?;
        Ok(Self {
            name,
            asked: device.map(str::to_owned),
            balance,
            shared,
            origin: now,
            line: Some(line),
            period: 0,
            dry: (0, now),
            tried: now,
            silent_until: now,
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether left and right are heard apart; at a device of one channel both
    /// are.
    pub fn has_sides(&self) -> bool {
        self.line.as_ref().is_none_or(|line| line.channels > 1)
    }

    /// Asks for another volume in dB; see [`Guard::set_volume`].
    ///
    /// [`Guard::set_volume`]: super::guard::Guard::set_volume
    pub fn set_volume(&self, volume_db: f32) {
        self.shared.set_volume(volume_db);
    }

    /// Fades to silence, or from it to the volume; see [`Guard::set_muted`].
    ///
    /// [`Guard::set_muted`]: super::guard::Guard::set_muted
    pub fn set_muted(&self, muted: bool) {
        self.shared.muted.store(muted, Relaxed);
    }

    /// Seconds from now until the next sample that is written would be heard:
    /// what waits in the ring, in the guard and in the device.
    fn queued_s(&self) -> f64 {
        let device_s = self.shared.device_us.load(Relaxed) as f64 / 1e6;
        match &self.line {
            Some(_) => self.waiting_s() + DELAY as f64 / SAMPLE_RATE as f64 + device_s,
            None => self.waiting_s(),
        }
    }

    /// When the next sample that is written will be heard, past the guard and
    /// the device; `None` where nothing is known of the device yet.
    pub fn heard_at(&self) -> Option<Instant> {
        let heard_us = self.shared.heard_us.load(Relaxed);
        let line = self.line.as_ref().filter(|_| heard_us > 0)?;
        let samples = line.written + DELAY as u64;
        Some(self.origin + Duration::from_micros(heard_us + micros(samples)))
    }

    /// When the device asks for more than was written.
    fn dry_at(&self) -> Option<Instant> {
        let (asked_us, period) = (&self.shared.asked_us, self.shared.period.load(Relaxed));
        let asked_us = asked_us.load(Relaxed);
        let line = self.line.as_ref().filter(|_| asked_us > 0 && period > 0)?;
        let taken = self.shared.taken.load(Relaxed);
        let whole = line.written.saturating_sub(taken) / period * period;
        Some(self.origin + Duration::from_micros(asked_us + micros(taken + whole)))
    }

    /// Seconds of sound that wait to be taken by the device.
    pub fn waiting_s(&self) -> f64 {
        match &self.line {
            Some(line) => (RING - line.ring.slots()) as f64 / SAMPLE_RATE as f64,
            None => self.silent_until.saturating_duration_since(Instant::now()).as_secs_f64(),
        }
    }

    /// Waits until the device has sound for no longer than `lead`, or `stop` is
    /// true.
    pub fn wait(&mut self, lead: Duration, stop: &AtomicBool) {
        let mut watch = Watch::new(&self.shared);
        loop {
            self.reconnect();
            let left = match self.dry_at() {
                Some(dry) => dry.saturating_duration_since(Instant::now()),
                None => Duration::from_secs_f64(self.waiting_s()),
            };
            let Some(left) = left.checked_sub(lead).filter(|_| !stop.load(Relaxed)) else {
                return;
            };
            if self.line.is_some() && !watch.is_playing() {
                self.lose();
            }
            std::thread::sleep(left.clamp(SHORTEST_REST, REST));
        }
    }

    /// How often the sound had a gap.
    pub fn underruns(&self) -> u64 {
        self.shared.underruns.load(Relaxed)
    }

    /// Seconds of sound that the guard held back.
    pub fn acted_s(&self) -> f64 {
        self.shared.acted_ms.load(Relaxed) as f64 / 1e3
    }

    /// Whether there is a device at present.
    pub fn is_connected(&self) -> bool {
        self.line.is_some() && !self.shared.lost.load(Relaxed)
    }

    /// Gives up a device that is gone, and looks for it now and then.
    fn reconnect(&mut self) {
        if self.line.is_some() && self.shared.lost.load(Relaxed) {
            self.lose();
        }
        if self.line.is_none() && self.tried.elapsed() >= RETRY {
            self.tried = Instant::now();
            self.open_again();
        }
        self.relieve();
    }

    fn open_again(&mut self) {
        let asked = self.asked.as_deref();
        if let Ok((name, line)) = Line::open(asked, &self.shared, self.origin, self.period) {
            (self.name, self.line) = (name, Some(line));
        }
    }

    /// Lets a device that runs dry again and again take more at a time.
    fn relieve(&mut self) {
        let (dry, (before, since)) = (self.shared.interruptions.load(Relaxed), self.dry);
        let Some(period) = self.line.as_ref().map(|line| line.period) else { return };
        let most = PERIODS.get(period).map_or(u64::MAX, |&(_, most)| most);
        if since.elapsed() > DRY_TIME {
            self.dry = (dry, Instant::now());
        } else if dry.saturating_sub(before) > most {
            self.period = period + 1;
            self.dry = (dry, Instant::now());
            self.lose();
            self.open_again();
        }
    }

    /// The device is gone.
    fn lose(&mut self) {
        self.line = None;
        self.tried = Instant::now();
        self.silent_until = Instant::now();
    }

    /// Plays `samples`, left and right of each, full scale 1.0. Waits until there
    /// is room for all of them.
    pub fn play(&mut self, samples: &[[f32; 2]]) {
        let [left, right] = self.balance;
        let balanced: Vec<_> = samples.iter().map(|[l, r]| [l * left, r * right]).collect();
        let mut rest = &balanced[..];
        let mut watch = Watch::new(&self.shared);
        while !rest.is_empty() {
            self.reconnect();
            let Some(line) = &mut self.line else {
                self.play_silently(rest.len());
                break;
            };
            let (taken, left) = line.ring.push_partial_slice(rest);
            line.written += taken.len() as u64;
            if taken.is_empty() {
                if !watch.is_playing() {
                    self.lose();
                    continue;
                }
                std::thread::sleep(REST);
            }
            rest = left;
        }
    }

    /// Lets `count` samples go by in their time, once there is room for them.
    fn play_silently(&mut self, count: usize) {
        let room = Duration::from_secs_f64(RING as f64 / SAMPLE_RATE as f64);
        let length = Duration::from_secs_f64(count as f64 / SAMPLE_RATE as f64);
        let now = Instant::now();
        self.silent_until = self.silent_until.max(now) + length;
        std::thread::sleep(self.silent_until.saturating_duration_since(now).saturating_sub(room));
    }

    /// Says that no more samples will come, so that it is no gap when they have
    /// been played.
    pub fn end(&self) {
        self.shared.ending.store(true, Relaxed);
    }

    /// Waits until the ring is empty and the device has played it.
    fn drain(&mut self) {
        self.end();
        let mut watch = Watch::new(&self.shared);
        while self.is_connected() && self.waiting_s() > 0.0 && watch.is_playing() {
            std::thread::sleep(REST);
        }
        let end = watch.played + (self.queued_s() * SAMPLE_RATE as f64) as u64;
        while self.is_connected() && watch.is_playing() && watch.played < end {
            std::thread::sleep(REST);
        }
    }
}

impl Sink for Speaker {
    /// Waits until there is room for all of `samples`; a device that is lost
    /// is no error.
    fn write(&mut self, samples: &[f32]) -> Result<()> {
        self.play(&centred(samples));
        Ok(())
    }

    /// Plays what is pending to its end.
    fn finish(mut self: Box<Self>) -> Result<()> {
        self.drain();
        Ok(())
    }
}

/// Sees whether a device still plays.
struct Watch {
    shared: Arc<Shared>,
    played: u64,
    since: Instant,
}

impl Watch {
    fn new(shared: &Arc<Shared>) -> Self {
        let played = shared.played.load(Relaxed);
        Self { shared: shared.clone(), played, since: Instant::now() }
    }

    /// False once the device has taken nothing for longer than [`PATIENCE`].
    fn is_playing(&mut self) -> bool {
        let played = self.shared.played.load(Relaxed);
        if played != self.played {
            (self.played, self.since) = (played, Instant::now());
        }
        self.since.elapsed() < PATIENCE
    }
}

impl Line {
    /// Opens the output called `device`, or the default one; its name, and
    /// what plays to it. Times are told since `origin`; the device takes the first
    /// of [`PERIODS`] that it can, from number `first` on.
    fn open(
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
            let fixed = PERIODS.get(period).map(|&(samples, _)| BufferSize::Fixed(samples));
            let buffer_size = fixed.unwrap_or(BufferSize::Default);
            let config = StreamConfig { buffer_size, ..config };
            Self::start(&device, config, period, format, (shared, origin))
        });
        let refused = |attempt: &std::result::Result<Self, cpal::Error>| {
            attempt.as_ref().is_err_and(|e| e.kind() == ErrorKind::UnsupportedConfig)
        };
        let line = attempts.find(|attempt| !refused(attempt));
        let line = line.unwrap_or_else(|| Err(ErrorKind::UnsupportedConfig.into()));
        let line = line.map_err(failed)?;
        Ok((name, line))
    }

    fn start(
        device: &Device,
        config: StreamConfig,
        period: usize,
        format: SampleFormat,
        (shared, origin): (&Arc<Shared>, Instant),
    ) -> std::result::Result<Self, cpal::Error> {
        let (ring, consumer) = RingBuffer::new(RING);
        shared.forget();
        let playout = Playout::new(consumer, shared.clone());
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
        shared.capacity_us.store(micros(samples), Relaxed);
        stream.play()?;
        Ok(Self { ring, written: 0, channels: config.channels, period, _stream: stream })
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

/// How the device plays 48 kHz: on two channels rather than on others, and as
/// finely as it can.
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
    let rate = SAMPLE_RATE as u32;
    let best = configs
        .iter()
        .filter(|c| (c.min_sample_rate()..=c.max_sample_rate()).contains(&rate))
        .min_by_key(|c| {
            let format = FORMATS.iter().position(|&f| f == c.sample_format());
            (c.channels().abs_diff(2), format.unwrap_or(FORMATS.len()))
        });
    let Some(best) = best else {
        let lowest = configs.iter().map(|c| c.min_sample_rate()).min().unwrap_or(0);
        let highest = configs.iter().map(|c| c.max_sample_rate()).max().unwrap_or(0);
        let what = format!("it plays {lowest} to {highest} samples a second, {rate} are due");
        return Err(Error::new(Fault::Unsupported, subject, what)
            .hint("let PulseAudio or PipeWire play to it: they convert"));
    };
    let config = StreamConfig {
        channels: best.channels(),
        sample_rate: rate,
        buffer_size: BufferSize::Default,
    };
    Ok((config, best.sample_format()))
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
fn micros(samples: u64) -> u64 {
    samples * 1_000_000 / SAMPLE_RATE as u64
}

/// A stream of samples of type `T` from `playout`.
fn stream<T: SizedSample + FromSample<f32>>(
    device: &Device,
    config: StreamConfig,
    mut playout: Playout,
    (shared, origin): (Arc<Shared>, Instant),
) -> std::result::Result<Stream, cpal::Error> {
    let channels = usize::from(config.channels);
    let watched = shared.clone();
    let (mut both, mut supply, mut most) = ([[0.0; 2]; CHUNK], Supply::default(), Duration::ZERO);
    let play = move |output: &mut [T], info: &OutputCallbackInfo| {
        let times = info.timestamp();
        let delay = times.playback.saturating_duration_since(times.callback);
        shared.device_us.store(delay.as_micros() as u64, Relaxed);
        let given = Duration::from_secs_f64((output.len() / channels) as f64 / SAMPLE_RATE as f64);
        let capacity = match shared.capacity_us.load(Relaxed) {
            0 => Duration::from_secs(1),
            capacity_us => Duration::from_micros(capacity_us),
        };
        // Some take more than they were asked to, and show it.
        most = most.max(delay + given);
        let capacity = capacity.max(most);
        if supply.take(Instant::now(), given, capacity) {
            shared.interrupted.store(true, Relaxed);
        }
        for part in output.chunks_mut(CHUNK * channels) {
            let both = &mut both[..part.len() / channels];
            playout.fill(both);
            for (frame, &sample) in part.chunks_exact_mut(channels).zip(both.iter()) {
                spread(sample, frame);
            }
        }
        let next = origin.elapsed() + given;
        shared.tell((output.len() / channels) as u64, next, next + delay);
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
    use super::*;

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
