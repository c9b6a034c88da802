//! Frames of the protocol, the same for each of the four directions.

use api::session::{GatewayDown, GatewayUp, WorkerDown, WorkerUp};

use crate::{
    identity::Trust,
    wire::{
        WireError,
        proto::{
            GatewayFrame, Opened, Opening, ToGatewayFrame, ToWorkerFrame, WorkerFrame, gateway_frame, to_gateway_frame,
            to_worker_frame, worker_frame,
        },
    },
};

/// What a frame carries.
#[derive(Debug)]
pub(super) enum Content<M> {
    Opening(Opening),
    Opened(Opened),
    Message(M),
    /// What certificates of others are held against.
    Trust(Trust),
}

/// A frame, whichever way it goes.
#[derive(Debug)]
pub(super) struct Packet<M> {
    pub(super) sequence: u64,
    pub(super) acknowledged: u64,
    pub(super) content: Option<Content<M>>,
    /// The sender ends the session: it is not resumed.
    pub(super) ends: bool,
}

/// A message of a session, and the frame that it travels in.
pub(super) trait Message: Clone + Send + Sync + 'static {
    type Frame: prost::Message + Default + Send + 'static;

    /// Whether it is received for certain. What is not is of use only now.
    fn is_counted(&self) -> bool {
        true
    }

    fn pack(packet: Packet<Self>) -> Self::Frame;
    fn unpack(frame: Self::Frame) -> Result<Packet<Self>, WireError>;
}

/// Client frames have an `Opening`, server frames an `Opened` and what is trusted.
macro_rules! message {
    ($message:ty, $frame:ident, $module:ident, $variant:ident, $opens:ident $([$trust:ident])? $(, $counted:item)?) => {
        impl Message for $message {
            type Frame = $frame;
            $($counted)?

            fn pack(packet: Packet<Self>) -> $frame {
                let Packet { sequence, acknowledged, content, ends } = packet;
                let content = content.and_then(|content| match content {
                    Content::$variant(opens) => Some($module::Content::$opens(opens)),
                    Content::Message(message) => Some($module::Content::Message(message.into())),
                    $(Content::$trust(trust) => Some($module::Content::$trust((&trust).into())),)?
                    _ => None,
                });
                $frame { sequence, acknowledged, content, ends }
            }

            fn unpack(frame: $frame) -> Result<Packet<Self>, WireError> {
                let content = match frame.content {
                    None => None,
                    Some($module::Content::$opens(opens)) => Some(Content::$variant(opens)),
                    $(Some($module::Content::$trust(trust)) => Some(Content::$trust(trust.into())),)?
                    Some($module::Content::Message(message)) => match message.try_into() {
                        Ok(message) => Some(Content::Message(message)),
                        // A later version may say what this one does not know: it counts, and is skipped.
                        Err(WireError::Unknown { message }) => {
                            tracing::debug!(message, "a message that this version does not know was skipped");
                            None
                        }
                        Err(error) => return Err(error),
                    },
                };
                Ok(Packet { sequence: frame.sequence, acknowledged: frame.acknowledged, content, ends: frame.ends })
            }
        }
    };
}

message!(
    WorkerUp,
    WorkerFrame,
    worker_frame,
    Opening,
    Opening,
    fn is_counted(&self) -> bool {
        !matches!(self, Self::Heartbeat)
    }
);
message!(WorkerDown, ToWorkerFrame, to_worker_frame, Opened, Opened[Trust]);
message!(GatewayUp, GatewayFrame, gateway_frame, Opening, Opening);
message!(GatewayDown, ToGatewayFrame, to_gateway_frame, Opened, Opened[Trust]);
