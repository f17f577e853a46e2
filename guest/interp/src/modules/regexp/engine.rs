//! The engine: patterns as Go writes them, matched in time linear in the text.
//!
//! The parser and the machine are those of the regex crate, of which the parts that a fork would build anew for a few
//! short texts (automata that are made while matching) are left out. Letters are those of Unicode, in classes and when
//! case is ignored; `\w`, `\d`, `\s` and `\b` are ASCII, as in Go.
//!
//! Linear is not small: the work is the text's length times the states in use. So a pattern is limited in length, in
//! compiled size and in groups, each of which is a slot in every state.

use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{Compiler, Config};
use regex_automata::util::captures::Captures;
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    Assertion, Ast, ClassAscii, ClassAsciiKind, ClassBracketed, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem,
    ErrorKind, Flag, Flags, FlagsItem, FlagsItemKind, Group, GroupKind,
};
use regex_syntax::hir::translate::TranslatorBuilder;

use super::re2;

/// Longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 16 * 1024;

/// Largest compiled pattern, in bytes. `[a-z]{1000}` takes 40 KB, `\pL` 16 KB, `.{1000}` 400 KB.
const MAX_COMPILED_BYTES: usize = 512 * 1024;

/// Most slots of all states together, 8 bytes each: what one match allocates.
const MAX_SLOTS: usize = 512 * 1024;

/// Most groups, the whole match included.
const MAX_GROUPS: usize = 100;

/// Deepest nesting of a pattern: its parser and its compiler recurse.
const MAX_NESTING: u32 = 50;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Regex {
    machine: PikeVM,
    text: String,
}

impl Regex {
    /// Compiles a pattern with flags of `imsU`; the error is the sentence to show.
    pub(super) fn new(text: &str, flags: &str) -> Result<Self, String> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(format!("the pattern has {} bytes, more than {MAX_PATTERN_BYTES}", text.len()));
        }
        let mut translator = TranslatorBuilder::new();
        for letter in flags.chars() {
            match letter {
                'i' => translator.case_insensitive(true),
                'm' => translator.multi_line(true),
                's' => translator.dot_matches_new_line(true),
                'U' => translator.swap_greed(true),
                _ => return Err(format!("flags may be of \"imsU\", got {flags:?}")),
            };
        }
        let wrong = |reason: String| format!("{}: {reason}", crate::shorten::shorten(format!("{text:?}"), 120));
        let translated = re2::translated(text).map_err(wrong)?;
        let parsed = ParserBuilder::new().nest_limit(MAX_NESTING).build().parse(&translated);
        let mut ast = parsed.map_err(|error| wrong(reason(error.kind())))?;
        ascii_classes(&mut ast);
        let hir = translator.build().translate(&translated, &ast).map_err(|error| wrong(error.kind().to_string()))?;
        let config = Config::new().nfa_size_limit(Some(MAX_COMPILED_BYTES));
        let nfa = Compiler::new().configure(config).build_from_hir(&hir).map_err(|error| match error.size_limit() {
            Some(limit) => wrong(format!("the compiled pattern takes more than {limit} bytes; repeat less")),
            None => wrong(error.to_string()),
        })?;
        let groups = nfa.group_info().group_len(regex_automata::PatternID::ZERO);
        if groups > MAX_GROUPS {
            return Err(format!("the pattern has {} groups, more than {}", groups - 1, MAX_GROUPS - 1));
        }
        if nfa.states().len().saturating_mul(groups * 2) > MAX_SLOTS {
            return Err(wrong("so large a pattern can have fewer groups; repeat less".to_owned()));
        }
        let machine = PikeVM::new_from_nfa(nfa).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { machine, text: text.to_owned() })
    }

    /// The pattern as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Names of the groups by number; the first is the whole match.
    pub(super) fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.machine.get_nfa().group_info().pattern_names(regex_automata::PatternID::ZERO)
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.machine.is_match(&mut self.machine.create_cache(), text)
    }

    /// Calls `each` with every match that does not overlap an earlier one, in order, until it says that it is enough.
    pub(super) fn each<E>(&self, text: &str, mut each: impl FnMut(&Captures) -> Result<bool, E>) -> Result<(), E> {
        let mut cache = self.machine.create_cache();
        for captures in self.machine.captures_iter(&mut cache, text) {
            if !each(&captures)? {
                break;
            }
        }
        Ok(())
    }
}

/// The parser's sentence, with the number where it reports a limit of ours.
fn reason(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::NestLimitExceeded(_) => format!("nested more than {MAX_NESTING} deep"),
        ErrorKind::UnsupportedLookAround => "look-around is not supported".to_owned(),
        kind => kind.to_string(),
    }
}

/// Makes `\w`, `\d`, `\s` and `\b` those of ASCII, wherever they are.
fn ascii_classes(ast: &mut Ast) {
    match ast {
        Ast::ClassPerl(class) => {
            let (span, item) = (class.span, ClassSetItem::Ascii(ascii(class)));
            *ast = Ast::class_bracketed(ClassBracketed { span, negated: false, kind: ClassSet::Item(item) });
        }
        Ast::ClassBracketed(class) => ascii_set(&mut class.kind),
        Ast::Assertion(assertion) => *ast = without_unicode((**assertion).clone()),
        Ast::Repetition(repetition) => ascii_classes(&mut repetition.ast),
        Ast::Group(group) => ascii_classes(&mut group.ast),
        Ast::Alternation(alternation) => alternation.asts.iter_mut().for_each(ascii_classes),
        Ast::Concat(concat) => concat.asts.iter_mut().for_each(ascii_classes),
        Ast::Empty(_) | Ast::Flags(_) | Ast::Literal(_) | Ast::Dot(_) | Ast::ClassUnicode(_) => {}
    }
}

fn ascii_set(set: &mut ClassSet) {
    match set {
        ClassSet::Item(item) => ascii_item(item),
        ClassSet::BinaryOp(op) => {
            ascii_set(&mut op.lhs);
            ascii_set(&mut op.rhs);
        }
    }
}

fn ascii_item(item: &mut ClassSetItem) {
    match item {
        ClassSetItem::Perl(class) => *item = ClassSetItem::Ascii(ascii(class)),
        ClassSetItem::Bracketed(class) => ascii_set(&mut class.kind),
        ClassSetItem::Union(union) => union.items.iter_mut().for_each(ascii_item),
        ClassSetItem::Empty(_)
        | ClassSetItem::Literal(_)
        | ClassSetItem::Range(_)
        | ClassSetItem::Ascii(_)
        | ClassSetItem::Unicode(_) => {}
    }
}

fn ascii(class: &ClassPerl) -> ClassAscii {
    let kind = match class.kind {
        ClassPerlKind::Digit => ClassAsciiKind::Digit,
        ClassPerlKind::Space => ClassAsciiKind::Space,
        ClassPerlKind::Word => ClassAsciiKind::Word,
    };
    ClassAscii { span: class.span, kind, negated: class.negated }
}

/// `(?-u:\b)`.
fn without_unicode(assertion: Assertion) -> Ast {
    let span = assertion.span;
    let item = |kind| FlagsItem { span, kind };
    let items = vec![item(FlagsItemKind::Negation), item(FlagsItemKind::Flag(Flag::Unicode))];
    let kind = GroupKind::NonCapturing(Flags { span, items });
    Ast::group(Group { span, kind, ast: Box::new(Ast::assertion(assertion)) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn matches(pattern: &str, flags: &str, text: &str) -> bool {
        Regex::new(pattern, flags).unwrap().is_match(text)
    }

    #[test]
    fn letters_are_those_of_unicode_when_case_is_ignored_and_in_classes() {
        for (pattern, text) in [
            ("É", "é"),
            ("straße", "STRASSE".get(..0).unwrap()),
            ("[α-ω]+$", "ΑΒΓ"),
            ("ПРИВЕТ", "привет"),
            ("k", "\u{212a}"),
        ] {
            assert_eq!(matches(&format!("^{pattern}"), "i", text), !text.is_empty(), "{pattern} {text}");
            assert!(!matches(&format!("^{pattern}$"), "", text) || text.is_empty());
        }
        for (pattern, inside, outside) in [
            (r"\pL", "é", "1"),
            (r"\p{Greek}", "λ", "l"),
            (r"\p{Lu}", "É", "é"),
            (r"[\pN_]", "٣", "x"),
            (r"\PL", "1", "ü"),
            (r"[^\p{Han}]", "a", "漢"),
        ] {
            assert!(matches(&format!("^{pattern}$"), "", inside), "{pattern}");
            assert!(!matches(&format!("^{pattern}$"), "", outside), "{pattern}");
        }
    }

    #[test]
    fn short_classes_are_those_of_ascii() {
        for (pattern, text) in [
            (r"\w", "é"),
            (r"\d", "٣"),
            (r"\s", "\u{a0}"),
            (r"[\w]", "é"),
            (r"[^\W]", "é"),
            (r"a\b.", "aé".get(..1).unwrap()),
        ] {
            assert!(!matches(&format!("^{pattern}$"), "", text), "{pattern} {text:?}");
        }
        for (pattern, text) in [(r"\W", "é"), (r"\D", "٣"), (r"a\bé", "aé"), (r"é\B€", "é€"), (r"[\w-]+", "a-b")]
        {
            assert!(matches(&format!("^{pattern}$"), "", text), "{pattern} {text:?}");
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, inside, outside) in [
            (r"^[a&&b]$", &["a", "&", "b"][..], &["c", "", "-"][..]),
            (r"^[a~~b]$", &["a", "~", "b"], &["c"]),
            (r"^[[a]]$", &["a]", "[]"], &["a", "]"]),
            (r"^[a-c[x]$", &["b", "[", "x"], &["]"]),
            (r"^[]a]$", &["]", "a"], &["["]),
            (r"^[^]a]$", &["b", "-"], &["]", "a"]),
            (r"^[a-]$", &["a", "-"], &["b"]),
            (r"^[-a]$", &["a", "-"], &["b"]),
            (r"^[+--]$", &["+", ",", "-"], &["."]),
            (r"^[--/]$", &["-", ".", "/"], &["a"]),
            (r"^[\w.-]+$", &["a.b-c"], &["a b", "é"]),
            (r"^[[:alpha:]_]+$", &["ab_"], &["1", ":"]),
            (r"^[[:^digit:]]$", &["a", "["], &["1"]),
            (r"^[\]\[\\^-]+$", &["[]\\^-"], &["a"]),
            (r"^[\<\>]$", &["<", ">"], &["\\", "a"]),
            (r"^[\pL\d]+$", &["é1"], &["-"]),
            (r"^[\p{^L}]$", &["1"], &["é"]),
            (r"^[ #\n]+$", &[" #\n"], &["x"]),
            (r"^\<b\>$", &["<b>"], &["b"]),
            (r"^\Qa.b[c]\E+$", &["a.b[c]]]"], &["axb[c]", "a.b[c"]),
            (r"^\Q*{2}", &["*{2}"], &["**"]),
            (r"^\101\060$", &["A0"], &["1"]),
            (r"^\p{^Greek}\P{^Greek}$", &["aα"], &["αa"]),
            (r"^a{,2}$", &["a{,2}"], &["aa", ""]),
            (r"^{x}$", &["{x}"], &["x"]),
            (r"^a{2}b{1,}c{0,1}$", &["aabb", "aabc"], &["ab"]),
            (r"^a{2}?$", &["aa"], &["a"]),
            (r"^\x{41}\x41\t$", &["AA\t"], &["A"]),
            (r"^\b{start}", &[], &["a", "start"]),
            (r"^(?i-s:a)(?P<n>b)(?<m>c)(?:d)(?U)e*$", &["Abcdee"], &["ABcd"]),
            (r"^\.\-\_\/$", &[".-_/"], &["a"]),
        ] {
            for text in inside {
                assert!(matches(pattern, "", text), "{pattern} {text:?}");
            }
            for text in outside {
                assert!(!matches(pattern, "", text), "{pattern} {text:?}");
            }
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for (pattern, reason) in [
            ("(?x) a b", "the flag x is not supported"),
            ("(?iu:a)", "the flag u is not supported"),
            (r"(a)\1", "backreferences"),
            (r"\7", "backreferences"),
            ("[[:letter:]]", "there is no class [:letter:]"),
            ("[a", "unclosed character class"),
            ("[", "unclosed character class"),
            ("[]", "unclosed character class"),
            (r"\C", "unrecognized escape"),
            ("[z-a]", "invalid character class range"),
            (r"[a-\d]", "invalid"),
            ("a(?=b)", "look-around"),
            ("(?<!a)b", "look-around"),
        ] {
            let error = Regex::new(pattern, "").unwrap_err();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }
}
