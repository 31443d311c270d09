//! Where labs keep their files on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::LabError;

/// The folders for what lasts and for what can be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directories {
    labs: PathBuf,
    cache: PathBuf,
}

impl Directories {
    /// Returns the folders that this process's environment names.
    ///
    /// # Errors
    /// [`LabError::NoHome`].
    pub(crate) fn from_environment() -> Result<Self, LabError> {
        Self::from_variables(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, LabError> {
        let home = variable("HOME").map(PathBuf::from);
        let under_home = |rest: &str| {
            home.as_ref()
                .map(|home| home.join(rest))
                .ok_or(LabError::NoHome)
        };
        let data = match variable("XDG_DATA_HOME") {
            Some(folder) => PathBuf::from(folder),
            None => under_home(".local/share")?,
        };
        let cache = match (variable("SLIPWAY_CACHE"), variable("XDG_CACHE_HOME")) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Some(folder)) => PathBuf::from(folder).join("slipway"),
            (None, None) => under_home(".cache/slipway")?,
        };
        Ok(Self {
            labs: data.join("slipway/labs"),
            cache: cache.join("lab"),
        })
    }

    /// Returns the folder that holds one folder per lab.
    pub(crate) fn labs(&self) -> &Path {
        &self.labs
    }

    /// Returns the folder of the lab called `name`.
    pub(crate) fn lab(&self, name: &str) -> PathBuf {
        self.labs.join(name)
    }

    /// Returns the folder for the root file system and the engine's choice.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories(variables: &[(&str, &str)]) -> Result<Directories, LabError> {
        Directories::from_variables(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn home_is_used_where_nothing_else_is_named() {
        let found = directories(&[("HOME", "/home/a")]).expect("HOME is enough");
        assert_eq!(
            found.lab("x"),
            Path::new("/home/a/.local/share/slipway/labs/x")
        );
        assert_eq!(found.cache(), Path::new("/home/a/.cache/slipway/lab"));
    }

    #[test]
    fn the_slipway_cache_wins_over_xdg_and_home() {
        let found = directories(&[
            ("SLIPWAY_CACHE", "/c"),
            ("XDG_CACHE_HOME", "/x"),
            ("XDG_DATA_HOME", "/d"),
        ])
        .expect("no HOME is needed");
        assert_eq!(found.cache(), Path::new("/c/lab"));
        assert_eq!(found.labs(), Path::new("/d/slipway/labs"));
    }

    #[test]
    fn without_any_variable_there_is_no_folder() {
        assert!(matches!(directories(&[]), Err(LabError::NoHome)));
    }
}
