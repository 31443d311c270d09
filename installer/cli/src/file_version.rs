//! The Kubernetes version in a cluster file: the one scalar that an upgrade rewrites.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use slipway_api::{ClusterFile, KubernetesVersion};

use crate::cli_error::CliError;
use crate::session::spec_error;

/// The field, in our document as in a ClusterConfiguration.
const FIELD: &str = "kubernetesVersion:";

/// Refuses a version with which the file would be wrong, for example because that version no
/// longer knows a flag that the file gives a kubelet.
///
/// # Errors
/// The file cannot be read, or has errors with that version, which are all told.
pub(crate) fn check_version(path: &Path, version: &KubernetesVersion) -> Result<(), CliError> {
    let origin = format!("{} with {version}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| {
        CliError::bad_input(
            format!("cannot read {origin}: {error}"),
            "name a file that is there",
        )
    })?;
    let parsed = ClusterFile::parse(&with_version(&text, version), &origin);
    parsed.map(drop).map_err(|errors| spec_error(&errors))
}

/// Writes `version` into the cluster file at `path` and leaves everything else as it is, to the
/// byte; returns whether anything was to be written.
///
/// # Errors
/// The file cannot be read or written, or names its version in a way that only a person can
/// change safely. Then it is as before.
pub(crate) fn write_version(path: &Path, version: &KubernetesVersion) -> Result<bool, CliError> {
    let origin = path.display().to_string();
    let by_hand = || {
        CliError::bad_input(
            format!("{origin} names its version in a way that is not rewritten here"),
            format!("write `kubernetesVersion: {version}` into it and run the same command again"),
        )
    };
    let failed = |error: std::io::Error| {
        CliError::bad_input(
            format!("cannot write {origin}: {error}"),
            format!("write `kubernetesVersion: {version}` into it and run the same command again"),
        )
    };
    // Where it is a link, its target is written and the link stays.
    let path = path.canonicalize().map_err(failed)?;
    let text = std::fs::read_to_string(&path).map_err(failed)?;
    let new = with_version(&text, version);
    let read = |text: &str| ClusterFile::parse(text, &origin).map(|file| file.spec);
    let (Ok(mut before), Ok(after)) = (read(&text), read(&new)) else {
        return Err(by_hand());
    };
    if before.kubernetes_version == *version {
        return Ok(false);
    }
    before.kubernetes_version = version.clone();
    if before != after {
        return Err(by_hand());
    }
    replace(&path, &new).map_err(failed)?;
    Ok(true)
}

/// Returns the text with the version in every line that gives one.
fn with_version(text: &str, version: &KubernetesVersion) -> String {
    let mut new = String::with_capacity(text.len() + 8);
    for line in text.split_inclusive('\n') {
        match value_in(line) {
            Some((start, end)) => {
                new.push_str(&line[..start]);
                new.push_str(&spelled(&line[start..end], version));
                new.push_str(&line[end..]);
            }
            None => new.push_str(line),
        }
    }
    new
}

/// Returns where in a line the field's value stands.
fn value_in(line: &str) -> Option<(usize, usize)> {
    let rest = line.trim_start().strip_prefix(FIELD)?;
    let value = rest.trim_start();
    let start = line.len() - value.len();
    let end = value
        .find([' ', '\t', '\r', '\n', '#'])
        .unwrap_or(value.len());
    (end > 0).then_some((start, start + end))
}

/// Returns the version as the file spells it: with quotes and a `v` where it has them.
fn spelled(old: &str, version: &KubernetesVersion) -> String {
    let quote = old.chars().next().filter(|it| matches!(it, '"' | '\''));
    let quote = quote.map_or_else(String::new, String::from);
    let has_v = old.trim_start_matches(['"', '\'']).starts_with('v');
    let number = match has_v {
        true => version.to_string(),
        false => version.number(),
    };
    format!("{quote}{number}{quote}")
}

/// Puts a new file in place of the old one, with its mode.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o7777;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.slipway-{}", std::process::id()));
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_changes_in_the_spelling_that_the_file_has() {
        let version = KubernetesVersion::new(36, 3);
        let text = "spec: # ours\n  kubernetesVersion:  \"1.35.4\" # next: 1.36\r\n  a: 1\n---\nkubernetesVersion: v1.35.4";
        let expected = "spec: # ours\n  kubernetesVersion:  \"1.36.3\" # next: 1.36\r\n  a: 1\n---\nkubernetesVersion: v1.36.3";
        assert_eq!(with_version(text, &version), expected);
    }

    #[test]
    fn a_version_that_does_not_know_a_flag_of_the_file_is_refused_before_anything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.yaml");
        let text = "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: { name: harbour }\n\
            spec:\n  kubernetesVersion: 1.34.4\n  hosts:\n    - name: cp-1\n      \
            address: 192.0.2.11\n      role: control-plane\n      \
            kubeletExtraArgs: [{ name: pod-infra-container-image, value: pause }]\n";
        std::fs::write(&path, text).unwrap();
        check_version(&path, &KubernetesVersion::new(34, 5)).unwrap();
        let error = check_version(&path, &KubernetesVersion::new(35, 4)).unwrap_err();
        let told = error.failure.to_string();
        assert!(told.contains("pod-infra-container-image"), "{told}");
    }

    #[test]
    fn a_file_is_written_whole_with_its_mode_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.yaml");
        let example = slipway_api::print_defaults();
        std::fs::write(&path, example).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let before = ClusterFile::parse(example, "it").unwrap().spec;
        let version = KubernetesVersion::new(before.kubernetes_version.minor(), 99);
        assert!(write_version(&path, &version).unwrap());
        assert!(!write_version(&path, &version).unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            ClusterFile::parse(&text, "it")
                .unwrap()
                .spec
                .kubernetes_version,
            version
        );
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640);

        let odd = example.replace(
            &format!("{FIELD} "),
            &format!("\"{}\": ", FIELD.trim_end_matches(':')),
        );
        assert_ne!(odd, example);
        std::fs::write(&path, &odd).unwrap();
        assert!(write_version(&path, &version).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), odd);
    }
}
