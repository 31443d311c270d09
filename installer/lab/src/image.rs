//! The hosts' image: made once by debootstrap, cached as an archive, imported where missing.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::command::{Program, is_installed};
use crate::recipe::{
    ENABLED_UNITS, FILES, MASKED_UNITS, PACKAGES, REMOVED_GLOBS, SILENCED_FILES, SUITE, recipe_hash,
};
use crate::{Engine, LabError, Progress};

/// How long debootstrap may take; it downloads about 100 MB.
const BOOTSTRAP_LIMIT: Duration = Duration::from_secs(1_800);

/// Makes the root file system `$1` of the packages `$2` of the suite `$3`, in a
/// mount namespace of its own: nothing that debootstrap mounts can stay behind
/// and be deleted through. Unpacking and configuring are two stages so that
/// packages find the policy "start nothing" in between: procps would apply its
/// kernel settings to this machine.
const BOOTSTRAP: &str = r#"set -e
debootstrap --foreign --variant=minbase "$2" "$3" "$1"
printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
chroot "$1" /debootstrap/debootstrap --second-stage
rm -f "$1/usr/sbin/policy-rc.d"
"#;

/// Returns the name of the image that the present recipe makes.
pub(crate) fn image_name() -> String {
    format!("localhost/slipway-lab-host:{}", recipe_hash())
}

/// Makes the archive of the root file system unless the cache has it.
///
/// # Errors
/// debootstrap is missing or fails, or the cache cannot be written.
pub(crate) async fn ensure_archive(
    cache: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<PathBuf, LabError> {
    let archive = cache.join(format!("host-{}.tar", recipe_hash()));
    if archive.is_file() {
        return Ok(archive);
    }
    if !is_installed("debootstrap") {
        return Err(LabError::ToolMissing {
            tool: "debootstrap",
            package: "debootstrap",
        });
    }
    progress(Progress::RootFileSystemStarted);
    let started = Instant::now();
    let root = cache.join(format!("rootfs-{}", recipe_hash()));
    remove_tree(&root).await?;
    make_root(&root).await?;
    let partial = archive.with_extension("tar.partial");
    // Extended attributes carry file capabilities such as ping's.
    Program::new("tar")
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-C"])
        .args([
            text(&root),
            "-cf".to_owned(),
            text(&partial),
            ".".to_owned(),
        ])
        .limit(BOOTSTRAP_LIMIT)
        .run()
        .await?;
    remove_tree(&root).await?;
    std::fs::rename(&partial, &archive).map_err(LabError::file("create", &archive))?;
    progress(Progress::RootFileSystemReady {
        archive: archive.clone(),
        took: started.elapsed(),
    });
    Ok(archive)
}

/// Imports the archive into the engine unless it has the image, and returns the image's name.
///
/// # Errors
/// The engine fails.
pub(crate) async fn ensure_image(
    engine: &Engine,
    archive: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<String, LabError> {
    let image = image_name();
    if !engine.has_image(&image).await? {
        progress(Progress::ImageImportStarted {
            image: image.clone(),
        });
        engine.import_image(&text(archive), &image).await?;
    }
    Ok(image)
}

async fn make_root(root: &Path) -> Result<(), LabError> {
    let include = format!("--include={}", PACKAGES.join(","));
    Program::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", BOOTSTRAP])
        .args(["sh", &text(root), &include, SUITE])
        .limit(BOOTSTRAP_LIMIT)
        .run()
        .await?;
    chroot(
        root,
        &["useradd", "--create-home", "--shell", "/bin/bash", "ops"],
    )
    .await?;
    // Globs that match nothing are left as they are and `rm -f` ignores them.
    let remove = format!("cd \"$1\" && rm -rf {REMOVED_GLOBS}");
    Program::new("sh")
        .args(["-c", &remove, "sh", &text(root)])
        .run()
        .await?;
    for file in FILES {
        write(&root.join(file.path), file.text, file.mode)?;
    }
    for path in SILENCED_FILES {
        let path = root.join(path);
        symlink("/dev/null", &path).map_err(LabError::file("create", &path))?;
    }
    let enable = [&["systemctl", "enable"], ENABLED_UNITS].concat();
    chroot(root, &enable).await?;
    let mask = [&["systemctl", "mask"], MASKED_UNITS].concat();
    chroot(root, &mask).await
}

async fn chroot(root: &Path, argv: &[&str]) -> Result<(), LabError> {
    let program = Program::new("chroot").args([text(root)]);
    program.args(argv.iter().copied()).run().await.map(drop)
}

async fn remove_tree(root: &Path) -> Result<(), LabError> {
    match tokio::fs::remove_dir_all(root).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LabError::file("remove", root)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(path: &Path, content: &str, mode: u32) -> Result<(), LabError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(LabError::file("create", folder))?;
    }
    std::fs::write(path, content).map_err(LabError::file("write", path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(LabError::file("write", path))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
