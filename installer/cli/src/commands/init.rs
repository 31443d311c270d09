//! `init`: brings up the file's cluster, or one of this machine alone.

use std::path::Path;

use slipway_api::{ClusterSpec, Endpoint, HostFacts, Release, print_cluster};

use slipway_planner::suit_machine;

use super::cluster_look::Intent;
use super::cluster_run::{run as run_cluster, run_on, skipped_phases};
use super::control_plane_join::{ControlPlaneJoin, require_endpoint, require_endpoint_of};
use crate::args::{ClusterArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::{Cluster, Here};
use crate::exit_code::ExitCode;
use crate::local_args::{InitArgs, NodeArgs, ShapeArgs};
use crate::session::newest_in_bundle;
use crate::show;
use crate::this_machine::{CLUSTER_NAME, ThisMachine, checked_spec, plain_spec};

/// The API server's port where the endpoint names none.
const API_PORT: u16 = 6443;

pub(crate) async fn run(args: InitArgs, output: Output) -> Result<ExitCode, CliError> {
    let uploads = args.upload_certs;
    let (cluster_args, dry_run) = (args.run.cluster.clone(), args.run.dry_run);
    let code = if cluster_args.config.is_some() {
        args.shape.refuse_beside_file(&args.node)?;
        if uploads {
            require_endpoint(&cluster_args).await?;
        }
        run_cluster(Intent::Init, args.run, output).await?
    } else {
        let skipped = skipped_phases(&args.run)?;
        let bundle = args.run.source.bundle.as_deref();
        let cluster = cluster_here(&args.shape, &args.node, bundle).await?;
        if uploads {
            require_endpoint_of(&cluster.spec)?;
        }
        run_on(Intent::Init, cluster, skipped, args.run, output).await?
    };
    if uploads && !dry_run {
        upload_certificates(code, &cluster_args, output).await?;
    }
    Ok(code)
}

/// Stores the authorities for kubeadm and prints how it takes them, if `init` came to its end.
async fn upload_certificates(
    code: ExitCode,
    args: &ClusterArgs,
    output: Output,
) -> Result<(), CliError> {
    if code != ExitCode::Done {
        noteln!(
            "no certificates are uploaded: `slipway token create --print-join-command \
             --upload-certs` does it later"
        );
        return Ok(());
    }
    let join = ControlPlaneJoin::prepare(args).await?;
    match output {
        Output::Json => show::json_line(&join.to_json()),
        Output::Text => {
            outln!("\nFurther control-plane nodes join by kubeadm, as root on each:");
            outln!("  {}", join.command());
            outln!("Whoever has the certificate key in it can take the cluster's authorities");
            outln!("for two hours, until the Secret kube-system/kubeadm-certs goes.");
        }
    }
    Ok(())
}

/// Returns the cluster of this machine alone, as the flags shape it.
///
/// A second `init` starts from what the first one stored, so that it changes
/// only what its own flags say otherwise.
///
/// # Errors
/// The user is not root, or no cluster can be made of the flags here.
pub(crate) async fn cluster_here(
    shape: &ShapeArgs,
    node: &NodeArgs,
    bundle: Option<&Path>,
) -> Result<Cluster, CliError> {
    let machine = ThisMachine::look().await?;
    let stored = match machine.facts.existing.admin_conf {
        true => machine.stored_cluster().await?,
        false => None,
    };
    let (mut spec, here) = match stored {
        Some(cluster) => {
            let here = cluster.here.clone();
            (cluster.spec, here)
        }
        None => {
            let name = machine.node_name_or(node.node_name.as_deref())?;
            let address = shape
                .apiserver_advertise_address
                .or(machine.facts.default_address)
                .ok_or_else(no_address)?;
            let version = match (&shape.kubernetes_version, bundle) {
                (Some(version), _) => version.clone(),
                (None, Some(path)) => {
                    newest_in_bundle(path)?.unwrap_or_else(Release::newest_tested)
                }
                (None, None) => Release::newest_tested(),
            };
            let mut spec = plain_spec(CLUSTER_NAME, &version, &name, address)?;
            // kubeadm would keep pods away from the only node there is.
            spec.hosts[0].taints = Some(Vec::new());
            suit_machine(&mut spec, &machine.facts);
            let here = Here {
                name,
                keeps_file: true,
            };
            (spec, Some(here))
        }
    };
    if let Some(path) = bundle {
        spec.bundle = std::path::absolute(path).ok();
    }
    let spec = shaped(spec, shape, node, &machine.facts)?;
    Ok(Cluster { spec, here })
}

fn no_address() -> CliError {
    CliError::bad_input(
        "this machine has no default route, so nothing tells which of its addresses is the node's",
        "name it: `--apiserver-advertise-address IP`; `ip address` lists them",
    )
}

/// Returns `spec` with what the flags say otherwise, checked as a file would be.
fn shaped(
    mut spec: ClusterSpec,
    shape: &ShapeArgs,
    node: &NodeArgs,
    facts: &HostFacts,
) -> Result<ClusterSpec, CliError> {
    if let Some(version) = &shape.kubernetes_version {
        spec.kubernetes_version.clone_from(version);
    }
    if let Some(address) = shape.apiserver_advertise_address
        && let [host] = spec.hosts.as_mut_slice()
    {
        host.node_ip = address;
        host.address = address.to_string();
    }
    if let Some(text) = &shape.control_plane_endpoint {
        spec.control_plane_endpoint = Some(endpoint(text)?);
    }
    if let Some(subnets) = &shape.pod_network_cidr {
        spec.networking.pod_subnet.clone_from(subnets);
    }
    if let Some(subnets) = &shape.service_cidr {
        spec.networking.service_subnet.clone_from(subnets);
    }
    if let Some(domain) = &shape.service_dns_domain {
        spec.networking.dns_domain.clone_from(domain);
    }
    if let Some(socket) = &node.cri_socket {
        check_socket(socket, facts)?;
        spec.runtime.socket = without_scheme(socket).into();
    }
    checked_spec(&print_cluster(&spec))
}

/// Splits `host[:port]`; whether the host is one, the file's parser says.
pub(crate) fn endpoint(text: &str) -> Result<Endpoint, CliError> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let port = match port {
        None => API_PORT,
        Some(digits) => digits.parse().map_err(|_| {
            CliError::bad_input(
                format!("`{text}` does not end in a port"),
                "write `host:port`, an IPv6 address in brackets: `[2001:db8::1]:6443`",
            )
        })?,
    };
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    Ok(Endpoint {
        host: host.to_owned(),
        port,
    })
}

/// Refuses a socket behind which nothing was found.
pub(crate) fn check_socket(socket: &Path, facts: &HostFacts) -> Result<(), CliError> {
    let wanted = without_scheme(socket);
    let found = facts
        .runtime
        .as_ref()
        .map(|runtime| runtime.socket.as_str());
    let plain = |path: &str| path.replacen("/var/run/", "/run/", 1);
    match found {
        Some(found) if plain(found) == plain(&wanted) => Ok(()),
        Some(found) => Err(CliError::bad_input(
            format!("no container runtime answers at {wanted}"),
            format!("one answers at {found}: name that, or leave `--cri-socket` out"),
        )),
        None => Err(CliError::bad_input(
            format!("no container runtime answers at {wanted}"),
            "start it, or leave `--cri-socket` out: containerd is installed then",
        )),
    }
}

pub(crate) fn without_scheme(socket: &Path) -> String {
    let text = socket.to_string_lossy();
    text.strip_prefix("unix://").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_split_at_the_port() {
        for (text, host, port) in [
            ("api.example", "api.example", 6443),
            ("api.example:7443", "api.example", 7443),
            ("[2001:db8::1]:7443", "2001:db8::1", 7443),
            ("[2001:db8::1]", "2001:db8::1", 6443),
        ] {
            let endpoint = endpoint(text).unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port));
        }
        for text in ["a:", "a:x", "a:65536"] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }
}
