//! The bytes of a simulated file, in pages that copies share until one of them is written to.

use std::sync::Arc;

/// What a page cache holds and writes as a whole.
pub(super) const PAGE_BYTES: usize = 4096;

/// The bytes of a file. A copy costs a reference per page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// What stands behind the end of the file in the last one is zeros.
    pages: Vec<Arc<[u8; PAGE_BYTES]>>,
    len: usize,
}

impl Content {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.read(0, &mut bytes);
        bytes
    }

    /// Fills the first part of `buffer` from `offset` on and tells how long it is: less than all at the end.
    pub(super) fn read(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.len.saturating_sub(offset));
        let mut done = 0;
        while done < count {
            let (page, start) = ((offset + done) / PAGE_BYTES, (offset + done) % PAGE_BYTES);
            let piece = (PAGE_BYTES - start).min(count - done);
            buffer[done..done + piece].copy_from_slice(&self.pages[page][start..start + piece]);
            done += piece;
        }
        count
    }

    /// Writes at `offset`; a gap between the end and `offset` becomes zeros.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if offset + bytes.len() > self.len {
            self.set_len(offset + bytes.len());
        }
        let mut done = 0;
        while done < bytes.len() {
            let (page, start) = ((offset + done) / PAGE_BYTES, (offset + done) % PAGE_BYTES);
            let piece = (PAGE_BYTES - start).min(bytes.len() - done);
            let page = Arc::make_mut(&mut self.pages[page]);
            page[start..start + piece].copy_from_slice(&bytes[done..done + piece]);
            done += piece;
        }
    }

    /// Cuts the file, or fills it up with zeros.
    pub(super) fn set_len(&mut self, len: usize) {
        let pages = len.div_ceil(PAGE_BYTES);
        if len < self.len {
            self.pages.truncate(pages);
            let kept = len % PAGE_BYTES;
            if kept > 0 {
                Arc::make_mut(&mut self.pages[pages - 1])[kept..].fill(0);
            }
        } else if pages > self.pages.len() {
            let zeros = Arc::new([0; PAGE_BYTES]);
            self.pages.resize(pages, zeros);
        }
        self.len = len;
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.write(0, bytes);
        content
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Random;
    use super::Content;

    #[test]
    fn a_content_is_what_a_plain_list_of_bytes_would_be() {
        let mut random = Random::new(1);
        let (mut content, mut plain) = (Content::default(), Vec::new());
        for _ in 0..2000 {
            let (offset, count) = (random.below(20_000), random.below(9000));
            if random.chance(30) {
                content.set_len(offset);
                plain.resize(offset, 0);
            } else {
                let bytes = random.bytes(count);
                plain.resize(plain.len().max(offset + count), 0);
                plain[offset..offset + count].copy_from_slice(&bytes);
                content.write(offset, &bytes);
            }
            let before = content.clone();
            assert_eq!(content.to_vec(), plain);
            content.write(offset, b"another");
            assert_eq!(before.to_vec(), plain, "a copy does not see later writes");
            content = before;
            let mut part = vec![1; count];
            let read = content.read(offset, &mut part);
            assert_eq!(part[..read], plain[offset.min(plain.len())..(offset + count).min(plain.len())]);
        }
    }
}
