//! Shows what replicas say.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::sync::mpsc;

use crate::{
    client::{
        connection::Connection,
        logs::{LINE_QUEUE, LogOptions, PodLine, follow_all},
    },
    screen::Screen,
};

/// Shows the lines of every replica from now on. Runs until it is dropped.
pub(super) async fn show_logs(connection: Connection, screen: Screen) {
    let (tx, mut rx) = mpsc::channel(LINE_QUEUE);
    let pods: Api<Pod> = Api::all(connection.client());
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let show = async {
        while let Some(PodLine { pod, text }) = rx.recv().await {
            screen.log(&pod, &text);
        }
    };
    tokio::join!(follow_all(&connection, pods, "", options, tx), show);
}
