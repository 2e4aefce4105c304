//! Somebody who is told of events: a small server of HTTP that keeps what it is sent, and answers what a test wants it to.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use serde_json::Value;

use crate::waiting::eventually;

/// It listens until the test program ends.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    answer: Answer,
    seen: Vec<Received>,
}

/// What it does with what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It answers with this status.
    Status(u16),
    /// It closes the connection, as one that is restarted does.
    Hangup,
    /// It keeps the connection and says nothing.
    Silence,
}

/// A request, whole.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// By their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Whether it was taken.
    pub(crate) taken: bool,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(Mutex::new(State { answer: Answer::Status(200), seen: Vec::new() }));
        let receiver = Self { addr: listener.local_addr().unwrap(), state };
        thread::spawn({
            let receiver = receiver.clone();
            move || {
                for stream in listener.incoming().flatten() {
                    let receiver = receiver.clone();
                    thread::spawn(move || receiver.converse(stream));
                }
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.addr)
    }

    /// From now on.
    pub(crate) fn answer(&self, answer: Answer) {
        self.state().answer = answer;
    }

    /// All that was sent so far.
    pub(crate) fn seen(&self) -> Vec<Received> {
        self.state().seen.clone()
    }

    /// The events that it has taken so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        let taken = self.seen().into_iter().filter(|received| received.taken);
        taken.map(|received| received.event()).collect()
    }

    /// Waits until it has taken so many events.
    #[track_caller]
    pub(crate) fn wait_for(&self, events: usize) -> Vec<Value> {
        eventually("so many events are told", || Some(self.events()).filter(|told| told.len() >= events))
    }

    fn converse(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(received) = receive(&mut reader) {
            let answer = {
                let mut state = self.state();
                let answer = state.answer;
                let taken = matches!(answer, Answer::Status(200..400));
                state.seen.push(Received { taken, ..received });
                answer
            };
            match answer {
                Answer::Status(status) => {
                    let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 3\r\n\r\nok\n");
                    if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
                Answer::Hangup => return,
                Answer::Silence => {
                    // Until the other side gives up.
                    reader.read_to_end(&mut Vec::new()).ok();
                    return;
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Received {
    /// What it tells of: one event, always.
    #[track_caller]
    pub(crate) fn event(&self) -> Value {
        let mut envelope: Value = serde_json::from_slice(&self.body).unwrap();
        let events = envelope["events"].as_array_mut().unwrap();
        assert_eq!(events.len(), 1);
        events.remove(0)
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }
}

/// The next request of a connection; none at its end.
fn receive(reader: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    assert!(line.starts_with("POST /events HTTP/1.1"), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { headers, body, taken: false })
}
