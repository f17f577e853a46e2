//! The report of a test run: a line for each test, the reasons of those that failed, and the sum.

use std::time::Duration;

use crate::say::tell;

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Skipped(String),
    /// The report of its failure.
    Failed(String),
}

/// One test.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) verdict: Verdict,
    pub(super) time: Duration,
    /// What the app and the test said.
    pub(super) said: String,
}

/// The tests of one file.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) file: String,
    pub(super) cases: Vec<Case>,
}

/// A test run as it goes on.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) groups: Vec<Group>,
}

impl Report {
    /// Begins the tests of a file.
    pub(super) fn begin(&mut self, file: String) {
        tell(&format!("{file}\n"));
        self.groups.push(Group { file, cases: Vec::new() });
    }

    /// Adds a test and tells of it.
    pub(super) fn add(&mut self, case: Case) {
        tell(&told(&case));
        if let Some(group) = self.groups.last_mut() {
            group.cases.push(case);
        }
    }

    /// Returns whether a test failed.
    pub(super) fn has_failed(&self) -> bool {
        self.count(|verdict| matches!(verdict, Verdict::Failed(_))) > 0
    }

    /// Tells the sum.
    pub(super) fn end(&self) {
        tell(&format!("{}\n", self.sum()));
    }

    fn sum(&self) -> String {
        let passed = self.count(|verdict| *verdict == Verdict::Passed);
        let failed = self.count(|verdict| matches!(verdict, Verdict::Failed(_)));
        match self.count(|verdict| matches!(verdict, Verdict::Skipped(_))) {
            0 => format!("{passed} passed, {failed} failed"),
            skipped => format!("{passed} passed, {failed} failed, {skipped} skipped"),
        }
    }

    fn count(&self, which: impl Fn(&Verdict) -> bool) -> usize {
        self.groups.iter().flat_map(|group| &group.cases).filter(|case| which(&case.verdict)).count()
    }
}

fn told(case: &Case) -> String {
    let Case { name, verdict, time, said } = case;
    let time = format!("{:.1} ms", time.as_secs_f64() * 1e3);
    match verdict {
        Verdict::Passed => format!("  ok      {name} ({time})\n"),
        Verdict::Skipped(reason) if reason.is_empty() => format!("  skipped {name}\n"),
        Verdict::Skipped(reason) => format!("  skipped {name}: {reason}\n"),
        Verdict::Failed(report) => {
            let said = if said.is_empty() { String::new() } else { format!("said:\n{}", indented(said, "  ")) };
            format!("  FAILED  {name} ({time})\n{}", indented(&format!("{report}\n{said}"), "      "))
        }
    }
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{by}{line}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, verdict: Verdict) -> Case {
        Case { name: name.into(), verdict, time: Duration::from_micros(1250), said: "one\n\ntwo\n".into() }
    }

    #[test]
    fn each_verdict_has_its_line() {
        assert_eq!(told(&case("test_a", Verdict::Passed)), "  ok      test_a (1.2 ms)\n");
        assert_eq!(told(&case("test_a", Verdict::Skipped("no network".into()))), "  skipped test_a: no network\n");
        assert_eq!(told(&case("test_a", Verdict::Skipped(String::new()))), "  skipped test_a\n");
        let failed =
            "  FAILED  test_a (1.2 ms)\n      error: no\n       --> here\n      said:\n        one\n\n        two\n";
        assert_eq!(told(&case("test_a", Verdict::Failed("error: no\n --> here".into()))), failed);
    }

    #[test]
    fn skipped_tests_are_in_the_sum_only_if_there_are_any() {
        let group = |cases| Report { groups: vec![Group { file: "a_test.star".into(), cases }] };
        assert_eq!(Report::default().sum(), "0 passed, 0 failed");
        let failed = case("test_b", Verdict::Failed("no".into()));
        let report = group(vec![case("test_a", Verdict::Passed), failed.clone()]);
        assert_eq!((report.sum().as_str(), report.has_failed()), ("1 passed, 1 failed", true));
        let report = group(vec![case("test_a", Verdict::Skipped(String::new())), failed]);
        assert_eq!(report.sum(), "0 passed, 1 failed, 1 skipped");
    }
}
