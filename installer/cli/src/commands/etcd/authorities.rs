//! The authorities of a cluster beside its snapshot, encrypted.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use slipway_api::protocol::{Reply, Request};
use slipway_api::{Failure, SecretText};
use slipway_hosts::Host;
use slipway_pki::{CertificateKey, PkiError};
use zeroize::Zeroizing;

use crate::args::{EtcdAuthoritiesArgs, Output};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::show;
use crate::this_machine::{host_error, unexpected};

/// Returns the file beside a snapshot.
pub(super) fn path_beside(snapshot: &Path) -> PathBuf {
    let mut name = snapshot.as_os_str().to_owned();
    name.push(".authorities");
    name.into()
}

/// Writes what a control-plane host has of authorities, encrypted, and returns the key that
/// opens it, a secret.
///
/// # Errors
/// The host does not give them, or the file is there already or cannot be written.
pub(super) async fn write(host: &dyn Host, path: &Path) -> Result<Zeroizing<String>, CliError> {
    let reply = host.request(Request::ReadRecoveryFiles, &|_| {}).await;
    let reply = reply.map_err(host_error)?;
    let Reply::Authorities { files } = reply else {
        return Err(unexpected(&reply));
    };
    let text = serde_json::to_vec(&files).expect("the map has only string keys");
    let text = Zeroizing::new(text);
    let sealing = CertificateKey::generate().and_then(|key| Ok((key.seal(&text)?, key.expose())));
    let (sealed, key) = sealing.map_err(|error| CliError::failed(&error))?;
    create(path, &sealed)?;
    Ok(key)
}

/// Opens such a file.
pub(super) fn open(args: &EtcdAuthoritiesArgs, output: Output) -> Result<ExitCode, CliError> {
    let sealed = std::fs::read(&args.file).map_err(|error| {
        CliError::bad_input(
            format!("cannot read {}: {error}", args.file.display()),
            "name the file that `slipway etcd snapshot --with-authorities` wrote",
        )
    })?;
    let key = read_key(&args.key_file)?;
    let opened = key
        .open(&sealed)
        .map_err(|error| refused(&args.file, &error))?;
    let files: BTreeMap<String, SecretText> =
        serde_json::from_slice(&opened).map_err(|_| refused(&args.file, &PkiError::Open))?;
    let mut written = Vec::new();
    for (path, text) in &files {
        let relative = Path::new(path).strip_prefix("/").unwrap_or(Path::new(path));
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !relative.components().all(is_plain) {
            return Err(refused(&args.file, &PkiError::Open));
        }
        let at = args.out_dir.join(relative);
        create(&at, text.expose().as_bytes())?;
        written.push(at);
    }
    match output {
        Output::Json => show::json(&serde_json::json!({ "files": written })),
        Output::Text => {
            for path in &written {
                outln!("{}", path.display());
            }
            noteln!(
                "\nPut them at the same places on the first control-plane host of the file, for \
                 `slipway init` and `slipway etcd restore`; then delete them here."
            );
        }
    }
    Ok(ExitCode::Done)
}

fn read_key(path: &Path) -> Result<CertificateKey, CliError> {
    let mut text = Zeroizing::new(String::new());
    let read = match path == Path::new("-") {
        true => std::io::stdin().read_to_string(&mut text).map(drop),
        false => std::fs::read_to_string(path).map(|read| *text = read),
    };
    let help = "give the key that `slipway etcd snapshot --with-authorities` printed: in a file with `--key-file`, or on standard input";
    read.map_err(|error| CliError::bad_input(format!("cannot read the key: {error}"), help))?;
    CertificateKey::parse(&text).map_err(|error| CliError::bad_input(error.to_string(), help))
}

fn refused(file: &Path, error: &PkiError) -> CliError {
    CliError::bad_input(
        format!("{} does not open: {error}", file.display()),
        "each snapshot's file has a key of its own",
    )
}

/// Makes a file that only its owner may read, and the folders to it; one that is there stays.
fn create(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let cannot = |error: &std::io::Error| CliError {
        code: ExitCode::Failed,
        failure: Failure::because(format!("cannot write {}: {error}", path.display())),
    };
    if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(|error| cannot(&error))?;
    }
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| cannot(&error))?;
    std::io::Write::write_all(&mut file, bytes).map_err(|error| cannot(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(folder: &Path, files: &[(&str, &str)]) -> (PathBuf, PathBuf) {
        let files: BTreeMap<String, SecretText> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), SecretText::new(*text)))
            .collect();
        let key = CertificateKey::generate().unwrap();
        let path = path_beside(&folder.join("harbour.db"));
        let text = serde_json::to_vec(&files).unwrap();
        create(&path, &key.seal(&text).unwrap()).unwrap();
        let key_file = folder.join("key");
        create(&key_file, key.expose().as_bytes()).unwrap();
        (path, key_file)
    }

    fn opening(file: &Path, key_file: &Path, out_dir: &Path) -> Result<ExitCode, CliError> {
        let args = EtcdAuthoritiesArgs {
            file: file.to_owned(),
            out_dir: out_dir.to_owned(),
            key_file: key_file.to_owned(),
        };
        open(&args, Output::Json)
    }

    #[test]
    fn authorities_open_with_their_key_and_overwrite_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = [("/etc/kubernetes/pki/ca.key", "secret")];
        let (file, key) = sealed(folder.path(), &files);
        assert!(file.ends_with("harbour.db.authorities"));
        let out = folder.path().join("out");
        opening(&file, &key, &out).unwrap();
        let found = out.join("etc/kubernetes/pki/ca.key");
        assert_eq!(std::fs::read_to_string(&found).unwrap(), "secret");
        assert!(opening(&file, &key, &out).is_err());
        // The snapshot's own name is no key.
        let error = opening(&file, &file, &out).unwrap_err();
        assert_eq!(error.code, ExitCode::BadInput);
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (file, key) = sealed(folder.path(), &[("../../elsewhere", "x")]);
        let out = folder.path().join("a/b");
        assert!(opening(&file, &key, &out).is_err());
        assert!(!folder.path().join("elsewhere").exists());
    }
}
