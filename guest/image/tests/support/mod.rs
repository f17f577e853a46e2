//! Builds components and reads modules back.

#![allow(dead_code, reason = "each test file uses its part")]

use starcell_image::{SplitError, split};
use wasmparser::{
    CanonicalFunction, CanonicalOption, DataKind, ElementKind, Operator, Parser, Payload, Validator, WasmFeatures,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = "
    package t:g@0.1.0;
    interface types { record message { level: u32, text: string } }
    interface log { use types.{message}; log: func(message: message) -> string; }
    interface api { use types.{message}; handle: func(message: message) -> string; }
    world guest { import log; export boot: func(); export api; }
";

/// A module as a compiler would make it: one import interface, one export interface, data and a stack pointer.
pub(crate) const MAIN: &str = r#"(module
    (import "t:g/log@0.1.0" "log" (func $log (param i32 i32 i32 i32)))
    (memory (export "memory") 17 64)
    (global $sp (mut i32) (i32.const 65536))
    (global $end (export "__data_end") i32 (i32.const 70004))
    (table $t 2 4 funcref)
    (elem $e (i32.const 1) func $log)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 80000)
    (func (export "boot") global.get $sp drop)
    (func (export "t:g/api@0.1.0#handle") (param i32 i32 i32) (result i32)
        local.get 0 local.get 1 local.get 2 i32.const 1024 call $log i32.const 1024)
    (data $d (i32.const 1024) "hello")
    (data $later (i32.const 1026) "LL")
    (data $tail (i32.const 70000) "tail")
    (data (i32.const 8190) "BULK")
    ;; more
)"#;

/// [`MAIN`] with more in it.
pub(crate) fn main_with(more: &str) -> String {
    MAIN.replace(";; more", more)
}

/// Makes a component of a module, as wit-component does.
pub(crate) fn component(main: &str) -> Vec<u8> {
    ComponentEncoder::default().module(&core(main)).unwrap().encode().unwrap()
}

/// A core module as the compiler makes it, with what wit-component has to know.
pub(crate) fn core(main: &str) -> Vec<u8> {
    let bulk = "x".repeat(4096);
    let main = main.replace("\"BULK\"", &format!("\"{bulk}\""));
    let mut module = wat::parse_str(main).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", WIT).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// The sections of a module, in their order.
pub(crate) fn sections(module: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let sections = Parser::new(0).parse_all(module).filter_map(|payload| payload.unwrap().as_section());
    sections.map(|(id, range)| (id, module[range].to_vec())).collect()
}

/// How many exports of a component have a function that frees their result.
pub(crate) fn freed(component: &[u8]) -> usize {
    let sections = Parser::new(0).parse_all(component).filter_map(|payload| match payload.unwrap() {
        Payload::ComponentCanonicalSection(section) => Some(section),
        _ => None,
    });
    let frees = |option: &CanonicalOption| matches!(option, CanonicalOption::PostReturn(_));
    sections
        .flatten()
        .filter(|function| matches!(function, Ok(CanonicalFunction::Lift { options, .. }) if options.iter().any(frees)))
        .count()
}

pub(crate) fn refused(main: &str) -> SplitError {
    split(&component(main)).unwrap_err()
}

/// Asserts that an engine with no more than the component model would take this.
pub(crate) fn valid(binary: &[u8]) {
    Validator::new_with_features(WasmFeatures::default() | WasmFeatures::COMPONENT_MODEL).validate_all(binary).unwrap();
}

/// The core modules of a component.
pub(crate) fn modules(component: &[u8]) -> Vec<Vec<u8>> {
    Parser::new(0)
        .parse_all(component)
        .filter_map(|payload| match payload.unwrap() {
            Payload::ModuleSection { unchecked_range, .. } => Some(component[unchecked_range].to_vec()),
            _ => None,
        })
        .collect()
}

/// How many imported functions a component lowers.
pub(crate) fn lowered(component: &[u8]) -> usize {
    let sections = Parser::new(0).parse_all(component).filter_map(|payload| match payload.unwrap() {
        Payload::ComponentCanonicalSection(section) => Some(section),
        _ => None,
    });
    sections.flatten().filter(|function| matches!(function, Ok(CanonicalFunction::Lower { .. }))).count()
}

/// The table that each active element segment of a module is for.
pub(crate) fn element_tables(module: &[u8]) -> Vec<Option<u32>> {
    let sections = Parser::new(0).parse_all(module).filter_map(|payload| match payload.unwrap() {
        Payload::ElementSection(section) => Some(section),
        _ => None,
    });
    sections
        .flatten()
        .map(|element| match element.unwrap().kind {
            ElementKind::Active { table_index, .. } => table_index,
            _ => panic!("not active"),
        })
        .collect()
}

/// The tables that the code of a module calls through.
pub(crate) fn called_tables(module: &[u8]) -> Vec<u32> {
    let mut tables = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CodeSectionEntry(body) = payload.unwrap() {
            for operator in body.get_operators_reader().unwrap() {
                if let Operator::CallIndirect { table_index, .. } = operator.unwrap() {
                    tables.push(table_index);
                }
            }
        }
    }
    tables
}

/// The bytes of one section of a module.
pub(crate) fn section(module: &[u8], id: u8) -> Vec<u8> {
    Parser::new(0)
        .parse_all(module)
        .filter_map(|payload| payload.unwrap().as_section())
        .find(|(found, _)| *found == id)
        .map(|(_, range)| module[range].to_vec())
        .unwrap()
}

/// What an engine makes of an image: memory, stack pointer, pages.
pub(crate) fn decode(image: &[u8]) -> (Vec<u8>, u32, (u64, Option<u64>)) {
    let mut memory = Vec::new();
    let mut stack_pointer = 0;
    let mut pages = (0, None);
    let constant = |expression: &wasmparser::ConstExpr<'_>| {
        let mut operators = expression.get_operators_reader();
        match operators.read().unwrap() {
            Operator::I32Const { value } => value.cast_unsigned(),
            other => panic!("{other:?}"),
        }
    };
    for payload in Parser::new(0).parse_all(image) {
        match payload.unwrap() {
            Payload::MemorySection(section) => {
                let ty = section.into_iter().next().unwrap().unwrap();
                pages = (ty.initial, ty.maximum);
                memory.resize(usize::try_from(ty.initial).unwrap() * 65536, 0);
            }
            Payload::GlobalSection(section) => {
                let global = section.into_iter().next().unwrap().unwrap();
                stack_pointer = constant(&global.init_expr);
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data.unwrap();
                    let DataKind::Active { offset_expr, .. } = &data.kind else {
                        panic!("passive");
                    };
                    let start = constant(offset_expr) as usize;
                    memory[start..start + data.data.len()].copy_from_slice(data.data);
                }
            }
            _ => {}
        }
    }
    (memory, stack_pointer, pages)
}
