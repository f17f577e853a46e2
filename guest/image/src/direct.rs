//! Direct imports: the modules between the main module and the functions it imports are taken out.
//!
//! An imported function that returns a text needs the main module's allocator for the text. So the
//! function cannot exist before the main module, and the main module cannot exist before its imports.
//! wit-component solves this with two more modules: a shim with a table and one function for each
//! import, and a fixup that fills the table afterwards. Both were instantiated for every fork, with a
//! function reference for each import, and that was a fifth of the cost of a fork.
//!
//! **The decision.** Once the memory comes from the image it exists before the main module, so only
//! the allocator is missing. A module of one function and a table of one place stands in for it, and
//! the main module puts its own allocator there as it is instantiated. Everything else is imported
//! directly.
//!
//! **The attack it answers.** As with splitting, one wrong number hands a guest the wrong function. A
//! component that has not exactly the shape that wit-component makes is not touched, and the output is
//! validated.

mod plan;
mod stand_in;

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, component_utils, utils};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection, ComponentSectionId, ExportKind,
    InstanceSection, Module, ModuleArg, RawSection,
};
use wasmparser::{ComponentAlias, ExternalKind, Instance, Parser, Payload};

use self::plan::{Function, Plan};
use self::stand_in::{ALLOCATOR_IMPORT, CALL_EXPORT, Place, stand_in};
use crate::error::SplitError;
use crate::format::MEMORY_EXPORT;

/// The first core instances of the output: the image, then the stand-in for the allocator.
const IMAGE_INSTANCE: u32 = 0;
const ALLOCATOR_INSTANCE: u32 = 1;

/// Takes the shim out of a component that was split from its memory. A component without a shim is returned unchanged.
pub(crate) fn direct(component: &[u8]) -> Result<Vec<u8>, SplitError> {
    let Some(plan) = Plan::read(component)? else { return Ok(component.to_vec()) };
    let mut rewriter = Rewriter { plan, depth: 0, modules: 0, instances: 0, done: false, map: Map::default() };
    let mut output = Component::new();
    rewriter.parse_component(&mut output, Parser::new(0), component)?;
    Ok(output.finish())
}

/// The new number of each item of the top level, at the index of its old number.
#[derive(Debug, Default)]
struct Map {
    instances: Vec<u32>,
    functions: Vec<u32>,
    memories: Vec<u32>,
    /// How many functions and instances the output has.
    next_function: u32,
    next_instance: u32,
}

#[derive(Debug)]
struct Rewriter<'a> {
    plan: Plan<'a>,
    /// How many components or types enclose the current one.
    depth: u32,
    /// Core modules and core instances met so far.
    modules: u32,
    instances: u32,
    /// Whether the core part is written.
    done: bool,
    map: Map,
}

impl Rewriter<'_> {
    fn moved(&self, map: &[u32], index: u32) -> Result<u32, Error<SplitError>> {
        if self.depth != 0 {
            return Ok(index);
        }
        map.get(index as usize).copied().filter(|new| *new != NOWHERE).ok_or_else(|| defect("a number leads nowhere"))
    }

    /// Writes everything that the fixup completes, each item before the first one that needs it.
    fn core(&mut self, output: &mut Component) -> Result<(), Error<SplitError>> {
        let mut instances = InstanceSection::new();
        // The stand-in is the last module; see `parse_component_submodule`.
        instances.instantiate::<[(&str, ModuleArg); 0], &str>(STAND_IN_MODULE, []);
        let mut aliases = ComponentAliasSection::new();
        aliases.alias(export(IMAGE_INSTANCE, ExportKind::Memory, MEMORY_EXPORT));
        aliases.alias(export(ALLOCATOR_INSTANCE, ExportKind::Func, CALL_EXPORT));
        output.section(&instances).section(&aliases);
        self.map.next_instance = 2;
        self.map.next_function = 1;

        self.lower(output);
        self.bags(output)?;
        self.main_instance(output)?;
        self.done = true;
        Ok(())
    }

    /// The imported functions, with the image's memory and the stand-in for the allocator.
    fn lower(&mut self, output: &mut Component) {
        let mut lowered = CanonicalFunctionSection::new();
        self.map.functions = vec![NOWHERE; self.plan.functions.len()];
        for (function, new) in self.plan.functions.iter().zip(&mut self.map.functions) {
            if let Function::Lowered(imported, options) = function {
                let options = options.iter().map(|option| match option {
                    wasmparser::CanonicalOption::Memory(_) => CanonicalOption::Memory(0),
                    wasmparser::CanonicalOption::Realloc(_) => CanonicalOption::Realloc(0),
                    other => (*other).into(),
                });
                lowered.lower(*imported, options.collect::<Vec<_>>());
                *new = self.map.next_function;
                self.map.next_function += 1;
            }
        }
        output.section(&lowered);
        for (index, function) in self.plan.functions.iter().enumerate() {
            if matches!(function, Function::Export(of, _) if *of == self.plan.shim) {
                let behind = self.plan.behind(function).and_then(|behind| self.map.functions.get(behind as usize));
                let behind = behind.copied().unwrap_or(NOWHERE);
                if let Some(new) = self.map.functions.get_mut(index) {
                    *new = behind;
                }
            }
        }
    }

    /// The imported interfaces, each an instance made of lowered functions.
    fn bags(&mut self, output: &mut Component) -> Result<(), Error<SplitError>> {
        let mut instances = InstanceSection::new();
        self.map.instances = vec![NOWHERE; self.plan.instances.len()];
        if let Some(image) = self.map.instances.first_mut() {
            *image = IMAGE_INSTANCE;
        }
        for number in 1..self.plan.main {
            let Some(Instance::FromExports(exports)) = self.plan.instances.get(number as usize) else { continue };
            let mut items = Vec::new();
            for export in exports {
                if export.kind != ExternalKind::Func {
                    return Err(defect("an imported interface has more than functions"));
                }
                items.push((export.name, ExportKind::Func, self.moved(&self.map.functions, export.index)?));
            }
            instances.export_items(items);
            if let Some(new) = self.map.instances.get_mut(number as usize) {
                *new = self.map.next_instance;
            }
            self.map.next_instance += 1;
        }
        output.section(&instances);
        Ok(())
    }

    /// The main module's instance, and the functions of it that the input aliased before the fixup.
    fn main_instance(&mut self, output: &mut Component) -> Result<(), Error<SplitError>> {
        let main = self.plan.main;
        let Some(Instance::Instantiate { args, .. }) = self.plan.instances.get(main as usize) else {
            return Err(defect("the main module has no instance"));
        };
        let mut given = vec![(ALLOCATOR_IMPORT, ModuleArg::Instance(ALLOCATOR_INSTANCE))];
        for arg in args {
            given.push((arg.name, ModuleArg::Instance(self.moved(&self.map.instances, arg.index)?)));
        }
        let mut instances = InstanceSection::new();
        instances.instantiate(MAIN_MODULE, given);
        let new = self.map.next_instance;
        self.map.next_instance += 1;
        if let Some(place) = self.map.instances.get_mut(main as usize) {
            *place = new;
        }

        let mut aliases = ComponentAliasSection::new();
        for (function, place) in self.plan.functions.iter().zip(&mut self.map.functions) {
            if let Function::Export(of, name) = function
                && *of == main
            {
                aliases.alias(export(new, ExportKind::Func, name));
                *place = self.map.next_function;
                self.map.next_function += 1;
            }
        }
        // The only memory is the image's, under whatever name.
        self.map.memories = vec![0; self.plan.memories.len()];
        output.section(&instances).section(&aliases);
        Ok(())
    }

    /// Writes an alias of the top level, unless it belongs to the core part, which `core` writes.
    fn alias(&mut self, output: &mut Component, alias: ComponentAlias<'_>) -> Result<(), Error<SplitError>> {
        if let ComponentAlias::CoreInstanceExport { kind, .. } = alias {
            if !self.done {
                return Ok(());
            }
            if kind != ExternalKind::Func {
                return Err(defect("something other than a function is taken from an instance"));
            }
            self.map.functions.push(self.map.next_function);
            self.map.next_function += 1;
        }
        let mut aliases = ComponentAliasSection::new();
        aliases.alias(self.component_alias(alias)?);
        output.section(&aliases);
        Ok(())
    }
}

/// The image's type is import 0; these are the first modules of the component itself.
const MAIN_MODULE: u32 = 1;
const STAND_IN_MODULE: u32 = 2;

/// The number of an item that is not in the output.
const NOWHERE: u32 = u32::MAX;

fn export<'a>(instance: u32, kind: ExportKind, name: &'a str) -> Alias<'a> {
    Alias::CoreInstanceExport { instance, kind, name }
}

fn defect(reason: &str) -> Error<SplitError> {
    Error::UserError(SplitError::Reencode { reason: reason.to_owned() })
}

impl Reencode for Rewriter<'_> {
    type Error = SplitError;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<SplitError>> {
        self.moved(&self.map.functions, function)
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, Error<SplitError>> {
        self.moved(&self.map.memories, memory)
    }
}

impl ReencodeComponent for Rewriter<'_> {
    fn push_depth(&mut self) {
        self.depth += 1;
    }

    fn pop_depth(&mut self) {
        self.depth -= 1;
    }

    fn instance_index(&mut self, instance: u32) -> u32 {
        self.moved(&self.map.instances, instance).unwrap_or(NOWHERE)
    }

    fn parse_component_payload(
        &mut self,
        output: &mut Component,
        payload: Payload<'_>,
        whole: &[u8],
    ) -> Result<(), Error<SplitError>> {
        match payload {
            Payload::InstanceSection(section) if self.depth == 0 => {
                for instance in section {
                    let number = self.instances;
                    self.instances += 1;
                    if number == IMAGE_INSTANCE {
                        let mut instances = InstanceSection::new();
                        component_utils::parse_instance(self, &mut instances, instance?)?;
                        output.section(&instances);
                    } else if number == self.plan.fixup {
                        self.core(output)?;
                    } else if self.done {
                        return Err(defect("there is an instance behind the fixup"));
                    }
                }
                Ok(())
            }
            Payload::ComponentAliasSection(section) if self.depth == 0 => {
                section.into_iter().try_for_each(|alias| self.alias(output, alias?))
            }
            Payload::ComponentCanonicalSection(section) if self.depth == 0 && !self.done => {
                // Only lowered functions come before the fixup, and they are written with it.
                section.into_iter().try_for_each(|function| function.map(|_| ()).map_err(Error::ParseError))
            }
            other => component_utils::parse_component_payload(self, output, other, whole),
        }
    }

    /// Of the modules only the main one stays; the stand-in for its allocator follows it.
    fn parse_component_submodule(
        &mut self,
        output: &mut Component,
        parser: Parser,
        module: &[u8],
    ) -> Result<(), Error<SplitError>> {
        self.modules += 1;
        if self.modules != self.plan.main_module {
            return Ok(());
        }
        let mut main = Module::new();
        let mut place = Place { allocator: self.plan.allocator };
        utils::parse_core_module(&mut place, &mut main, parser, module)?;
        for data in [main.finish(), stand_in()] {
            output.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: &data });
        }
        Ok(())
    }
}
