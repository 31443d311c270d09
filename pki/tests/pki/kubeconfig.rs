//! kubeconfigs as text, in client-go's layout.

use slipway_pki::{Credentials, Kubeconfig};
use zeroize::Zeroizing;

fn kubeconfig(credentials: Credentials) -> Kubeconfig {
    Kubeconfig {
        cluster_name: "kubernetes".to_owned(),
        server: "https://192.0.2.10:6443".to_owned(),
        ca_pem: "authority".to_owned(),
        user_name: "system:node:cp-1".to_owned(),
        credentials,
    }
}

fn text_with_user(user: &str) -> String {
    format!(
        "apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: YXV0aG9yaXR5
    server: https://192.0.2.10:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: system:node:cp-1
  name: system:node:cp-1@kubernetes
current-context: system:node:cp-1@kubernetes
kind: Config
users:
- name: system:node:cp-1
  user:
{user}"
    )
}

#[test]
fn each_kind_of_credentials_is_written_and_read_back() {
    for (credentials, user) in [
        (
            Credentials::Embedded {
                cert_pem: "certificate".to_owned(),
                key_pem: Zeroizing::new("key".to_owned()),
            },
            "    client-certificate-data: Y2VydGlmaWNhdGU=\n    client-key-data: a2V5\n",
        ),
        (
            Credentials::Files {
                client_certificate: "/var/lib/kubelet/pki/kubelet-client-current.pem".to_owned(),
                client_key: "/var/lib/kubelet/pki/kubelet-client-current.pem".to_owned(),
            },
            "    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem\n    \
             client-key: /var/lib/kubelet/pki/kubelet-client-current.pem\n",
        ),
        (
            Credentials::Token(Zeroizing::new("abcdef.0123456789abcdef".to_owned())),
            "    token: abcdef.0123456789abcdef\n",
        ),
    ] {
        let kubeconfig = kubeconfig(credentials);
        let text = kubeconfig.to_yaml().unwrap();
        assert_eq!(text.as_str(), text_with_user(user));
        assert_eq!(Kubeconfig::parse(&text).unwrap(), kubeconfig);
    }
}

#[test]
fn names_that_yaml_would_misread_survive() {
    for name in [
        "yes", "123", "1e3", "~", "a: b", "- x", "#c", "ünlü", "null",
    ] {
        let kubeconfig = Kubeconfig {
            cluster_name: name.to_owned(),
            user_name: name.to_owned(),
            ..kubeconfig(Credentials::Token(Zeroizing::new("012345.6789".to_owned())))
        };
        let text = kubeconfig.to_yaml().unwrap();
        assert_eq!(Kubeconfig::parse(&text).unwrap(), kubeconfig, "{name}");
    }
}

#[test]
fn long_data_stays_on_one_line() {
    let key = "k".repeat(6000);
    let text = kubeconfig(Credentials::Embedded {
        cert_pem: "c".repeat(6000),
        key_pem: Zeroizing::new(key),
    });
    assert_eq!(text.to_yaml().unwrap().lines().count(), 18);
}

#[test]
fn a_kubeconfig_of_many_contexts_is_read_at_its_current_one() {
    let text = "
kind: Config
apiVersion: v1
preferences: {}
current-context: b
contexts:
- {name: a, context: {cluster: one, user: x, namespace: default}}
- {name: b, context: {cluster: two, user: y}}
clusters:
- {name: one, cluster: {server: https://one}}
- {name: two, cluster: {server: https://two, certificate-authority-data: YXV0aG9yaXR5}}
users:
- {name: x, user: {exec: {command: get-token, apiVersion: client.authentication.k8s.io/v1}}}
- {name: y, user: {token: t}}
";
    let read = Kubeconfig::parse(text).unwrap();
    assert_eq!(read.server, "https://two");
    assert_eq!(read.user_name, "y");
}

#[test]
fn errors_name_what_is_missing_and_never_quote_the_text() {
    let complete = text_with_user("    token: secret\n");
    for (text, message) in [
        (
            complete.replace("current-context: system", "current-context: x"),
            "the kubeconfig has no context of the name in `current-context`",
        ),
        (
            complete.replace("    user: system:node:cp-1", "    user: nobody"),
            "the kubeconfig has no user of the current context",
        ),
        (
            complete.replace("certificate-authority-data: YXV0aG9yaXR5", "insecure: true"),
            "the kubeconfig has no readable `certificate-authority-data`",
        ),
        (
            complete.replace("token: secret", "password: secret"),
            "the kubeconfig has no client certificate with key and no token for its user",
        ),
        (
            complete.replace("    token: secret", "    token: [secret]"),
            "the kubeconfig cannot be read: line 17, column 12",
        ),
    ] {
        let error = Kubeconfig::parse(&text).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!format!("{error:?}").contains("secret"));
    }
}

#[test]
fn debug_output_hides_keys_and_tokens() {
    for credentials in [
        Credentials::Embedded {
            cert_pem: "certificate".to_owned(),
            key_pem: Zeroizing::new("secret".to_owned()),
        },
        Credentials::Token(Zeroizing::new("secret".to_owned())),
    ] {
        assert!(!format!("{:?}", kubeconfig(credentials)).contains("secret"));
    }
}

#[test]
fn a_file_that_waits_for_its_certificates_has_neither_and_cannot_be_used_yet() {
    let waiting = Kubeconfig {
        ca_pem: String::new(),
        ..kubeconfig(Credentials::KeyAlone(Zeroizing::new("key".to_owned())))
    };
    let text = waiting.to_yaml().unwrap();
    let expected = text_with_user("    client-key-data: a2V5\n")
        .replace("    certificate-authority-data: YXV0aG9yaXR5\n", "");
    assert_eq!(text.as_str(), expected);
    let error = Kubeconfig::parse(&text).unwrap_err();
    assert!(error.to_string().contains("certificate-authority-data"));
}
