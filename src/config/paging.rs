//! How long lists that are walked are remembered, and by what key their places are told to clients.

use std::time::Duration;

use super::raw::duration;
use super::secrets::Secrets;
use crate::secret::Secret;
use crate::yaml::{Node, Reader};

/// Who can try all keys can make cursors.
const MIN_KEY: usize = 32;
const HOUR: Duration = Duration::from_secs(60 * 60);

#[derive(Debug)]
pub struct Paging {
    /// Seals cursors. `None`: a random one of the process.
    pub cursor_key: Option<Secret>,
    /// For how long a cursor can be used.
    pub cursor_time: Duration,
    /// Callers of whom it is remembered where their last pages ended. 0: nobody.
    pub remembered: u64,
    /// For how long.
    pub remember_time: Duration,
}

impl Default for Paging {
    fn default() -> Self {
        Self { cursor_key: None, cursor_time: HOUR, remembered: 4096, remember_time: HOUR / 12 }
    }
}

pub(super) fn paging(node: &Node, secrets: &mut Secrets, reader: &mut Reader) -> Paging {
    let mut paging = Paging::default();
    let mut fields = reader.fields(node, "`paging`");
    if let Some(node) = fields.take("cursor_key") {
        paging.cursor_key = secrets.reference(node, "`cursor_key`", reader);
        if paging.cursor_key.as_ref().is_some_and(|key| key.expose().len() < MIN_KEY) {
            let message = format!("the secret that cursors are sealed with needs at least {MIN_KEY} bytes");
            reader.error("weak-secret", &node.span, message);
        }
    }
    let times = [
        ("cursor_time", "`cursor_time`", &mut paging.cursor_time),
        ("remember_time", "`remember_time`", &mut paging.remember_time),
    ];
    for (key, what, place) in times {
        let range = Duration::from_secs(1)..=24 * HOUR;
        if let Some(found) = fields.take(key).and_then(|node| duration(node, what, range, reader)) {
            *place = found;
        }
    }
    let node = fields.take("remembered");
    if let Some(found) = node.and_then(|node| reader.integer(node, "`remembered`", 0..=1_000_000)) {
        paging.remembered = found;
    }
    fields.finish(reader);
    paging
}
