//! The results as JUnit XML, for those that collect such files.

#![expect(clippy::disallowed_types, reason = "writes the file that the command line names")]

use std::fs::File;
use std::path::Path;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::report::{Case, Group, Verdict};

/// Writes the results of a test run.
///
/// # Errors
/// The sentence that says why the file could not be written.
pub(super) fn write(path: &Path, groups: &[Group]) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot write {}: {error}", path.display());
    let file = File::create(path).map_err(|error| failed(&error))?;
    report(groups).serialize(std::io::BufWriter::new(file)).map_err(|error| failed(&error))
}

/// Makes the file if there is none, so that nobody makes a link of its name before the results are written.
pub(super) fn begin(path: &Path) {
    if path.symlink_metadata().is_err() {
        // Whoever writes the results says why that cannot be done.
        let _ = File::create_new(path);
    }
}

fn report(groups: &[Group]) -> Report {
    let mut report = Report::new("starcell test");
    for group in groups {
        let mut suite = TestSuite::new(group.file.as_str());
        suite.add_test_cases(group.cases.iter().map(|case| test_case(&group.file, case)));
        suite.set_time(group.cases.iter().map(|case| case.time).sum());
        report.add_test_suite(suite);
    }
    report
}

fn test_case(file: &str, case: &Case) -> TestCase {
    let status = match &case.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Skipped(reason) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            status
        }
        Verdict::Failed(report) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let message = report.lines().find_map(|line| line.strip_prefix("error: "));
            status.set_message(message.or_else(|| report.lines().next()).unwrap_or_default());
            status.set_description(report.as_str());
            status
        }
    };
    let mut test_case = TestCase::new(case.name.as_str(), status);
    test_case.set_classname(file).set_time(case.time);
    if !case.said.is_empty() {
        test_case.set_system_out(case.said.as_str());
    }
    test_case
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_script_says_cannot_break_the_file() {
        let case = |name: &str, verdict| Case {
            name: name.into(),
            verdict,
            time: Duration::from_millis(1500),
            said: "]]> & <b> \u{1b}[31m\u{0}".into(),
        };
        let cases = vec![
            case("test_a", Verdict::Passed),
            case("test_b", Verdict::Failed("Traceback\nerror: <want> \"1\" & 2\n --> a".into())),
            case("test_c", Verdict::Skipped("'later' <now>".into())),
        ];
        let xml = report(&[Group { file: "a&b_test.star".into(), cases }]).to_string().unwrap();
        assert!(xml.contains("tests=\"3\"") && xml.contains("failures=\"1\""), "{xml}");
        assert!(xml.contains("message=\"&lt;want&gt; &quot;1&quot; &amp; 2\""), "{xml}");
        assert!(xml.contains("name=\"a&amp;b_test.star\""), "{xml}");
        assert!(xml.contains("time=\"1.500\""), "{xml}");
        assert!(!xml.contains('\u{1b}') && !xml.contains('\u{0}') && !xml.contains("<b>"), "{xml}");
    }
}
