//! What is told of a forward while it runs.

/// A change in what a forward thinks of its hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardChange {
    /// New connections go through this host from now on.
    Through {
        /// The host.
        host: String,
    },
    /// This host does not serve; it is asked again and again.
    Failed {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// No host serves; new connections wait a moment and end.
    Nowhere,
}
