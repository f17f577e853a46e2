//! Drawings of numbers, as SVG that the server makes: lines of the last minutes, and how long requests took.
//!
//! A drawing has a text for whoever does not see it, and no number stands in it alone.

use std::fmt::Write as _;

use starcell_node::{LATENCY_BOUNDS, SLOT, SLOTS, TimeSlot};

use super::html::{Element, el};
use super::layout::{number, row, table};
use super::units::{count, seconds, time};

const WIDTH: usize = 118;
const HEIGHT: u64 = 24;

/// A line that a sparkline shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Drawn {
    /// Requests.
    Requests,
    /// Requests that failed.
    Errors,
    /// CPU time.
    Cpu,
}

impl Drawn {
    /// All lines, in the order of the columns.
    pub(super) const ALL: [Self; 3] = [Self::Requests, Self::Errors, Self::Cpu];

    fn of(self, slot: TimeSlot) -> u64 {
        u64::from(match self {
            Self::Requests => slot.requests,
            Self::Errors => slot.failed,
            Self::Cpu => slot.cpu_us,
        })
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Requests => "spark requests",
            Self::Errors => "spark errors",
            Self::Cpu => "spark cpu",
        }
    }

    fn text(self, number: u64) -> String {
        match self {
            Self::Requests => format!("{} requests", count(number)),
            Self::Errors => format!("{} errors", count(number)),
            Self::Cpu => format!("{} of CPU time", time(std::time::Duration::from_micros(number))),
        }
    }
}

/// The line of the last minutes; a flat one where there were no requests.
pub(super) fn sparkline(drawn: Drawn, slots: Option<&[TimeSlot]>) -> Element {
    let numbers: Vec<u64> = slots.unwrap_or_default().iter().map(|slot| drawn.of(*slot)).collect();
    let (most, sum) = (numbers.iter().max().copied().unwrap_or_default(), numbers.iter().sum::<u64>());
    let minutes = SLOT.as_secs() * SLOTS as u64 / 60;
    let highest = match drawn {
        Drawn::Requests | Drawn::Errors if most > 0 => format!(", at most {} in {}", count(most), time(SLOT)),
        Drawn::Requests | Drawn::Errors | Drawn::Cpu => String::new(),
    };
    let text = format!("{} in the last {minutes} minutes{highest}", drawn.text(sum));
    let line = el("polyline").attr("points", points(&numbers, most)).attr("fill", "none");
    el("svg")
        .attr("class", drawn.class())
        .attr("viewBox", format!("0 0 {WIDTH} {HEIGHT}"))
        .attr("width", WIDTH.to_string())
        .attr("height", HEIGHT.to_string())
        .attr("preserveAspectRatio", "none")
        .attr("role", "img")
        .attr("aria-label", &text)
        .put(el("title").put(&text))
        .put(line)
}

/// The points of a line. Those in the middle of a level stretch are left out.
fn points(numbers: &[u64], most: u64) -> String {
    let level = |number: u64| HEIGHT - 2 - number * (HEIGHT - 4) / most.max(1);
    let levels: Vec<u64> = numbers.iter().map(|number| level(*number)).collect();
    let base = [HEIGHT - 2; 2];
    let levels = if levels.len() < 2 { &base[..] } else { &levels[..] };
    let step = WIDTH / (levels.len() - 1).max(1);
    let mut out = String::new();
    for (at, level) in levels.iter().enumerate() {
        let same = |other: Option<usize>| other.and_then(|other| levels.get(other)) == Some(level);
        if at > 0 && same(at.checked_sub(1)) && same(Some(at + 1)) {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = write!(out, "{}{},{level}", if out.is_empty() { "" } else { " " }, at * step);
    }
    out
}

/// How long requests took, as bars with their numbers.
pub(super) fn histogram(times: &[u64]) -> Element {
    let most = times.iter().max().copied().unwrap_or_default();
    let bounds = LATENCY_BOUNDS.iter().map(|bound| format!("≤ {}", seconds(*bound)));
    let last = LATENCY_BOUNDS.last().map(|bound| format!("> {}", seconds(*bound)));
    let used = times.iter().rposition(|number| *number > 0).map_or(0, |last| last + 1);
    let rows = bounds.chain(last).zip(times).take(used).map(|(bound, number_of)| {
        let width = if *number_of == 0 { 0 } else { (number_of * 200 / most.max(1)).max(1) };
        let bar = el("svg").attr("class", "bar").attr("viewBox", "0 0 200 10").attr("width", "200");
        let bar = bar
            .attr("height", "10")
            .attr("aria-hidden", "true")
            .put(el("rect").attr("width", width.to_string()).attr("height", "10"));
        row([number(bound), el("td").put(bar), number(count(*number_of))])
    });
    table("How long requests took", &["took", "", "requests"], rows.collect())
}

/// The time within which such a part of the requests was answered, as far as the bounds tell.
pub(super) fn quantile(times: &[u64], percent: u64) -> Option<String> {
    let all: u64 = times.iter().sum();
    let wanted = (all * percent).div_ceil(100).max(1);
    let mut seen = 0;
    let place = times.iter().position(|number| {
        seen += number;
        seen >= wanted
    })?;
    Some(match LATENCY_BOUNDS.get(place) {
        Some(bound) => format!("≤ {}", seconds(*bound)),
        None => format!("> {}", LATENCY_BOUNDS.last().map_or_else(String::new, |bound| seconds(*bound))),
    })
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_the_lowest_to_the_highest() {
        assert_eq!(points(&[], 0), "0,22 118,22");
        let mut numbers = [0; SLOTS];
        assert_eq!(points(&numbers, 0), "0,22 118,22");
        numbers[30] = 10;
        numbers[31] = 5;
        assert_eq!(points(&numbers, 10), "0,22 58,22 60,2 62,12 64,22 118,22");
    }

    #[test]
    fn a_part_of_the_requests_has_a_time() {
        let mut times = vec![0; LATENCY_BOUNDS.len() + 1];
        assert_eq!(quantile(&times, 50), None);
        (times[2], times[4], times[12]) = (98, 1, 1);
        let told = [50, 98, 99, 100].map(|percent| quantile(&times, percent).unwrap_or_default());
        assert_eq!(told, ["≤ 1 ms", "≤ 1 ms", "≤ 10 ms", "> 30 s"]);
    }
}
