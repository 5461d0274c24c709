//! RIFF WAVE, written so that it is whole at every moment.
//!
//! The writer is our own because the file must be playable whenever the
//! process dies, and must carry its header ahead of the samples:
//!
//! ```text
//! RIFF size WAVE
//!   JUNK          room for a ds64 chunk
//!   fmt           16-bit PCM, mono or stereo, 48 kHz
//!   LIST INFO     ISFT wysiwyh x.y.z, ICMT the header as JSON
//!   data          the samples
//!   LIST INFO     the same, with what is known only at the end
//! ```
//!
//! Sizes are brought up to date with every second of sound. A file that
//! passes 4 GiB becomes RF64 (EBU Tech 3306): the JUNK chunk turns into ds64,
//! which holds the sizes in 64 bits.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::{FileSink, Header, Output, Recording, Sink, quantise};
use crate::error::{Error, Fault, Result};
use crate::synth::SAMPLE_RATE;

/// Bytes of one second of one channel.
const SECOND: usize = 2 * SAMPLE_RATE;
/// Bytes of a ds64 chunk without a table.
const DS64: u32 = 28;
/// In RF64, the 32-bit size that refers to the ds64 chunk.
const SEE_DS64: u32 = u32::MAX;

/// A WAV file that samples go to; see the module's page for its layout.
#[derive(Debug)]
pub struct WavSink {
    output: Output,
    /// The LIST chunk ahead of the data.
    info: Vec<u8>,
    /// The LIST chunk after the data; empty if there is no news.
    news: Vec<u8>,
    /// Samples that are not in the file yet.
    pending: Vec<u8>,
    /// Bytes of samples in the file.
    written: u64,
    channels: u16,
    /// The largest file that is still RIFF.
    riff_limit: u64,
}

impl WavSink {
    /// Starts the file at `path` in place. A killed process leaves all of its
    /// complete seconds.
    ///
    /// # Errors
    ///
    /// If the file cannot be created.
    pub fn create(path: &Path, header: &Header) -> Result<Self> {
        Self::start(Output::in_place(path)?, header)
    }

    /// Starts a file that gets its name `path` when it is finished; dropped
    /// before that, it leaves nothing.
    ///
    /// # Errors
    ///
    /// If no temporary file can be created in the folder of `path`.
    pub fn create_atomic(path: &Path, header: &Header) -> Result<Self> {
        Self::start(Output::atomic(path)?, header)
    }

    fn start(output: Output, header: &Header) -> Result<Self> {
        let info = info(header)?;
        let mut sink = Self {
            output,
            info,
            news: Vec::new(),
            pending: Vec::with_capacity(2 * SECOND),
            written: 0,
            channels: header.channels() as u16,
            riff_limit: u32::MAX.into(),
        };
        let head = sink.head(0);
        sink.output.write_at(0, &head)?;
        Ok(sink)
    }

    /// Everything ahead of the samples, when `tail` bytes follow them.
    fn head(&self, tail: u64) -> Vec<u8> {
        let length = self.length() + tail;
        let mut head = Vec::with_capacity(80 + self.info.len());
        if length <= self.riff_limit {
            // Both fit 32 bits, because the limit does.
            head.extend(b"RIFF");
            head.extend((length as u32 - 8).to_le_bytes());
            head.extend(b"WAVE");
            chunk(&mut head, b"JUNK", &[0; DS64 as usize]);
        } else {
            head.extend(b"RF64");
            head.extend(SEE_DS64.to_le_bytes());
            head.extend(b"WAVE");
            let mut sizes = Vec::with_capacity(DS64 as usize);
            for size in [length - 8, self.written, self.written / u64::from(2 * self.channels)] {
                sizes.extend(size.to_le_bytes());
            }
            sizes.extend(0u32.to_le_bytes());
            chunk(&mut head, b"ds64", &sizes);
        }
        let mut format = Vec::with_capacity(16);
        format.extend(1u16.to_le_bytes());
        format.extend(self.channels.to_le_bytes());
        format.extend((SAMPLE_RATE as u32).to_le_bytes());
        format.extend((SECOND as u32 * u32::from(self.channels)).to_le_bytes());
        format.extend((2 * self.channels).to_le_bytes());
        format.extend(16u16.to_le_bytes());
        chunk(&mut head, b"fmt ", &format);
        head.extend(&self.info);
        head.extend(b"data");
        let size = if length <= self.riff_limit { self.written as u32 } else { SEE_DS64 };
        head.extend(size.to_le_bytes());
        head
    }

    /// Bytes ahead of the samples.
    fn data_start(&self) -> u64 {
        (12 + 8 + u64::from(DS64)) + (8 + 16) + self.info.len() as u64 + 8
    }

    /// Bytes up to the end of the samples in the file.
    fn length(&self) -> u64 {
        self.data_start() + self.written
    }

    /// Writes the pending samples, and only then the sizes that cover them.
    /// The head is written by one call, so that no kill leaves half of it.
    fn flush(&mut self) -> Result<()> {
        self.output.write_at(self.length(), &self.pending)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        let head = self.head(0);
        self.output.write_at(0, &head)
    }
}

impl Sink for WavSink {
    fn write(&mut self, samples: &[f32]) -> Result<()> {
        for block in samples.chunks(SAMPLE_RATE) {
            for &sample in block {
                self.pending.extend(quantise(sample).to_le_bytes());
            }
            if self.pending.len() >= SECOND {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.flush()?;
        if !self.news.is_empty() {
            self.output.write_at(self.length(), &self.news)?;
            let head = self.head(self.news.len() as u64);
            self.output.write_at(0, &head)?;
        }
        self.output.finish()
    }
}

impl FileSink for WavSink {
    fn replace_header(&mut self, header: &Header) -> Result<()> {
        self.news = info(header)?;
        Ok(())
    }
}

/// Appends a chunk whose content has an even length.
fn chunk(target: &mut Vec<u8>, id: &[u8; 4], content: &[u8]) {
    target.extend(id);
    target.extend((content.len() as u32).to_le_bytes());
    target.extend(content);
}

/// The LIST INFO chunk of `header`.
fn info(header: &Header) -> Result<Vec<u8>> {
    let json = header.to_json()?;
    if json.len() > u32::MAX as usize / 2 {
        let what = format!("{} bytes of header, WAV holds {}", json.len(), u32::MAX / 2);
        return Err(Error::usage("header", what));
    }
    let mut content = b"INFO".to_vec();
    for (id, text) in [(b"ISFT", concat!("wysiwyh ", env!("CARGO_PKG_VERSION"))), (b"ICMT", &json)]
    {
        let mut text = text.as_bytes().to_vec();
        // Texts end with a zero, and chunks on an even offset.
        text.push(0);
        text.resize(text.len().next_multiple_of(2), 0);
        chunk(&mut content, id, &text);
    }
    let mut list = Vec::with_capacity(8 + content.len());
    chunk(&mut list, b"LIST", &content);
    Ok(list)
}

/// How samples lie in the file.
#[derive(Clone, Copy)]
struct Layout {
    decode: fn(&[u8]) -> f32,
    /// Bytes of one sample of one channel.
    bytes: usize,
    channels: usize,
    sample_rate: u32,
}

impl Layout {
    /// Reads a fmt chunk.
    fn parse(format: &[u8], path: &Path) -> Result<Self> {
        let &[t0, t1, c0, c1, r0, r1, r2, r3, _, _, _, _, a0, a1, b0, b1, ref extension @ ..] =
            format
        else {
            let what = format!("its fmt chunk has {} bytes, at least 16 are due", format.len());
            return Err(Error::input(path, what));
        };
        let mut tag = u16::from_le_bytes([t0, t1]);
        // WAVE_FORMAT_EXTENSIBLE: the sub-format begins with the true tag.
        if let (0xfffe, &[_, _, _, _, _, _, _, _, s0, s1, ..]) = (tag, extension) {
            tag = u16::from_le_bytes([s0, s1]);
        }
        let bits = u16::from_le_bytes([b0, b1]);
        let (decode, bytes): (fn(&[u8]) -> f32, usize) = match (tag, bits) {
            (1, 16) => (|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32768.0, 2),
            (1, 24) => (|b| i32::from_le_bytes([0, b[0], b[1], b[2]]) as f32 / 2147483648.0, 3),
            (1, 32) => (|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32 / 2147483648.0, 4),
            (3, 32) => (|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]), 4),
            _ => {
                let what = format!("WAV with format tag {tag} and {bits} bits");
                return Err(Error::new(Fault::Unsupported, path.display(), what)
                    .hint("PCM of 16, 24 or 32 bits and 32-bit float can be read"));
            }
        };
        let channels = usize::from(u16::from_le_bytes([c0, c1]));
        let sample_rate = u32::from_le_bytes([r0, r1, r2, r3]);
        let align = usize::from(u16::from_le_bytes([a0, a1]));
        if channels == 0 || sample_rate == 0 || align != channels * bytes {
            let what = format!(
                "its fmt chunk contradicts itself: {channels} channels of {bits} bits at \
                 {sample_rate} Hz in blocks of {align} bytes"
            );
            return Err(Error::input(path, what));
        }
        Ok(Self { decode, bytes, channels, sample_rate })
    }

    /// Appends the mean over the channels of every complete block of `data`,
    /// and left and right where there are two. What is no number becomes
    /// silence.
    fn mix(&self, data: &[u8], samples: &mut Vec<f32>, sides: &mut [Vec<f32>; 2]) {
        let block = self.bytes * self.channels;
        let finite = |sample: f32| if sample.is_finite() { sample } else { 0.0 };
        samples.extend(data.chunks_exact(block).map(|block| {
            let sum: f32 = block.chunks_exact(self.bytes).map(self.decode).sum();
            finite(sum / self.channels as f32)
        }));
        if self.channels == 2 {
            for block in data.chunks_exact(block) {
                for (side, sample) in sides.iter_mut().zip(block.chunks_exact(self.bytes)) {
                    side.push(finite((self.decode)(sample)));
                }
            }
        }
    }
}

/// A chunk, of which the first `available` bytes are in the file.
struct Chunk {
    id: [u8; 4],
    size: u64,
    available: u64,
}

/// Walks over the chunks of a file and believes in no size.
struct Walker {
    file: BufReader<File>,
    /// Bytes of the file.
    length: u64,
    /// Where the file is read next.
    position: u64,
    /// Where the next chunk begins.
    next: u64,
    /// Bytes of the data chunk, from a ds64 chunk.
    data_size: u64,
}

impl Walker {
    /// Begins behind the form type.
    fn new(file: File, length: u64) -> Self {
        let file = BufReader::with_capacity(1 << 16, file);
        Self { file, length, position: 0, next: 12, data_size: u64::MAX }
    }

    /// Goes to the next chunk; `None` at the end of the file.
    fn next(&mut self) -> io::Result<Option<Chunk>> {
        if self.next.saturating_add(8) > self.length {
            return Ok(None);
        }
        // Keeps the buffer, unlike `seek`: a file may consist of tiny chunks.
        self.file.seek_relative((self.next - self.position) as i64)?;
        let mut head = [0; 8];
        self.file.read_exact(&mut head)?;
        self.position = self.next + 8;
        let [i0, i1, i2, i3, s0, s1, s2, s3] = head;
        let id = [i0, i1, i2, i3];
        let mut size = u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
        if &id == b"data" && size == u64::from(SEE_DS64) {
            size = self.data_size;
        }
        self.next = self.position.saturating_add(size).saturating_add(size % 2);
        Ok(Some(Chunk { id, size, available: size.min(self.length - self.position) }))
    }

    /// Hands out what there is of `chunk`, in blocks of at most `block` bytes.
    fn read(&mut self, chunk: &Chunk, block: usize, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0; block.min(chunk.available as usize)];
        let mut left = chunk.available as usize;
        while left > 0 {
            let part = &mut buffer[..left.min(block)];
            self.file.read_exact(part)?;
            self.position += part.len() as u64;
            left -= part.len();
            take(part);
        }
        Ok(())
    }

    /// What there is of `chunk`.
    fn content(&mut self, chunk: &Chunk) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.read(chunk, 1 << 16, |part| content.extend_from_slice(part))?;
        Ok(content)
    }
}

/// Reads the WAV file `file` of `length` bytes.
pub(super) fn read(mut file: File, length: u64, path: &Path) -> Result<Recording> {
    let failed = |e| Error::input(path, e);
    let mut form = Vec::with_capacity(12);
    (&mut file).take(12).read_to_end(&mut form).map_err(failed)?;
    if form.get(8..) != Some(b"WAVE") {
        return Err(Error::input(path, "it starts as a RIFF file, but not as WAVE"));
    }
    let mut walker = Walker::new(file, length);
    walker.position = 12;
    let (mut layout, mut samples, mut header) = (None, None, None);
    while let Some(chunk) = walker.next().map_err(failed)? {
        match &chunk.id {
            b"ds64" => {
                if let Some(&size) =
                    walker.content(&chunk).map_err(failed)?[..].as_chunks().0.get(1)
                {
                    walker.data_size = u64::from_le_bytes(size);
                }
            }
            b"fmt " => {
                layout = Some(Layout::parse(&walker.content(&chunk).map_err(failed)?, path)?);
            }
            b"data" if samples.is_none() => {
                let layout: Layout = layout
                    .ok_or_else(|| Error::input(path, "no fmt chunk is ahead of its data"))?;
                let (mut mono, mut sides) = (Vec::new(), [Vec::new(), Vec::new()]);
                let block = layout.bytes * layout.channels;
                let block = block * (1usize << 16).div_ceil(block);
                walker
                    .read(&chunk, block, |data| layout.mix(data, &mut mono, &mut sides))
                    .map_err(failed)?;
                samples = Some((mono, (layout.channels == 2).then_some(sides)));
            }
            // Of several, the last one knows most.
            b"LIST" if chunk.available == chunk.size => {
                let list = walker.content(&chunk).map_err(failed)?;
                if let Some(comment) = comment(&list) {
                    header = Header::parse(&comment, path)?.or(header);
                }
            }
            _ => {}
        }
    }
    match (samples, layout) {
        (Some((samples, sides)), Some(Layout { sample_rate, channels, .. })) => {
            Ok(Recording { samples, sides, sample_rate, channels, header })
        }
        _ => Err(Error::input(path, "it has no samples: no data chunk")),
    }
}

/// The comment in the content of a LIST INFO chunk.
fn comment(list: &[u8]) -> Option<String> {
    let mut rest = list.strip_prefix(b"INFO")?;
    while let [i0, i1, i2, i3, s0, s1, s2, s3, content @ ..] = rest {
        let size = u32::from_le_bytes([*s0, *s1, *s2, *s3]) as usize;
        if &[*i0, *i1, *i2, *i3] == b"ICMT" {
            return Some(String::from_utf8_lossy(content.get(..size)?).into_owned());
        }
        rest = content.get(size.checked_next_multiple_of(2)?..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::header;
    use super::*;

    fn read(path: &Path) -> Recording {
        super::super::read(path).unwrap()
    }

    /// A second and a half of every 16-bit value in turn.
    fn ramp() -> Vec<f32> {
        (0..72_000).map(|n| f32::from((n as u16).wrapping_mul(911) as i16) / 32768.0).collect()
    }

    #[test]
    fn samples_and_header_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.wav");
        let mut sink = Box::new(WavSink::create(&path, &header()).unwrap());
        for part in ramp().chunks(4801) {
            sink.write(part).unwrap();
        }
        let last = Header { frames: Some(14), positions: vec![[3, 4]], ..header() };
        sink.replace_header(&last).unwrap();
        sink.finish().unwrap();
        let recording = read(&path);
        assert_eq!(recording.samples, ramp());
        assert_eq!((recording.sample_rate, recording.channels), (48_000, 1));
        assert_eq!(recording.header, Some(last));
    }

    #[test]
    fn a_killed_process_leaves_every_complete_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.wav");
        let mut sink = WavSink::create(&path, &header()).unwrap();
        let (mut sent, mut best) = (0, 0);
        for part in ramp().chunks(700) {
            sink.write(part).unwrap();
            sent += part.len();
            // The file as it is now, read through another handle.
            let recording = read(&path);
            assert!(recording.samples.len() + SAMPLE_RATE > sent, "{sent} were sent");
            assert_eq!(recording.samples, ramp()[..recording.samples.len()]);
            assert_eq!(recording.header, Some(header()));
            best = recording.samples.len();
        }
        assert!(best >= SAMPLE_RATE);
    }

    #[test]
    fn past_the_limit_of_riff_it_is_rf64() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.wav");
        let mut sink = Box::new(WavSink::create(&path, &header()).unwrap());
        sink.riff_limit = 100_000;
        sink.write(&ramp()[..48_000]).unwrap();
        assert_eq!(&std::fs::read(&path).unwrap()[..4], b"RIFF");
        assert_eq!(read(&path).samples, ramp()[..48_000]);
        sink.write(&ramp()[48_000..]).unwrap();
        sink.replace_header(&Header { frames: Some(1), ..header() }).unwrap();
        sink.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((&bytes[..4], &bytes[12..16]), (b"RF64".as_slice(), b"ds64".as_slice()));
        let size = u64::from_le_bytes(bytes[20..28].try_into().unwrap());
        assert_eq!(size, bytes.len() as u64 - 8);
        let recording = read(&path);
        assert_eq!(recording.samples, ramp());
        assert_eq!(recording.header.unwrap().frames, Some(1));
    }

    #[test]
    fn an_atomic_file_appears_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.wav");
        let entries = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut sink = WavSink::create_atomic(&path, &header()).unwrap();
        sink.write(&ramp()).unwrap();
        assert!(!path.exists());
        drop(sink);
        assert_eq!(entries(), 0);
        let mut sink = Box::new(WavSink::create_atomic(&path, &header()).unwrap());
        sink.write(&ramp()).unwrap();
        sink.finish().unwrap();
        assert_eq!(read(&path).samples, ramp());
        assert_eq!(entries(), 1);
    }
}
