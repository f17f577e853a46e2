//! `#[builtins("m")]`: the one way to write a builtin.
//!
//! It stands on a function that holds functions, as `#[starlark_module]` does, and a builtin is one of those: its name,
//! its parameters with their types and defaults, its documentation with an example. The attribute adds what must not be
//! written twice:
//!
//! - An argument of a wrong type is an error that names the argument and quotes the value. So a parameter `n: i32` takes
//!   any value, and is an `i32` in the body. `None` counts as not given where a parameter has a default or is an `Option`.
//! - Errors that the body raises begin with the builtin's name: `m.f: `.
//! - `try_f` is there for each `f`, for functions of a module and for methods of a value, unless it is written out. A
//!   method that cannot fail says so by returning no `Result`, and has none; nor has one with `#[no_twin]`, which stands
//!   on those that only look something up. `#[builtins]` without a name is for predeclared functions; they have none.
//! - Defaults are in the reference.
//!
//! What it refuses: a parameter of `&Arguments` beside others, as starlark does. It is for the few functions that pass
//! their arguments on; these state their signature in their documentation.

mod builtin;
mod parameter;

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::{FnArg, Item, ItemFn, LitStr, Stmt, parse_macro_input};

use builtin::Place;

/// Makes builtins of the functions in a function; the text is what stands before their names in errors, without the dot.
#[proc_macro_attribute]
pub fn builtins(prefix: TokenStream, item: TokenStream) -> TokenStream {
    let prefix = parse_macro_input!(prefix as Option<LitStr>).map(|prefix| prefix.value());
    let register = parse_macro_input!(item as ItemFn);
    expand(prefix.as_deref().unwrap_or_default(), register).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(prefix: &str, mut register: ItemFn) -> syn::Result<proc_macro2::TokenStream> {
    let place = place(&register)?;
    let written: Vec<String> = register.block.stmts.iter().filter_map(function).map(builtin::name).collect();
    let mut stmts = Vec::with_capacity(register.block.stmts.len());
    for stmt in std::mem::take(&mut register.block.stmts) {
        match stmt {
            Stmt::Item(Item::Fn(function)) if !builtin::is_attribute(&function) => {
                let twin = builtin::twin(&function, place, &written);
                stmts.push(Stmt::Item(Item::Fn(builtin::complete(prefix, function)?)));
                stmts.extend(twin.map(|twin| Stmt::Item(Item::Fn(twin))));
            }
            other => stmts.push(other),
        }
    }
    register.block.stmts = stmts;
    if prefix.is_empty() {
        return Ok(quote!(#[starlark::starlark_module] #register));
    }
    // starlark's own macro registers; around it stands what belongs to the module or the type as a whole.
    let ItemFn { attrs, vis, sig, .. } = &register;
    let outer = quote!(#(#attrs)* #vis #sig);
    let originals = format_ident!("{}_originals", sig.ident);
    let mut inner = register.clone();
    inner.sig.ident = originals.clone();
    inner.attrs.clear();
    let builder = builder(&register)?;
    let add = match place {
        // The twins of functions are values of their own, made from what is registered.
        Place::Functions => quote!(crate::twins::with_twins(#builder, #prefix, #originals);),
        Place::Methods => quote!(#builder.set_label(#prefix); #originals(#builder);),
    };
    Ok(quote! {
        #outer {
            #add
        }
        #[starlark::starlark_module]
        #inner
    })
}

fn function(stmt: &Stmt) -> Option<&ItemFn> {
    match stmt {
        Stmt::Item(Item::Fn(function)) => Some(function),
        _ => None,
    }
}

/// Whether functions or methods are registered, by the type of the builder.
fn place(register: &ItemFn) -> syn::Result<Place> {
    let Some(FnArg::Typed(builder)) = register.sig.inputs.first() else {
        return Err(syn::Error::new_spanned(&register.sig, "expected a builder as the only parameter"));
    };
    let ty = &builder.ty;
    let text = quote!(#ty).to_string();
    match () {
        () if text.ends_with("GlobalsBuilder") => Ok(Place::Functions),
        () if text.ends_with("MethodsBuilder") => Ok(Place::Methods),
        () => Err(syn::Error::new_spanned(ty, "expected &mut GlobalsBuilder or &mut MethodsBuilder")),
    }
}

fn builder(register: &ItemFn) -> syn::Result<syn::Ident> {
    match register.sig.inputs.first() {
        Some(FnArg::Typed(builder)) => match &*builder.pat {
            syn::Pat::Ident(ident) => Ok(ident.ident.clone()),
            other => Err(syn::Error::new_spanned(other, "expected a name")),
        },
        _ => Err(syn::Error::new_spanned(&register.sig, "expected a builder as the only parameter")),
    }
}
