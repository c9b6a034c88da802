//! Trying autoscaling policies out on traffic of the past.

use std::{path::PathBuf, time::Duration};

use anyhow::ensure;
use control_plane::{
    PolicyKind,
    replay::{Plan, Replayed, Seconds, ServiceTime, Settings, Trace},
};

use crate::{
    output::{OutputArgs, Shown},
    replay::{Report, plot, read_trace, run_times_beside},
};

/// Try autoscaling policies out
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Autoscale {
    #[command(subcommand)]
    command: AutoscaleCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AutoscaleCommand {
    Replay(Box<Replay>),
}

/// Replay a trace of traffic against autoscaling policies, in virtual time, and print what each would have cost
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan autoscale replay day.csv                               All policies, side by side
  sampan autoscale replay day.csv --seconds bursty --plot day.svg
  sampan autoscale replay calls-inv.csv --durations calls-run.csv --functions 20 --concurrency 1
  sampan autoscale replay day.csv --policy sqrt-staffing,kpa --service-time 20ms --start 500ms

A trace is a CSV file: calls of functions in each minute (Azure Functions 2019), single calls with their \
durations (Azure Functions 2021), or requests to one service in each minute (`period,count`, as of the 1998 \
World Cup's site). Functions are replayed each by itself and added up. SHORT-S are the instance-seconds of those \
that run for 1 s or less. COLD requests found no replica that was ready. P50, P99 and MAX are how long requests \
waited for a replica; one that was refused counts as the longest wait that is allowed. P99-WORSE: in how many \
functions the P99 is longer than with kpa, and \
(by more than one start).")]
pub(crate) struct Replay {
    /// The trace
    #[arg(value_name = "TRACE")]
    trace: PathBuf,

    /// Which policies: `sqrt-staffing`, `kpa`, `hpa`; all by default
    #[arg(long, env = "SAMPAN_POLICY", value_name = "POLICY", value_delimiter = ',')]
    policy: Vec<PolicyKind>,

    /// How the requests of a minute are spread over it: `poisson` (each for itself) or `bursty` (in bursts of a second)
    #[arg(long, env = "SAMPAN_SECONDS", default_value = "poisson", value_name = "HOW")]
    seconds: Seconds,

    /// From which all chance is drawn: the same seed gives the same figures
    #[arg(long, env = "SAMPAN_SEED", default_value_t = 1, value_name = "N")]
    seed: u64,

    /// How long a replica takes to start, with every policy
    #[arg(long, env = "SAMPAN_START", default_value = "1ms", value_name = "SPAN", value_parser = api::parse_span)]
    start: Duration,

    /// How long functions run, in a file; without it, in the one beside TRACE called `...-run.csv` where that is `...-inv.csv`
    #[arg(long, env = "SAMPAN_DURATIONS", value_name = "FILE")]
    durations: Option<PathBuf>,

    /// How long a request is worked on where no file says it: the mean of an exponential distribution
    #[arg(long, env = "SAMPAN_SERVICE_TIME", default_value = "100ms", value_name = "SPAN", value_parser = api::parse_span)]
    service_time: Duration,

    /// Requests that a replica works on at the same time
    #[arg(long, env = "SAMPAN_CONCURRENCY", default_value_t = 100, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: u32,

    /// The most replicas of one function
    #[arg(long, env = "SAMPAN_MAX", default_value_t = 1000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max: u32,

    /// After how long without a request there are no replicas; by default, as each policy does
    #[arg(long, env = "SAMPAN_IDLE_AFTER", value_name = "SPAN", value_parser = api::parse_span)]
    idle_after: Option<Duration>,

    /// Only functions whose names begin so; may be given several times
    #[arg(long, env = "SAMPAN_FUNCTION", value_name = "NAME")]
    function: Vec<String>,

    /// Only so many functions: those that are called most
    #[arg(long, env = "SAMPAN_FUNCTIONS", value_name = "N")]
    functions: Option<usize>,

    /// Draw load, replicas and waiting over time into this file
    #[arg(long, env = "SAMPAN_PLOT", value_name = "FILE.svg")]
    plot: Option<PathBuf>,

    #[command(flatten)]
    output: OutputArgs,
}

impl Autoscale {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let AutoscaleCommand::Replay(replay) = self.command;
        replay.run()
    }
}

impl Replay {
    fn run(self) -> anyhow::Result<()> {
        let trace = self.read()?;
        let plan = Plan {
            seconds: self.seconds,
            seed: self.seed,
            service: ServiceTime::exponential(self.service_time),
            settings: Settings {
                start: self.start,
                concurrency: self.concurrency,
                max: self.max,
                idle_after: self.idle_after,
                ..Settings::default()
            },
        };
        let replayed = replay_all(&plan, &trace, &self.policies());
        let report = Report { replayed: &replayed, start: self.start };
        let setting = self.setting(&trace);
        let whole = report.json();
        let lines = || std::iter::once(setting.clone()).chain(report.table()).collect();
        self.output.show_lines(&Shown { what: "a replay", whole: &whole, names: None }, lines)?;
        if let Some(path) = &self.plot {
            let title = self.trace.file_name().unwrap_or_default().to_string_lossy().into_owned();
            plot(path, &title, &setting, &replayed)?;
        }
        Ok(())
    }

    fn read(&self) -> anyhow::Result<Trace> {
        let beside = run_times_beside(&self.trace);
        let mut trace = read_trace(&self.trace, self.durations.as_deref().or(beside.as_deref()))?;
        if !self.function.is_empty() {
            trace.functions.retain(|function| self.function.iter().any(|start| function.name.starts_with(start)));
            ensure!(!trace.functions.is_empty(), "no function of {} is called so", self.trace.display());
        }
        if let Some(most) = self.functions {
            trace.functions.sort_by_key(|function| std::cmp::Reverse(function.count()));
            trace.functions.truncate(most);
        }
        Ok(trace)
    }

    /// Each once.
    fn policies(&self) -> Vec<PolicyKind> {
        let is_asked = |policy: &PolicyKind| self.policy.is_empty() || self.policy.contains(policy);
        PolicyKind::ALL.into_iter().filter(is_asked).collect()
    }

    /// What the figures are of.
    fn setting(&self, trace: &Trace) -> String {
        let Self { seconds, seed, concurrency, .. } = self;
        let of = api::format_span;
        let whole = Duration::from_secs(trace.span.as_secs_f64().round() as u64);
        let (span, start) = (of(whole), of(self.start));
        let idle = self.idle_after.map(|idle| format!(", none after {}", of(idle))).unwrap_or_default();
        format!("{span} of {seconds} seconds, seed {seed}; start {start}, {concurrency} requests at a time{idle}")
    }
}

/// Each policy on a thread of its own: none knows of another.
fn replay_all(plan: &Plan, trace: &Trace, policies: &[PolicyKind]) -> Vec<Replayed> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = policies.iter().map(|policy| scope.spawn(|| plan.replay(trace, *policy))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|replayed| replayed.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}
