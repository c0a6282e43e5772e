//! Copies a body and leaves parts of it out, with the commas right.
//!
//! Edits come in the order of the body, so they are applied at once: bytes between two edits are copied verbatim. Nothing
//! is copied that no later call has passed, so a caller that stops half-way has written no byte beyond its last edit.

use super::scan::Span;

#[derive(Debug)]
pub(super) struct Copier<'b> {
    body: &'b [u8],
    out: Vec<u8>,
    /// Everything before it is copied or left out.
    done: usize,
}

impl<'b> Copier<'b> {
    pub(super) fn new(body: &'b [u8]) -> Self {
        Self { body, out: Vec::with_capacity(body.len()), done: 0 }
    }

    pub(super) fn remove(&mut self, span: Span) {
        self.out.extend_from_slice(self.body.get(self.done..span.start).unwrap_or_default());
        self.done = self.done.max(span.end);
    }

    pub(super) fn replace(&mut self, span: Span, with: &[u8]) {
        self.remove(span);
        self.out.extend_from_slice(with);
    }

    /// Where a byte of the body will lie in the copy, if nothing before it is edited any more.
    pub(super) fn place(&self, at: usize) -> usize {
        self.out.len() + at.saturating_sub(self.done)
    }

    /// Copies the rest.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(self.body.get(self.done..).unwrap_or_default());
        self.out
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
    pub(super) fn keep(&mut self, start: usize, copier: &mut Copier<'_>) {
        if !self.kept
            && let Some(first) = self.first_dropped
        {
            copier.remove(Span { start: first, end: start });
        }
        self.kept = true;
    }

    /// The item that stays ends here.
    pub(super) fn passed(&mut self, end: usize) {
        self.end = end;
    }

    pub(super) fn drop(&mut self, item: Span, copier: &mut Copier<'_>) {
        if self.kept {
            copier.remove(Span { start: self.end, end: item.end });
        } else {
            self.first_dropped.get_or_insert(item.start);
        }
        self.end = item.end;
    }

    /// All items were seen.
    pub(super) fn close(self, copier: &mut Copier<'_>) {
        if !self.kept
            && let Some(first) = self.first_dropped
        {
            copier.remove(Span { start: first, end: self.end });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::scan::Scan;

    /// Removes elements that are 0.
    fn without_zeros(body: &str) -> String {
        let mut scan = Scan::document(body.as_bytes(), 4).expect("text");
        let mut copier = Copier::new(body.as_bytes());
        scan.enter().expect("an array");
        let (mut first, mut siblings) = (true, Siblings::default());
        while scan.element(&mut first).expect("valid") {
            let span = scan.value().expect("valid");
            if span.of(body.as_bytes()) == b"0" {
                siblings.drop(span, &mut copier);
            } else {
                siblings.keep(span.start, &mut copier);
                siblings.passed(span.end);
            }
        }
        siblings.close(&mut copier);
        String::from_utf8(copier.finish()).expect("text")
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
        ] {
            let body = body.trim();
            assert_eq!(without_zeros(body), kept.trim(), "{body}");
        }
    }
}
