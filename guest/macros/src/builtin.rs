//! One builtin: its body inside what names its errors, and its twin.

use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, ItemFn, ReturnType, parse_quote};

use crate::parameter::{self, Parameter};

/// Where builtins belong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Functions of a module, or predeclared ones.
    Functions,
    /// Methods of a value.
    Methods,
}

/// The name as scripts write it.
pub(crate) fn name(function: &ItemFn) -> String {
    parameter::plain(&function.sig.ident)
}

/// Whether it is read without being called.
pub(crate) fn is_attribute(function: &ItemFn) -> bool {
    function.attrs.iter().any(|attribute| {
        attribute.path().is_ident("starlark")
            && attribute.meta.to_token_stream().to_string().replace(' ', "") == "starlark(attribute)"
    })
}

/// Whether it is marked as one without a twin.
fn has_none(function: &ItemFn) -> bool {
    function.attrs.iter().any(is_no_twin)
}

fn is_no_twin(attribute: &Attribute) -> bool {
    attribute.path().is_ident("no_twin")
}

/// The function that starlark's macro takes.
pub(crate) fn complete(prefix: &str, mut function: ItemFn) -> syn::Result<ItemFn> {
    let name = name(&function);
    // Errors name the builtin itself, also where its twin is written out.
    let shown = name.strip_prefix("try_").unwrap_or(&name);
    let label = if prefix.is_empty() { name } else { format!("{prefix}.{shown}") };
    let mut defaults = Vec::new();
    let mut unpack = Vec::new();
    for input in &mut function.sig.inputs {
        match parameter::read(input)? {
            Parameter::AsItIs => {}
            Parameter::Unpacked { unpacking, default } => {
                unpack.push(unpacking);
                defaults.extend(default);
            }
        }
    }
    if !function.sig.generics.lifetimes().any(|lifetime| lifetime.lifetime.ident == "v") {
        function.sig.generics = parse_quote!(<'v>);
    }
    function.attrs.retain(|attribute| !is_no_twin(attribute));
    document(&mut function.attrs, &defaults);
    let (value, fallible) = returned(&function.sig.output);
    let body = &function.block;
    let body = if fallible { quote!(#body) } else { quote!(Ok(#body)) };
    function.sig.output = parse_quote!(-> starlark::Result<#value>);
    function.block = parse_quote!({
        crate::error::named(#label, || -> starlark::Result<#value> {
            #(#unpack)*
            #body
        })
    });
    Ok(function)
}

/// `try_f`, unless the script's author never needs it or it is among what is written out.
///
/// That of a function is no function of its own: see `with_twins` in the interpreter.
pub(crate) fn twin(function: &ItemFn, place: Place, written: &[String]) -> Option<ItemFn> {
    let name = name(function);
    let twin = format!("try_{name}");
    let (_, fallible) = returned(&function.sig.output);
    if place == Place::Functions
        || !fallible
        || has_none(function)
        || name.starts_with("try_")
        || written.contains(&twin)
    {
        return None;
    }
    let (ident, summary) = (format_ident!("{twin}"), format!(" Like `{name}`, as a `Result`."));
    Some(parse_quote! {
        #[doc = #summary]
        fn #ident<'v>(
            this: starlark::values::Value<'v>,
            args: &starlark::eval::Arguments<'v, '_>,
            eval: &mut starlark::eval::Evaluator<'v, '_, '_>,
        ) -> starlark::Result<starlark::values::Value<'v>> {
            crate::twins::attempt_method(this, #name, args, eval)
        }
    })
}

/// The type of the value, and whether there may be an error in its place.
fn returned(output: &ReturnType) -> (proc_macro2::TokenStream, bool) {
    let ReturnType::Type(_, ty) = output else { return (quote!(starlark::values::none::NoneType), false) };
    if let syn::Type::Path(path) = &**ty
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && path.path.segments.len() == 2
        && let syn::PathArguments::AngleBracketed(arguments) = &last.arguments
    {
        return (arguments.args.to_token_stream(), true);
    }
    (ty.to_token_stream(), false)
}

/// Adds the defaults to the documentation, in a paragraph that the reference reads and leaves out.
fn document(attributes: &mut Vec<Attribute>, defaults: &[String]) {
    if defaults.is_empty() {
        return;
    }
    let paragraph = format!(" `defaults({})`", defaults.join(", "));
    attributes.push(parse_quote!(#[doc = ""]));
    attributes.push(parse_quote!(#[doc = #paragraph]));
}
