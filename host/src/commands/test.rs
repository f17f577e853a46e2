//! `starcell test`: scripts and their tests, without a socket.
//!
//! The script runs as it would in production, but on a `Stage`: its servers get routes and serving images,
//! and bind nothing. The test file beside it runs in a guest of its own. Each test then gets three things that are its
//! alone: a fork of the test file, a copy of the store as the script's setup left it, and a client whose requests the
//! same router, the same checks and forks of the same serving image answer. So a test can neither see nor disturb
//! another one, and one that loops or hoards fails alone.

mod client;
mod files;
mod junit;
mod report;
mod stage;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use starcell_audit::Audit;
use starcell_budget::MemoryBudget;
use starcell_log::Logs;
use starcell_node::subject::subject;
use starcell_node::{AppTerms, Launch};
use starcell_runtime::artifact::Artifact;
use starcell_runtime::kv::DEFAULT_QUOTA;
use starcell_runtime::node_walls::Stand;
use starcell_runtime::slow::on_blocking_thread;
use starcell_runtime::{
    App, AppConfig, CapabilityState, Client, Databases, Failure, Forks, HostFiles, Interpreter, Kubernetes, Kv, Suite,
    Variables,
};
use starcell_text::terminal;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cli::{CallMode, DEFAULT_LOG_RATE, Demand, EdgeFlags, Test, WallFlags};
use crate::cluster::kubernetes;
use crate::exit::Exit;
use crate::granted::Granted;
use crate::owned::{Kept, host_files};
use crate::say::fail;
use crate::stand::{Needs, stand};
use crate::terms;
use crate::vars;
use client::TestClient;
use files::TestFile;
use report::{Case, Report, Verdict};
use stage::Stage;

/// Instances at once: a script, a test, what answers it, and scripts of files before that are on their way out.
const INSTANCES: u32 = 64;

/// What the report calls the part of a file that is no test.
const TOP_LEVEL: &str = "(top level)";

/// What a run of tests knows before the walls around the host stand: the files that the command line names are read.
#[derive(Debug)]
pub struct PreparedTests {
    arguments: Test,
    files: Vec<TestFile>,
    granted: Granted,
    variables: Variables,
    kubernetes: Kubernetes,
    host_files: HostFiles,
    stand: Stand,
}

impl PreparedTests {
    /// Reads what the command line names, and finds the tests. Blocks. The error is the code that the process ends with.
    ///
    /// # Errors
    /// A file cannot be read, or what it says cannot be used.
    pub fn new(mut arguments: Test) -> Result<Self, Exit> {
        let files = files::find(&arguments.paths).map_err(|error| fail(Exit::Usage, &error))?;
        let misconfigured = |error: String| fail(Exit::Configuration, &error);
        // Nothing is bound. A rule that denies serving still does: such a script could not serve anywhere.
        arguments.grants.rules.allow.push("http.server".to_owned());
        let granted = Granted::new(&arguments.grants).map_err(misconfigured)?;
        let variables = vars::variables(&arguments.vars).map_err(|error| fail(Exit::Usage, &error))?;
        let kubernetes = kubernetes();
        let report: Vec<PathBuf> = arguments.junit.iter().cloned().collect();
        // A program could make a link of a name that is not there, and the report would be written where that leads.
        report.iter().for_each(|report| junit::begin(report));
        let others = [&report[..], &arguments.vars.files].concat();
        let kept = Kept { others: &others, ..Kept::default() };
        let host_files = host_files(&arguments.grants.rules, kept, &kubernetes, &granted.cwd).map_err(misconfigured)?;
        // Scripts load files from their own folder.
        let scripts: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
        let stand = stand(&Needs {
            scripts: &scripts,
            writes: &report,
            granted: &granted,
            counts: arguments.grants.mode == CallMode::Count,
            kept,
            variables: &arguments.vars.files,
            kubernetes: &kubernetes,
            host_files: &host_files,
            best_effort: arguments.walls.exec_walls == Demand::BestEffort,
            sends: false,
        });
        Ok(Self { arguments, files, granted, variables, kubernetes, host_files, stand })
    }

    /// The flags about walls, and what those around the host leave open.
    #[must_use]
    pub fn walls(&self) -> (WallFlags, Stand) {
        // Nothing is bound, whatever is granted.
        let mut stand = self.stand.clone();
        stand.ground.serves = false;
        (self.arguments.walls, stand)
    }
}

/// Runs the tests that the command line names.
pub async fn test(prepared: PreparedTests, guest: &Artifact) -> Exit {
    let PreparedTests { arguments, files, granted, variables, kubernetes, host_files, stand: _ } = prepared;
    let interpreter = match Interpreter::load(guest, INSTANCES) {
        Ok(interpreter) => interpreter,
        Err(error) => return fail(Exit::Host, &format!("cannot load the guest: {error}")),
    };
    let (logs, writer) = Logs::start(arguments.log.choice());
    let memory = arguments.limits.budget();
    let runner = Runner { interpreter, arguments, variables, granted, kubernetes, host_files, memory, logs };
    let mut report = Report::default();
    for file in files {
        report.begin(file.path.display().to_string());
        if let Err((said, failure)) = runner.file(&file, &mut report).await {
            let verdict = Verdict::Failed(terminal(&failure));
            report.add(Case { name: TOP_LEVEL.to_owned(), verdict, time: Duration::ZERO, said });
        }
    }
    report.end();
    let written = runner.arguments.junit.as_deref().map_or(Ok(()), |path| junit::write(path, &report.groups));
    drop(runner);
    writer.finish().await;
    match written {
        Err(error) => fail(Exit::Usage, &error),
        Ok(()) if report.has_failed() => Exit::Raised,
        Ok(()) => Exit::Ok,
    }
}

/// What all tests have in common.
struct Runner {
    interpreter: Arc<Interpreter>,
    arguments: Test,
    variables: Variables,
    granted: Granted,
    kubernetes: Kubernetes,
    host_files: HostFiles,
    memory: MemoryBudget,
    logs: Logs,
}

/// A script that is set up, or none.
struct Subject {
    app: Option<Arc<App>>,
    stage: Arc<Stage>,
    kv: Kv,
    /// The script itself, for as long as it waits inside of `serve()`.
    _running: JoinSet<Result<(), Failure>>,
}

/// What was said, and why there was no test at all.
type Trouble = (String, String);

impl Runner {
    /// Runs the tests of one file.
    async fn file(&self, file: &TestFile, report: &mut Report) -> Result<(), Trouble> {
        let silent = |why: String| (String::new(), why);
        let source = read(file, &file.path).await.map_err(silent)?;
        let subject = self.set_up(file).await?;
        let stage = subject.stage.for_test();
        let tests = self.app(&file.path, &source, subject.kv.copy(), &stage);
        let suite = match Suite::collect(&tests, source).await {
            Ok(suite) => suite,
            Err(failure) => return Err((stage.said(), failure.report().into_owned())),
        };
        if suite.tests().is_empty() {
            return Err(silent("there is no test in this file: a function whose name begins with test_".into()));
        }
        let terms = self.terms(file);
        for test in suite.tests() {
            if self.arguments.run.as_ref().is_none_or(|pattern| pattern.is_match(test)) {
                report.add(self.test(test, &suite, &tests, &subject, &terms).await);
            }
        }
        Ok(())
    }

    /// Runs one test.
    async fn test(&self, test: &str, suite: &Suite, tests: &App, subject: &Subject, terms: &Arc<AppTerms>) -> Case {
        let began = Instant::now();
        let (stage, kv) = (subject.stage.for_test(), subject.kv.copy());
        let app = subject.app.as_ref().map(|app| app.variant(|config| config.state.kv = kv.clone(), stage.clone()));
        let missing = format!("there is no {} to ask", terms.script);
        let client = TestClient { app, stage: Arc::clone(&stage), terms: Arc::clone(terms), missing };
        let give = |config: &mut AppConfig| {
            config.state.kv = kv;
            config.tool = Some(Arc::new(client));
        };
        let tested = suite.run(&tests.variant(give, stage.clone()), test).await;
        let verdict = match tested.result {
            Ok(None) => Verdict::Passed,
            Ok(Some(reason)) => Verdict::Skipped(terminal(&reason)),
            Err(failure) => Verdict::Failed(terminal(&failure.report())),
        };
        Case { name: test.to_owned(), verdict, time: began.elapsed(), said: stage.said() }
    }

    /// Runs the script until it waits for its servers, or ends.
    async fn set_up(&self, file: &TestFile) -> Result<Subject, Trouble> {
        let (stage, kv) = (Arc::new(Stage::new(self.arguments.log.choice())), Kv::memory(DEFAULT_QUOTA));
        let mut running = JoinSet::new();
        let Some(script) = &file.script else { return Ok(Subject { app: None, stage, kv, _running: running }) };
        let source = read(file, script).await.map_err(|why| (String::new(), why))?;
        let app = self.app(script, &source, kv.clone(), &stage);
        let run = Arc::clone(&app);
        running.spawn(async move { run.run(source).await });
        let ended = tokio::select! {
            () = stage.waits() => None,
            ended = running.join_next() => ended,
        };
        match ended {
            None | Some(Ok(Ok(()))) => Ok(Subject { app: Some(app), stage, kv, _running: running }),
            Some(Ok(Err(failure))) => Err((stage.said(), failure.report().into_owned())),
            Some(Err(error)) => Err((stage.said(), format!("the script was not run: {error}"))),
        }
    }

    fn app(&self, script: &Path, source: &[u8], kv: Kv, stage: &Arc<Stage>) -> Arc<App> {
        let (name, granted) = (script.display().to_string(), &self.granted);
        let launch = Launch {
            interpreter: Arc::clone(&self.interpreter),
            folder: script.parent().map(|folder| folder.join(".")),
            grants: granted.grants.clone(),
            cwd: granted.cwd.clone(),
            mode: self.arguments.grants.mode.into(),
            audit: Audit::off().subject(&subject(&name, source, &granted.policy)),
            record_pure: false,
            state: CapabilityState {
                client: Client::default(),
                environment: granted.environment.clone().into(),
                kubernetes: self.kubernetes.clone(),
                kv,
                programs: granted.programs(self.arguments.walls.exec_walls.into()),
                sql: Databases::default(),
            },
            arguments: Vec::new(),
            variables: self.variables.clone(),
            log: self.arguments.log.choice(),
            host: granted.host,
            host_files: self.host_files.clone(),
            limits: self.arguments.limits.limits(),
            forks: Forks::default(),
            memory: self.memory.clone(),
            port: None,
            tool: None,
            denials: None,
            stores: None,
            script: name,
        };
        launch.app(Arc::clone(stage) as _)
    }

    fn terms(&self, file: &TestFile) -> Arc<AppTerms> {
        let script = file.script.as_ref().map_or_else(|| "script beside this file".into(), |p| p.display().to_string());
        terms::app(
            script,
            false,
            &self.arguments.limits,
            &EdgeFlags::default(),
            &self.memory,
            (&self.logs, DEFAULT_LOG_RATE),
            None,
        )
    }
}

/// Reads a test file or its script without blocking a thread of the async runtime.
async fn read(file: &TestFile, path: &Path) -> Result<Vec<u8>, String> {
    let (file, path) = (file.clone(), path.to_owned());
    on_blocking_thread(move || file.read(&path)).await.unwrap_or_else(|error| Err(error.to_string()))
}
