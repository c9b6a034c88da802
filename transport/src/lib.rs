//! Joins roles of different processes: sessions over gRPC, requests over pooled HTTP.

mod wire;
