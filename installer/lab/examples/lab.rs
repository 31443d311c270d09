//! Labs from the command line: `lab up NAME [CONTROL_PLANES WORKERS [VERSION]]`, `down NAME`, `list`, `ssh NAME HOST`, `escaped NAME`.

use std::error::Error;

use slipway_lab::{Lab, LabSpec};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["up", name, ref rest @ ..] => {
            let spec = LabSpec {
                name: name.to_owned(),
                control_planes: rest.first().map_or(Ok(1), |n| n.parse())?,
                workers: rest.get(1).map_or(Ok(2), |n| n.parse())?,
                kubernetes_version: rest.get(2).unwrap_or(&"v1.36.3").to_string(),
            };
            let lab = Lab::up(&spec, &mut |event| eprintln!("{event}")).await?;
            println!("{}", lab.cluster_file().display());
        }
        ["down", name] => println!("{:?}", Lab::down(name).await?),
        ["list"] => {
            for lab in Lab::list().await? {
                println!("{lab:?}");
            }
        }
        ["ssh", name, host] => println!("{}", Lab::ssh_command(name, host)?.join(" ")),
        ["escaped", name] => println!("{}", Lab::escaped_packets(name).await?),
        ["kill", name, host] => Lab::open(name)?.host(host)?.kill().await?,
        ["start", name, host] => println!("{}", Lab::open(name)?.host(host)?.start().await?),
        _ => return Err("usage: lab up|down|list|ssh|escaped|kill|start".into()),
    }
    Ok(())
}
