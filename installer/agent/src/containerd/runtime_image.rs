//! An image as containerd knows it.

/// An image as containerd knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuntimeImage {
    /// Its name: a reference, or `sha256:…` for the record that CRI keeps of an image's ID.
    pub name: String,
    /// The digest of its manifest or index, `sha256:…`.
    pub digest: String,
    /// Whether the kubelet must not delete it to free space.
    pub is_pinned: bool,
}
