//! CEL's library of encoders: base64 (RFC 4648, section 4), whose padding may be left out where it is read.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::ir::Failure;
use super::super::value::Value;
use super::signature::{Overload, Sort};
use super::{Function, bytes, text};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("base64.encode", &[Overload::new(&[Sort::Bytes], Sort::String)], |of| match of {
        [Value::Bytes(bytes)] => text(BASE64.encode(bytes)),
        _ => Err(Failure::Type),
    }),
    Function::global("base64.decode", &[Overload::new(&[Sort::String], Sort::Bytes)], |of| match of {
        [Value::String(text)] => bytes(&BASE64.decode(&**text).map_err(|_| Failure::Range)?),
        _ => Err(Failure::Type),
    }),
];
