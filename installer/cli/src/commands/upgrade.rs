//! `upgrade plan` and `upgrade apply`: the way to a version, shown and gone.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{KubernetesVersion, LeftOut, Outcome, Plan, UpgradeFacts};
use slipway_engine::{Fleet, gather_facts, tidy};
use slipway_planner::{UpgradeOptions, UpgradePath};

use super::agreed_run::AgreedRun;
use super::cluster_look::{ClusterLook, Intent};
use super::execution::{exit_code_of, exit_code_of_plan};
use super::kubeconfig::write_private;
use crate::args::Output;
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::file_version::{check_version, write_version};
use crate::saved_plan::SavedPlan;
use crate::session::{new_run, versions_in_bundle};
use crate::show::{SameAgain, UpgradePage};
use crate::upgrade_args::{UpgradeApplyArgs, UpgradeArgs, UpgradeCommand, UpgradePlanArgs};

/// Runs the command.
pub(super) async fn run(command: UpgradeCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        UpgradeCommand::Plan(UpgradePlanArgs { upgrade, out }) => plan(upgrade, out, output).await,
        UpgradeCommand::Apply(args) => apply(args, output).await,
    }
}

async fn plan(
    args: UpgradeArgs,
    out: Option<PathBuf>,
    output: Output,
) -> Result<ExitCode, CliError> {
    let journey = Journey::find(&args, None).await?;
    let mut page = UpgradePage {
        cluster: &journey.cluster.spec.name,
        from: &journey.path.from,
        target: &journey.target,
        hops: Vec::new(),
        meets: None,
    };
    for hop in &journey.path.hops {
        let cluster = journey.cluster_at(hop);
        let mut look = look_at(Intent::UpgradePlan, &cluster, &journey, hop, &args, output);
        let mut fleet = look.connect(&args.cluster).await?;
        let survey = look.take(&mut fleet).await;
        if page.meets.is_none() {
            page.meets = meets(&fleet, &cluster).await;
        }
        fleet.close().await;
        page.hops.push((hop.clone(), survey?, look.findings));
    }
    page.show(output);
    if let Some(out) = out {
        let hops = page
            .hops
            .iter()
            .map(|(hop, survey, _)| (hop.clone(), survey.plan.clone()));
        let saved = SavedPlan::new(page.cluster, page.target, hops.collect());
        write_private(&out, &saved.to_json())?;
        noteln!(
            "wrote {}; `slipway upgrade apply --plan {}` runs it",
            out.display(),
            out.display()
        );
    }
    let codes = page
        .hops
        .iter()
        .map(|(_, survey, _)| exit_code_of_plan(&survey.plan));
    let first = codes.into_iter().find(|code| *code != ExitCode::Done);
    Ok(first.unwrap_or(ExitCode::Done))
}

/// Returns what an upgrade meets in the cluster; none where no API server answers.
async fn meets(fleet: &Fleet, cluster: &Cluster) -> Option<UpgradeFacts> {
    for host in cluster.control_planes() {
        let Some(host) = fleet.host(&host.name) else {
            continue;
        };
        let reply = host.request(Request::GatherUpgradeFacts, &|_| {}).await;
        if let Ok(Reply::UpgradeFacts(facts)) = reply {
            return Some(*facts);
        }
    }
    None
}

async fn apply(args: UpgradeApplyArgs, output: Output) -> Result<ExitCode, CliError> {
    let saved = args.plan.as_deref();
    let journey = Journey::find(&args.upgrade, saved).await?;
    let mut is_agreed = args.yes || saved.is_some();
    for hop in &journey.path.hops {
        let cluster = journey.cluster_at(hop);
        let intent = match args.dry_run {
            true => Intent::UpgradePlan,
            false => Intent::Upgrade,
        };
        let mut look = look_at(intent, &cluster, &journey, hop, &args.upgrade, output);
        let mut fleet = look.connect(&args.upgrade.cluster).await?;
        journey.tell(hop, output);
        let hop_args = Hop {
            args: &args,
            journey: &journey,
            is_last: Some(hop) == journey.path.hops.last(),
            is_agreed,
            output,
        };
        let result = hop_args.run(&mut fleet, look).await;
        fleet.close().await;
        match result? {
            ControlFlow::Break(code) => return Ok(code),
            // The first yes was to the whole way.
            ControlFlow::Continue(()) => is_agreed = true,
        }
    }
    Ok(ExitCode::Done)
}

/// Where a cluster goes, and through which versions.
struct Journey {
    cluster: Cluster,
    target: KubernetesVersion,
    path: UpgradePath,
    /// The plan that nothing may go beyond.
    saved: Option<SavedPlan>,
}

impl Journey {
    /// Reads the file and asks the hosts what runs.
    async fn find(args: &UpgradeArgs, plan: Option<&Path>) -> Result<Self, CliError> {
        let mut cluster = Cluster::load(&args.cluster).await?;
        let name = cluster.spec.name.clone();
        let saved = plan.map(|path| SavedPlan::read(path, &name, Timestamp::now()));
        let saved = saved.transpose()?;
        let named = args.target.as_ref().or(args.to.as_ref());
        let named = named.or(saved.as_ref().map(|saved| &saved.target));
        if let Some(version) = named {
            if let Some(file) = &args.cluster.config {
                check_version(file, version)?;
            }
            cluster.spec.kubernetes_version = version.clone();
        }
        let ignored = args.ignore_preflight_errors.iter().cloned();
        cluster.spec.ignore_preflight_errors.extend(ignored);
        let spec = &cluster.spec;
        let known = versions_in_bundle(spec, &args.source)?;
        let mut fleet = cluster
            .connect(cluster.control_planes(), &args.cluster)
            .await?;
        let facts = gather_facts(&mut fleet, spec).await;
        fleet.close().await;
        if cluster
            .control_planes()
            .iter()
            .all(|host| facts.host(&host.name).is_none())
        {
            return Err(slipway_engine::EngineError::Unreachable(fleet.unreachable()).into());
        }
        let path = UpgradePath::of(spec, &facts, known.as_deref().unwrap_or_default());
        let path = path.map_err(|error| {
            let help = match error {
                slipway_planner::WrongTarget::Older { .. } => "name that version or a newer one",
                slipway_planner::WrongTarget::Unknown => {
                    "`slipway status` shows what is there; `slipway init` makes a cluster"
                }
            };
            CliError::bad_input(error.to_string(), help)
        })?;
        if let Some(known) = known
            && let Some(missing) = path.hops.iter().find(|hop| !known.contains(hop))
        {
            return Err(not_in_bundle(missing, &path.hops, &known));
        }
        Ok(Self {
            target: cluster.spec.kubernetes_version.clone(),
            cluster,
            path,
            saved,
        })
    }

    /// Returns the cluster as it should be after a hop.
    fn cluster_at(&self, version: &KubernetesVersion) -> Cluster {
        let mut spec = self.cluster.spec.clone();
        spec.kubernetes_version = version.clone();
        Cluster {
            spec,
            here: self.cluster.here.clone(),
        }
    }

    /// Says where a hop leads, and where all lead.
    fn tell(&self, hop: &KubernetesVersion, output: Output) {
        if output == Output::Json {
            return;
        }
        let hops: Vec<String> = self.path.hops.iter().map(ToString::to_string).collect();
        let from = &self.path.from;
        match (self.path.is_same_version(), hops.len()) {
            (true, _) => noteln!("{} stays at {hop}.", self.cluster.spec.name),
            (false, 1) => noteln!("{}: {from} -> {hop}", self.cluster.spec.name),
            (false, _) => {
                let whole = hops.join(" -> ");
                let who = match *hop == self.target {
                    true => "the control plane and then the workers",
                    false => "the control plane alone; workers go once, at last",
                };
                noteln!(
                    "{}: {from} -> {whole}; now to {hop}: {who}",
                    self.cluster.spec.name
                );
            }
        }
    }
}

fn not_in_bundle(
    missing: &KubernetesVersion,
    hops: &[KubernetesVersion],
    known: &[KubernetesVersion],
) -> CliError {
    let list = |versions: &[KubernetesVersion]| {
        let names: Vec<String> = versions.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    let flags: Vec<String> = hops
        .iter()
        .map(|it| format!("--kubernetes-version {it}"))
        .collect();
    CliError::bad_input(
        format!(
            "the way leads over {missing}, and the bundle has {}",
            list(known)
        ),
        format!(
            "make one that has all of it: `slipway bundle create {}`",
            flags.join(" ")
        ),
    )
}

fn look_at<'a>(
    intent: Intent,
    cluster: &'a Cluster,
    journey: &Journey,
    hop: &KubernetesVersion,
    args: &'a UpgradeArgs,
    output: Output,
) -> ClusterLook<'a> {
    let mut look = ClusterLook::new(intent, cluster, &args.source, &[], output);
    let here = cluster.here.as_ref().filter(|here| here.keeps_file);
    look.upgrade = UpgradeOptions {
        workers: *hop == journey.target,
        max_unavailable: usize::from(args.max_unavailable),
        // Once is enough: the last version's are the ones to keep.
        renews_certificates: args.certificate_renewal && *hop == journey.target,
        drain_timeout_seconds: args.drain_timeout,
        delete_empty_dir_data: args.delete_emptydir_data,
        kept_file_on: here.map(|here| here.name.clone()),
    };
    look
}

/// One version on the way.
struct Hop<'a> {
    args: &'a UpgradeApplyArgs,
    journey: &'a Journey,
    is_last: bool,
    is_agreed: bool,
    output: Output,
}

impl Hop<'_> {
    /// Goes there; says how the command ends where it does not go on.
    async fn run(
        &self,
        fleet: &mut Fleet,
        mut look: ClusterLook<'_>,
    ) -> Result<ControlFlow<ExitCode>, CliError> {
        let cluster = look.cluster;
        let file = self.args.upgrade.cluster.config.as_deref();
        let command = AgreedRun {
            command: look.intent.name(),
            cluster: &cluster.spec.name,
            first: &cluster.control_plane().name,
            run: new_run(),
            again: SameAgain::new(look.intent.again(), file),
            dry_run: self.args.dry_run,
            yes: self.is_agreed,
            output: self.output,
        };
        let question = |plan: &Plan| self.question(plan);
        let taken = async |fleet: &mut Fleet| look.take(fleet).await;
        let survey = match command.agree(fleet, taken, question).await? {
            ControlFlow::Continue(survey) => survey,
            ControlFlow::Break(ExitCode::Done) => {
                self.write_file()?;
                return Ok(ControlFlow::Continue(()));
            }
            // A dry run looks at the whole way.
            ControlFlow::Break(ExitCode::Pending) if self.args.dry_run && !self.is_last => {
                return Ok(ControlFlow::Continue(()));
            }
            ControlFlow::Break(code) => return Ok(ControlFlow::Break(code)),
        };
        if let Some(saved) = &self.journey.saved {
            saved.check(&cluster.spec.kubernetes_version, &survey.plan)?;
        }
        self.write_file()?;
        let state = command.run(fleet, &survey.plan, &*look.blobs()?).await?;
        if state.outcome != Some(Outcome::Succeeded) {
            return Ok(ControlFlow::Break(exit_code_of(&state)));
        }
        if self.is_last {
            for LeftOut { failure, .. } in
                tidy(fleet, &survey, &cluster.spec.kubernetes_version).await
            {
                noteln!("warning: old blobs stay: {failure}");
            }
            return Ok(ControlFlow::Break(exit_code_of(&state)));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Lets the file name the target: from here on it is what the cluster is to be.
    fn write_file(&self) -> Result<(), CliError> {
        let Some(file) = &self.args.upgrade.cluster.config else {
            return Ok(());
        };
        if self.args.dry_run {
            return Ok(());
        }
        let target = &self.journey.target;
        if write_version(file, target)? && self.output == Output::Text {
            noteln!("{} names {target} now.", file.display());
        }
        Ok(())
    }

    fn question(&self, plan: &Plan) -> String {
        let hosts: Vec<String> = plan
            .ways_back
            .iter()
            .map(|it| it.host.to_string())
            .collect();
        let later = match self.is_last {
            true => String::new(),
            false => format!(", then go on to {}", self.journey.target),
        };
        match hosts.is_empty() {
            true => format!("Run these {} steps{later}?", plan.steps.len()),
            false => format!(
                "Run these {} steps, which change {} one after the other{later}?",
                plan.steps.len(),
                hosts.join(", ")
            ),
        }
    }
}
