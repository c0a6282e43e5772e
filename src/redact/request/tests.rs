//! Bodies that clients send, honest and not.

use super::*;
