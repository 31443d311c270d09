//! `--upload-certs`: what `kubeadm join --control-plane` needs on another host.

use slipway_api::protocol::{Reply, Request, TokenRequest};
use slipway_api::{ClusterSpec, SecretText};

use super::token::{ask, join_arguments, tokens};
use crate::args::ClusterArgs;
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::this_machine::{ThisMachine, unexpected};

/// How long the token of a command lives, as one that `kubeadm init` prints.
const TOKEN_SECONDS: u64 = 24 * 3600;

/// A way into the cluster for control-plane nodes, a secret. It prints as nothing of itself.
pub(crate) struct ControlPlaneJoin {
    arguments: String,
    key: SecretText,
}

impl ControlPlaneJoin {
    /// Stores the authorities in the cluster, encrypted with a new key, and makes a token.
    ///
    /// # Errors
    /// The cluster has no endpoint, or a key is elsewhere, or the control plane fails.
    pub(crate) async fn prepare(args: &ClusterArgs) -> Result<Self, CliError> {
        let request = TokenRequest::Create {
            ttl_seconds: Some(TOKEN_SECONDS),
            description: None,
        };
        // The certificates first: a cluster that refuses them gets no token either.
        let key = Self::upload(args).await?;
        let target = ask(args, TokenRequest::JoinTarget).await?;
        let made = tokens(ask(args, request).await?)?;
        let token = made.first().map(|made| made.token.as_str());
        Self::of(&target, token.unwrap_or_default(), key)
    }

    /// Returns the way for a token that is there already.
    pub(crate) fn of(target: &Reply, token: &str, key: SecretText) -> Result<Self, CliError> {
        let arguments = join_arguments(target, token).ok_or_else(|| unexpected(target))?;
        Ok(Self { arguments, key })
    }

    /// Stores the authorities in the cluster, encrypted, and returns the key.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub(crate) async fn upload(args: &ClusterArgs) -> Result<SecretText, CliError> {
        let cluster = Cluster::find(args).await?;
        let request = Request::UploadCertificates;
        let reply = cluster.ask_control_plane(args, request).await?;
        let Reply::CertificateKey { key } = reply else {
            return Err(unexpected(&reply));
        };
        Ok(key)
    }

    /// Returns the command for a control-plane node. Never log it.
    pub(crate) fn command(&self) -> String {
        format!(
            "kubeadm join {} --control-plane --certificate-key {}",
            self.arguments,
            self.key.expose()
        )
    }

    /// Returns the way as JSON. Never log it.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "certificateKey": self.key.expose(),
            "joinCommand": self.command(),
        })
    }
}

/// Refuses a cluster to which kubeadm adds no control-plane node: its file has no endpoint.
///
/// # Errors
/// It has none, or the file is wrong. A cluster without a file is judged by its control plane.
pub(crate) async fn require_endpoint(args: &ClusterArgs) -> Result<(), CliError> {
    if args.config.is_some() {
        return require_endpoint_of(&Cluster::find(args).await?.spec);
    }
    let machine = ThisMachine::of_control_plane().await?;
    match machine.stored_cluster().await? {
        Some(cluster) => require_endpoint_of(&cluster.spec),
        None => Ok(()),
    }
}

/// Refuses a cluster that is known, as [`require_endpoint`].
///
/// # Errors
/// It has no endpoint.
pub(crate) fn require_endpoint_of(spec: &ClusterSpec) -> Result<(), CliError> {
    if spec.control_plane_endpoint.is_some() {
        return Ok(());
    }
    Err(CliError::bad_input(
        "`--upload-certs` is for control-plane nodes that kubeadm joins, and kubeadm wants a \
         `controlPlaneEndpoint`, which this cluster has not",
        "give `controlPlaneEndpoint` (`--control-plane-endpoint`) before `slipway init`; without \
         one, add the host to the cluster file: `slipway join -f FILE`",
    ))
}
