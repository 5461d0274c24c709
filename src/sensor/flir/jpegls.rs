//! JPEG-LS, lossless and near-lossless, for pictures of one component.
//!
//! After ITU-T Recommendation T.87 (06/98), whose clauses and names of
//! variables stand beside what follows them. Not read are several components,
//! mapping tables, point transforms, and a MAXVAL below what the bits hold, of
//! which encoders make different things.

mod head;

use self::head::{Head, marker};

/// How much longer a code for runs becomes with each step: J of A.2.1.
const RUN_ORDER: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// Contexts of regular mode, by three gradients in nine steps, of which a half
/// mirrors the other (A.3.4). The one of three zeros is not used: it is a run.
const CONTEXTS: usize = 365;

/// Decodes the picture of `columns` by `rows` in `bytes`, 2 to 16 bits deep,
/// row after row. What follows its end is not looked at.
///
/// # Errors
///
/// With a phrase on what is wrong with the bytes: damaged, cut short, of
/// another size, or of a kind that is not read here.
pub fn decode(bytes: &[u8], rows: usize, columns: usize) -> Result<Vec<u16>, String> {
    let head = Head::read(bytes)?;
    if (head.rows, head.columns) != (rows, columns) {
        return Err(format!(
            "{columns} x {rows} pixels were expected, but {} x {} are stored",
            head.columns, head.rows
        ));
    }
    let coding = Coding::new(&head)?;
    let mut samples = Vec::new();
    let mut scan = Scan::new(coding, bytes.get(head.data..).unwrap_or_default());
    // A column more at either end: left of the picture is what is above its
    // first sample, and right of it the last one again (A.2.1).
    let (mut above, mut line) = (vec![0; columns + 2], vec![0; columns + 2]);
    for row in 0..rows {
        if head.restart > 0 && row > 0 && row % head.restart == 0 {
            let number = (row / head.restart - 1) % 8;
            scan.restart(number as u8).ok_or_else(|| format!("row {row} does not begin anew"))?;
            above.fill(0);
            line.fill(0);
        }
        above[columns + 1] = above[columns];
        line[0] = above[1];
        scan.line(&above, &mut line).ok_or_else(|| format!("row {row} of {rows} is damaged"))?;
        // Readings are within 0..=MAXVAL, which has at most 16 bits.
        samples.extend(line[1..=columns].iter().map(|&sample| sample as u16));
        std::mem::swap(&mut above, &mut line);
    }
    Ok(samples)
}

/// The parameters of A.1 and C.2.4.1.1.1.
#[derive(Debug)]
struct Coding {
    /// MAXVAL.
    maximum: i32,
    near: i32,
    /// Steps between the values that are told apart: 2 NEAR + 1.
    step: i32,
    range: i32,
    /// qbpp: bits of an error.
    error_bits: u32,
    /// The longest code, in bits.
    limit: u32,
    /// T1, T2, T3.
    thresholds: [i32; 3],
    /// How many samples a context counts before it forgets a half.
    reset: i32,
}

impl Coding {
    fn new(head: &Head) -> Result<Self, String> {
        let [maximum, t1, t2, t3, reset] = head.parameters;
        let or = |given: i32, default: i32| if given == 0 { default } else { given };
        let full = (1 << head.precision) - 1;
        if or(maximum, full) != full {
            return Err(format!("their MAXVAL is {maximum}, and only {full} is read"));
        }
        let (maximum, near) = (full, head.near);
        let defaults = thresholds(maximum, near);
        let [t1, t2, t3] = [or(t1, defaults[0]), or(t2, defaults[1]), or(t3, defaults[2])];
        let reset = or(reset, 64);
        let sound =
            near <= maximum / 2 && near < t1 && t1 <= t2 && t2 <= t3 && t3 <= maximum && reset >= 3;
        if !sound {
            return Err(format!(
                "their parameters contradict each other: NEAR {near}, T {t1} {t2} {t3}, RESET {reset}"
            ));
        }
        let step = 2 * near + 1;
        let range = (maximum + 2 * near) / step + 1;
        let bits = bits_of(maximum + 1).max(2);
        Ok(Self {
            maximum,
            near,
            step,
            range,
            error_bits: bits_of(range),
            limit: 2 * (bits + bits.max(8)),
            thresholds: [t1, t2, t3],
            reset,
        })
    }

    /// The step of a gradient, -4..=4 (A.3.3).
    fn quantise(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let size = match gradient.abs() {
            size if size <= self.near => 0,
            size if size < t1 => 1,
            size if size < t2 => 2,
            size if size < t3 => 3,
            _ => 4,
        };
        size * gradient.signum()
    }

    /// The sample at an error of so many steps from its prediction (A.4.4,
    /// A.4.5).
    fn reconstruct(&self, predicted: i32, error: i32) -> i32 {
        let whole = self.range * self.step;
        let mut sample = predicted + error * self.step;
        if sample < -self.near {
            sample += whole;
        } else if sample > self.maximum + self.near {
            sample -= whole;
        }
        sample.clamp(0, self.maximum)
    }
}

/// The default thresholds of C.2.4.1.1.1.
fn thresholds(maximum: i32, near: i32) -> [i32; 3] {
    let clamp = |value: i32, least: i32| {
        if value > maximum || value < least { least } else { value }
    };
    let [t1, t2, t3] = if maximum >= 128 {
        let factor = (maximum.min(4095) + 128) / 256;
        [factor + 2 + 3 * near, 4 * factor + 3 + 5 * near, 17 * factor + 4 + 7 * near]
    } else {
        let factor = 256 / (maximum + 1);
        [
            (3 / factor + 3 * near).max(2),
            (7 / factor + 5 * near).max(3),
            (21 / factor + 7 * near).max(4),
        ]
    };
    let t1 = clamp(t1, near + 1);
    let t2 = clamp(t2, t1);
    [t1, t2, clamp(t3, t2)]
}

/// The bits that tell `values` values apart.
fn bits_of(values: i32) -> u32 {
    values.cast_unsigned().next_power_of_two().trailing_zeros()
}

/// What regular mode remembers of one context: A, B, C and N of A.2.1.
#[derive(Clone, Copy, Debug)]
struct Context {
    sizes: i64,
    bias: i32,
    correction: i32,
    count: i32,
}

impl Context {
    /// After a sample with `error` (A.6).
    fn update(&mut self, error: i32, coding: &Coding) {
        self.bias += error * coding.step;
        self.sizes += i64::from(error.abs());
        if self.count == coding.reset {
            self.sizes >>= 1;
            self.bias >>= 1;
            self.count >>= 1;
        }
        self.count += 1;
        if self.bias <= -self.count {
            self.bias = (self.bias + self.count).max(1 - self.count);
            self.correction = (self.correction - 1).max(-128);
        } else if self.bias > 0 {
            self.bias = (self.bias - self.count).min(0);
            self.correction = (self.correction + 1).min(127);
        }
    }
}

/// What run mode remembers of what ends a run: A, N and Nn of A.2.1.
#[derive(Clone, Copy, Debug)]
struct Ending {
    sizes: i64,
    count: i32,
    negative: i32,
}

/// The k of Golomb's code for errors of so great a sum in so many samples
/// (A.5.1).
fn golomb(sizes: i64, count: i32) -> u32 {
    (0..32).find(|&k| i64::from(count) << k >= sizes).unwrap_or(32)
}

/// The coded pixels, and where their decoder is.
struct Scan<'a> {
    coding: Coding,
    bits: Bits<'a>,
    contexts: Vec<Context>,
    endings: [Ending; 2],
    run_index: usize,
}

impl<'a> Scan<'a> {
    fn new(coding: Coding, data: &'a [u8]) -> Self {
        let mut scan = Self {
            coding,
            bits: Bits { bytes: data, at: 0, held: 0, count: 0, after_ff: false },
            contexts: Vec::new(),
            endings: [Ending { sizes: 0, count: 0, negative: 0 }; 2],
            run_index: 0,
        };
        scan.forget();
        scan
    }

    /// The start of A.2.1 and A.2.2.
    fn forget(&mut self) {
        let sizes = i64::from((self.coding.range + 32) / 64).max(2);
        self.contexts.clear();
        self.contexts.resize(CONTEXTS, Context { sizes, bias: 0, correction: 0, count: 1 });
        self.endings = [Ending { sizes, count: 1, negative: 0 }; 2];
        self.run_index = 0;
    }

    /// Begins anew behind the restart marker of this `number`; none if it is
    /// not there.
    fn restart(&mut self, number: u8) -> Option<()> {
        self.bits.refill();
        let at = self.bits.at;
        let marker = self.bits.bytes.get(at..at + 2)?;
        (marker == [0xff, marker::RESTART + number]).then_some(())?;
        let bytes = self.bits.bytes;
        self.bits = Bits { bytes, at: at + 2, held: 0, count: 0, after_ff: false };
        self.forget();
        Some(())
    }

    /// Decodes a row into `line[1..]`; both rows have a column more at either
    /// end. None where the bits are damaged or end.
    fn line(&mut self, above: &[i32], line: &mut [i32]) -> Option<()> {
        let end = line.len() - 1;
        let mut at = 1;
        while at < end {
            let (left, up, corner, next) = (line[at - 1], above[at], above[at - 1], above[at + 1]);
            let gradients = [next - up, up - corner, corner - left];
            let [q1, q2, q3] = gradients.map(|gradient| self.coding.quantise(gradient));
            let context = 81 * q1 + 9 * q2 + q3;
            if context != 0 {
                let predicted = predict(left, up, corner);
                line[at] = self.regular(context, predicted)?;
                at += 1;
                continue;
            }
            let run = self.run(end - at)?;
            line[at..at + run].fill(left);
            at += run;
            if at < end {
                line[at] = self.ending(left, above[at])?;
                self.run_index = self.run_index.saturating_sub(1);
                at += 1;
            }
        }
        Some(())
    }

    /// A sample of regular mode (A.4 to A.6).
    fn regular(&mut self, context: i32, predicted: i32) -> Option<i32> {
        let sign = context.signum();
        let coding = &self.coding;
        let found = self.contexts.get_mut(context.unsigned_abs() as usize)?;
        let predicted = (predicted + sign * found.correction).clamp(0, coding.maximum);
        let k = golomb(found.sizes, found.count);
        let mapped = self.bits.golomb(k, coding.limit, coding.error_bits)?;
        // A.5.2, of which the second form serves contexts of negative bias.
        let turned = coding.near == 0 && k == 0 && 2 * found.bias <= -found.count;
        let (half, odd) = (i32::try_from(mapped >> 1).ok()?, mapped & 1 == 1);
        let error = match (turned, odd) {
            (false, false) | (true, true) => half,
            (false, true) | (true, false) => -half - 1,
        };
        if error.abs() > coding.range {
            return None;
        }
        found.update(error, coding);
        Some(coding.reconstruct(predicted, sign * error))
    }

    /// How many samples equal the one before, of at most `left` in the row
    /// (A.7.1.2).
    fn run(&mut self, left: usize) -> Option<usize> {
        let mut run = 0;
        while self.bits.take(1)? == 1 {
            let whole = 1 << RUN_ORDER[self.run_index];
            if whole <= left - run {
                self.run_index = (self.run_index + 1).min(RUN_ORDER.len() - 1);
            }
            run += whole.min(left - run);
            if run == left {
                return Some(run);
            }
        }
        run += self.bits.take(RUN_ORDER[self.run_index])? as usize;
        // A run to the end of the row has no ending.
        (run < left).then_some(run)
    }

    /// The sample that ends a run of `left`, below `up` (A.7.2).
    fn ending(&mut self, left: i32, up: i32) -> Option<i32> {
        let coding = &self.coding;
        let alike = (left - up).abs() <= coding.near;
        let kind = i32::from(alike);
        let found = &mut self.endings[usize::from(alike)];
        let k = golomb(found.sizes + i64::from(kind * (found.count >> 1)), found.count);
        let limit = coding.limit - RUN_ORDER[self.run_index] - 1;
        let mapped = i32::try_from(self.bits.golomb(k, limit, coding.error_bits)?).ok()?;
        let (twice, odd) = (mapped + kind, (mapped + kind) & 1);
        let size = (twice + odd) / 2;
        let negative = (k != 0 || 2 * found.negative >= found.count) == (odd == 1);
        let error = if negative { -size } else { size };
        if size > coding.range {
            return None;
        }
        found.negative += i32::from(error < 0);
        found.sizes += i64::from((mapped + 1 - kind) >> 1);
        if found.count == coding.reset {
            found.sizes >>= 1;
            found.count >>= 1;
            found.negative >>= 1;
        }
        found.count += 1;
        Some(match alike {
            true => coding.reconstruct(left, error),
            false => coding.reconstruct(up, error * (up - left).signum()),
        })
    }
}

/// What is expected between these neighbours (A.4.1).
fn predict(left: i32, up: i32, corner: i32) -> i32 {
    let (low, high) = (left.min(up), left.max(up));
    if corner >= high {
        low
    } else if corner <= low {
        high
    } else {
        left + up - corner
    }
}

/// A row of bits up to the next marker. A byte behind FF has seven (A.1).
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next `count` bits, the first one highest; zeros behind.
    held: u64,
    count: u32,
    after_ff: bool,
}

impl Bits<'_> {
    fn refill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            let marker = byte == 0xff && self.bytes.get(self.at + 1).is_none_or(|&b| b >= 0x80);
            if marker {
                return;
            }
            let width = if self.after_ff { 7 } else { 8 };
            self.held |= u64::from(byte) << (64 - width - self.count);
            self.count += width;
            self.after_ff = byte == 0xff;
            self.at += 1;
        }
    }

    /// The next `count` bits, at most 32; none at the end.
    fn take(&mut self, count: u32) -> Option<u32> {
        if self.count < count {
            self.refill();
        }
        self.count = self.count.checked_sub(count)?;
        let taken = (self.held >> 32 >> (32 - count)) as u32;
        self.held <<= count;
        Some(taken)
    }

    /// A number in Golomb's code of limited length (A.5.3).
    fn golomb(&mut self, k: u32, limit: u32, error_bits: u32) -> Option<u32> {
        let longest = limit.checked_sub(error_bits + 1)?;
        let mut zeros = 0;
        loop {
            self.refill();
            let run = self.held.leading_zeros().min(self.count);
            zeros += run;
            if self.count == 0 || zeros > longest {
                return None;
            }
            self.held <<= run;
            self.count -= run;
            if self.count > 0 {
                self.held <<= 1;
                self.count -= 1;
                break;
            }
        }
        if zeros < longest {
            return u32::try_from(u64::from(zeros) << k | u64::from(self.take(k)?)).ok();
        }
        Some(self.take(error_bits)? + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap();
        (0..hexadecimal.len()).step_by(2).map(digit).collect()
    }

    /// Streams of CharLS 2.4 with the size, and the samples that CharLS makes
    /// of them.
    const STREAMS: [(&str, [usize; 2], &[u16]); 7] = [
        // 8 bits, runs to the end of a row and into one.
        (
            "ffd8fff7000b080003000901011100ffda000801010000000000000f2bf3c07df20d000001bfe0ffd9",
            [3, 9],
            &[
                40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 200, 200, 200, 200, 40, 40,
                40, 41, 40, 40, 40, 40, 40,
            ],
        ),
        // 12 bits of noise.
        (
            "ffd8fff7000b0c0003000501011100ffda0008010100000000000000001a8700004b1798000000bc0b780000\
             792f00000000362bf800000000e9c3cbe614905b900770ffd9",
            [3, 5],
            &[2747, 3297, 92, 3309, 1920, 2110, 2581, 1170, 4012, 220, 1138, 1570, 2339, 1673, 536],
        ),
        // 12 bits, NEAR 2.
        (
            "ffd8fff7000b0c0004000601011100ffda00080101000200000000000007208e64ac6d3842b56aa946e222\
             e4ffd9",
            [4, 6],
            &[
                2005, 2010, 2001, 1991, 1995, 2010, 2000, 1990, 2000, 1991, 1995, 1995, 1996, 2005,
                1999, 1996, 2001, 2006, 1988, 1996, 1996, 1997, 1991, 2001,
            ],
        ),
        // 16 bits, NEAR 5, as FLIR's cameras write.
        (
            "ffd8fff7000b100004000601011100fff8000d01ffff0021005c01370040ffda000801010005000000000064\
             c2c58f2cb510d2234d0d5134d6b46d16a5a918ffd9",
            [4, 6],
            &[
                17303, 17336, 17370, 17416, 17452, 17489, 17523, 17556, 17601, 17636, 17672, 17705,
                17743, 17780, 17818, 17857, 17897, 17931, 17964, 18005, 18036, 18079, 18112, 18147,
            ],
        ),
        // 16 bits, thresholds 20, 70, 300, RESET 5.
        (
            "ffd8fff7000b100002000401011100fff8000d01ffff00140046012c0005ffda00080101000000000396fcc0\
             00000000001ee565620000000000001c862000000000001fef2259d800000000032080ffd9",
            [2, 4],
            &[2967, 2481, 32988, 21964, 28617, 61033, 13320, 34601],
        ),
        // 2 bits.
        (
            "ffd8fff7000b020003000501011100ffda000801010000000053693b732cffd9",
            [3, 5],
            &[3, 3, 0, 0, 1, 0, 3, 2, 2, 1, 2, 3, 0, 3, 0],
        ),
        // 8 bits, a restart marker after two rows.
        (
            "ffd8fff7000b080004000401011100ffdd00040002ffda0008010100000000079000000cf45f0000019eff\
             d00000019e9505c0000019d8ffd9",
            [4, 4],
            &[10, 10, 10, 90, 10, 12, 10, 10, 80, 80, 80, 80, 80, 1, 80, 80],
        ),
    ];

    #[test]
    fn streams_of_another_encoder_come_out() {
        for (stream, [rows, columns], expected) in STREAMS {
            let found = decode(&bytes(stream), rows, columns);
            assert_eq!(found.as_deref(), Ok(expected), "{stream}");
        }
    }

    #[test]
    fn a_stream_cut_anywhere_is_refused() {
        for (stream, [rows, columns], expected) in STREAMS {
            let stream = bytes(stream);
            // Of the last bytes, two are the end marker, and more may be filling.
            for length in 0..stream.len() - 5 {
                assert!(decode(&stream[..length], rows, columns).is_err(), "{length}");
            }
            assert_eq!(decode(&stream[..stream.len() - 2], rows, columns).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn other_sizes_and_kinds_are_refused() {
        let (stream, _, _) = STREAMS[0];
        assert!(decode(&bytes(stream), 9, 3).unwrap_err().contains("9 x 3 are stored"));
        for (from, to, said) in [
            ("f7000b08", "c0000b08", "another kind"),
            ("f7000b08", "f7000b11", "2 to 16 bits"),
            ("000801010000", "000801010080", "contradict"),
            ("0008010100000000", "0008010100000001", "not read"),
        ] {
            let changed = bytes(&stream.replacen(from, to, 1));
            let error = decode(&changed, 3, 9).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn damage_of_any_kind_is_survived() {
        let mut random = Random::named(1, "damaged JPEG-LS");
        for round in 0..20_000 {
            let (stream, [rows, columns], _) = STREAMS[round % STREAMS.len()];
            let mut stream = bytes(stream);
            for _ in 0..1 + random.below(4) {
                let at = random.below(stream.len());
                stream[at] = random.bits() as u8;
            }
            if let Ok(samples) = decode(&stream, rows, columns) {
                assert_eq!(samples.len(), rows * columns);
            }
        }
    }
}
