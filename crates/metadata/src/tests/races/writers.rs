//! Two writers of one session, two sessions of one digest.

use cargohold_oci::UploadId;

use super::{Act, act, arrivals::late, races};
use crate::{
    AbandonUpload, AdvanceUpload, CancelUpload, ClaimKey, ClaimUpload, Epoch, ExpireUpload, FinishUpload,
    tests::{Facts, finish, key, name, seen},
};

fn claim(upload: UploadId, epoch: Epoch) -> Act {
    act(move || ClaimUpload { seen: seen(upload, epoch), now: late() })
}

fn advance(upload: UploadId, epoch: Epoch) -> Act {
    act(move || AdvanceUpload { upload, epoch, received: 5, hash_state: vec![2], now: late() })
}

fn claim_key(upload: UploadId, epoch: Epoch) -> Act {
    act(move || ClaimKey {
        seen: seen(upload, epoch),
        keys: vec![key("layer"), format!("{}-{upload}", key("layer"))],
        now: late(),
    })
}

fn end(upload: UploadId, epoch: Epoch) -> Act {
    act(move || FinishUpload { grace: super::arrivals::later(), ..finish(upload, epoch, "layer") })
}

fn cancel(upload: UploadId) -> Act {
    act(move || CancelUpload { repository: name("a"), upload, now: late() })
}

fn abandon(upload: UploadId, epoch: Epoch) -> Act {
    act(move || AbandonUpload { seen: seen(upload, epoch), now: late() })
}

fn expire(upload: UploadId) -> Act {
    act(move || ExpireUpload { upload, touched_before: late(), now: late() })
}

races! {
    two_sessions_end_in_one_digest => async |facts: &Facts| {
        [facts.placed("a", "layer").await, facts.placed("b", "layer").await]
    };
    two_sessions_of_a_repository_end_in_one_digest => async |facts: &Facts| {
        [facts.placed("a", "layer").await, facts.placed("a", "layer").await]
    };
    two_sessions_claim_one_place => async |facts: &Facts| {
        let ((one, first), (two, second)) = (facts.start("a").await, facts.start("b").await);
        [claim_key(one, first), claim_key(two, second)]
    };
    one_session_ends_while_another_claims_its_place => async |facts: &Facts| {
        let finish = facts.placed("a", "layer").await;
        let (upload, epoch) = facts.start("b").await;
        [finish, claim_key(upload, epoch)]
    };
    two_writers_claim_a_session => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [claim(upload, epoch), claim(upload, epoch)]
    };
    a_writer_claims_a_session_that_goes_on => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [claim(upload, epoch), advance(upload, epoch)]
    };
    a_writer_claims_a_session_that_claims_its_place => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [claim(upload, epoch), claim_key(upload, epoch)]
    };
    two_who_saw_the_same_session_claim_its_place => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [claim_key(upload, epoch), claim_key(upload, epoch)]
    };
    a_session_goes_on_while_its_place_is_claimed => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [advance(upload, epoch), claim_key(upload, epoch)]
    };
    a_writer_claims_a_session_that_ends => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [claim(upload, epoch), end(upload, epoch)]
    };
    a_session_ends_twice => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [end(upload, epoch), end(upload, epoch)]
    };
    a_session_ends_while_it_is_cancelled => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [end(upload, epoch), cancel(upload)]
    };
    a_session_is_abandoned_while_it_goes_on => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [abandon(upload, epoch), advance(upload, epoch)]
    };
    a_session_is_abandoned_while_it_is_claimed => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [abandon(upload, epoch), claim(upload, epoch)]
    };
    a_session_is_abandoned_while_it_ends => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [abandon(upload, epoch), end(upload, epoch)]
    };
    a_session_claims_its_place_while_it_is_cancelled => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [claim_key(upload, epoch), cancel(upload)]
    };
    a_session_ends_while_it_expires => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [end(upload, epoch), expire(upload)]
    };
    a_session_is_claimed_while_it_expires => async |facts: &Facts| {
        let (upload, epoch) = facts.start("a").await;
        [claim(upload, epoch), expire(upload)]
    };
}
