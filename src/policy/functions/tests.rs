//! The functions of expressions, driven directly: by the conformance corpus.

mod calls;
mod corpus;
