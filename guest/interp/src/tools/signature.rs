//! The parameters of functions that read their arguments by themselves.
//!
//! starlark documents such a function as `(*args, **kwargs)`, of which neither a reader nor a check of calls learns
//! anything. Its own documentation therefore states its signature in a paragraph of its own, as code:
//!
//! ```text
//! /// `fs.mkdir(path: str, *, parents: bool = False) -> None`
//! ```
//!
//! A function whose arguments starlark reads has its parameters from there, and its defaults from a paragraph that
//! `#[builtins]` adds.
//!
//! The text is read by starlark's parser, and tests hold each one against what the function accepts when it is called.

use starlark::docs::{DocFunction, DocParam, DocParams, DocReturn};
use starlark::syntax::AstModule;
use starlark::syntax::ast::{AstExpr, AstTypeExpr, BinOp, Expr, Parameter, Stmt};
use starlark::typing::Ty;
use starlark::values::bytes::StarlarkBytes;
use starlark::values::type_repr::StarlarkTypeRepr;

use crate::dialect::DIALECT;

/// Replaces the parameters of a function by those that its documentation states, and takes the statement out of it.
///
/// `of` is the module or type of the function.
pub(super) fn complete(of: &str, name: &str, function: &mut DocFunction) {
    let Some(docs) = &mut function.docs else { return };
    let Some(details) = docs.details.take() else { return };
    let (mut stated, mut defaults, mut kept) = (None, None, Vec::new());
    for paragraph in details.split("\n\n") {
        if let Some((given, _)) = statement(paragraph, "", DEFAULTS) {
            defaults = Some(given);
            continue;
        }
        match statement(paragraph, of, name).filter(|_| stated.is_none()) {
            Some(signature) => stated = Some(signature),
            None => kept.push(paragraph),
        }
    }
    let details = kept.join("\n\n").trim().to_owned();
    docs.details = Some(details).filter(|details| !details.is_empty());
    if let Some((params, ret)) = stated {
        function.params = params;
        function.ret = DocReturn { docs: None, typ: ret };
    }
    if let Some(defaults) = defaults {
        let params = &mut function.params;
        for param in params.pos_only.iter_mut().chain(&mut params.pos_or_named).chain(&mut params.named_only) {
            if let Some(given) = defaults.regular_params().find(|given| given.name == param.name) {
                param.default_value.clone_from(&given.default_value);
                // That None leaves it out goes without saying.
                param.typ = param.typ.without_none();
            }
        }
    }
}

/// What `#[builtins]` calls the paragraph with the defaults, of which starlark's own documentation knows only that there
/// are some: `defaults(n = -1, flags = "")`.
const DEFAULTS: &str = "defaults";

/// The signature in a paragraph that is nothing else.
fn statement(paragraph: &str, of: &str, name: &str) -> Option<(DocParams, Ty)> {
    let code = paragraph.trim().strip_prefix('`')?.strip_suffix('`')?.replace('\n', " ");
    let code = code.as_str();
    let code = code.strip_prefix(of).and_then(|code| code.strip_prefix('.')).unwrap_or(code);
    let signature = code.strip_prefix(name).filter(|rest| rest.starts_with('('))?;
    parse(signature)
}

/// Reads `(a: str, b = 1) -> str`.
fn parse(signature: &str) -> Option<(DocParams, Ty)> {
    let source = format!("def f{signature}:\n    pass\n");
    let ast = AstModule::parse("signature", source.clone(), &DIALECT).ok()?;
    let def = match &ast.statement().node {
        Stmt::Def(def) => def,
        Stmt::Statements(statements) => match &statements.first()?.node {
            Stmt::Def(def) => def,
            _ => return None,
        },
        _ => return None,
    };
    let mut params = DocParams::default();
    let mut named_only = false;
    for parameter in &def.params {
        let text = |expr: &AstExpr| {
            let (begin, end) = (expr.span.begin().get() as usize, expr.span.end().get() as usize);
            source.get(begin..end).unwrap_or_default().to_owned()
        };
        match &parameter.node {
            Parameter::Normal(ident, typ, default) => {
                let param = param(&ident.node.ident, typ.as_deref(), default.as_deref().map(text));
                match named_only {
                    true => params.named_only.push(param),
                    false => params.pos_or_named.push(param),
                }
            }
            Parameter::Slash => params.pos_only = std::mem::take(&mut params.pos_or_named),
            Parameter::NoArgs => named_only = true,
            Parameter::Args(ident, typ) => {
                named_only = true;
                params.args = Some(param(&ident.node.ident, typ.as_deref(), None));
            }
            Parameter::KwArgs(ident, typ) => params.kwargs = Some(param(&ident.node.ident, typ.as_deref(), None)),
        }
    }
    Some((params, def.return_type.as_deref().map_or_else(Ty::any, self::typ)))
}

fn param(name: &str, typ: Option<&AstTypeExpr>, default_value: Option<String>) -> DocParam {
    DocParam { name: name.to_owned(), docs: None, typ: typ.map_or_else(Ty::any, self::typ), default_value }
}

/// A type as far as the type checker knows it; what it does not know is anything.
fn typ(typ: &AstTypeExpr) -> Ty {
    known(&typ.node.expr.node)
}

fn known(expr: &Expr) -> Ty {
    match expr {
        Expr::Identifier(ident) => match ident.node.ident.as_str() {
            "bool" => Ty::bool(),
            "bytes" => StarlarkBytes::starlark_type_repr(),
            "int" => Ty::int(),
            "str" => Ty::string(),
            "None" => Ty::none(),
            "dict" => Ty::dict(Ty::any(), Ty::any()),
            "list" => Ty::list(Ty::any()),
            _ => Ty::any(),
        },
        Expr::Op(one, BinOp::BitOr, other) => Ty::union2(known(one), known(other)),
        Expr::Index(pair) => match (&pair.0.node, &pair.1.node) {
            (Expr::Identifier(of), element) if of.node.ident == "list" => Ty::list(known(element)),
            _ => Ty::any(),
        },
        _ => Ty::any(),
    }
}
