//! Every test that runs a whole gateway in this process, between a client and an upstream of our own.

#![allow(unreachable_pub, reason = "the support modules are shared by the other modules of this binary")]
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::let_underscore_must_use,
    reason = "a test that meets what it does not expect fails by its panic"
)]

mod support;

mod cases;
mod diagnostics;
mod import;
mod matrix;
mod path;
mod readme;
