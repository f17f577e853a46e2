//! Handlers run over a frozen module: what works, and what refusing a mutation says.

use super::common::{Deployed, answer, text};
use starcell_interp::FailureKind;

const STATE: &str = "module state is frozen while serving: every request runs in its own fork; keep state in kv";

#[test]
fn mutating_module_state_explains_itself() {
    for (mutation, column) in [
        ("hits[\"n\"] = 1", 5),
        ("hits.update({\"n\": 1})", 5),
        ("hits.clear()", 5),
        ("hits.pop(\"n\", None)", 5),
        ("hits.setdefault(\"m\", 1)", 5),
        ("names.append(\"x\")", 5),
        ("names.extend([1])", 5),
        ("names.insert(0, 1)", 5),
        ("names[0] = 1", 5),
        ("names.clear()", 5),
        ("seen.add(1)", 5),
        ("record_count()", 5),
        ("nested[\"deep\"][\"list\"].append(1)", 5),
        ("things.list.append(1)", 5),
    ] {
        let app = Deployed::new(&format!(
            r#"
hits = {{"n": 0}}
names = ["a"]
seen = set()
nested = {{"deep": {{"list": []}}}}
things = struct(list = [])

def counter():
    count = [0]
    def bump():
        count.append(1)
        return count
    return bump

record_count = counter()

def handler(req):
    {mutation}
    return "unreachable"

http.serve(handler)
"#
        ));
        let failure = app.get("/").unwrap_err();
        assert_eq!(failure.kind, FailureKind::Script, "{mutation}");
        assert_eq!(failure.message, STATE, "{mutation}: {}", failure.report);
        if mutation == "record_count()" {
            assert_eq!(failure.at.line, 11, "{}", failure.report);
            assert!(failure.report.contains("app.star:18, in handler"), "{}", failure.report);
        } else {
            assert_eq!((failure.at.line, failure.at.column), (18, column), "{mutation}");
        }
        assert!(failure.report.contains(STATE), "{mutation}: {}", failure.report);
    }
}

#[test]
fn the_report_names_the_variable_its_line_and_kv() {
    let hint = |lines: &str| {
        let source = format!("# first\nitems = []\ntable, seen = {{\"a\": []}}, set()\n{lines}\nhttp.serve(handler)\n");
        let failure = Deployed::new(&source).get("/").unwrap_err();
        assert_eq!(failure.message, STATE, "{}", failure.report);
        let hint = failure.hint.unwrap_or_else(|| panic!("{}", failure.report));
        assert!(hint.contains("keep in kv what outlives a request, as in kv.set("), "{hint}");
        let name = hint.split('`').nth(1).unwrap().to_owned();
        let line = hint.split("app.star:").nth(1).unwrap().split(',').next().unwrap().to_owned();
        (name, line)
    };
    let is = |name: &str, line: &str| (name.to_owned(), line.to_owned());
    assert_eq!(hint("def handler(req):\n    items.append(1)"), is("items", "2"));
    assert_eq!(hint("def handler(req):\n    table[\"a\"].append(1)"), is("table", "3"));
    assert_eq!(hint("def handler(req):\n    seen.add(1)"), is("seen", "3"));
    assert_eq!(hint("handler = lambda req: table.update(b = 1)"), is("table", "3"));
    assert_eq!(hint("def add(list):\n    list.append(1)\ndef handler(req):\n    add(items)"), is("items", "2"));
    let deep = "def add(list):\n    list.append(1)\ndef pass_on(l):\n    add(l)\ndef handler(req):\n    pass_on(items)";
    assert_eq!(hint(deep), is("items", "2"));
    let hidden = "def add(items):\n    items.append(1)\ndef handler(req):\n    add(table[\"a\"])";
    assert_eq!(hint(hidden), is("table", "3"));
}

#[test]
fn nothing_is_guessed_where_no_variable_of_the_module_is_named() {
    let app = Deployed::new(
        "def make():\n    count = [0]\n    def bump(req):\n        count.append(1)\n    return bump\nhttp.serve(make())\n",
    );
    let failure = app.get("/").unwrap_err();
    assert_eq!(failure.message, STATE);
    assert_eq!(failure.hint, None, "{}", failure.report);
}

#[test]
fn augmented_assignment_to_a_global_element() {
    let app = Deployed::new("hits = {\"n\": 0}\ndef handler(req):\n    hits[\"n\"] += 1\nhttp.serve(handler)\n");
    assert_eq!(app.get("/").unwrap_err().message, STATE);
}

#[test]
fn during_setup_state_is_mutable() {
    let app = Deployed::new(
        "names = []\nfor i in range(3):\n    names.append(str(i))\nhttp.serve(lambda req: \",\".join(names))\n",
    );
    assert_eq!(text(&app.get("/").unwrap()), "0,1,2");
}

#[test]
fn local_state_is_mutable_and_gone_afterwards() {
    let app = Deployed::new(
        "def handler(req):\n    x = []\n    x.append(1)\n    req.params[\"n\"] = len(x)\n    return req.params\nhttp.serve(handler)\n",
    );
    for _ in 0..3 {
        assert_eq!(text(&app.get("/").unwrap()), "{\"n\":1}");
    }
}

#[test]
fn closures_lambdas_partials_and_structs_freeze() {
    let app = Deployed::new(
        r#"
def make(greeting):
    suffix = ["!"]
    def inner(req):
        return greeting + suffix[0]
    return inner

def two(prefix, req):
    return prefix + req.path

api = struct(hello = make("hi"))

def main():
    local = make("local")
    srv = http.server()
    srv.handle("GET /a", make("hello"))
    srv.handle("GET /b", lambda req: make("nested")(req))
    srv.handle("GET /c", api.hello)
    srv.handle("GET /d", partial(two, "p"))
    srv.handle("GET /e", local)
    srv.handle("GET /f", str)
    srv.serve()

main()
"#,
    );
    for (route, expected) in ["hello!", "nested!", "hi!", "p/x", "local!"].iter().enumerate() {
        let request = super::common::request("GET", "/x");
        let response = app.call(u32::try_from(route).unwrap(), request).unwrap();
        assert_eq!(text(&response), *expected);
    }
    let request = super::common::request("GET", "/x");
    let response = app.call(5, request).unwrap();
    assert_eq!(text(&response), "<http.request GET http://localhost:8080/x>");
}

#[test]
fn records_enums_sets_and_types_work_in_handlers() {
    let app = Deployed::new(
        r#"
Point = record(x = int, y = int)
Color = enum("red", "blue")

def area(p: Point) -> int:
    return p.x * p.y

def handler(req):
    name = "f-string"
    return [area(Point(x = 2, y = 3)), Color("red").value, sorted(list(set([2, 1]))), f"{name}!"]

http.serve(handler)
"#,
    );
    assert_eq!(text(&app.get("/").unwrap()), r#"[6,"red",[1,2],"f-string!"]"#);
}

#[test]
fn annotations_are_checked_at_calls() {
    let failure = answer("def f(x: int):\n    return x\nreturn f(\"a\")").unwrap_err();
    assert!(failure.message.contains("does not match the type annotation"), "{}", failure.message);
}
