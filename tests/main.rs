//! Every test that runs a whole gateway in this process, between a client and an upstream of our own.

#![allow(unreachable_pub, reason = "the support modules are shared by the other modules of this binary")]

mod support;

mod cases;
mod matrix;
mod path;
mod readme;
