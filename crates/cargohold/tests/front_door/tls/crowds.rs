//! Many at once: connections that say nothing, and readers that hardly read. Memory is counted.

use std::io;

use super::{House, clients::Secure};
use crate::{
    bad_clients::crowds::{larger, raise_file_limit},
    content::{digest, noise},
};

const KIB: u64 = 1024;
/// More than the buffers of both ends of a connection hold.
const LARGE: usize = 32 << 20;

#[test]
fn connections_that_say_nothing_and_readers_that_hardly_read_take_little_memory() {
    let crowd = 300 * larger();
    raise_file_limit(2 * crowd as u64 + 500);
    let house = House::start();
    let content = noise(92, LARGE);
    let mut stream = house.connect();
    let path = format!("/v2/tls/blobs/uploads/?digest={}", digest(&content));
    stream.begin("POST", &path, &[("Content-Length", &content.len().to_string())]);
    stream.send(&content);
    stream.answer().expect(201);

    let before = house.registry.memory();
    let idle: Vec<_> = (0..crowd)
        .map(|_| {
            let mut stream = house.connect();
            stream.get("/v2/").expect(200);
            stream
        })
        .collect();
    let each = house.registry.memory().saturating_sub(before) / crowd as u64;
    println!("an idle connection takes {} KiB", each / KIB);
    assert!(each < 128 * KIB, "an idle connection takes {each} bytes");
    drop(idle);

    let before = house.registry.memory();
    let path = format!("/v2/tls/blobs/{}", digest(&content));
    let mut readers: Vec<_> = (0..crowd).map(|_| reader(&house, &path).unwrap()).collect();
    for reader in &mut readers {
        reader.read_exact(100);
    }
    let each = house.registry.memory().saturating_sub(before) / crowd as u64;
    println!("a slow reader takes {} KiB", each / KIB);
    assert!(each < 256 * KIB, "a slow reader takes {each} bytes");
    let mut last = readers.pop().unwrap();
    drop(readers);
    assert!(last.read_exact(LARGE - 100) == content[100..], "slow, and whole");
}

fn reader(house: &House, path: &str) -> io::Result<Secure> {
    let mut stream = Secure::shake_hands(&house.registry, house.authority.client(None))?;
    stream.begin("GET", path, &[]);
    stream.head();
    Ok(stream)
}
