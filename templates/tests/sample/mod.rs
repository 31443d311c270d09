//! One cluster that the tests render and that kubeadm is asked to write.

use slipway_templates::{
    DEFAULT_STARTUP_TIMEOUT_SECONDS, Etcd, EtcdAccess, KubeApiServer, KubeControllerManager,
    KubeScheduler, StaticPodOptions,
};

/// The first control-plane node.
pub const NODE_NAME: &str = "cp-1";
/// Its address, from the block for documentation.
pub const ADVERTISE_ADDRESS: &str = "192.0.2.11";
/// The Pod subnet.
pub const POD_SUBNET: &str = "10.244.0.0/16";
const SERVICE_SUBNET: &str = "10.96.0.0/12";
const CERTIFICATES_DIR: &str = "/etc/kubernetes/pki";

/// A minor of Kubernetes with what its kubeadm brings.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    /// Such as 36.
    pub minor: u32,
    /// Such as `v1.36.3`.
    pub version: &'static str,
    /// The tag of etcd's image.
    pub etcd: &'static str,
}

/// The releases that are rendered.
pub const RELEASES: [Release; 3] = [
    Release {
        minor: 34,
        version: "v1.34.4",
        etcd: "3.6.5-0",
    },
    Release {
        minor: 35,
        version: "v1.35.4",
        etcd: "3.6.6-0",
    },
    Release {
        minor: 36,
        version: "v1.36.3",
        etcd: "3.6.8-0",
    },
];

impl Release {
    /// Returns the image of a Kubernetes component.
    pub fn image(&self, component: &str) -> String {
        format!("registry.k8s.io/{component}:{}", self.version)
    }

    /// Returns etcd's static Pod.
    pub fn etcd(&self) -> Etcd {
        Etcd {
            image: format!("registry.k8s.io/etcd:{}", self.etcd),
            node_name: NODE_NAME.into(),
            advertise_address: ADVERTISE_ADDRESS.into(),
            data_dir: "/var/lib/etcd".into(),
            certificates_dir: CERTIFICATES_DIR.into(),
            initial_cluster: Vec::new(),
            extra_args: Vec::new(),
            extra_envs: Vec::new(),
            startup_timeout_seconds: DEFAULT_STARTUP_TIMEOUT_SECONDS,
        }
    }

    /// Returns the static Pod of kube-apiserver.
    pub fn kube_apiserver(&self, ca_certificate_directories: Vec<String>) -> KubeApiServer {
        KubeApiServer {
            image: self.image("kube-apiserver"),
            advertise_address: ADVERTISE_ADDRESS.into(),
            bind_port: 6443,
            service_subnet: SERVICE_SUBNET.into(),
            dns_domain: "cluster.local".into(),
            certificates_dir: CERTIFICATES_DIR.into(),
            etcd: EtcdAccess::Stacked { client_urls: None },
            ca_certificate_directories,
            options: StaticPodOptions::default(),
        }
    }

    /// Returns the static Pod of kube-controller-manager.
    pub fn kube_controller_manager(
        &self,
        ca_certificate_directories: Vec<String>,
    ) -> KubeControllerManager {
        KubeControllerManager {
            kubernetes_minor: self.minor,
            image: self.image("kube-controller-manager"),
            cluster_name: "kubernetes".into(),
            pod_subnet: POD_SUBNET.into(),
            service_subnet: SERVICE_SUBNET.into(),
            certificates_dir: CERTIFICATES_DIR.into(),
            signs_certificates: true,
            ca_certificate_directories,
            options: StaticPodOptions::default(),
        }
    }

    /// Returns the static Pod of kube-scheduler.
    pub fn kube_scheduler(&self) -> KubeScheduler {
        KubeScheduler {
            image: self.image("kube-scheduler"),
            options: StaticPodOptions::default(),
        }
    }
}
