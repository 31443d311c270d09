//! The command line of `cargo xtask`.

use std::path::PathBuf;

use slipway_api::KubernetesVersion;

use crate::error::Error;

/// What `cargo xtask --help` prints.
pub const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  check     Fail when the workspace breaks its own rules (arrows between crates, file sizes)
  mirror    Build a release source for tests out of Go modules and Debian packages

Options of `mirror`:
  --out DIR                        Where to put it
                                   [default: $SLIPWAY_CACHE/mirror, else $XDG_CACHE_HOME/slipway/mirror]
  --kubernetes-version V[,V...]    Which versions [default: 1.36.3,1.35.4,1.34.4]
  --components NAME[,NAME...]      Only these and what they need [default: all]
  --list                           Print the components and whether each is up to date";

/// The versions that the tests use, the one they need first at the front.
const DEFAULT_VERSIONS: [(u64, u64); 3] = [(36, 3), (35, 4), (34, 4)];

/// A chore.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Print the usage.
    Help,
    /// Check the workspace's rules.
    Check,
    /// Build the mirror.
    Mirror(MirrorOptions),
}

/// The options of `cargo xtask mirror`.
#[derive(Debug, PartialEq, Eq)]
pub struct MirrorOptions {
    /// Where the mirror is.
    pub out: PathBuf,
    /// The Kubernetes versions, in the order in which they are built.
    pub versions: Vec<KubernetesVersion>,
    /// The names of the wanted components; empty means all.
    pub components: Vec<String>,
    /// Whether to print the components instead of building them.
    pub list: bool,
}

impl Command {
    /// Parses the arguments after the program's name.
    ///
    /// # Errors
    /// An argument is unknown, lacks its value or cannot be read.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let mut arguments = arguments.into_iter();
        match arguments.next().as_deref() {
            None | Some("help" | "--help" | "-h") => Ok(Self::Help),
            Some("check") => match arguments.next() {
                None => Ok(Self::Check),
                Some(other) => Err(Error::Usage(format!("`check` takes no `{other}`"))),
            },
            Some("mirror") => parse_mirror(arguments),
            Some(other) => Err(Error::Usage(format!("unknown command `{other}`"))),
        }
    }
}

fn parse_mirror(mut arguments: impl Iterator<Item = String>) -> Result<Command, Error> {
    let mut options = MirrorOptions {
        out: default_out(),
        versions: Vec::new(),
        components: Vec::new(),
        list: false,
    };
    while let Some(argument) = arguments.next() {
        let (name, attached) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let mut value = || {
            attached
                .clone()
                .or_else(|| arguments.next())
                .ok_or_else(|| Error::Usage(format!("`{name}` needs a value")))
        };
        match name.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--list" => options.list = true,
            "--out" => options.out = PathBuf::from(value()?),
            "--kubernetes-version" => {
                for text in value()?.split(',') {
                    let version = text
                        .parse::<KubernetesVersion>()
                        .map_err(|error| Error::Usage(error.to_string()))?;
                    options.versions.push(version);
                }
            }
            "--components" => options
                .components
                .extend(value()?.split(',').map(str::to_owned)),
            other => return Err(Error::Usage(format!("`mirror` takes no `{other}`"))),
        }
    }
    if options.versions.is_empty() {
        options.versions = DEFAULT_VERSIONS
            .map(|(minor, patch)| KubernetesVersion::new(minor, patch))
            .to_vec();
    }
    Ok(Command::Mirror(options))
}

/// Returns the mirror's place in the user's cache.
fn default_out() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("SLIPWAY_CACHE")
        .map(PathBuf::from)
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| PathBuf::from(cache).join("slipway")))
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache/slipway")))
        .unwrap_or_else(|| PathBuf::from("/var/cache/slipway"))
        .join("mirror")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, Error> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn versions_and_components_are_lists() {
        let Ok(Command::Mirror(options)) =
            parse("mirror --kubernetes-version=1.35.4,v1.36.3 --components etcd,pause --out /m")
        else {
            panic!("a mirror command was expected");
        };
        let versions: Vec<_> = options.versions.iter().map(ToString::to_string).collect();
        assert_eq!(versions, ["v1.35.4", "v1.36.3"]);
        assert_eq!(options.components, ["etcd", "pause"]);
        assert_eq!(options.out, PathBuf::from("/m"));
    }

    #[test]
    fn unknown_arguments_and_missing_values_are_refused() {
        for line in ["launch", "check now", "mirror --fast", "mirror --out"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
