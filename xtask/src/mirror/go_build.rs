//! Building programs out of published Go modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::shell::{Shell, command_in};
use crate::error::Error;

/// Programs of Go modules and how to build them.
///
/// The modules become requirements of a module made for the occasion, because a
/// module that has `replace` directives (Kubernetes and etcd do) cannot be built
/// from where Go unpacks it.
pub struct GoBuild {
    /// Modules and versions; the first one also gives the language version.
    pub modules: Vec<(String, String)>,
    /// `old => new` lines.
    pub replaces: Vec<String>,
    /// The packages of the programs.
    pub packages: Vec<String>,
    /// Flags for the linker.
    pub ldflags: String,
    /// Build tags, separated by commas.
    pub tags: &'static str,
    /// Whether C code is compiled in.
    pub cgo: bool,
}

/// Where Go unpacked a module.
pub struct Module {
    /// The directory of its source.
    pub directory: PathBuf,
    /// Its `go.mod`.
    pub go_mod: String,
}

impl GoBuild {
    /// Builds the programs of one module without C code.
    pub fn of(module: &str, version: &str, packages: &[&str], ldflags: &str) -> Self {
        let package = |path: &&str| match *path {
            "" => module.to_owned(),
            path => format!("{module}/{path}"),
        };
        Self {
            modules: vec![(module.to_owned(), version.to_owned())],
            replaces: Vec::new(),
            packages: packages.iter().map(package).collect(),
            ldflags: format!("-s -w {ldflags}").trim_end().to_owned(),
            tags: "",
            cgo: false,
        }
    }

    /// Builds everything in `folder` and returns the directory that holds the programs.
    ///
    /// # Errors
    /// A module cannot be fetched or a program cannot be built.
    pub fn build(&self, shell: &Shell, folder: &Path) -> Result<PathBuf, Error> {
        let programs = folder.join("bin");
        std::fs::create_dir_all(&programs).map_err(Error::file("create", &programs))?;
        let (first, version) = &self.modules[0];
        let module = fetch(shell, folder, first, version)?;
        let go_mod = folder.join("go.mod");
        std::fs::write(&go_mod, self.go_mod(language_version(&module.go_mod)))
            .map_err(Error::file("write", &go_mod))?;
        shell.say("go: choosing module versions");
        shell.run(go(folder).args(["mod", "tidy"]))?;
        shell.say(&format!("go: building {} program(s)", self.packages.len()));
        let mut build = go(folder);
        build.args(["build", "-buildvcs=false", "-trimpath", "-ldflags"]);
        build.arg(&self.ldflags).arg("-tags").arg(self.tags);
        // The trailing slash tells Go that this is a directory.
        build.arg("-o").arg(programs.join("")).args(&self.packages);
        shell.run(build.env("CGO_ENABLED", if self.cgo { "1" } else { "0" }))?;
        Ok(programs)
    }

    fn go_mod(&self, language: &str) -> String {
        let mut text = format!("module mirror\n\ngo {language}\n");
        for (module, version) in &self.modules {
            text += &format!("\nrequire {module} {version}\n");
        }
        for replace in &self.replaces {
            text += &format!("\nreplace {replace}\n");
        }
        for package in &self.packages {
            text += &format!("\ntool {package}\n");
        }
        text
    }
}

/// Fetches a module's source.
///
/// # Errors
/// Go cannot get it.
pub fn fetch(shell: &Shell, folder: &Path, module: &str, version: &str) -> Result<Module, Error> {
    let answer = shell.capture(
        go(folder)
            .args(["mod", "download", "-json"])
            .arg(format!("{module}@{version}")),
    )?;
    let answer: Value = serde_json::from_str(&answer).map_err(|error| Error::Answer {
        program: "go mod download",
        what: error.to_string(),
    })?;
    let path = |key: &str| {
        answer[key]
            .as_str()
            .map(PathBuf::from)
            .ok_or_else(|| Error::Answer {
                program: "go mod download",
                what: format!("no `{key}`"),
            })
    };
    let go_mod = path("GoMod")?;
    Ok(Module {
        directory: path("Dir")?,
        go_mod: std::fs::read_to_string(&go_mod).map_err(Error::file("read", &go_mod))?,
    })
}

/// Returns the language version that a `go.mod` asks for.
fn language_version(go_mod: &str) -> &str {
    go_mod
        .lines()
        .find_map(|line| line.strip_prefix("go "))
        .map_or("1.21", str::trim)
}

fn go(folder: &Path) -> Command {
    let mut command = command_in(folder, "go");
    // A workspace file above the folder would change what is built.
    command.env("GOWORK", "off");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_made_up_module_requires_replaces_and_names_its_tools() {
        let mut build = GoBuild::of("go.example/etcd", "v3.6.8", &["", "cmd/ctl"], "-X a=b");
        build.replaces.push("a => b v1".to_owned());
        let text = build.go_mod("1.24.0");
        assert_eq!(
            text.split_whitespace().collect::<Vec<_>>().join(" "),
            "module mirror go 1.24.0 require go.example/etcd v3.6.8 replace a => b v1 \
             tool go.example/etcd tool go.example/etcd/cmd/ctl"
        );
        assert_eq!(build.ldflags, "-s -w -X a=b");
    }

    #[test]
    fn the_language_version_is_that_of_the_module() {
        assert_eq!(
            language_version("module x\n\ngo 1.26.6\n\nrequire (\n"),
            "1.26.6"
        );
    }
}
