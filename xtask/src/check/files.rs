//! Rules about single source files: their length, and the sentence they open with.

use std::path::Path;

use crate::error::Error;

/// The end of a source file, in lines.
const LONGEST: usize = 600;

/// What is written by hand and read by people; fixtures, snapshots and lock files are not.
const SOURCE: [&str; 9] = ["css", "go", "html", "js", "py", "rs", "sh", "tera", "ts"];

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 4] = [".git", "dist", "node_modules", "target"];

/// Returns a sentence for every source file below `root` that breaks a rule.
///
/// # Errors
/// A folder or file cannot be read.
pub fn violations(root: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    walk(root, root, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(Error::file("read", folder))? {
        let entry = entry.map_err(Error::file("read", folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::file("read", &path))?;
        if kind.is_dir() {
            if !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                walk(root, &path, found)?;
            }
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let Some(extension) = extension.filter(|extension| SOURCE.contains(extension)) else {
            continue;
        };
        if kind.is_file() {
            let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
            let name = path.strip_prefix(root).unwrap_or(&path);
            found.extend(
                broken_rules(extension, &text)
                    .into_iter()
                    .map(|rule| format!("{}: {rule}", name.display())),
            );
        }
    }
    Ok(())
}

fn broken_rules(extension: &str, text: &str) -> Vec<String> {
    let mut rules = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST {
        rules.push(format!("{lines} lines, the end is {LONGEST}"));
    }
    if extension == "rs" && !text.starts_with("//! ") {
        rules.push("does not open with a sentence after `//!`".to_owned());
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_files_open_with_a_sentence() {
        assert!(broken_rules("rs", "//! A thing.\n").is_empty());
        assert_eq!(broken_rules("rs", "use std::fs;\n//! Late.\n").len(), 1);
        assert!(broken_rules("sh", "#!/bin/sh\n").is_empty());
    }

    #[test]
    fn the_six_hundredth_line_is_the_last() {
        let text = |lines: usize| format!("//! A thing.\n{}", "\n".repeat(lines - 1));
        assert!(broken_rules("rs", &text(600)).is_empty());
        assert_eq!(
            broken_rules("rs", &text(601)),
            ["601 lines, the end is 600"]
        );
    }

    #[test]
    fn build_output_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("target")).unwrap();
        std::fs::write(folder.path().join("target/generated.rs"), "fn x() {}").unwrap();
        std::fs::write(folder.path().join("bare.rs"), "fn x() {}").unwrap();
        assert_eq!(
            violations(folder.path()).unwrap(),
            ["bare.rs: does not open with a sentence after `//!`"]
        );
    }
}
