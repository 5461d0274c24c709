//! What stands in front of the pixels.

/// Numbers of markers; each stands behind a byte FF (T.81 B.1, T.87 C.1.1).
pub(super) mod marker {
    pub const START_OF_IMAGE: u8 = 0xd8;
    pub const END_OF_IMAGE: u8 = 0xd9;
    pub const START_OF_SCAN: u8 = 0xda;
    pub const RESTART_INTERVAL: u8 = 0xdd;
    pub const RESTART: u8 = 0xd0;
    pub const FRAME: u8 = 0xf7;
    pub const PARAMETERS: u8 = 0xf8;
}

/// What the segments in front of the pixels say; 0 stands for a default.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub rows: usize,
    pub columns: usize,
    /// P: bits of a sample.
    pub precision: u32,
    /// MAXVAL, T1, T2, T3 and RESET of C.2.4.1.1.
    pub parameters: [i32; 5],
    pub near: i32,
    /// Rows from one restart marker to the next; 0: none.
    pub restart: usize,
    /// Where the coded pixels begin.
    pub data: usize,
}

impl Head {
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if !bytes.starts_with(&[0xff, marker::START_OF_IMAGE]) {
            return Err("they do not begin as JPEG does".to_owned());
        }
        let cut = || "their head is cut short".to_owned();
        let mut head = Self::default();
        let mut at = 2;
        loop {
            let [0xff, kind] = *bytes.get(at..at + 2).ok_or_else(cut)? else {
                return Err(format!("byte {at} is no marker"));
            };
            if kind == marker::END_OF_IMAGE {
                return Err("they end before their pixels".to_owned());
            }
            // A marker may have any number of bytes FF in front.
            if kind == 0xff {
                at += 1;
                continue;
            }
            let length = number(bytes, at + 2, 2).ok_or_else(cut)?;
            let segment = bytes.get(at + 4..at + 2 + length.max(2)).ok_or_else(cut)?;
            at += 2 + length.max(2);
            match kind {
                marker::FRAME => head.frame(segment)?,
                marker::PARAMETERS => head.parameters(segment)?,
                marker::RESTART_INTERVAL => {
                    head.restart = number(segment, 0, segment.len()).ok_or_else(cut)?;
                }
                marker::START_OF_SCAN => {
                    head.scan(segment)?;
                    head.data = at;
                    return Ok(head);
                }
                0xc0..=0xcf => return Err("they are JPEG of another kind".to_owned()),
                _ => {}
            }
        }
    }

    /// The frame header of C.2.2.
    fn frame(&mut self, segment: &[u8]) -> Result<(), String> {
        let [precision @ 2..=16, _, _, _, _, 1, ..] = *segment else {
            return Err("they are not of one component of 2 to 16 bits".to_owned());
        };
        self.precision = precision.into();
        self.rows = number(segment, 1, 2).unwrap_or(0);
        self.columns = number(segment, 3, 2).unwrap_or(0);
        Ok(())
    }

    /// The preset parameters of C.2.4.1.
    fn parameters(&mut self, segment: &[u8]) -> Result<(), String> {
        match segment {
            [1, rest @ ..] if rest.len() >= 10 => {
                for (parameter, pair) in self.parameters.iter_mut().zip(rest.chunks_exact(2)) {
                    *parameter = i32::from(u16::from_be_bytes([pair[0], pair[1]]));
                }
                Ok(())
            }
            _ => Err("they have parameters of a kind that is not read".to_owned()),
        }
    }

    /// The scan header of C.2.3.
    fn scan(&mut self, segment: &[u8]) -> Result<(), String> {
        match *segment {
            [1, _, 0, near, 0, 0, ..] if self.precision > 0 => {
                self.near = near.into();
                Ok(())
            }
            _ => Err("they are coded in a way that is not read".to_owned()),
        }
    }
}

/// The number of `length` bytes at `at`, the most significant first.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(length)?).filter(|bytes| bytes.len() <= 4)?;
    Some(bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}
