//! Under what conditions something happens: whether two calls can both do so in one run of a script.

/// The conditions around a place, outermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions(Vec<Step>);

/// One condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The `if`, loop or function.
    pub(super) of: u32,
    /// Which of its branches. Two branches of one `if` exclude each other.
    pub(super) branch: u32,
}

/// The relation of two places to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Under the same conditions.
    Same,
    /// Both may happen, under conditions of their own.
    Possible,
    /// One happens or the other.
    Exclusive,
}

impl Conditions {
    pub(super) fn enter(&mut self, of: u32, branch: u32) {
        self.0.push(Step { of, branch });
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    /// The relation of this place to another one.
    #[must_use]
    pub fn relation(&self, other: &Self) -> Relation {
        if self == other {
            return Relation::Same;
        }
        let parted = self.0.iter().zip(&other.0).find(|(one, other)| one != other);
        match parted {
            Some((one, other)) if one.of == other.of => Relation::Exclusive,
            _ => Relation::Possible,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(steps: &[(u32, u32)]) -> Conditions {
        Conditions(steps.iter().map(|(of, branch)| Step { of: *of, branch: *branch }).collect())
    }

    #[test]
    fn only_branches_of_one_condition_exclude_each_other() {
        let cases = [
            (&[][..], &[][..], Relation::Same),
            (&[(1, 0)], &[(1, 0)], Relation::Same),
            (&[(1, 0)], &[(1, 1)], Relation::Exclusive),
            (&[(1, 0), (2, 0)], &[(1, 1)], Relation::Exclusive),
            (&[], &[(1, 0)], Relation::Possible),
            (&[(1, 0)], &[(2, 0)], Relation::Possible),
            (&[(1, 0), (2, 0)], &[(1, 0), (3, 1)], Relation::Possible),
        ];
        for (one, other, expected) in cases {
            assert_eq!(place(one).relation(&place(other)), expected, "{one:?} {other:?}");
            assert_eq!(place(other).relation(&place(one)), expected, "{other:?} {one:?}");
        }
    }
}
