//! What parses strangers' bytes, as the fuzzer calls it (`make fuzz`). The tests feed it the seeds in `fuzz/seeds`.

use api::session::{GatewayDown, GatewayUp, WorkerDown, WorkerUp};

use super::frame::Message;

/// A frame of a session: each direction reads it or refuses it, and what it reads it can send on.
pub fn frame(bytes: &[u8]) {
    read::<WorkerUp>(bytes);
    read::<WorkerDown>(bytes);
    read::<GatewayUp>(bytes);
    read::<GatewayDown>(bytes);
}

fn read<M: Message>(bytes: &[u8]) {
    use prost::Message as _;
    let Ok(frame) = M::Frame::decode(bytes) else { return };
    if let Ok(packet) = M::unpack(frame) {
        let sent = M::pack(packet).encode_to_vec();
        let again = M::Frame::decode(&*sent).expect("what was packed is a frame");
        assert!(M::unpack(again).is_ok(), "what was read once is read again");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[test]
    fn seeds_of_the_fuzzer_are_read_or_refused() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/frame");
        let files: Vec<_> = fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty());
        for file in files {
            super::frame(&fs::read(file).unwrap());
        }
    }
}
