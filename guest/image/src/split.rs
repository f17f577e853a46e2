//! Splitting: the guest component goes in, the same component without its memory and the memory's
//! image come out.
//!
//! **The decision.** The core module type, the import of `image` and its instance are put before
//! everything else, so each is number 0 of its kind and every other core type, core module and core
//! instance of the top level moves up by one. Nested components and types have numbers of their
//! own, which stay as they are; only where they name the top level from inside (an outer alias) do
//! they follow. In the main module the imported memory and stack pointer come first, hence both
//! keep number 0, no function moves, and its code is copied byte by byte.
//!
//! **The attack it answers.** A rewrite that is wrong in one number hands a guest the wrong
//! function. So the input is validated before anything is read from it, and the output before it is
//! handed out.

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, RoundtripReencoder, component_utils, utils};
use wasm_encoder::{
    Component, ComponentImportSection, ComponentSectionId, ComponentTypeRef, CoreTypeSection, EntityType,
    GlobalSection, ImportSection, InstanceSection, Module, ModuleArg, ModuleType, NameSection, RawSection,
};
use wasmparser::{Instance, Parser, Payload, Validator, WasmFeatures};

use crate::check::{self, Main};
use crate::direct::direct;
use crate::error::SplitError;
use crate::format::{IMAGE_IMPORT, MEMORY_EXPORT, STACK_POINTER_EXPORT, STACK_POINTER_TYPE, memory_type};
use crate::handles;
use crate::image::image;
use crate::outline::Outline;

/// A component and the memory that was taken out of it.
#[derive(Clone, Debug)]
pub struct Split {
    /// The component, which imports a core module [`IMAGE_IMPORT`].
    pub component: Vec<u8>,
    /// The base image: the memory and the stack pointer as the component had them.
    pub base: Vec<u8>,
    /// The size of the memory in 64 KiB. Every image must have at least this.
    pub memory_pages: u64,
    /// The most that the memory may grow to, in 64 KiB. If there is one, every image must have one
    /// that is no larger.
    pub maximum_pages: Option<u64>,
    /// The initial stack pointer.
    pub stack_pointer: u32,
}

/// Splits a component that wit-component made from one core module.
///
/// The main module is the largest core module; the others are wit-component's own.
///
/// # Errors
///
/// A [`SplitError`] that names what a fork could not capture, or why the bytes are not a component.
pub fn split(component: &[u8]) -> Result<Split, SplitError> {
    validate(component).map_err(SplitError::Invalid)?;
    handles::check(component)?;
    let outline = Outline::read(component)?;
    let (index, main) = check_modules(component, &outline)?;

    let mut rewriter = Rewriter { depth: 0, next_module: 0, main_index: index, main: &main };
    let mut output = Component::new();
    prepend_image(&mut output, &main);
    rewriter.parse_component(&mut output, Parser::new(0), component)?;
    let output = direct(&output.finish())?;
    validate(&output).map_err(SplitError::Output)?;

    Ok(Split {
        component: output,
        base: image(&main.memory, 0, main.stack_pointer, main.memory_pages, main.maximum_pages),
        memory_pages: main.memory_pages,
        maximum_pages: main.maximum_pages,
        stack_pointer: main.stack_pointer,
    })
}

/// Every feature is on: what may run is the engine's decision, and what may be forked is decided by
/// the checks.
fn validate(binary: &[u8]) -> Result<(), wasmparser::Error> {
    Validator::new_with_features(WasmFeatures::all()).validate_all(binary).map(|_| ())
}

/// Checks every module; gives the index of the main one and what the image takes from it.
fn check_modules(component: &[u8], outline: &Outline) -> Result<(u32, Main), SplitError> {
    if outline.imports.iter().any(|name| name == IMAGE_IMPORT) {
        return Err(SplitError::AlreadySplit);
    }
    if let Some(found) = outline.foreign {
        return Err(SplitError::ForeignModule { found });
    }
    if outline.start {
        return Err(SplitError::Start { place: "the component".to_owned() });
    }

    let modules = || outline.modules.iter().zip(0_u32..);
    let (_, index) = modules().max_by_key(|(range, _)| range.len()).ok_or(SplitError::NoModule)?;
    let count = outline.instantiated.iter().filter(|module| **module == index).count();
    if count != 1 {
        return Err(SplitError::MainInstances { count });
    }

    let mut main = None;
    for (range, module) in modules() {
        let bytes = component.get(range.clone()).unwrap_or_default();
        if module == index {
            main = Some(check::main_module(bytes)?);
        } else {
            check::other_module(bytes, module)?;
        }
    }
    main.map(|main| (index, main)).ok_or(SplitError::NoModule)
}

/// Writes the image's type, import and instance, each the first of its kind.
fn prepend_image(component: &mut Component, main: &Main) {
    let mut image = ModuleType::new();
    image.export(MEMORY_EXPORT, memory_import(main));
    image.export(STACK_POINTER_EXPORT, EntityType::Global(STACK_POINTER_TYPE));
    let mut types = CoreTypeSection::new();
    types.ty().module(&image);

    let mut imports = ComponentImportSection::new();
    imports.import(IMAGE_IMPORT, ComponentTypeRef::Module(0));

    let mut instances = InstanceSection::new();
    instances.instantiate::<[(&str, ModuleArg); 0], &str>(0, []);

    component.section(&types).section(&imports).section(&instances);
}

fn memory_import(main: &Main) -> EntityType {
    EntityType::Memory(memory_type(main.memory_pages, main.maximum_pages))
}

/// Copies a component, moves the numbers of the top level up by one and replaces the main module.
#[derive(Debug)]
struct Rewriter<'a> {
    /// How many components or types enclose the current one.
    depth: u32,
    next_module: u32,
    main_index: u32,
    main: &'a Main,
}

impl Rewriter<'_> {
    /// The new number of something that is defined `count` levels above the current one.
    fn moved(&self, count: u32, index: u32) -> u32 {
        index + u32::from(count == self.depth)
    }
}

impl Reencode for Rewriter<'_> {
    type Error = SplitError;

    /// Core types of a component. Those of core modules never come here, because modules are copied
    /// whole.
    fn type_index(&mut self, ty: u32) -> Result<u32, Error<SplitError>> {
        Ok(self.moved(0, ty))
    }
}

impl ReencodeComponent for Rewriter<'_> {
    fn push_depth(&mut self) {
        self.depth += 1;
    }

    fn pop_depth(&mut self) {
        self.depth -= 1;
    }

    fn module_index(&mut self, module: u32) -> u32 {
        self.moved(0, module)
    }

    fn instance_index(&mut self, instance: u32) -> u32 {
        self.moved(0, instance)
    }

    fn outer_module_index(&mut self, count: u32, module: u32) -> u32 {
        self.moved(count, module)
    }

    fn outer_type_index(&mut self, count: u32, ty: u32) -> Result<u32, Error<SplitError>> {
        Ok(self.moved(count, ty))
    }

    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _parser: Parser,
        module: &[u8],
    ) -> Result<(), Error<SplitError>> {
        // The checks leave no core module below the top level.
        let rewritten;
        let mut data = module;
        if self.next_module == self.main_index {
            rewritten = rewrite_main(module, self.main).map_err(Error::UserError)?;
            data = &rewritten;
        }
        self.next_module += 1;
        component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data });
        Ok(())
    }

    fn parse_instance(
        &mut self,
        instances: &mut InstanceSection,
        instance: Instance<'_>,
    ) -> Result<(), Error<SplitError>> {
        match instance {
            Instance::Instantiate { module_index, args } if self.depth == 0 && module_index == self.main_index => {
                let args: Vec<_> = args
                    .iter()
                    .map(|arg| (arg.name, self.instance_index(arg.index)))
                    .chain([(IMAGE_IMPORT, 0)])
                    .map(|(name, index)| (name, ModuleArg::Instance(index)))
                    .collect();
                instances.instantiate(self.module_index(module_index), args);
                Ok(())
            }
            other => component_utils::parse_instance(self, instances, other),
        }
    }
}

/// Replaces the memory, the stack pointer and the data of the main module by imports.
fn rewrite_main(module: &[u8], main: &Main) -> Result<Vec<u8>, SplitError> {
    let mut output = Module::new();
    let mut first = ImportSection::new();
    first.import(IMAGE_IMPORT, MEMORY_EXPORT, memory_import(main)).import(
        IMAGE_IMPORT,
        STACK_POINTER_EXPORT,
        STACK_POINTER_TYPE,
    );
    let mut imports = Some(first);

    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        match &payload {
            Payload::Version { .. } | Payload::TypeSection(_) | Payload::CustomSection(_) => {}
            Payload::ImportSection(section) => {
                if let Some(mut imports) = imports.take() {
                    RoundtripReencoder.parse_import_section(&mut imports, section.clone())?;
                    output.section(&imports);
                }
                continue;
            }
            _ => {
                // Any other section, or the end, comes after the imports.
                if let Some(imports) = imports.take() {
                    output.section(&imports);
                }
            }
        }
        match payload {
            Payload::MemorySection(_) | Payload::DataCountSection { .. } | Payload::DataSection(_) => {}
            Payload::GlobalSection(section) => {
                let mut globals = GlobalSection::new();
                for global in section.into_iter().skip(1) {
                    RoundtripReencoder.parse_global(&mut globals, global?)?;
                }
                if !globals.is_empty() {
                    output.section(&globals);
                }
            }
            Payload::CustomSection(section) => KeepNames.parse_custom_section(&mut output, section)?,
            other => {
                if let Some((id, range)) = other.as_section() {
                    let data = module.get(range).unwrap_or_default();
                    output.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(output.finish())
}

/// Copies custom sections, and of the names all but those of data segments, which the module no
/// longer has.
#[derive(Debug)]
struct KeepNames;

impl Reencode for KeepNames {
    type Error = std::convert::Infallible;

    fn parse_custom_name_subsection(
        &mut self,
        names: &mut NameSection,
        section: wasmparser::Name<'_>,
    ) -> Result<(), Error> {
        match section {
            wasmparser::Name::Data(_) => Ok(()),
            other => utils::parse_custom_name_subsection(self, names, other),
        }
    }
}
