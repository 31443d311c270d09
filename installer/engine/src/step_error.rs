//! Why a step failed, and whether a host is out of reach since.

use slipway_api::protocol::Reply;
use slipway_api::{Failure, HostName};
use slipway_hosts::HostError;

use crate::observe::unexpected;

/// Why a step failed.
#[derive(Clone, Debug)]
pub(crate) struct StepError {
    /// What people read.
    pub failure: Failure,
    /// The host that is out of reach since: its own, or one that it takes something from.
    pub lost: Option<HostName>,
}

impl StepError {
    /// Returns a function for what a request to `host` failed with.
    pub fn on(host: &HostName) -> impl FnOnce(HostError) -> Self {
        move |error| Self {
            failure: error.to_failure(),
            lost: error.is_unreachable().then(|| host.clone()),
        }
    }

    /// Returns the error of a reply that answers another question.
    pub fn unexpected(reply: &Reply) -> Self {
        unexpected(reply).into()
    }
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            lost: None,
        }
    }
}
