use std::{error::Error as _, io, path::PathBuf, time::Duration};

use anyhow::{Context, anyhow};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    core::Status,
};
use serde::de::DeserializeOwned;

use crate::{errors::HintExt, paths::DataDirArgs};

/// How long a client waits for a connection before it says that nothing answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Flags of every command about what is in a namespace.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ClientArgs {
    /// Namespace of the objects [default: the kubeconfig's, else `default`]
    #[arg(short, long, env = "SAMPAN_NAMESPACE", value_name = "NAME", help_heading = "Connection")]
    pub(crate) namespace: Option<String>,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// Flags of every command that speaks to the API.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ConnectionArgs {
    /// Kubeconfig that says where the API is [default: DATA_DIR/kubeconfig, or $KUBECONFIG without --data-dir]
    #[arg(long, env = "SAMPAN_KUBECONFIG", value_name = "FILE", help_heading = "Connection")]
    pub(crate) kubeconfig: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) data: DataDirArgs,
}

/// A way to the API of one installation.
#[derive(Clone)]
pub(crate) struct Connection {
    client: Client,
    /// The namespace that holds where an object or a command names none.
    pub(crate) namespace: String,
    /// The server's address, for messages.
    pub(crate) server: String,
}

impl ClientArgs {
    /// Connects as the flags and the environment say. Nothing is sent yet.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        let mut connection = self.connection.connect().await?;
        if let Some(namespace) = &self.namespace {
            connection.namespace.clone_from(namespace);
        }
        Ok(connection)
    }
}

impl ConnectionArgs {
    /// Connects as the flags and the environment say. Nothing is sent yet.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.find_kubeconfig()?).await
    }

    /// The kubeconfig that they name.
    pub(crate) fn find_kubeconfig(&self) -> anyhow::Result<Kubeconfig> {
        if let Some(path) = &self.kubeconfig {
            return read_kubeconfig(path);
        }
        // A data directory that the user names is more to the point than a KUBECONFIG of the whole shell.
        if self.data.data_dir.is_none()
            && let Some(config) = Kubeconfig::from_env().context("KUBECONFIG cannot be read")?
        {
            return Ok(config);
        }
        let path = self.data.resolve()?.kubeconfig();
        if !path.exists() {
            return Err(anyhow!("no Sampan has run here: there is no {}", path.display()))
                .hint("start it with `sampan up` or `sampan server`, or say where it keeps its state with --data-dir");
        }
        read_kubeconfig(&path)
    }
}

fn read_kubeconfig(path: &std::path::Path) -> anyhow::Result<Kubeconfig> {
    Kubeconfig::read_from(path).with_context(|| format!("kubeconfig {} cannot be read", path.display()))
}

impl Connection {
    /// Connects to the current context of a kubeconfig.
    pub(crate) async fn open(kubeconfig: Kubeconfig) -> anyhow::Result<Self> {
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .context("the kubeconfig names no usable cluster")?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // It would wait without end and without a word for a server that refuses, as one does whose disk is full.
        config.default_retry = false;
        let namespace = config.default_namespace.clone();
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).with_context(|| format!("no way to speak to {server}"))?;
        Ok(Self { client, namespace, server })
    }

    /// The client itself, for typed access.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Sends a request and reads the JSON that answers it.
    pub(crate) async fn send<T: DeserializeOwned>(&self, request: http::Request<Vec<u8>>) -> anyhow::Result<T> {
        self.client.request(request).await.map_err(|error| self.explain(error))
    }

    /// Sends a request and reads the JSON that answers it; `None` if there is no such object.
    pub(crate) async fn send_optional<T: DeserializeOwned>(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> anyhow::Result<Option<T>> {
        match self.client.request(request).await {
            Ok(answer) => Ok(Some(answer)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Reads a path as JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.send(http::Request::get(path).body(Vec::new())?).await
    }

    /// Sends a request whose answer is lines without end, such as a watch or a log.
    pub(crate) async fn stream(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> anyhow::Result<impl futures::AsyncBufRead + Unpin + use<>> {
        Ok(Box::pin(self.client.request_stream(request).await.map_err(|error| self.explain(error))?))
    }

    /// The failure in words for a user: the server's own where it answered.
    pub(crate) fn explain(&self, error: kube::Error) -> anyhow::Error {
        match error {
            kube::Error::Api(status) => Refusal(status).into(),
            error if is_connect_failure(&error) => {
                anyhow!("no Sampan at {}: start it with `sampan up` or `sampan server`", self.server)
            }
            error => anyhow::Error::new(error).context(format!("the request to {} failed", self.server)),
        }
    }
}

/// The server's answer to a request that it did not carry out.
#[derive(Debug, thiserror::Error)]
#[error("{}", if .0.message.is_empty() { .0.reason.as_str() } else { .0.message.as_str() })]
pub(crate) struct Refusal(pub(crate) Box<Status>);

/// The HTTP status of the server's refusal, if `error` is one.
pub(crate) fn refusal_code(error: &anyhow::Error) -> Option<u16> {
    error.downcast_ref::<Refusal>().map(|refusal| refusal.0.code)
}

fn is_connect_failure(error: &kube::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return matches!(
                io.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut | io::ErrorKind::ConnectionReset
            );
        }
        cause = error.source();
    }
    false
}
