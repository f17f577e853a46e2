//! The interpreter does the same natively and in the guest: the same scripts and requests give equal responses, equal
//! failures with their place and report, and say the same on the way.

mod cases;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use starcell_interp::testing::NativeHost;
use starcell_interp::{self as interp, FailureKind, run_native};
use starcell_runtime::failure::ScriptFailureKind;
use starcell_runtime::{self as runtime, AppConfig, Forks, Interpreter, Level, Limits};
use starcell_tests::edge::{ALL_FORKS, Deployed, Said, interpreter};

use cases::Case;

/// How an evaluation ended, in either world.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The top level ended, and nothing serves.
    Ended,
    Failure {
        kind: &'static str,
        message: String,
        report: String,
        at: (String, u32, u32),
    },
    Response {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
}

/// What a case did: how its setup or each request ended, and what it said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    outcomes: Vec<Outcome>,
    prints: Vec<String>,
    logs: Vec<Said>,
}

#[test]
fn responses_and_requests() {
    compare(&cases::responses());
}

#[test]
fn values_and_json() {
    compare(&cases::values());
}

/// The two agreeing is not enough where a machine's integers are narrower than the language's.
#[test]
fn left_shifts_lose_nothing() {
    let shifts =
        [(1, 30), (1, 31), (2, 31), (16, 28), (1 << 10, 22), (3, 31), (-1, 31), (-3, 31), (5, 30), (1 << 27, 5)];
    let shown = shifts.map(|(value, by): (i64, u32)| format!("[{value}, {by}]"));
    let source = format!("http.serve(lambda req: [a << b for a, b in [{}]])\n", shown.join(", "));
    let case = Case { source, requests: vec![(0, interp::Request::default())] };
    let expected = format!("{:?}", shifts.map(|(value, by)| value << by)).replace(' ', "");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for run in [runtime.block_on(in_wasm(&case, Forks::default())), natively(&case)] {
        let [Outcome::Response { body, .. }] = &run.outcomes[..] else { panic!("{run:?}") };
        assert_eq!(*body, expected);
    }
}

#[test]
fn whole_scripts() {
    compare(&cases::scripts());
}

#[test]
fn failures() {
    let cases = cases::failures();
    compare(&cases);
    for case in &cases {
        let run = natively(case);
        let failed = run.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failure { .. }));
        assert!(failed, "expected a failure of:\n{}\ngot {run:#?}", case.source);
    }
}

/// The interpreter's own fixtures; that each example gives what it says is tested natively.
#[test]
fn fixtures_of_the_interpreter() {
    let cases = cases::fixtures();
    assert!(cases.iter().map(|case| case.requests.len()).sum::<usize>() >= 200);
    compare(&cases);
}

#[test]
fn there_are_enough_cases() {
    let tables = [cases::responses(), cases::values(), cases::scripts(), cases::failures()];
    assert!(tables.iter().map(Vec::len).sum::<usize>() >= 40);
    let requests = tables.iter().flatten().map(|case| case.requests.len()).sum::<usize>();
    assert!(requests >= 100, "{requests}");
}

fn compare(cases: &[Case]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut differences = String::new();
    for case in cases {
        let native = natively(case);
        assert!(!native.outcomes.is_empty(), "nothing was compared for:\n{}", case.source);
        for forks in ALL_FORKS {
            let wasm = runtime.block_on(in_wasm(case, forks));
            if native != wasm {
                differences.push_str(&format!("\nwith {forks:?}"));
                differences.push_str(&difference(case, &native, &wasm));
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// Where two runs differ, in full only there.
fn difference(case: &Case, native: &Run, wasm: &Run) -> String {
    let mut text = format!("\nin this script:\n{}", case.source);
    if native.outcomes.len() != wasm.outcomes.len() || native.prints != wasm.prints || native.logs != wasm.logs {
        return text + &format!("natively {native:#?}\nin wasm {wasm:#?}\n");
    }
    let pairs = native.outcomes.iter().zip(&wasm.outcomes).enumerate();
    for (index, (native, wasm)) in pairs.filter(|(_, (native, wasm))| native != wasm) {
        let what = case.requests.get(index).map(|(route, request)| format!("{:?} to route {route}", request.query));
        text += &format!("{}:\n  natively {native:?}\n  in wasm  {wasm:?}\n", what.unwrap_or_default());
    }
    text
}

fn natively(case: &Case) -> Run {
    let host = NativeHost::new();
    let (setup, serving) = run_native(&host, "test.star", &case.source);
    let mut run = Run::default();
    match (setup, serving) {
        (Err(failure), _) if failure.kind != FailureKind::Stopped => run.outcomes.push(native_failure(failure)),
        (_, None) => run.outcomes.push(Outcome::Ended),
        (_, Some(serving)) => {
            for (route, request) in &case.requests {
                run.outcomes.push(match serving.handle(&host, *route, request.clone()) {
                    Ok(response) => outcome(response.status, response.headers, &response.body),
                    Err(failure) => native_failure(failure),
                });
            }
            run.prints = host.prints();
            run.logs = host.logs().into_iter().map(said).collect();
        }
    }
    run
}

async fn in_wasm(case: &Case, forks: Forks) -> Run {
    static INTERPRETER: OnceLock<Arc<Interpreter>> = OnceLock::new();
    let interpreter = INTERPRETER.get_or_init(interpreter);
    let mut run = Run::default();
    // Hostile examples work up to a limit of the interpreter, which may take longer than a tenant has by default.
    let patient = Limits { request_cpu: Duration::from_secs(20), memory_bytes: 256 << 20, ..Limits::default() };
    let give = |config: &mut AppConfig| (config.limits, config.forks) = (patient, forks);
    let app = match Deployed::start_with(interpreter, &case.source, give).await {
        Ok(app) => app,
        Err(runtime::Failure::Stopped) => {
            run.outcomes.push(Outcome::Ended);
            return run;
        }
        Err(failure) => {
            run.outcomes.push(wasm_failure(failure));
            return run;
        }
    };
    for (route, request) in &case.requests {
        run.outcomes.push(match app.serving.answer(*route, wasm_request(request)).await.result {
            Ok(response) => {
                let headers = response.headers;
                outcome(response.status, headers, &response.body)
            }
            Err(failure) => wasm_failure(failure),
        });
    }
    let (prints, logs): (Vec<Said>, Vec<Said>) = app.said().into_iter().partition(|said| said.level.is_none());
    run.prints = prints.into_iter().map(|said| said.message).collect();
    run.logs = logs;
    app.stop().await.unwrap();
    run
}

fn outcome(status: u16, headers: Vec<(String, String)>, body: &[u8]) -> Outcome {
    Outcome::Response { status, headers, body: body.escape_ascii().to_string() }
}

fn native_failure(failure: interp::Failure) -> Outcome {
    let kind = match failure.kind {
        FailureKind::Script => "script",
        FailureKind::Syntax => "syntax",
        FailureKind::Denied => "denied",
        FailureKind::Stopped => "stopped",
    };
    let at = (failure.at.file, failure.at.line, failure.at.column);
    Outcome::Failure { kind, message: failure.message, report: failure.report, at }
}

fn wasm_failure(failure: runtime::Failure) -> Outcome {
    let runtime::Failure::Script(failure) = failure else {
        panic!("not of the script's making: {failure:?}");
    };
    let kind = match failure.kind {
        ScriptFailureKind::Raised => "script",
        ScriptFailureKind::Syntax => "syntax",
        ScriptFailureKind::Denied => "denied",
        ScriptFailureKind::NoMemory => "memory",
        ScriptFailureKind::Stopped => "stopped",
        ScriptFailureKind::Unbound => "unbound",
    };
    let at = (failure.at.file, failure.at.line, failure.at.column);
    Outcome::Failure { kind, message: failure.message, report: failure.report, at }
}

fn said(record: interp::LogLine) -> Said {
    let level = match record.level {
        interp::Level::Debug => Level::Debug,
        interp::Level::Info => Level::Info,
        interp::Level::Warn => Level::Warn,
        interp::Level::Error => Level::Error,
    };
    let at = (record.at.file, record.at.line, record.at.column);
    Said { level: Some(level), message: record.message, attributes: record.attributes, at }
}

fn wasm_request(request: &interp::Request) -> runtime::Request {
    runtime::Request {
        method: request.method.clone(),
        path: request.path.clone(),
        url: request.url.clone(),
        params: request.params.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        remote_addr: request.remote_addr.clone(),
        host: request.host.clone(),
        tls: request.tls,
        id: request.id.clone(),
        proto: request.proto.clone(),
    }
}
