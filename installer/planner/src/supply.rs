//! What a plan brings to nodes: binaries and images, new certificates, or both.

use std::collections::BTreeSet;

use slipway_api::BundleManifest;

/// What a plan brings to nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Supply<'a> {
    /// Binaries and images of this bundle, where they are missing.
    Bundle(&'a BundleManifest),
    /// New certificates; binaries and images stay as they are.
    Certificates(&'a Renewal),
    /// Binaries and images of another version, and new certificates on the nodes that have
    /// not come to it yet.
    Upgrade {
        /// The bundle.
        manifest: &'a BundleManifest,
        /// Whether certificates are renewed.
        renews: bool,
    },
}

/// Which certificates are renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// All but those of authorities, and but the kubelets' client certificates while they are
    /// valid: kubelets renew these by themselves.
    All,
    /// Those of these names, as [`slipway_api::CertificateSummary::name`] has them.
    Named(BTreeSet<String>),
}

impl Renewal {
    /// Returns whether the certificate of this name is meant.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(name),
        }
    }
}
