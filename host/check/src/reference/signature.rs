//! A function as a reader would declare it.

use starlark::docs::{DocFunction, DocParam};
use starlark::typing::Ty;

/// The name of a function with its parameters and the type it returns: `fs.stat(path: str) -> None`.
#[must_use]
pub fn signature(name: &str, function: &DocFunction) -> String {
    let params = &function.params;
    let mut shown: Vec<String> = params.pos_only.iter().map(param).collect();
    if !params.pos_only.is_empty() {
        shown.push("/".to_owned());
    }
    shown.extend(params.pos_or_named.iter().map(param));
    match &params.args {
        Some(args) => shown.push(format!("*{}", param(args))),
        None if !params.named_only.is_empty() => shown.push("*".to_owned()),
        None => {}
    }
    shown.extend(params.named_only.iter().map(param));
    shown.extend(params.kwargs.iter().map(|kwargs| format!("**{}", param(kwargs))));
    let returned = match &function.ret.typ {
        typ if *typ == Ty::any() => String::new(),
        typ => format!(" -> {typ}"),
    };
    format!("{name}({}){returned}", shown.join(", "))
}

fn param(param: &DocParam) -> String {
    let typ = match &param.typ {
        typ if *typ == Ty::any() => String::new(),
        typ => format!(": {typ}"),
    };
    let default = param.default_value.as_ref().map(|default| format!(" = {default}")).unwrap_or_default();
    format!("{}{typ}{default}", param.name)
}
