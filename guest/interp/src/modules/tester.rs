//! The test that a `test_` function is given: how it asks the app beside its file.

#![expect(clippy::too_many_arguments, reason = "they are named where they are given")]
#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

mod reply;

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::dict::DictRef;
use starlark::values::none::NoneType;
use starlark::values::tuple::UnpackTuple;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use super::client::{pairs, set_body, set_header};
use super::url::encode_pairs;
use crate::error::{from_host, skip, usage};
use crate::given::{Text, argument};
use crate::host::{Outgoing, Question};
use crate::session::{Session, position};
use reply::ReplyValue;

const TYPE: &str = "test";

/// What a test function gets.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(crate) struct Tester {
    name: String,
}

starlark_simple_value!(Tester);

impl Tester {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}

impl fmt::Display for Tester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{TYPE} {}>", self.name)
    }
}

/// What the reference says of the types here.
pub(super) fn types() -> [(&'static str, DocType); 2] {
    [("test", DocType::from_starlark_value::<Tester>()), ("test.reply", reply::documented())]
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for Tester {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);
        Some(METHODS.methods())
    }

    fn get_attr(&self, attribute: &str, heap: Heap<'v>) -> Option<Value<'v>> {
        (attribute == "name").then(|| heap.alloc(self.name.as_str()))
    }

    fn has_attr(&self, attribute: &str, _heap: Heap<'v>) -> bool {
        attribute == "name"
    }

    fn dir_attr(&self) -> Vec<String> {
        vec!["name".to_owned()]
    }
}

#[builtins("t")]
fn methods(builder: &mut MethodsBuilder) {
    /// Sends a request to the app beside the test file and returns what a client would get:
    /// `t.request("POST", "/users", body = {"name": "Ann"}, headers = {"Authorization": "Bearer x"})`.
    ///
    /// It goes through routing, middleware and handler as over a socket, in a fork of its own, and there is no socket.
    /// `body` is str, bytes, or a dict or list to send as JSON; `form` is a dict to send as an urlencoded form instead;
    /// `server` is the number of the app's server, in order of creation from 0. The reply has `status` (an int),
    /// `headers`, `body` (str when it is UTF-8, else bytes), `cookies` (what it sets, by name), `error` (what the
    /// handler raised, or `None`), `json()` and `try_json()`.
    fn request<'v>(
        #[starlark(this)] _this: Value<'v>,
        method: Text<'v>,
        path: Path<'v>,
        body: Option<Value<'v>>,
        #[starlark(require = named)] form: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] server: Option<Number<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Call { method: method.0, path, body, form, headers, server }.ask(eval)
    }

    /// Like `request` with the method DELETE: `t.delete("/users/7")`.
    fn delete<'v>(
        #[starlark(this)] _this: Value<'v>,
        path: Path<'v>,
        body: Option<Value<'v>>,
        #[starlark(require = named)] form: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] server: Option<Number<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Call { method: "DELETE", path, body, form, headers, server }.ask(eval)
    }

    /// Like `request` with the method GET: `t.get("/users?page=2")`.
    fn get<'v>(
        #[starlark(this)] _this: Value<'v>,
        path: Path<'v>,
        body: Option<Value<'v>>,
        #[starlark(require = named)] form: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] server: Option<Number<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Call { method: "GET", path, body, form, headers, server }.ask(eval)
    }

    /// Like `request` with the method PATCH: `t.patch("/users/7", {"name": "Bo"})`.
    fn patch<'v>(
        #[starlark(this)] _this: Value<'v>,
        path: Path<'v>,
        body: Option<Value<'v>>,
        #[starlark(require = named)] form: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] server: Option<Number<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Call { method: "PATCH", path, body, form, headers, server }.ask(eval)
    }

    /// Like `request` with the method POST: `t.post("/login", form = {"user": "ann"})`.
    fn post<'v>(
        #[starlark(this)] _this: Value<'v>,
        path: Path<'v>,
        body: Option<Value<'v>>,
        #[starlark(require = named)] form: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] server: Option<Number<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Call { method: "POST", path, body, form, headers, server }.ask(eval)
    }

    /// Like `request` with the method PUT: `t.put("/users/7", {"name": "Bo"})`.
    fn put<'v>(
        #[starlark(this)] _this: Value<'v>,
        path: Path<'v>,
        body: Option<Value<'v>>,
        #[starlark(require = named)] form: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] server: Option<Number<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Call { method: "PUT", path, body, form, headers, server }.ask(eval)
    }

    /// Notes something that is shown when the test fails: `t.log("got", reply.body)`.
    fn log<'v>(
        #[starlark(this)] _this: Value<'v>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        let parts: Vec<String> = args.items.iter().map(|value| value.to_str()).collect();
        Session::of(eval)?.host.print(&parts.join(" "), &position(eval));
        Ok(NoneType)
    }

    /// Ends the test as one that does not apply: `t.skip("needs a network")`.
    fn skip<'v>(
        #[starlark(this)] _this: Value<'v>,
        #[starlark(default = "")] reason: &str,
    ) -> starlark::Result<NoneType> {
        Err(skip(reason))
    }
}

argument! {
    /// A path with its query.
    Path<'v>(&'v str) as &'v str, "a path such as \"/users?page=2\"", |value| {
        value.unpack_str().filter(|path| path.starts_with('/'))
    }
}

argument! {
    /// The number of one of the app's servers.
    Number<'v>(u32) as u32, "the number of a server, from 0", |value| u32::unpack_value(value).ok().flatten()
}

/// The arguments of a request.
struct Call<'v> {
    method: &'v str,
    path: Path<'v>,
    body: Option<Value<'v>>,
    form: Option<Value<'v>>,
    headers: Option<DictRef<'v>>,
    /// The server to ask; the first one without it.
    server: Option<Number<'v>>,
}

impl<'v> Call<'v> {
    fn ask(self, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let mut outgoing = Outgoing::default();
        let given = |value: &Value<'v>| !value.is_none();
        match (self.body.filter(given), self.form.filter(given)) {
            (Some(_), Some(_)) => return Err(usage("give body or form, not both")),
            (Some(body), None) => set_body(&mut outgoing, body)?,
            (None, Some(form)) => {
                outgoing.body = encode_pairs("form", form)?.into_bytes();
                let content_type = "application/x-www-form-urlencoded".to_owned();
                set_header(&mut outgoing.headers, "Content-Type".to_owned(), content_type);
            }
            (None, None) => {}
        }
        for (name, value) in self.headers.as_ref().map(pairs).transpose()?.unwrap_or_default() {
            set_header(&mut outgoing.headers, name, value);
        }
        let question = Question {
            server: self.server.map_or(0, |number| number.0),
            method: self.method.to_owned(),
            target: self.path.0.to_owned(),
            headers: outgoing.headers,
            body: outgoing.body,
        };
        let reply = Session::of(eval)?.host.tool().ask(&question, &position(eval)).map_err(from_host)?;
        Ok(eval.heap().alloc(ReplyValue::new(reply)))
    }
}
