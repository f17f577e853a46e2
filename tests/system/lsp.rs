//! `starcell lsp`, as an editor talks to it.

use std::path::PathBuf;

use serde_json::{Value, json};
use starcell_tests::editor::{Editor, uri};
use starcell_tests::process::folder;

const MAIN: &str = "load(\"lib/greet.star\", \"greet\")\n\ndef hello(req):\n    return greet(req.path)\n\nsrv = http.server()\nsrv.handle(\"GET /\", hello)\nprint(fs.read_text(\"x\"))\nsrv.serve()\n";
const GREET: &str = "def greet(name):\n    \"\"\"Says hello.\"\"\"\n    return \"Hello, \" + name\n";

/// A folder with a script and a file that it loads.
fn app() -> (PathBuf, PathBuf, PathBuf) {
    let app = folder();
    std::fs::create_dir(app.join("lib")).unwrap();
    let (main, greet) = (app.join("main.star"), app.join("lib/greet.star"));
    std::fs::write(&main, MAIN).unwrap();
    std::fs::write(&greet, GREET).unwrap();
    (app, main, greet)
}

fn labels(items: &Value) -> Vec<&str> {
    items.as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap()).collect()
}

#[test]
fn it_says_what_it_can_do_and_ends_as_asked() {
    let (app, ..) = app();
    let (editor, able) = Editor::open(&app);
    assert_eq!(able["serverInfo"]["name"], "starcell");
    assert_eq!(able["capabilities"]["completionProvider"]["triggerCharacters"], json!(["."]));
    for ability in ["hoverProvider", "definitionProvider", "textDocumentSync"] {
        assert!(!able["capabilities"][ability].is_null(), "{ability}: {able}");
    }
    assert_eq!(editor.close().code(), Some(0));
}

#[test]
fn a_client_that_leaves_ends_it() {
    let (app, ..) = app();
    assert_eq!(Editor::open(&app).0.leave().code(), Some(1));
    assert!(Editor::start().leave().code().is_some_and(|code| code != 0));
}

#[test]
fn diagnostics_are_those_of_check() {
    let (app, main, greet) = app();
    let (mut editor, _) = Editor::open(&app);
    assert_eq!(editor.diagnostics(&main, MAIN), Vec::<Value>::new());
    // A file in a folder below belongs to the script above it.
    assert_eq!(
        editor.diagnostics(&greet, &format!("load(\"lib/none.star\", \"x\")\n{GREET}x()\n"))[0]["code"],
        "load-missing"
    );
    let found = editor.changed(&main, 2, "x = \"é\u{1f600}\" + fs.raed_text(\"a\")\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0]["code"], &found[0]["severity"], &found[0]["source"]),
        (&json!("unknown-name"), &json!(1), &json!("starcell"))
    );
    assert_eq!(found[0]["range"], json!({"start": {"line": 0, "character": 12}, "end": {"line": 0, "character": 24}}));
    assert!(found[0]["message"].as_str().unwrap().contains("did you mean read_text?"));
    assert_eq!(editor.changed(&main, 3, "x = (\n")[0]["code"], "syntax");
    assert_eq!(editor.changed(&main, 4, MAIN), Vec::<Value>::new());
    assert_eq!(editor.close().code(), Some(0));
}

#[test]
fn completion_offers_modules_members_and_names() {
    let (app, main, _) = app();
    let (mut editor, _) = Editor::open(&app);
    let _ = editor.diagnostics(&main, MAIN);
    let names = editor.ask_at("textDocument/completion", &main, 7, 0);
    let names = labels(&names);
    for name in ["fs", "json", "hello", "greet", "len"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    // What is being typed does not parse, and members are offered all the same.
    let typing = MAIN.replace("print(fs.read_text(\"x\"))", "print(fs.");
    let _ = editor.changed(&main, 2, &typing);
    let members = editor.ask_at("textDocument/completion", &main, 7, 9);
    let read = members.as_array().unwrap().iter().find(|item| item["label"] == "read_text").unwrap();
    assert!(read["documentation"]["value"].as_str().unwrap().contains("Needs `fs.read`"), "{read}");
    let _ = editor.changed(&main, 3, &MAIN.replace("srv.serve()", "srv.se"));
    assert_eq!(labels(&editor.ask_at("textDocument/completion", &main, 8, 6)), ["serve"]);
    let _ = editor.changed(&main, 4, &MAIN.replace("req.path", "req.query_"));
    assert_eq!(labels(&editor.ask_at("textDocument/completion", &main, 3, 27)), ["query_first", "query_list"]);
    assert_eq!(editor.close().code(), Some(0));
}

#[test]
fn hover_explains_builtins_and_loaded_functions() {
    let (app, main, _) = app();
    let (mut editor, _) = Editor::open(&app);
    let _ = editor.diagnostics(&main, MAIN);
    for (line, character, expected) in [
        (7, 12, "fs.read_text(path: str) -> str"),
        (8, 6, "Needs `http.server`"),
        (5, 12, "A new server, not yet started"),
        (3, 22, "The path, decoded; behind the prefix"),
        (3, 13, "Says hello."),
        (7, 2, "print"),
    ] {
        let hover = editor.ask_at("textDocument/hover", &main, line, character).to_string();
        assert!(hover.contains(expected), "{line}:{character}: {hover}");
    }
    assert_eq!(editor.close().code(), Some(0));
}

#[test]
fn definitions_are_found_in_this_file_in_loaded_ones_and_in_modules() {
    let (app, main, greet) = app();
    let (mut editor, _) = Editor::open(&app);
    let _ = editor.diagnostics(&main, MAIN);
    let own = editor.ask_at("textDocument/definition", &main, 6, 22);
    assert_eq!(
        (&own[0]["targetUri"], &own[0]["targetRange"]["start"]["line"]),
        (&json!(uri(&main)), &json!(2)),
        "{own}"
    );
    let loaded = editor.ask_at("textDocument/definition", &main, 3, 13);
    assert_eq!(
        (&loaded[0]["targetUri"], &loaded[0]["targetRange"]["start"]["line"]),
        (&json!(uri(&greet)), &json!(0)),
        "{loaded}"
    );
    let file = editor.ask_at("textDocument/definition", &main, 0, 10);
    assert_eq!(file[0]["targetUri"], json!(uri(&greet)), "{file}");
    let member = editor.ask_at("textDocument/definition", &main, 7, 12);
    assert_eq!(member["uri"], "starlark:/fs.star", "{member}");
    let text = editor.ask("starlark/fileContents", json!({"uri": "starlark:/fs.star"}));
    let line = member["range"]["start"]["line"].as_u64().unwrap();
    let declared = text["contents"].as_str().unwrap().lines().nth(usize::try_from(line).unwrap()).unwrap();
    assert_eq!(declared, "def fs.read_text(path: str) -> str:".replace("fs.", ""));
    assert_eq!(editor.close().code(), Some(0));
}

#[test]
fn hostile_documents_do_not_end_it() {
    let (app, main, _) = app();
    let (mut editor, _) = Editor::open(&app);
    let _ = editor.diagnostics(&main, MAIN);
    for (version, text) in
        ["(".repeat(1_000_000), "x = 1\0".to_owned(), "\u{feff}x = 1".to_owned(), "nope()\n".repeat(20_000)]
            .iter()
            .enumerate()
    {
        let found = editor.changed(&main, u32::try_from(version).unwrap() + 2, text);
        assert!(!found.is_empty());
    }
    for (line, character) in [(99_999, 0), (0, 99_999), (0, 0)] {
        for method in ["textDocument/hover", "textDocument/completion", "textDocument/definition"] {
            let _ = editor.ask_at(method, &main, line, character);
        }
    }
    assert_eq!(editor.close().code(), Some(0));
}

/// The server answers for other documents while one of them is made to keep the type checker.
#[test]
fn a_document_that_cannot_be_checked_keeps_no_other_waiting() {
    let (app, main, _) = app();
    let (mut editor, _) = Editor::open(&app);
    let steps: String = (1..40).map(|n| format!("    a{n} = (a{0}, a{0})\n", n - 1)).collect();
    let hostile = app.join("hostile.star");
    std::fs::write(&hostile, "").unwrap();
    let found = editor.diagnostics(&hostile, &format!("def f():\n    a0 = (1,)\n{steps}    return a39\n"));
    assert_eq!((found.len(), &found[0]["code"]), (1, &json!("unfinished")), "{found:?}");
    assert_eq!(editor.diagnostics(&main, MAIN), Vec::<Value>::new());
    assert_eq!(editor.close().code(), Some(0));
}
