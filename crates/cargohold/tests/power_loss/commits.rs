//! The database at each of its commits, from its write-ahead log (<https://www.sqlite.org/fileformat2.html#walformat>).
//!
//! As long as nothing was folded into the database file, the file and the log up to the end of a commit are the database as it
//! was after that commit.

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Where in the log its commits end, the empty log first.
pub(crate) fn ends(log: &[u8]) -> Vec<usize> {
    let mut ends = vec![0];
    if log.len() < HEADER {
        return ends;
    }
    let page = number(log, 8);
    let frames = (log.len() - HEADER) / (FRAME_HEADER + page);
    for frame in 0..frames {
        let start = HEADER + frame * (FRAME_HEADER + page);
        // A frame of an earlier life of the log has other salts.
        if log[start + 8..start + 16] != log[16..24] {
            break;
        }
        // The frame that ends a commit says how many pages the database has.
        if number(log, start + 4) != 0 {
            ends.push(start + FRAME_HEADER + page);
        }
    }
    ends
}

fn number(log: &[u8], at: usize) -> usize {
    let bytes = log[at..at + 4].try_into().expect("four bytes");
    usize::try_from(u32::from_be_bytes(bytes)).expect("32 bits fit")
}
