//! FLAC, written frame by frame.
//!
//! The samples are bit for bit those of [`super::WavSink`]. The header lies in
//! the Vorbis comment `WYSIWYH`, ahead of some padding, so that it can still
//! grow when the frames are known. STREAMINFO is completed at the end; until
//! then the file plays, but does not say how long it is.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::Path;

use claxon::FlacReader;
use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, StreamInfo};
use flacenc::config;
use flacenc::encode_fixed_size_frame;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Context, Fill, FrameBuf};

use super::foreign::LONGEST_S;
use super::{FileSink, Header, Output, Recording, Sink, quantise};
use crate::error::{Error, Result};
use crate::synth::SAMPLE_RATE;

/// Samples of each channel in a frame; the streamable subset of FLAC allows 4608 at 48 kHz.
const BLOCK: usize = 4096;
/// Bytes kept free for the header to grow: about 600 chip positions.
const PADDING: usize = 8192;
/// Readers refuse larger comments, some of them at 10 MiB.
const LARGEST_COMMENT: usize = 10 << 20;
/// So many numbers that are kept are believed of each byte of a file.
const KEPT_PER_BYTE: u64 = 8;
/// The names under which a header may lie: ours, and what becomes of a WAV
/// file's comment when others convert it.
const TAGS: [&str; 3] = ["WYSIWYH", "DESCRIPTION", "COMMENT"];

/// A FLAC file that samples go to.
pub struct FlacSink {
    output: Output,
    config: Verified<config::Encoder>,
    stream: StreamInfo,
    /// Counts the samples and computes their MD5 digest.
    context: Context,
    frame: FrameBuf,
    /// Samples that are not in a frame yet, fewer than [`BLOCK`] of each channel.
    pending: Vec<i32>,
    channels: usize,
    comment: Vec<u8>,
    /// Where the first frame begins.
    audio_start: u64,
    /// Where the next frame begins.
    end: u64,
}

impl std::fmt::Debug for FlacSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlacSink").field("output", &self.output).finish_non_exhaustive()
    }
}

impl FlacSink {
    /// Starts the file at `path` in place. A killed process leaves all of its
    /// complete frames.
    ///
    /// # Errors
    ///
    /// If the file cannot be created, or the header is larger than 10 MiB.
    pub fn create(path: &Path, header: &Header) -> Result<Self> {
        Self::start(Output::in_place(path)?, header)
    }

    /// Starts a file that gets its name `path` when it is finished; dropped
    /// before that, it leaves nothing.
    ///
    /// # Errors
    ///
    /// If no temporary file can be created in the folder of `path`, or the
    /// header is larger than 10 MiB.
    pub fn create_atomic(path: &Path, header: &Header) -> Result<Self> {
        Self::start(Output::atomic(path)?, header)
    }

    fn start(output: Output, header: &Header) -> Result<Self> {
        let (comment, channels) = (comment(header, output.path())?, header.channels());
        let refused = |e| output.error(format!("the FLAC encoder refused its settings: {e}"));
        let config = config::Encoder::default().into_verified();
        let config = config.map_err(|(_, e)| refused(e))?;
        let mut stream = StreamInfo::new(SAMPLE_RATE, channels, 16).map_err(refused)?;
        stream.set_block_sizes(BLOCK, BLOCK).map_err(refused)?;
        // Unknown until the end.
        stream.set_frame_sizes(0, 0).map_err(refused)?;
        let frame = FrameBuf::with_size(channels, BLOCK).map_err(refused)?;
        let head = head(&stream, &comment, PADDING, &output)?;
        let mut sink = Self {
            config,
            stream,
            context: Context::new(16, channels),
            frame,
            pending: Vec::with_capacity(BLOCK * channels),
            channels,
            comment,
            audio_start: head.len() as u64,
            end: head.len() as u64,
            output,
        };
        sink.output.write_at(0, &head)?;
        Ok(sink)
    }

    /// Encodes the pending samples as one frame.
    fn encode(&mut self) -> Result<()> {
        let samples = std::mem::take(&mut self.pending);
        let bytes = self.encoded(&samples).map_err(|e| self.output.error(e))?;
        self.pending = samples;
        self.pending.clear();
        self.output.write_at(self.end, &bytes)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn encoded(&mut self, samples: &[i32]) -> std::result::Result<Vec<u8>, String> {
        let failed = |e: &dyn std::fmt::Display| format!("the FLAC encoder failed: {e}");
        self.frame.fill_interleaved(samples).map_err(|e| failed(&e))?;
        self.context.fill_interleaved(samples).map_err(|e| failed(&e))?;
        let number = self.context.current_frame_number().unwrap_or(0);
        let frame = encode_fixed_size_frame(&self.config, &self.frame, number, &self.stream)
            .map_err(|e| failed(&e))?;
        let mut sink = ByteSink::with_capacity(frame.count_bits());
        frame.write(&mut sink).map_err(|e| failed(&e))?;
        Ok(sink.into_inner())
    }

    /// Makes room for a head that has outgrown its padding: the file is
    /// written anew under a temporary name, so that no moment lacks a whole
    /// one.
    fn move_audio(&mut self, start: u64) -> Result<()> {
        let mut output = Output::atomic(self.output.path())?;
        let old = self.output.file();
        let copied = old
            .seek(SeekFrom::Start(self.audio_start))
            .and_then(|_| output.file().seek(SeekFrom::Start(start)))
            .and_then(|_| io::copy(old, output.file()));
        copied.map_err(|e| output.error(e))?;
        self.output = output;
        self.audio_start = start;
        Ok(())
    }
}

impl Sink for FlacSink {
    fn write(&mut self, samples: &[f32]) -> Result<()> {
        for &sample in samples {
            self.pending.push(quantise(sample).into());
            if self.pending.len() == BLOCK * self.channels {
                self.encode()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if !self.pending.is_empty() {
            self.encode()?;
        }
        self.stream.set_md5_digest(&self.context.md5_digest());
        self.stream.set_total_samples(self.context.total_samples());
        let fixed = head(&self.stream, &self.comment, 0, &self.output)?.len() as u64;
        if fixed > self.audio_start {
            self.move_audio(fixed)?;
        }
        let padding = (self.audio_start - fixed) as usize;
        let head = head(&self.stream, &self.comment, padding, &self.output)?;
        self.output.write_at(0, &head)?;
        self.output.finish()
    }
}

impl FileSink for FlacSink {
    fn replace_header(&mut self, header: &Header) -> Result<()> {
        self.comment = comment(header, self.output.path())?;
        Ok(())
    }
}

/// Everything ahead of the frames, with `padding` free bytes.
fn head(stream: &StreamInfo, comment: &[u8], padding: usize, output: &Output) -> Result<Vec<u8>> {
    let mut info = ByteSink::new();
    stream.write(&mut info).map_err(|e| output.error(e))?;
    let mut head = b"fLaC".to_vec();
    block(&mut head, 0, info.as_slice());
    block(&mut head, 4, comment);
    // The last block, even if it is empty, carries the mark of the last one.
    block(&mut head, 0x80 | 1, &vec![0; padding]);
    Ok(head)
}

/// Appends a metadata block.
fn block(head: &mut Vec<u8>, kind: u8, content: &[u8]) {
    let [_, size @ ..] = (content.len() as u32).to_be_bytes();
    head.push(kind);
    head.extend(size);
    head.extend(content);
}

/// The content of the VORBIS_COMMENT block of `header`.
fn comment(header: &Header, path: &Path) -> Result<Vec<u8>> {
    fn text(target: &mut Vec<u8>, text: &str) {
        target.extend((text.len() as u32).to_le_bytes());
        target.extend(text.as_bytes());
    }
    let json = header.to_json()?;
    if json.len() > LARGEST_COMMENT {
        let what = format!("{} bytes of header, FLAC holds {LARGEST_COMMENT}", json.len());
        return Err(Error::output(path, what).hint("WAV holds more"));
    }
    let program = concat!("wysiwyh ", env!("CARGO_PKG_VERSION"));
    let fields = [format!("ENCODER={program}"), format!("{}={json}", TAGS[0])];
    let mut content = Vec::with_capacity(json.len() + 64);
    text(&mut content, program);
    content.extend((fields.len() as u32).to_le_bytes());
    fields.iter().for_each(|field| text(&mut content, field));
    Ok(content)
}

/// Reads the FLAC file `file` of `length` bytes.
pub(super) fn read(file: File, length: u64, path: &Path) -> Result<Recording> {
    let reader = FlacReader::new(BufReader::new(file))
        .map_err(|e| Error::input(path, format!("damaged FLAC: {e}")))?;
    let mut header = None;
    for comment in TAGS.iter().flat_map(|tag| reader.get_tag(tag)) {
        header = header.or(Header::parse(comment, path)?);
    }
    let most = most_samples(length, reader.streaminfo().channels as usize);
    decode(reader, header, most, path)
}

/// A file of `length` bytes and so many `channels` is believed to have so many
/// samples of each at most.
///
/// A few bytes may claim to be hours of silence, so what little is believed takes
/// no more memory than three hours of one channel. Beyond that it counts how long
/// the file is: our sound takes a byte a sample or more, so that one of any length
/// may be silent for four fifths of it, as while a camera is away.
fn most_samples(length: u64, channels: usize) -> usize {
    // Of two channels the mean is kept, too.
    let kept = if channels == 2 { 3 } else { 1 };
    let long = usize::try_from(length.saturating_mul(KEPT_PER_BYTE)).unwrap_or(usize::MAX);
    long.max(LONGEST_S * SAMPLE_RATE) / kept
}

/// Decodes the frames behind `header`, `most` samples of each channel at most.
fn decode(
    mut reader: FlacReader<BufReader<File>>,
    header: Option<Header>,
    most: usize,
    path: &Path,
) -> Result<Recording> {
    let info = reader.streaminfo();
    let scale = 1.0 / (1u64 << (info.bits_per_sample - 1)) as f32 / info.channels as f32;
    let (mut samples, mut sides) = (Vec::new(), [Vec::new(), Vec::new()]);
    let mut blocks = reader.blocks();
    let mut buffer = Vec::new();
    loop {
        let block = match blocks.read_next_or_eof(buffer) {
            Ok(Some(block)) => block,
            Ok(None) => break,
            // The file ends within a frame: a killed process left it so.
            Err(claxon::Error::IoError(e)) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(e) => {
                let what = format!("damaged FLAC after {} samples: {e}", samples.len());
                return Err(Error::input(path, what));
            }
        };
        if samples.len() + block.duration() as usize > most {
            let what = format!("it expands to more than {most} samples, as only silence does");
            return Err(Error::input(path, what).hint("cut it into parts"));
        }
        samples.extend((0..block.duration()).map(|at| {
            let sum: i64 = (0..block.channels()).map(|c| i64::from(block.sample(c, at))).sum();
            sum as f32 * scale
        }));
        if block.channels() == 2 {
            let scale = scale * info.channels as f32;
            for (channel, side) in (0..).zip(&mut sides) {
                let of = |at| block.sample(channel, at) as f32 * scale;
                side.extend((0..block.duration()).map(of));
            }
        }
        buffer = block.into_buffer();
    }
    let channels = info.channels as usize;
    let sides = (channels == 2).then_some(sides);
    Ok(Recording { samples, sides, sample_rate: info.sample_rate, channels, header })
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::header;
    use super::*;
    use crate::random::Random;

    /// Noise, silence and full-scale squares, of no whole number of frames.
    fn samples() -> Vec<f32> {
        let mut random = Random::new(3);
        (0..60_001)
            .map(|n| match n / 10_000 % 3 {
                0 => random.between(-1.2, 1.2) as f32,
                1 => 0.0,
                _ => [1.0, -1.0][n / 50 % 2],
            })
            .collect()
    }

    fn rounded(samples: &[f32]) -> Vec<f32> {
        samples.iter().map(|&s| f32::from(quantise(s)) / 32768.0).collect()
    }

    #[test]
    fn samples_and_a_header_that_outgrows_its_padding_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.flac");
        for frames in [0u32, 10, 10_000] {
            let mut sink = Box::new(FlacSink::create(&path, &header()).unwrap());
            for part in samples().chunks(4801) {
                sink.write(part).unwrap();
            }
            let positions = (0..frames).map(|n| [n / 64, n % 64]).collect();
            let last = Header { frames: Some(frames as usize), positions, ..header() };
            sink.replace_header(&last).unwrap();
            sink.finish().unwrap();
            let recording = super::super::read(&path).unwrap();
            assert_eq!(recording.samples, rounded(&samples()));
            assert_eq!(recording.header, Some(last));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unfinished_file_gives_its_complete_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.flac");
        let mut sink = FlacSink::create(&path, &header()).unwrap();
        sink.write(&samples()).unwrap();
        let recording = super::super::read(&path).unwrap();
        let complete = samples().len() / BLOCK * BLOCK;
        assert_eq!(recording.samples, rounded(&samples()[..complete]));
        assert_eq!(recording.header, Some(header()));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
        let cut = super::super::read(&path).unwrap();
        assert_eq!(cut.samples, rounded(&samples()[..complete - BLOCK]));
    }

    #[test]
    fn two_channels_come_back_apart() {
        let folder = tempfile::tempdir().unwrap();
        let stereo = Header { stereo: true, ..header() };
        for format in [Format::Flac, Format::Wav] {
            let path = folder.path().join("sound");
            let mut sink = super::super::create(&path, format, &stereo).unwrap();
            let sent = &samples()[..60_000];
            sent.chunks(9602).for_each(|part| sink.write(part).unwrap());
            sink.finish().unwrap();
            let recording = super::super::read(&path).unwrap();
            let side = |n| rounded(sent).iter().copied().skip(n).step_by(2).collect::<Vec<_>>();
            assert_eq!(recording.sides, Some([side(0), side(1)]), "{format:?}");
            assert_eq!((recording.channels, recording.samples.len()), (2, 30_000));
            assert_eq!(recording.header.as_ref(), Some(&stereo));
        }
    }

    #[test]
    fn silence_expands_so_far_and_sound_as_far_as_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("silence.flac");
        let mut sink = Box::new(FlacSink::create(&path, &header()).unwrap());
        let silence = vec![0.0; 100 * BLOCK];
        sink.write(&silence).unwrap();
        sink.finish().unwrap();
        let read = |most| {
            let reader = FlacReader::new(BufReader::new(File::open(&path).unwrap())).unwrap();
            decode(reader, None, most, &path)
        };
        assert_eq!(read(silence.len()).unwrap().samples, silence);
        let error = read(silence.len() - 1).unwrap_err().to_string();
        assert!(error.ends_with("more than 409599 samples, as only silence does"), "{error}");
        // More than a byte would be believed to hold, and still less than hours.
        assert!(std::fs::metadata(&path).unwrap().len() * 8 < silence.len() as u64);
        assert_eq!(super::super::read(&path).unwrap().samples, silence);

        let hours = |hours: usize| hours * 3600 * SAMPLE_RATE;
        assert_eq!((most_samples(0, 1), most_samples(20 << 20, 1)), (hours(3), hours(3)));
        assert_eq!((most_samples(0, 2), most_samples(20 << 20, 2)), (hours(1), hours(1)));
        // A day of sound, at a byte a sample, four fifths of which are silence.
        for channels in [1, 2] {
            assert!(most_samples((hours(24) * channels / 5) as u64, channels) >= hours(24));
        }
        assert_eq!(most_samples(u64::MAX, 1), usize::MAX);
    }

    #[test]
    fn a_header_too_large_for_flac_is_refused_with_both_sizes() {
        let large = Header { source: "x".repeat(LARGEST_COMMENT), ..header() };
        let folder = tempfile::tempdir().unwrap();
        let error = FlacSink::create(&folder.path().join("x.flac"), &large).unwrap_err();
        assert!(error.to_string().contains("10485760"), "{error}");
    }
}
