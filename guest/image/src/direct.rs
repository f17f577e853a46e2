//! Direct imports: what stands between the main module and the functions it imports is taken out.
//!
//! A function that returns a text needs an allocator to put it into, which is the main module's own.
//! So it cannot exist before the main module, which needs it to come into being. wit-component solves
//! this with two more modules: a shim with a table and one function for each import, and a fixup that
//! fills the table afterwards. Both are instantiated for every request, with a function reference for
//! each import, and that was a fifth of what a fork cost.
//!
//! **The decision.** Once the memory comes from the image it exists before the main module, so only
//! the allocator is missing. A module of one function and a table of one place stands in for it, and
//! the main module puts its own allocator there as it is instantiated. Everything else is imported
//! directly.
//!
//! **The attack it answers.** As with splitting: one wrong number hands a guest the wrong function. What
//! has not exactly the shape that wit-component makes is left as it is, and the output is validated.

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, component_utils, utils};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, CodeSection, Component, ComponentAliasSection,
    ComponentSectionId, ConstExpr, ElementSection, Elements, ExportKind, ExportSection, FunctionSection, ImportSection,
    InstanceSection, Module, ModuleArg, RawSection, RefType, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ElementSectionReader, ExternalKind, ImportSectionReader, Instance, Parser,
    Payload,
};

use crate::split::MEMORY_EXPORT;
use crate::{SplitError, outline::Outline};

/// The table that wit-component's shim exports.
const SHIM_TABLE: &str = "$imports";

/// The name under which the main module imports the allocator's place.
const ALLOCATOR_IMPORT: &str = "allocator";

/// The table with that place.
const PLACE_EXPORT: &str = "place";

/// The function that calls what is in the place.
const CALL_EXPORT: &str = "call";

/// The numbers that the rewritten part starts with: the image is there, the allocator's stand-in comes next.
const IMAGE_INSTANCE: u32 = 0;
const ALLOCATOR_INSTANCE: u32 = 1;

/// Takes the shim out of a component that was split from its memory. One that has none is given back as it is.
pub(crate) fn direct(component: &[u8]) -> Result<Vec<u8>, SplitError> {
    let Some(plan) = Plan::read(component)? else { return Ok(component.to_vec()) };
    let mut rewriter = Rewriter { plan, depth: 0, modules: 0, instances: 0, done: false, map: Map::default() };
    let mut output = Component::new();
    rewriter.parse_component(&mut output, Parser::new(0), component)?;
    Ok(output.finish())
}

/// The core part of a component's top level up to the fixup, as wit-component makes it.
#[derive(Debug, Default)]
struct Plan<'a> {
    instances: Vec<Instance<'a>>,
    functions: Vec<Function<'a>>,
    tables: Vec<(u32, &'a str)>,
    memories: Vec<(u32, &'a str)>,
    main: u32,
    main_module: u32,
    /// The main module's allocator, as a function of that module.
    allocator: u32,
    shim: u32,
    fixup: u32,
    /// The instance whose exports the fixup puts into the shim's table.
    fillings: u32,
}

/// A core function of the top level.
#[derive(Debug)]
enum Function<'a> {
    Export(u32, &'a str),
    Lowered(u32, Box<[wasmparser::CanonicalOption]>),
}

impl<'a> Plan<'a> {
    /// None when there is no shim, or something that this rewriting does not know.
    fn read(component: &'a [u8]) -> Result<Option<Self>, SplitError> {
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

    /// Whether the instance that came last is the fixup.
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
        // Every place of the shim has a function for it, or the shape is another.
        let shimmed = |function: &&Function<'_>| matches!(function, Function::Export(of, _) if *of == *shim);
        self.functions.iter().filter(shimmed).all(|function| self.behind(function).is_some())
    }

    /// The function that the fixup puts where one of the shim calls.
    fn behind(&self, function: &Function<'_>) -> Option<u32> {
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

/// New numbers of what the top level defines, at the place of the old one.
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

    /// Writes all that the fixup completes, in an order in which nothing is missing when it is asked for.
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

    /// The imported interfaces as the main module gets them.
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

    /// The main module's instance, and what was taken from it before the fixup.
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

    /// One alias of the top level, when the core part is written or it is none of that.
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

/// The number of something that is not in the output.
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

/// Gives the main module a table to import, before its own, and puts its allocator there. This comes after all that
/// the module has, so that an engine can still fill the large table lazily.
#[derive(Debug)]
struct Place {
    allocator: u32,
}

impl Reencode for Place {
    type Error = SplitError;

    fn table_index(&mut self, table: u32) -> Result<u32, Error<SplitError>> {
        Ok(table + 1)
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error<SplitError>> {
        utils::parse_import_section(self, imports, section)?;
        imports.import(ALLOCATOR_IMPORT, PLACE_EXPORT, place_type());
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        section: ElementSectionReader<'_>,
    ) -> Result<(), Error<SplitError>> {
        utils::parse_element_section(self, elements, section)?;
        elements.active(None, &ConstExpr::i32_const(0), Elements::Functions((&[self.allocator][..]).into()));
        Ok(())
    }
}

fn place_type() -> TableType {
    TableType { element_type: RefType::FUNCREF, table64: false, minimum: 1, maximum: Some(1), shared: false }
}

/// The module that stands in for the allocator: calls what is in its place.
fn stand_in() -> Vec<u8> {
    const PARAMETERS: u32 = 4;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; PARAMETERS as usize], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut tables = TableSection::new();
    tables.table(place_type());
    let mut exports = ExportSection::new();
    exports.export(CALL_EXPORT, ExportKind::Func, 0).export(PLACE_EXPORT, ExportKind::Table, 0);
    let mut call = wasm_encoder::Function::new([]);
    let mut code = call.instructions();
    for parameter in 0..PARAMETERS {
        code.local_get(parameter);
    }
    code.i32_const(0).call_indirect(0, 0).end();
    let mut bodies = CodeSection::new();
    bodies.function(&call);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&exports).section(&bodies);
    module.finish()
}
