//! Copies a body as it passes and leaves parts of it out, with the commas right.
//!
//! Bytes between two edits are copied verbatim, in as large runs as the edits allow. What is neither kept nor dropped yet
//! is held, also from one chunk to the next: the comma before a record that is still to be judged must not leave with it.

use super::scan::Span;

#[derive(Debug)]
pub(super) struct Tape<'b, 'o> {
    bytes: &'b [u8],
    out: &'o mut Vec<u8>,
    /// Undecided bytes of the chunks before; empty as soon as any of this one are decided.
    held: Vec<u8>,
    /// Everything before it is copied or left out.
    done: usize,
    /// Everything before it is kept or left out.
    decided: usize,
}

impl<'b, 'o> Tape<'b, 'o> {
    pub(super) fn new(bytes: &'b [u8], held: Vec<u8>, out: &'o mut Vec<u8>) -> Self {
        Self { bytes, out, held, done: 0, decided: 0 }
    }

    pub(super) fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// What is undecided up to there is kept.
    pub(super) fn keep(&mut self, to: usize) {
        self.out.append(&mut self.held);
        self.decided = to;
    }

    /// What is undecided up to there is left out.
    pub(super) fn cut(&mut self, to: usize) {
        self.held.clear();
        self.remove(Span { start: self.decided, end: to });
    }

    /// Bytes that are undecided, up to there.
    pub(super) fn undecided(&self, to: usize) -> usize {
        self.held.len() + to.saturating_sub(self.decided)
    }

    /// Leaves out what lies behind everything that was decided or edited before.
    pub(super) fn remove(&mut self, span: Span) {
        self.out.extend_from_slice(self.bytes.get(self.done..span.start).unwrap_or_default());
        self.done = span.end;
        self.decided = span.end;
    }

    pub(super) fn replace(&mut self, span: Span, with: &[u8]) {
        self.remove(span);
        self.out.extend_from_slice(with);
    }

    /// Where a byte will lie in the output, if nothing before it is edited any more.
    pub(super) fn place(&self, at: usize) -> usize {
        self.out.len() + at.saturating_sub(self.done)
    }

    /// Copies what is kept; what is undecided of the bytes before `end`, for the next chunk.
    pub(super) fn finish(mut self, end: usize) -> Vec<u8> {
        self.out.extend_from_slice(self.bytes.get(self.done..self.decided).unwrap_or_default());
        self.held.extend_from_slice(self.bytes.get(self.decided..end).unwrap_or_default());
        self.held
    }
}

/// The members of one object or the elements of one array, some of which are left out.
///
/// Before the first kept one, everything from the first item on goes; after it, an item goes with the comma before it.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    first_dropped: Option<usize>,
    kept: bool,
    /// Where the last item ended.
    end: usize,
}

impl Siblings {
    /// An item that stays begins here; nothing inside it was edited yet.
    #[inline]
    pub(super) fn keep(&mut self, start: usize, tape: &mut Tape<'_, '_>) {
        if !self.kept
            && let Some(first) = self.first_dropped
        {
            tape.remove(Span { start: first, end: start });
        }
        self.kept = true;
    }

    /// Items that stay and were not told of lie behind the last one, or before the first; the last of them ends there.
    pub(super) fn untold(&mut self, end: usize, tape: &mut Tape<'_, '_>) {
        if !self.kept
            && let Some(first) = self.first_dropped
        {
            tape.remove(Span { start: first, end: behind_comma(tape.bytes(), self.end) });
        }
        self.kept = true;
        self.end = end;
    }

    /// The item that stays ends here.
    #[inline]
    pub(super) fn passed(&mut self, end: usize) {
        self.end = end;
    }

    pub(super) fn drop(&mut self, item: Span, tape: &mut Tape<'_, '_>) {
        if self.kept {
            tape.remove(Span { start: self.end, end: item.end });
        } else {
            self.first_dropped.get_or_insert(item.start);
        }
        self.end = item.end;
    }

    /// All items were seen.
    pub(super) fn close(self, tape: &mut Tape<'_, '_>) {
        if !self.kept
            && let Some(first) = self.first_dropped
        {
            tape.remove(Span { start: first, end: self.end });
        }
    }
}

/// Where the next item begins behind one that ends there.
fn behind_comma(bytes: &[u8], end: usize) -> usize {
    let between = bytes.get(end..).unwrap_or_default().iter();
    end + between.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',')).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::scan::Scan;

    /// Removes elements that are 0, and tells nothing of those that are 3.
    fn without_zeros(body: &str) -> String {
        let mut scan = Scan::document(body.as_bytes(), 4);
        let mut out = Vec::new();
        let mut tape = Tape::new(body.as_bytes(), Vec::new(), &mut out);
        scan.enter().expect("an array");
        let (mut first, mut siblings, mut last, mut untold) = (true, Siblings::default(), 0, false);
        while scan.element(&mut first).expect("valid") {
            let span = scan.value().expect("valid");
            if span.of(body.as_bytes()) == b"3" {
                (last, untold) = (span.end, true);
                continue;
            }
            if std::mem::take(&mut untold) {
                siblings.untold(last, &mut tape);
            }
            if span.of(body.as_bytes()) == b"0" {
                siblings.drop(span, &mut tape);
            } else {
                siblings.keep(span.start, &mut tape);
                siblings.passed(span.end);
            }
        }
        if untold {
            siblings.untold(last, &mut tape);
        }
        siblings.close(&mut tape);
        tape.keep(body.len());
        assert!(tape.finish(body.len()).is_empty());
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn commas_are_right_whichever_items_go() {
        for (body, kept) in [
            ("[]", "[]"),
            ("[0]", "[]"),
            ("[ 0 , 0 ]", "[  ]"),
            ("[0,1]", "[1]"),
            ("[1,0]", "[1]"),
            ("[1 , 0 , 2]", "[1 , 2]"),
            ("[ 0, 0, 1, 0, 0, 2, 0 ]", "[ 1, 2 ]"),
            (" [ 1 , 2 ] ", " [ 1 , 2 ] "),
            ("[3 , 0 , 3]", "[3 , 3]"),
            ("[ 0 , 0 , 3 , 3 , 0 ]", "[ 3 , 3 ]"),
            ("[0,3,1,0,3,0]", "[3,1,3]"),
        ] {
            let body = body.trim();
            assert_eq!(without_zeros(body), kept.trim(), "{body}");
        }
    }

    #[test]
    fn what_is_undecided_waits_for_the_next_chunk() {
        let mut out = Vec::new();
        let mut tape = Tape::new(b"ab,", Vec::new(), &mut out);
        tape.keep(2);
        let held = tape.finish(3);
        assert_eq!((out.as_slice(), held.as_slice()), (&b"ab"[..], &b","[..]));
        let mut tape = Tape::new(b" c", held.clone(), &mut out);
        assert_eq!(tape.undecided(1), 2);
        tape.cut(2);
        assert!(tape.finish(2).is_empty());
        let mut tape = Tape::new(b" d", held, &mut out);
        tape.keep(1);
        assert_eq!(tape.place(1), 4);
        tape.replace(Span { start: 1, end: 2 }, b"e");
        assert!(tape.finish(2).is_empty());
        assert_eq!(out, b"ab, e");
    }
}
