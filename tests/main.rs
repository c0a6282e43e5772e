//! Every test that runs a whole gateway in this process, between a client and an upstream of our own.

mod support;

mod cases;
mod path {
    mod demo;
    mod writes;
}
