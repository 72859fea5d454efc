//! A cloud on a port of its own whose machines are imaginary: every effect is answered at once.
use std::sync::Arc;

use mayfly_sandbox::api::{Cloud, Console, serve};
use mayfly_sandbox::world::{CallRecord, Config, Effect, Observation, ProbeOutcome};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) struct Bench {
    pub(crate) endpoint: String,
    cloud: Arc<Cloud>,
    /// Dropped with the bench, and everything that runs on it.
    _runtime: Runtime,
}

struct OneLine;

impl Console for OneLine {
    fn output(&self, _instance_id: &str) -> Option<Vec<u8>> {
        Some(b"console of the machine & more".to_vec())
    }
}

impl Bench {
    pub(crate) fn start(config: Config) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (cloud, effects) = Cloud::new(config, 42, Arc::new(OneLine));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(serve(listener, cloud.router()));
        runtime.spawn(Arc::clone(&cloud).keep_time());
        runtime.spawn(carry_out(Arc::clone(&cloud), effects));
        Self { endpoint, cloud, _runtime: runtime }
    }

    /// The call log.
    pub(crate) fn calls(&self) -> Vec<CallRecord> {
        self.cloud.read(|world| world.calls_after(0).cloned().collect())
    }

    /// Every parameter of every call that went well was understood, but for disks, of which the sandbox has one size.
    pub(crate) fn assert_nothing_ignored(&self) {
        let ignored: Vec<String> = self.cloud.read(|world| {
            let named = |call: &CallRecord| {
                call.ignored.iter().map(|name| format!("{} {name}", call.action)).collect()
            };
            let calls = world.calls_after(0).filter(|call| call.outcome == "ok");
            calls
                .flat_map(|call| -> Vec<String> { named(call) })
                .filter(|name| !name.contains("BlockDevice"))
                .collect()
        });
        assert!(ignored.is_empty(), "{ignored:#?}");
    }
}

async fn carry_out(cloud: Arc<Cloud>, mut effects: UnboundedReceiver<Effect>) {
    while let Some(effect) = effects.recv().await {
        for observation in answers(effect) {
            cloud.observe(&observation);
        }
    }
}

/// Machines do what they are asked and pass every health check.
fn answers(effect: Effect) -> Vec<Observation> {
    match effect {
        Effect::StartMachine(spec) => vec![Observation::MachineStarted { id: spec.id }],
        Effect::StopMachine { id, .. } => vec![Observation::MachineStopped { id }],
        Effect::DestroyMachine { id } => vec![Observation::MachineGone { id }],
        Effect::CopyImage { image_id, .. } | Effect::CloneImage { image_id, .. } => {
            vec![Observation::ImageCopied { image_id }]
        }
        Effect::BalancerChanged(plan) => {
            let probed = plan.probed().map(|(pool, backend)| Observation::Probed {
                pool: pool.to_owned(),
                backend: backend.id.clone(),
                outcome: ProbeOutcome::Passed,
            });
            probed.collect()
        }
        _ => Vec::new(),
    }
}
