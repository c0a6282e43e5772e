//! `scrim demo`.

pub mod crm;
pub mod data;
pub mod identity;
