//! `barge simulate`: what a workload would do on AWS, or on this machine, how long it would take and what it would cost.
//!
//! Files are read and written here; the plan itself is made in `barge_batch::planner`. Templates are read by the template
//! reader that stacks are made with.

use super::past_jobs;
use super::server::{self, ServerArgument};
use anyhow::Context as _;
use barge_batch::core::{EnvironmentKind, Machine};
use barge_batch::planner::{self, Assumptions, Declared, Problem, Report, Scenario, Setup, Workload};
use barge_cloudformation::template::{Budget, Environment, EvalError, Expression, Pseudo, Template, bind};
use barge_core::resource::Resource;
use barge_core::{AccountId, Document, Region};
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

/// Arguments of `barge simulate`.
#[derive(clap::Args)]
pub(crate) struct Simulate {
    #[command(flatten)]
    environments: Environments,
    /// Value of a template's parameter, where it is not the default
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "environments")]
    parameter: Vec<Pair>,
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    server: ServerArgument,
    /// Plan the environments as given on a machine of this size, in vCPUs and MiB, instead of on AWS
    #[arg(long, value_name = "VCPUS:MEMORY", value_parser = machine)]
    machine: Option<Machine>,
    /// Types to compare with: the same jobs, all environments of that type
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',', default_value = "FARGATE,FARGATE_SPOT,EC2,SPOT")]
    compare: Vec<Kind>,
    /// Plan the environments as given, and nothing else
    #[arg(long, conflicts_with = "compare")]
    alone: bool,
    /// All chance follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Spot interruptions an hour, of each task on FARGATE_SPOT and of each instance of SPOT
    #[arg(long, value_name = "RATE", default_value_t = 0.05, value_parser = rate)]
    interruptions: f64,
    /// Seconds until a container starts on Fargate
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    fargate_start: Duration,
    /// Seconds until a container starts on an instance that serves
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    ec2_start: Duration,
    /// Seconds until a new instance serves
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    instance_boot: Duration,
    /// Seconds that an idle instance is kept
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    instance_idle: Duration,
    /// Print JSON: the same figures as the table, and what was seen over time
    #[arg(long)]
    json: bool,
    /// Draw queue depth and utilisation of the environments as given into an SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct Environments {
    /// A CloudFormation template with compute environments, job queues and job definitions; with --history, the server's own
    /// compute environments and queues without
    #[arg(long, value_name = "FILE", required_unless_present_any = ["environments", "history"])]
    template: Option<PathBuf>,
    /// Environments, queues and definitions as JSON
    #[arg(long, value_name = "FILE")]
    environments: Option<PathBuf>,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Jobs {
    /// The jobs: CSV with a header, or a JSON object a line
    #[arg(long, value_name = "FILE")]
    jobs: Option<PathBuf>,
    /// The jobs that the running server has had, as far apart and running as long as they did
    #[arg(long)]
    history: bool,
}

/// NAME=value.
#[derive(Clone)]
struct Pair(String, String);

impl FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
        Ok(Self(name.to_owned(), value.to_owned()))
    }
}

/// A compute environment's type.
#[derive(Clone, Copy)]
struct Kind(EnvironmentKind);

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match text.to_ascii_uppercase().as_str() {
            "FARGATE" => EnvironmentKind::Fargate,
            "FARGATE_SPOT" => EnvironmentKind::FargateSpot,
            "EC2" => EnvironmentKind::Ec2,
            "SPOT" => EnvironmentKind::Spot,
            _ => return Err("FARGATE, FARGATE_SPOT, EC2 or SPOT is expected"),
        }))
    }
}

fn machine(text: &str) -> Result<Machine, String> {
    let expected = || "VCPUS:MEMORY is expected, vCPUs and MiB, e.g. 8:16384".to_owned();
    let (vcpus, memory) = text.split_once(':').ok_or_else(expected)?;
    let vcpus: u32 = vcpus.parse().map_err(|_| expected())?;
    let memory: u32 = memory.parse().map_err(|_| expected())?;
    Ok(Machine { vcpu_milli: u64::from(vcpus) * 1000, memory_mib: memory.into() })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "seconds are expected".to_owned())?;
    if (0.0..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("0 to 86400 is expected".to_owned())
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number is expected".to_owned())?;
    if (0.0..=1000.0).contains(&rate) { Ok(rate) } else { Err("0 to 1000 an hour is expected".to_owned()) }
}

impl Simulate {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let setup = match (&self.environments.template, &self.environments.environments) {
            (Some(template), _) => self.setup_of_template(template)?,
            (None, Some(file)) => Setup::parse(&name(file), &read(file)?)?,
            (None, None) => server::ask(past_jobs::setup(&self.server))?,
        };
        let workload = match &self.jobs.jobs {
            Some(file) => Workload::parse(&name(file), &read(file)?, &setup)?,
            None => self.past_jobs(&setup)?,
        };
        let kinds: Vec<EnvironmentKind> =
            if self.alone { Vec::new() } else { self.compare.iter().map(|kind| kind.0).collect() };
        let progress = Progress::default();
        let tell = |scenario, ended, of| progress.tell(scenario, ended, of);
        let report = planner::compare(&setup, &workload, &self.assumptions(), &kinds, &tell);
        progress.finish();
        self.show(&report?)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The server's jobs; what is to be known of them is said beside the report.
    fn past_jobs(&self, setup: &Setup) -> anyhow::Result<Workload> {
        let (workload, notes) = server::ask(past_jobs::workload(&self.server, setup))?;
        eprint!("{notes}");
        Ok(workload)
    }

    fn assumptions(&self) -> Assumptions {
        Assumptions {
            seed: self.seed,
            interruptions_per_hour: self.interruptions,
            fargate_start: self.fargate_start,
            ec2_start: self.ec2_start,
            instance_boot: self.instance_boot,
            instance_idle: self.instance_idle,
            machine: self.machine,
        }
    }

    fn show(&self, report: &Report) -> anyhow::Result<()> {
        if let (Some(file), Some(outcome)) = (&self.svg, report.outcomes.first()) {
            std::fs::write(file, planner::chart(outcome)).with_context(|| format!("can't write {}", file.display()))?;
        }
        let text = if self.json { serde_json::to_string_pretty(report)? + "\n" } else { planner::table(report) };
        match std::io::stdout().write_all(text.as_bytes()) {
            // Whoever reads has seen enough, as `head` has.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    fn setup_of_template(&self, file: &Path) -> anyhow::Result<Setup> {
        let given = self.parameter.iter().map(|Pair(name, value)| (name.clone(), value.clone())).collect();
        let declared = declared(&read(file)?, &given).with_context(|| name(file))?;
        Ok(planner::from_template(&name(file), &declared)?)
    }
}

fn name(file: &Path) -> String {
    file.display().to_string()
}

fn read(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
    Ok(String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        Problem::at(&name(file), u32::try_from(line).unwrap_or(u32::MAX), 1, "this line is not UTF-8")
    })?)
}

/// The resources of a template, with what is known of them before the stack exists. A resource stands for itself by its
/// logical id.
fn declared(text: &str, given: &BTreeMap<String, String>) -> anyhow::Result<Vec<Declared>> {
    let template = Template::parse(text)?;
    let parameters = parameters(&template, given)?;
    let resources = made(&template);
    let pseudo = Pseudo {
        account: AccountId::default(),
        region: Region::default(),
        stack_id: Some("stack".to_owned()),
        stack_name: Some("stack".to_owned()),
    };
    let (none, budget) = (BTreeMap::new(), Budget::default());
    let environment = Environment {
        template: &template,
        parameters: &parameters,
        conditions: &none,
        pseudo: &pseudo,
        resources: &resources,
        exports: None,
        budget: &budget,
    };
    let conditions = environment.conditions().map_err(|(name, error)| anyhow::anyhow!("condition {name}: {error}"))?;
    let environment = Environment { conditions: &conditions, ..environment };
    let holds = |condition: &Option<String>| condition.as_ref().is_none_or(|name| conditions.get(name) != Some(&false));
    let mut declared = Vec::new();
    for (logical_id, resource) in template.resources.iter().filter(|(_, resource)| is_batch(&resource.type_name)) {
        if !holds(&resource.condition) {
            continue;
        }
        let mut properties = Vec::new();
        for (name, expression) in &resource.properties {
            let value = known(&environment, expression).with_context(|| format!("resource {logical_id}, {name}"))?;
            properties.extend(value.map(|value| (name.clone(), value)));
        }
        let (logical_id, type_name) = (logical_id.clone(), resource.type_name.clone());
        declared.push(Declared { logical_id, type_name, properties: Document::map(properties) });
    }
    Ok(declared)
}

fn is_batch(type_name: &str) -> bool {
    type_name.starts_with("AWS::Batch::")
}

/// The parameters that have a value; a plan needs only those that its resources depend on.
fn parameters(template: &Template, given: &BTreeMap<String, String>) -> anyhow::Result<BTreeMap<String, Document>> {
    let mut declared = template.parameters.clone();
    declared.retain(|name, parameter| parameter.default.is_some() || given.contains_key(name));
    let bound = bind(&declared, given)?;
    Ok(bound.into_iter().map(|(name, bound)| (name, bound.value)).collect())
}

/// Batch's resources as others refer to them: by logical id, whether by `Ref` or by ARN.
fn made(template: &Template) -> BTreeMap<String, Resource> {
    let attributes = ["Arn", "ComputeEnvironmentArn", "JobQueueArn", "JobDefinitionArn"];
    let batch = template.resources.iter().filter(|(_, resource)| is_batch(&resource.type_name));
    let resources = batch.map(|(id, _)| {
        let attributes = attributes.map(|name| (name.to_owned(), Document::from(id.as_str()))).into();
        (id.clone(), Resource { physical_id: id.clone(), attributes })
    });
    resources.collect()
}

/// The value as far as it is known: entries that depend on what is not made are left out.
fn known(environment: &Environment<'_>, expression: &Expression) -> Result<Option<Document>, EvalError> {
    match expression {
        Expression::Map(map) => {
            let mut entries = Vec::new();
            for (key, inner) in map {
                entries.extend(known(environment, inner)?.map(|value| (key.clone(), value)));
            }
            Ok(Some(Document::map(entries)))
        }
        Expression::List(list) => {
            let mut entries = Vec::new();
            for inner in list {
                entries.extend(known(environment, inner)?);
            }
            Ok(Some(Document::List(entries)))
        }
        _ => match environment.value(expression) {
            Err(EvalError::Unknown) => Ok(None),
            value => value,
        },
    }
}

/// A line on a terminal that says how far each scenario is.
#[derive(Default)]
struct Progress {
    shown: Mutex<BTreeMap<&'static str, u64>>,
}

impl Progress {
    fn tell(&self, scenario: Scenario, ended: u64, of: u64) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let Ok(mut shown) = self.shown.lock() else { return };
        let percent = ended * 100 / of.max(1);
        if shown.insert(scenario.as_str(), percent) != Some(percent) {
            let parts: Vec<String> =
                shown.iter().map(|(scenario, percent)| format!("{scenario} {percent} %")).collect();
            eprint!("\r\x1b[K{}", parts.join(", "));
        }
    }

    fn finish(&self) {
        if self.shown.lock().is_ok_and(|shown| !shown.is_empty()) {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Most: {Type: Number, Default: 32}
  Subnet: {Type: String}
Conditions:
  Never: !Equals [a, b]
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16}}
  Environment:
    Type: AWS::Batch::ComputeEnvironment
    Properties:
      ComputeEnvironmentName: !Sub '${AWS::StackName}-fargate'
      Type: MANAGED
      ComputeResources: {Type: FARGATE, MaxvCpus: !Ref Most, Subnets: [!Ref Subnet, !Ref Vpc]}
  Queue:
    Type: AWS::Batch::JobQueue
    Properties:
      Priority: 1
      ComputeEnvironmentOrder: [{Order: 1, ComputeEnvironment: !GetAtt Environment.ComputeEnvironmentArn}]
  Unused: {Type: 'AWS::Batch::JobQueue', Condition: Never, Properties: {Priority: 2}}
";

    fn setup(given: &[(&str, &str)]) -> anyhow::Result<Setup> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(planner::from_template("t.yaml", &declared(TEMPLATE, &given)?)?)
    }

    #[test]
    fn a_template_is_read_as_far_as_a_plan_needs_it() {
        for (given, most) in [(vec![], 32), (vec![("Most", "7"), ("Subnet", "s")], 7)] {
            let setup = setup(&given).unwrap();
            assert_eq!(setup.environments[0].max_vcpus, most);
            assert_eq!(setup.queues.len(), 1);
            assert_eq!(setup.queues[0].environments, ["Environment"]);
        }
        assert!(setup(&[("Other", "1")]).unwrap_err().to_string().contains("[Other] do not exist"));
    }

    #[test]
    fn arguments_are_checked() {
        assert_eq!(machine("8:16384"), Ok(Machine { vcpu_milli: 8000, memory_mib: 16_384 }));
        for text in ["8", "8:", "x:1", "1:-1"] {
            assert!(machine(text).is_err(), "{text}");
        }
        assert!(seconds("-1").is_err() && seconds("1e9").is_err() && seconds("x").is_err());
        assert!(rate("NaN").is_err() && rate("0.5").is_ok());
        assert!("fargate_spot".parse::<Kind>().is_ok() && "EKS".parse::<Kind>().is_err());
    }
}
