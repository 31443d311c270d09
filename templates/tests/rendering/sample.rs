//! One cluster that the tests render and that kubeadm is asked to write.

use serde_json::Value;
use slipway_templates::{
    BootstrapTokenRbac, ClusterConfiguration, ClusterInfo, CoreDns, Corefile,
    DEFAULT_COREDNS_REPLICAS, DEFAULT_STARTUP_TIMEOUT_SECONDS, Etcd, EtcdAccess, KubeApiServer,
    KubeControllerManager, KubeProxy, KubeProxyConfig, KubeScheduler, KubeadmConfig, KubeadmFlags,
    KubeletConfig, KubeletConfigMap, KubeletInstanceConfig, StaticPodOptions,
};

/// The first control-plane node.
pub const NODE_NAME: &str = "cp-1";
/// Its address, from the block for documentation.
pub const ADVERTISE_ADDRESS: &str = "192.0.2.11";
/// Where the API server is reached.
pub const SERVER: &str = "https://192.0.2.11:6443";
/// The runtime's socket.
pub const CRI_SOCKET: &str = "unix:///run/containerd/containerd.sock";
/// The Pod subnet.
pub const POD_SUBNET: &str = "10.244.0.0/16";
const SERVICE_SUBNET: &str = "10.96.0.0/12";
const DNS_ADDRESS: &str = "10.96.0.10";
const DNS_DOMAIN: &str = "cluster.local";
const CERTIFICATES_DIR: &str = "/etc/kubernetes/pki";

/// A minor of Kubernetes with what its kubeadm brings.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    /// Such as 36.
    pub minor: u32,
    /// Such as `v1.36.3`.
    pub version: &'static str,
    etcd: &'static str,
    coredns: &'static str,
    pause: &'static str,
}

/// The releases that are rendered.
pub const RELEASES: [Release; 3] = [
    Release {
        minor: 34,
        version: "v1.34.4",
        etcd: "3.6.5-0",
        coredns: "v1.12.1",
        pause: "3.10.1",
    },
    Release {
        minor: 35,
        version: "v1.35.4",
        etcd: "3.6.6-0",
        coredns: "v1.13.1",
        pause: "3.10.1",
    },
    Release {
        minor: 36,
        version: "v1.36.3",
        etcd: "3.6.8-0",
        coredns: "v1.14.2",
        pause: "3.10.2",
    },
];

impl Release {
    fn image(&self, component: &str) -> String {
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
            dns_domain: DNS_DOMAIN.into(),
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

    /// Returns the kubelet's flags.
    pub fn kubeadm_flags(&self) -> KubeadmFlags {
        KubeadmFlags {
            kubernetes_minor: self.minor,
            pause_image: format!("registry.k8s.io/pause:{}", self.pause),
            hostname_override: Some(NODE_NAME.into()),
            register_with_taints: Vec::new(),
            extra_args: Vec::new(),
        }
    }

    /// Returns the ConfigMap `kubeadm-config`.
    pub fn kubeadm_config(&self, overlay: Option<Value>) -> KubeadmConfig {
        KubeadmConfig {
            annotations: std::collections::BTreeMap::new(),
            cluster_configuration: ClusterConfiguration {
                kubernetes_version: self.version.into(),
                control_plane_endpoint: String::new(),
                pod_subnet: POD_SUBNET.into(),
                service_subnet: SERVICE_SUBNET.into(),
                dns_domain: DNS_DOMAIN.into(),
                cluster_name: "kubernetes".into(),
                certificates_dir: CERTIFICATES_DIR.into(),
                image_repository: "registry.k8s.io".into(),
                encryption_algorithm: "RSA-2048".into(),
                certificate_validity_period: "8760h0m0s".into(),
                ca_certificate_validity_period: "87600h0m0s".into(),
                etcd_data_dir: "/var/lib/etcd".into(),
                cert_sans: Vec::new(),
                overlay,
            },
        }
    }

    /// Returns the rights of bootstrap tokens.
    pub fn bootstrap_token_rbac(&self) -> BootstrapTokenRbac {
        BootstrapTokenRbac {
            kubernetes_minor: self.minor,
        }
    }

    /// Returns kube-proxy.
    pub fn kube_proxy(&self, overlay: Option<Value>) -> KubeProxy {
        KubeProxy {
            image: self.image("kube-proxy"),
            server: SERVER.into(),
            config: KubeProxyConfig {
                advertise_address: ADVERTISE_ADDRESS.into(),
                cluster_cidr: POD_SUBNET.into(),
                overlay,
            },
            envs: Vec::new(),
        }
    }

    /// Returns CoreDNS.
    pub fn coredns(&self) -> CoreDns {
        let corefile = Corefile {
            dns_domain: DNS_DOMAIN.into(),
        };
        CoreDns {
            image: format!("registry.k8s.io/coredns/coredns:{}", self.coredns),
            replicas: DEFAULT_COREDNS_REPLICAS,
            service_ip: DNS_ADDRESS.into(),
            corefile: corefile.render().expect("renders"),
        }
    }
}

/// Returns the kubelet's configuration on the first node.
pub fn kubelet_config(overlay: Option<Value>) -> KubeletConfig {
    KubeletConfig {
        certificates_dir: CERTIFICATES_DIR.into(),
        cluster_dns: vec![DNS_ADDRESS.into()],
        cluster_domain: DNS_DOMAIN.into(),
        resolv_conf: None,
        container_runtime_endpoint: Some(CRI_SOCKET.into()),
        overlay,
    }
}

/// Returns the ConfigMap `kubelet-config`.
pub fn kubelet_config_map(overlay: Option<Value>) -> KubeletConfigMap {
    KubeletConfigMap {
        kubelet_config: kubelet_config(overlay),
    }
}

/// Returns the node's own part of the kubelet's configuration.
pub fn instance_config() -> KubeletInstanceConfig {
    KubeletInstanceConfig {
        container_runtime_endpoint: CRI_SOCKET.into(),
    }
}

/// Returns the ConfigMap `cluster-info`.
pub fn cluster_info(ca_certificates_pem: &str) -> ClusterInfo {
    ClusterInfo {
        server: SERVER.into(),
        ca_certificates_pem: ca_certificates_pem.into(),
    }
}
