//! The arguments that several functions take, read in one way.

use std::ops::RangeInclusive;

use starlark::eval::{Arguments, Evaluator};
use starlark::values::dict::DictRef;
use starlark::values::{UnpackValue, Value};

use super::target::Chosen;
use crate::args::Args;
use crate::duration;
use crate::host::Target;
use crate::modules::json_encode;

/// The arguments of one call, and what `k8s.config` has chosen for it.
pub(super) struct Call<'v> {
    pub(super) args: Args<'v>,
    chosen: Chosen,
}

impl<'v> Call<'v> {
    pub(super) fn new(
        function: &'static str,
        args: &Arguments<'v, '_>,
        eval: &Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Self> {
        Ok(Self { args: Args::new(function, args, eval.heap())?, chosen: Chosen::of(eval)? })
    }

    /// Takes `timeout` and refuses what no one took.
    pub(super) fn finish(&mut self, accepted: &str) -> starlark::Result<Target> {
        let timeout = self.positive_duration("timeout")?;
        self.args.finish(accepted)?;
        let target = self.chosen.target();
        Ok(Target { timeout: timeout.or(target.timeout), ..target })
    }

    /// A str that must be given, first or by name.
    pub(super) fn required_text(&mut self, name: &str) -> starlark::Result<String> {
        let value = self.args.required(name)?;
        self.args.text(name, value)
    }

    /// A str.
    pub(super) fn text(&mut self, name: &str) -> starlark::Result<Option<String>> {
        self.given(name).map(|value| self.args.text(name, value)).transpose()
    }

    /// The namespace, if the call names one.
    pub(super) fn namespace(&mut self) -> starlark::Result<Option<String>> {
        self.text("namespace")
    }

    pub(super) fn flag(&mut self, name: &str) -> starlark::Result<bool> {
        match self.given(name) {
            None => Ok(false),
            Some(value) => value.unpack_bool().ok_or_else(|| self.args.wrong(name, "True or False", value)),
        }
    }

    /// An int within bounds, which `expected` tells.
    pub(super) fn int(
        &mut self,
        name: &str,
        expected: &str,
        bounds: RangeInclusive<u32>,
    ) -> starlark::Result<Option<u32>> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let int = u32::unpack_value(value).ok().flatten().filter(|int| bounds.contains(int));
        int.map(Some).ok_or_else(|| self.args.wrong(name, expected, value))
    }

    pub(super) fn duration(&mut self, name: &str) -> starlark::Result<Option<u64>> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let nanoseconds = value.unpack_str().and_then(duration::parse);
        nanoseconds.map(Some).ok_or_else(|| self.args.wrong(name, duration::EXPECTED, value))
    }

    pub(super) fn positive_duration(&mut self, name: &str) -> starlark::Result<Option<u64>> {
        let value = self.args.named.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
        match (self.duration(name)?, value) {
            (Some(0), Some(value)) => Err(self.args.wrong(name, duration::EXPECTED, value)),
            (nanoseconds, _) => Ok(nanoseconds),
        }
    }

    /// One of several words.
    pub(super) fn one_of<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> starlark::Result<Option<T>> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| value.unpack_str() == Some(word));
        let known = || words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        found.map(|(_, meant)| Some(*meant)).ok_or_else(|| self.args.wrong(name, &format!("one of {}", known()), value))
    }

    /// A label selector, or a dict of labels and the values that they must have.
    pub(super) fn labels(&mut self) -> starlark::Result<Option<String>> {
        self.selector("labels", |name, value| {
            let plain = |text: &str, also: &str| {
                text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c) || also.contains(c))
            };
            let fits = !name.is_empty() && plain(name, "/") && plain(value, "");
            fits.then(|| format!("{name}={value}"))
        })
    }

    /// A field selector, or a dict of fields and the values that they must have.
    pub(super) fn fields(&mut self) -> starlark::Result<Option<String>> {
        self.selector("fields", |name, value| {
            let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./[]".contains(c));
            let escaped = value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            fits.then(|| format!("{name}={escaped}"))
        })
    }

    fn selector(
        &mut self,
        name: &str,
        requirement: impl Fn(&str, &str) -> Option<String>,
    ) -> starlark::Result<Option<String>> {
        let Some(value) = self.given(name) else { return Ok(None) };
        if value.unpack_str().is_some() {
            return self.args.text(name, value).map(Some);
        }
        let wrong = || self.args.wrong(name, "a selector as a str, or a dict of names and values", value);
        let pairs = DictRef::from_value(value).ok_or_else(wrong)?;
        let each = pairs.iter().map(|(name, value)| requirement(name.unpack_str()?, value.unpack_str()?));
        let all: Option<Vec<String>> = each.collect();
        all.map(|all| Some(all.join(",")).filter(|all| !all.is_empty())).ok_or_else(wrong)
    }

    /// A value as one JSON text.
    pub(super) fn json(&self, name: &str, value: Value<'v>) -> starlark::Result<String> {
        json_encode::encode(value, None).map_err(|wrong| self.args.error(format_args!("{name}: {wrong}")))
    }

    /// An argument given by name and not as None.
    fn given(&mut self, name: &str) -> Option<Value<'v>> {
        self.args.take(name).filter(|value| !value.is_none())
    }
}
