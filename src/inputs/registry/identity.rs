//! The identity of databases behind different addresses.
//!
//! It compares the file and the file system; it asks no server, so two names of one host differ.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::inputs::ServerUrl;
use crate::model::tenant::Engine;

/// The identity of a database, independent of its address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// A file, free of links as far as it exists.
    File(PathBuf),
    /// A file that has several names: its device and its number on it.
    Linked(u64, u64),
    /// A database on a server, or a schema in it. Host names are case-insensitive; names of databases and schemas are
    /// not.
    Server { engine: Engine, host: String, port: u16, database: String, schema: Option<String> },
}

impl Identity {
    pub(crate) fn of_server(url: &ServerUrl, schema: Option<&str>) -> Self {
        Identity::Server {
            engine: url.engine,
            host: url.host.to_lowercase(),
            port: url.port,
            database: url.database.clone(),
            schema: Some(url.home(schema)),
        }
    }

    /// The database as a whole, for a conservative comparison: without a schema, and with one name for this machine.
    pub(crate) fn whole_database(url: &ServerUrl) -> Self {
        let mut whole = Identity::of_server(url, None);
        if let Identity::Server { schema, .. } = &mut whole {
            *schema = None;
        }
        if let Identity::Server { host, .. } = &mut whole
            && matches!(host.as_str(), "127.0.0.1" | "::1" | "[::1]")
        {
            *host = "localhost".to_owned();
        }
        whole
    }
}

/// Resolves symbolic links. A fleet has many files in few folders, so each folder is resolved once.
#[derive(Debug, Default)]
pub(crate) struct Folders(HashMap<PathBuf, PathBuf>);

impl Folders {
    /// The identity of an SQLite file at an absolute path, whether it exists or not.
    pub(crate) fn identity(&mut self, path: &Path) -> Identity {
        use std::os::unix::fs::MetadataExt as _;

        let mut found = std::fs::symlink_metadata(path).ok();
        let is_link = found.as_ref().is_some_and(std::fs::Metadata::is_symlink);
        if is_link {
            found = std::fs::metadata(path).ok();
        }
        if let Some(file) = found.filter(|found| found.is_file() && found.nlink() > 1) {
            return Identity::Linked(file.dev(), file.ino());
        }
        if let Some(target) = is_link.then(|| std::fs::canonicalize(path).ok()).flatten() {
            return Identity::File(target);
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Identity::File(path.to_owned());
        };
        if let Some(real) = self.0.get(folder) {
            return Identity::File(real.join(name));
        }
        let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let file = real.join(name);
        self.0.insert(folder.to_owned(), real);
        Identity::File(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_ports_and_the_case_of_hosts_do_not_make_two_databases() {
        let of = |url: &str, schema| Identity::of_server(&ServerUrl::parse(url).ok().unwrap(), schema);
        assert_eq!(of("postgres://a@DB7/x", None), of("postgresql://b:pw@db7:5432/x", None));
        assert_eq!(of("mysql://h/x", None), of("mariadb://h:3306/x", None));
        assert_ne!(of("mysql://h/x", None), of("mysql://h/X", None));
        assert_ne!(of("postgres://h/x", None), of("postgres://h/x", Some("s")));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_the_file_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a.db"), dir.path().join("b.db"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let (hard, second) = (dir.path().join("c.db"), dir.path().join("d.db"));
        std::fs::write(&hard, "").unwrap();
        std::fs::hard_link(&hard, &second).unwrap();
        let sub = dir.path().join("sub");
        std::os::unix::fs::symlink(dir.path(), &sub).unwrap();
        let mut folders = Folders::default();
        let one = folders.identity(&file);
        assert_eq!(folders.identity(&link), one);
        assert_eq!(folders.identity(&hard), folders.identity(&second));
        assert_ne!(folders.identity(&hard), one);
        assert_eq!(folders.identity(&sub.join("a.db")), one);
        assert_eq!(folders.identity(&sub.join("new.db")), folders.identity(&dir.path().join("new.db")));
    }
}
