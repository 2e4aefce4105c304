//! Those who tell of what they change, and those who deliver it.

use cargohold_oci::Tag;

use super::{Act, act, arrivals::late, races};
use crate::{
    DeleteTag, Delivered, EndpointId, EventId, PutManifest, TrimDeliveries,
    tests::{Facts, deliveries::told, manifest, name},
};

fn put_told(content: &'static str, tags: &'static [&'static str], endpoint: EndpointId) -> Act {
    act(move || told(PutManifest { now: late(), ..manifest("a", content, &[], tags) }, &[endpoint]))
}

impl Facts {
    /// Somebody has told the endpoint of all that waits for it, and is about to write that down.
    async fn delivers(&self, endpoint: EndpointId) -> Act {
        let fence = self.hold(endpoint).await.unwrap();
        let events: Vec<EventId> = self.waiting(endpoint).await.into_iter().map(|(event, _body)| event).collect();
        act(move || Delivered { endpoint, fence, events: events.clone() })
    }
}

races! {
    /// In the order in which the tag moved.
    a_tag_moves_twice_and_both_is_told => async |facts: &Facts| {
        facts.put("a", "old", &[], &["v1"]).await.unwrap();
        let hook = facts.endpoint("hook").await;
        [put_told("one", &["v1"], hook), put_told("other", &["v1"], hook)]
    };
    a_tag_moves_and_is_deleted_and_both_is_told => async |facts: &Facts| {
        facts.put("a", "old", &[], &["v1"]).await.unwrap();
        let hook = facts.endpoint("hook").await;
        let delete =
            move || told(DeleteTag { repository: name("a"), tag: Tag::parse("v1").unwrap(), now: late() }, &[hook]);
        [put_told("one", &["v1"], hook), act(delete)]
    };
    /// Nothing is left of the events.
    the_last_two_deliveries_of_events_are_made => async |facts: &Facts| {
        let (one, other) = (facts.endpoint("one").await, facts.endpoint("other").await);
        facts.tell("first", &[one, other]).await;
        facts.tell("second", &[other, one]).await;
        [facts.delivers(one).await, facts.delivers(other).await]
    };
    what_is_delivered_is_dropped => async |facts: &Facts| {
        let (one, other) = (facts.endpoint("one").await, facts.endpoint("other").await);
        facts.tell("first", &[one, other]).await;
        facts.tell("second", &[other, one]).await;
        let trim = move || TrimDeliveries { endpoint: other, count: 1 };
        [facts.delivers(one).await, act(trim)]
    };
    an_endpoint_is_told_of_a_change_while_it_is_forgotten => async |facts: &Facts| {
        let hook = facts.endpoint("hook").await;
        facts.put("a", "old", &[], &[]).await.unwrap();
        [put_told("one", &[], hook), act(move || crate::ForgetEndpoint { endpoint: hook, limit: 10 })]
    };
}
