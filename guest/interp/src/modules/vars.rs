//! `vars`: values that the operator gives a script.
//!
//! The decision: all of them are given before the script starts and lie in its memory, so handlers read them without a
//! call of the host and no permission is needed. A text, which is what a flag or the environment has, is read as the type
//! that is asked for; a value of a file has its type already. Of the environment a script sees nothing but variables whose
//! name begins with `STARCELL_VAR_`: the host hands over no others, whatever name is asked for.

mod given;

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::dict::DictRef;
use starlark::values::float::UnpackFloat;
use starlark::values::list::ListRef;
use starlark::values::{Value, ValueOfUnchecked};

use crate::given::{Text, argument};
use crate::session::Session;
use given::{Kind, find};

argument! {
    /// An int of any size.
    IntDefault<'v>(Value<'v>) as i32, "int", |value| (value.get_type() == "int").then_some(value)
}

argument! {
    /// A list.
    ListDefault<'v>(Value<'v>) as &'v ListRef<'v>, "a list", |value| ListRef::from_value(value).map(|_| value)
}

argument! {
    /// A dict.
    DictDefault<'v>(Value<'v>) as DictRef<'v>, "a dict", |value| DictRef::from_value(value).map(|_| value)
}

#[builtins("vars")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// A text that the operator gives under this name, else the default.
    ///
    /// The value is that of `--var NAME=VALUE`, else of a `--var-file`, in whose tables a name such as `db.host` leads,
    /// else of `STARCELL_VAR_NAME` in the environment. Errors: the value is no text.
    ///
    /// ```text
    /// >>> vars.var_str("greeting", "hello")
    /// "hello"
    /// ```
    fn var_str<'v>(
        name: Text<'v>,
        #[starlark(default = "")] default: &'v str,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<String> {
        let found = find(name.0, Kind::Str, eval)?;
        Ok(found.and_then(Value::unpack_str).unwrap_or(default).to_owned())
    }

    /// An int that the operator gives under this name, else the default. Errors: the value is no int.
    ///
    /// ```text
    /// >>> vars.var_int("workers", 4)
    /// 4
    /// ```
    fn var_int<'v>(
        name: Text<'v>,
        default: Option<IntDefault<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<ValueOfUnchecked<'v, i32>> {
        let found = find(name.0, Kind::Int, eval)?.or(default.map(|default| default.0));
        Ok(ValueOfUnchecked::new(found.unwrap_or_else(|| eval.heap().alloc(0))))
    }

    /// A bool that the operator gives under this name, else the default. Errors: the value is none of `true`, `false`, `1`
    /// and `0`.
    ///
    /// ```text
    /// >>> vars.var_bool("verbose")
    /// False
    /// ```
    fn var_bool<'v>(
        name: Text<'v>,
        #[starlark(default = false)] default: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<bool> {
        let found = find(name.0, Kind::Bool, eval)?;
        Ok(found.and_then(Value::unpack_bool).unwrap_or(default))
    }

    /// A float that the operator gives under this name, else the default; an int becomes one. Errors: the value is no
    /// finite number.
    ///
    /// ```text
    /// >>> vars.var_float("ratio", 0.5)
    /// 0.5
    /// ```
    fn var_float<'v>(
        name: Text<'v>,
        default: Option<UnpackFloat>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<f64> {
        let found = find(name.0, Kind::Float, eval)?.and_then(given::number);
        Ok(found.or(default.map(|default| default.0)).unwrap_or_default())
    }

    /// A list that the operator gives under this name, as JSON where it is a text, else the default. Errors: the value is no
    /// list.
    ///
    /// ```text
    /// >>> vars.var_list("hosts", ["a", "b"])
    /// ["a", "b"]
    /// ```
    fn var_list<'v>(
        name: Text<'v>,
        default: Option<ListDefault<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<ValueOfUnchecked<'v, &'v ListRef<'v>>> {
        let found = find(name.0, Kind::List, eval)?.or(default.map(|default| default.0));
        Ok(ValueOfUnchecked::new(found.unwrap_or_else(|| eval.heap().alloc(Vec::<Value<'v>>::new()))))
    }

    /// A dict that the operator gives under this name, as JSON where it is a text, else the default. Errors: the value is no
    /// dict.
    ///
    /// ```text
    /// >>> vars.var_dict("labels")
    /// {}
    /// ```
    fn var_dict<'v>(
        name: Text<'v>,
        default: Option<DictDefault<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<ValueOfUnchecked<'v, DictRef<'v>>> {
        let found = find(name.0, Kind::Dict, eval)?.or(default.map(|default| default.0));
        Ok(ValueOfUnchecked::new(found.unwrap_or_else(|| eval.heap().alloc(given::empty_dict()))))
    }

    /// The names under which the operator gives something, sorted. A variable of the environment has its name in small
    /// letters and without `STARCELL_VAR_`.
    ///
    /// ```text
    /// >>> vars.names()
    /// []
    /// ```
    fn names<'v>(eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Vec<String>> {
        Ok(given::names(Session::of(eval)?.host.conditions()))
    }

    /// The same as `names`, under the name that it has without the module's.
    ///
    /// ```text
    /// >>> var_names()
    /// []
    /// ```
    fn var_names<'v>(eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Vec<String>> {
        Ok(given::names(Session::of(eval)?.host.conditions()))
    }
}
