//! Judges a host's key by `known_hosts` files.
//!
//! The format is sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT". Supported: every form of host pattern,
//! several keys of one type, tabs, `@revoked`, `@cert-authority`. Lines with key types that are
//! not known, or that cannot be read, say nothing. Unlike OpenSSH, a host recorded only with
//! keys of other types is a changed host, never a new one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

use super::host_key_name::HostKeyName;
use super::host_key_problem::{HostKeyProblem, RecordedKey};
use super::host_pattern::{HostPattern, wildcard_matches};

/// What several `known_hosts` files record, in their order.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    files: Vec<PathBuf>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    file: Arc<PathBuf>,
    line: usize,
    marker: Marker,
    hosts: HostPattern,
    key: PublicKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    HostKey,
    CertAuthority,
    Revoked,
}

impl KnownHosts {
    /// Reads `files`; one that does not exist records nothing.
    ///
    /// # Errors
    /// The path and cause of the first file that exists and cannot be read.
    pub async fn read(files: &[PathBuf]) -> Result<Self, (PathBuf, io::Error)> {
        let mut known = Self::default();
        for file in files {
            match tokio::fs::read(file).await {
                Ok(bytes) => known.add_file(file, &String::from_utf8_lossy(&bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => known.add_file(file, ""),
                Err(error) => return Err((file.clone(), error)),
            }
        }
        Ok(known)
    }

    /// Adds what `text`, the content of `file`, records.
    pub fn add_file(&mut self, file: &Path, text: &str) {
        let shared = Arc::new(file.to_owned());
        self.files.push(file.to_owned());
        self.entries
            .extend(text.lines().enumerate().filter_map(|(index, line)| {
                let (marker, hosts, key) = parse_line(line)?;
                Some(Entry {
                    file: Arc::clone(&shared),
                    line: index + 1,
                    marker,
                    hosts,
                    key,
                })
            }));
    }

    /// Returns the types of the plain keys recorded for `name`, to be offered first.
    pub fn recorded_types(&self, name: &HostKeyName) -> Vec<Algorithm> {
        self.host_keys(name)
            .map(|entry| entry.key.algorithm())
            .collect()
    }

    /// Returns whether some certificate authority may vouch for `name`.
    pub fn has_authority(&self, name: &HostKeyName) -> bool {
        self.matching(name, Marker::CertAuthority).next().is_some()
    }

    /// Judges the plain key that `name` presented.
    pub fn check_key(
        &self,
        name: &HostKeyName,
        key: &PublicKey,
    ) -> Result<(), Box<HostKeyProblem>> {
        self.check_not_revoked(name, key)?;
        if self.host_keys(name).any(|entry| same_key(&entry.key, key)) {
            return Ok(());
        }
        let recorded: Vec<RecordedKey> = self.host_keys(name).map(Entry::describe).collect();
        if !recorded.is_empty() {
            return Err(Box::new(HostKeyProblem::Changed {
                name: name.clone(),
                presented: key.clone(),
                recorded,
            }));
        }
        // As OpenSSH does: a host on another port that shows the key recorded for the
        // plain name is that host.
        let plain = name.without_port();
        if self
            .matching(&plain, Marker::HostKey)
            .any(|entry| same_key(&entry.key, key))
        {
            return Ok(());
        }
        Err(Box::new(HostKeyProblem::Unknown {
            name: name.clone(),
            presented: key.clone(),
            files: self.files.clone(),
        }))
    }

    /// Judges the host certificate that `name` presented at `now` (seconds since 1970).
    ///
    /// Rules: OpenSSH's PROTOCOL.certkeys. No principal at all is refused, as newer
    /// OpenSSH versions do.
    pub fn check_certificate(
        &self,
        name: &HostKeyName,
        certificate: &Certificate,
        now: u64,
    ) -> Result<(), Box<HostKeyProblem>> {
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        let host_key = PublicKey::new(certificate.public_key().clone(), "");
        self.check_not_revoked(name, &authority)?;
        self.check_not_revoked(name, &host_key)?;
        let refuse = |reason: String| {
            Err(Box::new(HostKeyProblem::Certificate {
                name: name.clone(),
                key_id: certificate.key_id().to_owned(),
                authority: authority.clone(),
                reason,
            }))
        };
        if certificate.cert_type() != CertType::Host {
            return refuse("it is a user certificate".into());
        }
        if !certificate.critical_options().is_empty() {
            return refuse("it carries critical options, and none are known for hosts".into());
        }
        let trusted: Vec<_> = self
            .matching(name, Marker::CertAuthority)
            .map(|entry| entry.key.fingerprint(HashAlg::Sha256))
            .collect();
        if !trusted.contains(&authority.fingerprint(HashAlg::Sha256)) {
            return refuse("no `@cert-authority` line for this host names its signer".into());
        }
        if now < certificate.valid_after() || now >= certificate.valid_before() {
            return refuse("it is not valid now; compare the clocks".into());
        }
        let covers = |principal: &String| {
            wildcard_matches(principal.to_lowercase().as_bytes(), name.host().as_bytes())
        };
        if !certificate.valid_principals().iter().any(covers) {
            return refuse(format!(
                "its principals are {}, not `{}`",
                certificate.valid_principals().join(", "),
                name.host()
            ));
        }
        match certificate.validate_at(now, &trusted) {
            Ok(()) => Ok(()),
            Err(_) => refuse("its signature does not verify".into()),
        }
    }

    fn check_not_revoked(
        &self,
        name: &HostKeyName,
        key: &PublicKey,
    ) -> Result<(), Box<HostKeyProblem>> {
        let plain = name.without_port();
        let revoked = [name, &plain]
            .into_iter()
            .flat_map(|name| self.matching(name, Marker::Revoked))
            .find(|entry| same_key(&entry.key, key));
        match revoked {
            None => Ok(()),
            Some(entry) => Err(Box::new(HostKeyProblem::Revoked {
                name: name.clone(),
                presented: key.clone(),
                file: entry.file.as_ref().clone(),
                line: entry.line,
            })),
        }
    }

    fn host_keys<'a>(&'a self, name: &'a HostKeyName) -> impl Iterator<Item = &'a Entry> {
        self.matching(name, Marker::HostKey)
    }

    fn matching<'a>(
        &'a self,
        name: &'a HostKeyName,
        marker: Marker,
    ) -> impl Iterator<Item = &'a Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.marker == marker && entry.hosts.matches(name.as_str()))
    }
}

impl Entry {
    fn describe(&self) -> RecordedKey {
        RecordedKey {
            file: self.file.as_ref().clone(),
            line: self.line,
            key: self.key.clone(),
        }
    }
}

/// Returns what a line records, or nothing for a comment or a line that cannot be read.
fn parse_line(line: &str) -> Option<(Marker, HostPattern, PublicKey)> {
    let mut fields = line.split_ascii_whitespace();
    let mut first = fields.next()?;
    let marker = match first {
        comment if comment.starts_with('#') => return None,
        "@cert-authority" => Marker::CertAuthority,
        "@revoked" => Marker::Revoked,
        unknown if unknown.starts_with('@') => return None,
        _ => Marker::HostKey,
    };
    if marker != Marker::HostKey {
        first = fields.next()?;
    }
    let hosts = HostPattern::parse(first)?;
    let (key_type, data) = (fields.next()?, fields.next()?);
    let key = PublicKey::from_openssh(&format!("{key_type} {data}")).ok()?;
    Some((marker, hosts, key))
}

fn same_key(one: &PublicKey, other: &PublicKey) -> bool {
    one.key_data() == other.key_data()
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::certificate::Builder;
    use russh::keys::{PrivateKey, key::safe_rng};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn known() -> KnownHosts {
        let mut known = KnownHosts::default();
        known.add_file(
            Path::new("known_hosts"),
            include_str!("../../tests/fixtures/known_hosts"),
        );
        known
    }

    fn key(name: &str) -> PublicKey {
        let text = match name {
            "ed25519" => include_str!("../../tests/fixtures/ed25519.pub"),
            "ecdsa" => include_str!("../../tests/fixtures/ecdsa.pub"),
            "rsa" => include_str!("../../tests/fixtures/rsa.pub"),
            "other" => include_str!("../../tests/fixtures/other.pub"),
            "revoked" => include_str!("../../tests/fixtures/revoked.pub"),
            unknown => panic!("no fixture {unknown}"),
        };
        PublicKey::from_openssh(text).expect("a public key")
    }

    #[test]
    fn host_keys_are_judged_as_recorded() {
        for (host, port, presented, expected) in [
            ("cp-2", 22, "ed25519", "trusted"),
            ("CP-2", 22, "ed25519", "trusted"),
            ("192.0.2.12", 22, "ed25519", "trusted"),
            ("cp-2", 22, "other", "changed"),
            ("cp-2", 22, "rsa", "changed"),
            ("cp-2", 2222, "ed25519", "trusted"),
            ("cp-2", 2222, "other", "unknown"),
            ("cp-tab", 22, "ed25519", "trusted"),
            ("cp-two", 22, "ed25519", "trusted"),
            ("cp-two", 22, "other", "trusted"),
            ("cp-two", 22, "rsa", "trusted"),
            ("cp-two", 22, "ecdsa", "changed"),
            ("w-1.lab.example", 22, "ed25519", "trusted"),
            ("w-1.lab.example", 2222, "other", "trusted"),
            ("w-1.lab.example", 2222, "ed25519", "changed"),
            ("bad.lab.example", 22, "ed25519", "unknown"),
            ("192.0.2.123", 22, "ecdsa", "trusted"),
            ("192.0.2.1234", 22, "ecdsa", "unknown"),
            ("cp-1", 22, "ed25519", "trusted"),
            ("cp-1", 2222, "other", "trusted"),
            ("cp-1", 2222, "ed25519", "changed"),
            ("cp-revoked", 22, "revoked", "revoked"),
            ("cp-revoked", 2222, "revoked", "revoked"),
            ("never-seen", 22, "revoked", "revoked"),
            ("host.ca.example", 22, "ed25519", "unknown"),
            ("cp-future", 22, "ed25519", "unknown"),
            ("cp-odd", 22, "ed25519", "unknown"),
            ("never-seen", 22, "ed25519", "unknown"),
        ] {
            let name = HostKeyName::new(host, port);
            let verdict = match known()
                .check_key(&name, &key(presented))
                .map_err(|problem| *problem)
            {
                Ok(()) => "trusted",
                Err(HostKeyProblem::Unknown { .. }) => "unknown",
                Err(HostKeyProblem::Changed { .. }) => "changed",
                Err(HostKeyProblem::Revoked { .. }) => "revoked",
                Err(HostKeyProblem::Certificate { .. }) => "certificate",
            };
            assert_eq!(verdict, expected, "{name} presents {presented}");
        }
    }

    #[test]
    fn a_changed_key_names_file_line_and_both_fingerprints() {
        let problem = known()
            .check_key(&HostKeyName::new("cp-2", 22), &key("other"))
            .expect_err("changed");
        let text = problem.to_string();
        assert!(
            text.contains("known_hosts:3 records ssh-ed25519 SHA256:"),
            "{text}"
        );
        assert!(
            text.contains(&key("other").fingerprint(HashAlg::Sha256).to_string()),
            "{text}"
        );
        assert!(
            problem
                .help()
                .contains("`ssh-keygen -R 'cp-2' -f known_hosts`")
        );
    }

    #[test]
    fn an_unknown_key_names_fingerprint_and_commands() {
        let problem = known()
            .check_key(&HostKeyName::new("new", 2222), &key("rsa"))
            .expect_err("unknown");
        let fingerprint = key("rsa").fingerprint(HashAlg::Sha256).to_string();
        assert!(problem.to_string().contains(&fingerprint), "{problem}");
        let help = problem.help();
        assert!(
            help.contains("`ssh-keyscan -t rsa -p 2222 new >> known_hosts`"),
            "{help}"
        );
        assert!(help.contains("--accept-new-host-keys"), "{help}");
    }

    struct Certified {
        known: KnownHosts,
        authority: PrivateKey,
    }

    impl Certified {
        fn new() -> Self {
            let authority = new_key();
            let text = authority.public_key().to_openssh().expect("encodes");
            let mut known = known();
            known.add_file(Path::new("ca"), &format!("@cert-authority *.lab2 {text}\n"));
            Self { known, authority }
        }

        fn check(
            &self,
            authority: &PrivateKey,
            edit: impl FnOnce(&mut Builder),
        ) -> Result<(), Box<HostKeyProblem>> {
            let mut builder = Builder::new_with_random_nonce(
                &mut safe_rng(),
                new_key().public_key().clone(),
                NOW - 60,
                NOW + 60,
            )
            .expect("valid times");
            builder.cert_type(CertType::Host).expect("set once");
            builder.key_id("cp-1").expect("set once");
            edit(&mut builder);
            let certificate = builder.sign(authority).expect("signed");
            let name = HostKeyName::new("cp-1.lab2", 2222);
            self.known.check_certificate(&name, &certificate, NOW)
        }
    }

    fn new_key() -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a new key")
    }

    #[test]
    fn a_certificate_of_the_recorded_authority_is_accepted_for_its_host_only() {
        let mut certified = Certified::new();
        let text = certified
            .authority
            .public_key()
            .to_openssh()
            .expect("encodes");
        certified.known.add_file(
            Path::new("ports"),
            &format!("@cert-authority [cp-1.lab2]:2222 {text}\n"),
        );
        let name = |name: &str| {
            let name = name.to_owned();
            move |builder: &mut Builder| {
                builder.valid_principal(name).expect("a principal");
            }
        };
        let authority = certified.authority.clone();
        certified
            .check(&authority, name("cp-1.lab2"))
            .expect("accepted");
        let refusals: [(&str, Result<(), Box<HostKeyProblem>>); 4] = [
            ("principals", certified.check(&authority, name("cp-2.lab2"))),
            (
                "principals",
                certified.check(&authority, |builder| {
                    builder.all_principals_valid().expect("allowed");
                }),
            ),
            (
                "no `@cert-authority`",
                certified.check(&new_key(), name("cp-1.lab2")),
            ),
            (
                "critical options",
                certified.check(&authority, |builder| {
                    builder.valid_principal("cp-1.lab2").expect("a principal");
                    builder
                        .critical_option("force-command", "true")
                        .expect("an option");
                }),
            ),
        ];
        for (reason, verdict) in refusals {
            let problem = verdict.expect_err(reason);
            assert!(problem.to_string().contains(reason), "{problem}");
        }
    }
}
