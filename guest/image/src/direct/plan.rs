//! Reads how wit-component arranged the imports: which instance is the shim, which one the fixup, and which function
//! stands behind each function of the shim.

use wasmparser::{CanonicalFunction, ComponentAlias, ExternalKind, Instance, Parser, Payload};

use crate::error::SplitError;
use crate::outline::Outline;

/// The table that wit-component's shim exports.
const SHIM_TABLE: &str = "$imports";

/// The core part of a component's top level up to the fixup, as wit-component makes it.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    pub(super) instances: Vec<Instance<'a>>,
    pub(super) functions: Vec<Function<'a>>,
    pub(super) tables: Vec<(u32, &'a str)>,
    pub(super) memories: Vec<(u32, &'a str)>,
    pub(super) main: u32,
    pub(super) main_module: u32,
    /// The main module's allocator, as a function of that module.
    pub(super) allocator: u32,
    pub(super) shim: u32,
    pub(super) fixup: u32,
    /// The instance whose exports the fixup puts into the shim's table.
    pub(super) fillings: u32,
}

/// A core function of the top level.
#[derive(Debug)]
pub(super) enum Function<'a> {
    Export(u32, &'a str),
    Lowered(u32, Box<[wasmparser::CanonicalOption]>),
}

impl<'a> Plan<'a> {
    /// Reads the plan of a component; none when there is no shim, or anything that the rewriting does not know.
    pub(super) fn read(component: &'a [u8]) -> Result<Option<Self>, SplitError> {
        let outline = Outline::read(component)?;
        let Some((range, main_module)) = outline.modules.iter().zip(1_u32..).max_by_key(|(range, _)| range.len())
        else {
            return Ok(None);
        };
        let Some(allocator) = allocator(component.get(range.clone()).unwrap_or_default())? else { return Ok(None) };
        let mut plan = Self { main_module, allocator, ..Self::default() };
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                _ if depth != 1 => {}
                Payload::InstanceSection(section) => {
                    for instance in section {
                        plan.instances.push(instance?);
                        if plan.recognise() {
                            return Ok(Some(plan));
                        }
                    }
                }
                Payload::ComponentAliasSection(section) => {
                    for alias in section {
                        plan.alias(&alias?);
                    }
                }
                Payload::ComponentCanonicalSection(section) => {
                    for function in section {
                        match function? {
                            CanonicalFunction::Lower { func_index, options } => {
                                plan.functions.push(Function::Lowered(func_index, options));
                            }
                            _ => return Ok(None),
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn alias(&mut self, alias: &ComponentAlias<'a>) {
        if let ComponentAlias::CoreInstanceExport { kind, instance_index, name } = *alias {
            match kind {
                ExternalKind::Func => self.functions.push(Function::Export(instance_index, name)),
                ExternalKind::Table => self.tables.push((instance_index, name)),
                ExternalKind::Memory => self.memories.push((instance_index, name)),
                _ => {}
            }
        }
    }

    /// Notes the last instance if it is the main module's; returns whether it is the fixup.
    fn recognise(&mut self) -> bool {
        let number = self.instances.len().saturating_sub(1) as u32;
        let Some(Instance::Instantiate { module_index, args }) = self.instances.last() else { return false };
        if *module_index == self.main_module {
            self.main = number;
            return false;
        }
        let [fillings] = &**args else { return false };
        let Some(Instance::FromExports(exports)) = self.instances.get(fillings.index as usize) else { return false };
        let filled = exports.iter().find(|export| export.name == SHIM_TABLE && export.kind == ExternalKind::Table);
        let Some((shim, SHIM_TABLE)) = filled.and_then(|table| self.tables.get(table.index as usize)) else {
            return false;
        };
        (self.shim, self.fixup, self.fillings) = (*shim, number, fillings.index);
        // The fixup fills every place of the shim, or the component has another shape.
        let shimmed = |function: &&Function<'_>| matches!(function, Function::Export(of, _) if *of == *shim);
        self.functions.iter().filter(shimmed).all(|function| self.behind(function).is_some())
    }

    /// The function that the fixup puts where one of the shim calls.
    pub(super) fn behind(&self, function: &Function<'_>) -> Option<u32> {
        let Function::Export(_, name) = function else { return None };
        let Instance::FromExports(exports) = self.instances.get(self.fillings as usize)? else { return None };
        exports.iter().find(|export| export.name == *name && export.kind == ExternalKind::Func).map(|found| found.index)
    }
}

/// The allocator of the main module, if it has one and a table of its own: the place is put before that.
fn allocator(module: &[u8]) -> Result<Option<u32>, SplitError> {
    let (mut found, mut elements) = (None, false);
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.name == "cabi_realloc" && export.kind == ExternalKind::Func {
                        found = Some(export.index);
                    }
                }
            }
            Payload::ElementSection(_) => elements = true,
            _ => {}
        }
    }
    Ok(found.filter(|_| elements))
}
