//! What several tests need: the `openssl` command line and a textual form of certificates.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// A moment long before the tests run, so that nothing depends on the clock.
pub const NOW: &str = "2026-11-21T09:00:00Z";

/// Runs `openssl` in `directory` and returns its output; fails the test when it fails.
#[track_caller]
pub fn openssl(directory: &Path, arguments: &str) -> String {
    let (succeeded, output) = try_openssl(directory, arguments);
    assert!(succeeded, "openssl {arguments}:\n{output}");
    output
}

/// Runs `openssl` in `directory` and returns whether it succeeded, and its output.
#[track_caller]
pub fn try_openssl(directory: &Path, arguments: &str) -> (bool, String) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("these tests need the `openssl` command line; install the package `openssl`");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Returns everything in a certificate that does not change from one issuing to the next, except
/// its dates: the extensions with their exact bytes, key identifiers reduced to their length.
pub fn describe_certificate(pem: &str) -> String {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let (_, certificate) =
        x509_parser::certificate::X509Certificate::from_der(&block.contents).unwrap();
    let mut text = String::new();
    let algorithm = &certificate.signature_algorithm;
    let parameters = algorithm.parameters.as_ref().map(|p| p.tag().to_string());
    writeln!(text, "  version {:?}", certificate.version()).unwrap();
    writeln!(text, "  signature {} {parameters:?}", algorithm.algorithm).unwrap();
    writeln!(text, "  issuer {}", describe_name(certificate.issuer())).unwrap();
    writeln!(text, "  subject {}", describe_name(certificate.subject())).unwrap();
    let key = &certificate.public_key().algorithm;
    let parameters = key.parameters.as_ref().map(|p| to_hex(p.data));
    writeln!(text, "  key {} {parameters:?}", key.algorithm).unwrap();
    for extension in certificate.iter_extensions() {
        let critical = if extension.critical { " critical" } else { "" };
        write!(text, "  extension {}{critical} ", extension.oid).unwrap();
        let parsed = extension.parsed_extension();
        if let ParsedExtension::SubjectKeyIdentifier(identifier) = parsed {
            writeln!(text, "own key identifier of {} octets", identifier.0.len()).unwrap();
        } else if let ParsedExtension::AuthorityKeyIdentifier(identifier) = parsed {
            let length = identifier.key_identifier.as_ref().map(|i| i.0.len());
            let total = extension.value.len();
            writeln!(
                text,
                "issuer's key identifier of {length:?} octets in {total}"
            )
            .unwrap();
        } else {
            writeln!(text, "{}", to_hex(extension.value)).unwrap();
        }
        if let ParsedExtension::SubjectAlternativeName(names) = parsed {
            for name in &names.general_names {
                writeln!(text, "    {name}").unwrap();
            }
        }
    }
    text
}

fn describe_name(name: &X509Name<'_>) -> String {
    name.iter_rdn()
        .map(|set| {
            set.iter()
                .map(|attribute| {
                    let value = attribute.attr_value();
                    let text = String::from_utf8_lossy(value.data);
                    format!("{}={}:{text}", attribute.attr_type(), value.tag())
                })
                .collect::<Vec<_>>()
                .join("+")
        })
        .collect::<Vec<_>>()
        .join(",")
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
