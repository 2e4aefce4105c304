//! The limit of pushes: a loop that receives a body, hashes it, writes it to a file and syncs that once, and does nothing else.
//!
//! It runs as a process of its own, so that what it uses can be told from the client's. One connection at a time.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

/// As much as is hashed while it is in the cache of a core.
const PIECE: usize = 256 * 1024;

/// Serves until it is killed; the first line on standard output tells where.
pub(crate) fn run() -> Result<ExitCode> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        // A client that is done hangs up.
        let _ = serve(stream);
    }
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; PIECE];
    loop {
        let mut filled = 0;
        let end = loop {
            let read = stream.read(&mut buffer[filled..])?;
            ensure!(read > 0, "hung up");
            filled += read;
            if let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).context("no length")?;
        receive(&mut stream, &mut buffer, (end, filled), length.trim().parse()?)?;
        stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")?;
    }
}

fn receive(stream: &mut TcpStream, buffer: &mut [u8], (from, to): (usize, usize), length: u64) -> Result<()> {
    let path = std::env::temp_dir().join(format!("cargohold-bench-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let mut hash = Sha256::new();
    let (mut left, mut start, mut end) = (length, from, to);
    while left > 0 {
        if start == end {
            (start, end) = (0, stream.read(buffer)?);
            ensure!(end > 0, "hung up");
        }
        hash.update(&buffer[start..end]);
        file.write_all(&buffer[start..end])?;
        left -= (end - start) as u64;
        start = end;
    }
    std::hint::black_box(hash.finalize());
    file.sync_data()?;
    Ok(std::fs::remove_file(path)?)
}
