//! Waits for conditions, and says what is missing while it waits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use slipway_api::step::{Condition, WaitFor};
use slipway_api::{Check, paths};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::component_watch::ComponentWatch;
use super::{cluster, etcd, kubelet_bootstrap, needed, units};
use crate::AgentError;
use crate::context::Context;
use crate::cri::CriClient;
use crate::kubernetes::{ApiClient, ApiCondition, Observation};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(5);

/// Where the controller manager answers its health check. Source: kubeadm's constants.
const CONTROLLER_MANAGER_PORT: u16 = 10257;
/// Where the scheduler does.
const SCHEDULER_PORT: u16 = 10259;

/// The pause between two looks at the containers of what is waited for.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// How many log lines of a component a failure shows.
const LOG_LINES: usize = 10;
/// The components whose logs explain why an API server does not come up.
const COMPONENTS: [&str; 2] = ["kube-apiserver", "etcd"];

pub(super) async fn check_condition(
    step: &WaitFor,
    context: &Context,
) -> Result<Check, AgentError> {
    Ok(needed(missing(&step.condition, context).await))
}

pub(super) async fn apply_condition(step: &WaitFor, context: &Context) -> Result<(), AgentError> {
    let deadline = Instant::now() + Duration::from_secs(step.timeout_seconds);
    let mut said = String::new();
    let watch = match step.fails_fast {
        true => ComponentWatch::begin(&step.condition).await,
        false => None,
    };
    let mut watched = Instant::now();
    let steady = Duration::from_secs(step.steady_seconds);
    let mut held_since = None;
    loop {
        let Some(seen) = missing(&step.condition, context).await else {
            if held_since.get_or_insert_with(Instant::now).elapsed() >= steady {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        held_since = None;
        if let Some(watch) = &watch
            && watched.elapsed() >= WATCH_PAUSE
        {
            watched = Instant::now();
            if let Some(failure) = watch.failure().await {
                return Err(failure);
            }
        }
        if seen != said {
            context.log(seen.clone());
            said.clone_from(&seen);
        }
        if Instant::now() >= deadline {
            return Err(timed_out(step, seen).await);
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = context.abandoned() => return Err(abandoned(step)),
        }
    }
}

/// Returns what is missing; none where the condition holds.
async fn missing(condition: &Condition, context: &Context) -> Option<String> {
    let look = async {
        match condition {
            Condition::KubeletHealthy => kubelet_missing(context).await,
            Condition::EtcdHealthy => etcd::unhealthy(context).await,
            Condition::ApiServerReady => api_server_missing(context).await,
            Condition::ControllerManagerHealthy => component_missing(CONTROLLER_MANAGER_PORT).await,
            Condition::SchedulerHealthy => component_missing(SCHEDULER_PORT).await,
            Condition::ControlPlaneHealthy => control_plane_missing(context).await,
            Condition::NodeUpgraded { node, version } => {
                let condition = ApiCondition::NodeUpgraded {
                    node: node.clone(),
                    version: version.clone(),
                };
                observed(&condition, context).await
            }
            Condition::NodeRegistered { node } => {
                observed(
                    &ApiCondition::NodeRegistered { node: node.clone() },
                    context,
                )
                .await
            }
            Condition::NodeReady { node } => {
                observed(&ApiCondition::NodeReady { node: node.clone() }, context).await
            }
            Condition::KubeletBootstrapped { node } => certificate_missing(node, context),
            Condition::OwnNodeReady { node, api_address } => {
                let condition = ApiCondition::NodeReady { node: node.clone() };
                seen_by_kubelet(&condition, *api_address, context).await
            }
            Condition::DeploymentAvailable { namespace, name } => {
                let condition = ApiCondition::DeploymentAvailable {
                    namespace: namespace.clone(),
                    name: name.clone(),
                };
                observed(&condition, context).await
            }
        }
    };
    let slow = || Some(format!("no answer within {} s", LOOK.as_secs()));
    tokio::time::timeout(LOOK, look)
        .await
        .unwrap_or_else(|_| slow())
}

async fn observed(condition: &ApiCondition, context: &Context) -> Option<String> {
    match cluster::observe(condition, context).await {
        Ok(Observation::Met) => None,
        Ok(Observation::NotYet(seen)) => Some(seen),
        Err(error) => Some(error.failure().to_string()),
    }
}

fn certificate_missing(node: &str, context: &Context) -> Option<String> {
    match kubelet_bootstrap::missing_certificate(node, context) {
        Ok(missing) => missing,
        Err(error) => Some(error.failure().to_string()),
    }
}

/// Looks with the kubelet's own credentials: a worker has no others.
async fn seen_by_kubelet(
    condition: &ApiCondition,
    api_address: SocketAddr,
    context: &Context,
) -> Option<String> {
    let path = context.at(paths::KUBELET_CONF);
    if !path.exists() {
        return Some("kubelet.conf is not there".to_owned());
    }
    let endpoint = format!("https://{api_address}");
    let seen = match ApiClient::from_kubeconfig(&path, Some(&endpoint)).await {
        Ok(client) => client.observe(condition).await,
        Err(error) => Err(error),
    };
    match seen {
        Ok(Observation::Met) => None,
        Ok(Observation::NotYet(seen)) => Some(seen),
        Err(error) => Some(slipway_api::Failure::of(&error).to_string()),
    }
}

/// Returns what is missing of the whole control plane on this host.
async fn control_plane_missing(context: &Context) -> Option<String> {
    let manifest = format!("{}/etcd.yaml", paths::MANIFESTS_DIR);
    if context.at(&manifest).exists()
        && let Some(missing) = etcd::unhealthy(context).await
    {
        return Some(missing);
    }
    if let Some(missing) = api_server_missing(context).await {
        return Some(missing);
    }
    for (name, port) in [
        ("the controller manager", CONTROLLER_MANAGER_PORT),
        ("the scheduler", SCHEDULER_PORT),
    ] {
        if let Some(missing) = component_missing(port).await {
            return Some(format!("{name}: {missing}"));
        }
    }
    None
}

async fn component_missing(port: u16) -> Option<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let error = ApiClient::component_health(address).await.err()?;
    Some(slipway_api::Failure::of(&error).to_string())
}

async fn api_server_missing(context: &Context) -> Option<String> {
    if !context.at(paths::ADMIN_CONF).exists() {
        return Some("the cluster has not started yet".to_owned());
    }
    let ready = async {
        let client = cluster::client(context, paths::ADMIN_CONF).await?;
        client
            .ready()
            .await
            .map_err(cluster::failed("ask the API server".to_owned()))
    };
    ready
        .await
        .err()
        .map(|error: AgentError| error.failure().to_string())
}

async fn kubelet_missing(context: &Context) -> Option<String> {
    let text = std::fs::read_to_string(context.at(paths::KUBELET_CONFIG)).unwrap_or_default();
    let Some(address) = kubelet_health(&text) else {
        // Without a health check there is only what systemd knows.
        let is_active = units::is_active("kubelet.service").await;
        return (!is_active).then(|| "kubelet.service is not active".to_owned());
    };
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match asked.await {
        Ok(answer) if answer.starts_with(b"HTTP/1.0 200") => None,
        Ok(answer) => {
            let line = answer
                .split(|byte| *byte == b'\r')
                .next()
                .unwrap_or_default();
            Some(format!(
                "the kubelet answers {}",
                String::from_utf8_lossy(line)
            ))
        }
        Err(error) => Some(format!("the kubelet does not answer: {error}")),
    }
}

/// Where a kubelet answers its health check, as its configuration says; none
/// where it answers none.
fn kubelet_health(configuration: &str) -> Option<SocketAddr> {
    #[derive(Default, serde::Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Health {
        healthz_port: Option<u16>,
        healthz_bind_address: Option<IpAddr>,
    }
    let health: Health = serde_saphyr::from_str(configuration).unwrap_or_default();
    // Source: the kubelet's own defaults.
    let port = health.healthz_port.unwrap_or(10248);
    let address = match health.healthz_bind_address {
        Some(IpAddr::V6(address)) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Some(address) if !address.is_unspecified() => address,
        Some(_) | None => Ipv4Addr::LOCALHOST.into(),
    };
    (port != 0).then(|| SocketAddr::new(address, port))
}

/// Returns what control-plane components said last; where they said nothing,
/// what the kubelet did, which starts them.
pub(super) async fn component_logs(socket: &str, components: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    if let Ok(client) = CriClient::connect(socket.as_ref()).await {
        for component in components {
            if let Ok(Some(tail)) = client.container_logs_tail(component, LOG_LINES).await {
                lines.push(format!("{component} ({}):", tail.state));
                lines.extend(tail.lines);
            }
        }
    }
    if lines.is_empty() {
        lines = units::journal_tail("kubelet.service").await;
    }
    lines
}

fn abandoned(step: &WaitFor) -> AgentError {
    AgentError::Abandoned {
        condition: step.condition.to_string(),
    }
}

/// Returns the error of a wait, with the log that explains it.
async fn timed_out(step: &WaitFor, seen: String) -> AgentError {
    let (log_tail, help) = match &step.condition {
        Condition::KubeletHealthy
        | Condition::KubeletBootstrapped { .. }
        | Condition::OwnNodeReady { .. } => (
            units::journal_tail("kubelet.service").await,
            "journalctl -u kubelet",
        ),
        Condition::EtcdHealthy => (
            component_logs(paths::CONTAINERD_SOCKET, &["etcd"]).await,
            "journalctl -u kubelet, and the files in /var/log/pods",
        ),
        Condition::ApiServerReady | Condition::ControlPlaneHealthy => (
            component_logs(paths::CONTAINERD_SOCKET, &COMPONENTS).await,
            "journalctl -u kubelet, and the files in /var/log/pods",
        ),
        Condition::ControllerManagerHealthy => (
            component_logs(paths::CONTAINERD_SOCKET, &["kube-controller-manager"]).await,
            "journalctl -u kubelet, and the files in /var/log/pods",
        ),
        Condition::SchedulerHealthy => (
            component_logs(paths::CONTAINERD_SOCKET, &["kube-scheduler"]).await,
            "journalctl -u kubelet, and the files in /var/log/pods",
        ),
        Condition::NodeRegistered { .. }
        | Condition::NodeReady { .. }
        | Condition::NodeUpgraded { .. } => (
            Vec::new(),
            "journalctl -u kubelet on that node, and kubectl describe node",
        ),
        Condition::DeploymentAvailable { .. } => (Vec::new(), "kubectl get pods -A"),
    };
    AgentError::TimedOut {
        condition: step.condition.to_string(),
        seconds: step.timeout_seconds,
        seen,
        log_tail,
        help: format!("look at: {help}"),
    }
}

#[cfg(test)]
mod tests {
    use slipway_api::Step;
    use slipway_api::protocol::Attachment;

    use super::*;

    #[tokio::test]
    async fn what_was_so_once_was_waited_for_though_it_is_not_so_a_moment_later() {
        let kubelet = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = kubelet.local_addr().unwrap().port();
        let answers = tokio::spawn(async move {
            for status in ["500", "500", "200", "500", "500"] {
                let (mut stream, _) = kubelet.accept().await.unwrap();
                let mut request = [0; 64];
                let _ = stream.read(&mut request).await.unwrap();
                let answer = format!("HTTP/1.0 {status} -\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let root = tempfile::tempdir().unwrap();
        let events = tokio::sync::mpsc::unbounded_channel().0;
        let context = Context::new(root.path(), events, Attachment::default());
        let config = format!("healthzPort: {port}\n");
        crate::files::write(&context.at(paths::KUBELET_CONFIG), 0o644, config.as_bytes()).unwrap();
        let step = Step::WaitFor(WaitFor {
            condition: Condition::KubeletHealthy,
            timeout_seconds: 20,
            awaited: None,
            fails_fast: false,
            steady_seconds: 0,
        });
        assert!(crate::steps::run(&step, &context).await.unwrap());
        answers.abort();
    }

    #[test]
    fn the_kubelet_s_health_check_is_where_its_configuration_says() {
        let at = |text: &str| kubelet_health(text).map(|address| address.to_string());
        let default = Some("127.0.0.1:10248".to_owned());
        assert_eq!(at(""), default);
        assert_eq!(at("kind: KubeletConfiguration\n"), default);
        assert_eq!(
            at("healthzPort: 10350\nhealthzBindAddress: 0.0.0.0\n").unwrap(),
            "127.0.0.1:10350"
        );
        assert_eq!(at("healthzBindAddress: '::'\n").unwrap(), "[::1]:10248");
        assert_eq!(
            at("healthzBindAddress: 192.0.2.1\n").unwrap(),
            "192.0.2.1:10248"
        );
        assert_eq!(at("healthzPort: 0\n"), None);
    }
}
