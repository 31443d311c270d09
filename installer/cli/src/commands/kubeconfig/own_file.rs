//! The kubeconfig of a proxy, which goes with it.

use std::path::{Path, PathBuf};

use super::write_private;
use crate::cli_error::CliError;

/// The first line, by which a leftover of a proxy that was killed is known.
const MARK: &str = "# Written by `slipway kubeconfig --proxy`, which removes it when it ends.";

/// A kubeconfig that lives as long as its proxy.
pub(super) struct OwnFile {
    path: PathBuf,
    /// Its server, which no other proxy's file has at the same time.
    server: String,
}

impl OwnFile {
    /// Refuses a path where another file lies: it would be lost with the proxy.
    pub(super) fn check(path: &Path) -> Result<(), CliError> {
        let is_free = match std::fs::read_to_string(path) {
            Ok(text) => text.starts_with(MARK),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if is_free {
            return Ok(());
        }
        Err(CliError::bad_input(
            format!(
                "{} exists already, and would go with the proxy",
                path.display()
            ),
            "name a new file with `--out`",
        ))
    }

    /// Writes the file, readable by its owner only.
    pub(super) fn write(path: PathBuf, text: &str, server: String) -> Result<Self, CliError> {
        write_private(&path, &format!("{MARK}\n{text}"))?;
        Ok(Self { path, server })
    }

    /// Removes the file, whatever was changed in it; one that leads somewhere
    /// else by now is somebody else's.
    pub(super) fn remove(self) {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let is_own = text.lines().any(|line| {
            let value = line.trim().strip_prefix("server:");
            value.is_some_and(|value| value.trim().trim_matches('"') == self.server)
        });
        if is_own && let Err(error) = std::fs::remove_file(&self.path) {
            let path = self.path.display();
            super::proxy::tell(&format!("warning: {path} is left: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "https://127.0.0.1:40001";

    #[test]
    fn a_file_of_another_purpose_is_refused_and_a_leftover_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        OwnFile::check(&path).unwrap();
        std::fs::write(&path, "apiVersion: v1\n").unwrap();
        assert!(OwnFile::check(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        OwnFile::write(path.clone(), "", SERVER.to_owned()).unwrap();
        OwnFile::check(&path).unwrap();
    }

    #[test]
    fn the_file_goes_unless_it_is_another_proxys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let text = |server: &str| format!("clusters:\n- cluster:\n    server: {server}\n");
        let first = OwnFile::write(path.clone(), &text(SERVER), SERVER.to_owned()).unwrap();
        std::fs::write(&path, text("https://127.0.0.1:40002")).unwrap();
        first.remove();
        assert!(path.exists());
        let edited = OwnFile::write(path.clone(), "", SERVER.to_owned()).unwrap();
        std::fs::write(&path, text(&format!("\"{SERVER}\""))).unwrap();
        edited.remove();
        assert!(!path.exists());
    }
}
