use std::sync::Arc;

use api::replica::LogSource;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::{
    Capabilities,
    outbound::{Cause, OutboundHooks},
    stdio::GuestOutput,
};
use crate::replica::{Charge, MemoryAccount, MemoryLimitReached, Turn};

/// Bytes of the headers of one message.
pub(super) const MAX_HEADER_BYTES: usize = 128 << 10;

/// What a handle takes of the host beside what it holds: most less, none more.
const HANDLE_BYTES: u64 = 2 << 10;
/// So many handles of an instance are not counted, and after so many calls it is looked how many there are.
const UNCOUNTED_HANDLES: usize = 64;

/// The host's side of one instance.
pub(crate) struct GuestState {
    pub(super) capabilities: Arc<Capabilities>,
    pub(super) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub(super) outbound: OutboundHooks,
    /// What its memories and tables take of the replica's limit.
    pub(crate) memory: MemoryAccount,
    /// The request that it works on.
    pub(crate) turn: Arc<Turn>,
    /// What its handles count for.
    handles: Option<Charge>,
    /// Calls that can make handles.
    calls: usize,
}

impl GuestState {
    pub(crate) fn new(
        capabilities: Arc<Capabilities>,
        memory: MemoryAccount,
        turn: Arc<Turn>,
        max_handles: usize,
    ) -> Self {
        let mut table = ResourceTable::new();
        // One that waits for a time has that beside it, and counts as two.
        table.set_max_capacity(max_handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_HEADER_BYTES);
        let wasi = WasiCtx::builder()
            .stdout(GuestOutput::new(capabilities.log.clone(), LogSource::Stdout))
            .stderr(GuestOutput::new(capabilities.log.clone(), LogSource::Stderr))
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        let outbound = OutboundHooks::new(capabilities.outbound.clone());
        Self { capabilities, table, wasi, http, outbound, memory, turn, handles: None, calls: 0 }
    }

    /// Makes the instance work on another request.
    pub(crate) fn begin(&mut self, turn: Arc<Turn>, cause: Cause) {
        self.turn = turn;
        self.outbound.cause = cause;
        self.memory.next_request(|| self.table.is_empty());
    }

    /// A function is called that can make handles. It has no error to end the guest with: see [`Turn::called`].
    fn called(&mut self) {
        self.turn.called();
        self.calls = self.calls.wrapping_add(1);
        if self.calls.is_multiple_of(UNCOUNTED_HANDLES)
            && let Err(lack) = self.count_handles()
        {
            std::panic::resume_unwind(Box::new(wasmtime::Error::from(lack)));
        }
    }

    fn count_handles(&mut self) -> Result<(), MemoryLimitReached> {
        let counted = self.table.iter_mut().count().saturating_sub(UNCOUNTED_HANDLES) as u64;
        match &mut self.handles {
            Some(charge) => charge.resize(counted * HANDLE_BYTES)?,
            None if counted > 0 => self.handles = Some(self.memory.charge(counted * HANDLE_BYTES)?),
            None => {}
        }
        Ok(())
    }
}

// Each call of a function of wasmtime's own comes by one of these.
impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.called();
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.called();
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}
