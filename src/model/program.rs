//! The name and version under which this program runs: a program that embeds fleet has its own.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static VERSION: OnceLock<String> = OnceLock::new();

/// The name that the program was started by, as a person types it.
pub(crate) fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    // Texts of unit tests do not depend on the file that holds the tests.
    let started = || std::env::args_os().next().filter(|_| !cfg!(test));
    let file = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    NAME.get_or_init(|| started().and_then(|path| file(Path::new(&path))).unwrap_or_else(|| "fleet".to_owned()))
}

/// Sets the version of a program that embeds fleet; the first call counts.
pub(crate) fn set_version(own: &str) {
    let _ = VERSION.set(format!("{own} (fleet {})", env!("CARGO_PKG_VERSION")));
}

static IS_SAMPLE: AtomicBool = AtomicBool::new(false);

/// Says that the migrations of this program are those of fleet's own sample.
pub(crate) fn set_sample() {
    IS_SAMPLE.store(true, Ordering::Relaxed);
}

/// Whether the migrations of this program are those of fleet's own sample, and nobody's who has tenants.
pub(crate) fn is_sample() -> bool {
    IS_SAMPLE.load(Ordering::Relaxed)
}

/// The program's version; that of fleet stands behind it, or alone where the program did not say its own.
pub(crate) fn version() -> &'static str {
    VERSION.get_or_init(|| match name() {
        "fleet" => env!("CARGO_PKG_VERSION").to_owned(),
        _ => concat!("(fleet ", env!("CARGO_PKG_VERSION"), ")").to_owned(),
    })
}
