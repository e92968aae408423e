//! Prints how long a Python function takes from a cold start and on a warm instance, in the embedded engine's sandbox.

use async_trait::async_trait;
use barge_core::ports::{CredentialIssuer, Credentials, FunctionInvoker, InvocationMode, LogLine, LogSink, LogTarget};
use barge_core::{Ambient, Arn, AwsError, Scope};
use barge_engine::{ComputeEngine, EmbeddedConfig, EmbeddedEngine};
use barge_image::ImageStore;
use barge_lambda::{EngineSandboxes, LambdaConfig, LambdaPorts, LambdaService, Packages, Prewarm};
use barge_store::Store;
use barge_wire::lambda::{CreateFunctionRequest, FunctionCode, Lambda, Runtime};
use bytes::Bytes;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const COLD: usize = 20;
const WARM: usize = 500;

/// Nobody reads the lines.
struct Nowhere;

#[async_trait]
impl LogSink for Nowhere {
    async fn ensure_group(&self, _: &Scope, _: &str) -> Result<(), AwsError> {
        Ok(())
    }

    async fn append(&self, _: &LogTarget, _: Vec<LogLine>, _: Option<u64>) -> Result<(), AwsError> {
        Ok(())
    }

    async fn position(&self, _: &LogTarget) -> Result<u64, AwsError> {
        Ok(0)
    }
}

/// Nobody checks the keys.
struct AnyRole(Ambient);

#[async_trait]
impl CredentialIssuer for AnyRole {
    async fn issue(&self, _: &Arn, session: &str, lifetime: Duration) -> Result<Credentials, AwsError> {
        self.issue_anonymous(&Scope::default(), session, lifetime).await
    }

    async fn issue_anonymous(&self, _: &Scope, _: &str, lifetime: Duration) -> Result<Credentials, AwsError> {
        Ok(Credentials {
            access_key_id: "ASIA".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: "token".to_owned(),
            expiration: self.0.clock.now() + lifetime,
        })
    }
}

fn zipped(code: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("index.py", zip::write::SimpleFileOptions::default())?;
    zip.write_all(code.as_bytes())?;
    Ok(zip.finish()?.into_inner())
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let [_, word, directory] = &arguments[..]
        && word == "shim"
    {
        return barge_engine::shim::main(directory.as_ref());
    }
    match tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(measure())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let images = ImageStore::open(dir.path().join("images"))?;
    let engine = EmbeddedEngine::open(EmbeddedConfig::new(dir.path().join("engine")), images, None)?;
    let sandboxes = EngineSandboxes::new(Arc::new(engine.clone()));
    sandboxes.clear(&engine.adopt().await?);
    let ambient = Ambient::system("http://127.0.0.1:4566");
    let ports = LambdaPorts {
        logs: Arc::new(Nowhere),
        credentials: Arc::new(AnyRole(ambient.clone())),
        sandboxes: Arc::new(sandboxes),
    };
    let store = Store::open(dir.path().join("db"))?;
    let config = LambdaConfig { prewarm: Prewarm::Off, packages: Packages::HostOnly, ..LambdaConfig::default() };
    let service = LambdaService::open(&store, &dir.path().join("lambda"), ambient.clone(), ports, config)?;
    let cx = ambient.context(Scope::default(), "latency");
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for n in 0..COLD {
        let name = format!("f{n}");
        let request = CreateFunctionRequest {
            function_name: name.clone(),
            runtime: Some(Runtime::Python312),
            handler: Some("index.handler".to_owned()),
            role: "arn:aws:iam::000000000000:role/r".to_owned(),
            code: FunctionCode {
                zip_file: Some(zipped("def handler(event, context): return event")?),
                ..FunctionCode::default()
            },
            ..CreateFunctionRequest::default()
        };
        service.create_function(&cx, request).await?;
        let arn: Arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{name}").parse()?;
        let invoker: &dyn FunctionInvoker = &*service;
        let began = Instant::now();
        let answer = invoker.invoke(&arn, Bytes::from_static(b"[1]"), InvocationMode::RequestResponse).await?;
        cold.push(began.elapsed());
        if answer.payload != "[1]" {
            return Err(format!("the function answered {:?}", answer.payload).into());
        }
        if n == 0 {
            for _ in 0..WARM {
                let began = Instant::now();
                invoker.invoke(&arn, Bytes::from_static(b"[1]"), InvocationMode::RequestResponse).await?;
                warm.push(began.elapsed());
            }
        }
    }
    service.shutdown().await;
    for (what, mut times) in [("cold start, python", cold), ("warm invocation, python", warm)] {
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        println!("{what:24} median {:?}, 95 % {:?}, of {}", at(50), at(95), times.len());
    }
    Ok(())
}
