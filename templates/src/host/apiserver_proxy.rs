//! The systemd unit of the node-local balancer.

use std::net::SocketAddr;

use serde::Serialize;

use crate::checks::check_path;
use crate::{TemplateError, engine};

/// The unit `slipway-apiserver-proxy.service`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiserverProxyUnit {
    /// Usually `/usr/local/bin/slipway`.
    pub slipway_path: String,
    /// Where it listens, usually `127.0.0.1:6443`.
    pub listen: SocketAddr,
    /// The folder of its seeds, the one place it may write to.
    pub state_dir: String,
}

impl ApiserverProxyUnit {
    /// Returns the unit.
    ///
    /// # Errors
    ///
    /// Fails for a path that is not absolute or not one word.
    pub fn render(&self) -> Result<String, TemplateError> {
        check_path("slipway path", &self.slipway_path)?;
        check_path("state folder", &self.state_dir)?;
        engine::render("host/apiserver-proxy.service", self)
    }
}
