//! Splits small components and reads back what came out.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use starcell_image::{SplitError, check_imports, exports, image, imports, keep_results, split, stats};
use support::{MAIN, component, main_with, refused, valid};
use wasmparser::{Parser, Payload, TypeRef};
use wit_component::ComponentEncoder;

/// The second one is there for its types only.
const IMPORTS: [&str; 2] = ["t:g/log@0.1.0", "t:g/types@0.1.0"];

#[test]
fn splits_a_component() {
    let input = component(MAIN);
    let split = split(&input).unwrap();

    valid(&split.component);
    valid(&split.base);
    assert_eq!(split.memory_pages, 17);
    assert_eq!(split.maximum_pages, Some(64));
    assert_eq!(split.stack_pointer, 65536);
    assert_eq!(imports(&input).unwrap(), IMPORTS);
    assert_eq!(imports(&split.component).unwrap(), ["image", IMPORTS[0], IMPORTS[1]]);
    assert_eq!(exports(&input).unwrap(), ["boot", "t:g/api@0.1.0"]);
    assert_eq!(exports(&split.component).unwrap(), exports(&input).unwrap());
}

#[test]
fn results_are_not_given_back() {
    const EXPORTS: u8 = 7;
    let main = main_with(r#"(func (export "cabi_post_t:g/api@0.1.0#handle") (param i32))"#);
    assert_eq!(support::freed(&component(&main)), 1);

    let before = support::core(&main);
    let after = keep_results(&before).unwrap();
    let kept = ComponentEncoder::default().module(&after).unwrap().encode().unwrap();
    valid(&kept);
    assert_eq!(support::freed(&kept), 0);
    assert_eq!(exports(&kept).unwrap(), exports(&component(&main)).unwrap());

    let but_exports = |module: &[u8]| support::sections(module).into_iter().filter(|(id, _)| *id != EXPORTS).collect();
    let (before, after): (Vec<_>, Vec<_>) = (but_exports(&before), but_exports(&after));
    assert!(before == after, "all else is copied byte by byte");
    keep_results(b"no module").unwrap_err();
}

#[test]
fn main_module_imports_its_state_first() {
    let split = split(&component(MAIN)).unwrap();
    let main = support::modules(&split.component).into_iter().max_by_key(Vec::len).unwrap();
    let mut imports = Vec::new();
    let mut globals = 0;
    for payload in Parser::new(0).parse_all(&main) {
        match payload.unwrap() {
            Payload::ImportSection(section) => {
                imports.extend(section.into_imports().map(|import| {
                    let import = import.unwrap();
                    let kind = match import.ty {
                        TypeRef::Memory(memory) => format!("memory {}", memory.initial),
                        TypeRef::Global(global) => format!("global {}", global.mutable),
                        other => format!("{other:?}"),
                    };
                    format!("{} {} {kind}", import.module, import.name)
                }));
            }
            Payload::GlobalSection(section) => globals = section.count(),
            Payload::MemorySection(_) | Payload::DataSection(_) | Payload::DataCountSection { .. } => {
                panic!("state is left in the main module")
            }
            _ => {}
        }
    }
    assert_eq!(imports[0], "image memory memory 17");
    assert_eq!(imports[1], "image sp global true");
    assert!(imports[2].starts_with("t:g/log@0.1.0 log"));
    assert_eq!(globals, 1, "the immutable global stays");
}

#[test]
fn code_is_copied_byte_by_byte() {
    let input = component(MAIN);
    let split = split(&input).unwrap();
    let code = |component: &[u8]| {
        let modules = support::modules(component);
        let main = modules.into_iter().max_by_key(Vec::len).unwrap();
        support::section(&main, 10)
    };
    assert_eq!(code(&input), code(&split.component));
}

#[test]
fn imports_have_nothing_in_between() {
    let input = component(MAIN);
    assert_eq!(support::modules(&input).len(), 3, "main, shim and fixup");
    let split = split(&input).unwrap();
    let modules = support::modules(&split.component);
    assert_eq!(modules.len(), 2, "main and what stands in for its allocator");
    assert_eq!(support::lowered(&input), support::lowered(&split.component));
    // The place of the allocator is filled last, so that an engine can fill the module's own table lazily.
    let tables: Vec<Option<u32>> = support::element_tables(&modules[0]);
    assert_eq!(tables, [Some(1), None]);
}

#[test]
fn tables_move_up_by_one() {
    let main = main_with("(func (param i32) local.get 0 call_indirect $t (param) (result))");
    let split = split(&component(&main)).unwrap();
    let main = support::modules(&split.component).swap_remove(0);
    assert_eq!(support::called_tables(&main), [1]);
}

#[test]
fn a_module_without_a_table_keeps_its_shim() {
    let main = MAIN.replace("(elem $e (i32.const 1) func $log)", "");
    let input = component(&main);
    let split = split(&input).unwrap();
    valid(&split.component);
    assert_eq!(support::modules(&split.component).len(), 3);
}

#[test]
fn base_image_holds_the_data() {
    let split = split(&component(MAIN)).unwrap();
    let (memory, stack_pointer, pages) = support::decode(&split.base);
    assert_eq!(stack_pointer, 65536);
    assert_eq!(pages, (17, Some(64)));
    assert_eq!(&memory[1024..1029], b"heLLo", "later segments overwrite");
    assert_eq!(&memory[70000..70004], b"tail");
    let stats = stats(&split.base).unwrap();
    assert_eq!((stats.pages_total, stats.pages_stored), (17 * 16, 4));
}

#[test]
fn module_without_imports_gets_an_import_section() {
    let split = split(
        &wat::parse_str(
            r#"(component
                (core module $main
                    (memory (export "memory") 1)
                    (global (mut i32) (i32.const 1024))
                    (func (export "f") global.get 0 drop))
                (core instance $i (instantiate $main))
                (func (export "f") (canon lift (core func $i "f"))))"#,
        )
        .unwrap(),
    )
    .unwrap();
    valid(&split.component);
    assert_eq!(exports(&split.component).unwrap(), ["f"]);
    assert_eq!(stats(&split.base).unwrap().pages_stored, 0);
}

#[test]
fn only_indices_of_the_top_level_move() {
    let split = split(
        &wat::parse_str(
            r#"(component
                (core type $ft (func (param i32)))
                (core type (func (param (ref null $ft))))
                (core type $mt (module
                    (alias outer 1 $ft (type $t)) (import "a" "b" (func (type $t)))))
                (type $ct (component
                    (alias outer 1 $mt (core type $up))
                    (import "m" (core module (type $up)))))
                (component $nested
                    (core type (func (param i64)))
                    (alias outer 1 $ft (core type))
                    (core type (module
                        (alias outer 2 $ft (type $t)) (alias outer 1 0 (type $u))
                        (alias outer 1 1 (type $v))
                        (export "t" (func (type $t))) (export "u" (func (type $u)))))
                    (import "f" (func $f))
                    (core func $lowered (canon lower (func $f)))
                    (core instance $exports (export "f" (func $lowered)))
                    (alias core export $exports "f" (core func $again))
                    (export "g" (func $f)))
                (core module $first (func (export "h")))
                (core module $main
                    (import "first" "h" (func))
                    (memory (export "memory") 1)
                    (global (mut i32) (i32.const 1024))
                    (func (export "f") global.get 0 drop)
                    (data (i32.const 16) "a segment that makes this module the largest"))
                (core instance $i (instantiate $first))
                (core instance $j (instantiate $main (with "first" (instance $i))))
                (func $f (canon lift (core func $j "f")))
                (instance $n (instantiate $nested (with "f" (func $f))))
                (export "n" (instance $n)))"#,
        )
        .unwrap(),
    )
    .unwrap();
    valid(&split.component);
    assert_eq!(exports(&split.component).unwrap(), ["n"]);
}

#[test]
fn imports_are_checked_by_whole_name() {
    let input = component(MAIN);
    check_imports(&input, &[IMPORTS[0], "wasi:random/random@0.2.12", IMPORTS[1]]).unwrap();
    let Err(SplitError::Import { name }) = check_imports(&input, &["t:g/log@0.1.1", IMPORTS[1]]) else {
        panic!("an import was let through");
    };
    assert_eq!(name, IMPORTS[0]);
    let split = split(&input).unwrap();
    assert!(check_imports(&split.component, &IMPORTS).is_err());
    check_imports(&split.component, &["image", IMPORTS[0], IMPORTS[1]]).unwrap();
}

#[test]
fn mutable_globals_are_refused() {
    let error = refused(&main_with("(global (mut i64) (i64.const 0))"));
    let SplitError::MutableGlobals { indices } = &error else {
        panic!("{error}");
    };
    assert_eq!(indices, &[2]);
    assert!(error.to_string().contains("mutable globals [2]"));
}

#[test]
fn stack_pointer_is_required() {
    for global in [
        "(global $sp i32 (i32.const 65536))",
        "(global $sp (mut i64) (i64.const 65536))",
        "(global $sp (mut i32) (i32.add (i32.const 65536) (i32.const 0)))",
    ] {
        let main = MAIN.replace("(global $sp (mut i32) (i32.const 65536))", global);
        let main = main.replace("global.get $sp drop", "");
        assert!(matches!(refused(&main), SplitError::StackPointer { .. }));
    }
}

#[test]
fn passive_data_is_refused() {
    let error = refused(&main_with(r#"(data "passive")"#));
    assert!(matches!(error, SplitError::PassiveData { segment: 4 }));
}

#[test]
fn data_instructions_are_refused() {
    for (code, name) in
        [("i32.const 0 i32.const 0 i32.const 0 memory.init $d", "memory.init"), ("data.drop $d", "data.drop")]
    {
        let error = refused(&main_with(&format!("(func {code})")));
        let SplitError::DataInstruction { instruction, place } = error else {
            panic!("{error}");
        };
        assert_eq!((instruction, place.as_str()), (name, "the main module"));
    }
}

#[test]
fn table_instructions_are_refused() {
    for (code, name) in [
        ("(table.set $t (i32.const 0) (ref.null func))", "table.set"),
        ("(drop (table.grow $t (ref.null func) (i32.const 1)))", "table.grow"),
        ("(table.fill $t (i32.const 0) (ref.null func) (i32.const 1))", "table.fill"),
        ("(table.copy $t $t (i32.const 0) (i32.const 0) (i32.const 1))", "table.copy"),
        ("(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))", "table.init"),
        ("(elem.drop $e)", "elem.drop"),
    ] {
        let error = refused(&main_with(&format!("(func {code})")));
        let SplitError::TableInstruction { instruction, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(instruction, name);
    }
}

#[test]
fn handles_are_refused() {
    for (more, expected) in [
        ("(type (resource (rep i32)))", "a resource type"),
        (r#"(import "r" (type (sub resource)))"#, "a resource type"),
        (r#"(import "i" (instance (export "r" (type (sub resource)))))"#, "a resource type"),
        (r#"(import "c" (component (export "r" (type (sub resource)))))"#, "a resource type"),
        (r#"(component (import "r" (type (sub resource))))"#, "a resource type"),
        (r#"(type (future u8))"#, "a future"),
        (r#"(type (instance (type (stream u8))))"#, "a stream"),
        (r#"(import "f" (func async))"#, "an async function"),
        ("(core func (canon backpressure.inc))", "a canonical function other than lift and lower"),
    ] {
        let input = wat::parse_str(format!(
            r#"(component
                {more}
                (core module $main (memory 1) (global (mut i32) (i32.const 0)))
                (core instance (instantiate $main)))"#
        ))
        .unwrap();
        let error = split(&input).unwrap_err();
        assert!(matches!(&error, SplitError::Handle { found } if *found == expected), "{more}: {error}");
    }
}

#[test]
fn start_functions_are_refused() {
    let error = refused(&main_with("(func $s) (start $s)"));
    assert!(matches!(error, SplitError::Start { place } if place == "the main module"));
    // wit-component calls `_initialize` from the start function of a module of its own.
    let error = refused(&main_with(r#"(func (export "_initialize"))"#));
    assert!(matches!(error, SplitError::Start { place } if place.starts_with("module ")));
}

#[test]
fn memories_are_checked() {
    for (memory, expected) in [
        ("(memory 1 2 shared)", "is shared"),
        ("(memory i64 1 2)", "is 64-bit"),
        ("(memory 1) (memory 1)", "2 memories"),
        ("", "0 memories"),
        (r#"(memory 1) (data (i32.const 65535) "ab")"#, "ends at 65537"),
    ] {
        let input = wat::parse_str(format!(
            r#"(component
                (core module $main {memory} (global (mut i32) (i32.const 0)))
                (core instance (instantiate $main)))"#
        ))
        .unwrap();
        let error = split(&input).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn imported_globals_are_refused() {
    let input = wat::parse_str(
        r#"(component
            (core module $o (global (export "g") i32 (i32.const 0)))
            (core module $main
                (import "o" "g" (global i32)) (memory 1) (global (mut i32) (i32.const 0)))
            (core instance $i (instantiate $o))
            (core instance (instantiate $main (with "o" (instance $i)))))"#,
    )
    .unwrap();
    let error = split(&input).unwrap_err().to_string();
    assert!(error.contains("imports the global `o` `g`"), "{error}");
}

#[test]
fn state_in_another_module_is_refused() {
    for (state, expected) in [("(memory 1)", "a memory"), ("(global (mut i32) (i32.const 0))", "a mutable global")] {
        let input = wat::parse_str(format!(
            r#"(component
                (core module $other {state})
                (core module $main
                    (memory (export "memory") 1)
                    (global (mut i32) (i32.const 1024))
                    (data (i32.const 16) "a segment that makes this module the largest"))
                (core instance (instantiate $other))
                (core instance (instantiate $main)))"#
        ))
        .unwrap();
        let error = split(&input).unwrap_err();
        assert!(
            matches!(&error, SplitError::OtherModuleState { found, place } if *found == expected && place == "module 0"),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_fresh_component_is_refused() {
    let once = split(&component(MAIN)).unwrap().component;
    assert!(matches!(split(&once), Err(SplitError::AlreadySplit)));
    let module = image(&[], 0, 0, 1, None);
    assert!(matches!(split(&module), Err(SplitError::NotAComponent)));
    assert!(matches!(imports(&module), Err(SplitError::NotAComponent)));
    assert!(matches!(split(b"\0asm"), Err(SplitError::Invalid(_))));
    let empty = wat::parse_str("(component)").unwrap();
    assert!(matches!(split(&empty), Err(SplitError::NoModule)));
    let twice = wat::parse_str(
        "(component (core module $m (memory 1) (global (mut i32) (i32.const 0)))
            (core instance (instantiate $m)) (core instance (instantiate $m)))",
    )
    .unwrap();
    assert!(matches!(split(&twice), Err(SplitError::MainInstances { count: 2 })));
    let nested = wat::parse_str("(component (component (core module)))").unwrap();
    assert!(matches!(split(&nested), Err(SplitError::ForeignModule { .. })));
}
