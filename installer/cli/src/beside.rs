//! What lies beside the cluster file, read within limits.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use slipway_api::{LocalContent, LocalFiles};

/// How many files a folder may have: more is not a folder of manifests.
const MAX_FILES: usize = 1000;

/// Reads paths relative to the cluster file's folder.
pub(crate) struct Beside {
    folder: PathBuf,
    home: Option<PathBuf>,
}

impl Beside {
    /// Returns what lies beside `cluster_file`.
    pub fn new(cluster_file: &Path) -> Self {
        Self {
            folder: cluster_file.parent().unwrap_or(Path::new("")).to_owned(),
            home: std::env::home_dir(),
        }
    }

    /// Returns where a path of the cluster file really leads.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), &self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => self.folder.join(path),
        }
    }
}

impl LocalFiles for Beside {
    fn read(&self, path: &Path, limit: u64) -> Result<LocalContent, String> {
        let path = self.resolve(path);
        let found = std::fs::metadata(&path).map_err(reason)?;
        if !found.is_dir() {
            return read_file(&path, limit).map(LocalContent::File);
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(reason)? {
            let name = entry.map_err(reason)?.file_name();
            let name = name
                .into_string()
                .map_err(|_| "a file's name is not UTF-8")?;
            if std::fs::metadata(path.join(&name))
                .map_err(reason)?
                .is_file()
            {
                names.push(name);
            }
            if names.len() > MAX_FILES {
                return Err(format!("the folder holds more than {MAX_FILES} files"));
            }
        }
        names.sort();
        let mut left = limit;
        let mut files = Vec::new();
        for name in names {
            let bytes = read_file(&path.join(&name), left).map_err(|_| {
                format!("{name}: it cannot be read, or the folder has more than {limit} bytes")
            })?;
            left -= bytes.len() as u64;
            files.push((name, bytes));
        }
        Ok(LocalContent::Folder(files))
    }
}

/// Reads a regular file of at most `limit` bytes.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    // Before it is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(reason)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = File::open(path).map_err(reason)?;
    let mut bytes = Vec::new();
    // One byte more than is allowed at most: the file may grow while it is read.
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(reason)?;
    if bytes.len() as u64 > limit {
        return Err(format!("it has more than {limit} bytes"));
    }
    Ok(bytes)
}

fn reason(error: std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        "there is no such file".to_owned()
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_read_within_limits() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("cni/deeper")).expect("a folder");
        std::fs::write(at("cni/b.yaml"), "b").expect("a file");
        std::fs::write(at("cni/a.yaml"), "aa").expect("a file");
        let beside = Beside::new(&at("cluster.yaml"));
        let read = |path: &str, limit| beside.read(Path::new(path), limit);

        let files = vec![
            ("a.yaml".to_owned(), b"aa".to_vec()),
            ("b.yaml".to_owned(), b"b".to_vec()),
        ];
        assert_eq!(read("cni", 3), Ok(LocalContent::Folder(files)));
        assert!(read("cni", 2).is_err());
        assert_eq!(
            read("cni/a.yaml", 2),
            Ok(LocalContent::File(b"aa".to_vec()))
        );
        assert_eq!(
            read("cni/a.yaml", 1),
            Err("it has more than 1 bytes".to_owned())
        );
        assert_eq!(read("none", 1), Err("there is no such file".to_owned()));
        assert!(read("/dev/null", 1).is_err());
    }
}
