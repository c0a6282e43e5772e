//! The functions of expressions, driven directly: by the conformance corpus, by tables of what is easily got wrong, by
//! models, and by every function on hostile values.

mod calls;
mod corpus;
mod edges;
mod hostile;
mod models;
