//! What a generator decides by: numbers that proptest makes, so that it can make them fewer and smaller when a case fails.

/// Once all are used up, every choice is the first one.
pub(in crate::policy::tests) struct Choices<'c> {
    rest: std::slice::Iter<'c, u16>,
}

impl<'c> Choices<'c> {
    pub(in crate::policy::tests) fn new(numbers: &'c [u16]) -> Self {
        Self { rest: numbers.iter() }
    }

    pub(in crate::policy::tests) fn below(&mut self, count: usize) -> usize {
        self.rest.next().map_or(0, |number| usize::from(*number) % count)
    }

    pub(in crate::policy::tests) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        *of.get(self.below(of.len())).expect("something to choose from")
    }

    /// True in one of so many cases.
    pub(in crate::policy::tests) fn rarely(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }
}
