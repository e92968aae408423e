//! The service as its clients see it, with real Python processes and everything else in memory.

mod managing;
mod queueing;
mod running;
mod versions;

use crate::sandbox::process::Processes;
use crate::{LambdaConfig, LambdaPorts, LambdaService, Packages, Prewarm};
use async_trait::async_trait;
use barge_core::ports::{CredentialIssuer, Credentials, FunctionInvoker, InvocationMode, LogLine, LogSink, LogTarget};
use barge_core::resource::Creation;
use barge_core::{Ambient, Arn, AwsError, Context, Document, Scope};
use barge_store::Store;
use barge_wire::lambda::{
    AddPermissionRequest, ApplicationLogLevel, CreateFunctionRequest, DeleteFunctionRequest, FunctionCode,
    GetFunctionRequest, GetPolicyRequest, InvocationRequest, InvocationResponse, InvocationType, Lambda,
    ListFunctionsRequest, LogFormat, LogType, LoggingConfig, PutFunctionConcurrencyRequest, RemovePermissionRequest,
    Runtime, SystemLogLevel, TagResourceRequest, UntagResourceRequest, UpdateFunctionCodeRequest,
    UpdateFunctionConfigurationRequest,
};
use base64::Engine as _;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Log lines in memory.
#[derive(Default)]
struct Logs(Mutex<Vec<(String, String)>>);

#[async_trait]
impl LogSink for Logs {
    async fn ensure_group(&self, _: &Scope, _: &str) -> Result<(), AwsError> {
        Ok(())
    }

    async fn append(&self, target: &LogTarget, lines: Vec<LogLine>, _: Option<u64>) -> Result<(), AwsError> {
        let lines = lines.into_iter().map(|line| (target.group.clone(), line.message));
        self.0.lock().unwrap().extend(lines);
        Ok(())
    }

    async fn position(&self, _: &LogTarget) -> Result<u64, AwsError> {
        Ok(0)
    }
}

impl Logs {
    fn count(&self, word: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|(_, line)| line.contains(word)).count()
    }

    /// Waits until `times` lines contain `word`.
    async fn until(&self, word: &str, times: usize) {
        let patience = async {
            while self.count(word) < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), patience).await.expect("the log line comes");
    }
}

struct Roles;

#[async_trait]
impl CredentialIssuer for Roles {
    async fn issue(&self, role: &Arn, session: &str, lifetime: Duration) -> Result<Credentials, AwsError> {
        if role.resource == "role/none" {
            return Err(AwsError::new("NoSuchEntity", 404, "no such role"));
        }
        self.issue_anonymous(&Scope::default(), session, lifetime).await
    }

    async fn issue_anonymous(&self, _: &Scope, _: &str, lifetime: Duration) -> Result<Credentials, AwsError> {
        let now = barge_core::Clock::now(&barge_core::SystemClock);
        Ok(Credentials {
            access_key_id: "ASIAX".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: "token".to_owned(),
            expiration: now + lifetime,
        })
    }
}

struct House {
    dir: tempfile::TempDir,
    logs: Arc<Logs>,
    service: Arc<LambdaService>,
    config: LambdaConfig,
}

fn config() -> LambdaConfig {
    LambdaConfig {
        retry_delays: [Duration::ZERO; 2],
        throttle_delay: Duration::from_millis(10),
        prewarm: Prewarm::Off,
        packages: Packages::HostOnly,
        ..LambdaConfig::default()
    }
}

fn open(dir: &std::path::Path, logs: &Arc<Logs>, config: &LambdaConfig) -> Arc<LambdaService> {
    let store = Store::open(dir.join("db")).unwrap();
    let ports =
        LambdaPorts { logs: Arc::clone(logs) as _, credentials: Arc::new(Roles), sandboxes: Arc::new(Processes) };
    let ambient = Ambient::system("http://127.0.0.1:1");
    LambdaService::open(&store, &dir.join("lambda"), ambient, ports, config.clone()).unwrap()
}

impl House {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: LambdaConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let logs = Arc::new(Logs::default());
        let service = open(dir.path(), &logs, &config);
        Self { dir, logs, service, config }
    }

    /// The service of another server on the same data.
    async fn reopened(self) -> Self {
        self.service.shutdown().await;
        let Self { dir, logs, service, config } = self;
        drop(service);
        let service = open(dir.path(), &logs, &config);
        Self { dir, logs, service, config }
    }

    fn cx(&self) -> Context {
        self.service.shared.ambient.context(Scope::default(), "test")
    }

    async fn create(&self, name: &str, code: &str) {
        self.service.create_function(&self.cx(), python(name, code)).await.unwrap();
    }

    async fn invoke(&self, name: &str, payload: &str) -> InvocationResponse {
        self.try_invoke(name, payload, InvocationType::RequestResponse).await.unwrap()
    }

    async fn try_invoke(
        &self,
        name: &str,
        payload: &str,
        invocation_type: InvocationType,
    ) -> Result<InvocationResponse, AwsError> {
        let request = InvocationRequest {
            function_name: name.to_owned(),
            payload: Some(payload.as_bytes().to_vec()),
            log_type: Some(LogType::Tail),
            invocation_type: Some(invocation_type),
            ..InvocationRequest::default()
        };
        Lambda::invoke(&*self.service, &self.cx(), request).await
    }
}

fn zip(code: &str) -> Vec<u8> {
    crate::code::zip(&[("index.py", code)]).unwrap()
}

fn python(name: &str, code: &str) -> CreateFunctionRequest {
    CreateFunctionRequest {
        function_name: name.to_owned(),
        runtime: Some(Runtime::Python312),
        handler: Some("index.handler".to_owned()),
        role: "arn:aws:iam::000000000000:role/r".to_owned(),
        code: FunctionCode { zip_file: Some(zip(code)), ..FunctionCode::default() },
        timeout: Some(30),
        ..CreateFunctionRequest::default()
    }
}

fn text(response: &InvocationResponse) -> String {
    String::from_utf8(response.payload.clone().unwrap()).unwrap()
}

fn tail(response: &InvocationResponse) -> String {
    let bytes = base64::engine::general_purpose::STANDARD.decode(response.log_result.as_ref().unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

const ECHO: &str = "
import os
def handler(event, context):
    print('hello from', context.function_name)
    return {'event': event, 'pid': os.getpid(), 'key': os.environ['AWS_ACCESS_KEY_ID']}
";
