//! Reads what an operator wrote: regular files of bounded size, as UTF-8, with a diagnostic where that fails.
//!
//! A file that can't be read is an error and never an empty one. Symbolic links are followed, because mounted
//! configuration is made of them; pipes, devices and folders are refused before they are opened.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

use crate::diagnostic::{Diagnostic, Source, Span};

/// No file that a person writes is longer; a longer one is a mistake.
pub const MAX_FILE: u64 = 1024 * 1024;

/// Reads one text file. The diagnostic stands on an empty source that bears the path.
pub fn source(path: &Path) -> Result<Arc<Source>, Diagnostic> {
    let bytes = bytes(path, MAX_FILE).map_err(|error| unreadable(path, &error))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(path.display().to_string(), text)),
        Err(_) => Err(at(path, "file-encoding", "the file is not valid UTF-8")),
    }
}

/// The bytes of a regular file of at most `limit` bytes.
pub fn bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// What files held: which could not be read is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        Self::of_contents(paths.into_iter().map(|path| bytes(path, MAX_FILE).ok()))
    }

    /// `None`: what could not be read.
    pub fn of_contents(contents: impl IntoIterator<Item = Option<impl AsRef<[u8]>>>) -> Self {
        let mut context = Context::new(&SHA256);
        for bytes in contents {
            context.update(&[u8::from(bytes.is_some())]);
            let bytes = bytes.as_ref().map_or(&[][..], AsRef::as_ref);
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        }
        let mut hash = [0; 32];
        hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Self(hash)
    }
}

/// The folder of a file and, if it is a link, the one where it leads to.
pub fn folders_of(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let folder = |path: &Path| path.parent().map(Path::to_path_buf);
    let all = [folder(file), file.canonicalize().ok().as_deref().and_then(folder)];
    all.into_iter().flatten().map(|path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path })
}

pub fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    at(path, "file-unreadable", format!("can't be read: {}", reason(error)))
}

/// A diagnostic about a file as a whole.
pub fn at(path: &Path, code: &'static str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, Span::new(&Source::new(path.display().to_string(), ""), 0..0), message)
}

/// The operating system's words without its error number, in lower case as all messages are.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
