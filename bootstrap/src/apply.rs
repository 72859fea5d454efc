//! `mayfly-boot apply`: one converge of a local tree, for people and for CI.

use crate::cli::{ApplyArgs, ApplyOutput, SupervisorArg};
use crate::converge::Converge;
use crate::exit::Exit;
use crate::http::Cancel;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::services::SupervisedServices;
use crate::web::{Environment, Web};
use crate::{local, say, supervise, userdata};
use mayfly_states::engine::Options;
use mayfly_states::fsys::lock::{ConvergeLock, LockError};
use mayfly_states::host::{Machine, NoServices, Services};
use mayfly_states::kept::Keeper;
use mayfly_states::report::Report;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;

/// Applies, prints, and says how it went by the exit code.
///
/// # Errors
/// Wrong arguments, a held lock, output that cannot be written; a failed state is no error but [`Exit::StateFailed`].
pub(crate) fn apply(args: &ApplyArgs) -> anyhow::Result<Exit> {
    let tree = local::tree(&args.tree)?;
    let minion = local::minion(&args.tree)?;
    let services = services(args.supervisor, &args.tree.root);
    let interrupt = Interrupt::listen()?;
    let web = Web::new(&args.imds, Environment::read(), Cancel::default());
    let machine = Machine::new(services)
        .with_root(&args.tree.root)
        .with_network(Arc::new(web))
        .with_cancel(interrupt.flag());
    let converge = Converge::new(tree, minion, Arc::new(machine));
    let low = match converge.compile(&args.sls, &keeper(args)) {
        // The program ends with this: the kernel takes the memory back faster than piece by piece.
        Ok(low) => ManuallyDrop::new(low),
        Err(errors) => {
            say::warn(&errors);
            return Ok(Exit::Compile);
        }
    };
    low.warnings.iter().for_each(|warning| say::warn(format_args!("warning: {warning}")));
    // An instance would refuse such a tree.
    if let Err(error) = userdata::rules_of(&low) {
        say::warn(&error);
        return Ok(Exit::Compile);
    }
    let _lock = match lock(&args.tree.root, args.test) {
        Ok(lock) => lock,
        Err(error @ LockError::Held { .. }) => {
            say::warn(&error);
            return Ok(Exit::Locked);
        }
        Err(error) => return Err(error.into()),
    };
    let options = Options { test: args.test, failhard: args.failhard };
    let mut progress = Progress::new();
    let report = ManuallyDrop::new(converge.apply(&low, options, &mut progress));
    drop(progress);
    if let Err(error) = print(&report, args.output) {
        say::warn(format_args!("mayfly-boot: the report cannot be written: {error}\n{}", report.totals()));
        return Ok(if report.ok() { Exit::Output } else { Exit::StateFailed });
    }
    Ok(interrupt.exit().filter(|_| report.stopped.is_some()).unwrap_or_else(|| exit(&report, args)))
}

/// A dry run writes nothing.
fn keeper(args: &ApplyArgs) -> Keeper {
    let keeper = crate::converge::keeper(&args.tree.root, "apply");
    if args.test { keeper.only_reading() } else { keeper }
}

fn exit(report: &Report, args: &ApplyArgs) -> Exit {
    match (report.ok(), report.changed() > 0) {
        (false, _) => Exit::StateFailed,
        (true, true) if args.test && args.detailed_exitcode => Exit::Pending,
        (true, _) => Exit::Ok,
    }
}

/// A dry run reads only, and needs no lock.
fn lock(root: &Path, test: bool) -> Result<Option<ConvergeLock>, LockError> {
    if test {
        return Ok(None);
    }
    let dir = root.join("run/mayfly");
    let io = |source| LockError::Io { path: dir.clone(), source };
    mayfly_states::fsys::make_dirs(&dir, crate::converge::own(0o755))
        .map_err(|e| io(std::io::Error::other(e)))?;
    ConvergeLock::acquire(&dir.join("converge.lock")).map(Some)
}

/// The built-in supervisor's services live inside `run`; one that ends at once cannot keep any.
fn services(choice: SupervisorArg, root: &Path) -> Arc<dyn Services> {
    let chosen = match choice {
        SupervisorArg::Auto => supervise::outside(root),
        SupervisorArg::Supervisord => Some(supervise::choose(userdata::Supervisor::Supervisord, root)),
        SupervisorArg::Systemd => Some(supervise::choose(userdata::Supervisor::Systemd, root)),
        SupervisorArg::Sysv => Some(supervise::choose(userdata::Supervisor::Sysv, root)),
    };
    match chosen {
        Some(supervisor) => Arc::new(SupervisedServices::new(supervisor)),
        None => Arc::new(NoServices),
    }
}

fn print(report: &Report, output: ApplyOutput) -> std::io::Result<()> {
    match output {
        ApplyOutput::Text => say::result(|out| write!(out, "{}", report.to_text())),
        ApplyOutput::Json => {
            // Salt's schema has no place for it.
            report.unfinished().lines().for_each(say::warn);
            say::result(|out| {
                serde_json::to_writer_pretty(&mut *out, &report.salt_returns())?;
                writeln!(out)
            })
        }
    }
}
