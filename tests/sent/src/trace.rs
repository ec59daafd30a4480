//! A trace of every statement that SQLite runs in this process, reported by SQLite itself at the start of the statement
//! (<https://www.sqlite.org/c3ref/c_trace.html>).
//!
//! SQLite calls an automatic extension for each connection that is opened, by any driver, so the program under test
//! needs no hook of its own. A statement that SQLite fails to compile never starts and is not traced. Connections to
//! the ledger are not traced: its SQL goes to no tenant.
#![expect(unsafe_code, reason = "the hooks are C functions, and no safe wrapper reaches another driver's connections")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use rusqlite::ffi;
use serde_json::{Value, json};

static LINES: OnceLock<Mutex<File>> = OnceLock::new();

static OPENED: AtomicUsize = AtomicUsize::new(0);

/// Starts the trace, which is appended to the file: one JSON object a line, with the number of the connection and the
/// text of the statement.
///
/// # Errors
/// The file can't be opened, or SQLite rejects the hook.
pub(crate) fn into(file: &Path) -> io::Result<()> {
    LINES.get_or_init({
        let file = OpenOptions::new().create(true).append(true).open(file)?;
        || Mutex::new(file)
    });
    // SAFETY: `opened` has the signature of an entry point, and opens, closes and registers nothing.
    match unsafe { ffi::sqlite3_auto_extension(Some(opened)) } {
        ffi::SQLITE_OK => Ok(()),
        code => Err(io::Error::other(format!("SQLite returns {code}"))),
    }
}

/// The entry point of the extension: SQLite calls it for each new connection.
unsafe extern "C" fn opened(
    connection: *mut ffi::sqlite3,
    _: *mut *mut c_char,
    _: *const ffi::sqlite3_api_routines,
) -> c_int {
    // SAFETY: the connection is open, and the name is copied while it is.
    let file = text(unsafe { ffi::sqlite3_db_filename(connection, c"main".as_ptr()) }).unwrap_or_default();
    if file.ends_with("ledger.db") {
        return ffi::SQLITE_OK;
    }
    let number = OPENED.fetch_add(1, Ordering::Relaxed) + 1;
    write(&json!({ "connection": number }));
    let context = std::ptr::without_provenance_mut(number);
    // SAFETY: `started` has the signature of a trace hook, and reads the context as a number.
    unsafe { ffi::sqlite3_trace_v2(connection, ffi::SQLITE_TRACE_STMT, Some(started), context) }
}

/// The trace hook: SQLite calls it at the start of each statement.
unsafe extern "C" fn started(_: c_uint, number: *mut c_void, statement: *mut c_void, sql: *mut c_void) -> c_int {
    // SAFETY: for this event the third argument is a statement and the fourth a text; both outlive the call.
    let (whole, now) = (text(unsafe { ffi::sqlite3_sql(statement.cast()) }), text(sql.cast_const().cast()));
    // The texts differ for statements nested in another one: a trigger's, or a table-valued pragma's.
    if let Some(sql) = now.filter(|now| Some(now) == whole.as_ref()) {
        write(&json!({ "connection": number.addr(), "sql": sql }));
    }
    0
}

fn text(text: *const c_char) -> Option<String> {
    // SAFETY: SQLite's texts are NUL-terminated; the bytes are copied before this returns.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Writes one line in one call. Errors are dropped because a panic must not unwind through C; a missing line fails the
/// comparison.
fn write(line: &Value) {
    if let Some(Ok(mut file)) = LINES.get().map(|lines| lines.lock()) {
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}
