//! The lines in which two texts differ.
//!
//! The decision: the shortest script of removed and added lines, after Myers ("An O(ND) Difference Algorithm", 1986), over what
//! is left between a common beginning and a common end. Two texts with more than [`MOST`] differences are shown as one that
//! is removed and one that is added: a comparison takes bounded time and memory, whatever scripts are sent.

/// Differences that are looked for: memory and time grow with the square of it.
const MOST: usize = 500;

/// A line of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// In both texts.
    Same(&'a str),
    /// In the first text alone.
    Removed(&'a str),
    /// In the second text alone.
    Added(&'a str),
}

/// Compares two texts by their lines.
pub(super) fn changes<'a>(from: &'a str, to: &'a str) -> Vec<Change<'a>> {
    let (from, to): (Vec<&str>, Vec<&str>) = (from.lines().collect(), to.lines().collect());
    let begin = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let (from_rest, to_rest) = (from.get(begin..).unwrap_or_default(), to.get(begin..).unwrap_or_default());
    let end = from_rest.iter().rev().zip(to_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (from_middle, common_end) = from_rest.split_at(from_rest.len() - end);
    let to_middle = to_rest.get(..to_rest.len() - end).unwrap_or_default();
    let same = |line: &&'a str| Change::Same(line);
    let middle = shortest(from_middle, to_middle).unwrap_or_else(|| {
        let removed = from_middle.iter().map(|line| Change::Removed(line));
        removed.chain(to_middle.iter().map(|line| Change::Added(line))).collect()
    });
    from.iter().take(begin).map(same).chain(middle).chain(common_end.iter().map(same)).collect()
}

/// The shortest script; none if it has too many steps.
fn shortest<'a>(from: &[&'a str], to: &[&'a str]) -> Option<Vec<Change<'a>>> {
    let most = MOST.min(from.len() + to.len());
    // The furthest line of `from` on each diagonal, for each number of differences before. A diagonal k is at `k + most + 1`.
    let mut furthest = vec![0_usize; 2 * most + 3];
    let mut steps: Vec<Vec<usize>> = Vec::new();
    for differences in 0..=most {
        steps.push(furthest.clone());
        for place in (most + 1 - differences..=most + 1 + differences).step_by(2) {
            let mut x = begin_of(&furthest, place, most + 1 - differences, most + 1 + differences)?;
            let mut y = (x + most + 1).checked_sub(place)?;
            while let (Some(a), Some(b)) = (from.get(x), to.get(y))
                && a == b
            {
                (x, y) = (x + 1, y + 1);
            }
            *furthest.get_mut(place)? = x;
            if x >= from.len() && y >= to.len() {
                return back(from, to, &steps, most);
            }
        }
    }
    None
}

/// Where a diagonal begins: beside the one of its neighbours that has come further.
fn begin_of(furthest: &[usize], place: usize, lowest: usize, highest: usize) -> Option<usize> {
    let (below, above) = (*furthest.get(place - 1)?, *furthest.get(place + 1)?);
    let by_adding = place == lowest || (place != highest && below < above);
    Some(if by_adding { above } else { below + 1 })
}

/// The way back from the end of both texts, in the right order.
fn back<'a>(from: &[&'a str], to: &[&'a str], steps: &[Vec<usize>], most: usize) -> Option<Vec<Change<'a>>> {
    let (mut x, mut y) = (from.len(), to.len());
    let mut out = Vec::new();
    for (differences, furthest) in steps.iter().enumerate().rev() {
        let place = (x + most + 1).checked_sub(y)?;
        let (begin_x, begin_y) = if differences == 0 {
            (0, 0)
        } else {
            let (lowest, highest) = (most + 1 - differences, most + 1 + differences);
            let begin = begin_of(furthest, place, lowest, highest)?;
            (begin, (begin + most + 1).checked_sub(place)?)
        };
        while x > begin_x && y > begin_y {
            (x, y) = (x - 1, y - 1);
            out.push(Change::Same(from.get(x)?));
        }
        if differences > 0 {
            let (below, above) = (*furthest.get(place - 1)?, *furthest.get(place + 1)?);
            let added = place == most + 1 - differences || (place != most + 1 + differences && below < above);
            if added {
                y = y.checked_sub(1)?;
                out.push(Change::Added(to.get(y)?));
            } else {
                x = x.checked_sub(1)?;
                out.push(Change::Removed(from.get(x)?));
            }
        }
    }
    out.reverse();
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(from: &str, to: &str) -> String {
        let line = |change: &Change<'_>| match change {
            Change::Same(line) => format!(" {line}"),
            Change::Removed(line) => format!("-{line}"),
            Change::Added(line) => format!("+{line}"),
        };
        changes(from, to).iter().map(line).collect::<Vec<_>>().join("|")
    }

    /// Both texts, read back from their comparison, and the number of lines that differ.
    fn read(from: &str, to: &str) -> (String, String, usize) {
        let (mut first, mut second, mut differences) = (String::new(), String::new(), 0);
        for change in changes(from, to) {
            let (Change::Same(line) | Change::Removed(line) | Change::Added(line)) = change;
            if !matches!(change, Change::Added(_)) {
                first += &format!("{line}\n");
            }
            if !matches!(change, Change::Removed(_)) {
                second += &format!("{line}\n");
            }
            differences += usize::from(!matches!(change, Change::Same(_)));
        }
        (first, second, differences)
    }

    #[test]
    fn lines_that_differ_are_told() {
        for (from, to, shown) in [
            ("", "", ""),
            ("a", "a", " a"),
            ("", "a\nb", "+a|+b"),
            ("a\nb", "", "-a|-b"),
            ("a\nb\nc", "a\nx\nc", " a|-b|+x| c"),
            ("a\nb\nc\na\nb\nb\na", "c\nb\na\nb\na\nc", "-a|-b| c|+b| a| b|-b| a|+c"),
            ("a\nb", "b\na", "-a| b|+a"),
        ] {
            assert_eq!(told(from, to), shown, "{from:?} {to:?}");
        }
    }

    #[test]
    fn a_comparison_loses_no_line_and_is_no_longer_than_it_has_to_be() {
        // Texts over three lines, of all lengths up to six.
        let texts: Vec<String> = (0..7_u32)
            .flat_map(|length| {
                (0..3_u32.pow(length)).map(move |mut number| {
                    (0..length)
                        .map(|_| {
                            let line = ["a\n", "b\n", "c\n"].into_iter().nth((number % 3) as usize).unwrap_or_default();
                            number /= 3;
                            line
                        })
                        .collect::<String>()
                })
            })
            .collect();
        for (place, from) in texts.iter().enumerate() {
            for to in texts.iter().skip(place % 7).step_by(7) {
                let (first, second, differences) = read(from, to);
                assert_eq!((&first, &second), (from, to));
                assert_eq!(
                    differences,
                    from.lines().count() + to.lines().count() - 2 * common(from, to),
                    "{from:?} {to:?}"
                );
            }
        }
    }

    /// The length of the longest common subsequence, by its definition.
    fn common(from: &str, to: &str) -> usize {
        let to: Vec<&str> = to.lines().collect();
        let mut before = vec![0; to.len() + 1];
        for a in from.lines() {
            let mut now = vec![0];
            for ((b, pair), left) in to.iter().zip(before.windows(2)).zip(0..) {
                let (diagonal, above) = (pair.first().copied().unwrap_or(0), pair.last().copied().unwrap_or(0));
                let left = now.get::<usize>(left).copied().unwrap_or(0);
                now.push(if a == *b { diagonal + 1 } else { above.max(left) });
            }
            before = now;
        }
        before.last().copied().unwrap_or(0)
    }

    #[test]
    fn texts_without_a_common_line_take_bounded_time() {
        let lines = |word: &str| (0..20_000).map(|number| format!("{word}{number}\n")).collect::<String>();
        let (from, to) = (lines("a"), lines("b"));
        assert_eq!(read(&from, &to), (from.clone(), to, 40_000));
        let mut other = from.clone();
        other.push_str("more\n");
        assert_eq!(read(&from, &other).2, 1);
    }
}
