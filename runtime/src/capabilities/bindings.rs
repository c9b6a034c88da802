//! What `wit/` says, as Rust traits.

#![allow(missing_docs, reason = "generated from documented WIT")]

mod capabilities {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "sampan:guest/capabilities",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": crate::capabilities::key_value::Bucket,
            "wasi:keyvalue/atomics.cas": crate::capabilities::key_value::Cas,
        },
        trappable_error_type: {
            "wasi:keyvalue/store@0.2.0-draft2.error" => crate::capabilities::key_value::StoreError,
        },
    });
}

mod keyvalue_draft {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "sampan:guest/keyvalue-draft",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": crate::capabilities::key_value::Bucket,
        },
        trappable_error_type: {
            "wasi:keyvalue/store@0.2.0-draft.error" => crate::capabilities::key_value::StoreError,
        },
    });
}

pub(super) use capabilities::wasi::{config, keyvalue0_2_0_draft2 as keyvalue_draft2, logging};
pub(super) use keyvalue_draft::wasi::keyvalue0_2_0_draft as keyvalue_draft1;
