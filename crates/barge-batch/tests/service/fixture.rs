//! A Batch on a temporary store, and a runner whose attempts do what the test says.

use async_trait::async_trait;
use barge_batch::core::{AttemptId, ContainerEnd, JobId, Memory, Outcome, TaskId};
use barge_batch::runner::{CannotStart, Capacity, ContainerSpec, Gone, Happening, News, TaskRunner, TaskSpec};
use barge_batch::{BatchService, Ports, Settings};
use barge_core::ports::{CredentialIssuer, Credentials, Event, EventSink};
use barge_core::{Ambient, Arn, AwsError, Context, Document, Scope, Timestamp};
use barge_store::Store;
use barge_wire::Typed;
use barge_wire::batch::{
    Batch, CreateComputeEnvironmentRequest, CreateJobQueueRequest, DescribeJobsRequest, JobDetail, JobStatus,
    ListJobsRequest, RegisterJobDefinitionRequest, SubmitJobRequest,
};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Keeps tasks until the test ends them; a stopped one ends by itself.
#[derive(Default)]
pub(crate) struct FakeRunner {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    listeners: Vec<mpsc::UnboundedSender<News>>,
    launched: Vec<TaskSpec>,
    known: HashMap<TaskId, Vec<News>>,
    refuse: Option<String>,
}

impl Inner {
    fn tell(&mut self, task: TaskId, what: Happening) {
        let news = News { task, at: Timestamp::from_millis(1), what };
        self.known.entry(task).or_default().push(news.clone());
        self.listeners.retain(|listener| listener.send(news.clone()).is_ok());
    }

    fn tell_again(&mut self, task: TaskId) -> bool {
        let Some(told) = self.known.get(&task) else { return false };
        let again = told.last().cloned();
        self.listeners.retain(|listener| again.iter().all(|news| listener.send(news.clone()).is_ok()));
        true
    }
}

impl FakeRunner {
    /// Launches from now on fail with this reason.
    pub(crate) fn refuse(&self, reason: &str) {
        self.inner.lock().unwrap().refuse = Some(reason.to_owned());
    }

    /// Loses everything, as a machine does that is switched off.
    pub(crate) fn lose_all(&self) {
        self.inner.lock().unwrap().known.clear();
    }

    pub(crate) fn start(&self, job: &str, number: u32) {
        self.start_node(job, number, 0);
    }

    pub(crate) fn start_node(&self, job: &str, number: u32, node: u16) {
        self.inner.lock().unwrap().tell(task(job, number, node), Happening::Started);
    }

    pub(crate) fn exit(&self, job: &str, number: u32, code: i32) {
        self.exit_node(job, number, 0, code);
    }

    pub(crate) fn exit_node(&self, job: &str, number: u32, node: u16, code: i32) {
        let outcome = Outcome::exited(code);
        self.inner.lock().unwrap().tell(task(job, number, node), Happening::Ended(outcome));
    }

    /// A task of several containers ends with the first of these.
    pub(crate) fn exit_containers(&self, job: &str, number: u32, ends: &[(&str, i32)]) {
        let end =
            |(name, code): &(&str, i32)| ContainerEnd { name: (*name).into(), exit_code: Some(*code), reason: None };
        let containers = ends.iter().map(end).collect();
        let outcome = Outcome::Exited { code: ends[0].1, memory: Memory::Within, containers };
        self.inner.lock().unwrap().tell(task(job, number, 0), Happening::Ended(outcome));
    }

    pub(crate) fn launched(&self) -> Vec<TaskSpec> {
        self.inner.lock().unwrap().launched.clone()
    }

    pub(crate) fn known(&self) -> usize {
        self.inner.lock().unwrap().known.len()
    }

    /// The only container of the job's launch, once there is one.
    pub(crate) async fn launch_of(&self, job: &str, number: u32) -> ContainerSpec {
        self.launch_of_node(job, number, 0).await.containers.remove(0)
    }

    pub(crate) async fn launch_of_node(&self, job: &str, number: u32, node: u16) -> TaskSpec {
        until(async || self.launched().into_iter().rfind(|spec| spec.id == task(job, number, node))).await
    }
}

pub(crate) fn task(job: &str, number: u32, node: u16) -> TaskId {
    AttemptId { job: job.parse::<JobId>().unwrap(), number }.task(node)
}

#[async_trait]
impl TaskRunner for FakeRunner {
    async fn launch(&self, spec: TaskSpec) -> Result<(), CannotStart> {
        let mut inner = self.inner.lock().unwrap();
        if let Some(reason) = &inner.refuse {
            return Err(CannotStart(reason.clone()));
        }
        if !inner.tell_again(spec.id) {
            inner.known.insert(spec.id, Vec::new());
            inner.launched.push(spec);
        }
        Ok(())
    }

    async fn adopt(&self, task: TaskId, _spec: &TaskSpec) -> Result<(), Gone> {
        if self.inner.lock().unwrap().tell_again(task) { Ok(()) } else { Err(Gone) }
    }

    async fn stop(&self, task: TaskId) {
        self.inner.lock().unwrap().tell(task, Happening::Ended(Outcome::exited(143)));
    }

    async fn forget(&self, task: TaskId) {
        self.inner.lock().unwrap().known.remove(&task);
    }

    async fn sweep(&self, live: &HashSet<TaskId>) {
        self.inner.lock().unwrap().known.retain(|task, _| live.contains(task));
    }

    fn capacity(&self) -> Capacity {
        Capacity { vcpu: 4.0, memory_mib: 16_384 }
    }

    fn news(&self) -> mpsc::UnboundedReceiver<News> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.inner.lock().unwrap().listeners.push(sender);
        receiver
    }
}

struct FakeIssuer;

#[async_trait]
impl CredentialIssuer for FakeIssuer {
    async fn issue(&self, role: &Arn, session: &str, _lifetime: Duration) -> Result<Credentials, AwsError> {
        Ok(Credentials {
            access_key_id: "ASIATEST".to_owned(),
            secret_access_key: session.to_owned(),
            session_token: role.to_string(),
            expiration: Timestamp::from_millis(0),
        })
    }

    async fn issue_anonymous(&self, _: &Scope, _: &str, _: Duration) -> Result<Credentials, AwsError> {
        Err(AwsError::not_implemented("test", "issue_anonymous"))
    }
}

/// Keeps the events that it hears.
#[derive(Default)]
pub(crate) struct Hearer(pub(crate) Mutex<Vec<Event>>);

#[async_trait]
impl EventSink for Hearer {
    async fn put(&self, events: Vec<Event>) -> Result<(), AwsError> {
        self.0.lock().unwrap().extend(events);
        Ok(())
    }
}

pub(crate) struct World {
    dir: TempDir,
    pub(crate) runner: Arc<FakeRunner>,
    pub(crate) heard: Arc<Hearer>,
    pub(crate) batch: Arc<BatchService>,
    pub(crate) cx: Context,
}

const ENDPOINT: &str = "http://127.0.0.1:4566";

impl World {
    /// A Batch with nothing in it.
    pub(crate) async fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (runner, heard) = (Arc::new(FakeRunner::default()), Arc::new(Hearer::default()));
        let batch = open(&dir, &runner, &heard).await;
        let cx = Ambient::system(ENDPOINT).context(Scope::default(), "test");
        Self { dir, runner, heard, batch, cx }
    }

    /// A Batch with a Fargate environment `ce` of 4 vCPUs, a queue `q`, and a definition `d` of 0.25 vCPU and 512 MiB.
    pub(crate) async fn new() -> Self {
        let world = Self::empty().await;
        world.batch.create_compute_environment(&world.cx, fargate("ce", 4)).await.unwrap();
        world.batch.create_job_queue(&world.cx, queue("q", &["ce"])).await.unwrap();
        world.batch.register_job_definition(&world.cx, definition("d")).await.unwrap();
        world
    }

    /// Kills the service and opens it again on the same store; the runner lives on.
    pub(crate) async fn restart(self) -> Self {
        let Self { dir, runner, heard, batch, cx } = self;
        drop(batch);
        let batch = open(&dir, &runner, &heard).await;
        Self { dir, runner, heard, batch, cx }
    }

    /// Another way to the same tables.
    pub(crate) fn second_store(&self) -> Store {
        Store::open(self.dir.path().join("barge.db")).unwrap()
    }

    /// Submits a job of `d` to `q` with these further members; gives its id.
    pub(crate) async fn submit(&self, more: &str) -> String {
        self.batch.submit_job(&self.cx, job(more)).await.unwrap().job_id
    }

    pub(crate) async fn describe(&self, id: &str) -> JobDetail {
        let input = DescribeJobsRequest { jobs: vec![id.to_owned()] };
        self.batch.describe_jobs(&self.cx, input).await.unwrap().jobs.unwrap().remove(0)
    }

    /// The ids of listed jobs and whether there are more; `more` is the request's members.
    pub(crate) async fn list(&self, more: &str) -> Result<(Vec<String>, Option<String>), AwsError> {
        let request: ListJobsRequest = input(&format!("{{{more}}}"));
        let response = self.batch.list_jobs(&self.cx, request).await?;
        Ok((response.job_summary_list.into_iter().map(|job| job.job_id).collect(), response.next_token))
    }

    /// The job once it has this state.
    pub(crate) async fn reaches(&self, id: &str, status: JobStatus) -> JobDetail {
        until(async || Some(self.describe(id).await).filter(|job| job.status == status)).await
    }
}

async fn open(dir: &TempDir, runner: &Arc<FakeRunner>, heard: &Arc<Hearer>) -> Arc<BatchService> {
    let store = Store::open(dir.path().join("barge.db")).unwrap();
    let ports = Ports {
        runner: Arc::<FakeRunner>::clone(runner),
        credentials: Arc::new(FakeIssuer),
        events: Some(Arc::<Hearer>::clone(heard)),
    };
    BatchService::open(store, Ambient::system(ENDPOINT), ports, Settings::default()).await.unwrap()
}

/// Looks until there is something to see.
pub(crate) async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to be");
}

/// An input from JSON with the model's member names.
pub(crate) fn input<T: Typed>(json: &str) -> T {
    T::from_document(Document::from_json(json.as_bytes()).unwrap()).unwrap()
}

pub(crate) fn fargate(name: &str, max: u32) -> CreateComputeEnvironmentRequest {
    input(&format!(
        r#"{{"computeEnvironmentName": "{name}", "type": "MANAGED", "computeResources":
            {{"type": "FARGATE", "maxvCpus": {max}, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}}}}"#
    ))
}

pub(crate) fn queue(name: &str, environments: &[&str]) -> CreateJobQueueRequest {
    let entry = |(order, name): (usize, &&str)| format!(r#"{{"order": {order}, "computeEnvironment": "{name}"}}"#);
    let order: Vec<String> = environments.iter().enumerate().map(entry).collect();
    input(&format!(r#"{{"jobQueueName": "{name}", "priority": 1, "computeEnvironmentOrder": [{}]}}"#, order.join(",")))
}

pub(crate) fn definition(name: &str) -> RegisterJobDefinitionRequest {
    input(&format!(
        r#"{{"jobDefinitionName": "{name}", "type": "container", "platformCapabilities": ["FARGATE"],
            "parameters": {{"what": "world"}},
            "containerProperties": {{"image": "loader:1", "command": ["echo", "hello Ref::what"],
              "executionRoleArn": "arn:aws:iam::000000000000:role/exec",
              "jobRoleArn": "arn:aws:iam::000000000000:role/job",
              "environment": [{{"name": "A", "value": "1"}}],
              "resourceRequirements": [{{"type": "VCPU", "value": "0.25"}}, {{"type": "MEMORY", "value": "512"}}]}}}}"#
    ))
}

/// A submission of `d` to `q`; `more` is further members, each with a comma before it.
pub(crate) fn job(more: &str) -> SubmitJobRequest {
    input(&format!(r#"{{"jobName": "j", "jobQueue": "q", "jobDefinition": "d"{more}}}"#))
}

/// An error's message; it must be a client's.
pub(crate) fn message<T>(result: Result<T, AwsError>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(error) => {
            assert_eq!((&*error.code, error.status), ("ClientException", 400), "{error}");
            error.message
        }
    }
}
