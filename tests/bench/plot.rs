//! A plot of bars as an SVG file: one row each, with its figure, and no script or outside asset.

use std::fmt::Write as _;

/// Pixels of a row, of the column of names, and of the longest bar.
const ROW: usize = 22;
const NAMES: usize = 330;
const LONGEST: usize = 420;

/// Rows of one title.
#[derive(Debug)]
pub(crate) struct Plot {
    title: String,
    bars: Vec<(String, f64)>,
}

impl Plot {
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), bars: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn bar(&mut self, name: &str, value: f64) {
        self.bars.push((name.to_owned(), value));
    }

    /// The file.
    pub(crate) fn svg(&self) -> String {
        let most = self.bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        let (width, height) = (NAMES + LONGEST + 70, (self.bars.len() + 2) * ROW);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
             font-size=\"13\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"8\" y=\"{ROW}\" font-weight=\"bold\">{}</text>\n",
            escaped(&self.title)
        );
        for (row, (name, value)) in self.bars.iter().enumerate() {
            let (top, length) = ((row + 1) * ROW + 10, value / most * LONGEST as f64);
            let (base, end) = (top + 14, NAMES as f64 + length + 6.0);
            writeln!(
                svg,
                "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text><rect x=\"{NAMES}\" y=\"{top}\" \
                 width=\"{length:.1}\" height=\"{}\" fill=\"#37c\"/><text x=\"{end:.1}\" y=\"{base}\">{value:.2}</text>",
                NAMES - 8,
                escaped(name),
                ROW - 4,
            )
            .unwrap();
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
