//! Snapshots of etcd on a schedule: units on the control-plane hosts, and their end.

use slipway_api::step::{
    EnsureDirectory, EnsureUnit, ForgetUnits, InstallSlipway, RemoveFiles, StopUnit, WriteFile,
};
use slipway_api::{Etcd, Phase, Step, StepId, paths};
use slipway_templates::{EtcdSnapshotService, EtcdSnapshotTimer, TemplateError};

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::plan_cluster::HostInput;

/// Takes one snapshot.
const SERVICE: &str = "slipway-etcd-snapshot.service";
/// Starts it on its schedule.
const TIMER: &str = "slipway-etcd-snapshot.timer";
/// Where units stand that are started with the timers, as systemd links them.
const WANTED: &str = "timers.target.wants";

/// Adds the timer that takes snapshots, once etcd runs; or takes it away where the
/// file asks for none any more. What was taken stays.
pub(crate) fn add_etcd_snapshots(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    needs: &[StepId],
) -> Result<(), PlanError> {
    let host = &input.host.name;
    let wanted = match &input.spec.cluster_configuration.etcd {
        Etcd::Local(_) => input.spec.etcd_snapshots.as_ref(),
        Etcd::External(_) => None,
    };
    let Some(snapshots) = wanted else {
        if input.facts.existing.snapshot_timer {
            builder.add_in_turn(host, Phase::Etcd, removal(), needs);
        }
        return Ok(());
    };
    let mut add = |step| builder.add(host, Phase::Etcd, step, needs);
    let program = format!("{}/slipway", paths::BIN_DIR);
    let mut before = vec![
        add(Step::EnsureDirectory(EnsureDirectory {
            path: snapshots.dir.clone(),
            mode: 0o700,
        })),
        add(Step::InstallSlipway(InstallSlipway {
            path: program.clone(),
        })),
    ];
    let service = EtcdSnapshotService {
        slipway_path: program,
        cluster: input.spec.name.clone(),
        dir: snapshots.dir.clone(),
        keep: snapshots.keep,
    };
    let timer = EtcdSnapshotTimer {
        schedule: snapshots.schedule.to_string(),
    };
    let units = [(SERVICE, service.render()), (TIMER, timer.render())];
    for (name, text) in units {
        let text = text.map_err(failed(name))?;
        let file = WriteFile::new(format!("{}/{name}", paths::UNIT_DIR), 0o644, text);
        before.push(add(Step::WriteFile(file)));
    }
    // A service that has changed needs a reload of systemd's, which comes with the restart.
    let unit = Step::EnsureUnit(EnsureUnit {
        unit: TIMER.to_owned(),
        files: [SERVICE, TIMER]
            .map(|name| format!("{}/{name}", paths::UNIT_DIR))
            .to_vec(),
    });
    builder.add_rerun(host, Phase::Etcd, unit, &[], &before);
    Ok(())
}

fn failed(what: &'static str) -> impl FnOnce(TemplateError) -> PlanError {
    move |source| PlanError::Render { what, source }
}

/// Returns what takes the timer, its service and their program away, each after the
/// other. The timer's file goes last: it says that there is something to take away.
pub(crate) fn removal() -> Vec<Step> {
    let stop = |unit: &str| {
        Step::StopUnit(StopUnit {
            unit: unit.to_owned(),
        })
    };
    let files = |folder: &str, names: &[String]| {
        Step::RemoveFiles(RemoveFiles {
            folder: folder.to_owned(),
            names: names.to_vec(),
        })
    };
    vec![
        stop(TIMER),
        stop(SERVICE),
        files(paths::TIMER_STAMP_DIR, &[format!("stamp-{TIMER}")]),
        files(paths::BIN_DIR, &["slipway".to_owned()]),
        files(
            paths::UNIT_DIR,
            &[
                SERVICE.to_owned(),
                format!("{WANTED}/{TIMER}"),
                TIMER.to_owned(),
            ],
        ),
        Step::ForgetUnits(ForgetUnits {
            units: [TIMER, SERVICE].map(str::to_owned).to_vec(),
        }),
    ]
}

/// Returns what is remembered before: what is at the paths that are written.
pub(crate) fn remembered() -> Vec<String> {
    vec![
        format!("{}/slipway", paths::BIN_DIR),
        format!("{}/{SERVICE}", paths::UNIT_DIR),
        format!("{}/{TIMER}", paths::UNIT_DIR),
        format!("{}/{WANTED}/{TIMER}", paths::UNIT_DIR),
    ]
}
