//! The file of sealed secrets on disk: read whole, replaced whole, by one writer at a time.
//!
//! A new file is written beside the old one, for its owner alone, and takes its place once it is on disk: whoever reads sees
//! the one or the other.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Entries, Failed, Keys, Unsealed};
use crate::files;

/// No file of sealed secrets is longer.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Why secrets were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Unchanged {
    #[error("{}", files::reason(.0))]
    File(#[from] io::Error),
    #[error(transparent)]
    Unsealed(#[from] Unsealed),
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl Unchanged {
    /// Whether there is no file yet.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// All secrets of a file.
pub fn read(path: &Path, keys: &Keys) -> Result<Entries, Unchanged> {
    Ok(keys.open(&files::bytes(path, MAX_FILE)?)?)
}

/// Changes the secrets of a file, which is made if there is none, and seals all of them anew. Nobody else changes them
/// meanwhile. Errors of `change` leave the file as it was.
pub fn change<T, E: From<Unchanged>>(
    path: &Path,
    keys: &Keys,
    change: impl FnOnce(&mut Entries) -> Result<T, E>,
) -> Result<T, E> {
    // A link stays one: what it leads to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let open = || -> io::Result<File> {
        let folder = File::open(folder)?;
        folder.lock()?;
        Ok(folder)
    };
    // Held until the end: the file itself is another one each time.
    let lock = open().map_err(Unchanged::File)?;
    let mut entries = match read(&path, keys) {
        Err(Unchanged::File(error)) if error.kind() == io::ErrorKind::NotFound => Entries::new(),
        read => read?,
    };
    let changed = change(&mut entries)?;
    let bytes = keys.seal(&entries).map_err(Unchanged::Failed)?;
    replace(&path, folder, &bytes).and_then(|()| lock.sync_all()).map_err(Unchanged::File)?;
    Ok(changed)
}

fn replace(path: &Path, folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let beside: PathBuf = folder.join(format!(".{name}.{}", uuid::Uuid::new_v4().simple()));
    let written = write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What could not take the file's place is of no use; the error that is told is the first one.
        fs::remove_file(&beside).ok();
    }
    written
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::sealed::Entry;
    use crate::secret::Secret;

    fn keys() -> Keys {
        Keys::parse(Keys::generate().expect("a key").as_bytes()).expect("it reads")
    }

    fn set(path: &Path, keys: &Keys, name: &str) -> Result<(), Unchanged> {
        let entry = Entry { value: Secret::new("s3cr3t"), changed: Timestamp::UNIX_EPOCH };
        change(path, keys, |entries| {
            entries.insert(name.into(), entry);
            Ok(())
        })
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_is_made_replaced_and_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, keys) = (folder.path().join("sealed"), keys());
        set(&path, &keys, "one").expect("made");
        let first = fs::read(&path).expect("bytes");
        set(&path, &keys, "two").expect("replaced");
        assert_ne!(fs::read(&path).expect("bytes"), first);
        assert_eq!(read(&path, &keys).expect("it opens").len(), 2);
        #[cfg(unix)]
        {
            let mode = fs::metadata(&path).expect("it is there").permissions();
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
        }
        assert_eq!(names(folder.path()), ["sealed"], "nothing is left beside it");
    }

    #[test]
    fn what_does_not_open_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sealed");
        set(&path, &keys(), "one").expect("made");
        let before = fs::read(&path).expect("bytes");
        let other = set(&path, &keys(), "two").expect_err("another key");
        assert!(matches!(other, Unchanged::Unsealed(Unsealed::Key)), "{other}");
        fs::write(&path, "text").expect("written");
        let foreign = set(&path, &keys(), "two").expect_err("no such file");
        assert!(matches!(foreign, Unchanged::Unsealed(Unsealed::Foreign)), "{foreign}");
        assert_eq!(fs::read(&path).expect("bytes"), b"text");
        assert_ne!(before, b"text");
        assert_eq!(names(folder.path()), ["sealed"]);
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, keys) = (folder.path().join("sealed"), keys());
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let (path, keys) = (&path, &keys);
                scope.spawn(move || set(path, keys, &format!("of/{writer}")).expect("set"));
            }
        });
        assert_eq!(read(&path, &keys).expect("it opens").len(), 8);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link, keys) = (folder.path().join("sealed"), folder.path().join("link"), keys());
        set(&path, &keys, "one").expect("made");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        set(&link, &keys, "two").expect("set");
        assert!(fs::symlink_metadata(&link).expect("a link").file_type().is_symlink());
        assert_eq!(read(&path, &keys).expect("it opens").len(), 2);
    }
}
