//! Requests in flight, counted for each client address, so that one client cannot take the whole server.
//!
//! A request has a [`Place`] from its head to the last byte of its answer. A client with no place left waits in order of
//! arrival, for a bounded time and in a bounded queue. Whoever stops waiting is out of the queue at once, and nothing
//! is kept of an address that has no request. What a client is told who waits in vain is left to others.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How many requests of a client may wait at least: all that one HTTP/2 connection can bring.
const MIN_QUEUE: usize = 256;
/// Below so many addresses the table is not made smaller.
const MIN_TABLE: usize = 1024;

/// The requests in flight of all clients.
#[derive(Debug)]
pub(crate) struct InFlight {
    /// Places that each client has.
    most: usize,
    /// Requests of a client that may wait for one.
    queue: usize,
    wait: Duration,
    clients: Mutex<HashMap<Client, Line>>,
}

/// Who is counted as one: an IPv4 address, or the /64 of an IPv6 address, since whoever has one of it has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client(IpAddr);

/// The right of a request to be worked on, and its share of the count.
#[derive(Debug)]
pub(crate) struct Place {
    // Given on before the request is gone from the line, so that a line without requests has no place taken.
    _permit: OwnedSemaphorePermit,
    _presence: Presence,
}

/// A request had to wait for too long, or too many were waiting already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    client: Client,
    most: usize,
    /// How long to stay away.
    pub(crate) pause: Duration,
}

/// The requests of one client.
#[derive(Debug)]
struct Line {
    /// Gives its permits in the order in which they were asked for.
    places: Arc<Semaphore>,
    /// Requests in flight, and those that wait.
    requests: usize,
}

/// A request that was counted.
#[derive(Debug)]
struct Presence {
    all: Arc<InFlight>,
    client: Client,
}

impl InFlight {
    /// Room for `most` requests of each client, for which others wait for `wait`.
    pub(crate) fn new(most: usize, wait: Duration) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self { most, queue: most.max(MIN_QUEUE), wait, clients: Mutex::default() }
    }

    /// A place for a request from `peer`, at once if there is one, else as soon as it is this request's turn.
    ///
    /// Whoever drops the future before gives up its turn.
    pub(crate) async fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Place, TooMany> {
        let client = Client::of(peer);
        let too_many = TooMany { client, most: self.most, pause: self.wait };
        let (presence, places) = self.count(client).ok_or(too_many)?;
        let permit = match places.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => match timeout(self.wait, places.acquire_owned()).await {
                Ok(permit) => permit.expect("the places are never closed"),
                Err(_elapsed) => return Err(too_many),
            },
        };
        Ok(Place { _permit: permit, _presence: presence })
    }

    /// Counts a request, unless the client's queue is full.
    fn count(self: &Arc<Self>, client: Client) -> Option<(Presence, Arc<Semaphore>)> {
        let mut clients = self.clients();
        let line =
            clients.entry(client).or_insert_with(|| Line { places: Arc::new(Semaphore::new(self.most)), requests: 0 });
        if line.requests >= self.most + self.queue {
            return None;
        }
        line.requests += 1;
        Some((Presence { all: self.clone(), client }, line.places.clone()))
    }

    fn leave(&self, client: Client) {
        let mut clients = self.clients();
        if let Some(line) = clients.get_mut(&client) {
            line.requests -= 1;
            if line.requests == 0 {
                clients.remove(&client);
            }
        }
        // A crowd that is gone leaves no empty table behind.
        if clients.capacity() > MIN_TABLE && clients.len() < clients.capacity() / 8 {
            let room = clients.len() * 2;
            clients.shrink_to(room.max(MIN_TABLE / 2));
        }
    }

    /// Requests of a client, those that wait included.
    #[cfg(test)]
    pub(crate) fn requests(&self, peer: IpAddr) -> usize {
        self.clients().get(&Client::of(peer)).map_or(0, |line| line.requests)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Client, Line>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    fn of(peer: IpAddr) -> Self {
        Self(match peer.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.all.leave(self.client);
    }
}

impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(formatter, "{address}"),
            IpAddr::V6(address) => write!(formatter, "{address}/64"),
        }
    }
}

impl fmt::Display for TooMany {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, most, .. } = self;
        write!(
            formatter,
            "too many requests at a time: {client} has {most} in flight already, which is the most that a client may \
             have (http.limits.requests); send fewer at a time, or try again later"
        )
    }
}

#[cfg(test)]
mod tests;
