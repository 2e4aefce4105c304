use std::{collections::VecDeque, future::poll_fn, net::Ipv4Addr, pin::Pin, task::Poll};

use proptest::prelude::*;
use tokio::time::{advance, pause};

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

type Entering = Pin<Box<dyn Future<Output = Result<Place, TooMany>> + Send>>;

fn in_flight(requests: usize, wait: Duration) -> Arc<InFlight> {
    Arc::new(InFlight::new(requests, wait))
}

/// A request that has come, and waits if it must.
async fn arrive(all: &Arc<InFlight>, peer: IpAddr) -> (Entering, Option<Result<Place, TooMany>>) {
    let all = all.clone();
    let mut entering: Entering = Box::pin(async move { all.enter(peer).await });
    let answer = look(&mut entering).await;
    (entering, answer)
}

/// What a request was told so far.
async fn look(entering: &mut Entering) -> Option<Result<Place, TooMany>> {
    poll_fn(|cx| match entering.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn admitted(all: &Arc<InFlight>, peer: IpAddr) -> Place {
    arrive(all, peer).await.1.expect("no need to wait").expect("a place")
}

async fn waiting(all: &Arc<InFlight>, peer: IpAddr) -> Entering {
    let (entering, answer) = arrive(all, peer).await;
    assert!(answer.is_none(), "{answer:?}");
    entering
}

#[tokio::test(start_paused = true)]
async fn the_first_to_wait_is_the_first_to_enter() {
    let all = in_flight(2, Duration::from_secs(5));
    let (one, two) = (admitted(&all, HERE).await, admitted(&all, HERE).await);
    let (mut third, mut fourth) = (waiting(&all, HERE).await, waiting(&all, HERE).await);
    drop(two);
    assert!(look(&mut fourth).await.is_none(), "it is the other's turn");
    let third = look(&mut third).await.unwrap().unwrap();
    drop(one);
    let fourth = look(&mut fourth).await.unwrap().unwrap();
    drop((third, fourth));
    assert!(all.clients().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_those_who_wait() {
    let all = in_flight(1, Duration::from_secs(5));
    let place = admitted(&all, HERE).await;
    let mut first = waiting(&all, HERE).await;
    drop(place);
    let mut later = waiting(&all, HERE).await;
    assert!(look(&mut first).await.unwrap().is_ok());
    assert!(look(&mut later).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_refused_and_forgotten() {
    let all = in_flight(1, Duration::from_secs(5));
    let place = admitted(&all, HERE).await;
    let mut second = waiting(&all, HERE).await;
    advance(Duration::from_millis(4999)).await;
    assert!(look(&mut second).await.is_none());
    advance(Duration::from_millis(1)).await;
    let refused = look(&mut second).await.unwrap().unwrap_err();
    assert_eq!(refused.pause, Duration::from_secs(5));
    let message = refused.to_string();
    assert!(message.contains("192.0.2.1 has 1 in flight") && message.contains("http.limits.requests"), "{message}");
    assert_eq!(all.clients()[&Client::of(HERE)].requests, 1);
    drop(place);
    assert!(all.clients().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_patience_nobody_waits() {
    let all = in_flight(1, Duration::ZERO);
    let _place = admitted(&all, HERE).await;
    assert!(all.enter(HERE).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_leaves_the_queue() {
    let all = in_flight(1, Duration::from_secs(5));
    let place = admitted(&all, HERE).await;
    let gone = waiting(&all, HERE).await;
    let mut called = waiting(&all, HERE).await;
    let mut last = waiting(&all, HERE).await;
    drop(gone);
    assert_eq!(all.clients()[&Client::of(HERE)].requests, 3);
    drop(place);
    // It was its turn, and it went before it noticed.
    assert!(look(&mut last).await.is_none());
    drop(std::mem::replace(&mut called, Box::pin(std::future::pending())));
    assert!(look(&mut last).await.unwrap().is_ok());
    assert!(all.clients().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded() {
    for (most, queue) in [(1, 256), (300, 300)] {
        let all = in_flight(most, Duration::from_secs(5));
        let mut places = Vec::new();
        for _ in 0..most {
            places.push(admitted(&all, HERE).await);
        }
        let mut queued = Vec::new();
        for _ in 0..queue {
            queued.push(waiting(&all, HERE).await);
        }
        assert!(arrive(&all, HERE).await.1.unwrap().is_err(), "refused at once");
        drop(admitted(&all, THERE).await);
        drop(queued.pop());
        queued.push(waiting(&all, HERE).await);
    }
}

#[tokio::test]
async fn one_client_does_not_count_for_another() {
    let all = in_flight(1, Duration::ZERO);
    let _places = [admitted(&all, HERE).await, admitted(&all, THERE).await];
}

#[tokio::test]
async fn a_network_of_ipv6_is_one_client_and_ipv4_is_the_same_in_both_dresses() {
    let client = |text: &str| Client::of(text.parse().unwrap());
    assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
    assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
    assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    assert_eq!(client("2001:db8:1:2:3::4").to_string(), "2001:db8:1:2::/64");
}

#[tokio::test]
async fn a_crowd_that_is_gone_takes_no_memory() {
    let all = in_flight(1, Duration::ZERO);
    let mut places = Vec::new();
    for number in 0..100_000_u32 {
        places.push(admitted(&all, IpAddr::V4(Ipv4Addr::from_bits(number))).await);
    }
    assert!(all.clients().capacity() >= 100_000);
    drop(places);
    assert!(all.clients().is_empty());
    assert!(all.clients().capacity() <= 2 * MIN_TABLE, "{}", all.clients().capacity());
}

/// What can happen.
#[derive(Clone, Copy, Debug)]
enum Event {
    Arrive(usize),
    /// A request in flight ends.
    End(usize, usize),
    /// A client that waits goes away.
    Quit(usize),
    /// Everybody looks whether it is their turn.
    Look,
    Time(u64),
}

/// The rules, without any of the machinery: who has a place, and who waits since when.
#[derive(Default)]
struct Model {
    inside: Vec<u32>,
    queue: VecDeque<(u32, u64)>,
}

/// In seconds. Timers are not exact to the last millisecond, so the real one ends between two of them.
const MODEL_WAIT: u64 = 10;

impl Model {
    fn advance(&mut self, most: usize, now: u64) {
        while self.inside.len() < most
            && let Some((request, _)) = self.queue.pop_front()
        {
            self.inside.push(request);
        }
        self.queue.retain(|&(_, since)| now < since + MODEL_WAIT);
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (0..2_usize).prop_map(Event::Arrive),
        3 => (0..2_usize, 0..8_usize).prop_map(|(client, which)| Event::End(client, which)),
        2 => (0..8_usize).prop_map(Event::Quit),
        2 => Just(Event::Look),
        1 => (1..15_u64).prop_map(Event::Time),
    ]
}

/// The real thing beside the model: what each request was told.
struct Both {
    all: Arc<InFlight>,
    most: usize,
    now: u64,
    next: u32,
    models: [Model; 2],
    places: HashMap<u32, Place>,
    entering: Vec<(u32, Entering)>,
}

impl Both {
    async fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(client) => {
                self.next += 1;
                self.models[client].queue.push_back((self.next, self.now));
                let (entering, answer) = arrive(&self.all, [HERE, THERE][client]).await;
                match answer {
                    Some(place) => drop(self.places.insert(self.next, place.expect("the queue is not full"))),
                    None => self.entering.push((self.next, entering)),
                }
            }
            Event::End(client, which) => {
                let inside = &mut self.models[client].inside;
                if let Some(request) = (!inside.is_empty()).then(|| inside.remove(which % inside.len())) {
                    // Those who have a place may not know it yet.
                    self.look().await;
                    drop(self.places.remove(&request).expect("it has a place"));
                }
            }
            // It may have been called already, and not have noticed.
            Event::Quit(which) if !self.entering.is_empty() => {
                let (request, _) = self.entering.remove(which % self.entering.len());
                for model in &mut self.models {
                    model.inside.retain(|inside| *inside != request);
                    model.queue.retain(|(waiting, _)| *waiting != request);
                }
            }
            Event::Quit(_) => {}
            Event::Look => self.look().await,
            Event::Time(seconds) => {
                self.look().await;
                self.now += seconds;
                advance(Duration::from_secs(seconds)).await;
            }
        }
        for model in &mut self.models {
            model.advance(self.most, self.now);
        }
    }

    async fn look(&mut self) {
        let mut still = Vec::new();
        for (request, mut entering) in self.entering.drain(..) {
            match look(&mut entering).await {
                Some(Ok(place)) => drop(self.places.insert(request, place)),
                Some(Err(_)) => {}
                None => still.push((request, entering)),
            }
        }
        self.entering = still;
    }

    /// Both say the same of everybody.
    async fn compare(&mut self) {
        self.look().await;
        let mut inside: Vec<_> = self.places.keys().copied().collect();
        let mut expected: Vec<_> = self.models.iter().flat_map(|model| model.inside.clone()).collect();
        inside.sort_unstable();
        expected.sort_unstable();
        assert_eq!(inside, expected, "who has a place");
        let waiting: Vec<_> = self.entering.iter().map(|(request, _)| *request).collect();
        let mut expected: Vec<_> =
            self.models.iter().flat_map(|model| model.queue.iter().map(|(request, _)| *request)).collect();
        expected.sort_unstable();
        assert_eq!(waiting, expected, "who waits");
        for (model, peer) in self.models.iter().zip([HERE, THERE]) {
            let counted = self.all.clients().get(&Client::of(peer)).map(|line| line.requests);
            let expected = model.inside.len() + model.queue.len();
            assert_eq!(counted, (expected > 0).then_some(expected), "what is kept of {peer}");
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_simple_model_does(most in 1..4_usize, events in prop::collection::vec(event(), 0..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            pause();
            let mut both = Both {
                all: in_flight(most, Duration::from_secs(MODEL_WAIT).mul_f32(0.95)),
                most,
                now: 0,
                next: 0,
                models: Default::default(),
                places: HashMap::new(),
                entering: Vec::new(),
            };
            for event in events {
                both.happen(event).await;
                if let Event::Look | Event::Time(_) = event {
                    both.compare().await;
                }
            }
            both.compare().await;
        });
    }
}

/// Prints what a request costs when there is no crowd: `cargo test --release -p cargohold-http -- --ignored cost_of`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_request_that_need_not_wait() {
    use std::{hint::black_box, time::Instant};

    const ROUNDS: u32 = 1_000_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for others in [0, 1, 10_000_u32] {
        let all = in_flight(1000, Duration::from_secs(5));
        runtime.block_on(async {
            let mut places = Vec::new();
            for number in 0..others {
                places.push(admitted(&all, IpAddr::V4(Ipv4Addr::from_bits(HERE_BITS + number))).await);
            }
            let began = Instant::now();
            for _ in 0..ROUNDS {
                drop(black_box(all.enter(HERE).await));
            }
            println!("{others} clients: {:?} a request", began.elapsed() / ROUNDS);
        });
    }
}

const HERE_BITS: u32 = Ipv4Addr::new(192, 0, 2, 1).to_bits();
