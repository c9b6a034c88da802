use std::sync::Arc;

use api::{Body, replica::Isolation};
use http::Request;
use tokio::sync::oneshot;

use super::{
    Replica,
    failure::{GuestFailure, no_room},
    instance::{Head, Instance},
    running::Permit,
    turn::Turn,
};

/// The whole way of a request through the guest. Whoever polls it drives the guest; who drops it ends the guest.
pub(super) async fn work(
    permit: Permit,
    turn: Arc<Turn>,
    request: Request<Body>,
    head: oneshot::Sender<Head>,
) -> Result<(), GuestFailure> {
    let replica = permit.replica();
    if let Err(why) = check(&request) {
        return Err(GuestFailure::BadRequest { why });
    }
    wait_for_cpu(&turn).await;
    let mut instance = match instance(replica, &turn).await {
        Ok(instance) => instance,
        Err(Missing::Room(why)) => {
            return Err(GuestFailure::NotStarted { request: Box::new(request), why: why.to_owned() });
        }
        Err(Missing::Failed(error)) => return Err(replica.failed(&error, &turn)),
    };
    match instance.handle(request, turn.clone(), head).await {
        Ok(()) => {
            replica.succeeded();
            replica.keep(instance);
            Ok(())
        }
        // The turn learns of the failure while the instance still holds the body open.
        Err(error) => Err(replica.failed(&error, &turn)),
    }
}

/// What the guest could not be told otherwise.
fn check(request: &Request<Body>) -> Result<(), String> {
    let host = request.headers().get(http::header::HOST);
    match (request.uri().authority(), host) {
        (None, None) => Err("the request names no host".to_owned()),
        (None, Some(host)) if host.to_str().is_err() => Err("the host header is not text".to_owned()),
        _ => Ok(()),
    }
}

async fn wait_for_cpu(turn: &Turn) {
    let Some(cpu) = turn.cpu() else { return };
    while let Some(until) = cpu.exhausted(std::time::Instant::now()) {
        tokio::time::sleep_until(until.into()).await;
    }
}

enum Missing {
    Room(&'static str),
    Failed(wasmtime::Error),
}

async fn instance(replica: &Arc<Replica>, turn: &Arc<Turn>) -> Result<Box<Instance>, Missing> {
    if let Isolation::Replica { .. } = replica.spec.limits.isolation
        && let Some(instance) = replica.idle.take()
    {
        return Ok(instance);
    }
    let slot = replica.host.room().ok_or(Missing::Room("the worker's instance pool is full"))?;
    Instance::new(replica, slot, turn.clone()).await.map_err(|error| match no_room(&error) {
        // Alone, it would not fit either: then it is the limit that is too low.
        Some(why) if replica.in_flight() > 1 => Missing::Room(why),
        _ => Missing::Failed(error),
    })
}
