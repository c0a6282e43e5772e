//! The file under the audit log: appends, syncs, and never glues a line to half of another.
//!
//! Created with mode 0600; its folder must exist. It keeps in mind whether the file ends in the middle of a line, after
//! a write that was cut short or a crash before this start, and then begins the next write on a line of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub(super) struct Sink {
    file: File,
    /// Whether the last byte of the file is not a line feed.
    torn: bool,
    /// Whether that was found when it was opened: another process may have been writing just then.
    found: bool,
}

impl Sink {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let torn = ends_torn(&mut file)?;
        Ok(Self { file, torn, found: torn })
    }

    /// Appends whole lines: how many of their bytes were written, and what stopped it there.
    pub(super) fn append(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        if std::mem::take(&mut self.found) {
            self.torn = ends_torn(&mut self.file).unwrap_or(true);
        }
        if self.torn {
            if let Err(error) = self.file.write_all(b"\n") {
                return (0, Err(error));
            }
            self.torn = false;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return (lines.len() - rest.len(), Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.torn = rest.get(count.wrapping_sub(1)) != Some(&b'\n');
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (lines.len() - rest.len(), Err(error)),
            }
        }
        (lines.len(), Ok(()))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        match self.file.sync_data() {
            // Pipes and devices have nothing to sync (fsync(2), EINVAL).
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }
}

fn ends_torn(file: &mut File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("scrim-sink-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        let path = folder("mode").join("audit.jsonl");
        Sink::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_missing_folder_is_an_error_and_is_not_made() {
        let missing = folder("missing").join("not-there");
        assert!(Sink::open(&missing.join("audit.jsonl")).is_err());
        assert!(!missing.exists());
    }

    #[test]
    fn a_line_torn_by_a_crash_is_not_continued() {
        let path = folder("torn").join("audit.jsonl");
        std::fs::write(&path, "{\"a\":1}\n{\"b\":").unwrap();
        let mut sink = Sink::open(&path).unwrap();
        sink.append(b"{\"c\":1}\n").1.unwrap();
        sink.append(b"{\"d\":1}\n").1.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"b\":\n{\"c\":1}\n{\"d\":1}\n");
    }

    #[test]
    fn a_full_device_is_an_error_and_takes_no_byte() {
        let mut sink = Sink::open(Path::new("/dev/full")).unwrap();
        let (written, result) = sink.append(b"{}\n");
        assert_eq!((written, result.unwrap_err().kind()), (0, io::ErrorKind::StorageFull));
    }
}
