//! What a tag may point at, given who moved it when: a register that several writers share, one of which may have been cut off.

/// The moves of one tag since its state was last seen.
#[derive(Clone, Debug, Default)]
pub(super) struct TagHistory {
    moves: Vec<Move>,
}

#[derive(Clone, Debug)]
struct Move {
    digest: String,
    started: u64,
    /// When it was acknowledged; a move that never was may have happened at any time since it started, or not at all.
    acknowledged: Option<u64>,
}

impl TagHistory {
    /// A move is about to be asked for.
    pub(super) fn start(&mut self, digest: &str, now: u64) {
        self.moves.push(Move { digest: digest.to_owned(), started: now, acknowledged: None });
    }

    /// The move to `digest` that started at `started` was acknowledged.
    pub(super) fn acknowledge(&mut self, digest: &str, started: u64, now: u64) {
        if let Some(found) = self.moves.iter_mut().find(|made| made.started == started && made.digest == digest) {
            found.acknowledged = Some(now);
        }
    }

    /// Whether the tag may be seen to point at `observed` (`None`: not to be there).
    pub(super) fn allows(&self, observed: Option<&str>) -> bool {
        match observed {
            None => self.moves.iter().all(|made| made.acknowledged.is_none()),
            Some(digest) => self.moves.iter().any(|made| made.digest == digest && !self.overtaken(made)),
        }
    }

    /// From now on the tag points there: what was under way before can no longer happen.
    pub(super) fn settle(&mut self, observed: Option<&str>, now: u64) {
        self.moves = observed
            .map(|digest| Move { digest: digest.to_owned(), started: now, acknowledged: Some(now) })
            .into_iter()
            .collect();
    }

    /// Every digest that the tag may be seen to point at.
    pub(super) fn allowed(&self) -> Vec<&str> {
        self.moves.iter().filter(|made| !self.overtaken(made)).map(|made| made.digest.as_str()).collect()
    }

    /// Another move began after this one was acknowledged, and was acknowledged itself: it must have replaced this one.
    fn overtaken(&self, made: &Move) -> bool {
        made.acknowledged
            .is_some_and(|end| self.moves.iter().any(|later| later.started > end && later.acknowledged.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::TagHistory;

    /// Moves as (digest, started, acknowledged).
    fn history(moves: &[(&str, u64, Option<u64>)]) -> TagHistory {
        let mut history = TagHistory::default();
        for (digest, started, acknowledged) in moves {
            history.start(digest, *started);
            if let Some(acknowledged) = acknowledged {
                history.acknowledge(digest, *started, *acknowledged);
            }
        }
        history
    }

    #[test]
    fn a_tag_points_at_its_last_acknowledged_move() {
        let tag = history(&[("a", 1, Some(2)), ("b", 3, Some(4))]);
        assert!(tag.allows(Some("b")));
        assert!(!tag.allows(Some("a")) && !tag.allows(Some("c")) && !tag.allows(None));
    }

    #[test]
    fn a_move_that_was_under_way_may_have_happened_or_not() {
        let tag = history(&[("a", 1, Some(2)), ("b", 3, None)]);
        assert!(tag.allows(Some("a")) && tag.allows(Some("b")));
        assert!(!tag.allows(None));
        assert!(history(&[("a", 1, None)]).allows(None));
    }

    #[test]
    fn moves_at_the_same_time_may_end_in_either_order() {
        let tag = history(&[("a", 1, Some(4)), ("b", 2, Some(3))]);
        assert!(tag.allows(Some("a")) && tag.allows(Some("b")));
    }

    #[test]
    fn one_that_was_cut_off_may_still_win_over_later_ones() {
        let tag = history(&[("a", 1, None), ("b", 2, Some(3))]);
        assert!(tag.allows(Some("a")) && tag.allows(Some("b")));
    }

    #[test]
    fn what_was_seen_after_a_start_is_settled() {
        let mut tag = history(&[("a", 1, Some(2)), ("b", 3, None)]);
        tag.settle(Some("a"), 4);
        assert!(tag.allows(Some("a")) && !tag.allows(Some("b")));
        assert_eq!(tag.allowed(), ["a"]);
        tag.settle(None, 5);
        assert!(tag.allows(None));
    }
}
