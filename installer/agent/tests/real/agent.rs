//! An agent that is spoken to as a workstation does.

use std::path::Path;

use slipway_api::protocol::{
    AgentMessage, Attachment, Channel, FromAgent, Reply, Request, ToAgent,
};
use slipway_api::{Check, HostName, Phase, RunId, Step, StepId};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};

/// An agent of the host whose file tree is at a folder.
pub struct Agent {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
    host: HostName,
}

impl Agent {
    /// Starts an agent in this process.
    pub async fn start(root: &Path) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(slipway_agent::serve(reader, writer, root.to_owned()));
        let (reader, mut writer) = tokio::io::split(ours);
        let mut lines = BufReader::new(reader).lines();
        lines
            .next_line()
            .await
            .unwrap()
            .expect("the agent says hello");
        send(&mut writer, &Channel::Control).await;
        let host = "w-1".parse().unwrap();
        Self {
            lines,
            writer,
            host,
        }
    }

    /// Asks whether a step has anything to do, and why.
    pub async fn check(&mut self, step: &Step) -> Check {
        let id = StepId::of(&self.host, Phase::CleanupNode, step);
        let steps = vec![(id.clone(), step.clone())];
        let Reply::Checks { mut checks } = self.ask(Request::CheckSteps { steps }).await else {
            panic!("checks were asked for");
        };
        checks.remove(&id).expect("the check was asked for")
    }

    /// Runs a step and returns whether it changed anything.
    pub async fn run(&mut self, step: &Step) -> bool {
        let request = Request::RunStep {
            run: RunId::parse("real").unwrap(),
            id: StepId::of(&self.host, Phase::CleanupNode, step),
            step: Box::new(step.clone()),
            attachment: Attachment::default(),
        };
        let Reply::Done { changed } = self.ask(request).await else {
            panic!("a step was run");
        };
        changed
    }

    /// Asks anything.
    pub async fn ask(&mut self, request: Request) -> Reply {
        send(&mut self.writer, &ToAgent { id: 1, request }).await;
        loop {
            let line = self
                .lines
                .next_line()
                .await
                .unwrap()
                .expect("the agent answers");
            let answer: FromAgent = serde_json::from_str(&line).unwrap();
            match answer.message {
                AgentMessage::Event(event) => println!("{event:?}"),
                AgentMessage::Reply(reply) => return *reply,
                AgentMessage::Failed(failure) => panic!("{failure}; help: {:?}", failure.help),
            }
        }
    }
}

async fn send(writer: &mut WriteHalf<DuplexStream>, value: &impl serde::Serialize) {
    let mut line = serde_json::to_vec(value).unwrap();
    line.push(b'\n');
    writer.write_all(&line).await.unwrap();
}
