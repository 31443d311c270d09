//! Where releases are taken from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;
use slipway_api::ImageReference;

use crate::BundleError;
use crate::shown_url::shown_url;

/// A release source.
///
/// A mirror or directory holds each upstream file below its URL without the scheme
/// (`dl.k8s.io/release/…`) and each image as an OCI layout below
/// `images/<registry>/<repository>/<tag>`.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// The projects' own download sites and registries.
    Official,
    /// A mirror below this URL.
    Mirror(Url),
    /// A directory laid out like a mirror.
    Directory(PathBuf),
}

/// Where one file of a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a server.
    Url(String),
    /// On this machine.
    File(PathBuf),
}

/// Where a source keeps one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImagePlace {
    /// In the registry that its name says.
    Registry,
    /// As an OCI layout with this path below the source.
    Layout(String),
}

impl Source {
    /// Returns where the file with the upstream URL `upstream` is.
    pub(crate) fn place_of(&self, upstream: &str) -> Place {
        match self {
            Self::Official => Place::Url(upstream.to_owned()),
            Self::Mirror(_) | Self::Directory(_) => {
                let below = upstream
                    .split_once("://")
                    .map_or(upstream, |(_, rest)| rest);
                self.place_below(below)
            }
        }
    }

    /// Returns where `image` is kept.
    pub(crate) fn place_of_image(&self, image: &ImageReference) -> ImagePlace {
        match self {
            Self::Official => ImagePlace::Registry,
            Self::Mirror(_) | Self::Directory(_) => ImagePlace::Layout(format!(
                "images/{}/{}/{}",
                image.registry(),
                image.repository(),
                image.tag()
            )),
        }
    }

    /// Returns the place with the relative path `below` in a mirror or directory.
    pub(crate) fn place_below(&self, below: &str) -> Place {
        match self {
            Self::Official => Place::Url(format!("https://{below}")),
            Self::Mirror(url) => {
                Place::Url(format!("{}/{below}", url.as_str().trim_end_matches('/')))
            }
            Self::Directory(path) => Place::File(path.join(below)),
        }
    }
}

impl Place {
    /// Returns the URL without credentials, or the path.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Url(url) => shown_url(url),
            Self::File(path) => path.display().to_string(),
        }
    }
}

impl FromStr for Source {
    type Err = BundleError;

    /// Parses `official`, the http(s) URL of a mirror, or else a directory that exists.
    fn from_str(text: &str) -> Result<Self, BundleError> {
        let invalid = |reason: &str| BundleError::InvalidSource {
            text: if text.contains("://") {
                shown_url(text)
            } else {
                text.to_owned()
            },
            reason: reason.to_owned(),
        };
        if text == "official" {
            return Ok(Self::Official);
        }
        if !text.contains("://") {
            let path = Path::new(text);
            return match path.is_dir() {
                true => Ok(Self::Directory(path.to_owned())),
                false => Err(invalid("there is no such directory")),
            };
        }
        let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
        match url.scheme() {
            "http" | "https" if url.query().is_none() && url.fragment().is_none() => {
                Ok(Self::Mirror(url))
            }
            "http" | "https" => Err(invalid("a mirror's URL has no `?` or `#`")),
            _ => Err(invalid("mirrors are reached by http or https")),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Official => f.write_str("the official download sites"),
            Self::Mirror(url) => f.write_str(&shown_url(url.as_str())),
            Self::Directory(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_holds_the_upstream_url_without_its_scheme() {
        let mirror: Source = "https://mirror.example/k8s/".parse().unwrap();
        assert_eq!(
            mirror.place_of("https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet"),
            Place::Url(
                "https://mirror.example/k8s/dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet"
                    .to_owned()
            )
        );
    }

    #[test]
    fn text_that_names_no_source_is_refused_without_showing_its_password() {
        for text in [
            "/no/such/directory",
            "ftp://me:secret@mirror/",
            "https://",
            "http://m/?a=secret",
        ] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let mirror: Source = "http://me:secret@mirror.example/".parse().unwrap();
        assert_eq!(format!("{mirror:?}"), "Source(http://mirror.example/)");
    }
}
