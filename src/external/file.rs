//! Files that an operator names, and those of an operator's folders.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// Reads a file.
///
/// # Errors
/// Those of the system, and that it is a pipe or a socket.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    check(path)?;
    std::fs::read(path)
}

/// Reads a file that is UTF-8 text.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    check(path)?;
    std::fs::read_to_string(path)
}

/// Whether it can be opened without waiting for another process: a pipe without a writer would be waited for without end. Those that a
/// shell makes for a command (`<(…)`) have their writer.
///
/// # Errors
/// As [`read`].
pub(crate) fn check(path: &Path) -> io::Result<()> {
    let kind = std::fs::metadata(path)?.file_type();
    let is_shells = ["/dev/fd", "/dev/stdin", "/proc"].iter().any(|folder| path.starts_with(folder));
    match () {
        () if is_shells => Ok(()),
        () if kind.is_fifo() => Err(io::Error::other("it is a pipe and no file")),
        () if kind.is_socket() => Err(io::Error::other("it is a socket and no file")),
        () => Ok(()),
    }
}
