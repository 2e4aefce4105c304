//! Clients that show certificates, in each of the four modes.

use super::{House, clients::Secure};
use crate::authority::Authority;

/// Whether a client is served that shows nothing, one that shows what a stranger signed, and one that shows what the
/// authority signed.
fn served(mode: &str) -> [bool; 3] {
    let house = House::with(&format!("clientcas: [\"{{folder}}/ca.crt\"]\n{mode}"));
    let (unknown, known) = (Authority::named("elsewhere").issue(), house.authority.issue());
    [None, Some(&unknown), Some(&known)].map(|shows| {
        let connected = Secure::shake_hands(&house.registry, house.authority.client(shows));
        connected.is_ok_and(|mut stream| stream.is_served())
    })
}

#[test]
fn a_certificate_is_required_and_verified_unless_something_else_is_said() {
    assert_eq!(served(""), [false, false, true]);
    assert_eq!(served("clientauth: require-and-verify-client-cert"), [false, false, true]);
}

#[test]
fn a_certificate_can_be_verified_if_there_is_one() {
    assert_eq!(served("clientauth: verify-client-cert-if-given"), [true, false, true]);
}

#[test]
fn any_certificate_can_do() {
    assert_eq!(served("clientauth: require-any-client-cert"), [false, true, true]);
}

#[test]
fn a_certificate_can_be_asked_for_and_not_needed() {
    assert_eq!(served("clientauth: request-client-cert"), [true, true, true]);
}
