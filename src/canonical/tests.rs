//! Attacks on a head, each with its exact refusal, and what must pass.
