//! The last failures of an app: each traceback, and the lines of the script that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex_lite::Regex;
use starcell_node::KeptFailure;

use crate::node::admin::clerk::Clerk;
use crate::node::orders::AppName;

use super::html::{Element, el};
use super::layout::{code, html, nothing};
use super::units::{ago, count};

/// Places of one traceback that are shown, lines around each, and characters of a line.
const PLACES: usize = 6;
const AROUND: usize = 2;
const WIDTH: usize = 200;

/// Where a traceback names a line: `* main.star:3, in handler` and `--> lib/work.star:2:12`. The path has no space and no
/// colon; a script whose text looks like this shows lines of its own files.
static PLACE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?m)^\s*(?:\* |--> )([^\s:]{1,255}):([0-9]{1,7})").ok());

/// The failures, the newest first.
pub(super) async fn failures(clerk: &Clerk, app: &AppName, failures: &[KeptFailure]) -> Element {
    if failures.is_empty() {
        return nothing("No request has failed that is still known.");
    }
    let revisions: BTreeSet<u64> = failures.iter().map(|failure| failure.revision).collect();
    let mut sources = BTreeMap::new();
    for revision in revisions {
        // A revision that is not kept any more has no lines to show.
        if let Ok(kept) = clerk.kept(app.clone(), revision).await {
            sources.insert(revision, kept.sources);
        }
    }
    let none = BTreeMap::new();
    let shown = failures
        .iter()
        .enumerate()
        .map(|(place, failure)| one(failure, place == 0, &app.name, sources.get(&failure.revision).unwrap_or(&none)));
    el("div").put(shown.collect::<Vec<_>>())
}

fn one(failure: &KeptFailure, is_open: bool, app: &str, sources: &BTreeMap<String, String>) -> Element {
    let times = if failure.count == 1 { "once".to_owned() } else { format!("{} times", count(failure.count)) };
    let when = format!("{times}, last {} in revision {}", ago(failure.at), failure.revision);
    let summary = el("summary")
        .put(el("strong").put(headline(&failure.report)))
        .put(" ")
        .put(el("span").class("quiet").put(when));
    let request = (code(format!("{} {}", failure.method, failure.path)), " as request ", code(&failure.request));
    let lines = places(&failure.report, app).into_iter().filter_map(|(file, line)| excerpt(&file, line, sources));
    el("details")
        .flag("open", is_open)
        .put(summary)
        .put(el("p").put(html(request)))
        .put(el("pre").put(&failure.report))
        .put(lines.collect::<Vec<_>>())
}

/// The line that says what is wrong.
fn headline(report: &str) -> String {
    let line = report.lines().find(|line| line.starts_with("error: ")).or_else(|| report.lines().next());
    line.unwrap_or_default().chars().take(WIDTH).collect()
}

/// The places that a traceback names, each once, the innermost first.
fn places(report: &str, app: &str) -> Vec<(String, usize)> {
    let found = PLACE.as_ref().into_iter().flat_map(|place| place.captures_iter(report));
    let of = |found: regex_lite::Captures<'_>| {
        let (file, line) = (found.get(1)?.as_str(), found.get(2)?.as_str().parse().ok()?);
        let file = file.strip_prefix(app).and_then(|rest| rest.strip_prefix('/')).unwrap_or(file);
        Some((file.to_owned(), line))
    };
    let mut all: Vec<(String, usize)> = Vec::new();
    for place in found.filter_map(of) {
        if !all.contains(&place) {
            all.push(place);
        }
    }
    all.reverse();
    all.truncate(PLACES);
    all
}

/// A line of a file with those around it.
fn excerpt(file: &str, line: usize, sources: &BTreeMap<String, String>) -> Option<Element> {
    let source = sources.get(file)?;
    let first = line.saturating_sub(AROUND + 1);
    let lines: Vec<(usize, &str)> =
        source.lines().enumerate().skip(first).take((line + AROUND).saturating_sub(first)).collect();
    lines.iter().find(|(at, _)| at + 1 == line)?;
    let shown = lines.iter().map(|(at, text)| {
        let text: String = text.chars().take(WIDTH).collect();
        let numbered = format!("{:>5}  {text}\n", at + 1);
        let line_of = el("span").put(numbered);
        if at + 1 == line { line_of.class("hit") } else { line_of }
    });
    let title = el("div").class("quiet").put(format!("{file}, line {line}"));
    Some(el("div").put(title).put(el("pre").class("source").put(shown.collect::<Vec<_>>())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const REPORT: &str = "Traceback (most recent call last):\n  * orders/main.star:3, in handler\n      return work(req)\n\
                          error: Floor division by zero: 10 // 0\n --> lib/work.star:2:12\n  |\n2 |     return 10 // n\n";

    #[test]
    fn a_traceback_names_lines_of_the_script() {
        assert_eq!(headline(REPORT), "error: Floor division by zero: 10 // 0");
        assert_eq!(places(REPORT, "orders"), [("lib/work.star".to_owned(), 2), ("main.star".to_owned(), 3)]);
        assert_eq!(places("* ../../etc/passwd:1\n* main.star:x\nmain.star:7", "orders").len(), 1);
        let sources = BTreeMap::from([("lib/work.star".to_owned(), "def work(n):\n    return <10> // n\n".to_owned())]);
        let shown = html(excerpt("lib/work.star", 2, &sources).unwrap()).into_text();
        assert!(shown.contains("<span class=\"hit\">    2      return &lt;10&gt; // n\n</span>"), "{shown}");
        for (file, line) in [("lib/work.star", 3), ("lib/work.star", 0), ("../../etc/passwd", 1)] {
            assert!(excerpt(file, line, &sources).is_none(), "{file}:{line}");
        }
    }
}
