//! The subcommands of `scrim`, a file each.
//!
//! Each has a struct of arguments and a function that runs it and writes to what it is given, so that tests need no
//! process.

pub mod keys;
