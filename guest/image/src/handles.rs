//! Refuses what an instance would keep outside of its memory: handles, and calls that go on after they returned.
//!
//! **The decision.** A handle (of a resource, a future, a stream, an error context) is a number in the guest's memory and
//! an entry in a table of the host. An image copies the number alone. So only plain data may cross the border, and only
//! in calls that end before they return.
//!
//! **The attack it answers.** A memory that is put back names handles that the last request left, in a table that was not
//! put back: one request could use what another one opened. With no handles in `wit/` there is nothing to leave behind.

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentDefinedType, ComponentType, ComponentTypeDeclaration,
    ComponentTypeRef, InstanceTypeDeclaration, Parser, Payload, TypeBounds,
};

use crate::error::SplitError;

/// Checks all of a component, nested components and the types of its imports included.
pub(crate) fn check(component: &[u8]) -> Result<(), SplitError> {
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    of_type(&ty?).map_or(Ok(()), refuse)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    of_reference(import?.ty).map_or(Ok(()), refuse)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    of_function(&function?).map_or(Ok(()), refuse)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn refuse(found: &'static str) -> Result<(), SplitError> {
    Err(SplitError::Handle { found })
}

fn of_type(ty: &ComponentType<'_>) -> Option<&'static str> {
    match ty {
        ComponentType::Resource { .. } => Some("a resource type"),
        ComponentType::Defined(ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_)) => {
            Some("a handle of a resource")
        }
        ComponentType::Defined(ComponentDefinedType::Future(_)) => Some("a future"),
        ComponentType::Defined(ComponentDefinedType::Stream(_)) => Some("a stream"),
        ComponentType::Defined(_) => None,
        ComponentType::Func(function) => function.async_.then_some("an async function"),
        ComponentType::Component(declarations) => declarations.iter().find_map(|declaration| match declaration {
            ComponentTypeDeclaration::Type(ty) => of_type(ty),
            ComponentTypeDeclaration::Export { ty, .. } => of_reference(*ty),
            ComponentTypeDeclaration::Import(import) => of_reference(import.ty),
            ComponentTypeDeclaration::CoreType(_) | ComponentTypeDeclaration::Alias(_) => None,
        }),
        ComponentType::Instance(declarations) => declarations.iter().find_map(|declaration| match declaration {
            InstanceTypeDeclaration::Type(ty) => of_type(ty),
            InstanceTypeDeclaration::Export { ty, .. } => of_reference(*ty),
            InstanceTypeDeclaration::CoreType(_) | InstanceTypeDeclaration::Alias(_) => None,
        }),
    }
}

fn of_reference(ty: ComponentTypeRef) -> Option<&'static str> {
    matches!(ty, ComponentTypeRef::Type(TypeBounds::SubResource)).then_some("a resource type")
}

fn of_function(function: &CanonicalFunction) -> Option<&'static str> {
    let (CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. }) = function else {
        return Some("a canonical function other than lift and lower");
    };
    let goes_on = |option| matches!(option, &CanonicalOption::Async | &CanonicalOption::Callback(_));
    options.iter().any(goes_on).then_some("an async function")
}
