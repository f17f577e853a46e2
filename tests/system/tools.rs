//! The guest's import for tests and sessions: there is something behind it only where a tool started the instance.

use std::sync::{Arc, Mutex};

use starcell_runtime::host::BoxFuture;
use starcell_runtime::{Failure, Outcome, Question, Reply, Suite, Tool};
use starcell_tests::edge::{app, interpreter};

const TESTS: &str = "
made = []
def test_ask(t):
    return t.post('/a', 'b', server = 3)
def test_change(t):
    made.append(1)
def test_skip(t):
    t.skip('no')
def test_made():
    http.server().handle('/', lambda req: '')
";

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn message(failure: Failure) -> String {
    match failure {
        Failure::Script(failure) => failure.message,
        other => panic!("{other}"),
    }
}

#[test]
fn an_instance_that_no_tool_started_has_none() {
    let app = app(&interpreter(), |_| {});
    assert_eq!(message(run(app.interact()).unwrap_err()), "only a session takes input");
    let suite = run(Suite::collect(&app, TESTS.into())).unwrap();
    assert_eq!(message(run(suite.run(&app, "test_ask")).result.unwrap_err()), "only a test can ask an app");
    let failure = message(run(suite.run(&app, "test_made")).result.unwrap_err());
    assert!(failure.ends_with("only a test makes servers of its own"), "{failure}");
}

/// A tool that has one input, and one reply.
#[derive(Debug, Default)]
struct Both {
    asked: Mutex<Vec<Question>>,
    told: Mutex<Vec<String>>,
}

impl Tool for Both {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Reply, String>> {
        self.asked.lock().unwrap().push(question);
        Box::pin(std::future::ready(Ok(Reply { status: 200, ..Reply::default() })))
    }

    fn input(&self, outcome: Outcome, _names: Vec<String>) -> BoxFuture<'_, Result<Option<String>, String>> {
        let mut told = self.told.lock().unwrap();
        told.push(format!("{outcome:?}"));
        Box::pin(std::future::ready(Ok((told.len() == 1).then(|| "6 * 7".to_owned()))))
    }
}

#[test]
fn a_tool_gets_what_a_test_asks_and_what_an_input_came_to() {
    let tool = Arc::new(Both::default());
    let app = app(&interpreter(), |config| config.tool = Some(Arc::clone(&tool) as Arc<dyn Tool>));
    run(app.interact()).unwrap();
    assert_eq!(*tool.told.lock().unwrap(), ["Value(None)", "Value(Some(\"42\"))"]);
    let suite = run(Suite::collect(&app, TESTS.into())).unwrap();
    assert_eq!(suite.tests(), ["test_ask", "test_change", "test_skip", "test_made"]);
    assert_eq!(run(suite.run(&app, "test_ask")).result.unwrap(), None);
    let asked = tool.asked.lock().unwrap().clone();
    assert_eq!((asked.len(), asked[0].server, asked[0].target.as_str(), &asked[0].body[..]), (1, 3, "/a", &b"b"[..]));
    assert_eq!(run(suite.run(&app, "test_skip")).result.unwrap().as_deref(), Some("no"));
    let failure = message(run(suite.run(&app, "test_change")).result.unwrap_err());
    assert!(failure.starts_with("what the top level of a test file made is frozen"), "{failure}");
}

/// A tool that is for sessions is none for tests, and the other way round.
#[test]
fn what_a_tool_does_not_do_is_an_error() {
    #[derive(Debug)]
    struct Nothing;
    impl Tool for Nothing {}
    let app = app(&interpreter(), |config| config.tool = Some(Arc::new(Nothing)));
    assert_eq!(message(run(app.interact()).unwrap_err()), "only a session takes input");
    let suite = run(Suite::collect(&app, TESTS.into())).unwrap();
    assert_eq!(message(run(suite.run(&app, "test_ask")).result.unwrap_err()), "only a test can ask an app");
    let failure = message(run(suite.run(&app, "test_made")).result.unwrap_err());
    assert!(failure.ends_with("only a test makes servers of its own"), "{failure}");
}
