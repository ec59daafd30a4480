//! The manifest of a backup, and the check of its file against it.
//!
//! Plain data, without a password or a URL that could hold one.

use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::schema::Unfinished;
use crate::model::tenant::{Engine, TenantId};
use crate::model::text::hex;

/// The manifest of one tenant's backup. It is written last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    pub(crate) server: String,
    /// The database's name on its server; for SQLite its file.
    pub(crate) database: String,
    /// The schema, if the tenant is a schema.
    pub(crate) schema: Option<String>,
    /// The name of the backup's file beside the manifest; `None` if the operator's own command made the backup.
    pub(crate) file: Option<String>,
    /// The size of the file in bytes.
    pub(crate) bytes: u64,
    /// The SHA-256 of the file.
    pub(crate) sha256: Option<String>,
    /// The applied versions at the time of the backup, sorted.
    pub(crate) history: Vec<String>,
    /// The unfinished migration at that time, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unfinished: Option<Unfinished>,
    /// The tool that made the file, and its version; `hook` for the operator's own command.
    pub(crate) tool: String,
    /// The completion time, in milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// The run that it belongs to.
    pub(crate) run: String,
}

/// The SHA-256 of a file in lower-case hexadecimal, and its size in bytes.
///
/// # Errors
/// When the file can't be read.
pub(crate) fn sha256_of(file: &Path) -> std::io::Result<(String, u64)> {
    let mut file = std::fs::File::open(file)?;
    let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok((hex(&digest.finalize()), bytes));
        }
        digest.update(&buffer[..n]);
        bytes += n as u64;
    }
}
