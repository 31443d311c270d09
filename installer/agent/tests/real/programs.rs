//! The programs that the tests start.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// Returns the path of a program in the folder that `SLIPWAY_TEST_BIN` names.
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("SLIPWAY_TEST_BIN")
        .expect("SLIPWAY_TEST_BIN must name a folder with etcd, kube-apiserver, containerd, …");
    let path = PathBuf::from(folder).join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// Starts a program that ends with the test; its output goes to `log`.
pub fn start(name: &str, arguments: &[String], log: PathBuf) -> Child {
    let log = std::fs::File::create(log).expect("the log's folder exists");
    let same_log = log.try_clone().expect("an open file can be opened again");
    Command::new(program(name))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(same_log)
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{name} does not start: {error}"))
}

/// Returns a TCP port on loopback that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("it is bound").port()
}
