//! Sampan attacked from outside, as client, guest, joined machine and local user: what does not hold fails here.
//! `SECURITY.md` names for each boundary the tests that watch it.

mod api;
mod audit;
mod certificates;
mod encryption;
mod files;
mod floods;
mod host_calls;
mod listeners;
mod paths;
mod peers;
mod policies;
mod priorities;
mod public;
mod pulling;
mod quotas;
mod reach;
mod room;
mod sharing;
mod strangers;
mod terminals;
mod users;
