//! What an API description says of the time between a look at a record and a write.

/// How a write is guarded between the record's check and its change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Race {
    /// The upstream answers reads with an ETag and honours If-Match (RFC 9110, section 13.1.1); without one, refuse.
    IfMatch,
    /// The operator accepts that somebody may change the record in between.
    Accept,
    /// The write is one of whatever a filter finds, and that says what the record was judged by.
    Filter(Otherwise),
}

/// What guards a write for which there is no such filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing can: it is refused.
    Refuse,
    IfMatch,
    Accept,
}

impl Race {
    /// Whether a write may be sent without a guard.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accept | Self::Filter(Otherwise::Accept))
    }
}
