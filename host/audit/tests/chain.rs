//! A reader finds each change to a log.

#![allow(clippy::disallowed_methods, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, sync::LazyLock, time::Duration};

use common::{Folder, call, subject};
use proptest::prelude::*;
use starcell_audit::{Audit, Decision, Hash, Options, Outcome, ReadProblem, Seen, verify};

/// A log of three files; the last was closed, opened again and closed.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Folder::new("chain");
    let options = Options { rotate_bytes: 4000, ..Options::new(folder.log()) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (audit, writer) = Audit::open(options.clone()).unwrap();
        let app = audit.subject(&subject());
        for n in 0..15 {
            let decision = if n % 3 == 0 { Decision::Deny } else { Decision::Allow };
            let ticket = app.intent(&call(&format!("/srv/{n}"), decision)).await.unwrap();
            app.outcome(ticket, Outcome::Ok, Duration::ZERO, n);
        }
        writer.close().unwrap();
        Audit::open(options).unwrap().1.close().unwrap();
    });
    let names = ["audit.jsonl.1", "audit.jsonl.2", "audit.jsonl"];
    names.map(|name| fs::read(folder.path(name)).unwrap()).into()
});

fn check(files: &[Vec<u8>]) -> Result<Seen, starcell_audit::ReadError> {
    verify(files.iter().enumerate().map(|(n, bytes)| (format!("file{n}"), bytes.as_slice())))
}

fn with_lines(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = FILES[0].split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    change(&mut lines);
    lines.concat()
}

#[test]
fn a_log_is_sound_over_its_files_and_from_any_of_them_on() {
    let seen = check(&FILES).unwrap();
    let lines = FILES.iter().flatten().filter(|b| **b == b'\n').count() as u64;
    assert_eq!((seen.files, seen.lines, seen.kills, seen.torn_bytes), (3, lines, 0, 0));
    assert_eq!(seen.start, Some(Hash::ZERO));
    assert!(seen.closed);
    let tail = check(&FILES[1..]).unwrap();
    assert_eq!(tail.head, seen.head);
    assert_eq!(tail.start, check(&FILES[..1]).unwrap().head);
    assert!(!check(&FILES[..2]).unwrap().closed);
    assert_eq!(check(&[]).unwrap(), Seen::default());
}

#[test]
fn files_are_held_to_their_order() {
    let [first, second, third] = [0, 1, 2].map(|n| FILES[n].clone());
    for files in [[first.clone(), third.clone()], [second.clone(), first.clone()], [first.clone(), first.clone()]] {
        let error = check(&files).unwrap_err();
        assert_eq!((error.file.as_str(), error.line), ("file1", 1));
        assert!(matches!(error.problem, ReadProblem::NotTheNext), "{error}");
    }
    let torn = [[first.as_slice(), b"{"].concat(), second];
    assert!(matches!(check(&torn).unwrap_err().problem, ReadProblem::Unfinished));
    let last = check(&[[third.as_slice(), b"{\"v\":1"].concat()]).unwrap();
    assert_eq!(last.torn_bytes, 6);
}

#[test]
fn the_first_bad_line_is_named() {
    let changed = with_lines(|lines| {
        let text = String::from_utf8(lines[2].clone()).unwrap();
        lines[2] = text.replace("/srv/1", "/srv/7").into_bytes();
    });
    let changed = if changed == FILES[0] { with_lines(|lines| lines[2][30] ^= 1) } else { changed };
    let error = check(&[changed]).unwrap_err();
    let told = "file0: line 3: it does not follow the line before it: a line was changed, removed, added or moved here";
    assert_eq!(error.to_string(), told);
    assert!(error.json().starts_with("{\"file\":\"file0\",\"line\":3,"), "{}", error.json());
    let beheaded = with_lines(|lines| drop(lines.remove(0)));
    assert!(matches!(check(&[beheaded]).unwrap_err().problem, ReadProblem::Removed));
    // Cut down to where the second writer began, which names the hash it follows.
    let text = String::from_utf8(FILES[2].clone()).unwrap();
    let restart = text.match_indices("{\"v\":1,\"kind\":\"open\"").nth(1).unwrap().0;
    assert!(matches!(check(&[text[restart..].into()]).unwrap_err().problem, ReadProblem::Removed));
    let long = [FILES[0].as_slice(), &[b'x'; 100_000], b"\n"].concat();
    assert!(matches!(check(&[long]).unwrap_err().problem, ReadProblem::TooLong));
}

#[test]
fn what_verify_says() {
    let seen = check(&FILES).unwrap();
    let head = seen.head.unwrap();
    let lines = seen.lines;
    assert_eq!(
        seen.text(),
        format!(
            "the chain is sound: {lines} lines in 3 files\n\
             it ends in {head}; keep this to see later whether lines were cut off\n"
        )
    );
    assert!(seen.json().contains(&format!("\"head\":\"{head}\"")));
    let running = check(&FILES[1..2]).unwrap().text();
    assert!(running.contains("it goes on from an earlier file that ends in "), "{running}");
    assert!(running.contains("the last writer has not closed it"), "{running}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_changed_byte_shows(at in any::<prop::sample::Index>(), change in 1..=255u8) {
        let mut bytes = FILES[0].clone();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        match check(&[bytes]) {
            Err(_) => {}
            // Without its end the last line is what a kill leaves.
            Ok(seen) => {
                prop_assert_eq!(at, FILES[0].len() - 1);
                prop_assert!(seen.torn_bytes > 0);
            }
        }
    }

    #[test]
    fn a_removed_added_or_moved_line_shows(a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let count = FILES[0].iter().filter(|b| **b == b'\n').count();
        let (a, b) = (a.index(count), b.index(count));
        if a + 1 < count {
            prop_assert!(check(&[with_lines(|lines| drop(lines.remove(a)))]).is_err());
        }
        if a != b {
            prop_assert!(check(&[with_lines(|lines| lines.swap(a, b))]).is_err());
        }
        prop_assert!(check(&[with_lines(|lines| lines.insert(b, lines[a].clone()))]).is_err());
    }

    #[test]
    fn a_cut_in_the_middle_shows_and_a_torn_end_is_told(from in any::<prop::sample::Index>(), len in 1..600usize) {
        let whole = &FILES[0];
        let from = from.index(whole.len());
        let to = (from + len).min(whole.len());
        let cut = [&whole[..from], &whole[to..]].concat();
        match check(&[cut]) {
            Err(_) => prop_assert!(to < whole.len()),
            // Nothing stands after the cut, or it is no line.
            Ok(seen) => {
                let lines = whole[..from].iter().filter(|b| **b == b'\n').count() as u64;
                prop_assert_eq!(seen.lines, lines);
                prop_assert_eq!(seen.torn_bytes > 0, !whole[..from].ends_with(b"\n") && from > 0 || to < whole.len());
            }
        }
    }
}
