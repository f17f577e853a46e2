//! Templates in the syntax of Go's `text/template`, told apart before they are parsed: what the parser would say of them
//! (`unexpected .`) helps nobody.

/// Words that begin an action of Go's and no expression of Jinja's, when more follows.
const KEYWORDS: [&str; 6] = ["block", "define", "if", "range", "template", "with"];

/// Functions of Go's templates, which stand before their arguments without brackets.
const FUNCTIONS: [&str; 18] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print", "printf",
    "println", "slice",
];

/// Refuses a template of Go's; the error is the sentence to show, and has its line.
pub(super) fn check(sources: &[(&str, &str)]) -> Result<(), String> {
    for (name, source) in sources {
        let mut line = 1;
        for (index, piece) in source.split("{{").enumerate() {
            if index > 0 && is_go(piece) {
                return Err(format!(
                    "templates are Jinja's here, not Go's (in {name}:{line}): write {{{{ name }}}} for {{{{.name}}}}, \
                     {{% if x %}}..{{% endif %}} for {{{{if .x}}}}..{{{{end}}}}, and {{% for x in items %}}..{{% endfor %}} \
                     for {{{{range .items}}}}..{{{{end}}}}"
                ));
            }
            line += piece.matches('\n').count();
        }
    }
    Ok(())
}

/// Whether what follows two braces is an action of Go's.
fn is_go(action: &str) -> bool {
    let action = action.strip_prefix("- ").unwrap_or(action).trim_start();
    let is_name = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if let Some(rest) = action.strip_prefix('.') {
        return is_name(rest) || rest.trim_start().starts_with(['}', '|']);
    }
    if let Some(rest) = action.strip_prefix('$') {
        return rest.starts_with(['.', ' ']) || is_name(rest);
    }
    if action.starts_with("/*") {
        return true;
    }
    let end = action.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(action.len());
    let (word, rest) = action.split_at(end);
    let argument = rest.trim_start();
    // `range(3)` and a variable called `with` are Jinja's.
    let stands_before =
        rest.len() > argument.len() && (argument.starts_with(['.', '$', '"', '(']) || is_name(argument));
    match word {
        // Jinja has `not x`, and `a and b` does not begin with `and`.
        "not" => argument.starts_with(['.', '$']),
        // `{{ else if .x }}`: a conditional expression of Jinja's has something before its `else`.
        "else" => argument.starts_with("if "),
        word if KEYWORDS.contains(&word) => stands_before,
        word if FUNCTIONS.contains(&word) => {
            // `{{ len if x else y }}` is about a variable called `len`.
            let is_operator =
                |word: &&str| argument.strip_prefix(*word).is_some_and(|rest| rest.starts_with([' ', '(']));
            let number = rest.len() > argument.len() && argument.starts_with(|c: char| c.is_ascii_digit());
            (stands_before || number) && !["and", "if", "in", "is", "not", "or"].iter().any(is_operator)
        }
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::check;

    #[test]
    fn templates_of_go_are_told_from_those_of_jinja() {
        for source in [
            "{{.name}}",
            "{{ .name }}",
            "{{- .a.b -}}",
            "{{.}}",
            "{{ . | html }}",
            "{{if .x}}y{{end}}",
            "{{ range .items }}{{ . }}{{ end }}",
            "{{range $i, $x := .items}}{{end}}",
            "{{with .user}}{{end}}",
            "{{ $x }}",
            "{{template \"head\" .}}",
            "{{define \"head\"}}{{end}}",
            "{{if eq .a 1}}{{end}}",
            "{{/* a comment */}}",
            "{{- /* a comment */ -}}",
            "{{ len .items }}",
            "{{ printf \"%s\" .name }}",
            "{{ eq .a 1 }}",
            "{{ index .items 0 }}",
            "{{ not .x }}",
            "{{ eq 1 2 }}",
            "{{ else if .x }}",
            "{{len $x}}",
        ] {
            let error = check(&[("template", &format!("a\n{source}"))]).unwrap_err();
            assert!(error.contains("not Go's (in template:2)") && error.contains("{{ name }}"), "{source}: {error}");
        }
        for source in [
            "",
            "{{ name }}",
            "{{ range(3)|list }}",
            "{{ with }}",
            "{{ end }}",
            "{{ iffy }}",
            "{{ \".name\" }}",
            "{% if x %}{{ x.y }}{% endif %}",
            "{{ template }}",
            "{{ 'a' if b else 'c' }}",
            "{{ not x }}",
            "{{ len }}",
            "{{ index if x else y }}",
            "{{ slice.start }}",
            "{{ print is defined }}",
            "{{ html|safe }}",
            "{{ index + 1 }}",
            "{{ index(1) }}",
            "{{ elsewhere }}",
            "$ {{ '$x' }} .name",
        ] {
            assert_eq!(check(&[("template", source)]), Ok(()), "{source}");
        }
    }
}
