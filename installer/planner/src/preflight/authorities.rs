//! Authorities that lie on a control-plane host: used as they are, so they must work.

use slipway_api::{AuthorityFacts, Etcd, Finding, Role, paths};

use super::Subject;

/// What the key pair is for that signs tokens of service accounts.
const SERVICE_ACCOUNT: &str = "sa";

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if subject.host.role != Role::ControlPlane {
        return;
    }
    let has_etcd = matches!(subject.spec.cluster_configuration.etcd, Etcd::Local(_));
    for authority in &subject.facts.existing.authorities {
        if authority.name != "etcd-ca" || has_etcd {
            found.extend(trouble(subject, authority));
        }
    }
}

/// Returns what is wrong with an authority, if anything is.
fn trouble(subject: &Subject<'_>, authority: &AuthorityFacts) -> Option<Finding> {
    let (certificate, key) = pair(&authority.name);
    let error = |seen: String, why: &str, help: String| {
        Some(subject.error("CertificateAuthority", seen, why, help))
    };
    let elsewhere = format!(
        "put the right files there, or let Slipway make them: `mkdir /root/pki && mv {certificate} {key} /root/pki/`"
    );
    if let Some(trouble) = &authority.trouble {
        let compare = match authority.name.as_str() {
            SERVICE_ACCOUNT => {
                format!("`openssl pkey -in {key} -pubout` prints what belongs into {certificate}")
            }
            _ => format!(
                "compare `openssl x509 -in {certificate} -noout -text -pubkey` with `openssl pkey -in {key} -pubout`"
            ),
        };
        return error(
            format!("{certificate} and {key}: {trouble}"),
            "what is there is used and never replaced, and nothing can be signed with it",
            format!("{compare}; {elsewhere}"),
        );
    }
    let now = subject.facts.observed_at;
    if let (Some(from), Some(until)) = (authority.not_before, authority.not_after)
        && !(from..=until).contains(&now)
    {
        return error(
            format!("{certificate} is valid from {from} to {until}, and it is {now} there"),
            "nobody trusts what an authority signed that is not valid itself",
            format!("mend the clock if it is wrong; else {elsewhere}"),
        );
    }
    match (authority.has_certificate, authority.has_key) {
        // What an earlier run of ours began, this one ends.
        (false, true) if !subject.belongs_to_cluster() => error(
            format!("{key} is there without {certificate}"),
            "a key alone does not say which authority it is",
            elsewhere,
        ),
        (true, false) if authority.name == SERVICE_ACCOUNT => error(
            format!("{certificate} is there without {key}"),
            "the controller manager signs tokens with the key, and the public half must be that key's",
            elsewhere,
        ),
        (_, _) => None,
    }
}

/// Returns the paths of certificate and key.
fn pair(name: &str) -> (String, String) {
    let (certificate, key) = match name {
        SERVICE_ACCOUNT => ("sa.pub", "sa.key"),
        "etcd-ca" => ("etcd/ca.crt", "etcd/ca.key"),
        "front-proxy-ca" => ("front-proxy-ca.crt", "front-proxy-ca.key"),
        _ => ("ca.crt", "ca.key"),
    };
    let at = |file: &str| format!("{}/{file}", paths::PKI_DIR);
    (at(certificate), at(key))
}
