//! One thing that is there or not, or a tag that points somewhere, given who changed it when: a register that several writers
//! share, some of which may have been cut off.
//!
//! It says what may be seen, never what will be: a change that was never acknowledged may have happened at any time since it was
//! asked for, or not at all.

use std::collections::BTreeSet;

/// What a register holds: the digest of what is there, or nothing.
pub(super) type Value = Option<String>;

/// What a request does to a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Set(String),
    Remove,
    /// Removes it if it holds this: a tag whose manifest is deleted.
    RemoveIf(String),
}

/// The changes of one thing since its state was last seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Register {
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    effect: Effect,
    started: u64,
    acknowledged: Option<u64>,
}

impl Effect {
    /// What a register holds behind this, if nothing else happens.
    pub(super) fn applied_to(&self, before: &Value) -> Value {
        match self {
            Self::Set(digest) => Some(digest.clone()),
            Self::Remove => None,
            Self::RemoveIf(digest) => before.clone().filter(|held| held != digest),
        }
    }

    pub(super) fn is_removal(&self) -> bool {
        !matches!(self, Self::Set(_))
    }

    /// Whether nothing is left of `value` behind this.
    fn replaces(&self, value: Option<&str>) -> bool {
        match self {
            Self::Set(digest) => value != Some(digest),
            Self::Remove => value.is_some(),
            Self::RemoveIf(digest) => value == Some(digest),
        }
    }
}

impl Register {
    /// A change is about to be asked for.
    pub(super) fn start(&mut self, effect: Effect, now: u64) {
        self.changes.push(Change { effect, started: now, acknowledged: None });
    }

    /// The change that started at `started` was acknowledged.
    pub(super) fn acknowledge(&mut self, effect: &Effect, started: u64, now: u64) {
        let found = self.changes.iter_mut().find(|change| change.started == started && change.effect == *effect);
        if let Some(found) = found {
            found.acknowledged = Some(now);
        }
    }

    /// The change that started at `started` was refused: it has not happened.
    pub(super) fn withdraw(&mut self, effect: &Effect, started: u64) {
        self.changes.retain(|change| change.started != started || change.effect != *effect);
    }

    /// From now on it holds `observed`: what was under way before can no longer happen.
    pub(super) fn settle(&mut self, observed: Value, now: u64) {
        let set = |digest| Change { effect: Effect::Set(digest), started: now, acknowledged: Some(now) };
        self.changes = observed.map(set).into_iter().collect();
    }

    /// All that it may be seen to hold.
    pub(super) fn allowed(&self) -> BTreeSet<Value> {
        let mut allowed = BTreeSet::new();
        if self.changes.iter().all(|change| change.effect.is_removal() || change.acknowledged.is_none()) {
            allowed.insert(None);
        }
        for change in &self.changes {
            let value = match &change.effect {
                Effect::Set(digest) => Some(digest.clone()),
                Effect::RemoveIf(digest) if !self.may_hold_before(digest, change) => continue,
                Effect::Remove | Effect::RemoveIf(_) => None,
            };
            let overtaken = change
                .acknowledged
                .is_some_and(|end| self.acknowledged_after(end).any(|later| later.effect.replaces(value.as_deref())));
            if !overtaken {
                allowed.insert(value);
            }
        }
        allowed
    }

    /// What it must be seen to hold, if only one thing may be.
    pub(super) fn certain(&self) -> Option<Value> {
        let mut allowed = self.allowed();
        if allowed.len() == 1 { allowed.pop_first() } else { None }
    }

    /// Whether `digest` may have been the last thing that was set before `removal`.
    fn may_hold_before(&self, digest: &str, removal: &Change) -> bool {
        let sets = self.changes.iter().filter(|set| matches!(&set.effect, Effect::Set(to) if to == digest));
        let mut sets = sets.filter(|set| removal.acknowledged.is_none_or(|end| set.started < end));
        sets.any(|set| {
            let another = |later: &Change| !later.effect.is_removal() && later.effect.replaces(Some(digest));
            set.acknowledged.is_none_or(|end| !self.acknowledged_after(end).any(another))
        })
    }

    /// The acknowledged changes that began after `moment`.
    fn acknowledged_after(&self, moment: u64) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.started > moment && change.acknowledged.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::{Effect, Register};

    /// Changes as (effect, started, acknowledged): `a` sets, `-` removes, `-a` removes if it is `a`.
    fn register(changes: &[(&str, u64, Option<u64>)]) -> Register {
        let mut register = Register::default();
        for (effect, started, acknowledged) in changes {
            let effect = match (*effect, effect.strip_prefix('-')) {
                (_, Some("")) => Effect::Remove,
                (_, Some(digest)) => Effect::RemoveIf(digest.to_owned()),
                (digest, None) => Effect::Set(digest.to_owned()),
            };
            register.start(effect.clone(), *started);
            if let Some(acknowledged) = acknowledged {
                register.acknowledge(&effect, *started, *acknowledged);
            }
        }
        register
    }

    /// What may be seen, `-` for nothing.
    fn allowed(changes: &[(&str, u64, Option<u64>)]) -> String {
        register(changes).allowed().into_iter().map(|value| value.unwrap_or_else(|| "-".to_owned())).collect()
    }

    #[test]
    fn it_holds_what_was_acknowledged_last() {
        assert_eq!(allowed(&[]), "-");
        assert_eq!(allowed(&[("a", 1, Some(2)), ("b", 3, Some(4))]), "b");
        assert_eq!(allowed(&[("a", 1, Some(2)), ("-", 3, Some(4))]), "-");
        assert_eq!(allowed(&[("a", 1, Some(2)), ("-", 3, Some(4)), ("a", 5, Some(6))]), "a");
    }

    #[test]
    fn what_was_under_way_may_have_happened_or_not() {
        assert_eq!(allowed(&[("a", 1, None)]), "-a");
        assert_eq!(allowed(&[("a", 1, Some(2)), ("b", 3, None)]), "ab");
        assert_eq!(allowed(&[("a", 1, Some(2)), ("-", 3, None)]), "-a");
    }

    #[test]
    fn changes_at_the_same_time_may_end_in_either_order() {
        assert_eq!(allowed(&[("a", 1, Some(4)), ("b", 2, Some(3))]), "ab");
        assert_eq!(allowed(&[("a", 1, Some(4)), ("-", 2, Some(3))]), "-a");
    }

    #[test]
    fn one_that_was_cut_off_may_still_win_over_later_ones() {
        assert_eq!(allowed(&[("a", 1, None), ("b", 2, Some(3))]), "ab");
    }

    #[test]
    fn a_tag_goes_with_its_manifest_and_stays_with_another() {
        assert_eq!(allowed(&[("a", 1, Some(2)), ("-a", 3, Some(4))]), "-");
        assert_eq!(allowed(&[("b", 1, Some(2)), ("-a", 3, Some(4))]), "b");
        assert_eq!(allowed(&[("a", 1, Some(2)), ("b", 3, Some(4)), ("-a", 5, Some(6))]), "b");
        assert_eq!(allowed(&[("a", 1, Some(2)), ("b", 3, Some(6)), ("-a", 4, Some(5))]), "b");
        assert_eq!(allowed(&[("b", 1, Some(2)), ("a", 3, Some(6)), ("-a", 4, Some(5))]), "-a");
    }

    #[test]
    fn a_refused_change_has_not_happened() {
        let mut register = register(&[("a", 1, Some(2)), ("-", 3, None)]);
        register.withdraw(&Effect::Remove, 3);
        assert_eq!(register.certain(), Some(Some("a".to_owned())));
    }

    #[test]
    fn what_was_seen_after_a_start_is_settled() {
        let mut register = register(&[("a", 1, Some(2)), ("b", 3, None)]);
        assert_eq!(register.certain(), None);
        register.settle(Some("a".to_owned()), 4);
        assert_eq!(register.certain(), Some(Some("a".to_owned())));
        register.settle(None, 5);
        assert_eq!(register.certain(), Some(None));
    }
}
