//! When the certificates of all hosts expire.

use slipway_api::{CertificateSummary, ClusterSpec, Facts, HostName, LeftOut};
use slipway_planner::CertificateExpiry;

use super::table;
use crate::args::Output;

/// When the certificates of all hosts expire.
pub(crate) struct CertificatePage {
    /// A row for each certificate, in the file's order of hosts.
    pub rows: Vec<CertificateRow>,
    /// Hosts that were not reached.
    pub left_out: Vec<LeftOut>,
    cluster: String,
}

/// One certificate.
pub(crate) struct CertificateRow {
    /// How soon it wants renewal.
    pub expiry: CertificateExpiry,
    host: HostName,
    certificate: CertificateSummary,
    days_left: i64,
    /// Whether the key of its authority is on no host that was reached.
    is_external: bool,
}

impl CertificatePage {
    /// Returns the page as it is at `now`, in seconds since 1970.
    pub fn of(spec: &ClusterSpec, facts: &Facts, now: i64) -> Self {
        let mut rows = Vec::new();
        let all = facts.hosts.keys().filter_map(|name| facts.host(name));
        let signers: Vec<_> = all.flat_map(|host| &host.existing.authorities).collect();
        let has_signer = |name: &str| signers.iter().any(|it| it.name == name && it.has_key);
        for host in &spec.hosts {
            let existing = facts.host(&host.name).map(|facts| &facts.existing);
            let found = existing.into_iter().flat_map(|it| &it.certificates);
            rows.extend(found.map(|certificate| CertificateRow {
                expiry: CertificateExpiry::of(certificate, now),
                host: host.name.clone(),
                certificate: certificate.clone(),
                days_left: CertificateExpiry::days_left(certificate, now),
                is_external: !has_signer(
                    certificate.authority.as_ref().unwrap_or(&certificate.name),
                ),
            }));
        }
        Self {
            rows,
            left_out: facts.unreached().collect(),
            cluster: spec.name.clone(),
        }
    }

    /// Prints the page on stdout.
    pub fn print(&self, output: Output) {
        if output == Output::Json {
            let rows: Vec<_> = self.rows.iter().map(CertificateRow::to_json).collect();
            return super::json(&serde_json::json!({
                "cluster": self.cluster,
                "certificates": rows,
                "leftOut": self.left_out,
            }));
        }
        let head = [
            "HOST",
            "CERTIFICATE",
            "EXPIRES",
            "DAYS LEFT",
            "AUTHORITY",
            "STATE",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.rows.iter().map(CertificateRow::cells));
        out!("{}", table(&rows));
        let is_urgent = |row: &&CertificateRow| row.expiry != CertificateExpiry::Later;
        let urgent = self.rows.iter().filter(is_urgent).count();
        if urgent > 0 {
            noteln!(
                "\n{urgent} of {} want renewal: `slipway certs renew`",
                self.rows.len()
            );
        }
    }
}

impl CertificateRow {
    fn state(&self) -> String {
        let expiry = match self.expiry {
            CertificateExpiry::Past => "EXPIRED".to_owned(),
            CertificateExpiry::Within(days) => format!("expires within {days} days"),
            CertificateExpiry::Later => "ok".to_owned(),
        };
        match self.is_external {
            true => format!("{expiry}, issued elsewhere"),
            false => expiry,
        }
    }

    fn cells(&self) -> Vec<String> {
        let expires = self.certificate.not_after.strftime("%Y-%m-%d %H:%M UTC");
        vec![
            self.host.to_string(),
            self.certificate.name.clone(),
            expires.to_string(),
            self.days_left.to_string(),
            self.certificate.authority.clone().unwrap_or_default(),
            self.state(),
        ]
    }

    fn to_json(&self) -> serde_json::Value {
        let state = match self.expiry {
            CertificateExpiry::Past => "expired",
            CertificateExpiry::Within(_) => "expires-soon",
            CertificateExpiry::Later => "ok",
        };
        serde_json::json!({
            "host": self.host,
            "name": self.certificate.name,
            "authority": self.certificate.authority,
            "notAfter": self.certificate.not_after,
            "daysLeft": self.days_left,
            "state": state,
            "issuedElsewhere": self.is_external,
        })
    }
}
