//! The command line: what each command takes, and which of them runs.
//!
//! Exit codes: 0 it worked, 1 it did not, 2 the command line is wrong. Results go to stdout, diagnostics to stderr.

pub mod check;
pub mod health;
pub mod import;
pub mod keys;
pub mod secrets;
pub mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// Where the configuration lies if nothing else is said.
const CONFIG: &str = "config/gateway.yaml";

/// Reverse proxy and policy enforcement gateway: every caller sees only the tenant, rows and fields that are theirs.
#[derive(Debug, Parser)]
#[command(name = "scrim", version, arg_required_else_help = true)]
pub struct Arguments {
    /// What to log: a level, or levels by module as in `info,scrim::audit=debug`
    #[arg(long, global = true, value_name = "FILTER", value_parser = log_filter)]
    pub log: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

/// Levels, alone or of a module. A word that is neither would be taken for the name of a module, and nothing would be logged.
fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
        if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            let known = LEVELS.join(", ");
            return Err(format!(
                "`{level}` is no level; write one of {known}, or levels by module: scrim::audit=debug"
            ));
        }
    }
    Ok(text.to_owned())
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve: the gateway until SIGTERM or SIGINT ends it; SIGHUP reloads, SIGQUIT hands over
    ///
    /// A configuration that is wrong is never served. On SIGHUP all of it is loaded anew, or the last good one stays in
    /// force. On SIGTERM no connection is taken any more, requests in flight finish, and the process ends when none is
    /// left. On SIGQUIT the program that now lies where this one was started from is started, gets the listening sockets,
    /// and takes over once it is ready; if it never is, this one goes on.
    #[command(after_help = "Example:\n  scrim serve --config config/gateway.yaml")]
    Serve(Serve),
    /// Start a demo CRM with the gateway in front of it, and print requests to try
    ///
    /// Nothing needs to be set up: certificates, keys and data are made afresh. With --tour it sends the requests itself,
    /// shows what each caller sees and why, and ends.
    #[command(after_help = "Example:\n  scrim demo --tour")]
    Demo(crate::demo::Options),
    /// Check the configuration, the API descriptions and the policies, and show every mistake at once
    ///
    /// Nothing is started and no service is asked. Errors are what can't be served and what no author of a policy can
    /// have meant, such as a condition that never holds; warnings are what most who write it do not mean. Exits with 1 on
    /// errors, and on warnings with --deny-warnings.
    #[command(after_help = "Examples:\n  scrim check --config config/gateway.yaml --deny-warnings\n  \
                            scrim check --format sarif > scrim.sarif")]
    Check(Check),
    /// Ask a running gateway whether it is ready; exits with 0 if so
    ///
    /// Made for container health checks.
    #[command(after_help = "Example:\n  scrim health --url http://127.0.0.1:9090/readyz")]
    Health(Health),
    /// Draft an API description from what an upstream says of itself
    ///
    /// Reads OpenAPI 3.0 and 3.1, OData V4 `$metadata`, Directus' collections, fields and relations, and PocketBase's
    /// collections, from files or stdin and never from the network. What it writes loads as it is and grants nothing. A
    /// table of which nothing says whose its rows are is left out and named, as is all else that can't be told for sure.
    #[command(
        after_help = "Examples:\n  scrim import --tenant organization_id=org_id openapi.yaml > config/apis/crm.yaml\n  \
                            scrim import --root /odata/v4/crm --out config/apis/crm.yaml metadata.xml"
    )]
    Import(import::Import),
    /// Make API keys
    #[command(subcommand)]
    Keys(Keys),
    /// Keep secrets in a sealed file
    ///
    /// The file and its key are those that the configuration names under `sealed_secrets`. A value is read from stdin and
    /// never shown.
    #[command(subcommand, after_help = "Examples:\n  scrim secrets set crm-token/acme < token\n  scrim secrets list")]
    Secrets(Secrets),
}

#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Print a new key, to be kept elsewhere than the file
    Key,
    /// Set a secret; its value is read from stdin, or asked for where that is a terminal
    Set(secrets::Named),
    /// Print the names of all secrets and when each was set
    List(secrets::Of),
    /// Remove a secret
    Remove(secrets::Named),
    /// Seal everything anew with the first of the keys
    ///
    /// To replace a key: put the new one before the old one in the key's file, run this, and remove the old one.
    Rotate(secrets::Of),
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make an API key, print it once, and print the entry for the file of keys
    ///
    /// The entry has no groups and no attributes; add those that policies ask for by hand.
    #[command(after_help = "Example:\n  scrim keys new --principal sync --role service --tenant acme --expires 90d")]
    New(keys::NewKey),
}

#[derive(Debug, Args)]
pub struct Serve {
    /// The gateway's configuration file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, default_value = CONFIG)]
    pub config: PathBuf,
    /// Take over from the process that started this one
    #[arg(long, hide = true)]
    pub take_over: bool,
}

#[derive(Debug, Args)]
pub struct Check {
    /// The gateway's configuration file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, default_value = CONFIG)]
    pub config: PathBuf,
    /// How to show what was found; text goes to stderr, the others to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Exit with 1 on warnings too
    #[arg(long)]
    pub deny_warnings: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: each place underlined
    Text,
    /// For machines: one JSON array
    Json,
    /// For code hosts and editors: SARIF 2.1.0
    Sarif,
}

#[derive(Debug, Args)]
pub struct Health {
    /// The readiness address of the gateway's admin listener
    #[arg(long, value_hint = ValueHint::Url, default_value = "http://127.0.0.1:9090/readyz")]
    pub url: http::Uri,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn every_command_has_an_example_and_a_default() {
        Arguments::command().debug_assert();
        for name in ["check", "health"] {
            assert!(Arguments::try_parse_from(["scrim", name]).is_ok(), "{name}");
            let help = Arguments::try_parse_from(["scrim", name, "--help"]).unwrap_err();
            assert_eq!(help.kind(), ErrorKind::DisplayHelp);
            assert!(help.to_string().contains(&format!("scrim {name} --")), "{help}");
        }
    }

    #[test]
    fn help_is_wrapped_once() {
        for name in ["serve", "demo", "check", "health", "import", "secrets"] {
            let mut command = Arguments::command().term_width(100);
            let help = command.find_subcommand_mut(name).expect("a command").clone().term_width(100).render_long_help();
            let help = help.to_string();
            let text = help.split("Usage:").next().expect("what is before");
            let lines: Vec<&str> = text.lines().collect();
            // A line that ends early though the next word had room on it.
            let early = lines.windows(2).find(|pair| {
                let [line, next] = pair else { return false };
                let word = next.split(' ').next().unwrap_or_default();
                !line.is_empty() && !word.is_empty() && line.len() + 1 + word.len() <= 100
            });
            assert_eq!(early, None, "{help}");
        }
    }

    #[test]
    fn a_log_filter_is_made_of_levels() {
        for filter in ["info", "WARN", "off", "scrim::audit=debug", "info,scrim::audit=debug,pingora=warn"] {
            assert_eq!(log_filter(filter).as_deref(), Ok(filter));
        }
        for filter in ["", "blah", "info,blah", "scrim::audit", "scrim=blah", "info,", "scrim=debug=blah", "verbose"] {
            assert!(log_filter(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn a_wrong_command_line_exits_with_two() {
        let log = ["scrim", "serve", "--log", "blah"];
        for line in [&["scrim", "chekc"][..], &["scrim", "check", "--format", "xml"], &["scrim"], &log] {
            assert_eq!(Arguments::try_parse_from(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
