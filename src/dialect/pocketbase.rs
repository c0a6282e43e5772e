//! The `pocketbase` dialect: its filter language, understood and printed anew.

pub mod grammar;
