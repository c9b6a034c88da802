use std::{future::poll_fn, pin::pin, sync::Arc};

use api::Body;
use http::Request;
use tokio::sync::oneshot;

use super::{
    Replica,
    entry::Permit,
    failure::{GuestFailure, is_of_worker, no_room},
    instance::{Head, Instance},
    memory::MemoryLimitReached,
    turn::Turn,
};
use crate::engine::Asked;

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
    let reuses = replica.reuses();
    let (handled, answered) = match reuses {
        false => (instance.handle(request, turn.clone(), head).await, true),
        true => handle_noting_the_answer(&mut instance, request, &turn, head).await,
    };
    match handled {
        Ok(()) => {
            replica.succeeded();
            replica.memory.size().observe(instance.memory_bytes());
            if !reuses {
                replica.component.keeping.counted(instance.memory_bytes(), replica.host.engine.keeps_each_bytes);
            }
            if answered {
                replica.keep(instance);
            } else if instance.served() > 1 {
                turn.answered_before();
            }
            Ok(())
        }
        // The turn learns of the failure while the instance still holds the body open.
        Err(error) => Err(replica.failed(&error, &turn)),
    }
}

/// Lets an instance work on a request, and says whether it gave an answer: one that did not is not to have another request.
async fn handle_noting_the_answer(
    instance: &mut Instance,
    request: Request<Body>,
    turn: &Arc<Turn>,
    head: oneshot::Sender<Head>,
) -> (wasmtime::Result<()>, bool) {
    let (noted, mut from_guest) = oneshot::channel();
    let mut head = Some(head);
    let mut handled = pin!(instance.handle(request, turn.clone(), noted));
    let result = poll_fn(|cx| {
        let polled = handled.as_mut().poll(cx);
        // The guest gives its answer while it is polled, so that this is the first moment at which it can be there.
        if let Some(given) = head.take_if(|_| !from_guest.is_empty())
            && let Ok(answer) = from_guest.try_recv()
        {
            // Whoever waited for it may have left.
            let _ = given.send(answer);
        }
        polled
    })
    .await;
    (result, head.is_none())
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

/// Nothing of the pool is left, or nothing that this replica may have.
const FULL: Missing = Missing::Room("the worker's instance pool is full");

enum Missing {
    Room(&'static str),
    Failed(wasmtime::Error),
}

async fn instance(replica: &Arc<Replica>, turn: &Arc<Turn>) -> Result<Box<Instance>, Missing> {
    if replica.reuses()
        && let Some(instance) = replica.idle.take()
    {
        return Ok(instance);
    }
    let mut made = fresh(replica, turn).await?;
    // Idle instances, which another thread keeps from being found, give way to one that has a request.
    while made.as_ref().is_err_and(|error| gives_way(replica, error)) {
        made = fresh(replica, turn).await?;
    }
    made.map_err(|error| match no_room(&error) {
        // Alone, it would not fit either: then it is the limit that is too low.
        Some(why) if replica.in_flight() > 1 || is_of_worker(&error) => Missing::Room(why),
        _ => Missing::Failed(error),
    })
}

/// Whether an idle instance gave up memory that is lacking.
fn gives_way(replica: &Replica, lacking: &wasmtime::Error) -> bool {
    match lacking.downcast_ref() {
        Some(MemoryLimitReached::OfReplica { .. }) => replica.idle.drop_oldest(),
        Some(MemoryLimitReached::OfWorker) => replica.idle.drop_oldest() || replica.host.idle.drop_oldest(),
        None => false,
    }
}

/// Makes an instance, if the worker has room for one.
async fn fresh(replica: &Arc<Replica>, turn: &Arc<Turn>) -> Result<wasmtime::Result<Box<Instance>>, Missing> {
    let slot = match replica.host.room(&replica.holder) {
        Asked::Taken(slot) => slot,
        Asked::Waits(waiting) => waiting.slot().await.ok_or(FULL)?,
        Asked::Full => return Err(FULL),
    };
    Ok(Instance::new(replica, slot, turn.clone()).await)
}
