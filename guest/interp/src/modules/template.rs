//! `template`: Jinja templates by minijinja, escaping for HTML unless told otherwise.
//!
//! A template may come from a tenant's user, so it is limited like a script: its size and shape before it is parsed
//! (`prescan`), then its work. minijinja counts fuel for each step and for each 64 bytes made, so loops, repeated texts
//! and output are one budget. Nothing is loaded: what it extends or includes is handed over in `partials`. Two
//! functions of minijinja are missing: `debug`, which prints everything it was given, and `namespace`, with which a
//! loop could nest a value deeper than dropping it has stack for.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

mod data;
mod foreign;
mod prescan;

use std::borrow::Cow;
use std::{fmt, io};

use allocative::Allocative;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{GlobalsBuilder, Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::dict::DictRef;
use starlark::values::{NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use super::files::ask;
use super::path::FilePath;
use super::text::document;
use crate::args::describe;
use crate::bytes::Bytes;
use crate::error::usage;
use crate::limits::MAX_TEXT_BYTES;

/// How errors name the template itself; partials have their own names.
const MAIN: &str = "template";

/// Steps of one rendering, and with them the bytes it makes: 64 for each.
const FUEL: u64 = 500_000;

/// Deepest recursion while rendering: a block counts 1, a macro 4, an include 10.
const MAX_RECURSION: usize = 100;

#[builtins("template")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// A template (Jinja syntax), ready to be rendered any number of times: `template.text(source).render(data)`.
    ///
    /// What `{{ }}` prints is escaped for HTML, unless `escape = "none"`. `partials` are templates by name, for
    /// `{% extends %}`, `{% include %}` and `{% import %}`. Make it at the top level, so that requests find it ready.
    /// Errors: what is no template, with its line; sources of more than 256 KiB; a tag with more than 200 operators;
    /// blocks nested more than 40 deep.
    ///
    /// ```text
    /// >>> template.text("<p>{% for x in items %}{{ x }};{% endfor %}</p>").render({"items": ["a", "<b>"]})
    /// "<p>a;&lt;b&gt;;</p>"
    /// ```
    fn text<'v>(
        source: Bytes<'v>,
        partials: Option<DictRef<'v>>,
        escape: Option<&'v str>,
    ) -> starlark::Result<Template> {
        compiled(source, partials, escape)
    }

    /// Renders a template once: `template.render(source, data)`.
    ///
    /// `data` is a dict or a struct whose entries are the template's variables; the other arguments are those of `text`
    /// and of a template's `render`. Errors: those of `text`; a failure while rendering, with its line; more than
    /// 500000 steps (64 bytes count as one) or more than 16 MB.
    ///
    /// ```text
    /// >>> template.render("Hello {{ name|title }}", {"name": "ann & co"})
    /// "Hello Ann &amp; Co"
    /// >>> template.render("{{ nobody }}", {}, missing_key = "error")
    /// error: template.render: undefined value (in template:1)
    /// ```
    fn render<'v>(
        source: Bytes<'v>,
        data: Option<Value<'v>>,
        partials: Option<DictRef<'v>>,
        escape: Option<&'v str>,
        missing_key: Option<&'v str>,
    ) -> starlark::Result<String> {
        compiled(source, partials, escape)?.render(data, missing_key)
    }

    /// Like `text`, for a source in a file. Needs the permission of `fs.read_text`.
    fn file<'v>(
        path: FilePath<'v>,
        partials: Option<DictRef<'v>>,
        escape: Option<&'v str>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Template> {
        let source = ask(eval, |files, at| files.read_bytes(path.0, at))?;
        compiled(Bytes(&source), partials, escape)
    }
}

fn compiled(source: Bytes<'_>, partials: Option<DictRef<'_>>, escape: Option<&str>) -> starlark::Result<Template> {
    let mut environment = Environment::new();
    environment.remove_global("debug");
    environment.remove_global("namespace");
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_RECURSION);
    let escape = match escape.unwrap_or("html") {
        "html" => AutoEscape::Html,
        "none" => AutoEscape::None,
        other => return Err(usage(format!("escape must be \"html\" or \"none\", got {other:?}"))),
    };
    environment.set_auto_escape_callback(move |_| escape.clone());
    let mut sources = vec![(MAIN, document(source)?)];
    for (name, text) in partials.iter().flat_map(|partials| partials.iter()) {
        match (name.unpack_str(), text.unpack_str()) {
            (Some(name), Some(text)) if name != MAIN => sources.push((name, text)),
            _ => {
                let (name, text) = (describe(name), describe(text));
                return Err(usage(format!(
                    "partials must be a dict from names to sources, none named template, got {name}: {text} in it"
                )));
            }
        }
    }
    foreign::check(&sources).map_err(usage)?;
    prescan::check(&sources).map_err(usage)?;
    for (name, text) in sources {
        let added = environment.add_template_owned(name.to_owned(), text.to_owned());
        added.map_err(|error| usage(explain(&error)))?;
    }
    Ok(Template { environment })
}

/// The engine's sentences, outermost first, with our limits by name.
fn explain(error: &minijinja::Error) -> String {
    let mut text = sentence(error);
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause.and_then(|error| error.downcast_ref::<minijinja::Error>()) {
        text = format!("{text}: {}", sentence(error));
        cause = std::error::Error::source(error);
    }
    text
}

fn sentence(error: &minijinja::Error) -> String {
    let limit = match error.kind() {
        ErrorKind::OutOfFuel => format!("more than {FUEL} steps, 64 bytes counted as one"),
        // Nothing else can go wrong with writing.
        ErrorKind::WriteFailure => format!("the text takes more than {MAX_TEXT_BYTES} bytes"),
        _ => return error.to_string(),
    };
    match (error.name(), error.line()) {
        (Some(name), Some(line)) => format!("{limit} (in {name}:{line})"),
        _ => limit,
    }
}

/// What `template.text` returns.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
struct Template {
    #[allocative(skip)]
    environment: Environment<'static>,
}

starlark_simple_value!(Template);

impl Template {
    fn render<'v>(&self, data: Option<Value<'v>>, missing_key: Option<&'v str>) -> starlark::Result<String> {
        let data = data::root(data.unwrap_or_default()).map_err(|text| usage(format!("data: {text}")))?;
        let strict = match missing_key.unwrap_or("default") {
            // Go's `zero` differs from its `default` in what it prints, and both print nothing here.
            "default" | "zero" => false,
            "error" => true,
            other => {
                return Err(usage(format!("missing_key must be \"default\", \"zero\" or \"error\", got {other:?}")));
            }
        };
        let environment = if strict {
            let mut environment = self.environment.clone();
            environment.set_undefined_behavior(UndefinedBehavior::Strict);
            Cow::Owned(environment)
        } else {
            Cow::Borrowed(&self.environment)
        };
        let mut text = Limited(Vec::new());
        let rendered = environment.get_template(MAIN).and_then(|template| {
            template.render_captured_to(data, &mut text)?;
            Ok(())
        });
        rendered.map_err(|error| usage(explain(&error)))?;
        String::from_utf8(text.0).map_err(|error| usage(error.to_string()))
    }
}

/// What has been rendered so far. Fuel alone would let it grow to twice what other builtins may make.
struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT_BYTES {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.environment.get_template(MAIN).map_or(0, |template| template.source().len());
        write!(f, "<template of {length} bytes>")
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Template>()
}

#[starlark_value(type = "template")]
impl<'v> StarlarkValue<'v> for Template {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new("template", methods);
        Some(METHODS.methods())
    }
}

#[builtins("template")]
fn methods(builder: &mut MethodsBuilder) {
    /// Renders the template; `data` is a dict or a struct whose entries are its variables.
    ///
    /// A variable that is missing prints as nothing, or is an error with `missing_key = "error"`.
    fn render<'v>(this: &Template, data: Option<Value<'v>>, missing_key: Option<&'v str>) -> starlark::Result<String> {
        this.render(data, missing_key)
    }
}
