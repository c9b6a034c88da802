//! What replicas and Services have used, for `sampan top`: counts since the process started, of which two looks make figures.

use axum::{Json, Router, extract::State, middleware, routing::get};
use kube_api::api_server::{Guard, authorized};
use serde_json::{Value, json};

use crate::shell::Measurements;

/// What `sampan top` asks.
pub(crate) fn router(measurements: Measurements, guard: Guard) -> Router {
    Router::new()
        .route("/sampan/v1/usage", get(list))
        .with_state(measurements)
        .layer(middleware::from_fn_with_state(guard, authorized))
}

async fn list(State(measurements): State<Measurements>) -> Json<Value> {
    let replica = |(id, used): (api::ReplicaId, std::time::Duration)| json!({ "namespace": &*id.0.namespace, "name": &*id.0.name, "cpuMicros": micros(used) });
    let service = |(key, total): (api::ObjectKey, crate::shell::Total)| {
        json!({ "namespace": &*key.namespace, "name": &*key.name, "completed": total.completed, "failed": total.failed,
            "latencyMicros": micros(total.latency) })
    };
    Json(json!({
        "replicas": measurements.cpu().into_iter().map(replica).collect::<Vec<_>>(),
        "services": measurements.totals().into_iter().map(service).collect::<Vec<_>>(),
    }))
}

fn micros(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
