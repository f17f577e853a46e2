//! What programs are stopped from, and by which means of a machine: the one place where that is decided.

pub use super::plan::Means;

/// The first version of landlock that can tell who may cut a file short.
const FILES: u32 = 3;

/// The first version of landlock that keeps signals within.
const SIGNALS: u32 = 6;

/// One thing that programs are stopped from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// What a program cannot do, to be read after "from".
    pub what: &'static str,
    /// The means that stop it here; empty when nothing does.
    pub by: Vec<String>,
    /// What could stop it.
    pub could: &'static str,
}

/// All that programs are stopped from.
#[must_use]
pub fn stopped(means: &Means) -> Vec<Stopped> {
    let namespaces = |what: &str| means.namespaces.is_none().then(|| what.to_owned());
    let landlock = |from: u32| (means.landlock >= from).then(|| format!("landlock {}", means.landlock));
    let calls = |what: &str| means.calls.is_none().then(|| what.to_owned());
    let count = means.count.is_none().then(|| "each new one is asked about (seccomp)".to_owned());
    let always = |what: &str| Some(what.to_owned());
    let row = |what, by: [Option<String>; 2], could| Stopped { what, by: by.into_iter().flatten().collect(), could };
    vec![
        row(
            "using files that the script may not use",
            [namespaces("a view of its own (mount namespace)"), landlock(FILES)],
            "user namespaces, or landlock 3",
        ),
        row(
            "using files of the host in folders that the script may use",
            [namespaces("covers (mount namespace)"), landlock(FILES)],
            "user namespaces, or landlock 3",
        ),
        row(
            "reading /proc, /sys and /dev of others",
            [namespaces("its own /proc and /dev, no /sys"), landlock(FILES)],
            "user namespaces, or landlock 3",
        ),
        row(
            "changing modes, owners and times of files that the script may not write",
            [namespaces("read-only mounts"), calls("list of system calls")],
            "user namespaces, or seccomp filters",
        ),
        row("making sockets", [calls("list of system calls"), None], "seccomp filters"),
        row(
            "signalling processes that it did not start",
            [namespaces("process namespace"), landlock(SIGNALS)],
            "user namespaces, or landlock 6",
        ),
        row(
            "changing limits, priorities and processors of other processes",
            [namespaces("process namespace"), calls("arguments of system calls")],
            "seccomp filters, or user namespaces",
        ),
        row(
            "tracing other processes and reading their memory",
            [namespaces("process namespace"), calls("list of system calls")],
            "seccomp filters, or user namespaces",
        ),
        row("having capabilities and gaining privileges", [always("given up; no_new_privs"), None], ""),
        row(
            "making namespaces and mounts",
            [calls("arguments of clone; no clone3, unshare, setns, mount"), None],
            "seccomp filters",
        ),
        row(
            "using parts of the kernel that ordinary programs have no use for",
            [calls("list of system calls"), None],
            "seccomp filters",
        ),
        row(
            "having more than 512 processes and threads, all programs together",
            [count, None],
            "seccomp filters with a listener (Linux 5.5)",
        ),
        row(
            "leaving processes behind",
            [namespaces("process namespace"), always("orphans come to its keeper, which kills them")],
            "",
        ),
        row("using memory, files and processor time without bound", [always("limits of each process"), None], ""),
    ]
}

/// What programs are not stopped from on a machine with these means.
pub(crate) fn lacks(means: &Means) -> Vec<&'static str> {
    stopped(means).into_iter().filter(|row| row.by.is_empty()).map(|row| row.what).collect()
}

/// What a machine with these means has not, and why.
#[must_use]
pub fn missing(means: &Means) -> Vec<String> {
    let mut missing = Vec::new();
    missing.extend(means.namespaces.as_ref().map(|why| format!("no user namespaces ({why})")));
    missing.extend(match means.landlock {
        0 => Some("no landlock".to_owned()),
        version @ 1..SIGNALS => Some(format!("landlock {version}, where {SIGNALS} is needed")),
        _ => None,
    });
    missing.extend(means.calls.as_ref().map(|why| format!("no seccomp filters ({why})")));
    missing.extend(means.count.as_ref().map(|why| format!("no seccomp listener ({why})")));
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(namespaces: bool, landlock: u32, calls: bool, count: bool) -> Means {
        let why = |has: bool| (!has).then(|| "not permitted".to_owned());
        Means { namespaces: why(namespaces), landlock, calls: why(calls), count: why(count) }
    }

    #[test]
    fn either_of_the_two_walls_around_files_and_signals_is_enough() {
        for (namespaces, landlock) in [(true, 0), (true, 7), (false, 6), (false, 7)] {
            assert!(lacks(&means(namespaces, landlock, true, true)).is_empty(), "{namespaces} {landlock}");
        }
    }

    #[test]
    fn what_nothing_stops_is_named() {
        assert_eq!(lacks(&means(false, 5, true, true)), ["signalling processes that it did not start"]);
        assert_eq!(lacks(&means(false, 2, true, true)).len(), 4);
        assert!(lacks(&means(true, 7, false, true)).contains(&"making sockets"));
        assert_eq!(lacks(&means(true, 7, true, false)).len(), 1);
        assert_eq!(missing(&means(false, 5, true, true)).len(), 2);
        assert!(missing(&means(true, 7, true, true)).is_empty());
        // Every row that can be empty says what could fill it.
        let none = stopped(&means(false, 0, false, false));
        assert!(none.iter().all(|row| row.by.is_empty() != row.could.is_empty()));
    }
}
