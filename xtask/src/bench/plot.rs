//! Plots as SVG, for light and dark pages: bars of one figure, lines of many.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
/// Left of what is drawn: names of bars, or figures of the axis.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 46.0;
const BAR: f64 = 26.0;
const LINES: f64 = 260.0;
const BELOW: f64 = 44.0;

/// The first is ours.
const COLOURS: [&str; 7] = ["#d9480f", "#1971c2", "#868e96", "#2f9e44", "#9c36b5", "#e8a500", "#0c8599"];

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#212529}.title{font-weight:600;font-size:15px}.quiet{fill:#6c757d}\
                     .grid{stroke:#ced4da;stroke-width:1}\
                     @media(prefers-color-scheme:dark){text{fill:#e9ecef}.quiet{fill:#adb5bd}.grid{stroke:#495057}}";

/// How figures are laid along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    Logarithmic,
}

/// One figure of many, side by side.
pub(crate) fn bars(title: &str, figures: &[(&str, f64)], told: impl Fn(f64) -> String) -> String {
    let most = figures.iter().map(|(_, figure)| *figure).fold(f64::MIN_POSITIVE, f64::max);
    let mut body = String::new();
    for (index, (name, figure)) in figures.iter().enumerate() {
        let y = TOP + BAR * position(index);
        let long = figure / most * (WIDTH - LEFT - RIGHT);
        let text = y + 14.0;
        let _ = write!(
            body,
            "<text x=\"{x}\" y=\"{text}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{long:.1}\" height=\"18\" rx=\"2\" fill=\"{colour}\"/>\
             <text class=\"quiet\" x=\"{end:.1}\" y=\"{text}\">{figure}</text>",
            x = LEFT - 8.0,
            colour = colour(index),
            end = LEFT + long + 6.0,
            figure = told(*figure),
        );
    }
    svg(title, TOP + BAR * position(figures.len()) + 10.0, &body)
}

/// Many figures over what stands below the plot; a line ends where a figure is missing.
pub(crate) fn lines(
    title: &str,
    below: (&str, &[String]),
    series: &[(&str, Vec<f64>)],
    scale: Scale,
    told: impl Fn(f64) -> String,
) -> String {
    let figures = || series.iter().flat_map(|(_, figures)| figures.iter().copied());
    let most = figures().fold(f64::MIN_POSITIVE, f64::max);
    let least = if scale == Scale::Logarithmic { figures().fold(most, f64::min) } else { 0.0 };
    let axis = Axis { least, most, scale };
    let (what, marks) = below;
    let x = |index: usize| LEFT + (WIDTH - LEFT - RIGHT) * position(index) / position(marks.len().max(2) - 1);
    let mut body = String::new();
    for figure in axis.marks() {
        let y = axis.y(figure);
        let _ = write!(
            body,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"quiet\" x=\"{beside}\" y=\"{text:.1}\" text-anchor=\"end\">{told}</text>",
            end = WIDTH - RIGHT,
            beside = LEFT - 8.0,
            text = y + 4.0,
            told = told(figure),
        );
    }
    for (index, mark) in marks.iter().enumerate() {
        let _ = write!(
            body,
            "<text class=\"quiet\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{mark}</text>",
            x(index),
            TOP + LINES + 20.0
        );
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    let _ = write!(
        body,
        "<text class=\"quiet\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{what}</text>",
        TOP + LINES + 38.0
    );
    let mut ends: Vec<(f64, usize)> = Vec::new();
    for (index, (_, figures)) in series.iter().enumerate() {
        let points: Vec<_> = figures
            .iter()
            .enumerate()
            .map(|(index, figure)| format!("{:.1},{:.1}", x(index), axis.y(*figure)))
            .collect();
        let _ = write!(
            body,
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\" points=\"{}\"/>",
            colour(index),
            points.join(" ")
        );
        ends.extend(figures.last().map(|last| (axis.y(*last), index)));
    }
    for (y, index) in apart(ends) {
        let _ = write!(
            body,
            "<text x=\"{}\" y=\"{:.1}\" style=\"fill:{}\">{}</text>",
            WIDTH - RIGHT + 6.0,
            y + 4.0,
            colour(index),
            series[index].0
        );
    }
    svg(title, TOP + LINES + BELOW, &body)
}

/// Where figures lie between the bottom and the top.
struct Axis {
    least: f64,
    most: f64,
    scale: Scale,
}

impl Axis {
    fn y(&self, figure: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => figure / self.most,
            Scale::Logarithmic if self.most <= self.least => 0.5,
            Scale::Logarithmic => (figure / self.least).ln() / (self.most / self.least).ln(),
        };
        TOP + LINES * (1.0 - share)
    }

    /// Round figures to draw a line at.
    fn marks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = round_down(self.most / 4.0);
                (0..=5).map(|number| step * position(number)).filter(|mark| *mark <= self.most).collect()
            }
            Scale::Logarithmic => {
                let first = 10_f64.powf(self.least.log10().ceil());
                std::iter::successors(Some(first), |mark| Some(mark * 10.0))
                    .take_while(|mark| *mark <= self.most)
                    .collect()
            }
        }
    }
}

/// The names at the ends of lines, not one over the other.
fn apart(mut ends: Vec<(f64, usize)>) -> Vec<(f64, usize)> {
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = f64::MIN;
    for (y, _) in &mut ends {
        *y = y.max(free);
        free = *y + 15.0;
    }
    ends
}

/// 1, 2 or 5 with zeros.
fn round_down(figure: f64) -> f64 {
    let power = 10_f64.powf(figure.max(f64::MIN_POSITIVE).log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|digit| digit * power).find(|round| *round <= figure).unwrap_or(power)
}

fn svg(title: &str, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\
         <style>{STYLE}</style><text class=\"title\" x=\"12\" y=\"24\">{title}</text>{body}</svg>\n"
    )
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

#[expect(clippy::cast_precision_loss, reason = "a handful")]
fn position(index: usize) -> f64 {
    index as f64
}

#[cfg(test)]
mod tests {
    use super::{Scale, bars, lines, round_down};

    #[test]
    fn a_bar_is_as_long_as_its_figure() {
        let plot = bars("pull", &[("ours", 1.0), ("theirs", 4.0)], |figure| format!("{figure} s"));
        assert!(plot.contains("width=\"95.0\"") && plot.contains("width=\"380.0\""), "{plot}");
        assert!(plot.contains(">1 s<"), "{plot}");
    }

    #[test]
    fn lines_go_from_the_bottom_to_the_top() {
        let marks = ["1".to_owned(), "2".to_owned()];
        let plot = lines("wait", ("clients", &marks), &[("ours", vec![1.0, 100.0])], Scale::Logarithmic, |figure| {
            figure.to_string()
        });
        assert!(plot.contains("points=\"150.0,306.0 530.0,46.0\""), "{plot}");
        assert!(plot.contains(">10<"), "{plot}");
    }

    #[test]
    fn marks_are_round() {
        assert_eq!([0.7, 3.0, 49.0, 50.0].map(|figure| round_down(figure).to_string()), ["0.5", "2", "20", "50"]);
    }
}
