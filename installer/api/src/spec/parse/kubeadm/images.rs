//! Where images come from.

use crate::ImageReference;
use crate::spec::parse::fields::Fields;
use crate::spec::parse::problems::{Problems, excerpt};

/// Reads a repository: a registry and perhaps a path, to which kubeadm adds
/// the image's name.
pub(super) fn read_repository(fields: &Fields<'_>, problems: &mut Problems) -> Option<String> {
    let value = fields.optional("imageRepository")?;
    let text = value.text(problems)?;
    let registry = text.split('/').next().unwrap_or(text);
    let names_registry = registry.contains(['.', ':']) || registry == "localhost";
    let is_reference = format!("{text}/name:tag").parse::<ImageReference>().is_ok();
    if !names_registry || !is_reference || text.chars().any(char::is_uppercase) {
        problems.report(
            &value.place,
            format!("`{}` is not a repository of images", excerpt(text)),
            "write a registry and perhaps a path, without a scheme: `registry.example:5000/kubernetes`",
        );
        return None;
    }
    Some(text.to_owned())
}

/// Reads an image's tag.
pub(super) fn read_tag(fields: &Fields<'_>, problems: &mut Problems) -> Option<String> {
    let value = fields.optional("imageTag")?;
    let text = value.text(problems)?;
    let is_reference = format!("registry/name:{text}")
        .parse::<ImageReference>()
        .is_ok();
    if !is_reference || text.len() > 128 {
        problems.report(
            &value.place,
            format!("`{}` is not an image's tag", excerpt(text)),
            "write the part after the last `:` of the image's name: `imageTag: 3.6.8-0`",
        );
        return None;
    }
    Some(text.to_owned())
}
