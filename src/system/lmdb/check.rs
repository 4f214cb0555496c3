//! Looks through a database file before it is mapped.
//!
//! LMDB trusts its file. A page that is cut off is a signal that ends the process, a damaged one leads
//! it anywhere. So whoever starts first reads all pages that are in use and sees whether they hang
//! together, with plain reads and nothing else open. What values mean is not looked at.
//!
//! The format is LMDB's own (its version 1, 64 bits, the byte order of the machine):
//!
//! - A page begins with its number (8 bytes), 2 bytes of padding, flags (2), and where its free room
//!   begins and ends (2 each; in an overflow page the number of pages, 4).
//! - Pages 0 and 1 hold a description each; the one with the later transaction counts. A tree is
//!   described by 48 bytes: flags at 4, depth at 6, root at 40; none if the root is all ones.
//! - Behind the head of a page are offsets of nodes (2 bytes each), from the end grow the nodes: size or
//!   child (4 bytes), flags or more of the child (2), size of the key (2), key, data.

use std::io;
use std::os::fd::AsFd;

use rustix::io::{Errno, pread, retry_on_intr};

const PAGE_HEAD: usize = 16;
const NODE_HEAD: usize = 8;
const TREE: usize = 48;

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// Offsets in a description, behind the head of its page.
const TREES: [usize; 2] = [24, 72];
const LAST_PAGE: usize = 120;
const TRANSACTION: usize = 128;
const META: usize = 136;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
const META_PAGE: u16 = 0x08;
const LEAF_OF_KEYS: u16 = 0x20;
const SUBPAGE: u16 = 0x40;

const BIG: u16 = 0x01;
const SUBTREE: u16 = 0x02;
const DUPLICATES: u16 = 0x04;
const DUPLICATES_IN_TREE: u16 = DUPLICATES | SUBTREE;

/// Trees within trees that can be: values, marks, keys of one mark.
const NESTED_MAX: u32 = 3;
const DEPTH_MAX: u16 = 32;

/// Why a check ended early.
enum End {
    /// The file is damaged; the text says how.
    Damaged(&'static str),
    System(io::Error),
}

impl From<Errno> for End {
    fn from(errno: Errno) -> End {
        End::System(errno.into())
    }
}

type Checked<T> = Result<T, End>;

/// What is wrong with an open database file; none if it is good, or empty. Nobody writes it meanwhile.
pub fn damage(file: impl AsFd) -> io::Result<Option<&'static str>> {
    // With 32 bits numbers of pages are shorter.
    if cfg!(not(target_pointer_width = "64")) {
        return Ok(None);
    }
    let length = rustix::fs::fstat(&file)?.st_size;
    let length = u64::try_from(length).unwrap_or(0);
    if length == 0 {
        return Ok(None);
    }
    match Checker::new(file, length).and_then(|mut checker| checker.check()) {
        Ok(()) => Ok(None),
        Err(End::Damaged(how)) => Ok(Some(how)),
        Err(End::System(cause)) => Err(cause),
    }
}

struct Checker<F> {
    file: F,
    page_size: usize,
    /// Pages that are all there.
    pages: u64,
    trees: [Tree; 2],
    /// Pages left to be seen: more are not in the file, so that a circle of pages ends.
    left: u64,
}

#[derive(Clone, Copy)]
struct Tree {
    root: u64,
    depth: u16,
}

impl Tree {
    fn at(bytes: &[u8], at: usize) -> Tree {
        Tree { root: u64_at(bytes, at + 40), depth: u16_at(bytes, at + 6) }
    }
}

impl<F: AsFd> Checker<F> {
    fn new(file: F, length: u64) -> Checked<Checker<F>> {
        let mut first = [0; PAGE_HEAD + META];
        let mut second = first;
        read(&file, &mut first, 0)?;
        let page_size = u32_at(described(&first)?, TREES[0]) as usize;
        if !(512..=65536).contains(&page_size) || !page_size.is_power_of_two() {
            return Err(End::Damaged("its size of a page cannot be"));
        }
        read(&file, &mut second, page_size as u64)?;
        let (first, second) = (described(&first)?, described(&second)?);
        let later = u64_at(first, TRANSACTION) < u64_at(second, TRANSACTION);
        let meta = if later { second } else { first };
        let pages = length / page_size as u64;
        let used = u64_at(meta, LAST_PAGE).saturating_add(1);
        let trees = TREES.map(|at| Tree::at(meta, at));
        // The file may be shorter than announced where the last pages are free.
        let pages = pages.min(used);
        Ok(Checker { file, page_size, pages, trees, left: pages })
    }

    fn check(&mut self) -> Checked<()> {
        self.trees.into_iter().try_for_each(|tree| self.check_tree(tree, NESTED_MAX))
    }

    /// Level by level, each in the order of the file: a disk is read from one end to the other.
    fn check_tree(&mut self, tree: Tree, nested: u32) -> Checked<()> {
        if tree.root == u64::MAX {
            return Ok(());
        }
        if tree.depth == 0 || tree.depth > DEPTH_MAX || nested == 0 {
            return Err(End::Damaged("a tree has a depth that cannot be"));
        }
        let mut level = vec![tree.root];
        for depth in 1..=tree.depth {
            let mut below = Vec::new();
            level.sort_unstable();
            for &number in &level {
                let page = self.page(number)?;
                if depth < tree.depth {
                    children(&page, &mut below)?;
                } else {
                    self.check_leaf(&page, nested)?;
                }
            }
            level = below;
        }
        Ok(())
    }

    fn page(&mut self, number: u64) -> Checked<Vec<u8>> {
        if number < 2 || number >= self.pages {
            return Err(End::Damaged("a page is not there: the file was cut short"));
        }
        self.left = self.left.checked_sub(1).ok_or(End::Damaged("pages lead in a circle"))?;
        let mut page = vec![0; self.page_size];
        read(&self.file, &mut page, number * self.page_size as u64)?;
        if u64_at(&page, 0) != number {
            return Err(End::Damaged("a page is another one"));
        }
        Ok(page)
    }

    fn check_leaf(&mut self, page: &[u8], nested: u32) -> Checked<()> {
        if flags(page) & LEAF_OF_KEYS != 0 {
            return check_keys(page);
        }
        for node in nodes(page, LEAF)? {
            self.check_node(node, nested)?;
        }
        Ok(())
    }

    fn check_node(&mut self, node: &[u8], nested: u32) -> Checked<()> {
        let cut = || End::Damaged("a value is cut off");
        let size = u32_at(node, 0) as usize;
        let data = node.get(NODE_HEAD + usize::from(u16_at(node, 6))..).ok_or_else(cut)?;
        match u16_at(node, 4) {
            0 => data.get(..size).map(drop).ok_or_else(cut),
            BIG => self.check_overflow(u64_at(data.get(..8).ok_or_else(cut)?, 0), size),
            DUPLICATES => check_subpage(data.get(..size).ok_or_else(cut)?),
            SUBTREE | DUPLICATES_IN_TREE if size == TREE => {
                self.check_tree(Tree::at(data.get(..size).ok_or_else(cut)?, 0), nested - 1)
            }
            _ => Err(End::Damaged("a value is of no known kind")),
        }
    }

    /// The head of a value's own pages, and that they are there.
    fn check_overflow(&mut self, number: u64, size: usize) -> Checked<()> {
        let mut head = [0; PAGE_HEAD];
        let needed = (PAGE_HEAD + size).div_ceil(self.page_size) as u64;
        let end = number.checked_add(needed).filter(|end| number >= 2 && *end <= self.pages);
        end.ok_or(End::Damaged("a large value is not there: the file was cut short"))?;
        read(&self.file, &mut head, number * self.page_size as u64)?;
        let is_it = u64_at(&head, 0) == number
            && flags(&head) & OVERFLOW != 0
            && u64::from(u32_at(&head, 12)) >= needed;
        if is_it { Ok(()) } else { Err(End::Damaged("a large value is something else")) }
    }
}

/// The description in one of the first two pages.
fn described(page: &[u8]) -> Checked<&[u8]> {
    let meta = page.get(PAGE_HEAD..).unwrap_or_default();
    let is_one = flags(page) & META_PAGE != 0 && u32_at(meta, 0) == MAGIC;
    if !is_one {
        return Err(End::Damaged("it is no LMDB file"));
    }
    if u32_at(meta, 4) != VERSION {
        return Err(End::Damaged("another version of LMDB wrote it"));
    }
    Ok(meta)
}

fn children(page: &[u8], into: &mut Vec<u64>) -> Checked<()> {
    for node in nodes(page, BRANCH)? {
        into.push(u64::from(u32_at(node, 0)) | u64::from(u16_at(node, 4)) << 32);
    }
    Ok(())
}

/// The nodes of a page of this kind, each with all that is behind it.
fn nodes(page: &[u8], kind: u16) -> Checked<impl Iterator<Item = &[u8]>> {
    let (start, end) = (usize::from(u16_at(page, 12)), usize::from(u16_at(page, 14)));
    if flags(page) & (BRANCH | LEAF | OVERFLOW | META_PAGE) != kind {
        return Err(End::Damaged("a page is of another kind"));
    }
    let offsets = page.get(PAGE_HEAD..start).filter(|offsets| {
        let sound = |at: &[u8]| {
            let at = usize::from(u16_at(at, 0));
            let head = page.get(at..).filter(|node| at >= end && node.len() >= NODE_HEAD);
            head.is_some_and(|node| node.len() >= NODE_HEAD + usize::from(u16_at(node, 6)))
        };
        start <= end && offsets.chunks(2).all(|at| at.len() == 2 && sound(at))
    });
    let offsets = offsets.ok_or(End::Damaged("a page contradicts itself"))?;
    Ok(offsets.chunks(2).filter_map(|at| page.get(usize::from(u16_at(at, 0))..)))
}

/// A page of nothing but keys of one size.
fn check_keys(page: &[u8]) -> Checked<()> {
    let count = usize::from(u16_at(page, 12)).saturating_sub(PAGE_HEAD) / 2;
    let size = usize::from(u16_at(page, 8));
    if PAGE_HEAD + count * size <= page.len() {
        return Ok(());
    }
    Err(End::Damaged("a page contradicts itself"))
}

/// A page within a value.
fn check_subpage(page: &[u8]) -> Checked<()> {
    if page.len() < PAGE_HEAD || flags(page) & SUBPAGE == 0 {
        return Err(End::Damaged("a page within a page is none"));
    }
    if flags(page) & LEAF_OF_KEYS != 0 { check_keys(page) } else { nodes(page, LEAF).map(drop) }
}

fn read(file: impl AsFd, into: &mut [u8], at: u64) -> Checked<()> {
    let mut done = 0;
    while done < into.len() {
        let rest = into.get_mut(done..).unwrap_or_default();
        match retry_on_intr(|| pread(&file, &mut *rest, at + done as u64))? {
            0 => return Err(End::Damaged("it was cut short")),
            more => done += more,
        }
    }
    Ok(())
}

fn flags(page: &[u8]) -> u16 {
    u16_at(page, 10)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map_or(0, |bytes| u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}
