//! A default route for hosts that have none.

use serde::Serialize;

use crate::{TemplateError, engine};

/// A unit that adds a dummy link with a default route at boot, so that the
/// addresses of Services have a route on hosts without a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceRouteUnit {
    /// The link's name.
    pub link: String,
    /// Whether IPv4 addresses of Services need the route.
    pub ipv4: bool,
    /// Whether IPv6 addresses of Services need it.
    pub ipv6: bool,
}

impl ServiceRouteUnit {
    /// Returns the unit.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        engine::render("host/service-route.service", self)
    }
}
