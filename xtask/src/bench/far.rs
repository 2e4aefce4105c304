//! A server that is far away: what is sent to it, and what it sends, arrives half a round trip later.
//!
//! A Linux with the settings that it comes with sends 4 MiB before it must have heard that they arrived (`tcp_wmem`), which is
//! what bounds HTTP/1.1 over a long way: half of that is on its way, and the answer to the other half.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Bytes that are taken at a time.
const PIECE: usize = 64 * 1024;
/// Bytes on their way, in each direction.
const ON_THE_WAY: usize = 2 * 1024 * 1024;

/// Listens in this process, and passes on to `server` what comes, until the process ends; answers where.
pub(crate) fn server(server: &str, round_trip: Duration) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let server = server.to_owned();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            // A client whose server is gone is hung up on, and says so.
            let _ = pass_on(&near, &server, round_trip / 2);
        }
    });
    Ok(address)
}

fn pass_on(near: &TcpStream, server: &str, half: Duration) -> Result<()> {
    let far = TcpStream::connect(server)?;
    for stream in [near, &far] {
        stream.set_nodelay(true)?;
    }
    for (from, to) in [(near.try_clone()?, far.try_clone()?), (far.try_clone()?, near.try_clone()?)] {
        let (sender, receiver) = sync_channel(ON_THE_WAY / PIECE);
        thread::spawn(move || take(from, &sender, half));
        thread::spawn(move || give(to, &receiver));
    }
    Ok(())
}

/// Notes for all that comes when it arrives.
fn take(mut from: TcpStream, on_the_way: &SyncSender<(Instant, Vec<u8>)>, half: Duration) {
    let mut buffer = vec![0; PIECE];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if on_the_way.send((Instant::now() + half, buffer[..read].to_vec())).is_err() {
            break;
        }
    }
}

fn give(mut to: TcpStream, on_the_way: &Receiver<(Instant, Vec<u8>)>) {
    for (arrives, bytes) in on_the_way {
        thread::sleep(arrives.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}
