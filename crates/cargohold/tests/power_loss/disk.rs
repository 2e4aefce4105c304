//! A disk as a power loss may leave it: what was synced is there, and of the rest anything may be.
//!
//! A file's bytes and its names are apart, as POSIX has it: `fdatasync` keeps the bytes and no name, `fsync` of a folder keeps
//! its names and no bytes. What was not synced may be there in any selection: a write may be missing, torn or all zeros, a name
//! may be there before its bytes. Two things are taken as every journaling file system has them: a rename happens whole or not at
//! all, and what happens to one name happens in order.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::random::Random;

/// A change of the disk, its paths below the disk's root.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Open,
    Cut { length: u64 },
    Write { bytes: Vec<u8>, offset: u64 },
    SyncData,
    SyncFolder,
    MakeFolder,
    Rename { from: PathBuf },
    Link { from: PathBuf },
    Remove,
}

/// What is left of what was not synced.
#[derive(Clone, Debug)]
pub(crate) enum Survival {
    Nothing,
    Everything,
    /// Names, of files that have none of the bytes.
    Names,
    /// Names and lengths, of files with zeros in them.
    NamesAndLengths,
    /// Bytes, under no name that is new.
    Data,
    /// A selection, parts of writes among it.
    Some(Random),
}

/// What is found when the power is back: folders and files, by their paths.
pub(crate) type Tree = BTreeMap<PathBuf, Entry>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Entry {
    Folder,
    /// A file, by its number: one file can have two names.
    File(usize, Vec<u8>),
}

/// A disk with all that is on its way to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// How many folders there were; the first is the root.
    folders: usize,
    namings: Vec<Naming>,
    /// What the running system sees.
    now: BTreeMap<Name, Node>,
}

/// A name in a folder.
type Name = (usize, PathBuf);

#[derive(Clone, Copy, Debug)]
enum Node {
    Folder(usize),
    File(usize),
}

#[derive(Clone, Debug, Default)]
struct File {
    synced: Vec<u8>,
    unsynced: Vec<Kind>,
}

/// Names that change together.
#[derive(Clone, Debug)]
struct Naming {
    sets: Vec<(Name, Option<Node>)>,
    synced: bool,
}

impl Disk {
    /// A disk with an empty root.
    pub(crate) fn new() -> Self {
        Self { folders: 1, ..Self::default() }
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        let path = &change.path;
        match &change.kind {
            Kind::Open => {
                if self.find(path).is_none() {
                    self.files.push(File::default());
                    self.name(path, Node::File(self.files.len() - 1));
                }
            }
            Kind::MakeFolder => {
                if self.find(path).is_none() {
                    self.folders += 1;
                    self.name(path, Node::Folder(self.folders - 1));
                }
            }
            data @ (Kind::Cut { .. } | Kind::Write { .. }) => {
                let file = self.file(path);
                self.files[file].unsynced.push(data.clone());
            }
            Kind::SyncData => {
                let file = self.file(path);
                let file = &mut self.files[file];
                file.unsynced.drain(..).for_each(|data| change_bytes(&mut file.synced, &data));
            }
            Kind::SyncFolder => {
                let folder = self.folder(path);
                for naming in self.namings.iter_mut().filter(|naming| naming.is_in(folder)) {
                    naming.synced = true;
                }
            }
            Kind::Rename { from } => {
                let file = self.file(from);
                let (gone, come) = (self.place(from), self.place(path));
                self.set(vec![(gone, None), (come, Some(Node::File(file)))]);
            }
            Kind::Link { from } => {
                let file = self.file(from);
                self.name(path, Node::File(file));
            }
            Kind::Remove => {
                assert!(self.find(path).is_some(), "{} is removed and not there", path.display());
                let place = self.place(path);
                self.set(vec![(place, None)]);
            }
        }
    }

    /// What is left after a power loss now.
    pub(crate) fn lose_power(&self, mut survival: Survival) -> Tree {
        let files: Vec<Vec<u8>> = self.files.iter().map(|file| file.left(&mut survival)).collect();
        let mut left: Vec<bool> = self.namings.iter().map(|naming| naming.synced || survival.keeps_a_name()).collect();
        self.keep_order(&mut left);
        let mut names = BTreeMap::new();
        for (naming, _) in self.namings.iter().zip(left).filter(|(_, left)| *left) {
            names.extend(naming.sets.iter().cloned());
        }
        let mut tree = Tree::new();
        collect(&names, &files, 0, Path::new(""), &mut tree);
        tree
    }

    /// A change of a name that is left has all behind it that happened to the same name before.
    fn keep_order(&self, left: &mut [bool]) {
        for (number, naming) in self.namings.iter().enumerate().rev() {
            let (earlier, later) = left.split_at_mut(number);
            if later[0] {
                for (left, before) in earlier.iter_mut().zip(&self.namings) {
                    *left |= before.shares_a_name(naming);
                }
            }
        }
    }

    fn name(&mut self, path: &Path, node: Node) {
        let place = self.place(path);
        self.set(vec![(place, Some(node))]);
    }

    fn set(&mut self, sets: Vec<(Name, Option<Node>)>) {
        for (name, node) in &sets {
            match node {
                Some(node) => self.now.insert(name.clone(), *node),
                None => self.now.remove(name),
            };
        }
        self.namings.push(Naming { sets, synced: false });
    }

    fn place(&self, path: &Path) -> Name {
        let folder = self.folder(path.parent().expect("the root has no name"));
        (folder, path.file_name().expect("a name").into())
    }

    fn folder(&self, path: &Path) -> usize {
        match self.find(path) {
            Some(Node::Folder(folder)) => folder,
            found => panic!("{} should be a folder: {found:?}", path.display()),
        }
    }

    fn file(&self, path: &Path) -> usize {
        match self.find(path) {
            Some(Node::File(file)) => file,
            found => panic!("{} should be a file: {found:?}", path.display()),
        }
    }

    fn find(&self, path: &Path) -> Option<Node> {
        path.iter().try_fold(Node::Folder(0), |node, name| match node {
            Node::Folder(folder) => self.now.get(&(folder, name.into())).copied(),
            Node::File(_) => None,
        })
    }
}

impl Naming {
    /// Whether a sync of that folder makes it durable. What moves is in two, and gone from one only if it is in the other.
    fn is_in(&self, folder: usize) -> bool {
        self.sets.iter().any(|((of, _), _)| *of == folder)
    }

    fn shares_a_name(&self, other: &Self) -> bool {
        self.sets.iter().any(|(name, _)| other.sets.iter().any(|(theirs, _)| name == theirs))
    }
}

impl File {
    fn left(&self, survival: &mut Survival) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for data in &self.unsynced {
            match survival {
                Survival::Nothing | Survival::Names => {}
                Survival::Everything | Survival::Data => change_bytes(&mut bytes, data),
                Survival::NamesAndLengths => change_bytes(&mut bytes, &zeros(data)),
                Survival::Some(random) => match random.below(4) {
                    0 => {}
                    1 => change_bytes(&mut bytes, data),
                    2 => change_bytes(&mut bytes, &zeros(data)),
                    _ => change_bytes(&mut bytes, &torn(data, random)),
                },
            }
        }
        bytes
    }
}

impl Survival {
    /// The extremes.
    pub(crate) const EXTREMES: [Self; 5] =
        [Self::Nothing, Self::Everything, Self::Names, Self::NamesAndLengths, Self::Data];

    fn keeps_a_name(&mut self) -> bool {
        match self {
            Self::Nothing | Self::Data => false,
            Self::Everything | Self::Names | Self::NamesAndLengths => true,
            Self::Some(random) => random.chance(50),
        }
    }
}

/// Makes it so in a folder of this machine.
pub(crate) fn write(tree: &Tree, root: &Path) {
    let mut first_names = BTreeMap::new();
    for (path, entry) in tree {
        match entry {
            Entry::Folder => fs::create_dir(root.join(path)).unwrap(),
            Entry::File(number, bytes) => match first_names.insert(number, path) {
                Some(first) => fs::hard_link(root.join(first), root.join(path)).unwrap(),
                None => fs::write(root.join(path), bytes).unwrap(),
            },
        }
    }
}

fn collect(names: &BTreeMap<Name, Option<Node>>, files: &[Vec<u8>], folder: usize, path: &Path, tree: &mut Tree) {
    for ((_, name), node) in names.range((folder, PathBuf::new())..(folder + 1, PathBuf::new())) {
        let path = path.join(name);
        match node {
            Some(Node::File(file)) => drop(tree.insert(path, Entry::File(*file, files[*file].clone()))),
            Some(Node::Folder(folder)) => {
                collect(names, files, *folder, &path, tree);
                tree.insert(path, Entry::Folder);
            }
            None => {}
        }
    }
}

fn change_bytes(file: &mut Vec<u8>, data: &Kind) {
    match data {
        Kind::Cut { length } => file.resize(position(*length), 0),
        Kind::Write { bytes, offset } => {
            let (start, end) = (position(*offset), position(*offset) + bytes.len());
            file.resize(file.len().max(end), 0);
            file[start..end].copy_from_slice(bytes);
        }
        other => panic!("{other:?} is nothing that happens to bytes"),
    }
}

fn zeros(data: &Kind) -> Kind {
    match data {
        Kind::Write { bytes, offset } => Kind::Write { bytes: vec![0; bytes.len()], offset: *offset },
        other => other.clone(),
    }
}

/// A write of which only the beginning arrived.
fn torn(data: &Kind, random: &mut Random) -> Kind {
    match data {
        Kind::Write { bytes, offset } => {
            Kind::Write { bytes: bytes[..random.below(bytes.len() + 1)].to_vec(), offset: *offset }
        }
        other => other.clone(),
    }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).expect("tests write little")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(changes: &[(&str, Kind)]) -> Disk {
        let mut disk = Disk::new();
        for (path, kind) in changes {
            disk.apply(&Change { path: path.into(), kind: kind.clone() });
        }
        disk
    }

    fn left(disk: &Disk, survival: Survival) -> Vec<(String, Vec<u8>)> {
        let files = disk.lose_power(survival).into_iter().filter_map(|(path, entry)| match entry {
            Entry::File(_, bytes) => Some((path.display().to_string(), bytes)),
            Entry::Folder => None,
        });
        files.collect()
    }

    fn file(path: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        vec![(path.to_owned(), bytes.to_vec())]
    }

    fn write(bytes: &[u8]) -> Kind {
        Kind::Write { bytes: bytes.to_vec(), offset: 0 }
    }

    #[test]
    fn a_synced_file_without_a_synced_name_is_lost() {
        let disk = after(&[("a", Kind::Open), ("a", write(b"bytes")), ("a", Kind::SyncData)]);
        assert_eq!(left(&disk, Survival::Nothing), []);
        assert_eq!(left(&disk, Survival::Names), file("a", b"bytes"));
    }

    #[test]
    fn a_synced_name_has_the_bytes_that_were_synced() {
        let disk = after(&[("a", Kind::Open), ("a", write(b"bytes")), ("", Kind::SyncFolder)]);
        assert_eq!(left(&disk, Survival::Nothing), file("a", b""));
        assert_eq!(left(&disk, Survival::NamesAndLengths), file("a", &[0; 5]));
        assert_eq!(left(&disk, Survival::Data), file("a", b"bytes"));
    }

    #[test]
    fn a_move_happens_whole_or_not_at_all() {
        let rename = Kind::Rename { from: "a".into() };
        let disk = after(&[("f", Kind::MakeFolder), ("a", Kind::Open), ("", Kind::SyncFolder), ("f/a", rename)]);
        assert_eq!(left(&disk, Survival::Nothing), file("a", b""));
        assert_eq!(left(&disk, Survival::Everything), file("f/a", b""));
        for either in ["f", ""] {
            let mut disk = disk.clone();
            disk.apply(&Change { path: either.into(), kind: Kind::SyncFolder });
            assert_eq!(left(&disk, Survival::Nothing), file("f/a", b""), "{either:?}");
        }
    }

    #[test]
    fn what_is_below_a_lost_folder_is_lost() {
        let disk = after(&[("f", Kind::MakeFolder), ("f/a", Kind::Open), ("f", Kind::SyncFolder)]);
        assert_eq!(left(&disk, Survival::Nothing), []);
    }

    #[test]
    fn what_happens_to_one_name_happens_in_order() {
        let rename = Kind::Rename { from: "a".into() };
        let disk = after(&[
            ("b", Kind::MakeFolder),
            ("a", Kind::Open),
            ("b/a", rename),
            ("a", Kind::Open),
            ("", Kind::SyncFolder),
        ]);
        assert_eq!(left(&disk, Survival::Nothing), [file("a", b""), file("b/a", b"")].concat());
    }
}
