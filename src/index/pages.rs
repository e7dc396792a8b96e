//! A file that is written once, in one go, and of which any part is read and checked without the rest.
//!
//! Pages, then the checksum of each, then a trailer. A page is checked when it is read: to check them all
//! would take longer than most questions do.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{buffer::spare_capacity, io::pread};

pub(super) const PAGE: usize = 2048;
const TRAILER: usize = 24;
const MAGIC: &[u8; 8] = b"chandly2";

/// Writes such a file.
pub(super) struct Writer<W> {
    out: W,
    at: u64,
    page: crc32fast::Hasher,
    sums: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, at: 0, page: crc32fast::Hasher::new(), sums: Vec::new() }
    }

    /// Where the next byte goes.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        while !bytes.is_empty() {
            let room = PAGE - (self.at % PAGE as u64) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.page.update(now);
            self.at += now.len() as u64;
            if now.len() == room {
                let page = std::mem::replace(&mut self.page, crc32fast::Hasher::new());
                self.sums.extend(page.finalize().to_le_bytes());
            }
            bytes = later;
        }
        Ok(())
    }

    /// Ends the file; the last thing written is its head, which is found again by its length.
    pub(super) fn finish(mut self, head: &[u8]) -> io::Result<W> {
        self.write(head)?;
        let padding = (PAGE - (self.at % PAGE as u64) as usize) % PAGE;
        self.write(&[0; PAGE][..padding])?;
        let mut trailer = Vec::with_capacity(TRAILER);
        trailer.extend(((self.at / PAGE as u64) as u32).to_le_bytes());
        trailer.extend((head.len() as u32).to_le_bytes());
        trailer.extend((padding as u32).to_le_bytes());
        let mut sum = crc32fast::Hasher::new();
        sum.update(&self.sums);
        sum.update(&trailer);
        trailer.extend(sum.finalize().to_le_bytes());
        trailer.extend(MAGIC);
        self.out.write_all(&self.sums)?;
        self.out.write_all(&trailer)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Where such a file lies.
pub(super) enum Place {
    /// On disk. The handle stays good when the file is replaced or removed.
    File(File),
    /// In memory, where nothing may be written.
    Memory(Vec<u8>),
}

impl Place {
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(into, at),
            Self::Memory(bytes) => {
                let end = at as usize + into.len();
                let part = bytes.get(at as usize..end).ok_or(io::ErrorKind::UnexpectedEof)?;
                into.copy_from_slice(part);
                Ok(())
            }
        }
    }

    /// Reads a page into room that holds nothing yet, not even zeros.
    fn page(&self, number: u64) -> io::Result<Vec<u8>> {
        let at = number * PAGE as u64;
        let mut page = Vec::with_capacity(PAGE);
        match self {
            Self::File(file) => {
                while page.len() < PAGE {
                    let next = at + page.len() as u64;
                    if pread(file, spare_capacity(&mut page), next)? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
            Self::Memory(bytes) => {
                let part = bytes.get(at as usize..at as usize + PAGE);
                page.extend_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
            }
        }
        Ok(page)
    }

    fn len(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }
}

/// Reads such a file. What is damaged reads as zeros, and [`Pages::is_damaged`] says so ever after.
pub(super) struct Pages {
    place: Place,
    sums: Vec<u8>,
    kept: Mutex<HashMap<u64, Arc<Vec<u8>>>>,
    damaged: AtomicBool,
}

impl Pages {
    /// Opens a file and reads its head; none if it is not whole.
    pub(super) fn open(place: Place) -> Option<(Self, Vec<u8>)> {
        let length = place.len().ok()?;
        let mut trailer = [0; TRAILER];
        place.read(length.checked_sub(TRAILER as u64)?, &mut trailer).ok()?;
        let number = |at: usize| u32::from_le_bytes(trailer[at..at + 4].try_into().expect("four bytes"));
        let (pages, head, padding, sum) = (number(0), number(4), number(8), number(12));
        let sums_at = u64::from(pages) * PAGE as u64;
        // Nothing is made room for that cannot be there.
        if trailer[16..] != *MAGIC || sums_at + u64::from(pages) * 4 + TRAILER as u64 != length {
            return None;
        }
        let mut sums = vec![0; usize::try_from(pages).ok()?.checked_mul(4)?];
        place.read(sums_at, &mut sums).ok()?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&sums);
        hasher.update(&trailer[..12]);
        if hasher.finalize() != sum {
            return None;
        }
        let pages = Self { place, sums, kept: Mutex::default(), damaged: AtomicBool::new(false) };
        let head_at = sums_at.checked_sub(u64::from(padding) + u64::from(head))?;
        let head = pages.read(head_at, head as usize, &mut Vec::new()).to_vec();
        (!pages.is_damaged()).then_some((pages, head))
    }

    /// Whether anything that was read was not what had been written.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// How many bytes there are, whole pages.
    pub(super) fn len(&self) -> u64 {
        (self.sums.len() / 4 * PAGE) as u64
    }

    /// Notes that what was read cannot be.
    pub(super) fn damage(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<u64, Arc<Vec<u8>>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, number: u64) -> Arc<Vec<u8>> {
        if let Some(kept) = self.kept().get(&number) {
            return kept.clone();
        }
        let read = self.place.page(number).ok().filter(|page| self.is_right(number, page));
        let page = Arc::new(read.unwrap_or_else(|| {
            self.damage();
            vec![0; PAGE]
        }));
        self.kept().insert(number, page.clone());
        page
    }

    fn is_right(&self, number: u64, page: &[u8]) -> bool {
        let at = number as usize * 4;
        self.sums.get(at..at + 4).is_some_and(|sum| *sum == crc32fast::hash(page).to_le_bytes())
    }

    /// Some bytes of the file, to be looked at; pages read so are kept for the next who looks nearby.
    pub(super) fn look<T>(&self, at: u64, length: usize, look: impl FnOnce(&[u8]) -> T) -> T {
        let start = (at % PAGE as u64) as usize;
        if start + length <= PAGE {
            return look(&self.page(at / PAGE as u64)[start..start + length]);
        }
        look(self.read(at, length, &mut Vec::new()))
    }

    /// Some bytes of the file, read in one go into a room that may have served before.
    pub(super) fn read<'a>(&self, at: u64, length: usize, room: &'a mut Vec<u8>) -> &'a [u8] {
        let (first, start) = (at / PAGE as u64, (at % PAGE as u64) as usize);
        let count = (start + length).div_ceil(PAGE);
        room.resize(count * PAGE, 0);
        let is_there = first + count as u64 <= self.len() / PAGE as u64;
        if !is_there || self.place.read(first * PAGE as u64, room).is_err() {
            self.damage();
            room.fill(0);
            return &room[start..start + length];
        }
        for (page, number) in room.chunks_mut(PAGE).zip(first..) {
            if !self.is_right(number, page) {
                page.fill(0);
                self.damage();
            }
        }
        &room[start..start + length]
    }
}
