//! The wiring: opens every service and plugs them together. The only file that knows who implements which port.

use crate::event_log::EventLog;
use crate::operator::OperatorCalls;
use anyhow::Context as _;
use barge_batch::runner::EngineRunner;
use barge_batch::{BatchService, Ports as BatchPorts, Settings as BatchSettings};
use barge_cloudformation::{CloudFormation, Ports as FormationPorts, Registry};
use barge_core::ports::{EventSink, ImageSource, KeyDirectory, LogSink, ObjectStore};
use barge_core::{Ambient, AwsError};
use barge_dynamodb::DynamoDb;
use barge_ec2::Ec2Service;
use barge_ecr::EcrService;
use barge_engine::{ComputeEngine, EmbeddedConfig, EmbeddedEngine, ShimCommand};
use barge_gateway::{Gateway, Mount, Services};
use barge_iam::{IamService, RootKey};
use barge_image::{ImageStore, LocalPaths};
use barge_lambda::{EngineSandboxes, LambdaConfig, LambdaPorts, LambdaService};
use barge_logs::CloudWatchLogs;
use barge_s3::{Neighbours, S3Service};
use barge_ssm::SsmService;
use barge_store::Store;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a cloud is opened with.
pub(crate) struct Settings {
    /// Where everything is kept.
    pub(crate) data_dir: PathBuf,
    /// Where functions and containers reach the gateway.
    pub(crate) endpoint: String,
    /// The root key pair that the operator chose, id and secret.
    pub(crate) root_key: Option<(String, String)>,
    /// Where events go, where anybody wants them.
    pub(crate) event_log: Option<PathBuf>,
    /// What the operator decides about jobs.
    pub(crate) batch: BatchSettings,
}

/// Every service, wired.
pub(crate) struct Cloud {
    gateway: Arc<Gateway>,
    lambda: Arc<LambdaService>,
    formation: Arc<CloudFormation>,
    /// Sweeps that run until the cloud is dropped.
    sweeps: tokio::task::JoinSet<()>,
}

impl Cloud {
    /// Opens every service on the data directory, takes up what the last run left unfinished, and starts what runs by itself.
    pub(crate) async fn open(settings: Settings) -> anyhow::Result<Self> {
        let Settings { data_dir, endpoint, root_key, event_log, batch: batch_settings } = settings;
        let events = event_sink(event_log.as_deref())?;
        let ambient = Ambient::system(endpoint);
        let store = Store::open(data_dir.join("barge.db")).context("can't open the database")?;
        let (id, secret) = root_key.unzip();
        let root = RootKey::load_or_create(&data_dir, &*ambient.ids, id, secret)?;
        let iam = Arc::new(IamService::open(store.clone(), ambient.clone(), root)?);
        let logs = Arc::new(CloudWatchLogs::open(store.clone(), ambient.clone())?);
        let log_sink: Arc<dyn LogSink> = Arc::clone(&logs) as _;
        let images = ImageStore::open(data_dir.join("images"))?;
        let ecr = EcrService::open(store.clone(), images.clone(), ambient.clone())?;

        let engine: Arc<dyn ComputeEngine> =
            Arc::new(EmbeddedEngine::open(engine_config(&data_dir), images.clone(), Some(Arc::clone(&log_sink)))?);
        let image_sources: Vec<Arc<dyn ImageSource>> =
            vec![Arc::clone(&ecr) as _, Arc::new(LocalPaths(images.clone()))];
        let clock = Arc::clone(&ambient.clock);
        let (runner, adopted) =
            EngineRunner::adopt(Arc::clone(&engine), image_sources, Arc::clone(&log_sink), clock).await?;
        let sandboxes = Arc::new(EngineSandboxes::new(engine));
        sandboxes.clear(&adopted);
        let lambda = LambdaService::open(
            &store,
            &data_dir.join("lambda"),
            ambient.clone(),
            LambdaPorts { logs: log_sink, credentials: Arc::clone(&iam) as _, sandboxes },
            LambdaConfig::default(),
        )?;
        let keys: Arc<dyn KeyDirectory> = Arc::clone(&iam) as _;
        let neighbours =
            Neighbours { keys: Arc::clone(&keys), functions: Arc::clone(&lambda) as _, events: events.clone() };
        let s3 = S3Service::open(store.clone(), &data_dir, ambient.clone(), neighbours)?;
        lambda.set_objects(Arc::clone(&s3) as Arc<dyn ObjectStore>);
        let batch_ports = BatchPorts { runner: Arc::new(runner), credentials: Arc::clone(&iam) as _, events };
        let batch = BatchService::open(store.clone(), ambient.clone(), batch_ports, batch_settings).await?;
        let dynamodb = Arc::new(DynamoDb::new(data_dir.join("dynamodb"), &ambient));
        let ec2 = Arc::new(Ec2Service::open(store.clone(), ambient.clone())?);
        lambda.set_network(Arc::clone(&ec2) as _);
        let ssm = Arc::new(SsmService::open(store.clone(), ambient.clone())?);

        let providers = [
            barge_batch::resources::resources(&batch),
            barge_dynamodb::resources::resources(&dynamodb),
            barge_ec2::resources(&ec2),
            barge_ecr::resources::resources(&ecr),
            barge_iam::resources(&iam),
            barge_lambda::resources::resources(&lambda),
            barge_logs::resources::resources(&logs),
            barge_s3::resources::resources(&s3),
            barge_ssm::resources::resources(&ssm),
        ];
        let registry = Registry::new(providers.concat());
        let formation_ports = FormationPorts {
            objects: Arc::clone(&s3) as Arc<dyn ObjectStore>,
            functions: Arc::clone(&lambda) as _,
            credentials: Arc::clone(&iam) as _,
            keys: Arc::clone(&keys),
            parameters: Some(Arc::clone(&ssm) as _),
        };
        let formation = CloudFormation::open(store, ambient.clone(), registry, formation_ports)?;

        let services = Services {
            services: vec![
                barge_wire::batch::service(Arc::clone(&batch)),
                barge_wire::cloudformation::service(Arc::clone(&formation)),
                barge_wire::ec2::service(ec2),
                barge_wire::ecr::service(Arc::clone(&ecr)),
                barge_wire::iam::service(Arc::clone(&iam)),
                barge_wire::lambda::service(Arc::clone(&lambda)),
                barge_wire::logs::service(Arc::clone(&logs)),
                barge_wire::ssm::service(ssm),
                barge_wire::sts::service(iam),
                Arc::new(OperatorCalls(Arc::clone(&batch))),
                Arc::clone(&dynamodb) as _,
            ],
            s3: s3_mount(s3),
            mounts: vec![
                ("/v2/", registry_mount(Arc::clone(&ecr))),
                (METRICS, metrics_mount(Arc::clone(&batch))),
                (CREDENTIALS, credentials_mount(batch)),
                (FUNCTION_CODE, code_mount(Arc::clone(&lambda))),
                (STACK_SIGNALS, signal_mount(Arc::clone(&formation))),
            ],
        };
        let gateway = Arc::new(Gateway::new(services, keys, ambient));
        let mut sweeps = tokio::task::JoinSet::new();
        sweeps.spawn(async move { dynamodb.run_sweeps().await });
        let expiring = Arc::clone(&ecr);
        sweeps.spawn(async move { expiring.run_sweeps().await });
        sweeps.spawn(async move { logs.run_sweeps().await });
        lambda.start();
        formation.resume().await?;
        Ok(Self { gateway, lambda, formation, sweeps })
    }

    /// The front door.
    pub(crate) fn gateway(&self) -> Arc<Gateway> {
        Arc::clone(&self.gateway)
    }

    /// The CloudFormation resource types.
    pub(crate) fn resource_types(&self) -> &Registry {
        self.formation.engine().registry()
    }

    /// Ends what lives only as long as the server: functions' instances and sweeps. Jobs' containers run on.
    pub(crate) async fn stop(mut self) {
        self.lambda.shutdown().await;
        self.sweeps.shutdown().await;
    }
}

fn engine_config(data_dir: &Path) -> EmbeddedConfig {
    EmbeddedConfig { shim: ShimCommand::beside_this_program(), ..EmbeddedConfig::new(data_dir) }
}

/// The engine on `data_dir` as `barge doctor` examines it: nothing is launched or adopted.
pub(crate) fn examined_engine(data_dir: &Path) -> anyhow::Result<EmbeddedEngine> {
    let images = ImageStore::open(data_dir.join("images"))?;
    Ok(EmbeddedEngine::open(engine_config(data_dir), images, None)?)
}

fn event_sink(path: Option<&Path>) -> anyhow::Result<Option<Arc<dyn EventSink>>> {
    let Some(path) = path else { return Ok(None) };
    let log = EventLog::open(path).with_context(|| format!("can't write events to {}", path.display()))?;
    Ok(Some(Arc::new(log)))
}

fn s3_mount(s3: Arc<S3Service>) -> Mount {
    Arc::new(move |request: Request<Incoming>| {
        let s3 = Arc::clone(&s3);
        Box::pin(async move {
            let response = s3.handle(request.map(barge_s3::Body::from)).await;
            response.map(|body| body.map_err(Into::into).boxed_unsync())
        })
    })
}

fn registry_mount(ecr: Arc<EcrService>) -> Mount {
    Arc::new(move |request| Box::pin(Arc::clone(&ecr).handle(request)))
}

/// Where Prometheus reads how Batch stands, without a signature: numbers and names of queues and environments.
const METRICS: &str = "/_barge/metrics";

fn metrics_mount(batch: Arc<BatchService>) -> Mount {
    Arc::new(move |request: Request<Incoming>| {
        let batch = Arc::clone(&batch);
        Box::pin(async move {
            if request.uri().path() != METRICS {
                return refused(&AwsError::new("NotFound", 404, "There is no such page."));
            }
            match batch.board().await {
                Ok(board) => {
                    let mut response = Response::new(barge_gateway::full(board.prometheus()));
                    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                    response.headers_mut().insert(header::CONTENT_TYPE, kind);
                    response
                }
                Err(error) => refused(&error),
            }
        })
    })
}

/// Where containers ask for their job role's credentials; the attempt's id follows.
const CREDENTIALS: &str = "/_barge/credentials/";

fn credentials_mount(batch: Arc<BatchService>) -> Mount {
    Arc::new(move |request: Request<Incoming>| {
        let batch = Arc::clone(&batch);
        Box::pin(async move {
            let attempt = request.uri().path().strip_prefix(CREDENTIALS).unwrap_or_default().to_owned();
            let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            match batch.container_credentials(&attempt, token.unwrap_or_default()).await {
                Ok(credentials) => json(StatusCode::OK, credentials.to_document().to_json()),
                Err(error) => refused(&error),
            }
        })
    })
}

/// Where the links of Lambda's GetFunction lead; a token follows.
const FUNCTION_CODE: &str = "/_barge/lambda/code/";

fn code_mount(lambda: Arc<LambdaService>) -> Mount {
    Arc::new(move |request: Request<Incoming>| {
        let lambda = Arc::clone(&lambda);
        Box::pin(async move {
            let token = request.uri().path().strip_prefix(FUNCTION_CODE).unwrap_or_default();
            let gone = || refused(&AwsError::new("AccessDenied", 403, "The link has expired."));
            let Some(path) = lambda.code_by_token(token) else { return gone() };
            match tokio::fs::read(path).await {
                Ok(zip) => Response::new(barge_gateway::full(zip)),
                Err(_) => gone(),
            }
        })
    })
}

/// Where custom resources and wait conditions are answered; a token follows.
const STACK_SIGNALS: &str = "/_barge/cloudformation/";

fn signal_mount(formation: Arc<CloudFormation>) -> Mount {
    Arc::new(move |request: Request<Incoming>| {
        let formation = Arc::clone(&formation);
        Box::pin(async move {
            if request.method() != http::Method::PUT {
                return refused(&AwsError::new("MethodNotAllowed", 405, "The URL takes PUT requests."));
            }
            let token = request.uri().path().strip_prefix(STACK_SIGNALS).unwrap_or_default().to_owned();
            let limited = http_body_util::Limited::new(request.into_body(), CloudFormation::LONGEST_LETTER);
            let body = match limited.collect().await {
                Ok(body) => body.to_bytes(),
                Err(_) => return refused(&AwsError::new("EntityTooLarge", 400, "The body is too long.")),
            };
            match formation.deliver(&token, &body).await {
                Ok(()) => Response::new(barge_gateway::full(Vec::new())),
                Err(error) => refused(&error),
            }
        })
    })
}

fn refused(error: &AwsError) -> Response<barge_gateway::Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::json!({ "code": error.code, "message": error.message });
    json(status, body.to_string())
}

fn json(status: StatusCode, text: String) -> Response<barge_gateway::Body> {
    let mut response = Response::new(barge_gateway::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
