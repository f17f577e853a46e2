//! The top level of a component: what it imports and exports, and where its core modules are.
//!
//! Only imports of the top level are listed, because they are all that a component can reach: a
//! nested component gets what its parent passes. Core modules are accepted at the top level only,
//! so that a module's position there is its index and none escapes the checks.

use std::ops::Range;

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentTypeRef, Encoding, Instance, Parser,
    Payload,
};

use crate::error::SplitError;

/// The names of a component's imports as the binary spells them (`starcell:guest/log@0.1.0`),
/// sorted.
///
/// # Errors
///
/// If the bytes are not a component.
pub fn imports(component: &[u8]) -> Result<Vec<String>, SplitError> {
    Ok(Outline::read(component)?.imports)
}

/// The names of a component's exports as the binary spells them, sorted.
///
/// # Errors
///
/// If the bytes are not a component.
pub fn exports(component: &[u8]) -> Result<Vec<String>, SplitError> {
    Ok(Outline::read(component)?.exports)
}

/// Refuses a component that imports anything outside `allowed`. Names are compared whole, version
/// included, so a new version of an interface is a new decision. An allowed import that is absent
/// is fine.
///
/// # Errors
///
/// [`SplitError::Import`] with the first name that is not allowed, or an error if the bytes are not
/// a component.
pub fn check_imports(component: &[u8], allowed: &[&str]) -> Result<(), SplitError> {
    match imports(component)?.into_iter().find(|name| !allowed.contains(&name.as_str())) {
        Some(name) => Err(SplitError::Import { name }),
        None => Ok(()),
    }
}

/// The top level of a component.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Import names, sorted.
    pub(crate) imports: Vec<String>,
    /// Export names, sorted.
    pub(crate) exports: Vec<String>,
    /// The bytes of each core module, in index order.
    pub(crate) modules: Vec<Range<usize>>,
    /// The module index of each core instantiation.
    pub(crate) instantiated: Vec<u32>,
    /// A core module that is not defined at the top level.
    pub(crate) foreign: Option<&'static str>,
    /// Whether the component has a start function.
    pub(crate) start: bool,
}

impl Outline {
    /// Walks all of a component, nested components included.
    pub(crate) fn read(component: &[u8]) -> Result<Self, SplitError> {
        let mut outline = Self::default();
        // 0 outside everything, 1 in the component itself, more in what it nests.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version { encoding, .. } => {
                    depth += 1;
                    if depth == 1 && encoding != Encoding::Component {
                        return Err(SplitError::NotAComponent);
                    }
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ModuleSection { unchecked_range, .. } if depth == 1 => outline.modules.push(unchecked_range),
                Payload::ModuleSection { .. } => outline.foreign = Some("a nested component defines a core module"),
                Payload::ComponentImportSection(section) => {
                    for import in section {
                        let import = import?;
                        if matches!(import.ty, ComponentTypeRef::Module(_)) {
                            outline.foreign = Some("the component imports a core module");
                        }
                        if depth == 1 {
                            outline.imports.push(import.name.name.to_owned());
                        }
                    }
                }
                Payload::ComponentExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ComponentExternalKind::Module {
                            outline.foreign = Some("the component exports a core module");
                        }
                        if depth == 1 {
                            outline.exports.push(export.name.name.to_owned());
                        }
                    }
                }
                Payload::ComponentAliasSection(section) => {
                    for alias in section {
                        if is_module(&alias?) {
                            outline.foreign = Some("the component has an alias of a core module");
                        }
                    }
                }
                Payload::InstanceSection(section) if depth == 1 => {
                    for instance in section {
                        if let Instance::Instantiate { module_index, .. } = instance? {
                            outline.instantiated.push(module_index);
                        }
                    }
                }
                Payload::ComponentStartSection { .. } => outline.start = true,
                _ => {}
            }
        }
        outline.imports.sort();
        outline.exports.sort();
        Ok(outline)
    }
}

fn is_module(alias: &ComponentAlias<'_>) -> bool {
    match alias {
        ComponentAlias::InstanceExport { kind, .. } => *kind == ComponentExternalKind::Module,
        ComponentAlias::Outer { kind, .. } => *kind == ComponentOuterAliasKind::CoreModule,
        ComponentAlias::CoreInstanceExport { .. } => false,
    }
}
