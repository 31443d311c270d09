//! The systemd unit of containerd.

use serde::Serialize;
use serde_json::json;

use crate::checks::{check_line, check_path, check_word};
use crate::{TemplateError, engine};

/// The unit `containerd.service`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerdUnit {
    /// Usually `/usr/local/bin/containerd`.
    pub containerd_path: String,
    /// Environment variables, such as the proxy for pulling images.
    pub environment: Vec<(String, String)>,
}

impl ContainerdUnit {
    /// Returns the unit.
    ///
    /// # Errors
    ///
    /// Fails for a path that is not absolute or not one word, and for control
    /// characters in the environment.
    pub fn render(&self) -> Result<String, TemplateError> {
        check_path("containerd path", &self.containerd_path)?;
        let mut environment = Vec::new();
        for (name, value) in &self.environment {
            check_word("environment variable", name)?;
            check_line("environment variable", value)?;
            environment.push(assignment(name, value));
        }
        let context = json!({
            "containerd_path": self.containerd_path,
            "environment": environment,
        });
        engine::render("containerd/containerd.service", &context)
    }
}

/// Quotes for `Environment=`: systemd unescapes `\` and expands `%`.
fn assignment(name: &str, value: &str) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%");
    format!("\"{name}={value}\"")
}
