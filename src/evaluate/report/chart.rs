//! Charts as SVG inside HTML. Each has a title and a description in words.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escaped;

/// A chart's size, and the room for numbers at its left and below, in units of
/// the drawing.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 52.0;
const BELOW: f64 = 46.0;
const MARGIN: f64 = 20.0;

/// Colours that colour-blind people tell apart (Okabe & Ito 2008) and that are
/// dark enough on white, each with dashes and a mark of its own.
const STYLES: [(&str, &str, Mark); 4] = [
    ("#0072b2", "", Mark::Disc),
    ("#b34700", "7 4", Mark::Square),
    ("#00694d", "2 4", Mark::Triangle),
    ("#8a3b6e", "10 3 2 3", Mark::Diamond),
];

#[derive(Clone, Copy)]
enum Mark {
    Disc,
    Square,
    Triangle,
    Diamond,
}

impl Mark {
    fn at(self, x: f64, y: f64, colour: &str) -> String {
        let polygon = |corners: &[(f64, f64)]| {
            let corners: Vec<String> =
                corners.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
            format!("<polygon points=\"{}\" fill=\"{colour}\"/>", corners.join(" "))
        };
        match self {
            Self::Disc => {
                format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>")
            }
            Self::Square => polygon(&[(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)]),
            Self::Triangle => polygon(&[(0.0, -5.0), (5.0, 4.0), (-5.0, 4.0)]),
            Self::Diamond => polygon(&[(0.0, -5.5), (5.5, 0.0), (0.0, 5.5), (-5.5, 0.0)]),
        }
    }
}

/// A curve: fidelity in dB over a number of values.
pub struct Line {
    /// What it is called.
    pub name: String,
    /// Number of values, and dB; ascending.
    pub points: Vec<(usize, f64)>,
}

impl Line {
    pub fn new(name: &str, points: &BTreeMap<usize, f64>) -> Self {
        let points = points.iter().map(|(values, psnr_db)| (*values, *psnr_db));
        Self { name: name.to_owned(), points: points.collect() }
    }
}

/// Curves over the number of values, each twice as many as the one before.
pub fn curves(lines: &[Line]) -> String {
    let all = || lines.iter().flat_map(|line| &line.points);
    let most = all().map(|(values, _)| *values).max().unwrap_or(1).max(2);
    let ends = all().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], (_, psnr)| {
        [low.min(*psnr), high.max(*psnr)]
    });
    let axis = Axis::around(ends);
    let legend = 22.0 * lines.len() as f64;
    let x = |values: usize| {
        LEFT + (values as f64).log2() / (most as f64).log2() * (WIDTH - LEFT - 2.0 * MARGIN)
            + MARGIN
    };
    let mut svg = axis.grid("PSNR in dB", "number of values");
    for power in 0..=most.ilog2() {
        let (x, y) = (x(1 << power), HEIGHT - BELOW + 18.0);
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>",
            1 << power
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let (colour, dashes, mark) = STYLES[number % STYLES.len()];
        let places: Vec<(f64, f64)> =
            line.points.iter().map(|(values, psnr)| (x(*values), axis.y(*psnr))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let stroke = format!(
            "fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\""
        );
        let _ = write!(svg, "<polyline points=\"{}\" {stroke}/>", path.join(" "));
        svg.extend(places.iter().map(|(x, y)| mark.at(*x, *y, colour)));
        let y = HEIGHT + 16.0 + 22.0 * number as f64;
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" {stroke}/>{}\
             <text x=\"{}\" y=\"{}\">{}</text>",
            LEFT + 40.0,
            mark.at(LEFT + 20.0, y, colour),
            LEFT + 50.0,
            y + 5.0,
            escaped(&line.name),
        );
    }
    let told: Vec<String> = lines
        .iter()
        .filter_map(|line| {
            let ((few, low), (many, high)) = (line.points.first()?, line.points.last()?);
            Some(format!("{}: {low:.1} dB with {few}, {high:.1} dB with {many} values", line.name))
        })
        .collect();
    drawing(HEIGHT + legend + 8.0, "Fidelity over the number of values", &told.join("; "), &svg)
}

/// How often values lie where, between 0 and 1.
pub struct Histogram {
    /// Share of each bar.
    shares: Vec<f64>,
}

impl Histogram {
    /// That of `values` in `bars` bars.
    pub fn of(values: impl Iterator<Item = f32>, bars: usize) -> Self {
        let mut counts = vec![0usize; bars];
        let mut total = 0;
        for value in values.filter(|value| value.is_finite()) {
            let bar = (value.clamp(0.0, 1.0) * bars as f32) as usize;
            counts[bar.min(bars - 1)] += 1;
            total += 1;
        }
        let shares = counts.into_iter().map(|count| count as f64 / f64::from(total.max(1)));
        Self { shares: shares.collect() }
    }

    /// From where to where, and the share in per cent.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let edge = |bar: usize| bar as f64 / self.shares.len() as f64;
        let row = |(bar, share): (usize, &f64)| {
            vec![
                format!("{:.2} to {:.2}", edge(bar), edge(bar + 1)),
                format!("{:.1}", 100.0 * share),
            ]
        };
        self.shares.iter().enumerate().map(row).collect()
    }
}

/// `histogram` as bars, with the even spread as a dashed line.
pub fn bars(title: &str, histogram: &Histogram) -> String {
    let count = histogram.shares.len() as f64;
    let highest = histogram.shares.iter().fold(1.0 / count, |high: f64, share| high.max(*share));
    let axis = Axis { low: 0.0, high: 1.05 * 100.0 * highest, step: step(105.0 * highest) };
    let width = (WIDTH - LEFT - MARGIN) / count;
    let mut svg = axis.grid("share in %", "value of the code");
    for (bar, share) in histogram.shares.iter().enumerate() {
        let (top, bottom) = (axis.y(100.0 * share), axis.y(0.0));
        let x = LEFT + bar as f64 * width + 1.0;
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#0072b2\"/>",
            width - 2.0,
            bottom - top
        );
    }
    for (at, label) in [(0.0, "0"), (0.5, "0.5"), (1.0, "1")] {
        let (x, y) = (LEFT + at * width * count, HEIGHT - BELOW + 18.0);
        let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>");
    }
    let (even, end) = (axis.y(100.0 / count), WIDTH - MARGIN);
    let _ = write!(
        svg,
        "<line x1=\"{LEFT}\" x2=\"{end}\" y1=\"{even:.1}\" y2=\"{even:.1}\" \
         stroke=\"currentColor\" stroke-width=\"2\" stroke-dasharray=\"6 4\"/>"
    );
    let lowest = histogram.shares.iter().fold(f64::INFINITY, |low, share| low.min(*share));
    let told = format!(
        "The rarest of {count} bars holds {:.1} %, the most frequent {:.1} %; an even spread is {:.1} %.",
        100.0 * lowest,
        100.0 * highest,
        100.0 / count
    );
    drawing(HEIGHT, title, &told, &svg)
}

/// The lowest and the highest of `levels_db` that is finite.
pub fn ends<'a>(levels_db: impl IntoIterator<Item = &'a f32>) -> [f64; 2] {
    let finite = levels_db.into_iter().filter(|level| level.is_finite()).map(|l| f64::from(*l));
    finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], level| {
        [low.min(level), high.max(level)]
    })
}

/// The levels of a sound's values in dB, lowest frequency first; `band_hz` is
/// where they lie. Bars are highest at `scale_db[1]`, and small at
/// `scale_db[0]`.
pub fn levels(levels_db: &[f32], [low_hz, high_hz]: [f64; 2], scale_db: [f64; 2]) -> String {
    const WIDTH: f64 = 360.0;
    const HEIGHT: f64 = 170.0;
    let [low, high] = ends(levels_db);
    let (bottom, top) = (scale_db[0] - 2.0, scale_db[1]);
    let width = WIDTH / levels_db.len().max(1) as f64;
    let mut svg = String::new();
    for (bar, level) in levels_db.iter().enumerate().filter(|(_, level)| level.is_finite()) {
        let height = (f64::from(*level) - bottom) / (top - bottom).max(1.0) * HEIGHT;
        let _ = write!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{height:.1}\" fill=\"#0072b2\"/>",
            bar as f64 * width,
            20.0 + HEIGHT - height,
            (width - 0.5).max(0.5),
        );
    }
    let end = HEIGHT + 36.0;
    let _ = write!(
        svg,
        "<text x=\"0\" y=\"14\">{high:.0} dB at most, {low:.0} dB at least</text>\
         <text x=\"0\" y=\"{end}\">{low_hz} Hz</text>\
         <text x=\"{WIDTH}\" y=\"{end}\" text-anchor=\"end\">{high_hz} Hz</text>"
    );
    let told = format!("{} values from {low:.1} to {high:.1} dB", levels_db.len());
    named(WIDTH, HEIGHT + 42.0, "Levels of the sound over frequency", &told, &svg)
}

/// An upright axis from `low` to `high` with a line every `step`.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// One that holds `ends`, in whole steps.
    fn around([low, high]: [f64; 2]) -> Self {
        let [low, high] = if low <= high { [low, high] } else { [0.0, 1.0] };
        let step = step(high - low);
        let low = (low / step).floor() * step;
        Self { low, high: ((high / step).ceil() * step).max(low + step), step }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - BELOW - share * (HEIGHT - BELOW - MARGIN - 14.0)
    }

    /// Lines with their numbers, and what both axes show.
    fn grid(&self, upright: &str, across: &str) -> String {
        let mut svg = String::new();
        let lines = ((self.high - self.low) / self.step + 1e-9).floor() as usize;
        for line in 0..=lines {
            let value = self.low + line as f64 * self.step;
            let (y, end) = (self.y(value), WIDTH - MARGIN);
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#bbb\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 5.0,
                (value * 100.0).round() / 100.0
            );
        }
        let (middle, bottom) = ((LEFT + WIDTH - MARGIN) / 2.0, HEIGHT - 8.0);
        let _ = write!(
            svg,
            "<text x=\"4\" y=\"14\">{upright}</text>\
             <text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">{across}</text>"
        );
        svg
    }
}

/// A round step of which some five cover `span`.
fn step(span: f64) -> f64 {
    let rough = (span / 5.0).max(1e-6);
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|s| *s >= rough)
        .unwrap_or(power)
}

fn drawing(height: f64, title: &str, told: &str, content: &str) -> String {
    named(WIDTH, height, title, told, content)
}

fn named(width: f64, height: f64, title: &str, told: &str, content: &str) -> String {
    let (title, told) = (escaped(title), escaped(told));
    format!(
        "<svg role=\"img\" aria-label=\"{title}. {told}\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"14\" \
         fill=\"currentColor\"><title>{title}</title><desc>{told}</desc>{content}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_few() {
        for (span, expected) in [(1.0, 0.2), (9.0, 2.0), (14.0, 5.0), (105.0, 50.0)] {
            assert!((step(span) - expected).abs() < 1e-9, "{span}: {}", step(span));
        }
    }

    #[test]
    fn a_histogram_counts_every_value_once() {
        let values = [0.0, 0.04, 0.05, 0.5, 1.0, 7.0, f32::NAN];
        let histogram = Histogram::of(values.into_iter(), 20);
        assert!((histogram.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let sixths = [0, 1, 10, 19].map(|bar| (6.0 * histogram.shares[bar]).round());
        assert_eq!(sixths, [2.0, 1.0, 1.0, 2.0]);
        assert_eq!(histogram.rows()[1], ["0.05 to 0.10", "16.7"]);
    }

    #[test]
    fn curves_stay_inside_their_drawing_and_are_told() {
        let points = BTreeMap::from([(1, 14.3), (128, 27.9)]);
        let svg = curves(&[Line::new("a & b", &points)]);
        assert!(svg.contains("a &amp; b: 14.3 dB with 1, 27.9 dB with 128 values"), "{svg}");
        let axis = Axis::around([14.3, 27.9]);
        for psnr in [14.3, 27.9] {
            assert!((MARGIN..HEIGHT - BELOW + 0.1).contains(&axis.y(psnr)));
        }
        assert!(axis.y(27.9) < axis.y(14.3));
        // Nothing measured is no reason to fail.
        assert!(curves(&[]).contains("<svg"));
    }
}
