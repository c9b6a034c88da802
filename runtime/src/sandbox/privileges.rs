use std::io;

use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities,
    },
};

/// Drops all capabilities of this thread, and those that a program could bring it.
pub(super) fn drop_all() -> io::Result<()> {
    // Without this capability the bounding set stays; a process that can gain no privileges does not miss it.
    if capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        bits().try_for_each(drop_from_bounding_set)?;
    }
    match clear_ambient_capability_set() {
        // Before Linux 4.3 there is none.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

fn bits() -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit))
}

fn drop_from_bounding_set(capability: CapabilitySet) -> io::Result<()> {
    match capability_is_in_bounding_set(capability) {
        Ok(true) => Ok(remove_capability_from_bounding_set(capability)?),
        // Not in it, or beyond the last that the kernel knows.
        Ok(false) | Err(Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
