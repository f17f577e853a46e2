//! The capabilities: one file for each WIT interface that a guest imports, and the one list of them.
//!
//! A privileged call goes through the [gate](crate::gate): its effect takes the permit and acts on what the permit holds.
//! `docs/adding-a-capability.md` lists what a new one takes.

mod blocking;
mod client;
mod fork;
mod fs;
mod k8s;
mod kv;
mod log;
mod os;
mod pure;
mod server;
pub(crate) mod source;
mod sql;
mod timer;
mod tool;
mod types;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::starcell::guest as interfaces;
use crate::state::State;

/// Links the functions of one interface.
type Link = fn(&mut Linker<State>) -> wasmtime::Result<()>;

/// Links what bindgen made of an interface, whose functions are those of `State`.
macro_rules! generated {
    ($interface:ident) => {
        |linker| interfaces::$interface::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
    };
}

/// The interfaces that a guest imports, as `world` of wit/ names them, in its order.
const INTERFACES: [(&str, Link); 14] = [
    ("client", generated!(client)),
    ("fork", fork::link),
    ("fs", generated!(fs)),
    ("k8s", generated!(k8s)),
    ("kv", generated!(kv)),
    ("log", generated!(log)),
    ("os", generated!(os)),
    ("server", generated!(server)),
    ("source", generated!(source)),
    ("sql", generated!(sql)),
    ("timer", generated!(timer)),
    ("tool", generated!(tool)),
    ("wasi:clocks/wall-clock@0.2.12", pure::link_clock),
    ("wasi:random/random@0.2.12", pure::link_random),
];

/// A linker with all that a guest may import, and nothing else.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    for (_, link) in INTERFACES {
        link(&mut linker)?;
    }
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interfaces_are_those_of_the_world() {
        let world = include_str!("../../../wit/world.wit");
        let imports = world.lines().filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'));
        assert_eq!(imports.collect::<Vec<_>>(), INTERFACES.map(|(name, _)| name));
    }
}
