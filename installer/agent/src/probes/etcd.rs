//! An etcd cluster that somebody else runs: whether its files are here, and its version.

use std::path::Path;
use std::time::Duration;

use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use slipway_api::ProbeOutcome;

use crate::etcd::located;
use crate::server::under;

/// How long etcd may take to answer. Source: kubeadm's `externalEtcdRequestTimeout`.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Where etcd is asked, and the files that the API server will ask it with.
pub(super) struct EtcdQuestion<'a> {
    pub endpoint: &'a str,
    pub ca_file: &'a str,
    pub cert_file: &'a str,
    pub key_file: &'a str,
}

/// Asks an endpoint for etcd's version.
pub(super) async fn version(root: &Path, question: &EtcdQuestion<'_>) -> ProbeOutcome {
    let asking = tokio::time::timeout(ANSWER_LIMIT, ask(root, question));
    match asking.await {
        Ok(Ok(version)) => ProbeOutcome::EtcdVersion { version },
        Ok(Err(error)) => ProbeOutcome::Failed {
            reason: chain(&*error),
        },
        Err(_) => ProbeOutcome::TimedOut,
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn ask(root: &Path, question: &EtcdQuestion<'_>) -> Result<String, Failed> {
    let (server, name) = located(question.endpoint).await?;
    let file = |path: &str| match path {
        "" => Value::Null,
        path => Value::from(under(root, path).to_string_lossy().into_owned()),
    };
    // kube's client speaks HTTP with certificates from files to any server.
    let kubeconfig: Kubeconfig = serde_json::from_value(json!({
        "current-context": "etcd",
        "contexts": [{ "name": "etcd", "context": { "cluster": "etcd", "user": "etcd" } }],
        "clusters": [{ "name": "etcd", "cluster": {
            "server": server,
            "certificate-authority": file(question.ca_file),
            "tls-server-name": name,
        } }],
        "users": [{ "name": "etcd", "user": {
            "client-certificate": file(question.cert_file),
            "client-key": file(question.key_file),
        } }],
    }))?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    config.default_retry = false;
    let client = Client::try_from(config)?;
    let request = Request::get("/version").body(Vec::new())?;
    let answer: Value = serde_json::from_str(&client.request_text(request).await?)?;
    match answer["etcdserver"].as_str() {
        Some(version) => Ok(version.to_owned()),
        None => Err("the answer names no version of etcd".into()),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    // Errors often carry their cause's text within their own.
    texts.dedup_by(|cause, error| error.contains(cause.as_str()));
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn answer_with(body: &'static str) -> ProbeOutcome {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /version "));
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length";
            let text = format!("{head}: {}\r\n\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).await.unwrap();
        });
        let question = EtcdQuestion {
            endpoint: &format!("http://localhost:{port}"),
            ca_file: "",
            cert_file: "",
            key_file: "",
        };
        version(Path::new("/"), &question).await
    }

    #[tokio::test]
    async fn etcd_tells_its_version() {
        let version = "3.5.24".to_owned();
        assert_eq!(
            answer_with(r#"{"etcdserver":"3.5.24","etcdcluster":"3.5.0"}"#).await,
            ProbeOutcome::EtcdVersion { version }
        );
    }

    #[tokio::test]
    async fn another_server_is_no_etcd() {
        let outcome = answer_with(r#"{"major":"1"}"#).await;
        assert!(
            matches!(outcome, ProbeOutcome::Failed { .. }),
            "{outcome:?}"
        );
    }
}
