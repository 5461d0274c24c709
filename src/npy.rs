//! Frames as a NumPy array file, so that any other program can check us.
//!
//! The layout is `[frame, band, row, column]`, little-endian f32, C order,
//! physical units, NaN where there is no reading. The file is written frame
//! by frame, so that its size is not bounded by memory. Format: NEP 1, "A
//! Simple File Format for NumPy Arrays", version 1.0.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ndarray::ArrayView3;

use crate::error::{Error, Fault, Result};

/// Bytes before the first value: a multiple of 64, as NEP 1 asks, with room
/// for any number of frames.
const HEADER_BYTES: usize = 192;

/// An array file that grows by one frame at a time.
#[derive(Debug)]
pub struct FrameArray {
    file: BufWriter<File>,
    path: PathBuf,
    shape: [usize; 3],
    frames: usize,
}

impl FrameArray {
    /// Starts the file at `path` for frames of `shape`, `[band, row, column]`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn create(path: impl Into<PathBuf>, shape: [usize; 3]) -> Result<Self> {
        let path = path.into();
        let file = File::create(&path).map_err(|e| Error::output(&path, e))?;
        let mut array = Self { file: BufWriter::new(file), path, shape, frames: 0 };
        array.put(&header(0, shape))?;
        Ok(array)
    }

    /// Appends `frame`, `[band, row, column]`.
    ///
    /// # Errors
    ///
    /// If the frame has another shape than the file, or the file cannot be
    /// written.
    pub fn push(&mut self, frame: ArrayView3<f32>) -> Result<()> {
        if frame.shape() != self.shape {
            let what = format!(
                "frame {} is {:?}, the frames before it are {:?} (band, row, column)",
                self.frames,
                frame.shape(),
                self.shape
            );
            return Err(Error::new(Fault::Input, self.path.display(), what)
                .hint("an array file takes frames of one size; convert the folders one by one"));
        }
        let mut bytes = Vec::with_capacity(frame.len() * 4);
        for value in frame {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        self.put(&bytes)?;
        self.frames += 1;
        Ok(())
    }

    /// Writes the number of frames into the header and closes the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<()> {
        self.file.seek(SeekFrom::Start(0)).map_err(|e| Error::output(&self.path, e))?;
        self.put(&header(self.frames, self.shape))?;
        self.file.flush().map_err(|e| Error::output(&self.path, e))
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::output(&self.path, e))
    }
}

/// The header for `frames` frames of `[band, row, column]`.
fn header(frames: usize, [bands, rows, columns]: [usize; 3]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(HEADER_BYTES as u16 - 10).to_le_bytes());
    bytes.extend_from_slice(
        format!(
            "{{'descr': '<f4', 'fortran_order': False, \
             'shape': ({frames}, {bands}, {rows}, {columns}), }}"
        )
        .as_bytes(),
    );
    bytes.resize(HEADER_BYTES - 1, b' ');
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Array4, s};
    use ndarray_npy::ReadNpyExt;

    use super::*;

    #[test]
    fn another_reader_gets_the_frames_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames.npy");
        let frames = Array4::from_shape_fn((3, 2, 4, 5), |(f, b, r, c)| {
            if c == 4 { f32::NAN } else { (f * 1000 + b * 100 + r * 10 + c) as f32 }
        });
        let mut array = FrameArray::create(&path, [2, 4, 5]).unwrap();
        for frame in frames.outer_iter() {
            array.push(frame).unwrap();
        }
        array.finish().unwrap();
        let read = Array4::<f32>::read_npy(File::open(&path).unwrap()).unwrap();
        assert_eq!(read.shape(), frames.shape());
        assert_eq!(read.slice(s![.., .., .., ..4]), frames.slice(s![.., .., .., ..4]));
        assert!(read.slice(s![.., .., .., 4]).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn a_frame_of_another_size_is_refused_with_both_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let mut array = FrameArray::create(folder.path().join("a.npy"), [1, 4, 5]).unwrap();
        let error = array.push(Array3::zeros((1, 5, 4)).view()).unwrap_err().to_string();
        assert!(error.contains("[1, 5, 4]") && error.contains("[1, 4, 5]"), "{error}");
    }

    #[test]
    fn the_header_has_room_for_the_largest_shape() {
        let longest = header(usize::MAX, [usize::MAX; 3]);
        assert_eq!(longest.len(), HEADER_BYTES);
        assert!(longest.ends_with(b"\n"));
        assert!(String::from_utf8_lossy(&longest).contains("), }"));
    }
}
