<<<<<<< HEAD
//! The subcommands of `scrim`, a file each.
//!
//! Each has a struct of arguments and a function that runs it and writes to what it is given, so that tests need no
//! process.

pub mod keys;
=======
//! The command line: what each command takes, and which of them runs.
//!
//! Exit codes: 0 it worked, 1 it did not, 2 the command line is wrong. Results go to stdout, diagnostics to stderr.

pub mod check;
pub mod health;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// Where the configuration lies if nothing else is said.
const CONFIG: &str = "config/gateway.yaml";

/// Reverse proxy and policy enforcement gateway: every caller sees only the tenant, rows and fields that are theirs.
#[derive(Debug, Parser)]
#[command(name = "scrim", version, arg_required_else_help = true)]
pub struct Arguments {
    /// What to log: a level, or levels by module as in `info,scrim::audit=debug`
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the configuration, the API descriptions and the policies, and show every mistake at once
    ///
    /// Nothing is started and no service is asked. Example:
    ///
    ///     scrim check --config config/gateway.yaml --deny-warnings
    #[command(verbatim_doc_comment)]
    Check(Check),
    /// Ask a running gateway whether it is ready; exits with 0 if so
    ///
    /// Made for container health checks. Example:
    ///
    ///     scrim health --url http://127.0.0.1:9090/readyz
    #[command(verbatim_doc_comment)]
    Health(Health),
}

#[derive(Debug, Args)]
pub struct Check {
    /// The gateway's configuration file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, default_value = CONFIG)]
    pub config: PathBuf,
    /// How to show what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Fail on warnings too
    #[arg(long)]
    pub deny_warnings: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: each place underlined
    Text,
    /// For machines: one JSON array
    Json,
}

#[derive(Debug, Args)]
pub struct Health {
    /// The readiness address of the gateway's admin listener
    #[arg(long, value_hint = ValueHint::Url, default_value = "http://127.0.0.1:9090/readyz")]
    pub url: http::Uri,
}
>>>>>>> audit
