//! What an authority says of one certificate (RFC 6960), read as far as a server needs before it staples it.
//!
//! The signature is the client's to verify. Here it is made sure that the answer speaks of this certificate, that it says
//! `good`, and until when: a stale or foreign answer would turn away every client that asks for one.

use jiff::Timestamp;
use x509_parser::asn1_rs::{Any, Class, FromDer, GeneralizedTime, Tag};

/// More single answers than this are no answer to one question.
const MAX_ANSWERS: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it is not an OCSP response in DER")]
    Malformed,
    #[error("the authority did not answer")]
    Failed,
    #[error("it does not speak of this certificate")]
    Other,
    #[error("it does not say that the certificate is good")]
    NotGood,
    #[error("it does not say until when it holds")]
    Endless,
    #[error("it does not hold now")]
    Stale,
}

/// Until when the answer holds in which the certificate with this serial number is good.
pub fn status(bytes: &[u8], serial: &[u8], now: Timestamp) -> Result<Timestamp, Unusable> {
    let mut response = whole(bytes)?.into_iter();
    let success = response.next().ok_or(Unusable::Malformed)?;
    if success.tag() != Tag::Enumerated || success.data != [0] {
        return Err(Unusable::Failed);
    }
    let bytes = response.next().filter(|part| is_context(part, 0)).ok_or(Unusable::Malformed)?;
    let bytes = children(bytes.data)?.pop().ok_or(Unusable::Malformed)?;
    // The response's type, then the response.
    let basic = children(bytes.data)?.pop().filter(|part| part.tag() == Tag::OctetString).ok_or(Unusable::Malformed)?;
    let data = whole(basic.data)?.into_iter().next().ok_or(Unusable::Malformed)?;
    let parts = children(data.data)?;
    // A version and who answers bear tags of their own, and so do extensions; the list follows the time.
    let list = parts.iter().find(|part| part.tag() == Tag::Sequence && part.class() == Class::Universal);
    let answers = children(list.ok_or(Unusable::Malformed)?.data)?;
    let mut found = Err(Unusable::Other);
    for answer in answers.iter().take(MAX_ANSWERS) {
        let parts = children(answer.data)?;
        let mut parts = parts.iter();
        let about = children(parts.next().ok_or(Unusable::Malformed)?.data)?;
        let about = about.last().filter(|part| part.tag() == Tag::Integer).ok_or(Unusable::Malformed)?;
        if without_sign(about.data) != without_sign(serial) {
            continue;
        }
        let status = parts.next().ok_or(Unusable::Malformed)?;
        if !is_context(status, 0) {
            return Err(Unusable::NotGood);
        }
        let from = time(parts.next().ok_or(Unusable::Malformed)?)?;
        let until = parts.next().filter(|part| is_context(part, 0)).ok_or(Unusable::Endless)?;
        let until = time(children(until.data)?.first().ok_or(Unusable::Malformed)?)?;
        if now < from || until < now {
            return Err(Unusable::Stale);
        }
        found = Ok(until);
    }
    found
}

/// An integer's bytes without the zero that says that it is not negative.
fn without_sign(bytes: &[u8]) -> &[u8] {
    match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => bytes,
    }
}

fn is_context(part: &Any<'_>, tag: u32) -> bool {
    part.class() == Class::ContextSpecific && part.tag() == Tag(tag)
}

fn time(part: &Any<'_>) -> Result<Timestamp, Unusable> {
    let time = GeneralizedTime::try_from(part).map_err(|_| Unusable::Malformed)?;
    let seconds = time.utc_datetime().map_err(|_| Unusable::Malformed)?.unix_timestamp();
    Timestamp::from_second(seconds).map_err(|_| Unusable::Malformed)
}

/// The parts of a sequence that is all there is.
fn whole(bytes: &[u8]) -> Result<Vec<Any<'_>>, Unusable> {
    let mut all = children(bytes)?;
    let only = all.pop().filter(|part| all.is_empty() && part.tag() == Tag::Sequence).ok_or(Unusable::Malformed)?;
    children(only.data)
}

fn children(mut bytes: &[u8]) -> Result<Vec<Any<'_>>, Unusable> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (rest, part) = Any::from_der(bytes).map_err(|_| Unusable::Malformed)?;
        found.push(part);
        bytes = rest;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
