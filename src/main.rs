//! The `scrim` binary: arguments, logs and exit codes; everything else is the library's.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use scrim::cli::{self, Arguments, Command, Keys, Secrets, secrets};
use tracing_subscriber::EnvFilter;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the proxy underneath says of its own accord is of no use below a warning. That a pooled connection was lost to
/// its idle check is no error either: a new one is opened.
const LOG: &str =
    "info,pingora=warn,pingora_core=warn,pingora_core::connectors=off,pingora_proxy=warn,pingora_pool=warn";

fn main() -> ExitCode {
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = Arguments::parse();
    if installed.is_err() {
        return fail("the cryptography could not be set up");
    }
    if let Err(error) = log(arguments.log.as_deref()) {
        return fail(&format!("the log filter is not valid: {error}"));
    }
    let result = match &arguments.command {
        Command::Serve(serve) => run_async(cli::serve::run(serve)),
        Command::Demo(options) => run_async(scrim::demo::run(options, &mut anstream::stdout())),
        Command::Check(check) => cli::check::run(check),
        Command::Health(health) => cli::health::run(health),
        Command::Import(import) => match cli::import::run(import) {
            Ok(()) => Ok(true),
            Err(failed) => return fail(&failed.to_string()),
        },
        Command::Keys(Keys::New(new)) => match cli::keys::run(new, &mut std::io::stdout(), &mut std::io::stderr()) {
            Ok(()) => Ok(true),
            Err(cli::keys::Failed::Config(found)) => cli::check::show(&found).map(|()| false),
            Err(failed) => return fail(&failed.to_string()),
        },
        Command::Secrets(command) => match run_secrets(command) {
            Ok(()) => Ok(true),
            Err(secrets::Failed::Config(found)) => cli::check::show(&found).map(|()| false),
            Err(failed) => return fail(&failed.to_string()),
        },
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error.to_string()),
    }
}

fn run_secrets(command: &Secrets) -> Result<(), secrets::Failed> {
    let mut out = std::io::stdout();
    match command {
        Secrets::Key => secrets::key(&mut out),
        Secrets::Set(named) => secrets::set(named, &mut out),
        Secrets::List(of) => secrets::list(of, &mut out),
        Secrets::Remove(named) => secrets::remove(named, &mut out),
        Secrets::Rotate(of) => secrets::rotate(of, &mut out),
    }
}

fn run_async<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

fn fail(message: &str) -> ExitCode {
    // Nowhere is left to say that stderr is closed.
    writeln!(std::io::stderr(), "scrim: {message}").ok();
    ExitCode::FAILURE
}

/// Logs to stderr: text for a terminal, else a JSON object a line. Records of the `log` crate come too.
fn log(filter: Option<&str>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = match filter {
        Some(filter) => EnvFilter::try_new(format!("{LOG},{filter}"))?,
        None => EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new(LOG))?,
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() { logs.try_init() } else { logs.json().try_init() }
}
