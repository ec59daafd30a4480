//! Where an SQLite tenant's file may be made. No database is opened here.

use std::path::Path;

use crate::fault::{Fault, FaultClass};

/// Only the folder of a file is made with it: a path that is wrong further up, or a disk that is not mounted, is a fault.
pub(super) fn check_folder(file: &Path) -> Result<(), Fault> {
    let Some(folder) = file.parent().filter(|folder| !folder.is_dir()) else { return Ok(()) };
    let Some(above) = folder.parent().filter(|above| !above.is_dir()) else { return Ok(()) };
    let text = format!(
        "the file {} can't be made: there is no folder {}; correct the path, or make it with: mkdir -p {}",
        file.display(),
        above.display(),
        folder.display()
    );
    Err(Fault::with_code(FaultClass::UnknownDatabase, "14", text))
}

pub(super) fn make_folder(file: &Path) -> Result<(), Fault> {
    check_folder(file)?;
    let Some(folder) = file.parent() else { return Ok(()) };
    match std::fs::create_dir(folder) {
        // Another tenant's work may have made it just now.
        Err(error) if !folder.is_dir() => {
            let text = format!("the folder {} can't be made: {error}", folder.display());
            Err(Fault::new(FaultClass::UnknownDatabase, text))
        }
        _ => Ok(()),
    }
}
