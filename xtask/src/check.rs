//! `cargo xtask check`: the rules of the workspace that the compiler does not know.

mod arrows;
mod files;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::error::Error;
use arrows::Crate;

/// Checks every rule and prints each violation on a line of its own.
///
/// # Errors
/// At least one rule is broken, or the workspace cannot be read.
pub fn run() -> Result<(), Error> {
    let metadata = cargo_metadata()?;
    let root = PathBuf::from(metadata["workspace_root"].as_str().unwrap_or_default());
    let crates = parse_crates(&metadata, &root);
    let mut violations = arrows::violations(&crates);
    violations.extend(files::violations(&root)?);
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => {
            println!("{} crates keep the rules", crates.len());
            Ok(())
        }
        count => Err(Error::Violations(count)),
    }
}

fn cargo_metadata() -> Result<Value, Error> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(&cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|source| Error::Start {
            program: cargo,
            source,
        })?;
    let answer = |what| Error::Answer {
        program: "cargo metadata",
        what,
    };
    if !output.status.success() {
        return Err(answer(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| answer(error.to_string()))
}

/// Returns the workspace's crates with their normal and build dependencies.
fn parse_crates(metadata: &Value, root: &Path) -> Vec<Crate> {
    let empty = Vec::new();
    let list = |value: &Value| value.as_array().unwrap_or(&empty).clone();
    let folder_of = |path: &str| {
        let path = Path::new(path);
        let folder = path.strip_prefix(root).unwrap_or(path);
        folder.to_string_lossy().into_owned()
    };
    let mut crates: Vec<_> = list(&metadata["packages"])
        .iter()
        .map(|package| {
            let manifest = package["manifest_path"].as_str().unwrap_or_default();
            let mut found = Crate {
                folder: folder_of(manifest.trim_end_matches("/Cargo.toml")),
                workspace: Vec::new(),
                external: Vec::new(),
            };
            for dependency in list(&package["dependencies"]) {
                if dependency["kind"] == "dev" {
                    continue;
                }
                match dependency["path"].as_str() {
                    Some(path) => found.workspace.push(folder_of(path)),
                    None => found
                        .external
                        .push(dependency["name"].as_str().unwrap_or_default().to_owned()),
                }
            }
            found
        })
        .collect();
    crates.sort_by(|a, b| a.folder.cmp(&b.folder));
    crates
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn build_dependencies_count_and_development_ones_do_not() {
        let metadata = json!({ "packages": [{
            "manifest_path": "/w/installer/api/Cargo.toml",
            "dependencies": [
                { "name": "serde", "kind": null },
                { "name": "tokio", "kind": "build" },
                { "name": "insta", "kind": "dev" },
                { "name": "slipway-pki", "kind": null, "path": "/w/pki" },
            ],
        }] });
        let crates = parse_crates(&metadata, Path::new("/w"));
        assert_eq!(crates[0].folder, "installer/api");
        assert_eq!(crates[0].workspace, ["pki"]);
        assert_eq!(crates[0].external, ["serde", "tokio"]);
    }
}
