//! `cargo xtask mirror`: a release source for tests, made from Go modules and Debian packages.
//!
//! The mirror has the layout of the official sites: a URL without its scheme is a
//! path, images are OCI layouts below `images/`. Nothing of it belongs in the product.

mod addons;
mod agnhost;
mod component;
mod debian_base;
mod etcd;
mod file_tree;
mod go_build;
mod image;
mod kubernetes;
mod node_tools;
mod pause;
mod shell;
mod stamp;
mod tools;
mod workbench;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Instant;

use crate::arguments::MirrorOptions;
use crate::error::Error;
use component::Component;
use shell::Shell;
use stamp::Stamp;
use workbench::{PRIVATE, Workbench};

/// Builds what the mirror lacks and prints its path.
///
/// # Errors
/// Tools are missing, a source cannot be had or a build fails. What was finished
/// before stays and is not built again.
pub fn run(options: &MirrorOptions) -> Result<(), Error> {
    let started = Instant::now();
    let releases = component::releases(&options.versions)?;
    let components = component::select(Component::all(&releases), &options.components)?;
    let create = |path: &Path| std::fs::create_dir_all(path).map_err(Error::file("create", path));
    create(&options.out.join(PRIVATE).join("logs"))?;
    create(&options.out.join(PRIVATE).join("stamps"))?;
    let mirror = options
        .out
        .canonicalize()
        .map_err(Error::file("find", &options.out))?;
    if options.list {
        return list(&mirror, &components);
    }
    let _lock = lock(&mirror)?;
    let work = mirror.join(PRIVATE).join("work");
    remove_all(&work)?;

    let missing: Vec<_> = components
        .iter()
        .filter(|component| !is_fresh(&mirror, component))
        .collect();
    if !missing.is_empty() {
        tools::check()?;
        eprintln!(
            "mirror: {} of {} components to build",
            missing.len(),
            components.len()
        );
    }
    for component in missing {
        build(&mirror, component)?;
    }
    eprintln!("mirror: complete after {} s", started.elapsed().as_secs());
    println!("{}", mirror.display());
    Ok(())
}

/// Builds one component in a scratch folder and publishes its results.
fn build(mirror: &Path, component: &Component) -> Result<(), Error> {
    let id = component.id();
    let scratch = mirror.join(PRIVATE).join("work").join(&id);
    let log = mirror.join(PRIVATE).join("logs").join(format!("{id}.log"));
    let bench = Workbench {
        shell: Shell::new(&id, log)?,
        stage: scratch.join("stage"),
        scratch,
        mirror,
        architecture: std::env::consts::ARCH.parse()?,
    };
    bench.folder("stage")?;
    component.build(&bench)?;
    let outputs = stamp::publish(&bench.stage, mirror)?;
    remove_all(&bench.scratch)?;
    let stamp = Stamp {
        recipe: component.recipe(),
        seconds: bench.shell.seconds(),
        outputs,
    };
    stamp.write(mirror, &id)?;
    bench.shell.say("done");
    Ok(())
}

fn is_fresh(mirror: &Path, component: &Component) -> bool {
    Stamp::read(mirror, &component.id())
        .is_some_and(|stamp| stamp.recipe == component.recipe() && stamp.is_complete(mirror))
}

fn list(mirror: &Path, components: &[Component]) -> Result<(), Error> {
    for component in components {
        let id = component.id();
        match Stamp::read(mirror, &id).filter(|_| is_fresh(mirror, component)) {
            Some(stamp) => println!("{id:<28} built in {} s", stamp.seconds),
            None => println!("{id:<28} to be built"),
        }
    }
    Ok(())
}

/// Waits until no other run works on this mirror; the lock ends with the returned file.
fn lock(mirror: &Path) -> Result<File, Error> {
    let path = mirror.join(PRIVATE).join("lock");
    let file = File::create(&path).map_err(Error::file("create", &path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => eprintln!("mirror: waiting for another run to end"),
        Err(TryLockError::Error(error)) => return Err(Error::file("lock", &path)(error)),
    }
    file.lock().map_err(Error::file("lock", &path))?;
    Ok(file)
}

fn remove_all(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
