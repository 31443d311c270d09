//! A worker with a balancer, and the cluster's CA.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use slipway_api::{BackendHealth, BalancerSeeds, BalancerState};
use slipway_balancer::BalancerOptions;
use slipway_pki::{
    AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, CertificateAuthority, CertificateProfile,
    KeyAlgorithm, PrivateKey,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::fake_api_server::{FakeApiServer, Pair};

/// How long anything may take; five times what it is meant to.
const BOUND: Duration = Duration::from_secs(25);

pub(crate) struct World {
    folder: TempDir,
    ca: CertificateAuthority,
    log: Arc<Mutex<Vec<String>>>,
    balancer: Option<JoinHandle<()>>,
}

impl World {
    /// A worker whose kubelet has its certificate already.
    pub(crate) fn new() -> Self {
        let world = Self::before_the_kubelet_joined();
        world.give_the_kubelet_its_certificate();
        world
    }

    pub(crate) fn give_the_kubelet_its_certificate(&self) {
        let node = CertificateProfile::client("system:node:w-1", &["system:nodes"]);
        let pair = self.issue(&node);
        let pem = format!("{}{}", pair.certificate, pair.key);
        std::fs::write(self.path("client.pem"), pem).unwrap();
    }

    pub(crate) fn before_the_kubelet_joined() -> Self {
        // Both ends speak TLS with one provider; a second test finds it there.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let now = Timestamp::now();
        let ca = CertificateAuthority::create("kubernetes", &key, now, AUTHORITY_VALIDITY);
        let ca = ca.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), ca.certificate_pem()).unwrap();
        Self {
            folder,
            ca,
            log: Arc::default(),
            balancer: None,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An API server of this cluster.
    pub(crate) async fn api_server(&self, name: &str) -> FakeApiServer {
        let pair = self.issue(&serving());
        FakeApiServer::start(name, &pair, self.ca.certificate_pem()).await
    }

    pub(crate) fn ca_pem(&self) -> &str {
        self.ca.certificate_pem()
    }

    fn issue(&self, profile: &CertificateProfile) -> Pair {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let now = Timestamp::now();
        let certificate = self.ca.issue(profile, &key, now, CERTIFICATE_VALIDITY);
        Pair {
            certificate: certificate.unwrap(),
            key: key.to_pem().to_string(),
        }
    }

    pub(crate) fn write_seeds(&self, servers: &[&FakeApiServer]) {
        let endpoints = servers.iter().map(|server| server.address).collect();
        let seeds = BalancerSeeds { endpoints };
        std::fs::write(self.path("seeds.json"), seeds.to_json()).unwrap();
    }

    pub(crate) fn options(&self) -> BalancerOptions {
        BalancerOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            seeds: self.path("seeds.json"),
            members: self.path("members.json"),
            state: self.path("state.json"),
            ca: self.path("ca.crt"),
            client: self.path("client.pem"),
            health_period: Duration::from_millis(50),
            members_period: Duration::from_millis(100),
        }
    }

    /// Starts the balancer, and returns once it listens.
    pub(crate) async fn start(&mut self) {
        let _ = std::fs::remove_file(self.path("state.json"));
        let (options, log) = (self.options(), Arc::clone(&self.log));
        self.balancer = Some(tokio::spawn(async move {
            let told = move |line| log.lock().unwrap().push(line);
            slipway_balancer::serve(options, told).await.unwrap();
        }));
        self.until("the balancer listens", || self.path("state.json").exists())
            .await;
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(balancer) = self.balancer.take() {
            balancer.abort();
            let _ = balancer.await;
        }
    }

    pub(crate) fn state(&self) -> BalancerState {
        serde_json::from_slice(&std::fs::read(self.path("state.json")).unwrap()).unwrap()
    }

    pub(crate) fn health(&self, server: &FakeApiServer) -> Option<BackendHealth> {
        let state = self.state();
        let mut backends = state.backends.iter();
        let found = backends.find(|backend| backend.address == server.address);
        found.map(|backend| backend.health)
    }

    /// Waits until the balancer thinks so of `server`.
    pub(crate) async fn until_health(&self, server: &FakeApiServer, health: BackendHealth) {
        self.until(&format!("{} is {health:?}", server.name), || {
            self.health(server) == Some(health)
        })
        .await;
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            let log = self.log.lock().unwrap().join("\n");
            assert!(began.elapsed() < BOUND, "never: {what}; the log:\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn listen(&self) -> SocketAddr {
        self.state().listen
    }

    /// Asks the API through the balancer who answers, again after a connection
    /// that was cut, as every client of the API does.
    pub(crate) async fn who_answers(&self) -> String {
        let began = Instant::now();
        loop {
            match self.ask_once().await {
                Ok(name) => return name,
                Err(error) => assert!(began.elapsed() < BOUND, "{error:?}"),
            }
        }
    }

    async fn ask_once(&self) -> Result<String, reqwest::Error> {
        let ca = reqwest::Certificate::from_pem(self.ca_pem().as_bytes())?;
        let client = reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(BOUND)
            .build()?;
        let url = format!("https://{}/who", self.listen());
        client.get(url).send().await?.text().await
    }

    /// Who answers eight connections in a row.
    pub(crate) async fn all_who_answer(&self) -> Vec<String> {
        let mut all = Vec::new();
        for _ in 0..8 {
            all.push(self.who_answers().await);
        }
        all.sort();
        all.dedup();
        all
    }

    /// Asks until each of these has answered.
    pub(crate) async fn until_all_answer(&self, names: &[&str]) {
        let began = Instant::now();
        let mut missing: Vec<&str> = names.to_vec();
        while !missing.is_empty() {
            assert!(began.elapsed() < BOUND, "no answer of {missing:?}");
            let name = self.who_answers().await;
            assert!(names.contains(&name.as_str()), "{name} answers");
            missing.retain(|other| *other != name);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(balancer) = &self.balancer {
            balancer.abort();
        }
    }
}

fn serving() -> CertificateProfile {
    CertificateProfile {
        common_name: "kube-apiserver".to_owned(),
        ip_sans: vec!["127.0.0.1".parse().unwrap()],
        server_auth: true,
        ..CertificateProfile::default()
    }
}
