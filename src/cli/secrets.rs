//! `scrim secrets`: makes keys, and sets, lists, removes and re-seals the secrets of the sealed file.
//!
//! A value comes from stdin and never from the command line, where every user of the machine could read it; it is never
//! shown again. Only `sealed_secrets` is read of the configuration, so that secrets can be set before all of it holds.

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::CONFIG;
use crate::clock::Clock;
use crate::config::Sealed;
use crate::diagnostic::Diagnostic;
use crate::sealed::store::{self, Unchanged};
use crate::sealed::{self, Entries, Entry, Keys, MAX_VALUE};
use crate::secret::Secret;

#[derive(Debug, Args)]
pub struct Of {
    /// The gateway's configuration file, of which `sealed_secrets` is read
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, default_value = CONFIG)]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct Named {
    /// The secret's name, such as `crm-token/acme`
    #[arg(value_name = "NAME")]
    pub name: String,
    #[command(flatten)]
    pub of: Of,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("the configuration has errors")]
    Config(Vec<Diagnostic>),
    #[error("the configuration has no `sealed_secrets`")]
    Nowhere,
    #[error("`{0}` can't be a secret's name, which has {names}", names = sealed::NAMES)]
    Name(String),
    #[error("there is no secret `{0}`")]
    Missing(String),
    #[error("there is no file `{path}` yet: `scrim secrets set NAME` makes it", path = .0.display())]
    NoFile(PathBuf),
    #[error("the value is empty")]
    Empty,
    #[error("the value is longer than {MAX_VALUE} bytes")]
    TooLong,
    #[error("the value can't be read: {0}")]
    Input(io::Error),
    #[error("the result can't be shown: {0}")]
    Output(#[from] io::Error),
    #[error("the file of sealed secrets: {0}")]
    Unchanged(#[from] Unchanged),
    #[error("no key was made: {0}")]
    Key(#[from] sealed::Failed),
}

/// Prints a new key.
pub fn key(out: &mut impl Write) -> Result<(), Failed> {
    writeln!(out, "{}", *Keys::generate()?)?;
    Ok(())
}

/// Sets one secret, whether it was there or not.
pub fn set(args: &Named, out: &mut impl Write) -> Result<(), Failed> {
    let (sealed, keys) = opened(&args.of.config)?;
    if !sealed::is_name(&args.name) {
        return Err(Failed::Name(args.name.clone()));
    }
    let value = value(&args.name)?;
    let now = Timestamp::from_second(Clock::system().now().as_second()).unwrap_or_default();
    let replaced = put(&sealed.file, &keys, &args.name, Entry { value, changed: now })?;
    writeln!(out, "{} `{}`", if replaced { "replaced" } else { "set" }, args.name)?;
    Ok(())
}

/// Whether there was one before.
fn put(file: &Path, keys: &Keys, name: &str, entry: Entry) -> Result<bool, Unchanged> {
    store::change(file, keys, |entries| Ok(entries.insert(name.into(), entry).is_some()))
}

pub fn remove(args: &Named, out: &mut impl Write) -> Result<(), Failed> {
    let (sealed, keys) = opened(&args.of.config)?;
    store::change(&sealed.file, &keys, |entries| {
        entries.remove(args.name.as_str()).map(drop).ok_or_else(|| Failed::Missing(args.name.clone()))
    })?;
    writeln!(out, "removed `{}`", args.name)?;
    Ok(())
}

/// Prints names and when each was set, never a value.
pub fn list(args: &Of, out: &mut impl Write) -> Result<(), Failed> {
    let (sealed, keys) = opened(&args.config)?;
    for (name, entry) in read(&sealed, &keys)? {
        writeln!(out, "{}  {name}", entry.changed)?;
    }
    Ok(())
}

/// Seals everything anew with the first key.
pub fn rotate(args: &Of, out: &mut impl Write) -> Result<(), Failed> {
    let (sealed, keys) = opened(&args.config)?;
    // A file that is not there has nothing to seal.
    read(&sealed, &keys)?;
    let count = store::change(&sealed.file, &keys, |entries| Ok::<_, Failed>(entries.len()))?;
    writeln!(out, "sealed {count} secret{} anew with the first key", if count == 1 { "" } else { "s" })?;
    if keys.count() > 1 {
        writeln!(out, "the other keys open this file no longer; remove them once no copy of an older one is needed")?;
    }
    Ok(())
}

fn read(sealed: &Sealed, keys: &Keys) -> Result<Entries, Failed> {
    store::read(&sealed.file, keys)
        .map_err(|unread| if unread.is_missing() { Failed::NoFile(sealed.file.clone()) } else { unread.into() })
}

fn opened(config: &Path) -> Result<(Sealed, Keys), Failed> {
    let sealed = Sealed::named_in(config).map_err(Failed::Config)?.ok_or(Failed::Nowhere)?;
    let keys = sealed.keys().map_err(|wrong| Failed::Config(vec![wrong]))?;
    Ok((sealed, keys))
}

/// The value from stdin: of a terminal one line that is not shown, of anything else all of it. A line's end at its end is no
/// part of it.
fn value(name: &str) -> Result<Secret, Failed> {
    let stdin = io::stdin();
    let text = if stdin.is_terminal() { typed(name)? } else { piped(stdin.lock())? };
    let trimmed = text.strip_suffix(b"\n").unwrap_or(&text);
    let trimmed = trimmed.strip_suffix(b"\r").unwrap_or(trimmed);
    match trimmed.len() {
        0 => Err(Failed::Empty),
        length if length > MAX_VALUE => Err(Failed::TooLong),
        _ => Ok(Secret::new(trimmed)),
    }
}

fn piped(input: impl Read) -> Result<Zeroizing<Vec<u8>>, Failed> {
    // Room for all of it, so that no part of it is left behind where it was before it grew.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_VALUE + 4));
    input.take(MAX_VALUE as u64 + 3).read_to_end(&mut text).map_err(Failed::Input)?;
    Ok(text)
}

#[cfg(unix)]
fn typed(name: &str) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let stdin = io::stdin();
    let silent = Silent::begin(&stdin).map_err(Failed::Input)?;
    write!(io::stderr(), "value of `{name}` (not shown): ").map_err(Failed::Input)?;
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_VALUE + 4));
    let mut byte = Zeroizing::new([0]);
    // Byte by byte: a buffer of the standard library's would keep what it read.
    while line.len() < MAX_VALUE + 3 && !line.ends_with(b"\n") {
        match rustix::io::read(&stdin, &mut *byte) {
            Ok(0) => break,
            Ok(_) => line.extend_from_slice(&*byte),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failed::Input(error.into())),
        }
    }
    drop(silent);
    writeln!(io::stderr()).map_err(Failed::Input)?;
    Ok(line)
}

#[cfg(not(unix))]
fn typed(_: &str) -> Result<Zeroizing<Vec<u8>>, Failed> {
    Err(Failed::Input(io::Error::new(io::ErrorKind::Unsupported, "pass it through a pipe")))
}

/// A terminal that does not show what is typed, until this is dropped.
#[cfg(unix)]
struct Silent<'t> {
    terminal: &'t io::Stdin,
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl<'t> Silent<'t> {
    fn begin(terminal: &'t io::Stdin) -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // What was typed ahead was shown: it is no secret.
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

#[cfg(unix)]
impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // There is nobody to tell.
        rustix::termios::tcsetattr(self.terminal, rustix::termios::OptionalActions::Now, &self.before).ok();
    }
}
