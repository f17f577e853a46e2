//! Files of a format, and values to be written as one: what `json.file(p)`, `yaml.source(v)` and their siblings return.
//!
//! They need exactly the permissions of `fs`, when they read or write and not before.

#![expect(unsafe_code, reason = "only what starlark derives expand to: Trace, Coerce, a type id")]

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::coerce::Coerce;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::values::list::ListRef;
use starlark::values::none::NoneType;
use starlark::values::{
    Freeze, NoSerialize, ProvidesStaticType, StarlarkValue, Trace, Value, ValueLike, starlark_value,
};
use starlark::{starlark_complex_value, starlark_simple_value};

use super::csv;
use super::csv::arguments::{Comment, Rows, Separator, names, separator};
use super::csv::read::Options;
use super::files::ask;
use super::gzip::pack::{Level, MaxBytes, pack, unpack};
use super::indent::Indent;
use super::path::FilePath;
use super::text::document;
use super::{json_decode, json_encode, toml, yaml};
use crate::bytes::Bytes;
use crate::error::usage;
use crate::limits::MAX_TEXT_BYTES;

/// The formats that have files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Allocative)]
pub(super) enum Format {
    Csv,
    Gzip,
    Json,
    Toml,
    Yaml,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Gzip => "gzip",
            Self::Json => "json",
            Self::Toml => "toml",
            Self::Yaml => "yaml",
        }
    }

    /// The error for a method or an option that this format has not.
    fn without(self, what: &str) -> starlark::Error {
        usage(format!("{} has no {what}", self.name()))
    }

    fn needs(self, fits: bool, what: &str) -> starlark::Result<()> {
        if fits { Ok(()) } else { Err(self.without(what)) }
    }
}

/// The types of the values here.
pub(super) fn types() -> [(&'static str, DocType); 2] {
    [
        ("format.file", DocType::from_starlark_value::<Document>()),
        ("format.source", DocType::from_starlark_value::<SourceGen<Value<'static>>>()),
    ]
}

/// A file of a format.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Document {
    format: Format,
    path: String,
}

starlark_simple_value!(Document);

impl Document {
    /// The file at a path, which is not looked at yet.
    pub(super) fn new(format: Format, path: &str) -> Self {
        Self { format, path: path.to_owned() }
    }

    fn read(&self, eval: &Evaluator<'_, '_, '_>) -> starlark::Result<Vec<u8>> {
        ask(eval, |files, at| files.read_bytes(&self.path, at))
    }

    /// What is wrong with the content, with the file that it is in.
    fn named(&self, error: starlark::Error) -> starlark::Error {
        usage(format!("{}: {}", self.path, error.without_diagnostic()))
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.file({:?})", self.format.name(), self.path)
    }
}

#[starlark_value(type = "format.file")]
impl<'v> StarlarkValue<'v> for Document {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new("format.file", file_methods);
        Some(METHODS.methods())
    }
}

#[builtins("file")]
fn file_methods(builder: &mut MethodsBuilder) {
    /// The path, as it was given.
    #[starlark(attribute)]
    fn path(this: &Document) -> starlark::Result<String> {
        Ok(this.path.clone())
    }

    /// The value in a file of JSON, YAML or TOML.
    fn decode<'v>(this: &Document, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        this.format.needs(
            !matches!(this.format, Format::Csv | Format::Gzip),
            "decode(); read() reads csv, decompress() gzip",
        )?;
        let bytes = this.read(eval)?;
        let text = document(Bytes(&bytes)).map_err(|error| this.named(error))?;
        let heap = eval.heap();
        let decoded = match this.format {
            Format::Yaml => yaml::read::one(text, heap),
            Format::Toml => toml::read::document(text, heap).map_err(usage),
            Format::Json | Format::Csv | Format::Gzip => json_decode::decode(text.as_bytes(), heap).map_err(usage),
        };
        decoded.map_err(|error| this.named(error))
    }

    /// The values of all documents in a file of YAML, as a list.
    fn decode_all<'v>(this: &Document, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        this.format.needs(this.format == Format::Yaml, "decode_all()")?;
        let bytes = this.read(eval)?;
        let text = document(Bytes(&bytes)).map_err(|error| this.named(error))?;
        yaml::read::all(text, eval.heap()).map_err(|error| this.named(error))
    }

    /// The rows in a file of CSV; the arguments are those of `csv.decode`.
    fn read<'v>(
        this: &Document,
        sep: Option<Separator<'v>>,
        comment: Option<Comment<'v>>,
        skip: Option<Rows<'v>>,
        #[starlark(default = false)] header: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        this.format.needs(this.format == Format::Csv, "read(); decode() reads json, yaml and toml")?;
        let bytes = this.read(eval)?;
        let text = document(Bytes(&bytes)).map_err(|error| this.named(error))?;
        let options = Options {
            sep: separator(sep),
            comment: comment.and_then(|comment| comment.0),
            skip: skip.map_or(0, |rows| rows.0),
            header,
        };
        csv::read::rows(text, &options, eval.heap()).map_err(|wrong| this.named(usage(wrong)))
    }

    /// The gzip of what is in a file, as bytes; see `gzip.compress`.
    fn compress<'v>(
        this: &Document,
        level: Option<Level<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Vec<u8>> {
        this.format.needs(this.format == Format::Gzip, "compress()")?;
        pack(&this.read(eval)?, level)
    }

    /// The content of a file of gzip, as bytes; see `gzip.decompress`.
    fn decompress<'v>(
        this: &Document,
        max_bytes: Option<MaxBytes<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Vec<u8>> {
        this.format.needs(this.format == Format::Gzip, "decompress()")?;
        let most = max_bytes.map_or(MAX_TEXT_BYTES, |most| most.0);
        unpack(&this.read(eval)?, most).map_err(|wrong| this.named(usage(wrong)))
    }
}

/// A value that is to be written in a format.
#[derive(Clone, Debug, Trace, Freeze, Coerce, ProvidesStaticType, NoSerialize, Allocative)]
#[repr(C)]
pub(super) struct SourceGen<V> {
    #[trace(unsafe_ignore)]
    #[freeze(identity)]
    format: Format,
    value: V,
}

starlark_complex_value!(pub(super) Source);

impl<'v> Source<'v> {
    /// A value, which is not looked at yet.
    pub(super) fn new(format: Format, value: Value<'v>) -> Self {
        Self { format, value }
    }
}

impl<V: fmt::Display> fmt::Display for SourceGen<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.source({})", self.format.name(), self.value)
    }
}

#[starlark_value(type = "format.source")]
impl<'v, V: ValueLike<'v>> StarlarkValue<'v> for SourceGen<V>
where
    Self: ProvidesStaticType<'v>,
{
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new("format.source", source_methods);
        Some(METHODS.methods())
    }
}

/// How a value is written.
struct Style<'v> {
    indent: Option<Indent<'v>>,
    prefix: &'v str,
    sep: Option<Separator<'v>>,
    headers: Option<&'v ListRef<'v>>,
}

#[builtins("source")]
fn source_methods(builder: &mut MethodsBuilder) {
    /// The value, as it was given.
    #[starlark(attribute)]
    fn data<'v>(this: Value<'v>) -> starlark::Result<Value<'v>> {
        let source = Source::from_value(this).ok_or_else(|| usage("expected what source() returns"))?;
        Ok(source.value.to_value())
    }

    /// The value's text. `indent` is that of `json.encode`, and `prefix` what each further line of JSON begins with; `sep`
    /// and `headers` are those of `csv.encode`.
    fn encode<'v>(
        this: Value<'v>,
        indent: Option<Indent<'v>>,
        #[starlark(default = "")] prefix: &'v str,
        sep: Option<Separator<'v>>,
        headers: Option<&'v ListRef<'v>>,
    ) -> starlark::Result<String> {
        encoded(this, &Style { indent, prefix, sep, headers })
    }

    /// Replaces a file by the value's text; the other arguments are those of `encode`.
    fn write_file<'v>(
        this: Value<'v>,
        path: FilePath<'v>,
        indent: Option<Indent<'v>>,
        #[starlark(default = "")] prefix: &'v str,
        sep: Option<Separator<'v>>,
        headers: Option<&'v ListRef<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        let text = encoded(this, &Style { indent, prefix, sep, headers })?;
        ask(eval, |files, at| files.write_text(path.0, &text, at))?;
        Ok(NoneType)
    }
}

fn encoded<'v>(this: Value<'v>, style: &Style<'v>) -> starlark::Result<String> {
    let source = Source::from_value(this).ok_or_else(|| usage("expected what source() returns"))?;
    let (format, value) = (source.format, source.value.to_value());
    format
        .needs(format == Format::Json || (style.indent.is_none() && style.prefix.is_empty()), "indent and no prefix")?;
    format.needs(format == Format::Csv || (style.sep.is_none() && style.headers.is_none()), "sep and no headers")?;
    match format {
        Format::Yaml => yaml::encode::encode(&[value]).map_err(usage),
        Format::Toml => toml::write::document(value).map_err(|wrong| usage(wrong.into_text())),
        Format::Csv => {
            let rows = ListRef::from_value(value).ok_or_else(|| crate::given::wrong("rows", "a list", value))?;
            let headers = style.headers.map(names).transpose()?;
            csv::write::rows(rows, separator(style.sep), headers).map_err(|wrong| usage(wrong.into_text()))
        }
        Format::Json | Format::Gzip => {
            let indent = style.indent.map(Indent::text);
            let text = json_encode::encode(value, indent.as_deref()).map_err(usage)?;
            Ok(if style.prefix.is_empty() { text } else { text.replace('\n', &format!("\n{}", style.prefix)) })
        }
    }
}
