//! The registration of capabilities: one table makes every type that has to know the whole list.
//!
//! From the table in `capability` this macro makes the capabilities, the kinds of resources, the functions of each kind,
//! a rule's resource of any kind and a call of any kind. So a new kind of resource is a type with its pattern and one
//! block of the table, and a new function one word of it; nothing else lists them.

/// Reads blocks of the form
///
/// ```text
/// FunctionType of Kind(ResourceType), "the kind in messages" {
///     /// documentation
///     Capability "module" "category": Variant "name", Variant "name" beneath ("other name"), ...;
/// }
/// ```
///
/// `beneath` marks a function that acts on all that begins with its resource. The other name is one that scripts or older
/// logs use; rules do not know it.
macro_rules! registry {
    ($(
        $(#[$of_functions:meta])*
        $functions:ident of $kind:ident($resource:ty), $kind_text:literal {
            $(
                $(#[$of_capability:meta])*
                $capability:ident $module:literal $category:literal:
                    $($variant:ident $text:literal $($scope:ident)? $(($other:literal))?),+;
            )+
        }
    )+) => {
        /// A privileged operation: what a rule grants and a [`Permit`](crate::Permit) proves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Capability {
            $($($(#[$of_capability])* $capability,)+)+
        }

        impl Capability {
            /// Every capability, in the order of their names.
            pub const ALL: [Self; [$($(Self::$capability,)+)+].len()] = [$($(Self::$capability,)+)+];

            /// The part of the name before the dot.
            pub const fn module(self) -> &'static str {
                match self { $($(Self::$capability => $module,)+)+ }
            }

            /// The part of the name after the dot.
            pub const fn category(self) -> &'static str {
                match self { $($(Self::$capability => $category,)+)+ }
            }

            /// The kind of resource that its functions act on.
            pub const fn kind(self) -> ResourceKind {
                match self { $($(Self::$capability => ResourceKind::$kind,)+)+ }
            }

            /// The names of its functions, as a rule's function list spells them.
            pub fn functions(self) -> Vec<&'static str> {
                match self { $($(Self::$capability => vec![$($text),+],)+)+ }
            }

            /// The function of it that a script or a log calls by this name.
            pub fn function(self, name: &str) -> Option<&'static str> {
                match self.kind() {
                    $(ResourceKind::$kind => $functions::called(self, name).map($functions::name),)+
                }
            }
        }

        /// The kind of resource that the functions of a capability act on, which decides how a rule's resource is read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ResourceKind {
            $(#[doc = concat!("Rules and messages speak of ", $kind_text, ".")] $kind,)+
        }

        impl std::fmt::Display for ResourceKind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$kind => $kind_text,)+ })
            }
        }

        $(
            $(#[$of_functions])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            pub enum $functions {
                $($(
                    #[doc = concat!("`", $text, "`, covered by [`Capability::", stringify!($capability), "`].")]
                    $variant,
                )+)+
            }

            impl $functions {
                /// Every function of this kind.
                pub const ALL: &'static [Self] = &[$($(Self::$variant,)+)+];

                /// The first function with this name; the case of ASCII letters does not matter.
                pub fn named(name: &str) -> Option<Self> {
                    Self::ALL.iter().copied().find(|function| function.name().eq_ignore_ascii_case(name))
                }

                /// Its name in a script and in a rule's function list.
                pub const fn name(self) -> &'static str {
                    match self { $($(Self::$variant => $text,)+)+ }
                }

                /// The capability it needs.
                pub const fn capability(self) -> Capability {
                    match self { $($(Self::$variant)|+ => Capability::$capability,)+ }
                }

                /// The function of a capability that a script or a log calls by this name.
                fn called(capability: Capability, name: &str) -> Option<Self> {
                    let bare = name.strip_prefix("try_").unwrap_or(name);
                    Self::ALL.iter().copied().find(|function| {
                        let names = [function.name(), function.other_name().unwrap_or_default()];
                        function.capability() == capability && names.iter().any(|name| name.eq_ignore_ascii_case(bare))
                    })
                }

                const fn other_name(self) -> Option<&'static str> {
                    match self { $($(Self::$variant => registry!(@other $($other)?),)+)+ }
                }
            }

            impl Function for $functions {
                type Resource = $resource;

                fn capability(self) -> Capability {
                    self.capability()
                }

                fn name(self) -> &'static str {
                    self.name()
                }

                fn takes_beneath(self) -> bool {
                    match self { $($(Self::$variant => registry!(@beneath $($scope)?),)+)+ }
                }
            }

            impl Registered for $resource {
                #[allow(unreachable_patterns, reason = "with one kind alone there is no other")]
                fn pattern(any: &AnyPattern) -> Option<&Self::Pattern> {
                    match any {
                        AnyPattern::$kind(pattern) => Some(pattern),
                        _ => None,
                    }
                }
            }
        )+

        /// The resource of a rule, whatever its kind.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum AnyPattern {
            $(#[doc = $kind_text] $kind(<$resource as Resource>::Pattern),)+
        }

        impl AnyPattern {
            /// Reads the text between the parentheses of a rule about this kind.
            pub(crate) fn parse(kind: ResourceKind, text: &str) -> Result<Self, Fault> {
                match kind {
                    $(ResourceKind::$kind =>
                        <<$resource as Resource>::Pattern as Pattern<$resource>>::parse(text).map(Self::$kind),)+
                }
            }

            /// The patterns with variables replaced and links followed, any of which is meant.
            pub(crate) fn spellings(&self, roots: &Roots) -> Result<Vec<Self>, MissingRoot> {
                match self {
                    $(Self::$kind(pattern) => {
                        let spellings = Pattern::<$resource>::spellings(pattern, roots)?;
                        Ok(spellings.into_iter().map(Self::$kind).collect())
                    })+
                }
            }

            /// Returns whether it grants all that the other does, as far as it can be seen from the two.
            #[allow(unreachable_patterns, reason = "with one kind alone there is no other")]
            pub(crate) fn includes(&self, other: &Self) -> bool {
                match (self, other) {
                    $((Self::$kind(pattern), Self::$kind(other)) => Pattern::<$resource>::includes(pattern, other),)+
                    // A yes is certain, a no is not.
                    _ => false,
                }
            }

            /// Returns whether it names addresses, which a rule without a resource does not.
            pub(crate) fn is_of_addresses(&self) -> bool {
                match self { $(Self::$kind(pattern) => Pattern::<$resource>::is_of_addresses(pattern),)+ }
            }
        }

        impl std::fmt::Display for AnyPattern {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self { $(Self::$kind(pattern) => pattern.fmt(f),)+ }
            }
        }

        /// A function with the resource it acts on, whatever its kind.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) enum AnyCall {
            $($kind($functions, $resource),)+
        }

        impl AnyCall {
            /// Reads a call of a function of a capability; none if it has no such function.
            pub(crate) fn read(
                capability: Capability,
                function: &str,
                resource: &str,
                cwd: Option<&str>,
            ) -> Option<Result<Self, String>> {
                match capability.kind() {
                    $(ResourceKind::$kind => {
                        let function = $functions::called(capability, function)?;
                        let reading = Reading { cwd, beneath: function.takes_beneath() };
                        let resource = <$resource as Resource>::read(resource, &reading);
                        Some(resource.map(|resource| Self::$kind(function, resource)))
                    })+
                }
            }

            /// Hands the function and the resource to whoever can take any.
            pub(crate) fn with<T>(&self, taker: impl FnOnce(Capability, &'static str, bool, &dyn Judged) -> T) -> T {
                match self {
                    $(Self::$kind(function, resource) => {
                        taker(function.capability(), function.name(), function.takes_beneath(), resource)
                    })+
                }
            }

            /// The resource.
            pub(crate) fn resource(&self) -> &dyn Judged {
                match self { $(Self::$kind(_, resource) => resource,)+ }
            }

            /// The resource of a rule that covers this call and as little else as rules can say.
            pub(crate) fn covering(&self) -> String {
                match self { $(Self::$kind(_, resource) => Resource::covering(resource),)+ }
            }
        }
    };
    (@other) => { None };
    (@other $other:literal) => { Some($other) };
    (@beneath) => { false };
    (@beneath beneath) => { true };
}

pub(crate) use registry;
