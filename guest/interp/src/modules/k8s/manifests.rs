//! Objects as scripts hand them over: a dict, a list of dicts, or the text of a YAML file with one document for each.
//!
//! All of them are read before the first one is sent, so that a mistake in the last one changes nothing.

use starlark::eval::Evaluator;
use starlark::values::dict::DictRef;
use starlark::values::list::{AllocList, ListRef};
use starlark::values::{Heap, UnpackValue, Value};

use super::arguments::{json, owned};
use crate::bytes::Bytes;
use crate::error::usage;
use crate::given::{Text, wrong};
use crate::host::Manifest;
use crate::modules::text::document;
use crate::modules::yaml;

/// What an error says of an object.
const EXPECTED: &str = "a dict, a list of dicts or a YAML text";

/// The objects of one call.
pub(super) struct Manifests {
    all: Vec<Manifest>,
    /// Whether the answer is a list.
    several: bool,
}

/// What a call says of all of its objects.
#[derive(Clone, Copy)]
pub(super) struct Common<'v> {
    pub(super) kind: Option<Text<'v>>,
    pub(super) namespace: Option<Text<'v>>,
    pub(super) dry_run: bool,
}

impl Manifests {
    /// Reads what a script hands over.
    pub(super) fn of<'v>(object: Value<'v>, common: Common<'v>, heap: Heap<'v>) -> starlark::Result<Self> {
        let (objects, several) = if DictRef::from_value(object).is_some() {
            (vec![object], false)
        } else if let Some(list) = ListRef::from_value(object) {
            (list.content().to_vec(), true)
        } else if let Ok(Some(text)) = Bytes::unpack_value(object) {
            let documents = documents(text, heap)?;
            let several = documents.len() > 1;
            (documents, several)
        } else {
            return Err(wrong("object", EXPECTED, object));
        };
        if objects.is_empty() {
            return Err(usage("object holds no manifest"));
        }
        let manifest = |(number, object): (usize, Value<'v>)| {
            let name =
                if objects.len() > 1 { format!("object {} of {}", number + 1, objects.len()) } else { "object".into() };
            if DictRef::from_value(object).is_none() {
                return Err(wrong(&name, "a dict", object));
            }
            let Common { kind, namespace, dry_run } = common;
            Ok(Manifest {
                object: json(&name, object)?,
                kind: kind.map(owned),
                namespace: namespace.map(owned),
                dry_run,
            })
        };
        let all = objects.iter().copied().enumerate().map(manifest).collect::<starlark::Result<_>>()?;
        Ok(Self { all, several })
    }

    /// Does something with each object in turn until one fails, and returns what became of them: a list where there may
    /// be several.
    pub(super) fn each<'v>(
        self,
        eval: &Evaluator<'v, '_, '_>,
        mut act: impl FnMut(&Manifest) -> starlark::Result<Value<'v>>,
    ) -> starlark::Result<Value<'v>> {
        let mut done = self.all.iter().map(&mut act).collect::<starlark::Result<Vec<_>>>()?;
        match (self.several, done.pop()) {
            (false, Some(only)) => Ok(only),
            (_, last) => Ok(eval.heap().alloc(AllocList(done.into_iter().chain(last)))),
        }
    }
}

/// The documents of a YAML text. One without content is none: files often begin or end with a line of dashes.
fn documents<'v>(text: Bytes<'v>, heap: Heap<'v>) -> starlark::Result<Vec<Value<'v>>> {
    let all = yaml::read::all(document(text)?, heap)?;
    let all = ListRef::from_value(all).map(|all| all.content().to_vec()).unwrap_or_default();
    Ok(all.into_iter().filter(|document| !document.is_none()).collect())
}
