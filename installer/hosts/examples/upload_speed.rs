//! Sends a file over SSH and prints the speed, to be compared with scp's.
//!
//! `upload_speed ADDRESS PORT USER IDENTITY_FILE KNOWN_HOSTS_FILE FILE DESTINATION`

use std::error::Error;
use std::time::Instant;

use slipway_hosts::ssh::{SshConnection, SshTarget};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [
        address,
        port,
        user,
        identity,
        known_hosts,
        file,
        destination,
    ] = arguments.as_slice()
    else {
        return Err("ADDRESS PORT USER IDENTITY_FILE KNOWN_HOSTS_FILE FILE DESTINATION".into());
    };
    let mut target = SshTarget::new(address, address, user);
    target.port = port.parse()?;
    target.identity_files = vec![identity.into()];
    target.known_hosts_files = vec![known_hosts.into()];

    let began = Instant::now();
    let connection = SshConnection::open(&target).await?;
    println!("connected in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);

    let began = Instant::now();
    let mut exec = connection.exec(&format!("cat >{destination}")).await?;
    let mut content = tokio::fs::File::open(file).await?;
    let mut piece = vec![0; 256 << 10];
    let mut sent = 0;
    loop {
        let count = content.read(&mut piece).await?;
        if count == 0 {
            break;
        }
        exec.stdin.write_all(&piece[..count]).await?;
        sent += count;
    }
    exec.stdin.shutdown().await?;
    let status = exec.exit.wait().await?;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{sent} bytes at {:.0} MB/s, {status}",
        sent as f64 / 1e6 / seconds
    );
    Ok(())
}
